/* SPDX-License-Identifier: MIT */
#include "lib/util/utf8.h"

#include <stdbool.h>

#include "lib/util/macro.h"

static bool is_character(unsigned code)
{
        return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && (code < 0xfdd0 || code > 0xfdef) &&
               (code & 0xfffe) != 0xfffe;
}

size_t utf8_take(const char *text, unsigned *ret_code)
{
        static const struct {
                unsigned char mask, lead;
                unsigned least;
        } rows[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
        const unsigned char *p = (const unsigned char *)text;

        for (unsigned n = 0; n < ELEMENTSOF(rows); n++) {
                unsigned code = p[0] & (unsigned char)~rows[n].mask;

                if ((p[0] & rows[n].mask) != rows[n].lead)
                        continue;
                for (unsigned i = 1; i <= n; i++) {
                        if ((p[i] & 0xc0) != 0x80)
                                return 0;
                        code = code << 6 | (p[i] & 0x3f);
                }
                *ret_code = code;
                return code >= rows[n].least && is_character(code) ? n + 1 : 0;
        }
        return 0;
}
