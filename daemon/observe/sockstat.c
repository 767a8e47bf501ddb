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

/* "sockets: used 9" and "TCP: inuse 5 orphan 0 tw 17 alloc 6 mem 1" (net/ipv4/proc.c:sockstat_seq_show). tw counts
 * what tcp_max_tw_buckets limits, IPv6 as well; mem is in pages; orphan, alloc and mem are of the whole host. */
static int read_sockstat(struct observer *o, struct socket_counts *ret)
{
        int r = source_read(o, SOURCE_SOCKSTAT);
        const char *line;

        if (r == 0 && strcmp(o->text, o->sockstat_text) == 0)
                return 0;
        o->sockstat_text[0] = 0;
        *ret = (struct socket_counts){0};
        if (r < 0)
                return r;
        line = strstr(o->text, "TCP: inuse");
        if (!line || !number_after(line, " inuse ", &ret->tcp) || !number_after(line, " orphan ", &o->orphaned) ||
            !number_after(line, " tw ", &ret->tw) || !number_after(line, " alloc ", &o->allocated) ||
            !number_after(line, " mem ", &o->memory))
                return -EBADMSG;
        number_after(o->text, "UDP: inuse ", &ret->udp);
        if (!number_after(o->text, "sockets: used ", &ret->used))
                ret->used = UINT64_MAX;
        remember_text(o, o->sockstat_text, sizeof(o->sockstat_text));
        return 0;
}

/* A kernel without IPv6 has no such file. */
static int read_sockstat6(struct observer *o, struct socket_counts *ret)
{
        int r = source_read(o, SOURCE_SOCKSTAT6);

        *ret = (struct socket_counts){0};
        o->sockstat6_at = o->now;
        if (r < 0)
                return r;
        number_after(o->text, "UDP6: inuse ", &ret->udp);
        return number_after(o->text, "TCP6: inuse ", &ret->tcp) ? 0 : -EBADMSG;
}

/* A socket of any family that comes or goes moves `used` (net/core/sock.c:sk_alloc, __sk_free), and one that connects
 * or is connected to moves snmp. So sockstat6 can move unseen only if existing sockets begin to listen, if existing
 * UDP sockets are bound, or if one socket goes and another comes. If there are few sockets, that can wait. */
static bool sockstat6_waits(const struct observer *o, uint64_t used, bool moved)
{
        return !moved && o->ipv4.used == used && o->calm > 0 && o->now - o->sockstat6_at < o->slowly_ns &&
               o->error[SOURCE_SOCKSTAT6] == 0 && o->limits_known &&
               o->ipv4.used < (o->limits.high - o->limits.low) / 10;
}

static bool counts_equal(const struct socket_counts *a, const struct socket_counts *b)
{
        return a->tcp == b->tcp && a->udp == b->udp && a->tw == b->tw;
}

bool sockets_moved(struct observer *o, bool moved)
{
        struct socket_counts ipv4 = o->ipv4, ipv6 = o->ipv6;

        o->error[SOURCE_SOCKSTAT] = read_sockstat(o, &o->ipv4);
        moved |= o->error[SOURCE_SOCKSTAT] < 0 || !counts_equal(&o->ipv4, &ipv4);
        if (!sockstat6_waits(o, ipv4.used, moved))
                o->error[SOURCE_SOCKSTAT6] = read_sockstat6(o, &o->ipv6);
        o->inuse_known = o->error[SOURCE_SOCKSTAT] == 0 && source_state(o, SOURCE_SOCKSTAT6) != READING_INVALID;
        o->tw = o->ipv4.tw;
        o->inuse = o->ipv4.tcp + o->ipv6.tcp;
        o->udp_inuse = o->ipv4.udp + o->ipv6.udp;
        o->counted = o->ipv4.tcp + o->tw;
        return moved || !o->inuse_known || !counts_equal(&o->ipv6, &ipv6);
}

/* Less than a tenth of a socket counts as none: else the mean of an idle host would halve a thousand times. */
static void fill_rate(struct observer *o, struct snapshot *s, double rate)
{
        o->tw_rate = o->tw_rate > 0 ? (o->tw_rate + rate) / 2 : rate;
        if (o->tw_rate * PORTS_WINDOW < 0.1)
                o->tw_rate = 0;
        s->reading[METRIC_TIME_WAIT_NEEDED] = reading_valid(o->tw_rate * PORTS_WINDOW);
}

/* A socket that entered TIME_WAIT is still there or has ended: after 60 s, reused, or thrown away at once
 * (net/ipv4/inet_timewait_sock.c:tw_timer_handler counts TW, tcp_minisocks.c:tcp_time_wait TCPTimeWaitOverflow). No
 * counter shows a socket that a RST or SYN of the peer ends (tcp_minisocks.c:tcp_timewait_state_process). */
static void fill_needed(struct observer *o, struct snapshot *s)
{
        static const unsigned ended[] = {COUNTER_TW, COUNTER_TW_RECYCLED, COUNTER_TIME_WAIT_OVERFLOW};
        double made = (double)o->tw - (double)o->tw_before;

        if (o->error[SOURCE_SOCKSTAT] < 0 || o->tw_before == UINT64_MAX || o->tick == 0)
                return;
        for (unsigned i = 0; i < ELEMENTSOF(ended); i++) {
                struct reading change = counter_change(o, ended[i]);

                if (change.state != READING_VALID)
                        return;
                made += change.value;
        }
        fill_rate(o, s, fmax(made, 0) * 1e9 / (double)o->tick);
}

static void fill_tables(struct observer *o, struct snapshot *s)
{
        s->reading[METRIC_TIME_WAIT_TABLE] = share_of((double)o->tw, &s->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS]);
        s->reading[METRIC_ORPHANS_TABLE] = share_of((double)o->orphaned, &s->sysctl[SYSCTL_TCP_MAX_ORPHANS]);
        s->reading[METRIC_MEMORY_TCP] = share_of((double)o->memory, &s->sysctl[SYSCTL_TCP_MEM]);
}

void fill_sockstat(struct observer *o, struct snapshot *s)
{
        if (o->error[SOURCE_SOCKSTAT] == 0)
                fill_tables(o, s);
        if (o->early)
                return;
        fill_needed(o, s);
        o->tw_before = o->inuse_known ? o->tw : UINT64_MAX;
}

bool fill_quiet(struct observer *o, struct snapshot *s)
{
        double orphans = s->reading[METRIC_ORPHANS_TABLE].value, memory = s->reading[METRIC_MEMORY_TCP].value,
               needed = s->reading[METRIC_TIME_WAIT_NEEDED].value;

        fill_tables(o, s);
        if (s->reading[METRIC_TIME_WAIT_NEEDED].state == READING_VALID)
                fill_rate(o, s, 0);
        return s->reading[METRIC_ORPHANS_TABLE].value != orphans || s->reading[METRIC_MEMORY_TCP].value != memory ||
               s->reading[METRIC_TIME_WAIT_NEEDED].value != needed;
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
