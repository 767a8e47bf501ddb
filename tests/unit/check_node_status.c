/* SPDX-License-Identifier: MIT */
/* What the supervisor says of its processes. */

#include <signal.h>

#include "daemon/supervisor/node_status.h"
#include "run.h"

#define S UINT64_C(1000000) /* us */

static struct children children;
static struct child child = {.process.pid = 4711};
static struct node_status status;

static const char *said(void)
{
        node_status_update(&status, &children);
        return status.text;
}

static void set_up(void)
{
        LIST_INIT(&children);
        LIST_INSERT_HEAD(&children, &child, link);
}

START_TEST(a_process_that_has_died_acts_no_more)
{
        ck_assert_str_eq(said(), "READY=1\nSTATUS=1 network namespace");
        child_hear(&child, "READY=1\nSTATUS=acting: 1 sysctl held", S);
        ck_assert_str_eq(said(), "READY=1\nSTATUS=1 network namespace: 1 acting");
        process_ended(&child.process, SIGKILL, 2 * S);
        ck_assert_str_eq(said(), "READY=1\nSTATUS=1 network namespace");
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, set_up, NULL);
        tcase_add_test(tcase, a_process_that_has_died_acts_no_more);
}

int main(void)
{
        return run_suite("node_status", add);
}
