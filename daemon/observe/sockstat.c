/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

struct reading share_of(double part, const struct live_sysctl *whole)
{
        int64_t size = whole->value.n > 0 ? whole->value.v[whole->value.n - 1] : 0;

        if (whole->state != READING_VALID)
                return (struct reading){.state = whole->state};
        return size > 0 ? reading_valid(100 * part / (double)size) : (struct reading){0};
}

/* sscanf() would cost as much as the read. */
bool number_after(const char *text, const char *word, uint64_t *ret)
{
        const char *p = strstr(text, word);
        char *end;

        if (!p)
                return false;
        p += strlen(word);
        *ret = strtoull(p, &end, 10);
        return end != p;
}

/* "TCP: inuse 5 orphan 0 tw 17 alloc 6 mem 1" (net/ipv4/proc.c:sockstat_seq_show). tw counts what
 * tcp_max_tw_buckets limits, IPv6 as well; mem is in pages; orphan, alloc and mem are of the whole host. */
static int read_sockstat(struct observer *o)
{
        int r = source_read(o, SOURCE_SOCKSTAT);
        const char *line = strstr(o->text, "TCP: inuse");

        if (r < 0)
                return r;
        if (!line || !number_after(line, " inuse ", &o->inuse) || !number_after(line, " orphan ", &o->orphaned) ||
            !number_after(line, " tw ", &o->tw) || !number_after(line, " alloc ", &o->allocated) ||
            !number_after(line, " mem ", &o->memory))
                return -EBADMSG;
        o->counted = o->inuse + o->tw;
        if (!number_after(o->text, "UDP: inuse ", &o->udp_inuse))
                o->udp_inuse = 0;
        return 0;
}

/* A kernel without IPv6 has no such file. */
static int read_sockstat6(struct observer *o)
{
        uint64_t inuse;
        int r = source_read(o, SOURCE_SOCKSTAT6);

        if (r < 0)
                return r;
        if (!number_after(o->text, "TCP6: inuse ", &inuse))
                return -EBADMSG;
        o->inuse += inuse;
        if (number_after(o->text, "UDP6: inuse ", &inuse))
                o->udp_inuse += inuse;
        return 0;
}

bool sockets_moved(struct observer *o)
{
        uint64_t tw = o->tw, inuse = o->inuse, udp = o->udp_inuse;

        o->error[SOURCE_SOCKSTAT] = read_sockstat(o);
        o->error[SOURCE_SOCKSTAT6] = read_sockstat6(o);
        o->inuse_known = o->error[SOURCE_SOCKSTAT] == 0 && source_state(o, SOURCE_SOCKSTAT6) != READING_INVALID;
        return !o->inuse_known || o->tw != tw || o->inuse != inuse || o->udp_inuse != udp;
}

/* A socket that entered TIME_WAIT is still there or has ended: after 60 s, reused, or thrown away at once
 * (net/ipv4/inet_timewait_sock.c:tw_timer_handler counts TW, tcp_minisocks.c:tcp_time_wait the last). */
static void fill_needed(struct observer *o, struct snapshot *s)
{
        static const unsigned ended[] = {COUNTER_TW, COUNTER_TW_RECYCLED, COUNTER_TIME_WAIT_OVERFLOW};
        double made = (double)o->tw - (double)o->tw_before, rate;

        if (o->error[SOURCE_SOCKSTAT] < 0 || o->tw_before == UINT64_MAX || o->tick == 0)
                return;
        for (unsigned i = 0; i < ELEMENTSOF(ended); i++) {
                struct reading change = counter_change(o, ended[i]);

                if (change.state != READING_VALID)
                        return;
                made += change.value;
        }
        rate = fmax(made, 0) * 1e9 / (double)o->tick;
        o->tw_rate = o->tw_rate > 0 ? (o->tw_rate + rate) / 2 : rate;
        s->reading[METRIC_TIME_WAIT_NEEDED] = reading_valid(o->tw_rate * PORTS_WINDOW);
}

void fill_sockstat(struct observer *o, struct snapshot *s)
{
        if (o->error[SOURCE_SOCKSTAT] == 0) {
                s->reading[METRIC_TIME_WAIT_TABLE] = share_of((double)o->tw, &s->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS]);
                s->reading[METRIC_ORPHANS_TABLE] = share_of((double)o->orphaned, &s->sysctl[SYSCTL_TCP_MAX_ORPHANS]);
                s->reading[METRIC_MEMORY_TCP] = share_of((double)o->memory, &s->sysctl[SYSCTL_TCP_MEM]);
        }
        if (o->early)
                return;
        fill_needed(o, s);
        o->tw_before = o->inuse_known ? o->tw : UINT64_MAX;
}

int observer_count(struct observer *o, uint64_t *ret)
{
        uint64_t inuse, tw;
        int r = source_read(o, SOURCE_SOCKSTAT);
        const char *line = strstr(o->text, "TCP: inuse");

        if (r < 0)
                return r;
        if (!line || !number_after(line, " inuse ", &inuse) || !number_after(line, " tw ", &tw))
                return -EBADMSG;
        *ret = inuse + tw;
        return 0;
}

uint64_t observer_counted(const struct observer *o)
{
        return o->counted;
}
