/* SPDX-License-Identifier: MIT */
#include "lib/util/safe.h"

#include <stdbool.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/utf8.h"

#define CUT "..."
#define ESCAPED 4 /* "\xNN" */
#define ESCAPED_MAX (ESCAPED * UTF8_MAX + 1)

static bool is_name_byte(unsigned char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c != 0 && strchr(":_.\\@-/", c));
}

/* True for control characters except tab, for characters that have no width or move others (UAX #9), and for U+00A0
 * and U+202F, which only look like a blank. */
static bool is_control(unsigned code)
{
        static const struct {
                unsigned first, last;
        } hidden[] = {{0, 0x08},        {0x0a, 0x1f},     {0x7f, 0xa0},     {0x61c, 0x61c},
                      {0x200b, 0x200f}, {0x2028, 0x202f}, {0x2060, 0x206f}, {0xfeff, 0xfeff}};

        for (unsigned i = 0; i < ELEMENTSOF(hidden); i++)
                if (code >= hidden[i].first && code <= hidden[i].last)
                        return true;
        return false;
}

static char *put_escaped(char *p, char byte)
{
        return p + sprintf(p, "\\x%02x", (unsigned char)byte);
}

char *safe_name(const char *name, char *ret, size_t size)
{
        char *p = ret, *end = ret + size - 1;

        for (; *name; name++) {
                bool keep = is_name_byte((unsigned char)*name);

                if (end - p < (keep ? 1 : ESCAPED))
                        break;
                if (keep)
                        *p++ = *name;
                else
                        p = put_escaped(p, *name);
        }
        *p = 0;
        return ret;
}

/* Takes one character of *text, and writes it, or its bytes escaped, to buf. Returns how many bytes were written. */
static size_t take_character(const char **text, char buf[static ESCAPED_MAX])
{
        unsigned code;
        size_t n = utf8_take(*text, &code);
        char *p = buf;

        if (n > 0 && !is_control(code)) {
                memcpy(buf, *text, n);
                *text += n;
                return n;
        }
        for (n += n == 0; n > 0; n--)
                p = put_escaped(p, *(*text)++);
        return (size_t)(p - buf);
}

char *safe_text(const char *text, char *ret, size_t size)
{
        size_t at = 0, fits = 0; /* fits: the last `at` that leaves room for CUT */

        while (*text) {
                char buf[ESCAPED_MAX];
                size_t n = take_character(&text, buf);

                if (at + n >= size) {
                        memcpy(ret + fits, CUT, sizeof(CUT));
                        return ret;
                }
                memcpy(ret + at, buf, n);
                at += n;
                if (at + sizeof(CUT) <= size)
                        fits = at;
        }
        ret[at] = 0;
        return ret;
}

/* Prints text, escaped as by safe_text(), with a backslash before each character of the string `also`. */
static void print(const char *text, const char *also, FILE *f)
{
        while (*text) {
                char buf[ESCAPED_MAX];
                bool special = strchr(also, *text) != NULL;
                size_t n = take_character(&text, buf);

                if (special)
                        fputc('\\', f);
                fwrite(buf, 1, n, f);
        }
}

void safe_print(const char *text, FILE *f)
{
        print(text, "", f);
}

void safe_print_quoted(const char *text, FILE *f)
{
        fputc('"', f);
        print(text, "\"\\", f);
        fputc('"', f);
}
