/* SPDX-License-Identifier: MIT */
#pragma once

/* Which rule enters or leaves, and why. Pure: time is the snapshot's, nothing is read or written, and what came
 * of a decision is told to policy_settle(). A tick is
 *
 *         policy_step(policy, snapshot);
 *         while (policy_next(policy, snapshot, &decision))
 *                 policy_settle(policy, &decision, what came of it);
 *
 * so that a second rung sees in the same tick whether the first one was taken. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"

struct policy;

/* What is known of a condition at this moment. */
enum truth {
        UNKNOWN = -1,
        NO,
        YES,
};

enum decision_kind {
        DECISION_ENTER,
        DECISION_STEP,       /* one more step of what is raised or lowered */
        DECISION_RELEASE,    /* the need is over */
        DECISION_GIVE_WAY,   /* a service began to listen on a port that was taken into the ephemeral range */
        DECISION_UNEXPECTED, /* the effect that was expected did not come */
        DECISION_ABORT,      /* it did harm */
        DECISION_OVERRIDDEN, /* someone else changed a sysctl of ours: it is theirs now */
};

/* What came of one sysctl of a decision. */
enum outcome {
        OUTCOME_JOINED, /* nothing to write: another rule holds the value, before or still */
        OUTCOME_APPLIED,
        OUTCOME_RESTORED,
        OUTCOME_KEPT,      /* release = keep */
        OUTCOME_WOULD,     /* observe mode */
        OUTCOME_UNCHANGED, /* someone set that value already: it is not ours */
        OUTCOME_FOREIGN,   /* someone else changed it: left alone */
        OUTCOME_YIELDED,   /* the administrator set it: left alone */
        OUTCOME_LIMITED,   /* not now */
        OUTCOME_REFUSED,   /* outside the bounds */
        OUTCOME_FAILED,
};

#define OUTCOME_COUNT (OUTCOME_FAILED + 1)

/* As in RESULT= of an event. */
const char *outcome_name(enum outcome outcome);

struct change {
        enum sysctl_id sysctl;
        struct sysctl_value before;   /* what is there */
        struct sysctl_value value;    /* what is to be there; OVERRIDDEN: what someone else wrote */
        struct sysctl_value original; /* what the sysctl was before any rule */
        bool write;                   /* no: another rule holds the same value */

        /* Filled in by whoever carries the decision out. */
        enum outcome outcome;
        int error;        /* negative errno of OUTCOME_FAILED */
        bool unknown;     /* of FAILED: it was written, and what is there now is not known */
        char reason[384]; /* of YIELDED, LIMITED, REFUSED and FAILED */
};

struct decision {
        enum decision_kind kind;
        unsigned rule; /* index into the configuration */

        /* The evidence: the first condition of the rule that decided. metric is RULE_NONE where there is none. */
        unsigned metric;
        enum comparison op;
        double value, threshold;
        char group[DESTINATION_NAME_MAX]; /* the destination, or the listener; "" when none is meant */
        char unit[SNAPSHOT_UNIT_MAX];     /* the systemd unit where the snapshot has it; or "" */
        uint64_t destination_id;          /* ports_group.id of that destination; 0: none */
        uint64_t cgroup;                  /* of the destination's sockets, for who can find the unit; 0: unknown */
        unsigned port;                    /* of GIVE_WAY */

        unsigned n;
        struct change change[RULE_ACTIONS_MAX];
};

/* config is borrowed. NULL: no memory. */
struct policy *policy_new(const struct config *config);
void policy_free(struct policy *policy);

/* Whether some rule can only be decided by a look at the sockets: the snapshot has bounds where that look was not
 * taken, and they neither prove nor disprove a condition that counts. Without need the decisions are the same. */
bool policy_needs_dump(const struct policy *policy, const struct snapshot *snapshot);

/* Moves every clock on by the time since the last snapshot. Clocks stand still where a metric is invalid, and
 * start anew after a gap of over three intervals. */
void policy_step(struct policy *policy, const struct snapshot *snapshot);

/* The next decision of this tick; false when there is none left. */
bool policy_next(struct policy *policy, const struct snapshot *snapshot, struct decision *ret);

/* Only what someone else has done, while nothing may be written. */
bool policy_next_overridden(struct policy *policy, const struct snapshot *snapshot, struct decision *ret);

/* Tells what came of a decision. false: the same was told at the last try, and need not be logged again. */
bool policy_settle(struct policy *policy, const struct decision *decision);

/* Takes over a sysctl that an earlier process left in the ledger. false: no enabled rule sets it so; it has to
 * be put back. */
bool policy_adopt(struct policy *policy, const char *rule, enum sysctl_id sysctl, const struct sysctl_value *written,
                  const struct sysctl_value *original);

/* A sysctl that is someone else's: no rule holds it any more, and none touches it until it is taken back. */
void policy_set_foreign(struct policy *policy, enum sysctl_id sysctl);
void policy_rearm(struct policy *policy, enum sysctl_id sysctl);
bool policy_is_foreign(const struct policy *policy, enum sysctl_id sysctl);

/* A bit for each rule that holds it, and the value that they hold. */
uint64_t policy_holders(const struct policy *policy, enum sysctl_id sysctl);
const struct sysctl_value *policy_value(const struct policy *policy, enum sysctl_id sysctl);

/* Takes over the running state of every rule that is the same in both (a reload). */
void policy_inherit(struct policy *policy, const struct policy *old);

bool policy_holds(const struct policy *policy, enum sysctl_id sysctl);

/* Whether this kernel or netns lacks a metric or sysctl of an enabled rule: it will not enter. */
bool policy_is_unavailable(const struct policy *policy, unsigned rule, const struct snapshot *snapshot);

bool policy_is_active(const struct policy *policy, unsigned rule);
