/* SPDX-License-Identifier: MIT */
#include "lib/apply/ledger.h"

#include <errno.h>
#include <string.h>

#include "lib/util/macro.h"
#include "random.h"
#include "run.h"

#define HEADER "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\n"
#define REUSE "net.ipv4.tcp_tw_reuse\theld\t2\t1\ttime-wait-reuse\t123456789\n"
#define STEP "net.ipv4.tcp_tw_reuse\theld\t2\t0\tsteps\t123456790\t1\n"
#define LEFT "changes\t10999\t123456790\n"
#define RANGE "net.ipv4.ip_local_port_range\treleased\t32768 60999\t32768 65535\twide\t5\n"

static const struct ledger_owner owner = {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 4026531840};

/* A ledger that is easily told from what a parser would make. */
static void poison(struct ledger *ledger)
{
        memset(ledger, 0x5a, sizeof(*ledger));
}

static bool is_poison(const struct ledger *ledger)
{
        struct ledger other;

        poison(&other);
        return memcmp(ledger, &other, sizeof(other)) == 0;
}

static void expect_same(const struct ledger *a, const struct ledger *b, uint64_t seed)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *x = &a->entry[id], *y = &b->entry[id];

                ck_assert_msg(x->state == y->state, "state of %u, seed %" PRIu64, id, seed);
                if (x->state == LEDGER_NONE)
                        continue;
                ck_assert_msg(sysctl_equal(&x->original, &y->original), "original of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(sysctl_equal(&x->written, &y->written), "written of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(sysctl_equal(&x->before, &y->before), "before of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(strcmp(x->rule, y->rule) == 0, "rule of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(x->at == y->at, "time of %u, seed %" PRIu64, id, seed);
        }
        ck_assert_msg(a->changes.left == b->changes.left && a->changes.at == b->changes.at, "changes, seed %" PRIu64,
                      seed);
}

static void expect_well_formed(const struct ledger *ledger, const char *what, size_t at)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *e = &ledger->entry[id];

                ck_assert_msg((unsigned)e->state <= LEDGER_FOREIGN, "%s at %zu: state of %u", what, at, id);
                ck_assert_msg(memchr(e->rule, 0, sizeof(e->rule)), "%s at %zu: rule of %u", what, at, id);
                ck_assert_msg(e->state == LEDGER_NONE ||
                                      (e->original.n == sysctl_table[id].n && e->written.n == sysctl_table[id].n),
                              "%s at %zu: values of %u", what, at, id);
                ck_assert_msg(e->before.n == 0 || e->before.n == sysctl_table[id].n, "%s at %zu: before of %u", what,
                              at, id);
        }
}

static struct sysctl_value random_value(struct random *random, unsigned n)
{
        struct sysctl_value value = {.n = n};

        for (unsigned i = 0; i < n; i++)
                value.v[i] = (int64_t)(random_next(random) >> random_below(random, 64));
        return value;
}

static void random_ledger(struct random *random, struct ledger *ledger)
{
        memset(ledger, 0, sizeof(*ledger));
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                struct ledger_entry *e = &ledger->entry[id];

                if (sysctl_table[id].n == 0)
                        continue;
                e->state = random_below(random, LEDGER_FOREIGN + 1);
                e->original = random_value(random, sysctl_table[id].n);
                e->written = random_value(random, sysctl_table[id].n);
                if (random_below(random, 2))
                        e->before = random_value(random, sysctl_table[id].n);
                e->at = random_next(random) >> random_below(random, 64);
                for (unsigned i = random_below(random, RULE_NAME_MAX); i > 0; i--)
                        e->rule[i - 1] = "abcdefghijklmnopqrstuvwxyz0123456789-_"[random_below(random, 38)];
        }
        ledger->changes.at = random_below(random, 3) ? random_next(random) >> random_below(random, 64) : 0;
        if (ledger->changes.at != 0)
                ledger->changes.left = random_next(random) >> random_below(random, 64);
}

START_TEST(random_ledgers_come_back)
{
        struct random random = random_start();

        for (unsigned i = 0; i < 2000; i++) {
                struct ledger ledger, back;
                char text[LEDGER_TEXT_MAX];
                size_t n;

                random_ledger(&random, &ledger);
                n = ledger_format(&ledger, &owner, text);
                poison(&back);
                ck_assert_msg(n == strlen(text), "length %zu, seed %" PRIu64, n, random.seed);
                ck_assert_msg(ledger_parse(text, &owner, &back) == 0, "seed %" PRIu64, random.seed);
                expect_same(&ledger, &back, random.seed);
        }
}
END_TEST

START_TEST(largest_ledger_fits)
{
        struct ledger ledger = {0}, back;
        struct ledger_owner long_owner = {.netns_cookie = UINT64_MAX};
        char text[LEDGER_TEXT_MAX];

        memset(long_owner.boot_id, 'b', sizeof(long_owner.boot_id) - 1);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                struct ledger_entry *e = &ledger.entry[id];

                if (sysctl_table[id].n == 0)
                        continue;
                e->state = LEDGER_RELEASED;
                e->original = (struct sysctl_value){sysctl_table[id].n, {INT64_MIN, INT64_MIN}};
                e->written = e->before = e->original;
                memset(e->rule, 'r', sizeof(e->rule) - 1);
                e->at = UINT64_MAX;
        }
        ledger.changes = (struct ledger_changes){UINT64_MAX, UINT64_MAX};
        ck_assert_uint_lt(ledger_format(&ledger, &long_owner, text), sizeof(text));
        ck_assert_int_eq(ledger_parse(text, &long_owner, &back), 0);
        expect_same(&ledger, &back, 0);
}
END_TEST

START_TEST(text_is_as_documented)
{
        struct ledger ledger = {0};
        char text[LEDGER_TEXT_MAX];

        ledger_format(&ledger, &owner, text);
        ck_assert_str_eq(text, HEADER "end\n");
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(1), "time-wait-reuse", 123456789);
        ck_assert_uint_eq(ledger_format(&ledger, &owner, text), strlen(HEADER REUSE "end\n"));
        ck_assert_str_eq(text, HEADER REUSE "end\n");
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(0), "steps", 123456790);
        ledger_format(&ledger, &owner, text);
        ck_assert_str_eq(text, HEADER STEP "end\n");
        ledger.changes = (struct ledger_changes){10999, 123456790};
        ledger_format(&ledger, &owner, text);
        ck_assert_str_eq(text, HEADER STEP LEFT "end\n");
}
END_TEST

START_TEST(text_is_read)
{
        struct ledger ledger;
        const struct ledger_entry *reuse = &ledger.entry[SYSCTL_TCP_TW_REUSE];
        const struct ledger_entry *range = &ledger.entry[SYSCTL_IP_LOCAL_PORT_RANGE];

        ck_assert_int_eq(ledger_parse(HEADER RANGE REUSE "end\n", &owner, &ledger), 0);
        expect_well_formed(&ledger, "whole", 0);
        ck_assert(reuse->state == LEDGER_HELD && range->state == LEDGER_RELEASED);
        ck_assert(reuse->original.v[0] == 2 && reuse->written.v[0] == 1 && reuse->at == 123456789);
        ck_assert(range->original.v[1] == 60999 && range->written.v[1] == 65535 && range->at == 5);
        ck_assert_str_eq(reuse->rule, "time-wait-reuse");
        ck_assert_int_eq(ledger.entry[SYSCTL_TCP_FIN_TIMEOUT].state, LEDGER_NONE);
        ck_assert_uint_eq(reuse->before.n, 0);
        ck_assert_int_eq(ledger_parse(HEADER STEP "end\n", &owner, &ledger), 0);
        ck_assert(reuse->before.n == 1 && reuse->before.v[0] == 1);
        ck_assert(ledger.changes.left == 0 && ledger.changes.at == 0);
        ck_assert_int_eq(ledger_parse(HEADER STEP LEFT "end\n", &owner, &ledger), 0);
        ck_assert(ledger.changes.left == 10999 && ledger.changes.at == 123456790);
}
END_TEST

/* The original, what was written last, and of a further step what was written before it. */
START_TEST(what_is_ours)
{
        struct ledger ledger = {0};
        const struct ledger_entry *e = &ledger.entry[SYSCTL_TCP_FIN_TIMEOUT];
        static const int64_t values[] = {60, 30, 15, 10, 0};
        static const bool expected[][ELEMENTSOF(values)] = {
                {true, true, false, false, false}, {true, true, true, false, false}, {true, false, true, true, false}};

        for (unsigned step = 0; step < ELEMENTSOF(expected); step++) {
                ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(60), &SYSCTL_VALUE(values[step + 1]), "r",
                            1);
                for (unsigned i = 0; i < ELEMENTSOF(values); i++)
                        ck_assert_msg(ledger_is_ours(e, &SYSCTL_VALUE(values[i])) == expected[step][i],
                                      "step %u, value %u", step, i);
        }
        ledger.entry[SYSCTL_TCP_FIN_TIMEOUT].state = LEDGER_RELEASED; /* the next first step knows of no other */
        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(60), &SYSCTL_VALUE(30), "r", 1);
        ck_assert(!ledger_is_ours(e, &SYSCTL_VALUE(10)));
}
END_TEST

START_TEST(every_truncation_is_refused)
{
        const char whole[] = HEADER STEP RANGE LEFT "end\n";
        char text[sizeof(whole)];

        for (size_t n = 0; n < strlen(whole); n++) {
                struct ledger ledger;

                memcpy(text, whole, n);
                text[n] = 0;
                poison(&ledger);
                ck_assert_msg(ledger_parse(text, &owner, &ledger) == -EBADMSG, "cut at %zu", n);
                ck_assert_msg(is_poison(&ledger), "cut at %zu: changed", n);
        }
}
END_TEST

START_TEST(every_truncation_of_random_ledgers_is_refused)
{
        struct random random = random_start();
        struct ledger ledger, back;
        char text[LEDGER_TEXT_MAX];

        for (unsigned i = 0; i < 5; i++) {
                random_ledger(&random, &ledger);
                for (size_t n = ledger_format(&ledger, &owner, text); n > 0; n--) {
                        text[n - 1] = 0;
                        ck_assert_msg(ledger_parse(text, &owner, &back) == -EBADMSG, "cut at %zu, seed %" PRIu64,
                                      n - 1, random.seed);
                }
        }
}
END_TEST

/* Each byte, in turn replaced by each other byte: refused, or a value that nothing falls over. */
START_TEST(every_corruption_is_survived)
{
        char text[] = HEADER STEP RANGE LEFT "end\n";

        for (size_t at = 0; at < strlen(HEADER STEP RANGE LEFT "end\n"); at++) {
                char right = text[at];

                for (unsigned c = 0; c < 256; c++) {
                        struct ledger ledger;
                        int r;

                        text[at] = (char)c;
                        poison(&ledger);
                        r = ledger_parse(text, &owner, &ledger);
                        ck_assert_msg(r == 0 || r == -EBADMSG || r == -ESTALE, "byte %u at %zu: %d", c, at, r);
                        ck_assert_msg(r == 0 || is_poison(&ledger), "byte %u at %zu: changed", c, at);
                        ck_assert_msg(r < 0 || at >= strlen(HEADER) || (char)c == right,
                                      "byte %u at %zu: the header is taken", c, at);
                        ck_assert_msg(r < 0 || c != 0, "NUL at %zu is taken", at);
                        if (r == 0)
                                expect_well_formed(&ledger, "corrupted", at);
                }
                text[at] = right;
        }
}
END_TEST

static const struct refused {
        const char *row, *text;
} refused[] = {
        {"empty", ""},
        {"a newline", "\n"},
        {"no header", "end\n"},
        {"only a header", HEADER},
        {"no end", HEADER REUSE},
        {"end without a newline", HEADER REUSE "end"},
        {"text after the end", HEADER REUSE "end\n\n"},
        {"a line after the end", HEADER "end\n" REUSE},
        {"two ends", HEADER "end\nend\n"},
        {"an empty line", HEADER "\n" REUSE "end\n"},
        {"another version", "twtuned-ledger 2 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\nend\n"},
        {"version 10", "twtuned-ledger 10 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\nend\n"},
        {"CRLF", "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\nend\r\n"},
        {"byte order mark", "\xef\xbb\xbf" HEADER "end\n"},
        {"unknown sysctl", HEADER "net.ipv4.tcp_tw_reus\theld\t2\t1\tr\t1\nend\n"},
        {"unknown state", HEADER "net.ipv4.tcp_tw_reuse\tkept\t2\t1\tr\t1\nend\n"},
        {"no state", HEADER "net.ipv4.tcp_tw_reuse\t\t2\t1\tr\t1\nend\n"},
        {"no original", HEADER "net.ipv4.tcp_tw_reuse\theld\t\t1\tr\t1\nend\n"},
        {"no written value", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t\tr\t1\nend\n"},
        {"half a pair", HEADER "net.ipv4.ip_local_port_range\theld\t32768\t32768 65535\tr\t1\nend\n"},
        {"a pair for a number", HEADER "net.ipv4.tcp_tw_reuse\theld\t2 2\t1\tr\t1\nend\n"},
        {"a list", HEADER "net.ipv4.ip_local_reserved_ports\theld\t8080\t8081\tr\t1\nend\n"},
        {"no time", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t\nend\n"},
        {"no number as time", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\tsoon\nend\n"},
        {"time with a unit", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1s\nend\n"},
        {"negative time", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t-1\nend\n"},
        {"time over 64 bits", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t18446744073709551616\nend\n"},
        {"five fields", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\nend\n"},
        {"half a pair before", HEADER "net.ipv4.ip_local_port_range\theld\t1 2\t1 4\tr\t1\t1\nend\n"},
        {"no number before", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\tx\nend\n"},
        {"eight fields", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t1\t1\nend\n"},
        {"seven fields", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t\nend\n"},
        {"blanks for tabs", HEADER "net.ipv4.tcp_tw_reuse held 2 1 r 1\nend\n"},
        {"a rule's name of 40", HEADER "net.ipv4.tcp_tw_reuse\theld\t2\t1\t"
                                       "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\t1\nend\n"},
        {"changes twice", HEADER LEFT LEFT "end\n"},
        {"changes without a time", HEADER "changes\t10999\nend\n"},
        {"changes at no time", HEADER "changes\t10999\t0\nend\n"},
        {"changes that are no number", HEADER "changes\tx\t5\nend\n"},
        {"half a change", HEADER "changes\t0.5\t5\nend\n"},
        {"changes with a rule", HEADER "changes\t10999\t5\tr\nend\n"},
        {"one sysctl twice", HEADER REUSE "net.ipv4.tcp_tw_reuse\theld\t1\t1\tr\t2\nend\n"},
};

START_TEST(garbage_is_refused)
{
        struct ledger ledger;
        int r;

        poison(&ledger);
        r = ledger_parse(refused[_i].text, &owner, &ledger);
        ck_assert_msg(r == -EBADMSG, "%s: %d", refused[_i].row, r);
        ck_assert_msg(is_poison(&ledger), "%s: changed", refused[_i].row);
}
END_TEST

START_TEST(longer_than_any_ledger_is_refused)
{
        static char text[2 * LEDGER_TEXT_MAX];
        struct ledger ledger;

        for (size_t n = LEDGER_TEXT_MAX - 2; n <= LEDGER_TEXT_MAX + 2; n++) {
                memset(text, 'x', n);
                text[n] = 0;
                ck_assert_int_eq(ledger_parse(text, &owner, &ledger), -EBADMSG);
                memcpy(text, HEADER, strlen(HEADER));
                memcpy(text + n - 5, "\nend\n", 5);
                ck_assert_int_eq(ledger_parse(text, &owner, &ledger), -EBADMSG);
        }
}
END_TEST

START_TEST(other_boot_or_netns_is_stale)
{
        static const struct ledger_owner others[] = {
                {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6e", 4026531840},
                {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6", 4026531840},
                {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 4026531841},
                {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 402653184},
                {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 0},
                {"", 4026531840},
        };

        for (unsigned i = 0; i < ELEMENTSOF(others); i++) {
                struct ledger ledger;

                poison(&ledger);
                ck_assert_msg(ledger_parse(HEADER REUSE "end\n", &others[i], &ledger) == -ESTALE, "row %u", i);
                ck_assert_msg(is_poison(&ledger), "row %u: changed", i);
        }
}
END_TEST

START_TEST(first_note_keeps_the_original)
{
        struct ledger ledger = {0};
        struct ledger_entry *e = &ledger.entry[SYSCTL_TCP_FIN_TIMEOUT];

        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(60), &SYSCTL_VALUE(30), "first", 100);
        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(30), &SYSCTL_VALUE(20), "second", 200);
        ck_assert(e->state == LEDGER_HELD && e->original.v[0] == 60 && e->written.v[0] == 20 && e->at == 200);
        ck_assert_str_eq(e->rule, "second");

        e->state = LEDGER_RELEASED;
        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(50), &SYSCTL_VALUE(20), "third", 300);
        ck_assert(e->state == LEDGER_HELD && e->original.v[0] == 50);
        e->state = LEDGER_FOREIGN;
        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(40), &SYSCTL_VALUE(20), "fourth", 400);
        ck_assert(e->state == LEDGER_HELD && e->original.v[0] == 40);
}
END_TEST

START_TEST(long_rule_name_is_cut)
{
        struct ledger ledger = {0};
        char name[200];

        memset(name, 'r', sizeof(name) - 1);
        name[sizeof(name) - 1] = 0;
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(1), name, 1);
        ck_assert_uint_eq(strlen(ledger.entry[SYSCTL_TCP_TW_REUSE].rule), RULE_NAME_MAX - 1);
}
END_TEST

/* Written in any order, at one and the same time: put back in reverse. */
START_TEST(last_held_is_the_last_written)
{
        static const enum sysctl_id order[] = {SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_TCP_TW_REUSE, SYSCTL_SOMAXCONN,
                                               SYSCTL_TCP_TW_REUSE_DELAY};
        struct ledger ledger = {0};

        ck_assert_int_eq(ledger_last_held(&ledger, 0), SYSCTL_COUNT);
        for (unsigned i = 0; i < ELEMENTSOF(order); i++)
                ledger_note(&ledger, order[i], &SYSCTL_VALUE(1), &SYSCTL_VALUE(2), "r", 1000);
        for (unsigned i = ELEMENTSOF(order); i-- > 0;) {
                ck_assert_int_eq(ledger_last_held(&ledger, 0), order[i]);
                ledger.entry[order[i]].state = i % 2 ? LEDGER_RELEASED : LEDGER_FOREIGN;
        }
        ck_assert_int_eq(ledger_last_held(&ledger, 0), SYSCTL_COUNT);
}
END_TEST

START_TEST(last_held_leaves_out_the_excepted)
{
        struct ledger ledger = {0};
        uint32_t reuse = UINT32_C(1) << SYSCTL_TCP_TW_REUSE, all = UINT32_MAX;

        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(1), "r", 2000);
        ledger_note(&ledger, SYSCTL_TCP_FIN_TIMEOUT, &SYSCTL_VALUE(60), &SYSCTL_VALUE(30), "r", 1000);
        ck_assert_int_eq(ledger_last_held(&ledger, 0), SYSCTL_TCP_FIN_TIMEOUT); /* noted later, so newer */
        ck_assert_int_eq(ledger_last_held(&ledger, reuse), SYSCTL_TCP_FIN_TIMEOUT);
        ck_assert_int_eq(ledger_last_held(&ledger, UINT32_C(1) << SYSCTL_TCP_FIN_TIMEOUT), SYSCTL_TCP_TW_REUSE);
        ck_assert_int_eq(ledger_last_held(&ledger, all), SYSCTL_COUNT);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, random_ledgers_come_back);
        tcase_add_test(tcase, largest_ledger_fits);
        tcase_add_test(tcase, text_is_as_documented);
        tcase_add_test(tcase, text_is_read);
        tcase_add_test(tcase, what_is_ours);
        tcase_add_test(tcase, every_truncation_is_refused);
        tcase_add_test(tcase, every_truncation_of_random_ledgers_is_refused);
        tcase_add_test(tcase, every_corruption_is_survived);
        tcase_add_loop_test(tcase, garbage_is_refused, 0, ELEMENTSOF(refused));
        tcase_add_test(tcase, longer_than_any_ledger_is_refused);
        tcase_add_test(tcase, other_boot_or_netns_is_stale);
        tcase_add_test(tcase, first_note_keeps_the_original);
        tcase_add_test(tcase, long_rule_name_is_cut);
        tcase_add_test(tcase, last_held_is_the_last_written);
        tcase_add_test(tcase, last_held_leaves_out_the_excepted);
}

int main(void)
{
        return run_suite("ledger", add);
}
