/* SPDX-License-Identifier: MIT */
#pragma once

/* A guard, and what it says of a write. */

#include <errno.h>
#include <string.h>

#include "lib/apply/limits.h"
#include "lib/ports/table.h"
#include "lib/util/macro.h"
#include "run.h"

#define S NSEC_PER_SEC
#define START (UINT64_C(1000) * S)
#define PAIR(a, b) ((struct sysctl_value){.n = 2, .v = {(a), (b)}})

static const enum sysctl_id free_sysctls[] = {
        SYSCTL_TCP_TW_REUSE,        SYSCTL_TCP_TW_REUSE_DELAY,   SYSCTL_TCP_FIN_TIMEOUT,    SYSCTL_TCP_KEEPALIVE_TIME,
        SYSCTL_TCP_KEEPALIVE_INTVL, SYSCTL_TCP_KEEPALIVE_PROBES, SYSCTL_TCP_SYNACK_RETRIES, SYSCTL_TCP_ORPHAN_RETRIES,
};

static struct config *config;
static struct ports *ports;
static struct limits limits;
static struct snapshot snapshot;
static char reason[256];

static const struct ports_limits port_limits = {.low = 32768, .high = 60999, .timestamps = true};

static inline void end(void)
{
        ports_free(ports);
        config_free(config);
        ports = NULL;
        config = NULL;
}

/* The kernel's defaults, one listener on each of two ports, and everything read well. */
static inline void begin(double changes_per_minute, uint64_t min_interval)
{
        struct port_set listening = {0};

        end();
        ports = ports_new(1);
        config = config_new();
        config->changes_per_minute = changes_per_minute;
        config->min_interval_ns = min_interval;
        port_set_add(&listening, 8080);
        port_set_add(&listening, 61000);
        ports_begin(ports, &port_limits, NULL, &listening, START, S);
        ports_commit(ports, 0);
        snapshot = (struct snapshot){.now = START, .ports = ports, .memory_bytes = UINT64_C(64) << 30};
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                snapshot.reading[m] = reading_valid(0);
        snapshot.sysctl[SYSCTL_TCP_TIMESTAMPS] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1)};
        snapshot.sysctl[SYSCTL_IP_UNPRIVILEGED_PORT_START] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(1024)};
        limits_init(&limits, config, START);
}

static inline int check_value(enum sysctl_id id, struct sysctl_value live, struct sysctl_value value)
{
        reason[0] = 0;
        return limits_check(&limits, config, &snapshot, id, &live, &value, 1, reason, sizeof(reason));
}

/* A value that nothing but the limits can object to. */
static inline int check_at(enum sysctl_id id, uint64_t now)
{
        int64_t max = sysctl_table[id].bounds.max;

        snapshot.now = now;
        return check_value(id, SYSCTL_VALUE(max - 1), SYSCTL_VALUE(max));
}

static inline int change_at(enum sysctl_id id, uint64_t now)
{
        int r = check_at(id, now);

        if (r == 0)
                limits_note_change(&limits, id, now);
        return r;
}

/* How many changes are let through at one instant, of different sysctls in turn. */
static inline unsigned burst_at(uint64_t now)
{
        unsigned n = 0;

        while (n < 10000 && change_at(free_sysctls[n % ELEMENTSOF(free_sysctls)], now) == 0)
                n++;
        return n;
}
