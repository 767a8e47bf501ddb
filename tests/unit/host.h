/* SPDX-License-Identifier: MIT */
#pragma once

/* A simulated host for the policy: its sockets, its sysctls, a clock, and a log of what was decided. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_text.h"
#include "files.h"
#include "lib/audit/news.h"
#include "lib/policy/policy.h"
#include "run.h"
#include "sockets.h"

#define SEC NSEC_PER_SEC
#define PEER 0x0a000002u
#define LOOPBACK 0x7f000001u
#define LOG_MAX 256u
#define HOST_STATES 3u

struct entry {
        enum decision_kind kind;
        unsigned rule;
        uint64_t at; /* seconds since the start */
        unsigned n;
        enum outcome outcome;
        bool logged;
        struct decision decision; /* as it was carried out */
};

struct host {
        struct model model;
        struct ports *ports;
        struct config *config;
        struct policy *policy;
        struct audit_news news;
        struct snapshot snapshot;
        struct entry log[LOG_MAX];
        unsigned logged;
        unsigned tick; /* of a second each, unless at is moved on by hand */
        uint64_t recycled, recycled_seen;
        bool no_timestamps; /* of the peer: nothing is ever reused */

        /* As the observer does: look at the sockets only when bounds do not decide. */
        bool skips;
        unsigned dumps;
        uint64_t opened, opened_then, recycled_then;
        bool dumped;
        struct port_set listening_then; /* at the last look */
        uint64_t listeners_at;          /* when they were read */
        unsigned sampled[HOST_STATES];
        uint64_t states_again_at;
        const struct host *follows; /* whose samples by state this one takes */
        enum outcome write_outcome, restore_outcome;
        bool may_pass;    /* what fails may succeed later */
        uint32_t failing; /* a bit for each sysctl that cannot be written whatever write_outcome says */
        uint32_t stuck;   /* a bit for each sysctl that cannot be put back whatever restore_outcome says */
};

static inline uint64_t host_start(void)
{
        return 5000 * SEC;
}

static inline void host_sysctl(struct host *h, enum sysctl_id id, int64_t value)
{
        h->snapshot.sysctl[id] = (struct live_sysctl){READING_VALID, SYSCTL_VALUE(value)};
}

static inline int64_t host_sysctl_value(const struct host *h, enum sysctl_id id)
{
        return h->snapshot.sysctl[id].value.v[0];
}

static inline char *shipped_policy(void)
{
        static char *text;

        if (!text)
                text = file_read(CONF_DIR "/policy.conf");
        return text;
}

/* Fills what is behind the ends of lists, so that a test notices a read of it. */
static inline void poison_ends(struct config *config)
{
        for (unsigned i = 0; i < config->n_rules; i++) {
                struct rule *rule = &config->rule[i];

                memset(&rule->when[rule->n_when], 0xaa, sizeof(rule->when) - rule->n_when * sizeof(rule->when[0]));
                memset(&rule->until[rule->n_until], 0xaa,
                       sizeof(rule->until) - rule->n_until * sizeof(rule->until[0]));
                memset(&rule->abort[rule->n_abort], 0xaa,
                       sizeof(rule->abort) - rule->n_abort * sizeof(rule->abort[0]));
                memset(&rule->action[rule->n_actions], 0xaa,
                       sizeof(rule->action) - rule->n_actions * sizeof(rule->action[0]));
        }
        if (config->n_rules < RULES_MAX)
                memset(&config->rule[config->n_rules], 0xaa, sizeof(config->rule[0]));
}

/* Stock sysctls and no sockets. */
static inline struct host *host_new(const char *policy)
{
        struct host *h = calloc(1, sizeof(*h));

        ck_assert_ptr_nonnull(h);
        h->ports = ports_new(7);
        h->config = config_of(policy);
        poison_ends(h->config);
        h->policy = policy_new(h->config);
        h->snapshot.now = host_start();
        h->snapshot.ports = h->ports;
        h->snapshot.memory_bytes = UINT64_C(1) << 40;
        host_sysctl(h, SYSCTL_TCP_TW_REUSE, 2);
        host_sysctl(h, SYSCTL_TCP_TW_REUSE_DELAY, 1000);
        host_sysctl(h, SYSCTL_TCP_FIN_TIMEOUT, 60);
        host_sysctl(h, SYSCTL_TCP_TIMESTAMPS, 1);
        h->write_outcome = OUTCOME_APPLIED;
        h->restore_outcome = OUTCOME_RESTORED;
        return h;
}

static inline void host_free(struct host *h)
{
        policy_free(h->policy);
        config_free(h->config);
        ports_free(h->ports);
        free(h);
}

/* One connection that the client opens and closes; where the kernel may reuse a port, it takes the oldest. */
static inline void host_connect(struct host *h, uint32_t dst, uint64_t at)
{
        bool applies = host_sysctl_value(h, SYSCTL_TCP_TW_REUSE) == 1 ||
                       (host_sysctl_value(h, SYSCTL_TCP_TW_REUSE) == 2 && dst == LOOPBACK);
        uint64_t delay = (uint64_t)host_sysctl_value(h, SYSCTL_TCP_TW_REUSE_DELAY) * NSEC_PER_MSEC;
        struct model *m = &h->model;
        uint16_t port = 0;

        if (applies && !h->no_timestamps && m->n > 1000 && m->socket[0].since + delay < at) {
                port = m->socket[0].sport;
                memmove(&m->socket[0], &m->socket[1], (m->n - 1) * sizeof(m->socket[0]));
                m->n--;
                h->recycled++;
        }
        if (m->n < (m->ports > 0 ? m->ports : 28000)) {
                struct model_socket *s = model_add(m, TCP_TIME_WAIT, dst, 80, at);

                s->sport = port ? port : s->sport;
                h->opened++;
        }
}

static inline unsigned host_count(const struct host *h, uint8_t state)
{
        unsigned n = 0;

        for (unsigned i = 0; i < h->model.n; i++)
                n += h->model.socket[i].state == state;
        return n;
}

/* Sockets by state: sampled slowly, between two samples the last one stands, and while one is due there are bounds. */
static const struct {
        unsigned metric;
        uint8_t state;
} host_states[HOST_STATES] = {
        {METRIC_TCP_ESTABLISHED, TCP_ESTABLISHED},
        {METRIC_TCP_TIME_WAIT, TCP_TIME_WAIT},
        {METRIC_TCP_FIN_WAIT2_ORPHANED, TCP_FIN_WAIT2},
};

static inline void host_fill_states(struct host *h)
{
        bool due = h->snapshot.now >= h->states_again_at;

        for (unsigned i = 0; i < HOST_STATES; i++)
                h->snapshot.reading[host_states[i].metric] =
                        due ? reading_bounded(0, host_count(h, host_states[i].state)) : reading_valid(h->sampled[i]);
}

static inline void host_sample_states(struct host *h)
{
        if (h->snapshot.now < h->states_again_at)
                return;
        for (unsigned i = 0; i < HOST_STATES; i++)
                h->sampled[i] = host_count(h, host_states[i].state);
        h->states_again_at = h->snapshot.now + METRIC_SLOWLY_SECONDS * SEC;
        host_fill_states(h);
}

static inline void host_look(struct host *h)
{
        struct snapshot *s = &h->snapshot;
        struct ports_limits limits = stock_limits();
        const struct destination *busiest;

        if (h->model.ports > 0)
                limits.high = limits.low + h->model.ports - 1;
        limits.tw_reuse = (unsigned)host_sysctl_value(h, SYSCTL_TCP_TW_REUSE);
        limits.tw_reuse_delay_ms = (unsigned)host_sysctl_value(h, SYSCTL_TCP_TW_REUSE_DELAY);
        model_dump(&h->model, h->ports, &limits, s->now, h->recycled - h->recycled_then);
        busiest = ports_busiest(h->ports);
        for (unsigned m = METRIC_PORTS_FIRST; m <= METRIC_PORTS_LAST; m++)
                s->reading[m] = reading_of(busiest ? ports_value(busiest, m).lower : 0);
        host_sample_states(h);
        h->listening_then = h->model.listening;
        h->listeners_at = s->now;
        h->opened_then = h->opened;
        h->recycled_then = h->recycled;
        h->dumped = true;
        h->dumps++;
}

/* Listeners are read slowly as well. */
static inline bool host_bounds_hold(struct host *h)
{
        if (!h->dumped || h->recycled != h->recycled_then)
                return false;
        if (h->snapshot.now - h->listeners_at < METRIC_SLOWLY_SECONDS * SEC)
                return true;
        h->listeners_at = h->snapshot.now;
        return memcmp(&h->model.listening, &h->listening_then, sizeof(h->listening_then)) == 0;
}

static inline void host_bound(struct host *h)
{
        struct ports_range bounds[METRIC_PORTS_COUNT];
        struct snapshot *s = &h->snapshot;

        ports_bounds(h->ports, h->opened - h->opened_then, h->model.n,
                     h->listeners_at != s->now ? LISTENERS_UNSEEN : 0, bounds);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++)
                s->reading[METRIC_PORTS_FIRST + i] = reading_bounded(bounds[i].lower, bounds[i].upper);
}

/* The two steps of the observer and the tick (daemon/tick.c:observe). */
static inline void host_observe_seldom(struct host *h)
{
        bool dump_ports = !host_bounds_hold(h);

        if (!dump_ports)
                host_bound(h);
        host_fill_states(h);
        if (!dump_ports && policy_evaluate(h->policy, &h->snapshot)->needs_dump)
                host_sample_states(h);
        if (dump_ports || policy_evaluate(h->policy, &h->snapshot)->needs_dump)
                host_look(h);
}

/* Where the host that it follows goes by a sample, this one does as well: a sample is older than a look. */
static inline void host_observe_always(struct host *h)
{
        h->states_again_at = 0;
        host_look(h);
        for (unsigned i = 0; h->follows && i < HOST_STATES; i++) {
                const struct reading *r = &h->follows->snapshot.reading[host_states[i].metric];

                if (r->state == READING_VALID)
                        h->snapshot.reading[host_states[i].metric] = *r;
        }
}

static inline void host_observe(struct host *h)
{
        struct snapshot *s = &h->snapshot;

        model_expire(&h->model, s->now);
        s->reading[METRIC_COUNT + COUNTER_TW_RECYCLED] = reading_valid((double)(h->recycled - h->recycled_seen));
        h->recycled_seen = h->recycled;
        s->reading[METRIC_COUNT + COUNTER_SYN_RETRANS] = reading_valid(0);
        s->reading[METRIC_TCP_TIMESTAMPS] = reading_valid(1);
        if (h->skips)
                host_observe_seldom(h);
        else
                host_observe_always(h);
}

static inline void host_carry_out(struct host *h, struct decision *d, struct live_sysctl *live)
{
        for (unsigned i = 0; i < d->n; i++) {
                struct change *c = &d->change[i];
                bool enter = d->kind == DECISION_ENTER || d->kind == DECISION_STEP;

                if (d->kind == DECISION_OVERRIDDEN || !c->write)
                        continue;
                c->outcome = h->config->rule[d->rule].observe       ? OUTCOME_WOULD
                             : enter && h->failing >> c->sysctl & 1 ? OUTCOME_FAILED
                             : enter                                ? h->write_outcome
                             : h->stuck >> c->sysctl & 1            ? OUTCOME_FAILED
                                                                    : h->restore_outcome;
                c->may_pass = h->may_pass;
                if (c->outcome == OUTCOME_APPLIED || c->outcome == OUTCOME_RESTORED)
                        live[c->sysctl].value = c->value;
        }
}

/* Decides on the snapshot as it stands. What is written is seen in the next one. */
static inline void host_decide(struct host *h)
{
        struct live_sysctl live[SYSCTL_COUNT];
        struct decision d;

        memcpy(live, h->snapshot.sysctl, sizeof(live));
        policy_evaluate(h->policy, &h->snapshot);
        policy_advance(h->policy, &h->snapshot);
        while (policy_decide(h->policy, &h->snapshot, false, &d)) {
                struct entry *e = &h->log[h->logged++];

                ck_assert_uint_lt(h->logged, LOG_MAX);
                host_carry_out(h, &d, live);
                *e = (struct entry){.kind = d.kind,
                                    .rule = d.rule,
                                    .n = d.n,
                                    .outcome = d.change[0].outcome,
                                    .decision = d,
                                    .at = (h->snapshot.now - host_start()) / SEC};
                e->logged = news_decision_is_new(&h->news, &d, policy_commit(h->policy, &d), h->snapshot.now);
        }
        memcpy(h->snapshot.sysctl, live, sizeof(live));
}

/* The connections of one second. None is closed just when the sockets are looked at: to the millisecond that is known
 * of a socket, nothing could tell whether that look has seen it. */
static inline void host_connect_all(struct host *h, unsigned rate, uint32_t dst)
{
        for (unsigned i = 0; i < rate; i++)
                host_connect(h, dst, h->snapshot.now + (2 * i + 1) * SEC / (2 * rate));
}

/* Seconds of load: rate connections a second toward dst. */
static inline void host_run(struct host *h, unsigned seconds, unsigned rate, uint32_t dst)
{
        for (unsigned s = 0; s < seconds; s++) {
                host_connect_all(h, rate, dst);
                h->snapshot.now += SEC;
                host_observe(h);
                host_decide(h);
        }
}

/* Seconds in which only host metrics matter. */
static inline void host_pass(struct host *h, unsigned seconds)
{
        for (unsigned s = 0; s < seconds; s++) {
                h->snapshot.now += SEC;
                host_decide(h);
        }
}

static inline void host_reading(struct host *h, unsigned metric, double value)
{
        h->snapshot.reading[metric] = reading_valid(value);
}

static inline void check_log(const struct host *h, unsigned n, const enum decision_kind kinds[],
                             const unsigned rules[])
{
        for (unsigned i = 0; i < h->logged; i++)
                fprintf(stderr, "# %llu s: rule %u kind %d outcome %d\n", (unsigned long long)h->log[i].at,
                        h->log[i].rule, h->log[i].kind, h->log[i].outcome);
        ck_assert_uint_eq(h->logged, n);
        for (unsigned i = 0; i < n; i++)
                ck_assert_msg(h->log[i].kind == kinds[i] && h->log[i].rule == rules[i], "entry %u", i);
}

#define CHECK_LOG(h, n, kinds, ...) \
        check_log(h, n, (const enum decision_kind[]){kinds}, (const unsigned[]){__VA_ARGS__})
