/* SPDX-License-Identifier: MIT */
/* The name of a destination, for people and for recordings. */

#include <errno.h>
#include <stdio.h>

#include "lib/ports/table_internal.h"

static const char *address_format(const uint32_t a[static 4], char buf[static INET6_ADDRSTRLEN])
{
        bool v4 = address_is_v4(a);

        return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &a[3] : a, buf, INET6_ADDRSTRLEN);
}

const char *destination_name(const struct destination_key *key, char buf[static DESTINATION_NAME_MAX])
{
        char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
        bool v6 = !address_is_v4(key->dst);

        snprintf(buf, DESTINATION_NAME_MAX, "%s->%s%s%s:%u", address_format(key->src, src), v6 ? "[" : "",
                 address_format(key->dst, dst), v6 ? "]" : "", ntohs(key->dport));
        return buf;
}

static bool address_parse(const char *text, uint32_t ret[static 4])
{
        if (inet_pton(AF_INET6, text, ret) == 1)
                return true;
        ret[0] = ret[1] = 0;
        ret[2] = htonl(0xffff);
        return inet_pton(AF_INET, text, &ret[3]) == 1;
}

int destination_key_parse(const char *name, struct destination_key *ret)
{
        char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
        struct destination_key key;
        unsigned dport;
        int n = 0;

        if (sscanf(name, "%45[^-]->%45[0-9.]:%5u%n", src, dst, &dport, &n) != 3 &&
            sscanf(name, "%45[^-]->[%45[^]]]:%5u%n", src, dst, &dport, &n) != 3)
                return -EINVAL;
        if (name[n] != 0 || dport > UINT16_MAX || !address_parse(src, key.src) || !address_parse(dst, key.dst))
                return -EINVAL;
        key.dport = htons((uint16_t)dport);
        *ret = key;
        return 0;
}
