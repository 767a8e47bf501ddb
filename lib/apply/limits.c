/* SPDX-License-Identifier: MIT */
#include "lib/apply/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/policy/action.h"
#include "lib/util/macro.h"

void limits_init(struct limits *limits, const struct config *config, uint64_t now)
{
        *limits = (struct limits){.tokens = config->changes_per_minute, .filled_at = now};
}

static void fill(struct limits *limits, const struct config *config, uint64_t now)
{
        double gained = (double)(now - limits->filled_at) / (60.0 * 1e9) * config->changes_per_minute;

        limits->tokens = MIN(limits->tokens + gained, config->changes_per_minute);
        limits->filled_at = now;
}

static int check_rates(struct limits *limits, const struct config *config, enum sysctl_id sysctl, uint64_t now,
                       unsigned writes, char *reason, size_t size)
{
        uint64_t at = limits->changed_at[sysctl];

        fill(limits, config, now);
        if (at != 0 && now - at < config->min_interval_ns) {
                snprintf(reason, size, "%s was changed less than min_interval ago", sysctl_table[sysctl].name);
                return -EAGAIN;
        }
        if (limits->tokens < writes) {
                snprintf(reason, size, "the limit changes_per_minute = %g is reached", config->changes_per_minute);
                return -EAGAIN;
        }
        return 0;
}

/* A port that someone listens on must not come into the ephemeral range: connect() would take it while the
 * service is being restarted. */
static int check_range(const struct snapshot *s, const struct sysctl_value *live, const struct sysctl_value *value,
                       char *reason, size_t size)
{
        if (!port_obstacles_known(s)) {
                snprintf(reason, size, "it is unknown now which ports have a listener or are privileged");
                return -EAGAIN;
        }
        for (int64_t port = value->v[0]; port <= value->v[1]; port++) {
                const char *obstacle = port < live->v[0] || port > live->v[1] ? port_obstacle(s, port) : NULL;

                if (obstacle) {
                        snprintf(reason, size, "port %" PRId64 " %s", port, obstacle);
                        return -ERANGE;
                }
        }
        return 0;
}

/* net/ipv4/tcp_ipv4.c:tcp_twsk_unique reuses nothing without timestamps. */
static int check_timestamps(const struct snapshot *s, char *reason, size_t size)
{
        const struct live_sysctl *timestamps = &s->sysctl[SYSCTL_TCP_TIMESTAMPS];

        if (timestamps->state == READING_VALID && timestamps->value.v[0] != 0)
                return 0;
        if (timestamps->state == READING_INVALID) {
                snprintf(reason, size, "net.ipv4.tcp_timestamps cannot be read now");
                return -EAGAIN;
        }
        snprintf(reason, size, "TIME_WAIT cannot be reused while net.ipv4.tcp_timestamps is 0");
        return -EPERM;
}

static int check_memory(const struct snapshot *s, enum sysctl_id id, const struct sysctl_value *value, char *reason,
                        size_t size)
{
        int64_t most = table_most(id, s->memory_bytes);

        if (value->v[0] <= most)
                return 0;
        snprintf(reason, size, "%" PRId64 " entries of %s would take too much of the memory: at most %" PRId64,
                 value->v[0], sysctl_table[id].name, most);
        return -ERANGE;
}

int limits_check(struct limits *limits, const struct config *config, const struct snapshot *s, enum sysctl_id sysctl,
                 const struct sysctl_value *live, const struct sysctl_value *value, unsigned writes, char *reason,
                 size_t size)
{
        int r = sysctl_check(sysctl, value, reason, size);

        if (r == 0)
                r = sysctl_check_bounds(sysctl, value, &config->bounds[sysctl], reason, size);
        if (r == 0)
                r = sysctl_check_step(sysctl, live, value, reason, size);
        if (r == 0 && sysctl == SYSCTL_IP_LOCAL_PORT_RANGE)
                r = check_range(s, live, value, reason, size);
        if (r == 0)
                r = check_memory(s, sysctl, value, reason, size);
        if (r == 0 && ((sysctl == SYSCTL_TCP_TW_REUSE && value->v[0] != 0) || sysctl == SYSCTL_TCP_TW_REUSE_DELAY))
                r = check_timestamps(s, reason, size);
        if (r == 0)
                r = check_rates(limits, config, sysctl, s->now, writes, reason, size);
        return r;
}

void limits_note_change(struct limits *limits, enum sysctl_id sysctl, uint64_t now)
{
        limits->changed_at[sysctl] = now;
        limits->tokens -= 1;
}

void limits_resume(struct limits *limits, const struct ledger *ledger, uint64_t now)
{
        /* The time of an entry may be after now: of two writes in one tick, the later is a nanosecond later. */
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state != LEDGER_NONE)
                        limits->changed_at[id] = MIN(ledger->entry[id].at, now);
        if (ledger->changes.at == 0)
                return;
        limits->tokens = (double)ledger->changes.left / 1000;
        limits->filled_at = MIN(ledger->changes.at, now);
}

void limits_save(const struct limits *limits, struct ledger *ledger)
{
        ledger->changes.left = (uint64_t)(MAX(limits->tokens - 1, 0) * 1000);
        ledger->changes.at = limits->filled_at;
}
