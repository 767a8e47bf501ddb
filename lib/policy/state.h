/* SPDX-License-Identifier: MIT */
#pragma once

/* The inside of the policy, shared by policy.c (which decision is next), policy_step.c (the clocks and the
 * conditions that they measure) and policy_settle.c (what came of a decision). */

#include <assert.h>

#include "lib/policy/action.h"
#include "lib/policy/clock.h"
#include "lib/policy/policy.h"

/* Less than that is no trend: one tick of retransmits, or a few connections. */
#define TREND_SAMPLES_MIN 5
#define TREND_WEIGHT_MIN 100

static inline bool mean_is_trend(const struct mean *mean, bool is_share)
{
        return mean->n >= TREND_SAMPLES_MIN && (!is_share || mean->weight >= TREND_WEIGHT_MIN);
}

struct abort_state {
        struct trail trail; /* the last minute */
        struct mean after;
        double limit; /* what after must not exceed */
        bool over;    /* the window has passed, or nothing is known of the time before */
        bool harm;
};

struct rule_state {
        bool active;
        bool logged;          /* the last outcome that changed nothing was logged */
        uint64_t tried_at;    /* the tick of the last try: not twice in one tick */
        uint64_t not_before;  /* after a failure */
        uint64_t released_at; /* 0: never */
        unsigned release_factor;
        uint64_t active_ns;  /* since the last step, on valid ticks */
        uint64_t stepped_at; /* the tick of the last step, or try */
        uint64_t taken_for;  /* ports_group.id of the destination in the last decision; 0: unknown, or none */
        bool expecting, unexpected;
        uint64_t expecting_ns;
        struct clock when[RULE_CONDITIONS_MAX], until[RULE_CONDITIONS_MAX], quiet;
        struct destination_clock
                *destination_when[RULE_CONDITIONS_MAX]; /* owned, PORTS_GROUPS each; NULL: not needed */
        struct abort_state abort[RULE_ABORTS_MAX];
};

struct held {
        uint64_t rules; /* a bit for each rule that holds it */
        struct sysctl_value value, original;
        uint64_t taken_at; /* the tick; the snapshot of that tick still shows the value before */
        bool foreign;
        bool rearmed; /* it was theirs: a rule that is active without it may take it as well */
};

struct policy {
        const struct config *config;
        uint64_t last_now, dt;
        struct held held[SYSCTL_COUNT];
        struct rule_state state[RULES_MAX];
};

static_assert(RULES_MAX <= 64, "struct held has one bit a rule");

static inline bool rule_steps(const struct rule *rule)
{
        for (unsigned k = 0; k < rule->n_actions; k++)
                if (action_steps(&rule->action[k]))
                        return true;
        return false;
}

static inline bool ports_valid(const struct snapshot *s)
{
        return s->reading[METRIC_PORTS_FIRST].state == READING_VALID;
}

/* A reading as it would be without what the rules hold: the need is measured against the table as it was, and against
 * the time that sockets would have stayed. */
struct reading reading_unrelieved(const struct policy *p, const struct snapshot *s, unsigned metric);

/* A value that is known as a range counts at the end that makes the condition harder to hold: rules fire on the
 * lower end and are released on the upper one. */
double destination_value(const struct condition *c, const struct destination *g);
bool destination_holds(const struct condition *c, const struct destination *g);

/* Whether the condition holds for one group at least. */
enum truth anywhere_holds(const struct condition *c, const struct snapshot *s);

/* The same, without what the rules relieve. */
enum truth still_holds(const struct policy *p, const struct condition *c, const struct snapshot *s);

/* Whether it holds for every group that the rule is for: then the need is over. */
enum truth everywhere_holds(const struct policy *p, const struct rule *rule, const struct condition *c,
                            const struct snapshot *s);

/* YES if nothing keeps a rule without `until` any more: no other metric's condition holds, and no destination meets its
 * ports.* conditions. */
enum truth is_quiet(const struct policy *p, unsigned rule, const struct snapshot *s);

/* A group that is past every ports.* threshold of the rule, taken as if the rule relieved nothing; NULL: none is. */
const struct destination *find_pressing(const struct rule *rule, const struct snapshot *s);

/* Whether the rule could change anything for a group on the loopback or not: it cannot where its sysctls work
 * already without it. Advice always can. */
bool rule_can_help(const struct policy *p, const struct rule *rule, const struct snapshot *s, bool loopback);

/* What this kernel or netns has not of what the rule is made of: a sysctl, a metric; NULL: it has all. */
const char *rule_lacks(const struct policy *p, const struct rule *rule, const struct snapshot *s);

/* The rung below; one that is switched off, or that this kernel lacks, is stepped over. RULE_NONE: there is none. */
unsigned prerequisite_of(const struct policy *p, unsigned rule, const struct snapshot *s);

/* Whether that is taken, by us or by whoever set its sysctls. */
bool prerequisite_in_effect(const struct policy *p, unsigned rule, const struct snapshot *s, bool loopback);

/* Whether it is not active, or is so without a sysctl that was taken back. */
bool rule_may_enter(const struct policy *p, unsigned rule);
