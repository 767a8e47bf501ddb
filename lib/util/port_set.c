/* SPDX-License-Identifier: MIT */
#include "lib/util/port_set.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void port_set_add(struct port_set *set, unsigned port)
{
        set->bit[port / 64] |= UINT64_C(1) << (port % 64);
}

void port_set_remove_all(struct port_set *set, const struct port_set *others)
{
        for (unsigned i = 0; i < sizeof(set->bit) / sizeof(set->bit[0]); i++)
                set->bit[i] &= ~others->bit[i];
}

/* One port number at *p, which moves on. Digits alone: strtoul() would take blanks and signs. */
static bool port_parse(const char **p, unsigned *ret)
{
        unsigned long port;
        char *end;

        if (!isdigit((unsigned char)**p))
                return false;
        port = strtoul(*p, &end, 10);
        *p = end;
        *ret = (unsigned)port;
        return port <= UINT16_MAX;
}

int port_set_parse(const char *text, struct port_set *ret)
{
        struct port_set set = {0};
        const char *p = text;

        while (*p && strcmp(p, "\n") != 0) {
                unsigned first, last;

                if (p != text && *p++ != ',')
                        return -EINVAL;
                if (!port_parse(&p, &first))
                        return -EINVAL;
                last = first;
                if (*p == '-' && (p++, !port_parse(&p, &last)))
                        return -EINVAL;
                if (first > last)
                        return -EINVAL;
                for (; first <= last; first++)
                        port_set_add(&set, first);
        }
        *ret = set;
        return 0;
}

/* The first port from here on that is in the set, or is not; 65536: none. */
static unsigned port_find(const struct port_set *set, unsigned port, bool in)
{
        const uint64_t boring = in ? 0 : UINT64_MAX;

        while (port <= UINT16_MAX && port_set_has(set, port) != in)
                port = port % 64 == 0 && set->bit[port / 64] == boring ? port + 64 : port + 1;
        return port;
}

size_t port_set_format(const struct port_set *set, char *buf)
{
        unsigned first = port_find(set, 0, true), end;
        size_t n = 0;

        buf[0] = 0;
        for (; first <= UINT16_MAX; first = port_find(set, end, true)) {
                end = port_find(set, first, false);
                n += (size_t)sprintf(buf + n, "%s%u", n > 0 ? "," : "", first);
                if (end > first + 1)
                        n += (size_t)sprintf(buf + n, "-%u", end - 1);
        }
        return n;
}
