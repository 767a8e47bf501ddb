/* SPDX-License-Identifier: MIT */
#pragma once

/* The life of a rule from its first change to the end: for a person who asks what happened, and whether it is over. */

#include "lib/audit/record.h"

#define EPISODES_MAX 32u

enum episode_end {
        EPISODE_LASTS,
        EPISODE_RELEASED,   /* the need was over, or a service needed a port */
        EPISODE_UNEXPECTED, /* the expected effect did not come */
        EPISODE_ABORTED,    /* an abort condition was met */
        EPISODE_OVERRIDDEN, /* another program changed the sysctl */
        EPISODE_CUT,        /* the rule went with a configuration, or with the daemon */
};

struct episode {
        char rule[RULE_NAME_MAX];
        uint64_t begun, ended; /* ns of CLOCK_BOOTTIME; ended: 0 while it lasts */
        unsigned steps;        /* changes that were made, or advice that was given */
        enum episode_end end;
        double peak;              /* the most of the metric that decided, in its unit */
        struct evidence evidence; /* of its first decision: for whom, and why */
};

/* The last of them, oldest first from `next`. */
struct episodes {
        struct episode item[EPISODES_MAX];
        unsigned next; /* where the next one goes */
};

/* Begins, extends or ends the episode of a rule, if its decision was carried out. */
void episodes_take(struct episodes *episodes, const struct rule *rule, const struct decision *decision,
                   enum progress progress, uint64_t now);

/* Ends the episode of a rule that goes without a decision. */
void episodes_cut(struct episodes *episodes, const char *rule, uint64_t now);

const char *episode_end_name(enum episode_end end);
