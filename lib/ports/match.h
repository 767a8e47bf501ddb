/* SPDX-License-Identifier: MIT */
#pragma once

/* The destinations that a rule is for (for-destination). */

#include "lib/ports/table.h"

#define DESTINATION_MATCH_MAX 64

struct destination_match {
        uint32_t address[4]; /* as in struct destination_key */
        unsigned bits;       /* how many of its bits count, 0 to 128 */
        uint16_t port;       /* in network byte order; 0: any */
        char text[DESTINATION_MATCH_MAX];
};

/* Parses ADDRESS, ADDRESS/BITS, ADDRESS:PORT or ADDRESS/BITS:PORT; an IPv6 address before a port is in brackets.
 * Returns 0 or -EINVAL; then ret is as before. */
int destination_match_parse(const char *text, struct destination_match *ret);

bool destination_matches(const struct destination_match *match, const struct destination_key *key);
