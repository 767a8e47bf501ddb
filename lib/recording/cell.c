/* SPDX-License-Identifier: MIT */
#include "lib/recording/cell.h"

#include <ctype.h>
#include <float.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

void cell_add(char **p, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        *p += vsprintf(*p, format, args);
        va_end(args);
}

void cell_add_text(char **p, const char *text)
{
        bool quoted = text[strcspn(text, ",\"")] != 0;

        if (quoted)
                *(*p)++ = '"';
        for (; *text; text++) {
                if (*text == '"')
                        *(*p)++ = '"';
                *(*p)++ = iscntrl((unsigned char)*text) ? '?' : *text;
        }
        if (quoted)
                *(*p)++ = '"';
        **p = 0;
}

const char *cell_parse_number(const char *text, double *ret)
{
        const char *p = text + (*text == '-');
        char *end;

        if (!isdigit((unsigned char)*p) && strncmp(p, "inf", 3) != 0)
                return NULL;
        *ret = strtod(text, &end);
        return end[-1] == '.' ? end - 1 : end; /* that dot belongs to LOWER..UPPER */
}

static bool reads_back(const char *text, double value, bool single)
{
        double back = strtod(text, NULL);

        return single ? (float)back == (float)value : back == value;
}

/* Writes the shortest text that reads back as the same number. %g with FLT_DIG or DBL_DIG digits omits zeros at the
 * end, so it finds every shorter text; with FLT_DECIMAL_DIG or DBL_DECIMAL_DIG digits, each number reads back
 * (C17 5.2.4.2.2). */
static void add_shortest(char **p, double value, bool single)
{
        int most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG, digits = single ? FLT_DIG : DBL_DIG;
        int n = sprintf(*p, "%.*g", digits, value);

        while (digits < most && !reads_back(*p, value, single))
                n = sprintf(*p, "%.*g", ++digits, value);
        *p += n;
}

void cell_add_number(char **p, double value)
{
        add_shortest(p, value, false);
}

void cell_add_range(char **p, float lower, float upper)
{
        add_shortest(p, (double)lower, true);
        if (lower < upper || lower > upper) {
                cell_add(p, "..");
                add_shortest(p, (double)upper, true);
        }
}

void cell_add_reading(char **p, const struct reading *r)
{
        bool bounded = r->state == READING_BOUNDED;

        if (r->state == READING_UNAVAILABLE)
                cell_add(p, "-");
        if (!bounded && r->state != READING_VALID)
                return;
        if (bounded)
                cell_add(p, "~");
        cell_add_number(p, r->value);
        if (bounded || r->weight > 0) {
                cell_add(p, bounded ? ".." : "*");
                cell_add_number(p, bounded ? r->upper : r->weight);
        }
}

bool cell_parse_reading(const char *text, struct reading *ret, double *ret_upper)
{
        struct reading r = {.state = *text == '~' ? READING_BOUNDED : READING_VALID};
        const char *p = text + (*text == '~');

        if (!*text || strcmp(text, "-") == 0) {
                *ret = (struct reading){.state = *text ? READING_UNAVAILABLE : READING_INVALID};
                return true;
        }
        p = cell_parse_number(p, &r.value);
        *ret_upper = r.value;
        if (p && r.state == READING_VALID && *p == '*')
                p = cell_parse_number(p + 1, &r.weight);
        else if (p && strncmp(p, "..", 2) == 0)
                p = cell_parse_number(p + 2, ret_upper);
        else if (r.state == READING_BOUNDED)
                return false;
        if (!p || *p)
                return false;
        if (r.state == READING_BOUNDED)
                r.upper = *ret_upper;
        *ret = r;
        return true;
}

void cell_add_time(char **p, uint64_t ns)
{
        cell_add(p, "%" PRIu64 ".%09" PRIu64, ns / NSEC_PER_SEC, ns % NSEC_PER_SEC);
}

bool cell_parse_time(const char *text, uint64_t *ret)
{
        uint64_t seconds, ns;
        const char *point = number_parse(text, &seconds);

        if (!point || point - text > 10 || *point != '.' || strlen(point) != 10 ||
            whole_number_parse(point + 1, &ns) < 0)
                return false;
        *ret = seconds * NSEC_PER_SEC + ns;
        return true;
}

void cell_add_sysctl(char **p, const struct live_sysctl *sysctl)
{
        char text[SYSCTL_TEXT_MAX];

        if (sysctl->state == READING_VALID)
                cell_add(p, "%s", sysctl_format(&sysctl->value, text));
        else if (sysctl->state == READING_UNAVAILABLE)
                cell_add(p, "-");
}

bool cell_parse_sysctl(const char *text, enum sysctl_id id, struct live_sysctl *ret)
{
        struct live_sysctl sysctl = {.state = READING_VALID};

        if (!*text)
                sysctl.state = READING_INVALID;
        else if (strcmp(text, "-") == 0)
                sysctl.state = READING_UNAVAILABLE;
        else if (sysctl_parse(id, text, &sysctl.value) < 0)
                return false;
        *ret = sysctl;
        return true;
}
