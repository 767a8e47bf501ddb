/* SPDX-License-Identifier: MIT */
#include "sim_backend.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "invariants.h"
#include "lib/util/macro.h"

#define BOOT_NS (1000 * NSEC_PER_SEC)
#define LEAKING_CGROUP 77

static struct sim *sim_of(struct backend *w)
{
        return (struct sim *)w;
}

uint64_t sim_now(const struct sim *s)
{
        return BOOT_NS + s->kernel.now_ms * NSEC_PER_MSEC + s->suspended_ns;
}

static bool fails(struct sim *s, unsigned of_thousand)
{
        return of_thousand > 0 && random_below(&s->random, 1000) < of_thousand;
}

static void maybe_crash(struct sim *s)
{
        if (fails(s, s->faults.crash))
                longjmp(s->gone, 1);
}

/* ---- observe ---- */

static struct reading share_of(double part, const struct live_sysctl *whole)
{
        if (whole->state != READING_VALID)
                return (struct reading){.state = whole->state};
        return reading_valid(100 * part / (double)whole->value.v[whole->value.n - 1]);
}

static void fill_sysctls(struct sim *s, struct snapshot *snapshot)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                snapshot->sysctl[id] = (struct live_sysctl){s->kernel.lacks[id] ? READING_UNAVAILABLE : READING_VALID,
                                                            s->kernel.sysctl[id]};
}

static void fill_counters(struct sim *s, struct snapshot *snapshot, double seconds)
{
        const struct kernel *k = &s->kernel;
        double opens = k->counter[KERNEL_ACTIVE_OPENS] - s->before[KERNEL_ACTIVE_OPENS];

        for (unsigned i = 0; i < s->tuner.config->counters.n; i++) {
                unsigned of = s->counter_of[i];
                double change = of < KERNEL_COUNTERS ? floor(k->counter[of]) - floor(s->before[of]) : 0;

                if (s->counted && seconds > 0)
                        snapshot->reading[METRIC_COUNT + i] = reading_valid(change / seconds);
        }
        if (s->counted && opens > 0) {
                double syns = k->counter[KERNEL_SYN_RETRANS] - s->before[KERNEL_SYN_RETRANS];
                double resets = k->counter[KERNEL_OUT_RSTS] - s->before[KERNEL_OUT_RSTS];

                snapshot->reading[METRIC_OPENS_SYN_RETRANSMITS] =
                        (struct reading){READING_VALID, .value = 100 * syns / opens, .weight = opens};
                snapshot->reading[METRIC_OPENS_RESETS] =
                        (struct reading){READING_VALID, .value = 100 * resets / opens, .weight = opens};
        }
        memcpy(s->before, k->counter, sizeof(s->before));
        s->counted = true;
}

static void fill_listener(struct sim *s, struct snapshot *snapshot, double seconds)
{
        const struct listener_model *l = &s->kernel.listener;
        double drops = s->kernel.counter[KERNEL_LISTEN_DROPS];

        snapshot->reading[METRIC_TCP_LISTEN] = reading_valid(1);
        snapshot->reading[METRIC_ACCEPT_QUEUE_WORST] = reading_valid(100 * floor(l->queued) / (l->backlog + 1));
        if (seconds > 0)
                snapshot->reading[METRIC_LISTEN_DROPS] = reading_valid((drops - s->drops_before) / seconds);
        snapshot->reading[METRIC_LISTEN_OVERFLOWING] = reading_valid(drops > s->drops_before);
        s->drops_before = drops;
        strcpy(snapshot->endpoint[METRIC_ACCEPT_QUEUE_WORST], "10.0.0.1:80");
        strcpy(snapshot->culprit[METRIC_ACCEPT_QUEUE_WORST], "slow.service");
}

static void fill_tables(struct sim *s, struct snapshot *snapshot, double seconds)
{
        const struct kernel *k = &s->kernel;

        snapshot->reading[METRIC_TIME_WAIT_TABLE] =
                share_of((double)kernel_tw(k), &snapshot->sysctl[SYSCTL_TCP_MAX_TW_BUCKETS]);
        if (seconds > 0)
                snapshot->reading[METRIC_TIME_WAIT_NEEDED] =
                        reading_valid((k->time_waits - s->time_waits_before) / seconds * PORTS_WINDOW);
        s->time_waits_before = k->time_waits;
        snapshot->reading[METRIC_ORPHANS_TABLE] =
                share_of((double)k->orphans.n, &snapshot->sysctl[SYSCTL_TCP_MAX_ORPHANS]);
        snapshot->reading[METRIC_MEMORY_TCP] = reading_valid(k->memory);
        s->sample[METRIC_PORTS_BOUND] = s->sample[METRIC_UDP_PORTS] = reading_valid(0);
        s->sample[METRIC_UDP_RECEIVE_BUFFER] = snapshot->reading[METRIC_PORTS_RESERVED] = reading_valid(0);
        snapshot->reading[METRIC_LISTEN_BURSTS] = snapshot->reading[METRIC_PORTS_BELOW_32768] = reading_valid(0);
        snapshot->reading[METRIC_PAWS_TIME_WAIT] = reading_valid(0);
        snapshot->reading[METRIC_TCP_TIMESTAMPS] =
                reading_valid((double)snapshot->sysctl[SYSCTL_TCP_TIMESTAMPS].value.v[0]);
        snapshot->reading[METRIC_CONNTRACK_TABLE] = reading_valid(k->conntrack);
        if (seconds > 0)
                snapshot->reading[METRIC_CONNTRACK_INSERT_FAILED] =
                        reading_valid((k->insert_failed - s->insert_failed_before) / seconds);
        s->insert_failed_before = k->insert_failed;
        snapshot->reading[METRIC_SELF_OBSERVE_CPU] = reading_valid(0.1);
        snapshot->reading[METRIC_SELF_RSS] = reading_valid(5e6);
}

/* As destinations.c:bound_destinations(). */
static void fill_ports_bounds(struct sim *s, struct snapshot *snapshot)
{
        const struct kernel *k = &s->kernel;
        struct ports_range ports[METRIC_PORTS_COUNT];

        ports_bounds(s->ports, (uint64_t)(k->counter[KERNEL_ACTIVE_OPENS] - s->opened_then),
                     kernel_tw(k) + kernel_inuse(k), 0, ports);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                snapshot->reading[METRIC_PORTS_FIRST + i] = reading_bounded(ports[i].lower, ports[i].upper);
}

/* As states.c: between two samples the last one stands; when one is due, bounds. */
static void fill_states(const struct sim *s, struct snapshot *snapshot)
{
        double tw = (double)kernel_tw(&s->kernel), inuse = (double)kernel_inuse(&s->kernel);
        bool due = snapshot->now >= s->sample_again_at;

        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                if (metric_table[i].cadence != SLOWLY)
                        continue;
                if (!due)
                        snapshot->reading[i] = s->sample[i];
                else if (i == METRIC_TCP_SYN_RECV || i == METRIC_SYN_QUEUE_WORST || i == METRIC_CLOSE_WAIT_GROWTH)
                        snapshot->reading[i] = reading_bounded(0, INFINITY);
                else
                        snapshot->reading[i] = reading_bounded(0, tw + inuse);
        }
}

/* As destinations.c:bounds_hold(). */
static bool bounds_hold(const struct sim *s)
{
        static struct ports_limits now; /* of which kernel_limits() leaves alone what takes room */

        kernel_limits(&s->kernel, &now);
        return s->dumped && s->kernel.counter[KERNEL_TW_RECYCLED] == s->recycled_then && now.low == s->limits.low &&
               now.high == s->limits.high && now.tw_reuse == s->limits.tw_reuse &&
               now.tw_reuse_delay_ms == s->limits.tw_reuse_delay_ms && now.timestamps == s->limits.timestamps &&
               memcmp(&s->kernel.listening, &s->listening_then, sizeof(s->listening_then)) == 0;
}

static void begin_snapshot(struct sim *s, struct snapshot *snapshot)
{
        memset(snapshot->reading, 0, (METRIC_COUNT + s->tuner.config->counters.n) * sizeof(snapshot->reading[0]));
        memset(snapshot->sysctl, 0, sizeof(snapshot->sysctl));
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                snapshot->endpoint[i][0] = snapshot->culprit[i][0] = 0;
        snapshot->now = sim_now(s);
        snapshot->ports = s->ports;
        snapshot->memory_bytes = UINT64_C(8) << 30;
        snapshot->dump_every = s->look_every_ns;
}

/* Some of what was read is not there after all. */
static void lose_readings(struct sim *s, struct snapshot *snapshot)
{
        if (s->faults.invalid == 0)
                return;
        for (unsigned i = 0; i < METRIC_COUNT + s->tuner.config->counters.n; i++)
                if (!(i < METRIC_COUNT && metric_is_ports(i)) && fails(s, s->faults.invalid))
                        snapshot->reading[i] = (struct reading){0};
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (snapshot->sysctl[id].state == READING_VALID && fails(s, s->faults.invalid))
                        snapshot->sysctl[id] = (struct live_sysctl){0};
}

/* A kernel that cannot be read at all stays so for the tick. (lose_readings(): sources that fail alone.) */
static void fail_tick(struct sim *s, struct unread *unread, const char *what)
{
        s->unreadable = true;
        unread_add(unread, -EIO, what);
}

static void observe(struct backend *w, struct snapshot *snapshot, bool *ret_dump, struct unread *unread)
{
        struct sim *s = sim_of(w);
        double seconds = s->last_ms != 0 ? (double)(s->kernel.now_ms - s->last_ms) / 1000 : 0;

        maybe_crash(s);
        s->ticks++;
        begin_snapshot(s, snapshot);
        s->tick_ns = s->observed_at != 0 ? snapshot->now - s->observed_at : 0;
        s->observed_at = snapshot->now;
        *ret_dump = false;
        s->unreadable = false;
        if (fails(s, s->faults.observe)) {
                s->counted = false;
                fail_tick(s, unread, "the simulated kernel");
                return;
        }
        s->last_ms = s->kernel.now_ms;
        fill_sysctls(s, snapshot);
        fill_counters(s, snapshot, seconds);
        fill_listener(s, snapshot, seconds);
        fill_tables(s, snapshot, seconds);
        *ret_dump = !bounds_hold(s);
        if (!*ret_dump)
                fill_ports_bounds(s, snapshot);
        fill_states(s, snapshot);
        lose_readings(s, snapshot);
}

static void sample_close_wait(struct sim *s, uint64_t now)
{
        struct reading *growth = &s->sample[METRIC_CLOSE_WAIT_GROWTH], *stuck = &s->sample[METRIC_CLOSE_WAIT_STUCK];
        uint64_t cgroup;

        close_wait_begin(&s->close_wait);
        for (unsigned i = 0; i < (unsigned)s->kernel.leaked; i++)
                close_wait_add(&s->close_wait, LEAKING_CGROUP, i);
        close_wait_commit(&s->close_wait, now);
        *growth = reading_valid(0);
        if (!close_wait_growth(&s->close_wait, &growth->value, &cgroup))
                growth->state = READING_INVALID;
        *stuck = reading_valid(0);
        if (!close_wait_stuck(&s->close_wait, &stuck->value, &cgroup))
                stuck->state = READING_INVALID;
}

static void sample_states(struct sim *s, uint64_t now)
{
        const struct kernel *k = &s->kernel;
        unsigned held = 0, opening = 0;

        for (unsigned i = 0; i < DESTINATIONS; i++) {
                held += k->model_destination[i].held;
                opening += k->model_destination[i].opening + k->model_destination[i].waiting;
        }
        s->sample[METRIC_TCP_ESTABLISHED] = reading_valid(held + floor(k->listener.queued));
        s->sample[METRIC_TCP_SYN_SENT] = reading_valid(opening);
        s->sample[METRIC_TCP_SYN_RECV] = reading_valid((double)k->syn_recv.n);
        s->sample[METRIC_TCP_FIN_WAIT1] = reading_valid((double)k->orphans.n);
        s->sample[METRIC_TCP_FIN_WAIT2] = reading_valid((double)k->fin_wait2_orphans.n + k->fin_wait2);
        s->sample[METRIC_TCP_TIME_WAIT] = reading_valid((double)k->time_wait.n);
        s->sample[METRIC_TCP_CLOSE_WAIT] = reading_valid(floor(k->leaked));
        s->sample[METRIC_TCP_LAST_ACK] = s->sample[METRIC_TCP_CLOSING] = reading_valid(0);
        s->sample[METRIC_TCP_FIN_WAIT2_ORPHANED] = reading_valid((double)k->fin_wait2_orphans.n);
        s->sample[METRIC_TCP_FIN_WAIT2_HELD] = reading_valid(k->fin_wait2);
        s->sample[METRIC_TCP_KEEPALIVE_UNANSWERED] = reading_valid((double)k->keepalive_unanswered.n);
        s->sample[METRIC_TCP_RETRANSMITTING] = reading_valid((double)k->orphans.n);
        s->sample[METRIC_TCP_DATA_UNANSWERED] = reading_valid(0);
        s->sample[METRIC_SYN_QUEUE_WORST] = reading_valid(100 * (double)k->syn_recv.n / k->listener.syn_backlog);
        sample_close_wait(s, now);
        s->sample_again_at = now + METRIC_SLOWLY_SECONDS * NSEC_PER_SEC;
}

static void dump_ports(struct sim *s, struct snapshot *snapshot)
{
        double recycled = s->kernel.counter[KERNEL_TW_RECYCLED];

        if (snapshot->now >= s->sample_again_at) {
                sample_states(s, snapshot->now);
                fill_states(s, snapshot);
        }
        kernel_limits(&s->kernel, &s->limits);
        ports_begin(s->ports, &s->limits, NULL, &s->kernel.listening, snapshot->now, s->tick_ns);
        kernel_dump(&s->kernel, s->ports, snapshot->now);
        ports_commit(s->ports, (uint64_t)(recycled - s->recycled_then));
        s->listening_then = s->kernel.listening;
        s->recycled_then = recycled;
        s->opened_then = s->kernel.counter[KERNEL_ACTIVE_OPENS];
        s->dumped = true;
        s->dumps++;
}

/* As destinations.c:fill_destinations(). */
static void fill_ports(const struct ports *ports, struct snapshot *snapshot)
{
        const struct destination *busiest = ports_busiest(ports);

        for (unsigned metric = METRIC_PORTS_FIRST; metric <= METRIC_PORTS_LAST; metric++)
                snapshot->reading[metric] = reading_of(busiest ? ports_value(busiest, metric).lower : 0);
        if (!busiest)
                snapshot->reading[METRIC_PORTS_CLIFF_ETA] = reading_valid(INFINITY);
}

static bool observe_states(struct backend *w, struct snapshot *snapshot, struct unread *unread)
{
        struct sim *s = sim_of(w);

        if (s->unreadable)
                return false;
        maybe_crash(s);
        if (snapshot->now < s->sample_again_at)
                return false;
        if (fails(s, s->faults.dump_ports)) {
                fail_tick(s, unread, "the simulated sockets by state");
                return false;
        }
        sample_states(s, snapshot->now);
        fill_states(s, snapshot);
        return true;
}

static void observe_sockets(struct backend *w, const struct watch_list *watch, struct snapshot *snapshot,
                            struct unread *unread)
{
        struct sim *s = sim_of(w);

        ports_watch(s->ports, watch);

        if (s->unreadable)
                return;
        maybe_crash(s);
        if (fails(s, s->faults.dump_ports)) {
                fail_tick(s, unread, "the simulated sockets");
                return;
        }
        if (!s->dumped || snapshot->now >= s->dump_again_at) {
                dump_ports(s, snapshot);
                s->dump_again_at = snapshot->now + s->look_every_ns;
        }
        fill_ports(s->ports, snapshot);
        lose_readings(s, snapshot);
}

/* ---- the rest of the world ---- */

static int sysctl_read(struct backend *w, enum sysctl_id id, struct sysctl_value *ret)
{
        struct sim *s = sim_of(w);

        maybe_crash(s);
        if (s->kernel.lacks[id])
                return -ENOENT;
        if (fails(s, s->faults.read))
                return -EIO;
        *ret = s->kernel.sysctl[id];
        return 0;
}

static int sysctl_write(struct backend *w, enum sysctl_id id, const struct sysctl_value *value)
{
        struct sim *s = sim_of(w);

        maybe_crash(s);
        s->writes++;
        if (s->invariants)
                invariants_before_write(s->invariants, s, id, value);
        if (fails(s, s->faults.write))
                return -EIO;
        if (!fails(s, s->faults.swallow)) {
                if (s->invariants)
                        invariants_write(s->invariants, s, id, value);
                s->kernel.sysctl[id] = *value;
        }
        maybe_crash(s);
        return 0;
}

/* sysctl.d is empty. */
static void sysctl_preset(struct backend *w, enum sysctl_id id, struct sysctl_preset *ret)
{
        (void)w, (void)id;
        *ret = (struct sysctl_preset){0};
}

static int ledger_save(struct backend *w, const struct ledger *ledger)
{
        struct sim *s = sim_of(w);

        maybe_crash(s);
        if (fails(s, s->faults.save))
                return -ENOSPC;
        s->file = *ledger;
        maybe_crash(s);
        return 0;
}

static const char *find_unit(struct backend *w, uint64_t cgroup)
{
        (void)w;
        return cgroup == LEAKING_CGROUP ? "leaking.service" : "";
}

static uint64_t find_cgroup(struct backend *w, uint64_t destination)
{
        (void)w, (void)destination;
        return 0;
}

static void log_event(struct sim *s, const struct audit_text *event)
{
        static const char *const fields[] = {"RULE", "SYSCTL", "OLDVALUE", "NEWVALUE", "RESULT", "GROUP"};

        fprintf(s->log, "%u %s", s->ticks, audit_kinds[event->kind].name);
        for (unsigned i = 0; i < ELEMENTSOF(fields); i++)
                fprintf(s->log, "|%s", sim_event_field(event, fields[i]));
        fputc('\n', s->log);
}

static void report(struct backend *w, const struct audit_record *record)
{
        static struct audit_text text;
        const struct audit_text *event = &text;
        struct sim *s = sim_of(w);
        const char *lacking;

        audit_text_make(&text, record);
        lacking = catalog_lacks(event);
        if (lacking) {
                fprintf(stderr, "%s has no %s, which the catalog names\n", audit_kinds[event->kind].name, lacking);
                abort();
        }
        s->events++;
        if (s->log)
                log_event(s, event);
        if (s->invariants)
                invariants_event(s->invariants, s, event);
        if (s->on_event)
                s->on_event(s, event);
}

static void notify(struct backend *w, const char *state)
{
        (void)w, (void)state;
}

const char *sim_event_field(const struct audit_text *event, const char *name)
{
        return audit_text_value(event, name);
}

/* ---- the process ---- */

struct sim *sim_new(uint64_t seed, unsigned low, unsigned ports)
{
        struct sim *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->backend = (struct backend){observe,      observe_states, observe_sockets, sysctl_read,
                                      sysctl_write, sysctl_preset,  ledger_save,     find_unit,
                                      find_cgroup,  report,         notify};
        s->random = (struct random){seed, seed};
        kernel_init(&s->kernel, seed, low, ports);
        return s;
}

void sim_free(struct sim *s)
{
        if (s->running)
                tuner_stop(&s->tuner);
        if (s->log)
                fclose(s->log);
        ports_free(s->ports);
        free(s);
}

struct config *sim_config(const char *text, const char *over)
{
        struct config *config = config_new();
        struct diagnostics diagnostics = {0};

        if (!config)
                abort();
        config_read(config, "simulated.conf", text, strlen(text), NULL, &diagnostics);
        if (over)
                config_read(config, "over.conf", over, strlen(over), NULL, &diagnostics);
        config_check(config, &diagnostics);
        if (diagnostics.n > 0) {
                fprintf(stderr, "%s:%u: %s\n%s%s\n", diagnostics.item[0].at.file, diagnostics.item[0].at.line,
                        diagnostics.item[0].text, text, over ? over : "");
                abort();
        }
        return config;
}

/* What observer_set_config() does. */
static void set_config(struct sim *s, const struct config *config)
{
        for (unsigned i = 0; i < config->counters.n; i++) {
                s->counter_of[i] = 0;
                while (s->counter_of[i] < KERNEL_COUNTERS &&
                       strcmp(kernel_counter_names[s->counter_of[i]], config->counters.item[i].name) != 0)
                        s->counter_of[i]++;
        }
        s->dumped = false;
        s->counted = false;
        s->sample_again_at = 0;
}

/* A new process knows the ledger's text and nothing else. */
static void read_ledger(struct sim *s)
{
        static const struct ledger_owner owner = {"0", 1, ""};
        char text[LEDGER_TEXT_MAX];

        ledger_format(&s->file, &owner, text);
        if (ledger_parse(text, &owner, &s->tuner.apply.ledger) < 0)
                abort();
}

bool sim_start(struct sim *s, const char *text, const char *over)
{
        struct config *config = sim_config(text, over);

        ports_free(s->ports);
        s->ports = ports_new(1);
        s->last_ms = s->observed_at = s->dump_again_at = s->sample_again_at = 0;
        memset(&s->close_wait, 0, sizeof(s->close_wait));
        set_config(s, config);
        memset(&s->tuner, 0, sizeof(s->tuner));
        read_ledger(s);
        s->running = true;
        if (setjmp(s->gone)) {
                sim_crash(s);
                return false;
        }
        if (tuner_start(&s->tuner, &s->backend, config, sim_now(s)) < 0)
                abort();
        if (s->invariants)
                invariants_checkpoint(s->invariants, s);
        return true;
}

bool sim_reload(struct sim *s, const char *text, const char *over)
{
        struct config *config = sim_config(text, over);

        set_config(s, config);
        if (setjmp(s->gone)) {
                s->lost += s->tuner.config != config;
                sim_crash(s);
                return false;
        }
        if (tuner_reload(&s->tuner, config) < 0)
                abort();
        if (s->invariants) {
                invariants_checkpoint(s->invariants, s);
                invariants_reloaded(s->invariants, s);
        }
        return true;
}

bool sim_stop(struct sim *s)
{
        if (setjmp(s->gone)) {
                sim_crash(s);
                return false;
        }
        s->stopping = true;
        tuner_restore_all(&s->tuner, "twtuned stops");
        s->stopping = false;
        if (s->invariants) {
                invariants_checkpoint(s->invariants, s);
                invariants_stopped(s->invariants, s);
        }
        tuner_stop(&s->tuner);
        s->running = false;
        return true;
}

void sim_crash(struct sim *s)
{
        if (s->invariants)
                invariants_crashed(s->invariants, s);
        tuner_stop(&s->tuner);
        s->running = s->in_tick = s->stopping = false;
}

void sim_run(struct sim *s, const struct load *load, unsigned ms)
{
        kernel_run(&s->kernel, load, s->kernel.now_ms + ms);
}

bool sim_tick(struct sim *s)
{
        if (setjmp(s->gone)) {
                sim_crash(s);
                return false;
        }
        s->in_tick = true;
        tick(&s->tuner);
        if (s->invariants)
                invariants_checkpoint(s->invariants, s);
        s->in_tick = false;
        return true;
}

void sim_override(struct sim *s, enum sysctl_id id, const struct sysctl_value *value)
{
        if (s->invariants)
                invariants_override(s->invariants, s, id, value);
        s->kernel.sysctl[id] = *value;
}
