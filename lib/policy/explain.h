/* SPDX-License-Identifier: MIT */
#pragma once

/* Why a rule is or is not active: what the policy knows of it after a tick, for people. Decides nothing. */

#include "lib/policy/policy.h"

enum standing {
        STANDING_ACTIVE,
        STANDING_DISABLED,
        STANDING_UNAVAILABLE,  /* this kernel or netns lacks a metric or sysctl of it */
        STANDING_FOREIGN,      /* its sysctls are someone else's */
        STANDING_WAITING,      /* it failed or was refused, and is not tried before wait_ns have passed */
        STANDING_PREREQUISITE, /* the rung below is not taken */
        STANDING_NEEDLESS,     /* its sysctls have that effect already, or nothing is left to do */
        STANDING_IDLE,         /* some condition does not hold, or not long enough */
        STANDING_READY,        /* all hold: it acts as soon as it may */
};

struct condition_now {
        enum truth holds;
        struct reading reading;           /* what it is judged by */
        uint64_t held_ns;                 /* without a break */
        char whose[DESTINATION_NAME_MAX]; /* the destination, or the listener; "": nobody's */
        char unit[SNAPSHOT_UNIT_MAX];
};

struct abort_now {
        bool watching;      /* its window is open */
        double mean, limit; /* since the step, and what that must not exceed */
};

struct explanation {
        enum standing standing;
        uint64_t active_ns; /* of ACTIVE, on valid ticks since the last step; it expects the effect for expecting_ns */
        uint64_t wait_ns, expecting_ns;
        bool expecting;
        unsigned prerequisite; /* of RUNG: the rule below */
        const char *lacks;     /* of UNAVAILABLE: the name of a metric or sysctl */
        uint32_t foreign;      /* a bit for each of its sysctls that is someone else's */
        uint64_t cgroup;       /* of the sockets of the destination that when is about; 0: unknown */
        uint64_t released_ns;  /* ago; 0: never, or not known */

        /* For the destination that is nearest to all of when; until is about all destinations, and shows the worst. */
        struct condition_now when[RULE_CONDITIONS_MAX], until[RULE_CONDITIONS_MAX], expect;
        struct abort_now abort[RULE_ABORTS_MAX];
};

/* snapshot is the one of the last policy_step(). */
void policy_explain(const struct policy *policy, unsigned rule, const struct snapshot *snapshot,
                    struct explanation *ret);
