/* SPDX-License-Identifier: MIT */
#pragma once

/* The main() of a unit test: one suite with one case, TAP on stdout. */

#include <check.h>
#include <stdlib.h>

/* Runs the tests that add() puts into the case. Each runs in a process of its own, unless CK_FORK=no (for a
 * debugger). Returns the exit status: 0 when all of them pass. */
static inline int run_suite(const char *name, void (*add)(TCase *))
{
        Suite *suite = suite_create(name);
        TCase *tcase = tcase_create(name);
        SRunner *runner;
        int failed;

        tcase_set_timeout(tcase, 600); /* however slow the machine is */
        add(tcase);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
