/* SPDX-License-Identifier: MIT */
#include "lib/util/units.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"

#define DIGITS "0123456789"
#define SCALES_MAX 4u
#define NUMBER_MAX 31u  /* characters */
#define DECIMALS_MAX 60 /* more than any number of so few characters needs, even in hours */

static const struct {
        const char *suffix; /* in output */
        struct scale {
                const char *suffix;
                int exponent; /* of 10 */
                double factor;
        } scale[SCALES_MAX];
} unit_table[] = {
        [UNIT_COUNT] = {"", {{"", 0, 1}, {"k", 3, 1}, {"M", 6, 1}}},
        [UNIT_PERCENT] = {"%", {{"%", 0, 1}}},
        [UNIT_PER_SECOND] = {"/s", {{"/s", 0, 1}, {"k/s", 3, 1}, {"M/s", 6, 1}}},
        [UNIT_PER_MINUTE] = {"/min", {{"/min", 0, 1}, {"k/min", 3, 1}, {"M/min", 6, 1}}},
        [UNIT_SECONDS] = {"s", {{"ms", -3, 1}, {"s", 0, 1}, {"min", 0, 60}, {"h", 0, 3600}}},
        [UNIT_BYTES] = {"B", {{"B", 0, 1}, {"kB", 3, 1}, {"MB", 6, 1}, {"GB", 9, 1}}},
        [UNIT_NANOSECONDS] = {"ns", {{"ms", 6, 1}, {"s", 9, 1}, {"min", 9, 60}, {"h", 9, 3600}}},
        [UNIT_FACTOR] = {"", {{"", 0, 1}}},
        [UNIT_MULTIPLE] = {"x", {{"x", 0, 1}}},
};

const char *unit_suffix(enum unit unit)
{
        assert(unit < ELEMENTSOF(unit_table));
        return unit_table[unit].suffix;
}

const char *number_parse(const char *text, uint64_t *ret)
{
        unsigned long long number;
        char *end;

        if (!isdigit((unsigned char)*text))
                return NULL;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (errno != 0)
                return NULL;
        *ret = number;
        return end;
}

int whole_number_parse(const char *text, uint64_t *ret)
{
        uint64_t number;
        const char *end = number_parse(text, &number);

        if (!end || *end)
                return -EINVAL;
        *ret = number;
        return 0;
}

/* strtod() alone would take "inf", "0x10" and " 1". It gets the scale as an exponent: 16.1e3 is 16100, and 16.1 * 1000
 * is not. */
int number_with_unit_parse(const char *text, enum unit unit, double *ret)
{
        const struct scale *scale = unit_table[unit].scale;
        char number[NUMBER_MAX + sizeof("e-3")];
        size_t n = strspn(text, DIGITS);

        assert(unit < ELEMENTSOF(unit_table));
        if (n > 0 && text[n] == '.')
                n += 1 + strspn(text + n + 1, DIGITS);
        if (n == 0 || text[n - 1] == '.' || n > NUMBER_MAX)
                return -EINVAL;

        for (unsigned i = 0; i < SCALES_MAX && scale[i].suffix; i++)
                if (strcmp(scale[i].suffix, text + n) == 0) {
                        snprintf(number, sizeof(number), "%.*se%d", (int)n, text, scale[i].exponent);
                        *ret = strtod(number, NULL) * scale[i].factor;
                        return 0;
                }
        return -EDOM;
}

const char *number_format(double number, char buf[static NUMBER_TEXT_MAX])
{
        int decimals = 0;

        do
                snprintf(buf, NUMBER_TEXT_MAX, "%.*f", decimals, number);
        while (strtod(buf, NULL) != number && decimals++ < DECIMALS_MAX);
        return buf;
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
        double ns;
        int r = number_with_unit_parse(text, UNIT_NANOSECONDS, &ns);

        if (r < 0)
                return r;
        if (ns > 365.0 * 86400 * 1e9)
                return -ERANGE;
        *ret_ns = (uint64_t)(ns + 0.5);
        return 0;
}

const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX])
{
        static const struct {
                uint64_t ns;
                const char *unit;
        } rows[] = {
                {3600 * NSEC_PER_SEC, "h"}, {60 * NSEC_PER_SEC, "min"}, {NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}};
        unsigned i = ns > 0 ? 0 : 2; /* 0 becomes "0s" */
        char number[NUMBER_TEXT_MAX];

        while (i + 1 < ELEMENTSOF(rows) && ns % rows[i].ns != 0)
                i++;
        snprintf(buf, DURATION_TEXT_MAX, "%s%s", number_format((double)ns / (double)rows[i].ns, number), rows[i].unit);
        return buf;
}
