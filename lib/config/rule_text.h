/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines of a rule as a person would write them; what is formatted parses back to the same (rule.h). */

#include "lib/config/rule.h"

#define RULE_TEXT_MAX 256
#define DURATION_TEXT_MAX 32

/* "80%", "0/s" */
const char *number_with_unit_format(double number, unsigned metric, const struct counters *counters,
                                    char buf[static DURATION_TEXT_MAX]);

/* In the largest unit that keeps it whole: "250ms", "90s", "2min", "1h". */
const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX]);

/* time_word: what stands before the duration, "for" or "within". */
const char *condition_format(const struct condition *condition, const char *time_word, const struct counters *counters,
                             char buf[static RULE_TEXT_MAX]);
const char *abort_format(const struct abort_condition *abort, const struct counters *counters,
                         char buf[static RULE_TEXT_MAX]);
const char *action_format(const struct action *action, char buf[static RULE_TEXT_MAX]);
