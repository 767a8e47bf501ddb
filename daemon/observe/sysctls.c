/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

#define RESERVED SOURCE_OF(SYSCTL_IP_LOCAL_RESERVED_PORTS)
#define RESERVED_FEW 512u /* bytes of text: hardly any host's list is longer */
#define RANGE SOURCE_OF(SYSCTL_IP_LOCAL_PORT_RANGE)
#define REUSE_DELAY_BEFORE_6_14_MS 1000 /* net/ipv4/tcp_ipv4.c:tcp_twsk_unique compared whole seconds */

static int sysctl_read(const struct observer *o, enum sysctl_id id, struct sysctl_value *ret)
{
        char text[SYSCTL_TEXT_MAX];
        int r = proc_file_read(&o->file[SOURCE_OF(id)], text, sizeof(text));

        return r < 0 ? r : sysctl_parse(id, text, ret);
}

/* Reads the sysctl at every tick from now on, because the caller may write it. */
int observer_sysctl_read(struct observer *o, enum sysctl_id id, struct sysctl_value *ret)
{
        o->sysctls |= BIT(id);
        o->sysctls_now |= BIT(id);
        o->same_until = 0;
        return sysctl_read(o, id, ret);
}

int observer_sysctl_write(struct observer *o, enum sysctl_id id, const struct sysctl_value *value)
{
        char text[SYSCTL_TEXT_MAX];

        return proc_file_write(&o->file[SOURCE_OF(id)], sysctl_format(value, text));
}

int observer_can_write(const struct observer *o)
{
        return o->file[SOURCE_OF(SYSCTL_TCP_TW_REUSE)].error;
}

/* Reads at every tick the sysctls passed to observer_sysctl_read(), also the port range if a sign has moved, and all
 * sysctls if the last read asked for a dump, because some decide how ports are counted. Otherwise the others are read
 * slowly: they limit tables, or decide whether a rule could change something, and are read again before a change. */
void fill_sysctls(struct observer *o, struct snapshot *s)
{
        bool all = o->sysctls_at == 0 || o->dumping || o->retried || o->now - o->sysctls_at >= o->slowly_ns;
        bool failed = false;
        uint32_t range = o->calm == 0 ? BIT(SYSCTL_IP_LOCAL_PORT_RANGE) : 0;
        uint32_t due = o->sysctls & (all ? UINT32_MAX : o->sysctls_now | range);

        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                struct live_sysctl *live = &o->live_sysctl[id];

                if (due & BIT(id)) {
                        o->error[SOURCE_OF(id)] = sysctl_read(o, id, &live->value);
                        live->state = source_state(o, SOURCE_OF(id));
                        failed |= live->state == READING_INVALID;
                }
                if (o->sysctls & BIT(id))
                        s->sysctl[id] = *live;
        }
        if (s->sysctl[SYSCTL_TCP_TIMESTAMPS].state == READING_VALID)
                s->reading[METRIC_TCP_TIMESTAMPS] = reading_valid((double)s->sysctl[SYSCTL_TCP_TIMESTAMPS].value.v[0]);
        if (all && !failed)
                o->sysctls_at = o->now;
}

/* ip_local_reserved_ports is a set of 8 kB that the kernel walks for every read (kernel/sysctl.c:
 * proc_do_large_bitmap), and it hardly ever changes: it is read slowly. Each time 512 bytes are tried first, as
 * the kernel clears as many bytes as are asked for (fs/proc/proc_sysctl.c:proc_sys_call_handler). */
static void read_reserved(struct observer *o)
{
        struct port_set reserved = {0};

        if (o->reserved_at != 0 && o->now - o->reserved_at < o->slowly_ns)
                return;
        if (source_read_start(o, RESERVED, RESERVED_FEW) == -EFBIG)
                source_read(o, RESERVED);
        if (o->error[RESERVED] == 0)
                o->error[RESERVED] = port_set_parse(o->text, &reserved);
        if (o->error[RESERVED] < 0)
                return;
        o->reserved_at = o->now;
        o->reserved_changed |= memcmp(&reserved, &o->reserved, sizeof(reserved)) != 0;
        port_set_assign(&o->reserved, &reserved);
}

static bool is_range(const struct sysctl_value *range)
{
        return range->v[0] >= 1 && range->v[0] <= range->v[1] && range->v[1] <= UINT16_MAX;
}

static unsigned value_of(const struct live_sysctl *live, unsigned if_unavailable)
{
        return live->state == READING_VALID ? (unsigned)live->value.v[0] : if_unavailable;
}

/* port: a multiple of 64. */
static unsigned usable_below(const struct observer *o, unsigned port)
{
        unsigned n = 0;

        for (unsigned p = o->limits.low; p < port && p <= o->limits.high;) {
                if (p % 64 == 0 && p + 63 <= o->limits.high) {
                        n += (unsigned)__builtin_popcountll(~o->reserved.bit[p / 64]);
                        p += 64;
                } else {
                        n += !port_set_has(&o->reserved, p++);
                }
        }
        return n;
}

void read_limits(struct observer *o, struct snapshot *s)
{
        const struct live_sysctl *range = &s->sysctl[SYSCTL_IP_LOCAL_PORT_RANGE];
        const struct live_sysctl *reuse = &s->sysctl[SYSCTL_TCP_TW_REUSE];
        const struct live_sysctl *delay = &s->sysctl[SYSCTL_TCP_TW_REUSE_DELAY];
        const struct live_sysctl *timestamps = &s->sysctl[SYSCTL_TCP_TIMESTAMPS];
        double ports;

        read_reserved(o);
        if (range->state == READING_VALID && !is_range(&range->value))
                o->error[RANGE] = -EBADMSG;
        o->limits_known = o->error[RANGE] == 0 && o->error[RESERVED] == 0 && reuse->state != READING_INVALID &&
                          delay->state != READING_INVALID && timestamps->state != READING_INVALID;
        if (!o->limits_known)
                return;
        o->limits.low = (unsigned)range->value.v[0];
        o->limits.high = (unsigned)range->value.v[1];
        o->limits.tw_reuse = value_of(reuse, 0);
        s->reading[METRIC_PORTS_BELOW_32768] = reading_valid(usable_below(o, 32768));
        o->usable = usable_below(o, UINT16_MAX + 1);
        ports = o->limits.high - o->limits.low + 1;
        s->reading[METRIC_PORTS_RESERVED] = reading_valid(100 * (ports - o->usable) / ports);
        o->limits.tw_reuse_delay_ms = value_of(delay, REUSE_DELAY_BEFORE_6_14_MS);
        o->limits.timestamps = value_of(timestamps, 0) != 0;
}
