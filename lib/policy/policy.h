/* SPDX-License-Identifier: MIT */
#pragma once

/* Decides which rules become active or are released, and why. Pure: time is the snapshot's, nothing is read or
 * written. A tick is
 *
 *         if (policy_evaluate(policy, snapshot)->needs_dump)
 *                 observe more, and policy_evaluate() again;
 *         policy_advance(policy, snapshot);
 *         while (policy_decide(policy, snapshot, paused, &decision)) {
 *                 make its changes, and fill in their outcomes;
 *                 policy_commit(policy, &decision);
 *         }
 *
 * Each decision is committed before the next one, so that a rule sees in the same tick whether its prerequisite was
 * applied. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/policy/evaluation.h"

struct policy;

enum decision_kind {
        DECISION_ENTER,
        DECISION_STEP,       /* one more step of a sysctl that is raised or lowered */
        DECISION_RELEASE,    /* the need is over */
        DECISION_SUPERSEDED, /* a rule of the administrator now supersedes it for a sysctl that it holds */
        DECISION_GIVE_WAY,   /* a service listens on a port that was added to the ephemeral range */
        DECISION_UNEXPECTED, /* the expected effect did not come */
        DECISION_ABORT,      /* an abort condition was met */
        DECISION_OVERRIDDEN, /* another program changed a held sysctl: it is foreign now */
};

#define DECISION_COUNT (DECISION_OVERRIDDEN + 1)

/* The outcome of one sysctl of a decision. */
enum outcome {
        OUTCOME_JOINED, /* nothing to write: another rule holds the same value */
        OUTCOME_APPLIED,
        OUTCOME_RESTORED,
        OUTCOME_KEPT,      /* release = keep */
        OUTCOME_WOULD,     /* observe mode */
        OUTCOME_UNCHANGED, /* another program set that value already: it is not ours */
        OUTCOME_FOREIGN,   /* another program changed it: left alone */
        OUTCOME_NOTED,     /* another program changed it while it was not held: its value is the original now */
        OUTCOME_YIELDED,   /* the administrator set it: left alone */
        OUTCOME_LIMITED,   /* may not be written yet: tried again later */
        OUTCOME_REFUSED,   /* may not be written: out of bounds, for example */
        OUTCOME_FAILED,
};

#define OUTCOME_COUNT (OUTCOME_FAILED + 1)

/* The name in RESULT= of a record. */
const char *outcome_name(enum outcome outcome);

struct change {
        enum sysctl_id sysctl;
        struct sysctl_value before;   /* the live value, in observe mode as it would be; OVERRIDDEN: the one held */
        struct sysctl_value value;    /* the value to write; once foreign: the live one; OUTCOME_KEPT: `before` */
        struct sysctl_value original; /* the value before any rule */
        bool write;                   /* false: another rule holds the same value */

        /* Filled in by whoever applies the decision. */
        enum outcome outcome;
        int error;      /* negative errno of OUTCOME_FAILED */
        bool may_pass;  /* of OUTCOME_FAILED: it is tried again soon */
        bool unknown;   /* of OUTCOME_FAILED: it was written, and the live value is unknown */
        bool too_full;  /* of OUTCOME_FAILED: not written, as the table may hold more sockets than the value */
        bool from_file; /* of OUTCOME_RESTORED: value is what sysctl.d sets, reason FILE:LINE; false: the original */
        struct sysctl_value file; /* what sysctl.d sets; n == 0: nothing, or it was not read */
        char reason[384]; /* of YIELDED, LIMITED, REFUSED, FAILED; of RESTORED: why not sysctl.d's value, or "" */
};

/* The condition that explains the decision; if several hold, one of them. */
struct evidence {
        unsigned metric; /* RULE_NONE: none */
        enum comparison op;
        double value, threshold;
        char destination[DESTINATION_NAME_MAX]; /* the destination, or the listener; "": none */
        char unit[SNAPSHOT_CULPRIT_MAX];        /* the systemd unit, if the snapshot has it; or "" */
        uint64_t destination_id;                /* of the destination; 0: none */
        uint64_t cgroup;                        /* of its sockets, to find the unit; 0: unknown */
};

struct decision {
        enum decision_kind kind;
        unsigned rule; /* index into the configuration */
        struct evidence evidence;
        unsigned port; /* of GIVE_WAY */
        /* Of ENTER and STEP: the first metric of `abort` of which too little is known in the minute before, so that it
         * is not watched for harm; borrowed; NULL: none. */
        const char *unwatched;
        unsigned n;
        struct change change[RULE_ACTIONS_MAX];
};

/* config is borrowed. NULL: out of memory. */
struct policy *policy_new(const struct config *config);
void policy_free(struct policy *policy);

/* Evaluates every rule. Changes no state, so it may be called again: after more was observed, or to answer a person.
 * The policy owns the result, which is valid until the next call. */
const struct evaluation *policy_evaluate(struct policy *policy, const struct snapshot *snapshot);

/* Evaluates one rule again, after policy_evaluate() with this snapshot. */
const struct rule_evaluation *policy_evaluate_rule(struct policy *policy, unsigned rule,
                                                   const struct snapshot *snapshot);

/* Moves the clocks of every rule to the time of the snapshot. Call it once a tick, after policy_evaluate() with the
 * complete snapshot; it evaluates again if a function below has changed the state since. A clock stands still while
 * its condition is unknown, and after three intervals (at least 3 s) without a tick. A gap that is longer than the
 * time of a condition restarts its clock. Returns the length of the gap in ns, without dumps; 0: the tick was on
 * time. */
uint64_t policy_advance(struct policy *policy, const struct snapshot *snapshot);

/* For an idle host. policy_settle(), at the end of a tick, returns true if the rules rest: until something that they
 * see changes, nothing is decided and no dump is needed. In the next ticks policy_rest() returns true as long as
 * nothing but the time has changed and the tick is on time; it then replaces policy_evaluate(), policy_advance() and
 * policy_decide(). */
bool policy_settle(struct policy *policy, const struct snapshot *snapshot);
bool policy_rest(struct policy *policy, const struct snapshot *snapshot);

/* Fills in the destinations that the next dump must watch: those for which the effect or harm of a rule is watched. */
void policy_watched(const struct policy *policy, struct watch_list *ret);

/* The next decision of this tick; false if there is none left. paused: nothing may be written, so that only changes by
 * other programs are decided on. */
bool policy_decide(struct policy *policy, const struct snapshot *snapshot, bool paused, struct decision *ret);

enum progress {
        PROGRESS_NONE, /* nothing changed: the decision comes again */
        PROGRESS_SOME, /* the rule still holds other sysctls; a decision that had to release them comes again */
        PROGRESS_DONE,
};

/* Takes over the outcome of a decision. */
enum progress policy_commit(struct policy *policy, const struct decision *decision);

/* Takes over a sysctl that an earlier process or configuration left in the ledger. Returns false if it has to be put
 * back: the value is out of bounds, or the rule no longer exists, is disabled, has mode = observe or cannot have
 * written the value. */
bool policy_adopt(struct policy *policy, const char *rule, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original);

/* At a reload, takes over from old which sysctls are foreign, and the state of every rule that is unchanged (except
 * for `retry`, `every`, `release` and texts) and holds no value out of the new bounds. Returns a bit for each such
 * rule. */
uint64_t policy_inherit(struct policy *policy, struct policy *old);

/* Lets changes that failed temporarily be tried again at once. */
void policy_retry(struct policy *policy);

/* A foreign sysctl is held by no rule, and no rule touches it until it is rearmed. */
void policy_set_foreign(struct policy *policy, enum sysctl_id sysctl);
void policy_rearm(struct policy *policy, enum sysctl_id sysctl);
bool policy_is_foreign(const struct policy *policy, enum sysctl_id sysctl);

/* A bit for each rule that holds the sysctl, and the value that they hold. */
uint64_t policy_holders(const struct policy *policy, enum sysctl_id sysctl);
const struct sysctl_value *policy_value(const struct policy *policy, enum sysctl_id sysctl);
bool policy_holds(const struct policy *policy, enum sysctl_id sysctl);

/* The value that the rule holds, or would hold where it only observes; NULL: none. */
const struct sysctl_value *policy_rule_value(const struct policy *policy, unsigned rule, enum sysctl_id sysctl);

/* True if the rule is enabled and, by the last evaluation, this kernel or netns lacks one of its sysctls, or a metric
 * of its `when`, `until` or `expect`. */
bool policy_is_unavailable(const struct policy *policy, unsigned rule);

bool policy_is_active(const struct policy *policy, unsigned rule);

/* A bit for each active rule whose expected effect is awaited. */
uint64_t policy_expecting(const struct policy *policy);
