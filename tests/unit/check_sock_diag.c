/* SPDX-License-Identifier: MIT */
#include "daemon/observe/sock_diag.h"

#include <signal.h>

#include "lib/util/macro.h"
#include "netlink_peer.h"
#include "run.h"

#define SOCKETS 8u
#define ALWAYS 1, UINT32_MAX

static struct sock_diag diag;
static unsigned shown;

static void on_socket(void *user, const struct inet_diag_msg *socket, size_t length)
{
        (void)user;
        ck_assert_uint_ge(length, sizeof(*socket));
        shown++;
}

static int dump(void)
{
        const struct sock_diag_query query = {.states = SOCK_DIAG_CONNECTIONS};

        shown = 0;
        return sock_diag_dump(&diag, &query, on_socket, NULL);
}

static void set_up(void)
{
        peer = (struct peer){0};
        for (unsigned i = 0; i < SOCKETS; i++)
                peer_add(TCP_ESTABLISHED, (uint16_t)(40000 + i), 80);
        peer_add(TCP_LISTEN, 80, 0);
}

static void tear_down(void)
{
        sock_diag_close(&diag);
}

static void spoil(void (*with)(void), unsigned first, unsigned last)
{
        peer.spoil = with;
        peer.spoil_first = first;
        peer.spoil_last = last;
}

static void expect_good_dump(void)
{
        ck_assert_int_eq(dump(), 0);
        ck_assert_uint_eq(shown, SOCKETS);
}

START_TEST(a_good_dump_is_complete)
{
        expect_good_dump();
        expect_good_dump();
        ck_assert_uint_eq(peer.requests, 2);
        ck_assert_uint_eq(peer.asked.nlmsg_type, TCPDIAG_GETSOCK);
}
END_TEST

/* The next dump is good again. */
START_TEST(a_spoilt_dump_is_an_error)
{
        const struct peer_fault *fault = &peer_faults[_i];
        int r;

        spoil(fault->spoil, 2, 2);
        expect_good_dump();
        r = dump();
        ck_assert_msg(r == fault->error, "%s: %s, should be %s", fault->name, strerror(-r), strerror(-fault->error));
        ck_assert_msg(!diag.socket, "%s: the rest of the answer would get into the next dump", fault->name);
        expect_good_dump();
}
END_TEST

START_TEST(a_request_that_cannot_be_sent_is_an_error)
{
        static const int errors[] = {ENOBUFS, EPERM, EAGAIN, EINTR, ENOMEM};

        for (unsigned i = 0; i < ELEMENTSOF(errors); i++) {
                peer.send_error = errors[i];
                ck_assert_int_eq(dump(), -errors[i]);
                ck_assert_uint_eq(shown, 0);
                peer.send_error = 0;
                expect_good_dump();
        }
}
END_TEST

START_TEST(a_dump_ends_at_its_deadline)
{
        expect_good_dump();
        diag.until = 1;
        ck_assert_int_eq(dump(), -ETIMEDOUT);
        diag.until = UINT64_MAX;
        expect_good_dump();
        diag.until = 0;
}
END_TEST

/* Blocked, as for signalfd(2). */
START_TEST(a_dump_ends_when_the_daemon_is_to_end)
{
        static const int signals[] = {SIGTERM, SIGINT};
        sigset_t set;
        int got;

        for (unsigned i = 0; i < ELEMENTSOF(signals); i++) {
                sigemptyset(&set);
                sigaddset(&set, signals[i]);
                sigprocmask(SIG_BLOCK, &set, NULL);
                raise(signals[i]);
                ck_assert_int_eq(dump(), -ECANCELED);
                ck_assert_int_eq(sigwait(&set, &got), 0);
                expect_good_dump();
        }
}
END_TEST

static void done_without_payload(void)
{
        peer_end_with(NLMSG_DONE, 0, 0);
}

static void noop(void)
{
        peer.batch[peer.n_batches - 1].size = 0;
        peer_put(NLMSG_NOOP, "", 0);
        peer_put(NLMSG_DONE, "", 0);
}

START_TEST(a_done_without_payload_and_a_noop_are_no_error)
{
        spoil(done_without_payload, ALWAYS);
        expect_good_dump();
        spoil(noop, ALWAYS);
        expect_good_dump();
}
END_TEST

/* The answer to the request before, in front of the right one. */
static void late_answer(void)
{
        struct peer_batch late = peer.batch[0];

        memmove(&peer.batch[1], &peer.batch[0], peer.n_batches++ * sizeof(peer.batch[0]));
        ((struct nlmsghdr *)late.data)->nlmsg_seq--;
        peer.batch[0] = late;
}

START_TEST(an_answer_to_another_request_is_an_error)
{
        spoil(late_answer, 1, 1);
        ck_assert_int_eq(dump(), -EPROTO);
        expect_good_dump();
}
END_TEST

static void not_supported(void)
{
        if (peer.asked.nlmsg_type == TCPDIAG_GETSOCK) {
                peer.n_batches = 1;
                peer_end_with(NLMSG_ERROR, -EOPNOTSUPP, sizeof(struct nlmsgerr));
        }
}

START_TEST(without_the_request_for_both_families_there_are_two)
{
        peer.socket[0].msg.idiag_family = AF_INET6;
        spoil(not_supported, ALWAYS);
        expect_good_dump();
        ck_assert_uint_eq(peer.requests, 3);
        expect_good_dump();
        ck_assert_uint_eq(peer.requests, 5);
}
END_TEST

static void no_ipv6(void)
{
        not_supported();
        if (peer.asked.nlmsg_type == SOCK_DIAG_BY_FAMILY && peer.family == AF_INET6)
                peer_end_with(NLMSG_ERROR, -ENOENT, sizeof(struct nlmsgerr));
}

static void no_ipv4(void)
{
        not_supported();
        if (peer.asked.nlmsg_type == SOCK_DIAG_BY_FAMILY && peer.family == AF_INET)
                peer_end_with(NLMSG_ERROR, -ENOENT, sizeof(struct nlmsgerr));
}

START_TEST(a_kernel_without_ipv6_has_none_of_its_sockets)
{
        spoil(no_ipv6, ALWAYS);
        expect_good_dump();
        spoil(no_ipv4, ALWAYS);
        ck_assert_int_eq(dump(), -ENOENT);
}
END_TEST

/* Each fault, in the second of the two walks. */
START_TEST(a_spoilt_second_walk_is_an_error)
{
        int r;

        peer.socket[0].msg.idiag_family = AF_INET6;
        diag.two_walks = true;
        spoil(peer_faults[_i].spoil, 2, 2);
        r = dump();
        ck_assert_msg(r == peer_faults[_i].error, "%s: %s", peer_faults[_i].name, strerror(-r));
        expect_good_dump();
}
END_TEST

static void add_tests(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, a_good_dump_is_complete);
        tcase_add_test(tcase, a_dump_ends_at_its_deadline);
        tcase_add_test(tcase, a_dump_ends_when_the_daemon_is_to_end);
        tcase_add_loop_test(tcase, a_spoilt_dump_is_an_error, 0, ELEMENTSOF(peer_faults));
        tcase_add_test(tcase, a_request_that_cannot_be_sent_is_an_error);
        tcase_add_test(tcase, a_done_without_payload_and_a_noop_are_no_error);
        tcase_add_test(tcase, an_answer_to_another_request_is_an_error);
        tcase_add_test(tcase, without_the_request_for_both_families_there_are_two);
        tcase_add_test(tcase, a_kernel_without_ipv6_has_none_of_its_sockets);
        tcase_add_loop_test(tcase, a_spoilt_second_walk_is_an_error, 0, ELEMENTSOF(peer_faults));
}

int main(void)
{
        return run_suite("sock_diag", add_tests);
}
