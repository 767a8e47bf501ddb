/* SPDX-License-Identifier: MIT */
#pragma once

/* A set of ports, 0 to 65535. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialized: empty. */
struct port_set {
        uint64_t bit[65536 / 64];
};

static inline bool port_set_has(const struct port_set *set, unsigned port)
{
        return set->bit[port / 64] >> (port % 64) & 1;
}

static inline void port_set_add(struct port_set *set, unsigned port)
{
        set->bit[port / 64] |= UINT64_C(1) << (port % 64);
}

/* These functions write only words that change, so that untouched pages of a set take no memory. */
void port_set_add_all(struct port_set *set, const struct port_set *others);
void port_set_remove_all(struct port_set *set, const struct port_set *others);
void port_set_clear(struct port_set *set);
void port_set_assign(struct port_set *set, const struct port_set *others);

/* Parses "8080,9000-9010", the format of ip_local_reserved_ports. Replaces the ports in *ret, which must be
 * initialized. Returns 0 or -EINVAL; then *ret is as before. */
int port_set_parse(const char *text, struct port_set *ret);

/* Writes the same format. Returns its length. buf holds PORT_SET_TEXT_MAX bytes, enough for every set. */
#define PORT_SET_TEXT_MAX (65536 / 3 * 12 + 13) /* the longest has pairs: "10000-10001,10003-10004" */
size_t port_set_format(const struct port_set *set, char *buf);
