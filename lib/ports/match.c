/* SPDX-License-Identifier: MIT */
#include "lib/ports/match.h"

#include "lib/ports/table_internal.h"
#include "lib/util/units.h"
#include <errno.h>

static bool parse_part(const char *text, unsigned most, unsigned *ret)
{
        uint64_t number;
        const char *end = number_parse(text, &number);

        if (!end || *end || end - text > 5 || number > most)
                return false;
        *ret = (unsigned)number;
        return true;
}

/* Cuts text into an address and a port, "" for none. Returns false if text has another form. */
static bool split(char *text, char **ret_address, const char **ret_port)
{
        char *end = strchr(text, ']'), *colon = strchr(text, ':');

        *ret_address = text;
        *ret_port = "";
        if (text[0] == '[') {
                if (!end || (end[1] != 0 && (end[1] != ':' || end[2] == 0)))
                        return false;
                *end = 0;
                ++*ret_address;
                *ret_port = end[1] ? end + 2 : "";
        } else if (colon && !strchr(colon + 1, ':')) {
                *colon = 0;
                *ret_port = colon + 1;
                return colon[1] != 0;
        }
        return true;
}

int destination_match_parse(const char *text, struct destination_match *ret)
{
        struct destination_match match = {.address = {0, 0, htonl(0xffff), 0}};
        char copy[DESTINATION_MATCH_MAX], *address, *slash;
        unsigned bits, port = 0;
        const char *port_text;
        bool v4;

        if (strlen(text) >= sizeof(copy) || !split(strcpy(copy, text), &address, &port_text))
                return -EINVAL;
        slash = strchr(address, '/');
        if (slash)
                *slash++ = 0;
        v4 = inet_pton(AF_INET, address, &match.address[3]) == 1;
        if (!v4 && inet_pton(AF_INET6, address, match.address) != 1)
                return -EINVAL;
        bits = v4 ? 32 : 128;
        if ((slash && !parse_part(slash, bits, &bits)) ||
            (*port_text && (!parse_part(port_text, UINT16_MAX, &port) || port == 0)))
                return -EINVAL;
        match.bits = bits + (v4 ? 96 : 0);
        match.port = htons((uint16_t)port);
        strcpy(match.text, text);
        *ret = match;
        return 0;
}

bool destination_matches(const struct destination_match *match, const struct destination_key *key)
{
        for (unsigned i = 0; i < 4 && match->bits > 32 * i; i++) {
                unsigned bits = MIN(match->bits - 32 * i, 32);
                uint32_t mask = htonl(UINT32_MAX << (32 - bits));

                if ((match->address[i] ^ key->dst[i]) & mask)
                        return false;
        }
        return match->port == 0 || match->port == key->dport;
}
