/* SPDX-License-Identifier: MIT */
#pragma once

/* A set of ports. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_set {
        uint64_t bit[65536 / 64];
};

static inline bool port_set_has(const struct port_set *set, unsigned port)
{
        return set->bit[port / 64] >> (port % 64) & 1;
}

void port_set_add(struct port_set *set, unsigned port);
void port_set_remove_all(struct port_set *set, const struct port_set *others);

/* Reads "8080,9000-9010" as ip_local_reserved_ports gives it. 0 or -EINVAL. */
int port_set_parse(const char *text, struct port_set *ret);

/* The same text. Returns its length; PORT_SET_TEXT_MAX holds every set. */
#define PORT_SET_TEXT_MAX (65536 / 2 * 6 + 1)
size_t port_set_format(const struct port_set *set, char *buf);
