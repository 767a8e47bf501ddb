/* SPDX-License-Identifier: MIT */
#pragma once

/* The state of the policy, and what its three phases share: evaluate.c reads the state, advance.c moves its clocks,
 * decide.c reads the state and the evaluation, commit.c changes the state. */

#include <assert.h>

#include "lib/policy/action.h"
#include "lib/policy/policy.h"

/* A mean over less time, or a share of fewer connections, is no trend. This time is five samples at the default
 * interval, and one sample at an interval of 5 s or more. */
#define TREND_NS_MIN (5 * NSEC_PER_SEC)
#define TREND_WEIGHT_MIN 100

struct abort_state {
        struct trail trail; /* the last minute */
        struct mean after;  /* of ports.*: the value that did harm */
        double limit;       /* the mean after the step must not exceed it */
        bool over; /* not watched: its time has passed, the minute before is unknown, observe mode, or adopted */
        bool harm;
};

/* With more failed destinations, the one that expires first is forgotten, and the rule may be tried there at once.
 * With stock sysctls the TIME_WAIT table is too small to put so many destinations under pressure at once. */
#define FAILED_MAX 32u

/* A destination where the rule had no effect or did harm, and the time before which it is not tried there again. */
struct failed_effect {
        struct destination_key key;
        uint64_t until;
};

struct rule_state {
        bool active;
        uint64_t tried_at;    /* the tick of the last try: there is one try a tick */
        uint64_t not_before;  /* after a failure: no try before this time */
        unsigned failures;    /* how many of its last tries failed temporarily, one after the other */
        uint32_t wanted;      /* a bit for each sysctl to take even while active: once foreign, or not yet written */
        uint64_t again_at;    /* when it may take them; 0: at once */
        uint64_t released_at; /* 0: never */
        unsigned release_factor;
        uint64_t active_ns;           /* since the last step; of a late tick only elapsed.ns */
        uint64_t stepped_at;          /* the tick of the last step, or try */
        uint64_t taken_for;           /* id of the destination that the rule acts for; 0: unknown, or none */
        struct failed_effect *failed; /* FAILED_MAX items, in struct policy */
        bool any_failed;              /* false: all of them are empty, and need not be read */
        unsigned last_failed;         /* index of the entry written last */
        bool expecting, unexpected;
        uint64_t expecting_ns;
        struct clock when[RULE_CONDITIONS_MAX], until[RULE_CONDITIONS_MAX], quiet;
        struct destination_clock
                *destination_when[RULE_CONDITIONS_MAX]; /* PORTS_DESTINATIONS each, in the policy; NULL: none */
        struct abort_state *abort;                      /* RULE_ABORTS_MAX items, in struct policy */
};

struct held {
        uint64_t rules; /* a bit for each rule that holds it */
        struct sysctl_value value, original;
        uint64_t taken_at; /* the tick; the snapshot of that tick still shows the value before */
        bool foreign;
};

struct policy {
        const struct config *config;
        uint64_t last_now;

        /* For policy_rest(). Near the start, because on an idle host each tick reads these. */
        bool rests;
        uint64_t rested_ns; /* the time that no clock has counted yet */
        uint64_t rested_version;
        unsigned n_rested;
        struct {
                unsigned metric;
                struct reading reading;
        } rested[METRIC_COUNT + COUNTERS_MAX]; /* the metrics that rules name */
        struct live_sysctl rested_sysctl[SYSCTL_COUNT];

        struct held held[SYSCTL_COUNT];
        struct held would[SYSCTL_COUNT]; /* what the rules with mode = observe would hold */
        struct rule_state state[RULES_MAX];
        struct evaluation evaluation;
        uint64_t evaluated_at; /* the time of its snapshot */
        bool state_changed;    /* since then */

        /* State that few rules need, kept apart so that it takes no memory while untouched. */
        struct failed_effect failed[RULES_MAX][FAILED_MAX];
        struct abort_state abort[RULES_MAX][RULE_ABORTS_MAX];
        struct destination_clock destination_clock[]; /* PORTS_DESTINATIONS for each condition that needs them */
};

static_assert(RULES_MAX <= 64, "struct held has one bit a rule");

/* Marks the evaluation as outdated; the rules do not rest any more. */
static inline void state_changes(struct policy *p)
{
        p->state_changed = true;
        p->rests = false;
}

/* rest.c: rest_init() lists the metrics that rules name; rest_end() ends a rest and adds its time to the clocks. */
void rest_init(struct policy *p);
void rest_end(struct policy *p);

/* Computes the mean of a metric of `abort` in the minute before now. Returns false if too little of that
 * minute was seen. Always true for ports.syn_waiting, which compares the ports of one dump. */
static inline bool abort_before(unsigned metric, const struct abort_state *a, uint64_t now, struct mean *ret)
{
        *ret = trail_mean(&a->trail, now);
        return metric_is_ports(metric) || ret->ns >= TREND_NS_MIN;
}

/* True if the rule writes nothing while other rules do. */
static inline bool only_observes(const struct policy *p, unsigned rule)
{
        return p->config->rule[rule].observe && !p->config->observe;
}

/* True if the rule writes nothing. */
static inline bool observes(const struct policy *p, unsigned rule)
{
        return p->config->observe || p->config->rule[rule].observe;
}

/* The sysctl as the rule holds it or, in observe mode, would hold it. */
static inline struct held *held_by(struct policy *p, unsigned rule, enum sysctl_id sysctl)
{
        return only_observes(p, rule) ? &p->would[sysctl] : &p->held[sysctl];
}

static inline const struct held *held_of(const struct policy *p, unsigned rule, enum sysctl_id sysctl)
{
        return only_observes(p, rule) ? &p->would[sysctl] : &p->held[sysctl];
}

static inline uint64_t rule_bit(unsigned rule)
{
        return UINT64_C(1) << rule;
}

/* True if the rule holds the sysctl or, in observe mode, would hold it. */
static inline bool rule_holds(const struct policy *p, unsigned rule, enum sysctl_id sysctl)
{
        return held_of(p, rule, sysctl)->rules & rule_bit(rule);
}

/* True if the value is inside the bounds, which [limits] may have narrowed since it was written. */
bool is_within_bounds(const struct config *config, enum sysctl_id sysctl, const struct sysctl_value *value);

/* The index of the rule that has to be in effect first; RULE_NONE: none. While the configured one is not active, its
 * successor_of() replaces it if it is superseded, and its own prerequisite replaces it if it is disabled, unavailable
 * or superseded by this rule. */
unsigned prerequisite_of(const struct policy *p, unsigned rule);

/* True if the prerequisite is in effect, whoever set its sysctls. loopback: toward a destination on the loopback. */
bool prerequisite_in_effect(const struct policy *p, unsigned rule, const struct snapshot *s, bool loopback);

/* True if a change would have an effect, or the rule only advises. loopback: toward a destination on the loopback. */
bool rule_can_help(const struct policy *p, unsigned rule, const struct snapshot *s, bool loopback);

/* True if the rule is enabled, policy_is_unavailable() is false, and of its sysctls that no other rule supersedes:
 * each can be read, it is known how far a port range can grow, no rule that this one supersedes holds one, and at
 * least one is not foreign (unless the rule only advises). */
bool rule_is_available(const struct policy *p, unsigned rule, const struct snapshot *s);

/* True if the rule is not active, or is active and may take a further sysctl now. */
bool rule_may_enter(const struct policy *p, unsigned rule);

/* True if the rule raises the table of TIME_WAIT. */
bool rule_raises_time_wait(const struct rule *rule);

/* True if the rule raises the table of TIME_WAIT, and that may do harm: see table_may_spoil(). */
bool rule_does_harm(const struct policy *p, unsigned rule, const struct snapshot *s);

/* The rule of the administrator whose action counts instead of this action of the vendor's rule; RULE_NONE: this
 * action counts. */
unsigned superseding_rule(const struct policy *p, unsigned rule, unsigned action);

/* If each action of the rule is superseded, the superseding_rule() of the first action; else RULE_NONE. */
unsigned successor_of(const struct policy *p, unsigned rule);

/* True if a rule that this one supersedes still holds the sysctl, or did when the snapshot was made. */
bool superseded_is_in_the_way(const struct policy *p, unsigned rule, enum sysctl_id sysctl, const struct snapshot *s);

/* True if the rule holds a sysctl for which another rule counts now. */
bool holds_superseded(const struct policy *p, unsigned rule);

/* True if one of its sysctls is raised or lowered by steps. */
bool rule_steps(const struct rule *rule);

/* A reading without the effect of held sysctls: a table is measured against its original size, and sockets are counted
 * as if they stayed for the original time. */
struct reading reading_without_remedy(const struct policy *p, const struct snapshot *s, unsigned metric);

/* The value of a destination; for a range, the end that makes the condition harder to meet: rules become active on the
 * lower end and are released on the upper one. */
double destination_value(const struct condition *c, const struct destination *d);

#define QUIET_NS (60 * NSEC_PER_SEC) /* the release time of a rule without `until` */
