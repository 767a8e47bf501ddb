/* SPDX-License-Identifier: MIT */
#include "lib/apply/ledger.h"

#include <errno.h>
#include <string.h>

#include "lib/util/macro.h"
#include "random.h"
#include "run.h"

#define OWNER " 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\n"

/* Version 1, as twtuned 0.1.0 writes it. */
#define HEADER "twtuned-ledger 1" OWNER
#define REUSE "net.ipv4.tcp_tw_reuse\theld\t2\t1\ttime-wait-reuse\t123456789\n"
#define STEP "net.ipv4.tcp_tw_reuse\theld\t2\t0\tsteps\t123456790\t1\n"
#define LEFT "changes\t10999\t123456790\n"
#define RANGE "net.ipv4.ip_local_port_range\treleased\t32768 60999\t32768 65535\twide\t5\n"

#define HEADER2 "twtuned-ledger 2" OWNER
#define REUSE2 "net.ipv4.tcp_tw_reuse\theld\t2\t1\ttime-wait-reuse\t123456789\t-\t-\t0\n"
#define STEP2 "net.ipv4.tcp_tw_reuse\theld\t2\t0\tsteps\t123456790\t1\t-\t0\n"
#define RANGE2 "net.ipv4.ip_local_port_range\treleased\t32768 60999\t32768 65535\twide\t5\t-\t32768 61000\t77\n"

static const struct ledger_owner owner = {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 4026531840, ""};

/* The text with the end that makes it whole; good until the next call. */
static const char *whole(const char *lines)
{
        static char text[2 * LEDGER_TEXT_MAX];

        snprintf(text, sizeof(text), "%send\t%08" PRIx32 "\n", lines, ledger_checksum(lines, strlen(lines)));
        return text;
}

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
                ck_assert_msg(sysctl_equal(&x->file, &y->file) && x->file_unknown == y->file_unknown,
                              "file of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(x->hand_at == y->hand_at, "hand of %u, seed %" PRIu64, id, seed);
                ck_assert_msg(strcmp(x->more, y->more) == 0, "more of %u, seed %" PRIu64, id, seed);
        }
        ck_assert_msg(a->changes.left == b->changes.left && a->changes.at == b->changes.at &&
                              strcmp(a->changes.more, b->changes.more) == 0,
                      "changes, seed %" PRIu64, seed);
        ck_assert_msg(strcmp(a->unknown, b->unknown) == 0, "unknown lines, seed %" PRIu64, seed);
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

                if (sysctl_table[id].never)
                        continue;
                e->state = random_below(random, LEDGER_FOREIGN + 1);
                e->original = random_value(random, sysctl_table[id].n);
                e->written = random_value(random, sysctl_table[id].n);
                if (random_below(random, 2))
                        e->before = random_value(random, sysctl_table[id].n);
                if (random_below(random, 2))
                        e->file = random_value(random, sysctl_table[id].n);
                else
                        e->file_unknown = random_below(random, 2);
                e->at = random_next(random) >> random_below(random, 64);
                e->hand_at = random_next(random) >> random_below(random, 64);
                strcpy(e->more, random_below(random, 2) ? "" : "\tmore\t\t17");
                for (unsigned i = random_below(random, RULE_NAME_MAX); i > 0; i--)
                        e->rule[i - 1] = "abcdefghijklmnopqrstuvwxyz0123456789-_"[random_below(random, 38)];
        }
        ledger->changes.at = random_below(random, 3) ? random_next(random) >> random_below(random, 64) : 0;
        if (ledger->changes.at != 0)
                ledger->changes.left = random_next(random) >> random_below(random, 64);
        strcpy(ledger->changes.more, ledger->changes.at == 0 || random_below(random, 2) ? "" : "\t1");
        strcpy(ledger->unknown, random_below(random, 2) ? "" : "later\t1\n\nlatest\n");
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

                if (sysctl_table[id].never)
                        continue;
                e->state = LEDGER_RELEASED;
                e->original = (struct sysctl_value){sysctl_table[id].n, {INT64_MIN, INT64_MIN}};
                e->written = e->before = e->file = e->original;
                memset(e->rule, 'r', sizeof(e->rule) - 1);
                e->at = e->hand_at = UINT64_MAX;
                memset(e->more, '\t', sizeof(e->more) - 1);
        }
        ledger.changes = (struct ledger_changes){UINT64_MAX, UINT64_MAX, "\t"};
        memset(ledger.unknown, '\n', sizeof(ledger.unknown) - 1);
        memset(long_owner.netns, 1, sizeof(long_owner.netns) - 1);
        ck_assert_uint_lt(ledger_format(&ledger, &long_owner, text), sizeof(text));
        ck_assert_int_eq(ledger_parse(text, &long_owner, &back), 0);
        expect_same(&ledger, &back, 0);
}
END_TEST

static void expect_text(const struct ledger *ledger, const struct ledger_owner *of, const char *lines)
{
        char text[LEDGER_TEXT_MAX];

        ck_assert_uint_eq(ledger_format(ledger, of, text), strlen(whole(lines)));
        ck_assert_str_eq(text, whole(lines));
}

START_TEST(text_is_as_documented)
{
        struct ledger_owner named = owner;
        struct ledger ledger = {0};

        expect_text(&ledger, &owner, HEADER2);
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(1), "time-wait-reuse", 123456789);
        expect_text(&ledger, &owner, HEADER2 REUSE2);
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(0), "steps", 123456790);
        expect_text(&ledger, &owner, HEADER2 STEP2);
        ledger.changes = (struct ledger_changes){10999, 123456790, ""};
        expect_text(&ledger, &owner, HEADER2 STEP2 LEFT);
        strcpy(named.netns, "my web\n\\x");
        expect_text(&ledger, &named, HEADER2 "netns\tmy\\x20web\\x0a\\x5cx\n" STEP2 LEFT);
}
END_TEST

/* The published check value of CRC-32. */
START_TEST(checksum_is_the_known_one)
{
        ck_assert_uint_eq(ledger_checksum("123456789", 9), 0xcbf43926);
}
END_TEST

START_TEST(text_of_version_1_is_read)
{
        struct ledger ledger;
        const struct ledger_entry *reuse = &ledger.entry[SYSCTL_TCP_TW_REUSE];
        const struct ledger_entry *range = &ledger.entry[SYSCTL_IP_LOCAL_PORT_RANGE];

        ck_assert_int_eq(ledger_parse(HEADER RANGE REUSE "end\n", &owner, &ledger), 0);
        ck_assert(reuse->state == LEDGER_HELD && range->state == LEDGER_RELEASED);
        ck_assert(reuse->original.v[0] == 2 && reuse->written.v[0] == 1 && reuse->at == 123456789);
        ck_assert(range->original.v[1] == 60999 && range->written.v[1] == 65535 && range->at == 5);
        ck_assert_str_eq(reuse->rule, "time-wait-reuse");
        ck_assert_int_eq(ledger.entry[SYSCTL_TCP_FIN_TIMEOUT].state, LEDGER_NONE);
        ck_assert_uint_eq(reuse->before.n, 0);
        ck_assert(reuse->file_unknown && reuse->hand_at == 0);
        ck_assert_int_eq(ledger_parse(HEADER STEP "end\n", &owner, &ledger), 0);
        ck_assert(reuse->before.n == 1 && reuse->before.v[0] == 1);
        ck_assert(ledger.changes.left == 0 && ledger.changes.at == 0);
        ck_assert_int_eq(ledger_parse(HEADER STEP LEFT "end\n", &owner, &ledger), 0);
        ck_assert(ledger.changes.left == 10999 && ledger.changes.at == 123456790);
}
END_TEST

START_TEST(text_is_read)
{
        struct ledger ledger;
        const struct ledger_entry *step = &ledger.entry[SYSCTL_TCP_TW_REUSE];
        const struct ledger_entry *range = &ledger.entry[SYSCTL_IP_LOCAL_PORT_RANGE];

        ck_assert_int_eq(ledger_parse(whole(HEADER2 "netns\tweb\n" RANGE2 STEP2 LEFT), &owner, &ledger), 0);
        ck_assert(step->before.v[0] == 1 && step->file.n == 0 && !step->file_unknown && step->hand_at == 0);
        ck_assert(range->before.n == 0 && range->file.v[1] == 61000 && range->hand_at == 77);
        ck_assert_uint_eq(ledger.changes.left, 10999);
        ck_assert_str_eq(ledger.unknown, "");
}
END_TEST

/* What a later twtuned adds to version 2 is not lost where this one writes. */
START_TEST(what_is_unknown_is_kept)
{
        static const char first[] = "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t7\t-\t?\t0";
        char lines[LEDGER_TEXT_MAX];
        struct ledger ledger;

        snprintf(lines, sizeof(lines), HEADER2 "%s\tx\t\ty z\nchanges\t5\t6\t7\n%s\n", first,
                 "net.ipv4.tcp_later\theld\t1\t2\nlater");
        ck_assert_int_eq(ledger_parse(whole(lines), &owner, &ledger), 0);
        expect_text(&ledger, &owner, lines);
        ledger_note(&ledger, SYSCTL_TCP_TW_REUSE, &SYSCTL_VALUE(2), &SYSCTL_VALUE(0), "s", 8);
        ck_assert_str_eq(ledger.entry[SYSCTL_TCP_TW_REUSE].more, "\tx\t\ty z");
}
END_TEST

/* More than there is room for is not thrown away, either: only a later twtuned can have written it. */
START_TEST(what_is_unknown_and_too_long_is_a_later_version)
{
        static const char *const before[] = {"later ", "changes\t5\t6\t",
                                             "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t7\t-\t-\t0\t"};
        static const unsigned room[] = {LEDGER_UNKNOWN_MAX, LEDGER_MORE_MAX, LEDGER_MORE_MAX};
        char lines[LEDGER_TEXT_MAX];
        struct ledger ledger;

        poison(&ledger);
        snprintf(lines, sizeof(lines), HEADER2 "%s%0*d\n", before[_i], (int)room[_i], 1);
        ck_assert_int_eq(ledger_parse(whole(lines), &owner, &ledger), -EPROTONOSUPPORT);
        ck_assert(is_poison(&ledger));
}
END_TEST

START_TEST(later_versions_are_no_garbage)
{
        static const char *const texts[] = {
                "twtuned-ledger 3 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531840\nend\n",
                "twtuned-ledger 10 something else",
                "twtuned-ledger 18446744073709551615 ",
        };
        struct ledger ledger;

        poison(&ledger);
        ck_assert_int_eq(ledger_parse(texts[_i], &owner, &ledger), -EPROTONOSUPPORT);
        ck_assert(is_poison(&ledger));
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

static const char *const goods[] = {HEADER STEP RANGE LEFT "end\n",
                                    HEADER2 "netns\tweb\n" STEP2 RANGE2 LEFT "later\n"};

/* A whole ledger, of version 1 or 2. */
static const char *good(int i)
{
        return i == 0 ? goods[0] : whole(goods[1]);
}

START_TEST(every_truncation_is_refused)
{
        const char *text = good(_i);

        for (size_t n = 0; n < strlen(text); n++) {
                char cut[LEDGER_TEXT_MAX] = "";
                struct ledger ledger;

                memcpy(cut, text, n);
                poison(&ledger);
                ck_assert_msg(ledger_parse(cut, &owner, &ledger) == -EBADMSG, "cut at %zu", n);
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

/* Each byte, in turn replaced by each other byte: no ledger is made of it. */
START_TEST(every_corruption_is_refused)
{
        char text[LEDGER_TEXT_MAX];
        size_t n = strlen(good(1));

        strcpy(text, good(1));
        for (size_t at = 0; at < n; at++) {
                char right = text[at];

                for (unsigned c = 0; c < 256; c++) {
                        struct ledger ledger;
                        int r;

                        text[at] = (char)c;
                        poison(&ledger);
                        r = ledger_parse(text, &owner, &ledger);
                        if (text[at] == right)
                                continue;
                        /* Only a higher version is believed: then nothing is read, and nothing thrown away. */
                        ck_assert_msg(r == (at == strlen("twtuned-ledger ") && c > '2' && c <= '9' ? -EPROTONOSUPPORT
                                                                                                   : -EBADMSG),
                                      "byte %u at %zu: %d", c, at, r);
                        ck_assert_msg(is_poison(&ledger), "byte %u at %zu: changed", c, at);
                }
                text[at] = right;
        }
}
END_TEST

/* Two digits change places, a line is lost, or comes twice. */
START_TEST(lines_that_moved_are_refused)
{
        static const char *const moved[] = {HEADER2 STEP2 STEP2 LEFT, HEADER2 LEFT STEP2, HEADER2 STEP2, HEADER2};
        const char *end = strstr(whole(HEADER2 STEP2 LEFT), "end\t");
        char text[LEDGER_TEXT_MAX];
        struct ledger ledger;

        snprintf(text, sizeof(text), "%s%s", moved[_i], end);
        ck_assert_int_eq(ledger_parse(text, &owner, &ledger), -EBADMSG);
        ck_assert_int_eq(ledger_parse("", &owner, &ledger), -EBADMSG);
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
        {"version 0", "twtuned-ledger 0" OWNER "end\n"},
        {"version 2 without a checksum", HEADER2 REUSE2 "end\n"},
        {"no version", "twtuned-ledger" OWNER "end\n"},
        {"a version over 64 bits", "twtuned-ledger 18446744073709551616" OWNER "end\n"},
        {"version 1 with a checksum", HEADER REUSE "end\t00000000\n"},
        {"an unknown line in version 1", HEADER "later\nend\n"},
        {"another netns of this boot", "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f 4026531841\nend\n"},
        {"a boot id that is none", "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6 4026531840\nend\n"},
        {"a boot id with another letter", "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6g 4026531840\nend\n"},
        {"no cookie", "twtuned-ledger 1 0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6e\nend\n"},
        {"a sysctl that is never written", HEADER "net.ipv4.tcp_timestamps\theld\t0\t1\tr\t1\nend\n"},
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

/* Lines of a whole version 2. */
static const struct refused refused2[] = {
        {"unknown state", "net.ipv4.tcp_tw_reuse\tkept\t2\t1\tr\t1\t-\t-\t0\n"},
        {"no original", "net.ipv4.tcp_tw_reuse\theld\t-\t1\tr\t1\t-\t-\t0\n"},
        {"eight fields", "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t-\t-\n"},
        {"no number before", "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\tx\t-\t0\n"},
        {"unknown before", "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t?\t-\t0\n"},
        {"no number in the file", "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t-\t\t0\n"},
        {"half a pair in the file", "net.ipv4.ip_local_port_range\theld\t1 2\t1 4\tr\t1\t-\t7\t0\n"},
        {"no time of a hand", "net.ipv4.tcp_tw_reuse\theld\t2\t1\tr\t1\t-\t-\t-\n"},
        {"a sysctl that is never written", "net.ipv4.tcp_timestamps\theld\t0\t1\tr\t1\t-\t-\t0\n"},
        {"one sysctl twice", REUSE2 STEP2},
        {"changes twice", LEFT LEFT},
        {"changes without a time", "changes\t10999\n"},
};

START_TEST(garbage_with_a_good_checksum_is_refused)
{
        char lines[LEDGER_TEXT_MAX];
        struct ledger ledger;

        poison(&ledger);
        snprintf(lines, sizeof(lines), HEADER2 "%s", refused2[_i].text);
        ck_assert_msg(ledger_parse(whole(lines), &owner, &ledger) == -EBADMSG, "%s", refused2[_i].row);
        ck_assert_msg(is_poison(&ledger), "%s: changed", refused2[_i].row);
}
END_TEST

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

START_TEST(another_boot_is_stale)
{
        static const struct ledger_owner other = {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6e", 4026531840, ""};
        struct ledger ledger;

        poison(&ledger);
        ck_assert_int_eq(ledger_parse(_i == 0 ? HEADER REUSE "end\n" : whole(HEADER2 REUSE2), &other, &ledger),
                         -ESTALE);
        ck_assert(is_poison(&ledger));
}
END_TEST

START_TEST(another_netns_is_refused)
{
        static const struct ledger_owner other = {"0b5e6c1e-7d0f-4f6a-9d3e-1c2b3a4d5e6f", 402653184, ""};
        struct ledger ledger;

        ck_assert_int_eq(ledger_parse(whole(HEADER2 REUSE2), &other, &ledger), -EBADMSG);
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
        tcase_add_test(tcase, checksum_is_the_known_one);
        tcase_add_test(tcase, text_of_version_1_is_read);
        tcase_add_test(tcase, text_is_read);
        tcase_add_test(tcase, what_is_unknown_is_kept);
        tcase_add_loop_test(tcase, what_is_unknown_and_too_long_is_a_later_version, 0, 3);
        tcase_add_loop_test(tcase, later_versions_are_no_garbage, 0, 3);
        tcase_add_test(tcase, what_is_ours);
        tcase_add_loop_test(tcase, every_truncation_is_refused, 0, ELEMENTSOF(goods));
        tcase_add_test(tcase, every_truncation_of_random_ledgers_is_refused);
        tcase_add_test(tcase, every_corruption_is_refused);
        tcase_add_loop_test(tcase, lines_that_moved_are_refused, 0, 4);
        tcase_add_loop_test(tcase, garbage_is_refused, 0, ELEMENTSOF(refused));
        tcase_add_loop_test(tcase, garbage_with_a_good_checksum_is_refused, 0, ELEMENTSOF(refused2));
        tcase_add_test(tcase, longer_than_any_ledger_is_refused);
        tcase_add_loop_test(tcase, another_boot_is_stale, 0, 2);
        tcase_add_test(tcase, another_netns_is_refused);
        tcase_add_test(tcase, first_note_keeps_the_original);
        tcase_add_test(tcase, long_rule_name_is_cut);
        tcase_add_test(tcase, last_held_is_the_last_written);
        tcase_add_test(tcase, last_held_leaves_out_the_excepted);
}

int main(void)
{
        return run_suite("ledger", add);
}
