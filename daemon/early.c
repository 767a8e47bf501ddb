/* SPDX-License-Identifier: MIT */
#include "daemon/early.h"

#include <errno.h>
#include <math.h>
#include <sys/epoll.h>

#include "daemon/now.h"
#include "lib/policy/clock.h"
#include "lib/ports/table.h"

#define GLANCES 8u /* in an interval */
#define PERIOD_US_MAX 125000
#define SOONER 4u    /* divides the period while the number of sockets grows: 4,096 ports may last only 0.2 s */
#define STAY_MAX 64u /* regular ticks */

/* Sets the timer to a multiple of the period, so that all daemons of a host wake at the same time for their glances
 * and ticks. */
static void set_timer(struct early *e, uint64_t now)
{
        uint64_t period = e->glances.growing ? e->period / SOONER + 1 : e->period;

        sd_event_source_set_time(e->timer, (now / period + 1) * period);
        sd_event_source_set_enabled(e->timer, SD_EVENT_ONESHOT);
}

/* Disables a source and drops our reference, as sd_event_source_disable_unref(3). Returns NULL. */
static sd_event_source *end_source(sd_event_source *source)
{
        if (source)
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_unref(source);
}

static void bring_tick_forward(struct early *e)
{
        e->brought_forward = true;
        sd_event_source_set_time(e->tick, 0);
}

static int count(const struct early *e, uint64_t *ret)
{
        return e->reusing ? observer_count_opened(e->observer, ret) : observer_count(e->observer, ret);
}

static void look(struct early *e, uint64_t now)
{
        struct glance glance = {.at = now_monotonic_us() * 1000};

        if (count(e, &glance.sockets) == 0 && glance_is_urgent(&e->glances, glance, e->due * 1000))
                bring_tick_forward(e);
        else
                set_timer(e, now);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        look(userdata, usec);
        return 0;
}

static void wake(struct early *e)
{
        e->closings = end_source(e->closings);
        observer_unlisten(e->observer);
        e->awake = 0;
}

static int on_closings(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct early *e = userdata;

        (void)source, (void)fd, (void)events;
        wake(e);
        look(e, now_monotonic_us());
        return 0;
}

/* Stops the glances, until connections end, if the interval added few sockets. After a sleep of less than an interval
 * the daemon stays awake twice as long before it sleeps again: on a busy server connections end all the time, while
 * the number of sockets stays the same. */
static void sleep_if_quiet(struct early *e, uint64_t came)
{
        int fd;

        if (e->closings) {
                e->stay = 1;
                return;
        }
        if (came >= glance_step(e->glances.parity) || ++e->awake < e->stay)
                return;
        fd = observer_listen(e->observer, glance_step(e->glances.parity) / 4);
        if (fd < 0 ||
            sd_event_add_io(sd_event_source_get_event(e->tick), &e->closings, fd, EPOLLIN, on_closings, e) < 0)
                return;
        sd_event_source_set_enabled(e->timer, SD_EVENT_OFF);
        e->stay = MIN(2 * e->stay, STAY_MAX);
}

int early_start(struct early *e, sd_event *event, sd_event_source *tick, struct observer *observer)
{
        int r;

        *e = (struct early){.observer = observer, .tick = tick, .stay = 1, .period = PERIOD_US_MAX};
        r = sd_event_add_time(event, &e->timer, CLOCK_MONOTONIC, 0, 1, on_timer, e);
        return r < 0 ? r : sd_event_source_set_enabled(e->timer, SD_EVENT_OFF);
}

void early_stop(struct early *e)
{
        e->closings = end_source(e->closings);
        e->timer = end_source(e->timer);
        if (e->observer)
                observer_unlisten(e->observer);
}

bool early_begin_tick(struct early *e)
{
        bool early = e->brought_forward && now_monotonic_us() < e->due;

        e->brought_forward = false;
        return early;
}

/* Returns the upper bound, which holds for all destinations; if the metric is valid, the highest lower bound of any
 * destination; 0: unknown. */
static double fullest(const struct snapshot *s, unsigned metric)
{
        const struct reading *r = &s->reading[metric];

        if (r->state == READING_BOUNDED)
                return r->upper;
        return r->state == READING_VALID ? ports_highest(s->ports, metric).lower : 0;
}

/* True if glances are to count connections, not sockets: while reuse works, the number of sockets stays the same, and
 * ports run short only when more connections come within the reuse delay, a second, than a parity has ports. False
 * once ports.reuse_demand reaches GLANCE_SHORT percent: then the rules act at the ticks, and need no glance. */
static bool is_reusing(const struct snapshot *s)
{
        const struct live_sysctl *reuse = &s->sysctl[SYSCTL_TCP_TW_REUSE];

        return reuse->state == READING_VALID && sysctl_equal(&reuse->value, &SYSCTL_VALUE(1)) &&
               fullest(s, METRIC_PORTS_REUSE_DEMAND) < GLANCE_SHORT;
}

/* How full the ports toward one destination will be at the next regular tick, in percent, if nothing new comes. */
static double full_at_due(const struct early *e, const struct snapshot *s, uint64_t now)
{
        double seconds = (double)(e->due - now) / 1e6;

        if (!e->reusing)
                return fullest(s, METRIC_PORTS_CLIFF);
        return fullest(s, METRIC_PORTS_REUSE_DEMAND) * (1 - fmin(seconds, 1));
}

uint64_t early_end_tick(struct early *e, const struct snapshot *s, uint64_t now, uint64_t interval)
{
        uint64_t sockets = observer_counted(e->observer), came = sockets > e->sockets ? sockets - e->sockets : 0;
        bool regular = now >= e->due;

        e->sockets = sockets;
        e->reusing = is_reusing(s);
        if (regular)
                e->due = clock_next_tick(now, interval);
        e->period = MIN(interval / GLANCES + 1, PERIOD_US_MAX);
        e->glances.cliff = full_at_due(e, s, now);
        e->glances.parity = ports_parity(s->ports);
        e->glances.tick = e->glances.last =
                (struct glance){.at = now * 1000, .sockets = e->reusing ? observer_opened(e->observer) : sockets};
        if (regular)
                sleep_if_quiet(e, came);
        if (!e->closings)
                set_timer(e, now);
        return e->due;
}
