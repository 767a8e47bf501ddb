/* SPDX-License-Identifier: MIT */
/* The daemon's tick() over months of simulated time: generated loads, a backend that fails, people who interfere.
 * invariants.c has what must hold.
 *
 *         check_simulation FILE [TICKS]            the hosts of a file, a line each: SEED RUN, then what it shows
 *         check_simulation FIRST COUNT [TICKS]     COUNT hosts of TEST_SEED (1), from run FIRST on */

#include <dirent.h>
#include <malloc.h>

#include "../unit/host.h"
#include "invariants.h"

#define TROUBLE_EVERY 40000u /* ticks, of which TROUBLE_FOR have trouble */
#define TROUBLE_FOR 4000u
#define RESTART_EVERY 5000u
#define WARM_UP 400000u /* ticks */
#define GROWTH 16384u   /* bytes, over however long */
#define IDLE 8000u      /* seconds: the longest release time, and what came before it */

#define HOSTS_MAX 1000u
#define POLICIES 20u
#define TICKS_EACH 2000u

/* What begins a host: two of one seed share nothing. */
static struct host_seed {
        uint64_t seed;
        unsigned run;
} hosts[HOSTS_MAX];
static unsigned n_hosts, ticks = 1000000;

struct run {
        char name[64];
        struct sim *sim;
        struct invariants invariants;
        struct random random;
        struct story story;
        const char *policy, *over;
        char *written;    /* random policies are written here; NULL: the policy is the shipped one */
        unsigned changes; /* a minute, of random policies */
        unsigned faults_left;
        struct sysctl_value begun[SYSCTL_COUNT]; /* what the host began with */
        size_t used;                             /* bytes of the heap, and file descriptors, then */
        unsigned fds, lost;
};

static unsigned pick(struct run *r, unsigned n)
{
        return random_below(&r->random, n);
}

static bool chance(struct run *r, unsigned one_in)
{
        return pick(r, one_in) == 0;
}

static void random_kernel(struct run *r)
{
        static const int64_t reuse[] = {2, 2, 2, 1, 0}, delay[] = {1000, 1000, 500, 250}, orphans[] = {4096, 16384};
        struct kernel *k = &r->sim->kernel;

        k->lacks[SYSCTL_TCP_TW_REUSE_DELAY] = chance(r, 4); /* before Linux 6.14 */
        k->sysctl[SYSCTL_TCP_TW_REUSE] = SYSCTL_VALUE(reuse[pick(r, ELEMENTSOF(reuse))]);
        k->sysctl[SYSCTL_TCP_TW_REUSE_DELAY] = SYSCTL_VALUE(delay[pick(r, ELEMENTSOF(delay))]);
        k->sysctl[SYSCTL_TCP_SYNCOOKIES] = SYSCTL_VALUE(pick(r, 2));
        k->sysctl[SYSCTL_TCP_FIN_TIMEOUT] = SYSCTL_VALUE(chance(r, 3) ? 30 : 60);
        k->sysctl[SYSCTL_TCP_MAX_ORPHANS] = SYSCTL_VALUE(orphans[pick(r, ELEMENTSOF(orphans))]);
        k->sysctl[SYSCTL_TCP_TIMESTAMPS] = SYSCTL_VALUE(!chance(r, 10));
}

/* EVENT_LOG=FILE: what tests/decisions.py compares. */
static void open_log(struct run *r, unsigned series)
{
        const char *path = getenv("EVENT_LOG");

        if (!path)
                return;
        r->sim->log = fopen(path, "ae");
        ck_assert_ptr_nonnull(r->sim->log);
        fprintf(r->sim->log, "%s, series %u\n", r->name, series);
}

/* series: another story for the same host in each of the tests. */
static void run_begin(struct run *r, unsigned host, unsigned series, const char *policy)
{
        const struct host_seed *h = &hosts[host];
        unsigned ports;

        memset(r, 0, sizeof(*r));
        r->random = (struct random){h->seed, h->seed + ((uint64_t)(series + h->run) << 32)};
        snprintf(r->name, sizeof(r->name), "TEST_SEED=%" PRIu64 " check_simulation %u 1", h->seed, h->run);
        ports = 64 + 2 * pick(r, 64);
        r->sim = sim_new(r->random.state, 32768 + 2 * pick(r, 1000), ports);
        ck_assert_ptr_nonnull(r->sim);
        open_log(r, series);
        random_kernel(r);
        memcpy(r->begun, r->sim->kernel.sysctl, sizeof(r->begun));
        story_begin(&r->story, &r->random, ports);
        invariants_begin(&r->invariants, r->sim, r->name);
        r->policy = policy;
}

static void start(struct run *r)
{
        while (!sim_start(r->sim, r->policy, r->over))
                ;
}

/* A second or so under the load at hand, and a tick. */
static void live(struct run *r)
{
        unsigned ms = (unsigned)(r->sim->tuner.config->interval_ns / NSEC_PER_MSEC);

        if (story_next(&r->story))
                invariants_disturb(&r->invariants, r->sim);
        sim_run(r->sim, &r->story.load, ms - 5 + pick(r, 10));
        if (!sim_tick(r->sim))
                start(r);
}

/* Nothing happens on the host: nothing may be held in the end, and nothing is changed any more. */
static void rest(struct run *r)
{
        static const struct load nothing;

        invariants_disturb(&r->invariants, r->sim);
        for (unsigned i = 0; i < IDLE; i++) {
                sim_run(r->sim, &nothing, 1000);
                if (!sim_tick(r->sim))
                        start(r);
        }
}

static void stop(struct run *r)
{
        r->sim->faults = (struct faults){0};
        if (!sim_stop(r->sim))
                abort();
        invariants_restored(&r->invariants, r->sim);
}

/* ---- random policies ---- */

static void random_condition(struct run *r, char *text, const char *key)
{
        static const struct {
                const char *metric, *unit;
                unsigned most;
        } rows[] = {
                {"ports.forecast", "%", 150},
                {"ports.demand", "%", 150},
                {"ports.relief", "%", 100},
                {"ports.reuse_demand", "%", 150},
                {"ports.used", "", 100},
                {"tcp.time_wait", "", 500},
                {"tcp.fin_wait1", "", 20000},
                {"tcp.fin_wait2_orphaned", "", 10000},
                {"time_wait.table", "%", 100},
                {"orphans.table", "%", 100},
                {"memory.tcp", "%", 100},
                {"syn_queue.worst", "%", 100},
                {"tcp.keepalive_unanswered", "", 2000},
                {"conntrack.table", "%", 100},
                {"listen.drops", "/s", 10},
        };
        unsigned i = pick(r, ELEMENTSOF(rows));
        char line[200], time[32] = "";

        if (pick(r, 2))
                snprintf(time, sizeof(time), " for %us", 1 + pick(r, 100));
        snprintf(line, sizeof(line), "%s = %s %s %u%s%s\n", key, rows[i].metric, pick(r, 5) ? ">=" : "<",
                 1 + pick(r, rows[i].most), rows[i].unit, time);
        strcat(text, line);
}

/* Whatever a configuration may say, good or foolish. */
static void write_policy(struct run *r, char *text)
{
        static const char *const actions[] = {
                "set = net.ipv4.tcp_tw_reuse = 1",
                "set = net.ipv4.tcp_tw_reuse = 1", /* two rules that hold the same */
                "set = net.ipv4.tcp_tw_reuse_delay = 300",
                "raise = net.ipv4.tcp_max_tw_buckets x2 max 1000000",
                "raise = net.ipv4.tcp_max_orphans x1.5 max 100000\nevery = 20s",
                "lower = net.ipv4.tcp_fin_timeout /1.5 min 15",
                "lower = net.ipv4.tcp_keepalive_intvl /2 min 10\nset = net.ipv4.tcp_keepalive_probes = 4",
                "set = net.ipv4.tcp_syncookies = 1\nrelease = keep",
                "advise = look",
        };
        sprintf(text, "[daemon]\ninterval = %us\nmode = %s\n[limits]\nchanges_per_minute = %u\nmin_interval = %us\n",
                1 + pick(r, 3), chance(r, 8) ? "observe" : "enforce", r->changes, pick(r, 20));
        for (unsigned i = 0; i < ELEMENTSOF(actions); i++) {
                char line[200];

                if (chance(r, 3))
                        continue;
                snprintf(line, sizeof(line), "[rule r%u]\n%s\n", i, actions[i]);
                strcat(text, line);
                for (unsigned n = 1 + pick(r, 2); n > 0; n--)
                        random_condition(r, text, "when");
                for (unsigned n = pick(r, 3); n > 0; n--)
                        random_condition(r, text, "until");
                if (chance(r, 3) && i < 3)
                        strcat(text, "expect = netstat.TcpExt.TWRecycled > 0/s within 5s\nretry = 20s\n");
                if (chance(r, 3))
                        strcat(text, "abort = opens.resets > 2x before within 60s\n");
        }
}

static void random_policy(struct run *r)
{
        do
                write_policy(r, r->written);
        while (!config_is_good(r->written));
}

/* ---- trouble ---- */

static void begin_faults(struct run *r)
{
        struct faults *f = &r->sim->faults;
        unsigned *const all[] = {&f->read, &f->write, &f->save, &f->swallow, &f->observe, &f->dump_ports, &f->invalid};

        *f = (struct faults){0};
        for (unsigned n = 1 + pick(r, 3); n > 0; n--)
                *all[pick(r, ELEMENTSOF(all))] = chance(r, 3) ? 1000 : 1 + pick(r, 500);
        f->crash = chance(r, 4) ? 1 + pick(r, 30) : 0;
        f->invalid = MIN(f->invalid, 300);
        r->faults_left = 1 + pick(r, 300);
}

/* A sysctl that some rule sets: to what it is, to what it was, or to something else. */
static void interfere(struct run *r)
{
        const struct config *config = r->sim->tuner.config;
        const struct rule *rule = &config->rule[pick(r, config->n_rules)];
        const struct ledger_entry *entry;
        struct sysctl_value value;
        enum sysctl_id id;

        if (rule->n_actions == 0)
                return;
        id = rule->action[pick(r, rule->n_actions)].sysctl;
        entry = &r->sim->tuner.apply.ledger.entry[id];
        value = r->sim->kernel.sysctl[id];
        if (chance(r, 3) && entry->state != LEDGER_NONE)
                value = pick(r, 2) ? entry->original : entry->written;
        else if (id == SYSCTL_TCP_TW_REUSE)
                value = SYSCTL_VALUE(pick(r, 3));
        else if (id == SYSCTL_TCP_SYNCOOKIES)
                value = SYSCTL_VALUE(pick(r, 2));
        else
                value.v[value.n - 1] += 2 * pick(r, 3);
        sim_override(r->sim, id, &value);
}

static void reload(struct run *r)
{
        static const char *const over[] = {
                NULL,
                NULL,
                "[daemon]\nmode = observe\n",
                "[rule time-wait-reuse-sooner]\nenabled = no\n",
                "[rule time-wait-reuse]\nuntil =\nuntil = ports.demand < 40% for 1min\n",
                "[rule time-wait-reuse]\nset =\nset = net.ipv4.tcp_tw_reuse = 0\n",
                "[rule time-wait-reuse]\nexpect =\n",
                "[rule wider-port-range]\nenabled = yes\n",
                "[limits]\nnet.ipv4.tcp_max_tw_buckets = max 131072\n[rule orphans-table]\nrelease = keep\n",
        };

        invariants_disturb(&r->invariants, r->sim);
        if (r->written)
                random_policy(r);
        else
                r->over = over[pick(r, ELEMENTSOF(over))];
        if (!sim_reload(r->sim, r->policy, r->over))
                start(r);
}

/* What a person asks for over the bus, for the next tick. */
static void ask(struct run *r)
{
        unsigned what = pick(r, 5), id = pick(r, SYSCTL_COUNT);
        bool enforces = !r->sim->tuner.config->observe;

        r->sim->tuner.requests = (struct requests){
                .pause = what == 0,
                .pause_ns = pick(r, 2) * pick(r, 600) * NSEC_PER_SEC,
                .resume = what == 1,
                .release_all = what == 2 && enforces,
                .release = what == 3 && enforces && !sysctl_table[id].never ? UINT32_C(1) << id : 0,
                .rearm = what == 4 ? UINT32_MAX : 0,
        };
}

static void trouble(struct run *r)
{
        unsigned soon = 400;

        invariants_disturb(&r->invariants, r->sim);
        if (r->faults_left > 0 && --r->faults_left == 0)
                r->sim->faults = (struct faults){0};
        if (r->faults_left == 0 && chance(r, 200))
                begin_faults(r);
        if (chance(r, 300)) {
                interfere(r);
                soon = 4; /* before twtuned sees it */
        }
        if (chance(r, soon))
                reload(r);
        if (chance(r, soon)) {
                sim_crash(r->sim);
                start(r);
        }
        if (chance(r, 50))
                ask(r);
        if (chance(r, 400)) /* stopped, or starved of CPU */
                sim_run(r->sim, &r->story.load, pick(r, 600000));
        if (chance(r, 400))
                r->sim->suspended_ns += pick(r, 86400) * NSEC_PER_SEC;
        if (chance(r, 400))
                r->sim->look_every_ns = pick(r, 2) ? pick(r, 5000) * NSEC_PER_MSEC : 0;
        if (chance(r, 200)) { /* a service comes or goes next to the range */
                unsigned port = (unsigned)r->begun[SYSCTL_IP_LOCAL_PORT_RANGE].v[1] + 1 + pick(r, 60);

                r->sim->kernel.listening.bit[port / 64] ^= UINT64_C(1) << port % 64;
        }
        if (chance(r, 1000)) {
                r->faults_left = 0;
                stop(r);
                start(r);
        }
}

static void end_trouble(struct run *r)
{
        r->faults_left = 0;
        r->sim->look_every_ns = 0;
        r->over = NULL;
        stop(r);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                sim_override(r->sim, id, &r->begun[id]);
        start(r);
}

static unsigned count_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        ck_assert_ptr_nonnull(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* Called with the same configuration each time: nothing may be left of what came between. Before WARM_UP the heap
 * still grows, because the C library keeps some of what was freed. */
static void check_growth(struct run *r)
{
        size_t used = (size_t)mallinfo2().uordblks;
        unsigned fds = count_fds();

        if (r->sim->ticks < WARM_UP)
                return;
        if (r->used == 0 || r->lost != r->sim->lost) {
                r->used = used;
                r->lost = r->sim->lost;
                r->fds = fds;
        }
        ck_assert_msg(used < r->used + GROWTH && fds == r->fds,
                      "%s: %zu bytes were %zu, %u descriptors %u, at tick %u", r->name, used, r->used, fds, r->fds,
                      r->sim->ticks);
}

static void run_end(struct run *r)
{
        rest(r);
        invariants_restored(&r->invariants, r->sim);
        stop(r);
        fprintf(stderr, "# %s: %u ticks, %u looks, %u writes, %u applied, %u released, %u unexpected, %u aborted\n",
                r->name, r->sim->ticks, r->sim->dumps, r->sim->writes, r->invariants.kinds[AUDIT_APPLIED],
                r->invariants.kinds[AUDIT_RELEASED], r->invariants.kinds[AUDIT_UNEXPECTED_EFFECT],
                r->invariants.kinds[AUDIT_ABORTED]);
        sim_free(r->sim);
}

START_TEST(the_shipped_policy)
{
        static struct run r;

        run_begin(&r, (unsigned)_i, 0, shipped_policy());
        start(&r);
        for (unsigned t = 0; t < ticks; t++) {
                unsigned at = t % TROUBLE_EVERY;

                if (at == TROUBLE_EVERY - TROUBLE_FOR) {
                        r.invariants.may_fail = true;
                        r.invariants.steady = false;
                }
                if (at >= TROUBLE_EVERY - TROUBLE_FOR)
                        trouble(&r);
                if (at == 0) {
                        end_trouble(&r);
                        check_growth(&r);
                        r.invariants.may_fail = false;
                        r.invariants.steady = true;
                }
                live(&r);
                if (t % RESTART_EVERY == RESTART_EVERY - 1) {
                        stop(&r);
                        start(&r);
                }
        }
        run_end(&r);
}
END_TEST

/* What a policy does is its own business; promises hold whatever it is. */
START_TEST(random_policies)
{
        static char text[16384];
        static struct run r;

        run_begin(&r, (unsigned)_i, 1000, text);
        r.invariants.may_fail = true;
        r.written = text;
        r.changes = 1 + pick(&r, 20);
        for (unsigned policies = 0; policies < POLICIES; policies++) {
                random_policy(&r);
                start(&r);
                for (unsigned t = 0; t < TICKS_EACH; t++) {
                        if (t > TICKS_EACH / 2)
                                trouble(&r);
                        live(&r);
                }
                end_trouble(&r);
                stop(&r);
        }
        r.policy = shipped_policy();
        r.written = NULL;
        start(&r);
        run_end(&r);
}
END_TEST

/* ---- observe mode ---- */

static struct decided {
        unsigned tick;
        enum audit_kind kind;
        char what[120];
} decided[2][4096];
static unsigned n_decided[2], observing;

static void note(struct sim *sim, const struct audit_text *event)
{
        struct decided *d = &decided[observing][n_decided[observing]];

        if (sim_event_field(event, "RULE")[0] == 0)
                return;
        ck_assert_uint_lt(n_decided[observing]++, ELEMENTSOF(decided[0]));
        d->tick = sim->ticks;
        d->kind = event->kind;
        snprintf(d->what, sizeof(d->what), "%s %s %s", audit_kinds[event->kind].name, sim_event_field(event, "RULE"),
                 sim_event_field(event, "SYSCTL"));
}

/* A kernel on which no write has an effect, and the rules whose metrics do not go by what is written. */
static void live_without_effect(unsigned host, const char *over)
{
        static struct run r;

        run_begin(&r, host, 2000, shipped_policy());
        r.over = over;
        r.sim->kernel.ignores = r.begun;
        r.sim->on_event = note;
        start(&r);
        /* A short run still has a storm in it. */
        for (unsigned t = 0; t < MAX(MIN(ticks, 1000000) / 10, 50000); t++)
                live(&r);
        ck_assert(!observing || r.sim->writes == 0);
        r.sim->on_event = NULL;
        stop(&r);
        sim_free(r.sim);
}

START_TEST(observing_decides_the_same_and_writes_nothing)
{
#define ALIKE \
        "[rule time-wait-reuse]\nexpect =\nabort =\n[rule time-wait-reuse-sooner]\nabort =\n" \
        "[rule syn-cookies]\nexpect =\n[rule orphans-table]\nenabled = no\n[rule fin-wait2-orphans]\nenabled = no\n" \
        "[rule dead-peers]\nenabled = no\n"
        live_without_effect((unsigned)_i, ALIKE);
        observing = 1;
        live_without_effect((unsigned)_i, ALIKE "[daemon]\nmode = observe\n");
        for (unsigned i = 0; i < n_decided[0] && i < n_decided[1]; i++)
                ck_assert_msg(decided[0][i].tick == decided[1][i].tick &&
                                      strcmp(decided[0][i].what, decided[1][i].what) == 0,
                              "decision %u is %s at tick %u, observing %s at %u", i, decided[0][i].what,
                              decided[0][i].tick, decided[1][i].what, decided[1][i].tick);
        ck_assert_uint_eq(n_decided[0], n_decided[1]);
        ck_assert_uint_gt(n_decided[0], 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_set_timeout(tcase, 3600);
        tcase_add_loop_test(tcase, the_shipped_policy, 0, (int)n_hosts);
        tcase_add_loop_test(tcase, observing_decides_the_same_and_writes_nothing, 0, (int)n_hosts);
        tcase_add_loop_test(tcase, random_policies, 0, (int)n_hosts);
}

/* Of the hosts in the file those of one of several parts, which run side by side. Returns false if there is no such
 * file. */
static bool read_hosts(const char *path, unsigned part, unsigned parts)
{
        FILE *f = fopen(path, "re");
        char line[256];

        for (unsigned i = 0; f && fgets(line, sizeof(line), f) && n_hosts < HOSTS_MAX;)
                if (sscanf(line, "%" SCNu64 " %u", &hosts[n_hosts].seed, &hosts[n_hosts].run) == 2)
                        n_hosts += i++ % parts == part;
        if (f)
                fclose(f);
        return f;
}

static unsigned argument(int argc, char *argv[], int i, unsigned otherwise)
{
        return argc > i ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char *argv[])
{
        bool file = argc > 1 && read_hosts(argv[1], argument(argc, argv, 3, 0), MAX(argument(argc, argv, 4, 1), 1u));
        unsigned first = argument(argc, argv, 1, 0), count = file ? 0 : argument(argc, argv, 2, 1);

        for (; n_hosts < MIN(count, HOSTS_MAX) && !file; n_hosts++)
                hosts[n_hosts] = (struct host_seed){random_start().seed, first + n_hosts};
        ticks = argument(argc, argv, file ? 2 : 3, ticks);
        return n_hosts > 0 ? run_suite("simulation", add) : EXIT_FAILURE;
}
