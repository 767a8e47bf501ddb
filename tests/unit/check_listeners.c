/* SPDX-License-Identifier: MIT */
#include "listener_dump.h"

START_TEST(nothing_listens)
{
        listeners_begin(&l);
        listeners_commit(&l);
        handshakes(1, AF_INET, A, 80);
        ck_assert_ptr_null(listeners_worst(&l, listener_accept_queue));
        ck_assert_ptr_null(listeners_worst(&l, listener_syn_queue));
        ck_assert_ptr_null(listeners_worst(&l, listener_new_drops));
        ck_assert_uint_eq(l.new_drops, 0);
}
END_TEST

START_TEST(what_a_listener_keeps)
{
        const uint64_t cookie = UINT64_C(0x100000002);

        DUMP({cookie, 5, 1, 2, AF_INET, A, 8080, 77});
        ck_assert_uint_eq(l.n, 1);
        ck_assert(l.item[0].cookie == cookie);
        ck_assert(l.item[0].cgroup == 77);
        ck_assert_uint_eq(l.item[0].family, AF_INET);
        ck_assert_uint_eq(l.item[0].port, 8080);
        ck_assert_uint_eq(ntohl(l.item[0].address[0]), A);
        ck_assert_uint_eq(l.item[0].queued, 1);
        ck_assert_uint_eq(l.item[0].backlog, 2);
        ck_assert_uint_eq(l.item[0].drops, 5);
}
END_TEST

/* One more than the limit fits (sk_acceptq_is_full): that is 100 %. */
START_TEST(accept_queue_percent)
{
        static const struct {
                uint32_t queued, backlog;
                double percent;
        } rows[] = {
                {0, 0, 0},
                {1, 0, 100},
                {2, 0, 200},
                {0, 1, 0},
                {1, 1, 50},
                {2, 1, 100},
                {0, 3, 0},
                {3, 3, 75},
                {4, 3, 100},
                {5, 3, 125},
                {4097, 4096, 100},
                {UINT32_MAX - 1, UINT32_MAX, 100 * 4294967294.0 / 4294967296.0},
                {UINT32_MAX, UINT32_MAX, 100 * 4294967295.0 / 4294967296.0},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                const struct listener listener = {.queued = rows[i].queued, .backlog = rows[i].backlog};

                ck_assert_msg(listener_accept_queue(&l, &listener) == rows[i].percent, "row %u: %g", i,
                              listener_accept_queue(&l, &listener));
        }
}
END_TEST

START_TEST(the_fullest_accept_queue_goes_by_percent)
{
        DUMP({1, .queued = 0, .backlog = 0}, {2, .queued = 100, .backlog = 4096}, {3, .queued = 2, .backlog = 3},
             {4, .queued = 50, .backlog = 127});
        ck_assert(listeners_worst(&l, listener_accept_queue)->cookie == 3);
        DUMP({1, .queued = 0, .backlog = 10}, {2, .queued = 0, .backlog = 0});
        ck_assert_ptr_null(listeners_worst(&l, listener_accept_queue));
}
END_TEST

START_TEST(syn_queue_percent)
{
        DUMP({1, .backlog = 10, .address = A});
        ck_assert_ptr_null(listeners_worst(&l, listener_syn_queue));
        handshakes(5, AF_INET, A, 80);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 50);
        handshakes(5, AF_INET, A, 80);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 100);
        DUMP({1, .backlog = 10, .address = A});
        ck_assert_ptr_null(listeners_worst(&l, listener_syn_queue)); /* counted anew at each dump */
}
END_TEST

START_TEST(syn_queue_with_a_limit_beside_the_backlog)
{
        DUMP({1, .backlog = 40, .address = A}, {2, .backlog = 10, .address = A, .port = 81});
        l.syn_limit = 20;
        handshakes(5, AF_INET, A, 80);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 25);
        handshakes(5, AF_INET, A, 81);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 50);
}
END_TEST

START_TEST(syn_queue_without_a_backlog)
{
        DUMP({1, .backlog = 0});
        handshakes(1, AF_INET, A, 80);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 100);
}
END_TEST

/* SO_REUSEPORT: the dump does not tell whose handshake it is, so all of them share. */
START_TEST(listeners_that_share_an_address_share_the_handshakes)
{
        DUMP({1, .backlog = 10, .address = A}, {2, .backlog = 20, .address = A}, {3, .backlog = 30, .address = A},
             {4, .backlog = 1000, .address = A, .port = 81}, {5, .backlog = 1000, .address = B},
             {6, .backlog = 1000, .family = AF_INET6, .address = A});
        handshakes(30, AF_INET, A, 80);
        ck_assert_uint_eq(listeners_worst(&l, listener_syn_queue)->port, 80);
        ck_assert_double_eq(listener_syn_queue(&l, listeners_worst(&l, listener_syn_queue)), 50);
}
END_TEST

START_TEST(the_fullest_syn_queue_goes_by_percent)
{
        DUMP({1, .backlog = 100, .port = 80}, {2, .backlog = 10, .port = 81});
        handshakes(20, AF_INET, A, 80);
        handshakes(5, AF_INET, A, 81);
        ck_assert(listeners_worst(&l, listener_syn_queue)->cookie == 2);
}
END_TEST

static unsigned handshakes_of(uint64_t cookie)
{
        for (unsigned i = 0; i < l.n; i++)
                if (l.item[i].cookie == cookie)
                        return l.item[i].handshakes;
        ck_abort_msg("no listener %llu", (unsigned long long)cookie);
}

START_TEST(handshakes_find_their_listener)
{
        DUMP({1, .address = A}, {2, .address = B}, {3, .address = A, .port = 81},
             {4, .family = AF_INET6, .address = A, .port = 82});
        handshakes(1, AF_INET, A, 80);
        handshakes(2, AF_INET, B, 80);
        handshakes(3, AF_INET, A, 81);
        handshakes(4, AF_INET6, A, 82);
        handshakes(5, AF_INET, B, 81); /* nobody's */
        handshakes(6, AF_INET, A, 83);
        for (unsigned i = 1; i <= 4; i++)
                ck_assert_uint_eq(handshakes_of(i), i);
}
END_TEST

START_TEST(a_wildcard_has_every_address)
{
        DUMP({1, .address = ANY});
        handshakes(1, AF_INET, A, 80);
        handshakes(1, AF_INET, B, 80);
        handshakes(1, AF_INET, B, 81);
        ck_assert_uint_eq(handshakes_of(1), 2);
}
END_TEST

/* An IPv4 peer's request to a listener on [::] is AF_INET6, with mapped addresses (inet_reqsk_alloc takes
 * the listener's family). */
START_TEST(a_wildcard_of_both_families)
{
        DUMP({1, .family = AF_INET6, .address = ANY});
        handshakes(3, AF_INET6, A, 80);
        ck_assert_uint_eq(handshakes_of(1), 3);
}
END_TEST

/* As nginx has it: 0.0.0.0:80 and, with IPV6_V6ONLY, [::]:80. In whichever order the kernel gives them. */
START_TEST(wildcards_of_each_family_are_apart)
{
        DUMP({4, .address = ANY}, {6, .family = AF_INET6, .address = ANY});
        handshakes(2, AF_INET, A, 80);
        handshakes(3, AF_INET6, A, 80);
        ck_assert_uint_eq(handshakes_of(4), 2);
        ck_assert_uint_eq(handshakes_of(6), 3);

        DUMP({6, .family = AF_INET6, .address = ANY}, {4, .address = ANY});
        handshakes(2, AF_INET, A, 80);
        handshakes(3, AF_INET6, A, 80);
        ck_assert_uint_eq(handshakes_of(4), 2);
        ck_assert_uint_eq(handshakes_of(6), 3);
}
END_TEST

/* The kernel prefers the listener with the more specific address (compute_score). */
START_TEST(a_specific_address_goes_before_the_wildcard)
{
        DUMP({1, .address = A}, {2, .address = ANY});
        handshakes(2, AF_INET, A, 80);
        handshakes(3, AF_INET, B, 80);
        ck_assert_uint_eq(handshakes_of(1), 2);
        ck_assert_uint_eq(handshakes_of(2), 3);

        DUMP({2, .address = ANY}, {1, .address = A});
        handshakes(2, AF_INET, A, 80);
        handshakes(3, AF_INET, B, 80);
        ck_assert_uint_eq(handshakes_of(1), 2);
        ck_assert_uint_eq(handshakes_of(2), 3);
}
END_TEST

/* Also one on an IPv4 address before one on [::]. */
START_TEST(a_specific_address_goes_before_the_other_familys_wildcard)
{
        DUMP({2, .family = AF_INET6, .address = ANY}, {1, .address = A});
        handshakes(2, AF_INET, A, 80);
        handshakes(3, AF_INET6, B, 80);
        ck_assert_uint_eq(handshakes_of(1), 2);
        ck_assert_uint_eq(handshakes_of(2), 3);
}
END_TEST

static void dump_many(unsigned n, uint32_t drops)
{
        listeners_begin(&l);
        for (unsigned i = 1; i <= n; i++)
                put(&(struct row){i, drops, .port = (uint16_t)i});
        listeners_commit(&l);
}

START_TEST(more_than_there_is_room_for)
{
        dump_many(LISTENERS_MAX + 100, 1);
        ck_assert_uint_eq(l.n, LISTENERS_MAX);
        dump_many(LISTENERS_MAX + 100, 3);
        ck_assert_uint_eq(l.n, LISTENERS_MAX);
        ck_assert_uint_eq(l.new_drops, 2 * LISTENERS_MAX);
        ck_assert(l.item[0].cookie == 1 && l.item[LISTENERS_MAX - 1].cookie == LISTENERS_MAX);
        handshakes(1, AF_INET, A, LISTENERS_MAX);
        handshakes(1, AF_INET, A, LISTENERS_MAX + 1);
        ck_assert_uint_eq(handshakes_of(LISTENERS_MAX), 1);
        dump_many(3, 4);
        ck_assert_uint_eq(l.n, 3);
        ck_assert_uint_eq(l.new_drops, 3);
}
END_TEST

/* Without these attributes both are 0. */
START_TEST(without_drops_and_cgroup)
{
        struct inet_diag_msg socket = {.idiag_family = AF_INET, .idiag_state = TCP_LISTEN};

        for (unsigned i = 0; i < 2; i++) {
                listeners_begin(&l);
                listeners_add(&l, &socket, sizeof(socket));
                listeners_commit(&l);
        }
        ck_assert_uint_eq(l.item[0].drops, 0);
        ck_assert_uint_eq(l.item[0].cgroup, 0);
        ck_assert_uint_eq(l.new_drops, 0);
}
END_TEST

START_TEST(names)
{
        static const struct {
                int family;
                const char *address;
                uint16_t port;
                const char *name;
        } rows[] = {
                {AF_INET, "10.0.0.7", 80, "10.0.0.7:80"},
                {AF_INET, "0.0.0.0", 65535, "0.0.0.0:65535"},
                {AF_INET, "255.255.255.255", 65535, "255.255.255.255:65535"},
                {AF_INET6, "::", 80, "[::]:80"},
                {AF_INET6, "::1", 8080, "[::1]:8080"},
                {AF_INET6, "fd77::2", 443, "[fd77::2]:443"},
                {AF_INET6, "::ffff:10.0.0.7", 80, "[::ffff:10.0.0.7]:80"},
                {AF_INET6, "1111:2222:3333:4444:5555:6666:7777:8888", 65535,
                 "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"},
        };

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                struct listener listener = {.family = (uint8_t)rows[i].family, .port = rows[i].port};
                char buf[LISTENER_NAME_MAX];

                ck_assert_int_eq(inet_pton(rows[i].family, rows[i].address, listener.address), 1);
                ck_assert_str_eq(listener_name(&listener, buf), rows[i].name);
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, nothing_listens);
        tcase_add_test(tcase, what_a_listener_keeps);
        tcase_add_test(tcase, accept_queue_percent);
        tcase_add_test(tcase, the_fullest_accept_queue_goes_by_percent);
        tcase_add_test(tcase, syn_queue_percent);
        tcase_add_test(tcase, syn_queue_with_a_limit_beside_the_backlog);
        tcase_add_test(tcase, syn_queue_without_a_backlog);
        tcase_add_test(tcase, listeners_that_share_an_address_share_the_handshakes);
        tcase_add_test(tcase, the_fullest_syn_queue_goes_by_percent);
        tcase_add_test(tcase, handshakes_find_their_listener);
        tcase_add_test(tcase, a_wildcard_has_every_address);
        tcase_add_test(tcase, a_wildcard_of_both_families);
        tcase_add_test(tcase, wildcards_of_each_family_are_apart);
        tcase_add_test(tcase, a_specific_address_goes_before_the_wildcard);
        tcase_add_test(tcase, a_specific_address_goes_before_the_other_familys_wildcard);
        tcase_add_test(tcase, more_than_there_is_room_for);
        tcase_add_test(tcase, without_drops_and_cgroup);
        tcase_add_test(tcase, names);
}

int main(void)
{
        return run_suite("listeners", add);
}
