/* SPDX-License-Identifier: MIT */
#include "lib/kernel/sysctl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util/macro.h"

const struct sysctl sysctl_table[SYSCTL_COUNT] = {
#define SYSCTL(id, ...) [SYSCTL_##id] = {__VA_ARGS__},
#include "lib/kernel/sysctl_rows.h"
};

enum sysctl_id sysctl_find(const char *name)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const char *a = sysctl_table[id].name, *b = name;

                while (*a && (*a == *b || (*a == '.' && *b == '/')))
                        a++, b++;
                if (!*a && !*b)
                        return id;
        }
        return SYSCTL_COUNT;
}

int sysctl_parse(enum sysctl_id id, const char *text, struct sysctl_value *ret)
{
        struct sysctl_value value = {.n = sysctl_table[id].n};
        const char *p = text;

        assert(id < SYSCTL_COUNT);
        for (unsigned i = 0; i < value.n; i++) {
                char *end;

                errno = 0;
                value.v[i] = strtoll(p, &end, 10);
                if (end == p || errno != 0 || !strchr(" \t\n", *end))
                        return -EINVAL;
                p = end;
        }
        p += strspn(p, " \t\n");
        if (*p || value.n == 0)
                return -EINVAL;

        *ret = value;
        return 0;
}

const char *sysctl_format(const struct sysctl_value *value, char buf[static SYSCTL_TEXT_MAX])
{
        assert(value->n <= ELEMENTSOF(value->v));
        buf[0] = 0;
        for (unsigned i = 0, at = 0; i < value->n; i++)
                at += (unsigned)snprintf(buf + at, SYSCTL_TEXT_MAX - at, "%s%" PRId64, i ? " " : "", value->v[i]);
        return buf;
}

bool sysctl_equal(const struct sysctl_value *a, const struct sysctl_value *b)
{
        return a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(a->v[0])) == 0;
}

/* connect() searches an even number of ports (net/ipv4/inet_hashtables.c:__inet_hash_connect), so two ends of the same
 * parity waste one port (net/ipv4/sysctl_net_ipv4.c:set_local_port_range warns about it). */
static bool is_port_range(const struct sysctl_value *value)
{
        return value->v[0] < value->v[1] && (value->v[0] & 1) != (value->v[1] & 1);
}

/* Writes the reason of an error. The value of the expression is error. */
#define refuse(error, ...) (snprintf(reason, size, __VA_ARGS__), error)

int sysctl_check_bounds(enum sysctl_id id, const struct sysctl_value *value, const struct sysctl_bounds *bounds,
                        char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];

        for (unsigned i = 0; i < value->n; i++)
                if (value->v[i] < bounds->min || value->v[i] > bounds->max) {
                        bool harmful = value->v[i] < s->bounds.min && s->below;

                        return refuse(-ERANGE, "%" PRId64 " is outside %" PRId64 "-%" PRId64 " for %s%s%s",
                                      value->v[i], bounds->min, bounds->max, s->name, harmful ? ": " : "",
                                      harmful ? s->below : "");
                }
        return 0;
}

int sysctl_check(enum sysctl_id id, const struct sysctl_value *value, char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];

        assert(id < SYSCTL_COUNT);
        if (s->never)
                return refuse(-EPERM, "%s is never written: %s", s->name, s->never);
        if (value->n != s->n)
                return refuse(-ERANGE, "%s takes %u number%s", s->name, s->n, s->n == 1 ? "" : "s");
        if (sysctl_check_bounds(id, value, &s->bounds, reason, size) < 0)
                return -ERANGE;
        if (id == SYSCTL_IP_LOCAL_PORT_RANGE && !is_port_range(value))
                return refuse(
                        -ERANGE,
                        "the second number of %s must be larger than the first, and one of them even, the other odd",
                        s->name);
        return 0;
}

int sysctl_check_step(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                      char *reason, size_t size)
{
        const struct sysctl *s = &sysctl_table[id];
        const int64_t *from = live->v, *to = value->v;

        assert(id < SYSCTL_COUNT);
        if (s->direction == SYSCTL_RAISE && to[0] < from[0])
                return refuse(-ERANGE, "%s is only ever raised: %" PRId64 " is under the live %" PRId64, s->name,
                              to[0], from[0]);
        if (s->direction == SYSCTL_WIDEN && (to[0] > from[0] || to[1] < from[1]))
                return refuse(-ERANGE,
                              "%s is only ever widened: %" PRId64 "-%" PRId64 " does not hold the live %" PRId64
                              "-%" PRId64,
                              s->name, to[0], to[1], from[0], from[1]);
        return 0;
}

bool sysctl_has_effect(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                       bool loopback)
{
        if (sysctl_equal(live, value))
                return true;
        if (id == SYSCTL_TCP_TW_REUSE)
                return loopback && live->v[0] != 0 && value->v[0] != 0;
        switch (sysctl_table[id].direction) {
        case SYSCTL_LESS:
                /* the kernel treats 0 as 8 (net/ipv4/tcp_timer.c:tcp_orphan_retries) */
                return live->v[0] <= value->v[0] && (id != SYSCTL_TCP_ORPHAN_RETRIES || live->v[0] > 0);
        case SYSCTL_RAISE:
                return live->v[0] >= value->v[0];
        case SYSCTL_WIDEN:
                return live->v[0] <= value->v[0] && live->v[1] >= value->v[1];
        case SYSCTL_BOTH:
                break;
        }
        return false;
}
