/* SPDX-License-Identifier: MIT */
#pragma once

/* An episode is the time in which a rule is active, from its first change or advice to the end. The status and the
 * JSON of the bus show episodes, so that a person sees what happened and whether it is over. */

#include "lib/audit/record.h"

#define EPISODES_MAX 32u

enum episode_end {
        EPISODE_LASTS,
        /* The pressure ended, a service needed a port, another rule superseded this one, or a person released the
         * sysctls. */
        EPISODE_RELEASED,
        EPISODE_UNEXPECTED, /* the expected effect did not occur */
        EPISODE_ABORTED,    /* an abort condition was met */
        EPISODE_OVERRIDDEN, /* another program changed the sysctl */
        EPISODE_CUT,        /* a reload removed the rule or made it inactive */
};

extern const char *const episode_end_names[];

struct episode {
        char rule[RULE_NAME_MAX], culprit[SNAPSHOT_CULPRIT_MAX]; /* culprit: a systemd unit; "": unknown so far */
        uint64_t begun, ended;                                   /* ns of CLOCK_BOOTTIME; ended: 0 while it lasts */
        bool helped;                                             /* the expected effect came */
        unsigned steps;                                          /* changes that were made, or advice that was given */
        enum episode_end end;
        double peak;              /* the highest value of the deciding metric at these steps, in the metric's unit */
        struct evidence evidence; /* of its first decision: why, and toward which destination */
};

/* The last EPISODES_MAX episodes, a ring: the oldest one is at next. */
struct episodes {
        struct episode item[EPISODES_MAX];
        unsigned next;    /* the place of the next new episode */
        uint64_t changes; /* grows when an episode begins, ends or changes; not for `helped` */
};

/* Begins, extends or ends the episode of a rule, if its decision was carried out. culprit: a systemd unit, or "". */
void episodes_take(struct episodes *episodes, const struct rule *rule, const struct decision *decision,
                   const char *culprit, enum progress progress, uint64_t now);

/* Returns the last episode of a rule; NULL: it has none. */
const struct episode *episodes_last(const struct episodes *episodes, const char *rule);

/* Returns the last episode of a rule if it has not ended; else NULL. */
static inline const struct episode *episodes_current(const struct episodes *episodes, const char *rule)
{
        const struct episode *last = episodes_last(episodes, rule);

        return last && last->end == EPISODE_LASTS ? last : NULL;
}

/* Notes that the expected effect of a rule came. Returns its episode; NULL: it has none. */
const struct episode *episodes_met(struct episodes *episodes, const char *rule);

/* Ends an episode for a reason other than a decision of its rule, such as a reload. */
void episodes_end(struct episodes *episodes, struct episode *episode, enum episode_end how, uint64_t now);
