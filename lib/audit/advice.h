/* SPDX-License-Identifier: MIT */
#pragma once

/* The current advice: what a person should do, and for which destination, listener or unit. */

#include "lib/audit/episode.h"

#define ADVICE_TEXT_MAX 8192

struct advice {
        unsigned rule;                     /* index into the configuration */
        const struct condition *condition; /* the one that gives the destination or unit, and the severity; borrowed */
        const struct condition_evaluation *now;
        const struct episode *episode; /* the last one of the rule; NULL: it has none; borrowed */
        double severity;               /* value / threshold (inverse for < and <=); infinite if the divisor is 0 */
        uint64_t since;                /* ns of CLOCK_BOOTTIME; 0: unknown */
};

/* Lists the rules that only advise and are active, and those whose change did not help and which wait before they try
 * again; the worst is first. Returns their number. Evaluates these rules again: policy_evaluate() must have seen the
 * snapshot before. */
unsigned advice_list(const struct config *config, struct policy *policy, const struct snapshot *snapshot,
                     const struct episodes *episodes, struct advice ret[static RULES_MAX]);

/* Returns the current destination or listener, or else the one of the episode; "": none. */
const char *advice_whose(const struct advice *advice, const struct snapshot *snapshot,
                         char buf[static DESTINATION_NAME_MAX]);

/* Returns the text of a rule's advice with these names filled in, cut to fit; NULL: the rule has none.
 *
 *         {unit}       the systemd unit; "UNIT" if it is unknown, a container or a unit of a user, or its name needs
 *                      quotes on the command line, or looks like an option
 *         {address}    the address of the destination or listener, else "ADDRESS"
 *         {port}       its port, else "PORT" */
const char *advice_text(const struct rule *rule, const char *whose, const char *unit,
                        char buf[static ADVICE_TEXT_MAX]);

/* Returns the cgroup of the destination; 0: unknown. */
uint64_t advice_cgroup(const struct advice *advice);

/* Returns the systemd unit; "": unknown. of_cgroup: the unit of advice_cgroup(), or "". */
const char *advice_unit(const struct advice *advice, const struct snapshot *snapshot, const char *of_cgroup);
