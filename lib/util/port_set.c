/* SPDX-License-Identifier: MIT */
#include "lib/util/port_set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

void port_set_add(struct port_set *set, unsigned port)
{
        set->bit[port / 64] |= UINT64_C(1) << (port % 64);
}

void port_set_remove_all(struct port_set *set, const struct port_set *others)
{
        for (unsigned i = 0; i < ELEMENTSOF(set->bit); i++)
                set->bit[i] &= ~others->bit[i];
}

/* Parses the port number at *p and moves *p behind it. */
static bool port_parse(const char **p, unsigned *ret)
{
        uint64_t port;
        const char *end = number_parse(*p, &port);

        if (!end || port > UINT16_MAX)
                return false;
        *p = end;
        *ret = (unsigned)port;
        return true;
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
