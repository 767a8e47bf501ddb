/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "lib/kernel/metric.h"

/* A number with the unit that a metric asks for: "80%", "0/s", "250ms" for seconds, "10k" for a count. A unit
 * has to be written where the metric has one. 0; -EINVAL: no number; -EDOM: a unit that does not fit. */
int number_with_unit_parse(const char *text, enum unit unit, double *ret);

/* "250ms", "15s", "2min", "1h". 0; -EINVAL: no number; -EDOM: no unit of time; -ERANGE: over a year. */
int duration_parse(const char *text, uint64_t *ret_ns);

/* Formats ns in the largest unit that keeps it whole: "250ms", "90s", "2min", "1h". Returns buf. */
#define DURATION_TEXT_MAX 32
const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX]);

/* "2", "1.5": digits and one point, no unit. 0, -EINVAL or -EDOM. */
int factor_parse(const char *text, double *ret);

/* "3x". The number must be over 0. 0 or -EINVAL. */
int multiple_parse(const char *text, double *ret);
