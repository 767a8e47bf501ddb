/* SPDX-License-Identifier: MIT */
#include "lib/util/utf8.h"

#include "lib/util/macro.h"

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
                return code < rows[n].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : n + 1;
        }
        return 0;
}
