/* SPDX-License-Identifier: MIT */
/* If the reader of standard error is slow, the log says what is lost, and every later line is whole. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/audit/journal.h"
#include "daemon/audit/json_log.h"
#include "run.h"

#define PAGE 4096

static int reader;
static char heard[1 << 20];

/* Makes stderr a pipe that does not block. */
static void set_up(void)
{
        int fds[2];

        unsetenv("JOURNAL_STREAM");
        ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
        reader = fds[0];
        ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
        setvbuf(stderr, NULL, _IOLBF, 8192); /* as main() */
}

static void fill(void)
{
        static char page[PAGE];

        while (write(STDERR_FILENO, page, sizeof(page)) > 0)
                ;
}

/* Reads all that there is, and returns what comes after the zeros of fill(). */
static const char *drain(void)
{
        size_t n = 0, zeros = 0;
        ssize_t r;

        while ((r = read(reader, heard + n, sizeof(heard) - 1 - n)) > 0)
                n += (size_t)r;
        heard[n] = 0;
        while (zeros < n && heard[zeros] == 0)
                zeros++;
        return heard + zeros;
}

static const struct audit_text *entry(size_t size)
{
        static struct audit_text text;

        text = (struct audit_text){.kind = AUDIT_APPLIED};
        audit_text_add(&text, "MESSAGE", "%0*u", (int)size, 0u);
        audit_text_add(&text, "NETNS", "web");
        return &text;
}

START_TEST(what_is_said_of_lost_entries_names_the_netns)
{
        const char *lost;

        journal_write(entry(1));
        drain();
        fill();
        journal_write(entry(1));
        drain();
        journal_tick();
        lost = drain();
        ck_assert_msg(strstr(lost, " LOST=1") && strstr(lost, " NETNS=web"), "%s", lost);
}
END_TEST

START_TEST(an_object_that_was_cut_spoils_no_other)
{
        const char *line;

        json_log_begin();
        fill();
        ck_assert_int_eq(read(reader, heard, PAGE), PAGE);
        ck_assert_int_lt(json_log_write(entry(2 * PAGE)), 0);
        ck_assert_uint_eq(strlen(drain()), PAGE);
        for (unsigned i = 0; i < 2; i++) {
                ck_assert_int_eq(json_log_write(entry(1)), 0);
                line = drain();
                ck_assert_msg(line[0] == (i == 0 ? '\n' : '{'), "%s", line);
                ck_assert_str_eq(line + strlen(line) - 2, "}\n");
        }
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, what_is_said_of_lost_entries_names_the_netns);
        tcase_add_test(tcase, an_object_that_was_cut_spoils_no_other);
}

int main(void)
{
        return run_suite("journal", add);
}
