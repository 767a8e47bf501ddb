/* SPDX-License-Identifier: MIT */
#pragma once

/* What the tests of lib/ports share: one host with stock sysctls, and what its busiest destination has. */

#include "sockets.h"

#define SEC NSEC_PER_SEC
#define START (1000 * SEC)
#define SERVER 0x0a000002u
#define HALF 14116.0 /* usable ports of one parity on stock sysctls */

static struct model model;
static struct ports *ports;
static struct ports_limits limits;

static inline void set_up(void)
{
        ports = ports_new(42);
        limits = stock_limits();
        model.n = model.next_port = 0;
        model.reserved = no_ports;
}

static inline void tear_down(void)
{
        ports_free(ports);
}

static inline double lower(unsigned metric)
{
        return ports_value(ports_busiest(ports), metric).lower;
}

static inline void add_many(unsigned n, uint8_t state, uint64_t since)
{
        for (unsigned i = 0; i < n; i++)
                model_add(&model, state, SERVER, 80, since);
}
