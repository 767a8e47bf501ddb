/* SPDX-License-Identifier: MIT */
#pragma once

/* The evaluation of one snapshot: for each rule and each of its conditions the truth, the value, the destination that
 * has this value, and how long the condition has held. Decisions, the need for a dump, the evidence in the log and the
 * explanation for a person all use it. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/config/config.h"
#include "lib/kernel/snapshot.h"
#include "lib/policy/clock.h"
#include "lib/ports/table.h"

enum truth {
        UNKNOWN = -1,
        NO,
        YES,
};

/* The state of a rule: the first that applies, except that IDLE comes before HARMFUL. */
enum standing {
        STANDING_ACTIVE,
        STANDING_DISABLED,
        STANDING_UNAVAILABLE,  /* this kernel or netns lacks a metric or sysctl of it */
        STANDING_SUPERSEDED,   /* for all of its sysctls, the administrator's rules replace it */
        STANDING_FOREIGN,      /* each of its sysctls is foreign, or left to a rule of the administrator */
        STANDING_WAITING,      /* it failed, was refused or did not help, maybe toward one destination: see wait_ns */
        STANDING_NEEDLESS,     /* its sysctls have its effect already, or cannot go further */
        STANDING_HARMFUL,      /* it would do harm: table_may_spoil() */
        STANDING_IDLE,         /* a condition does not hold, or has not held for long enough */
        STANDING_PREREQUISITE, /* its prerequisite is not in effect */
        STANDING_READY,        /* all conditions hold: the rule acts once limits and sysctl.d allow */
};

/* If the rule can help no destination, its ports.* conditions of `when` and `until` have the reading of the busiest
 * one. */
struct condition_evaluation {
        enum truth holds;
        struct reading reading;                /* the value that was compared, or its two ends */
        const struct destination *destination; /* whose value it is, borrowed from the snapshot; NULL: the host's */
        struct clock clock;                    /* for how long it has held */
};

/* For how long the condition has held without a break; 0: it does not hold, or only since this tick. */
static inline uint64_t condition_held_ns(const struct condition_evaluation *e)
{
        return e->holds == YES && e->clock.holds ? e->clock.ns : 0;
}

/* The owner of the value: the destination or the listener, and its systemd unit if the snapshot has it; "": none. */
const char *condition_whose(const struct condition_evaluation *e, unsigned metric, const struct snapshot *s,
                            char buf[static DESTINATION_NAME_MAX]);
const char *condition_unit(const struct condition_evaluation *e, unsigned metric, const struct snapshot *s);

/* The evaluation of an abort condition. */
struct abort_evaluation {
        bool watching;                    /* the rule is active, and abort_state.over is false */
        double mean, limit;               /* the mean since the step (ports.*: the value now), and its limit */
        const struct destination *harmed; /* where a ports.* metric exceeds the limit; NULL: nowhere */
};

struct rule_evaluation {
        enum standing standing;
        const char *lacks;     /* the sysctl or metric (not of `abort`) that this kernel or netns lacks; NULL: none */
        unsigned prerequisite; /* index of the rule; RULE_NONE: none */
        unsigned successor;    /* index of the rule that counts instead of this one; RULE_NONE: this one counts */
        bool can_help[2];      /* a change would have an effect, [1]: on the loopback; a disabled rule: always true */
        bool needs_dump;       /* to resolve an unknown condition that counts, or to watch an effect or harm */

        /* The ports.* conditions of `when` are evaluated for the destination for which most of them hold, each of
         * `until` for the destination that is furthest from meeting it. */
        struct condition_evaluation when[RULE_CONDITIONS_MAX], until[RULE_CONDITIONS_MAX], expect;
        struct clock quiet; /* of a rule without `until`: how long nothing has kept it active */
        struct abort_evaluation abort[RULE_ABORTS_MAX];

        /* Destinations, [1]: on the loopback; NULL: there is none. entering: all ports.* conditions of `when` have
         * held for their time, and the rule has not failed; of several such destinations, the one with the greatest
         * value of the first condition. */
        const struct destination *entering[2];
        const struct destination *most[2]; /* with the greatest value of the first condition of the release */
        /* Would meet every ports.* condition of `when` without reuse. If `expect` names a ports.*, only the
         * destination that the rule acts for counts; else only one that still makes TIME_WAIT. */
        const struct destination *pressing;
        const struct destination *pressing_too; /* another one, where the rule can help and has not failed */

        uint64_t active_ns;     /* since the last step, without gaps; 0: not active */
        unsigned release_times; /* the times of `until` are this many times as long, up to an hour; 0: not active */
        uint64_t expecting_ns;  /* how long the effect has been missing */
        uint64_t wait_ns;       /* until it may be tried again, toward every destination */
        uint64_t released_ns;   /* since its release; 0: never released, or unknown */
        bool expecting;         /* the effect is awaited */
        uint32_t foreign;       /* a bit for each of its sysctls that is foreign */
};

struct evaluation {
        bool needs_dump; /* of any rule */
        struct rule_evaluation rule[RULES_MAX];
};
