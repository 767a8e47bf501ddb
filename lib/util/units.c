/* SPDX-License-Identifier: MIT */
#include "lib/util/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"

#define DIGITS "0123456789"

struct scale {
        const char *suffix;
        double factor;
};

static const struct scale time_scales[] = {{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}, {NULL, 0}};
static const struct scale count_scales[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {NULL, 0}};
static const struct scale rate_scales[] = {{"/s", 1}, {"k/s", 1e3}, {"M/s", 1e6}, {NULL, 0}};
static const struct scale minute_scales[] = {{"/min", 1}, {"k/min", 1e3}, {"M/min", 1e6}, {NULL, 0}};
static const struct scale byte_scales[] = {{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {NULL, 0}};
static const struct scale percent_scales[] = {{"%", 1}, {NULL, 0}};
static const struct scale multiple_scales[] = {{"x", 1}, {NULL, 0}};
static const struct scale factor_scales[] = {{"", 1}, {NULL, 0}};

/* Digits, at most one point between them, a suffix; strtod() alone would take "inf", "0x10" and " 1". */
static int scaled_parse(const char *text, const struct scale *scales, double *ret)
{
        char number[32];
        size_t n = strspn(text, DIGITS);

        if (n > 0 && text[n] == '.')
                n += 1 + strspn(text + n + 1, DIGITS);
        if (n == 0 || text[n - 1] == '.' || n >= sizeof(number))
                return -EINVAL;

        memcpy(number, text, n);
        number[n] = 0;
        for (; scales->suffix; scales++)
                if (strcmp(scales->suffix, text + n) == 0) {
                        *ret = strtod(number, NULL) * scales->factor;
                        return 0;
                }
        return -EDOM;
}

int number_with_unit_parse(const char *text, enum unit unit, double *ret)
{
        static const struct scale *const scales[] = {
                [UNIT_COUNT] = count_scales,       [UNIT_PERCENT] = percent_scales, [UNIT_PER_SECOND] = rate_scales,
                [UNIT_PER_MINUTE] = minute_scales, [UNIT_SECONDS] = time_scales,    [UNIT_BYTES] = byte_scales,
        };

        return scaled_parse(text, scales[unit], ret);
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
        double seconds;
        int r = scaled_parse(text, time_scales, &seconds);

        if (r < 0)
                return r;
        if (seconds > 365.0 * 86400)
                return -ERANGE;
        *ret_ns = (uint64_t)(seconds * 1e9 + 0.5);
        return 0;
}

const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX])
{
        static const struct {
                uint64_t ns;
                const char *unit;
        } rows[] = {
                {3600 * NSEC_PER_SEC, "h"}, {60 * NSEC_PER_SEC, "min"}, {NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}};
        unsigned i = ns > 0 ? 0 : 2; /* nothing is 0s */

        while (i + 1 < ELEMENTSOF(rows) && ns % rows[i].ns != 0)
                i++;
        snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "%s", ns / rows[i].ns, rows[i].unit);
        return buf;
}

int factor_parse(const char *text, double *ret)
{
        return scaled_parse(text, factor_scales, ret);
}

int multiple_parse(const char *text, double *ret)
{
        double multiple;

        if (scaled_parse(text, multiple_scales, &multiple) < 0 || multiple <= 0)
                return -EINVAL;
        *ret = multiple;
        return 0;
}
