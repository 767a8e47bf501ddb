/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#define UTF8_MAX 4 /* bytes of a character */

/* Gives the code point of the character at text (RFC 3629). Returns its length in bytes; 0: invalid UTF-8, or a
 * noncharacter such as U+FFFF: sd-bus sends no text with one (systemd, basic/utf8.c:unichar_is_valid). */
size_t utf8_take(const char *text, unsigned *ret_code);
