/* SPDX-License-Identifier: MIT */
#pragma once

/* Numbers in text, and their units of measure. A function that fails leaves *ret untouched. */

#include <stdint.h>

enum unit {
        UNIT_COUNT,
        UNIT_PERCENT,
        UNIT_PER_SECOND,
        UNIT_PER_MINUTE,
        UNIT_SECONDS,
        UNIT_BYTES,
        /* No metric has these. */
        UNIT_NANOSECONDS, /* "250ms", as a number of ns */
        UNIT_FACTOR,      /* "1.5" */
        UNIT_MULTIPLE,    /* "3x" */
};

/* Returns the unit as it is written after a number, such as "" or "%". */
const char *unit_suffix(enum unit unit);

/* Parses the decimal number that text begins with: digits only, no blank and no sign before them. Returns the text
 * after the number; NULL: there is no number, or it is over UINT64_MAX. */
const char *number_parse(const char *text, uint64_t *ret);

/* Parses a text that is such a number and nothing else. Returns 0 or -EINVAL. */
int whole_number_parse(const char *text, uint64_t *ret);

/* Parses a number with its unit: "16.1k" for a count (exactly 16100), "80%", "0/s", "3k/min", "250ms" for seconds,
 * "2MB". The number is digits with at most one point between them. Returns 0; -EINVAL: invalid number; -EDOM:
 * the unit is missing or not one of this kind. */
int number_with_unit_parse(const char *text, enum unit unit, double *ret);

/* Formats a number that number_with_unit_parse() gave: without an exponent, and with the fewest
 * decimals that read back as the same number. Returns buf. */
#define NUMBER_TEXT_MAX 64
const char *number_format(double number, char buf[static NUMBER_TEXT_MAX]);

/* Parses "250ms", "15s", "2min" or "1h" into ns. Returns 0; -EINVAL: invalid number; -EDOM: invalid unit of time;
 * -ERANGE: over a year. */
int duration_parse(const char *text, uint64_t *ret_ns);

/* Formats ns in the largest unit that keeps it whole, or in ms: "0.5ms", "250ms", "90s", "2min", "1h". Returns buf. */
#define DURATION_TEXT_MAX (NUMBER_TEXT_MAX + 4)
const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX]);
