/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

int read_source(struct observer *o, enum source source)
{
        return proc_file_read(&o->source[source], o->text, sizeof(o->text));
}

void remember_text(const struct observer *o, char *ret, size_t size)
{
        if (strlen(o->text) < size)
                strcpy(ret, o->text);
        else
                *ret = 0;
}

static bool snmp_moved(struct observer *o)
{
        if (strcmp(o->text, o->snmp_text) == 0)
                return false;
        o->snmp_moved_at = o->now;
        remember_text(o, o->snmp_text, sizeof(o->snmp_text));
        return true;
}

/* The kernel prints 250 names for netstat, a third of what a tick costs. Where listeners are the only sockets and no
 * packet comes, nothing happens that TCP counts there. snmp is read first, so that a packet between the two moves the
 * next one; the first of two quiet ticks was read before sockstat knew that the last TIME_WAIT is over. */
int observer_read_counters(struct observer *o)
{
        struct counters *c = &o->counters;
        uint64_t now = now_ns();
        int r = read_source(o, SOURCE_SNMP);
        bool moved = r < 0 || snmp_moved(o) || o->counters_at == 0 || o->quiet_ticks < 2;

        for (unsigned i = 0; i < c->n; i++) {
                o->before[i] = c->item[i].value;
                c->item[i].seen &= !moved;
        }
        if (r >= 0 && moved) {
                counters_read(c, "snmp", o->text);
                r = read_source(o, SOURCE_NETSTAT);
                if (r >= 0)
                        counters_read(c, "netstat", o->text);
        }
        if (r < 0) {
                o->counters_at = 0; /* the next good read is a beginning */
                return r;
        }
        o->counters_elapsed = o->counters_at != 0 ? (double)(now - o->counters_at) / 1e9 : 0;
        o->counters_at = now;
        return 0;
}

/* The change of a counter since the read before; a counter that fell was reset, which tells nothing. */
static struct reading counter_change(const struct observer *o, unsigned i)
{
        const struct counter *c = &o->counters.item[i];

        if (!c->seen)
                return (struct reading){.state = READING_UNAVAILABLE};
        if (o->counters_elapsed <= 0 || c->value < o->before[i])
                return (struct reading){.state = READING_INVALID};
        return reading_valid((double)(c->value - o->before[i]));
}

void fill_counters(const struct observer *o, struct snapshot *s)
{
        for (unsigned i = 0; i < o->counters.n; i++) {
                const struct counter *c = &o->counters.item[i];
                struct reading *r = &s->reading[METRIC_COUNT + i];

                *r = counter_change(o, i);
                if (c->gauge && c->seen)
                        *r = reading_valid((double)(int64_t)c->value);
                else
                        r->value /= o->counters_elapsed > 0 ? o->counters_elapsed : 1;
        }
}

/* Shares of the connections that were opened: rates would rise because a remedy works. */
void fill_opens(const struct observer *o, struct snapshot *s)
{
        static const struct {
                unsigned metric, counter;
        } shares[] = {
                {METRIC_OPENS_SYN_RETRANSMITS, COUNTER_SYN_RETRANS},
                {METRIC_OPENS_RESETS, COUNTER_OUT_RSTS},
        };
        struct reading opens = counter_change(o, COUNTER_ACTIVE_OPENS);

        for (unsigned i = 0; i < ELEMENTSOF(shares); i++) {
                struct reading part = counter_change(o, shares[i].counter);

                if (opens.state == READING_VALID && part.state == READING_VALID && opens.value > 0)
                        s->reading[shares[i].metric] = (struct reading){
                                .state = READING_VALID,
                                .value = 100 * part.value / opens.value,
                                .weight = opens.value,
                        };
        }
}

/* A part of a table whose size is the last number of a sysctl. Where the netns has no such sysctl (the counts that
 * are of the whole host exist in the first netns only), there is no such table for it. */
static struct reading share_of(double part, const struct live_sysctl *whole)
{
        int64_t size = whole->value.n > 0 ? whole->value.v[whole->value.n - 1] : 0;

        if (whole->state != READING_VALID)
                return (struct reading){.state = whole->state};
        return size > 0 ? reading_valid(100 * part / (double)size) : (struct reading){0};
}

/* The number after a word. sscanf() would cost as much as the read. */
static bool number_after(const char *text, const char *word, uint64_t *ret)
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
 * tcp_max_tw_buckets limits, IPv6 as well; mem is in pages; orphan and mem are of the whole host. */
int fill_sockstat(struct observer *o, struct snapshot *s)
{
        uint64_t inuse, inuse6 = 0, orphan, tw, mem;
        int r = read_source(o, SOURCE_SOCKSTAT);
        const char *line;

        if (r < 0)
                return r;
        line = strstr(o->text, "TCP: inuse");
        if (!line || !number_after(line, " inuse ", &inuse) || !number_after(line, " orphan ", &orphan) ||
            !number_after(line, " tw ", &tw) || !number_after(line, " mem ", &mem))
                return -EBADMSG;
        s->reading[METRIC_TIME_WAIT_TABLE] = share_of((double)tw, &s->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS]);
        s->reading[METRIC_ORPHANS_TABLE] = share_of((double)orphan, &s->sysctl[SYSCTL_TCP_MAX_ORPHANS]);
        s->reading[METRIC_MEMORY_TCP] = share_of((double)mem, &s->sysctl[SYSCTL_TCP_MEM]);

        r = read_source(o, SOURCE_SOCKSTAT6);
        if (r >= 0 && !number_after(o->text, "TCP6: inuse ", &inuse6))
                return -EBADMSG;
        o->tw = tw;
        o->inuse = inuse + inuse6;
        return r == -ENOENT ? 0 : MIN(r, 0);
}

/* One line a CPU, hexadecimal, under a line of names (net/netfilter/nf_conntrack_standalone.c:ct_cpu_seq_show). */
static bool sum_insert_failed(const char *text, uint64_t *ret)
{
        unsigned column = 0, wanted = UINT32_MAX;
        const char *line = text + strcspn(text, "\n");
        uint64_t sum = 0;

        for (const char *p = text; p < line; column++) {
                size_t n = strcspn(p, " \n");

                if (n == strlen("insert_failed") && strncmp(p, "insert_failed", n) == 0)
                        wanted = column;
                p += n + strspn(p + n, " ");
        }
        if (wanted == UINT32_MAX)
                return false;
        while (*line == '\n' && line[1]) {
                const char *p = ++line;

                for (unsigned i = 0; i < wanted; i++) {
                        p += strcspn(p, " \n");
                        p += strspn(p, " ");
                }
                if (!isxdigit((unsigned char)*p))
                        return false;
                sum += strtoull(p, NULL, 16);
                line += strcspn(line, "\n");
        }
        *ret = sum;
        return true;
}

static struct reading insert_failed(struct observer *o)
{
        int r = read_source(o, SOURCE_CONNTRACK_STAT);
        uint64_t before = o->insert_failed, elapsed = o->now - o->conntrack_at;
        bool known = o->insert_failed_known;

        if (r == -ENOENT)
                return (struct reading){.state = READING_UNAVAILABLE};
        o->insert_failed_known = r >= 0 && sum_insert_failed(o->text, &o->insert_failed);
        if (!known || !o->insert_failed_known || o->insert_failed < before || elapsed == 0)
                return (struct reading){.state = READING_INVALID};
        return reading_valid((double)(o->insert_failed - before) * 1e9 / (double)elapsed);
}

static struct reading conntrack_table(struct observer *o, const struct snapshot *s)
{
        int r = read_source(o, SOURCE_CONNTRACK_COUNT);
        uint64_t count;

        if (r >= 0 && number_after(o->text, "", &count))
                return share_of((double)count, &s->sysctl[SYSCTL_NF_CONNTRACK_MAX]);
        return (struct reading){.state = r == -ENOENT ? READING_UNAVAILABLE : READING_INVALID};
}

/* Both files cost as much as all other counters together, so they are sampled slowly. */
void fill_conntrack(struct observer *o, struct snapshot *s)
{
        if (o->conntrack_at == 0 || o->now - o->conntrack_at >= o->slowly_ns) {
                if (o->wanted[METRIC_CONNTRACK_TABLE])
                        o->conntrack_table = conntrack_table(o, s);
                if (o->wanted[METRIC_CONNTRACK_INSERT_FAILED])
                        o->conntrack_insert_failed = insert_failed(o);
                o->conntrack_at = o->now;
        }
        s->reading[METRIC_CONNTRACK_TABLE] = o->conntrack_table;
        s->reading[METRIC_CONNTRACK_INSERT_FAILED] = o->conntrack_insert_failed;
}

/* All CPU time since the read before: the daemon does little else than observe. */
void fill_self(struct observer *o, struct snapshot *s)
{
        uint64_t cpu = o->wanted[METRIC_SELF_OBSERVE_CPU] ? thread_cpu_ns() : 0;
        unsigned long resident;

        if (o->tick > 0 && o->cpu_before > 0)
                s->reading[METRIC_SELF_OBSERVE_CPU] =
                        reading_valid(100 * (double)(cpu - o->cpu_before) / (double)o->tick);
        o->cpu_before = cpu;
        if (o->wanted[METRIC_SELF_RSS] && read_source(o, SOURCE_STATM) >= 0 &&
            sscanf(o->text, "%*u %lu", &resident) == 1)
                s->reading[METRIC_SELF_RSS] = reading_valid((double)resident * (double)sysconf(_SC_PAGESIZE));
}
