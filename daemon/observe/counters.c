/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

/* So large that free(3) returns it to the kernel. */
#define LISTING_SIZE (4 * SOURCE_TEXT_SIZE)
#define PAWS_OVERTAKEN 0.01 /* share of the connections whose ACK is overtaken: see fill_paws() */

/* How the names of counters begin, by source. Only the first two sources have counters. */
static const char *const prefixes[] = {[SOURCE_NETSTAT] = "netstat", [SOURCE_SNMP] = "snmp"};

struct counters *observer_list_counters(const char *proc_root)
{
        struct counters *ret = calloc(1, sizeof(*ret));
        char *text = malloc(LISTING_SIZE);

        if (!ret || !text) {
                free(ret);
                free(text);
                return NULL;
        }
        for (unsigned i = 0; i < ELEMENTSOF(prefixes); i++) {
                struct proc_file file = source_open(proc_root, i);

                if (proc_file_read(&file, text, LISTING_SIZE) >= 0)
                        counters_add_all(ret, prefixes[i], text);
                proc_file_close(&file);
        }
        free(text);
        return ret;
}

static enum source source_of(const struct counter *c)
{
        return strncmp(c->name, "snmp.", 5) == 0 ? SOURCE_SNMP : SOURCE_NETSTAT;
}

/* Takes the values from the text that was read last. */
static void take_counters(struct observer *o, enum source source)
{
        for (unsigned i = 0; i < o->counters.n; i++)
                if (source_of(&o->counters.item[i]) == source)
                        o->counters.item[i].seen = false;
        counters_read(&o->counters, prefixes[source], o->text);
}

bool snmp_moved(struct observer *o)
{
        if (source_read(o, SOURCE_SNMP) == 0 && strcmp(o->text, o->snmp_text) == 0)
                return false;
        remember_text(o, o->snmp_text, sizeof(o->snmp_text));
        take_counters(o, SOURCE_SNMP);
        return true;
}

/* Does not change the counters that the last tick read: the next tick compares with them. */
int observer_count_opened(struct observer *o, uint64_t *ret)
{
        static struct counters opened; /* 46 kB, of which one page is used */
        int r = source_read(o, SOURCE_SNMP);

        if (r < 0)
                return r;
        if (opened.n == 0)
                counters_add(&opened, "snmp.Tcp.ActiveOpens");
        opened.item[0].seen = false;
        counters_read(&opened, "snmp", o->text);
        *ret = opened.item[0].value;
        return opened.item[0].seen ? 0 : -EBADMSG;
}

uint64_t observer_opened(const struct observer *o)
{
        return o->counters.item[COUNTER_ACTIVE_OPENS].value;
}

void netstat_want(struct observer *o)
{
        o->netstat_waits = true;
        for (unsigned i = 0; i < o->counters.n; i++)
                if (source_of(&o->counters.item[i]) == SOURCE_NETSTAT)
                        o->netstat_waits &= counter_has_sign(o->counters.item[i].name);
}

/* Skips netstat while its counters cannot have moved: the kernel prints 250 names for it, a third of a tick's cost.
 * After a sign has moved it is read in that tick and in the next one, as the kernel may count a segment in snmp
 * before the signs are read, and in netstat after that. */
void read_netstat(struct observer *o)
{
        if (o->calm >= 2 && o->netstat_waits && o->error[SOURCE_NETSTAT] == 0)
                return;
        source_read(o, SOURCE_NETSTAT);
        take_counters(o, SOURCE_NETSTAT);
}

/* Returns the change since the previous regular read. A counter that fell was reset, so its change is unknown. */
struct reading counter_change(const struct observer *o, unsigned i)
{
        const struct counter *c = &o->counters.item[i];

        if (!c->seen && o->error[source_of(c)] == 0)
                return (struct reading){.state = READING_UNAVAILABLE};
        if (!c->seen || !o->seen_before[i] || o->tick == 0 || c->value < o->before[i])
                return (struct reading){.state = READING_INVALID};
        return reading_valid((double)(c->value - o->before[i]));
}

/* Fills in shares of the opened connections, not rates: with a change that works, more connections are opened, and
 * rates rise with them. */
static void fill_opens(const struct observer *o, struct snapshot *s)
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

/* PAWSTimewait moves too rarely for a rate in each tick, so this sums it up over about a minute, and subtracts
 * PAWS_OVERTAKEN of the connections: the kernel also counts an ACK that the FIN after it overtakes (460 a minute at
 * 14,000 connections a second over veth, measured). */
static void fill_paws(struct observer *o, struct snapshot *s)
{
        struct reading change = counter_change(o, COUNTER_PAWS_TIME_WAIT);
        double opened = counter_change(o, COUNTER_ACTIVE_OPENS).value + counter_change(o, COUNTER_PASSIVE_OPENS).value;

        if (change.state == READING_VALID) {
                o->paws = o->paws * exp(-(double)o->tick / (60.0 * NSEC_PER_SEC)) + change.value;
                o->paws = fmax(o->paws - PAWS_OVERTAKEN * opened, 0);
                if (o->paws < 0.1)
                        o->paws = 0;
                change.value = o->paws;
        }
        s->reading[METRIC_PAWS_TIME_WAIT] = change;
}

void fill_counters(struct observer *o, struct snapshot *s)
{
        for (unsigned i = 0; i < o->counters.n; i++) {
                o->before[i] = o->regular[i];
                o->seen_before[i] = o->seen_regular[i];
        }
        read_netstat(o);
        for (unsigned i = 0; i < o->counters.n; i++) {
                const struct counter *c = &o->counters.item[i];
                struct reading *r = &s->reading[METRIC_COUNT + i];

                o->regular[i] = c->value;
                o->seen_regular[i] = c->seen;
                *r = counter_change(o, i);
                if (c->gauge && c->seen)
                        *r = reading_valid((double)(int64_t)c->value);
                else if (r->state == READING_VALID)
                        r->value *= 1e9 / (double)o->tick;
        }
        fill_opens(o, s);
        fill_paws(o, s);
}
