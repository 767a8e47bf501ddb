/* SPDX-License-Identifier: MIT */

/* The range of ephemeral ports, what is reserved in it, and where it may begin. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/lint/row.h"
#include "lib/util/port_set.h"

/* Reads a port: decimal, octal or hexadecimal, as in C. Returns the text after it; NULL: it is not a port. */
static const char *parse_port(const char *text, unsigned long *ret)
{
        char *end;

        if (!isdigit((unsigned char)*text))
                return NULL;
        *ret = strtoul(text, &end, 0);
        return *ret <= 65535 ? end : NULL;
}

/* Parses a list as the kernel does, which accepts more than port_set_parse(): hexadecimal and octal numbers, and a
 * comma at the end (measured; kernel/sysctl.c:proc_do_large_bitmap()). Returns 0 or -EINVAL. */
static int parse_ports(const char *text, struct port_set *ret)
{
        *ret = (struct port_set){0};
        while (text && *text) {
                unsigned long first = 0, last;

                text = parse_port(text, &first);
                last = first;
                if (text && *text == '-')
                        text = parse_port(text + 1, &last);
                if (!text || first > last || (*text && *text != ','))
                        return -EINVAL;
                for (; first <= last; first++)
                        port_set_add(ret, (unsigned)first);
                text += *text == ',';
        }
        return 0;
}

/* The ports of ip_local_reserved_ports once the lines are applied. */
static void effective_reserved(const struct lint_case *c, struct port_set *ret)
{
        static const char path[] = "net/ipv4/ip_local_reserved_ports";
        const struct sysctl_line *line = lint_standing(c->lines, path);
        char live[4096];

        *ret = (struct port_set){0};
        if (line && line->value && parse_ports(line->value, ret) == 0)
                return;
        if (lint_read_live(c, path, live, sizeof(live)) < 0 || parse_ports(live, ret) < 0)
                *ret = (struct port_set){0};
}

static int64_t count_usable(const int64_t range[static 2], const struct port_set *reserved)
{
        int64_t n = 0;

        for (int64_t port = MAX(range[0], 0); port <= MIN(range[1], 65535); port++)
                n += !port_set_has(reserved, (unsigned)port);
        return n;
}

/* Measured: once half of the range is in use each connect() scans it, which takes 2.7 ms of CPU on the default range
 * and 6.0 ms on 1024-65000. The rule wider-port-range first checks which ports have a listener; a line in a file
 * cannot. */
bool lint_check_port_range(struct lint_case *c)
{
        struct port_set reserved;
        int64_t ports;

        if (c->v[0] < 32768)
                return lint_say(c, LINT_HARMFUL,
                                "connect() may take the port of a service while that restarts, or a NodePort "
                                "(30000-32767); and a wider range that is full is slower, not faster");
        effective_reserved(c, &reserved);
        ports = count_usable(c->v, &reserved);
        if (ports < 28232 / 2)
                return lint_say(c, LINT_HARMFUL,
                                "only %" PRId64 " ports toward one destination; the default has 28232", ports);
        return false;
}

bool lint_refuses_port_list(struct lint_case *c)
{
        struct port_set set;

        return parse_ports(c->value, &set) < 0 && lint_say_refused(c, "it is not a list of ports");
}

/* Measured: with 32768-60999 reserved every connect() fails with EADDRNOTAVAIL. */
bool lint_check_reserved_ports(struct lint_case *c)
{
        struct lint_effect range;
        struct port_set set;
        int64_t all, left;

        if (parse_ports(c->value, &set) < 0 || !lint_effective(c, "net/ipv4/ip_local_port_range", &range))
                return false;
        all = count_usable(range.v, &(struct port_set){0});
        left = count_usable(range.v, &set);
        if (left == 0)
                return lint_say(c, LINT_HARMFUL,
                                "it reserves every port of ip_local_port_range%s: each connect() fails with "
                                "EADDRNOTAVAIL",
                                range.where);
        if (left < 28232 / 2 && left < all)
                return lint_say(c, LINT_HARMFUL,
                                "it leaves %" PRId64 " of the %" PRId64 " ports of ip_local_port_range%s; the default "
                                "has 28232",
                                left, all, range.where);
        if (left == all)
                return lint_say(c, LINT_FINE, "%s; none of them is in ip_local_port_range", lint_help(c));
        return false;
}

/* The range must not begin below ip_unprivileged_port_start (net/ipv4/sysctl_net_ipv4.c:ipv4_local_port_range() and
 * ipv4_privileged_ports()). */
bool lint_refuses_port_range(struct lint_case *c)
{
        int64_t start = 1, range[3];
        const char *rest;
        char live[256];

        (void)lint_number_by_then(c, "net/ipv4/ip_unprivileged_port_start", &start);
        for (unsigned i = 0; i < c->n; i++)
                if (c->v[i] < start || c->v[i] > 65535)
                        return lint_say_refused(c, "it accepts %" PRId64 " to 65535", start);
        if (c->n == 1 && lint_read_live(c, c->path, live, sizeof(live)) == 0 &&
            lint_numbers(live, 2, range, &rest) == 2 && c->v[0] > range[1])
                return lint_say_refused(
                        c, "the line sets the first port alone, which must not be over the last one, %" PRId64,
                        range[1]);
        return c->n == 2 && c->v[1] < c->v[0] && lint_say_refused(c, "the first port is over the last");
}

bool lint_refuses_port_start(struct lint_case *c)
{
        int64_t first;

        if (c->n == 0 || !lint_number_by_then(c, "net/ipv4/ip_local_port_range", &first) || c->v[0] <= first)
                return false;
        return lint_say_refused(c, "it must not be over %" PRId64 ", where ip_local_port_range begins", first);
}
