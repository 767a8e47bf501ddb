/* SPDX-License-Identifier: MIT */
#pragma once

/* A `struct backend` around the model of a kernel: the daemon's own tick() runs in it, on a clock that is moved by
 * hand, with the daemon's own table of ports. It can fail in every way in which the real one can. */

#include <setjmp.h>
#include <stdio.h>

#include "daemon/tick.h"
#include "kernel_model.h"
#include "lib/audit/text.h"
#include "lib/kernel/close_wait.h"

/* How many of a thousand calls fail so. */
struct faults {
        unsigned read, write, save;   /* -EIO */
        unsigned swallow;             /* a write that says 0 and does nothing */
        unsigned observe, dump_ports; /* -EIO */
        unsigned invalid;             /* a reading of a snapshot that is not there */
        unsigned crash;               /* the process is gone: sim_* return false */
};

struct sim {
        struct backend backend; /* first */
        struct tuner tuner;
        struct kernel kernel;
        struct random random;
        struct faults faults;
        struct ledger file;     /* as it is on disk */
        uint64_t suspended_ns;  /* the clock runs on while the kernel's timers stand still */
        uint64_t look_every_ns; /* what cpu_budget allows */
        bool running, in_tick, stopping;
        bool unreadable; /* nothing more can be read in this tick */
        jmp_buf gone;
        unsigned lost; /* reloads that a crash cut short: here nobody frees what they had begun */
        unsigned ticks, dumps, writes, events;
        void (*on_event)(struct sim *sim, const struct audit_text *event);
        struct invariants *invariants; /* NULL: not watched */
        FILE *log;                     /* a line for each event; owned; NULL: none */

        /* As the observer's. */
        struct ports *ports;
        struct ports_limits limits;
        struct port_set listening_then;
        bool dumped;
        uint64_t dump_again_at, observed_at, tick_ns, last_ms;
        double time_waits_before;
        double opened_then, recycled_then, before[KERNEL_COUNTERS], drops_before, insert_failed_before;
        bool counted;
        unsigned counter_of[COUNTERS_MAX]; /* enum kernel_counter; KERNEL_COUNTERS: it never moves */
        struct close_wait close_wait;
        struct reading sample[METRIC_COUNT]; /* of the sockets by state */
        uint64_t sample_again_at;
};

/* A kernel as kernel_init() makes it; change it before sim_start(). NULL: no memory. */
struct sim *sim_new(uint64_t seed, unsigned low, unsigned ports);
void sim_free(struct sim *sim);

/* ns, as the daemon sees it. */
uint64_t sim_now(const struct sim *sim);

/* A configuration from the text of a file, and of another that is read over it (NULL: none). Says what is wrong and
 * aborts. */
struct config *sim_config(const char *text, const char *over);

/* Start of a process, with what the ledger holds; reload; its orderly end. false: it crashed in the middle of it. */
bool sim_start(struct sim *sim, const char *text, const char *over);
bool sim_reload(struct sim *sim, const char *text, const char *over);
bool sim_stop(struct sim *sim);

/* kill -9 */
void sim_crash(struct sim *sim);

/* Time passes under a load; then one tick. */
void sim_run(struct sim *sim, const struct load *load, unsigned ms);
bool sim_tick(struct sim *sim);

/* Someone else sets a sysctl. */
void sim_override(struct sim *sim, enum sysctl_id id, const struct sysctl_value *value);

/* The value of a field of an event; "" when it has none. */
const char *sim_event_field(const struct audit_text *event, const char *name);
