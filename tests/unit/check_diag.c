/* SPDX-License-Identifier: MIT */
#include "lib/kernel/diag.h"

#include "diag_message.h"
#include "lib/util/macro.h"
#include "run.h"

#define CGROUP UINT64_C(0x1122334455667788)

static struct diag_message m;

static void set_up(void)
{
        static const struct inet_diag_msg socket = {.idiag_family = AF_INET};

        m = diag_message_new(&socket);
}

static void tear_down(void)
{
        diag_message_free(&m);
}

static uint64_t cgroup(void)
{
        return diag_cgroup(m.socket, m.length);
}

static void expect_no_drops(void)
{
        uint32_t drops = 4711;

        ck_assert(!diag_drops(m.socket, m.length, &drops));
        ck_assert_uint_eq(drops, 4711); /* untouched */
}

START_TEST(without_attributes_nothing_is_known)
{
        ck_assert_uint_eq(cgroup(), 0);
        expect_no_drops();
        ck_assert_ptr_null(diag_attribute(m.socket, m.length, 0, 0, true));
}
END_TEST

START_TEST(each_is_found_among_others)
{
        static const char other[] = "cubic";
        uint32_t drops;

        diag_message_put(&m, INET_DIAG_CONG, other, sizeof(other)); /* 6 bytes and 2 of padding */
        diag_message_put_drops(&m, 42);
        diag_message_put(&m, 250, NULL, 0); /* of a future kernel */
        diag_message_put(&m, INET_DIAG_SHUTDOWN, "\x03", 1);
        diag_message_put_cgroup(&m, CGROUP);
        diag_message_put(&m, INET_DIAG_MARK, "1234", 4);
        ck_assert(cgroup() == CGROUP);
        ck_assert(diag_drops(m.socket, m.length, &drops));
        ck_assert_uint_eq(drops, 42);
        ck_assert_str_eq(diag_attribute(m.socket, m.length, INET_DIAG_CONG, sizeof(other), false), "cubic");
        ck_assert_ptr_nonnull(diag_attribute(m.socket, m.length, 250, 0, false));
        ck_assert_ptr_null(diag_attribute(m.socket, m.length, 251, 0, true));
}
END_TEST

/* NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type. */
START_TEST(flags_of_the_type_are_left_out)
{
        uint64_t id = CGROUP;

        diag_message_put(&m, INET_DIAG_CGROUP_ID | NLA_F_NET_BYTEORDER, &id, sizeof(id));
        ck_assert(cgroup() == CGROUP);
}
END_TEST

START_TEST(only_the_expected_length_counts)
{
        static const char payload[64] = {1, 2, 3, 4, 5, 6, 7, 8};

        for (size_t size = 0; size <= sizeof(payload); size++) {
                tear_down();
                set_up();
                diag_message_put(&m, INET_DIAG_CGROUP_ID, payload, size);
                ck_assert_msg((cgroup() != 0) == (size == sizeof(uint64_t)), "%zu bytes", size);
                ck_assert_msg((diag_attribute(m.socket, m.length, INET_DIAG_CGROUP_ID, 8, true) != NULL) ==
                                      (size >= 8),
                              "%zu bytes, at least 8", size);
        }
}
END_TEST

/* SK_MEMINFO_DROPS is the last one there is; kernels add to the end. */
START_TEST(drops_may_have_company_to_come)
{
        uint32_t meminfo[SK_MEMINFO_DROPS + 4] = {0};

        meminfo[SK_MEMINFO_DROPS] = UINT32_MAX;
        for (size_t n = 0; n <= ELEMENTSOF(meminfo); n++) {
                uint32_t drops = 0;

                tear_down();
                set_up();
                diag_message_put(&m, INET_DIAG_SKMEMINFO, meminfo, n * sizeof(meminfo[0]));
                if (n <= SK_MEMINFO_DROPS) {
                        expect_no_drops();
                        continue;
                }
                ck_assert_msg(diag_drops(m.socket, m.length, &drops) && drops == UINT32_MAX, "%zu words", n);
        }
}
END_TEST

START_TEST(a_receive_buffer_and_its_share)
{
        uint32_t meminfo[SK_MEMINFO_DROPS + 1] = {[SK_MEMINFO_RMEM_ALLOC] = 50, [SK_MEMINFO_RCVBUF] = 200};
        double share = -1;

        ck_assert(!diag_receive_buffer(m.socket, m.length, &share) && share < 0);
        diag_message_put(&m, INET_DIAG_SKMEMINFO, meminfo, sizeof(meminfo));
        ck_assert(diag_receive_buffer(m.socket, m.length, &share));
        ck_assert(share > 24.9 && share < 25.1);
        tear_down();
        set_up();
        meminfo[SK_MEMINFO_RCVBUF] = 0;
        diag_message_put(&m, INET_DIAG_SKMEMINFO, meminfo, sizeof(meminfo));
        ck_assert(!diag_receive_buffer(m.socket, m.length, &share));
}
END_TEST

START_TEST(no_drops_is_known_to_be_none)
{
        uint32_t drops = 1;

        diag_message_put_drops(&m, 0);
        ck_assert(diag_drops(m.socket, m.length, &drops));
        ck_assert_uint_eq(drops, 0);
}
END_TEST

/* At every length that ends inside an attribute: the cut attribute is not found, those before it are. */
START_TEST(truncated_attributes)
{
        size_t whole, first;

        diag_message_put_drops(&m, 7);
        first = m.length;
        diag_message_put_cgroup(&m, CGROUP);
        whole = m.length;
        ck_assert(cgroup() == CGROUP);
        for (size_t length = whole - 1; length >= sizeof(*m.socket); length--) {
                uint32_t drops = 0;

                diag_message_resize(&m, length);
                ck_assert_msg(cgroup() == 0, "of %zu bytes %zu", whole, length);
                if (length < first)
                        expect_no_drops();
                else
                        ck_assert_msg(diag_drops(m.socket, m.length, &drops) && drops == 7, "of %zu bytes %zu", whole,
                                      length);
        }
}
END_TEST

/* An impossible length ends the search: what follows cannot be trusted. Above all, the search must end. */
START_TEST(impossible_lengths_end_the_search)
{
        static const unsigned lengths[] = {0, 1, 2, 3, 20, 21, 1000, UINT16_MAX};

        for (unsigned i = 0; i < ELEMENTSOF(lengths); i++) {
                tear_down();
                set_up();
                diag_message_put_raw(&m, INET_DIAG_MARK, lengths[i], "1234", 4);
                if (lengths[i] < 1000)
                        diag_message_put_cgroup(&m, CGROUP); /* 12 bytes more, 20 in all */
                ck_assert_msg(lengths[i] == 20 || !diag_attribute(m.socket, m.length, INET_DIAG_MARK, 4, true),
                              "nla_len %u: found itself", lengths[i]);
                ck_assert_msg(cgroup() == 0, "nla_len %u: found what follows", lengths[i]);
        }
}
END_TEST

START_TEST(past_the_end_by_one)
{
        uint64_t id = CGROUP;

        diag_message_put_raw(&m, INET_DIAG_CGROUP_ID, sizeof(struct nlattr) + sizeof(id) + 1, &id, sizeof(id));
        ck_assert_uint_eq(cgroup(), 0);
        ck_assert_ptr_null(diag_attribute(m.socket, m.length, INET_DIAG_CGROUP_ID, sizeof(id), true));
}
END_TEST

/* The padding of the last one may be missing. */
START_TEST(no_padding_at_the_end)
{
        diag_message_put(&m, INET_DIAG_SHUTDOWN, "\x03", 1);
        diag_message_resize(&m, m.length - 3);
        ck_assert_ptr_nonnull(diag_attribute(m.socket, m.length, INET_DIAG_SHUTDOWN, 1, false));
        ck_assert_ptr_null(diag_attribute(m.socket, m.length, INET_DIAG_MARK, 4, false));
}
END_TEST

START_TEST(of_two_the_first_counts)
{
        diag_message_put_cgroup(&m, CGROUP);
        diag_message_put_cgroup(&m, 1);
        ck_assert(cgroup() == CGROUP);
}
END_TEST

/* Every value of the two bytes of nla_len, with every length of the message. */
START_TEST(no_length_reads_past_the_end)
{
        for (unsigned nla_len = 0; nla_len < 40; nla_len++)
                for (size_t size = 0; size <= 24; size++) {
                        uint32_t drops;

                        tear_down();
                        set_up();
                        diag_message_put_raw(&m, INET_DIAG_CGROUP_ID, nla_len, NULL, 0);
                        diag_message_resize(&m, sizeof(*m.socket) + size);
                        ck_assert_msg((cgroup() != 0) == (nla_len == 12 && size >= 12), "nla_len %u, %zu bytes",
                                      nla_len, size);
                        diag_drops(m.socket, m.length, &drops);
                }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, tear_down);
        tcase_add_test(tcase, without_attributes_nothing_is_known);
        tcase_add_test(tcase, each_is_found_among_others);
        tcase_add_test(tcase, flags_of_the_type_are_left_out);
        tcase_add_test(tcase, only_the_expected_length_counts);
        tcase_add_test(tcase, drops_may_have_company_to_come);
        tcase_add_test(tcase, a_receive_buffer_and_its_share);
        tcase_add_test(tcase, no_drops_is_known_to_be_none);
        tcase_add_test(tcase, truncated_attributes);
        tcase_add_test(tcase, impossible_lengths_end_the_search);
        tcase_add_test(tcase, past_the_end_by_one);
        tcase_add_test(tcase, no_padding_at_the_end);
        tcase_add_test(tcase, of_two_the_first_counts);
        tcase_add_test(tcase, no_length_reads_past_the_end);
}

int main(void)
{
        return run_suite("diag", add);
}
