/* SPDX-License-Identifier: MIT */
#include "port_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void port_set_add(struct port_set *set, unsigned port)
{
        set->bit[port / 64] |= UINT64_C(1) << (port % 64);
}

void port_set_remove(struct port_set *set, unsigned port)
{
        set->bit[port / 64] &= ~(UINT64_C(1) << (port % 64));
}

int port_set_parse(const char *text, struct port_set *ret)
{
        struct port_set set = {0};
        const char *p = text;

        while (*p && *p != '\n') {
                char *end;
                unsigned long first = strtoul(p, &end, 10), last = first;

                if (end == p)
                        return -EINVAL;
                if (*end == '-')
                        last = strtoul(p = end + 1, &end, 10);
                if (end == p || first > last || last > UINT16_MAX || !strchr(",\n", *end))
                        return -EINVAL;
                for (; first <= last; first++)
                        port_set_add(&set, (unsigned)first);
                p = *end == ',' ? end + 1 : end;
        }
        *ret = set;
        return 0;
}
