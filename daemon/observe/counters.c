/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

/* So large that free(3) returns it to the kernel: it is needed once. */
#define LISTING_SIZE (4 * SOURCE_TEXT_SIZE)

void observer_list_counters(const char *proc_root, struct counters *ret)
{
        static const struct {
                enum source source;
                const char *prefix;
        } files[] = {{SOURCE_NETSTAT, "netstat"}, {SOURCE_SNMP, "snmp"}};
        char *text = malloc(LISTING_SIZE);

        for (unsigned i = 0; text && i < ELEMENTSOF(files); i++) {
                struct proc_file file = source_open(proc_root, files[i].source);

                if (proc_file_read(&file, text, LISTING_SIZE) >= 0)
                        counters_add_all(ret, files[i].prefix, text);
                proc_file_close(&file);
        }
        free(text);
}

static bool snmp_changed(struct observer *o)
{
        if (source_read(o, SOURCE_SNMP) == 0 && strcmp(o->text, o->snmp_text) == 0)
                return false;
        o->snmp_changed_at = o->now;
        remember_text(o, o->snmp_text, sizeof(o->snmp_text));
        return true;
}

/* Skips netstat while its counters of TCP cannot change: the kernel prints 250 names for it, a third of a tick's cost.
 * They change only with a packet or with a socket that is no listener. snmp is read first, so a packet between the two
 * reads changes snmp at the next tick. Two quiet ticks are needed, as sockstat is read later: before the first one, the
 * last TIME_WAIT may still have ended. */
void refresh_counters(struct observer *o)
{
        struct counters *c = &o->counters;
        bool changed = snmp_changed(o) || o->quiet_ticks < 2 || o->error[SOURCE_NETSTAT] < 0;

        if (!changed)
                return;
        for (unsigned i = 0; i < c->n; i++)
                c->item[i].seen = false;
        counters_read(c, "snmp", o->text);
        source_read(o, SOURCE_NETSTAT);
        counters_read(c, "netstat", o->text);
}

static enum source source_of(const struct counter *c)
{
        return strncmp(c->name, "snmp.", 5) == 0 ? SOURCE_SNMP : SOURCE_NETSTAT;
}

/* Returns the change since the read before. A counter that fell was reset, so its change is unknown. */
struct reading counter_change(const struct observer *o, unsigned i)
{
        const struct counter *c = &o->counters.item[i];

        if (!c->seen && o->error[source_of(c)] == 0)
                return (struct reading){.state = READING_UNAVAILABLE};
        if (!c->seen || !o->seen_before[i] || o->tick == 0 || c->value < o->before[i])
                return (struct reading){.state = READING_INVALID};
        return reading_valid((double)(c->value - o->before[i]));
}

/* Shares of the opened connections, not rates: a remedy that works raises the rates. */
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

void fill_counters(struct observer *o, struct snapshot *s)
{
        for (unsigned i = 0; i < o->counters.n; i++) {
                o->before[i] = o->regular[i];
                o->seen_before[i] = o->counters.item[i].seen;
        }
        refresh_counters(o);
        for (unsigned i = 0; i < o->counters.n; i++) {
                const struct counter *c = &o->counters.item[i];
                struct reading *r = &s->reading[METRIC_COUNT + i];

                o->regular[i] = c->value;
                *r = counter_change(o, i);
                if (c->gauge && c->seen)
                        *r = reading_valid((double)(int64_t)c->value);
                else if (r->state == READING_VALID)
                        r->value *= 1e9 / (double)o->tick;
        }
        fill_opens(o, s);
}
