/* SPDX-License-Identifier: MIT */
#pragma once

/* The records of the journal as episodes: the time in which a rule was active. */

#include <jansson.h>

/* Groups records, which are in the order of their times and have the keys of "history --json". Adds to each record that
 * belongs to an episode its number as "episode", and returns the episodes in the order of their numbers: "rule",
 * "begun" and "ended" (Unix times; null: it lasts), "sysctls" ("was" and "now" by name), "destination", "systemd_unit",
 * "metric", "peak", "steps", "helped", "end" (the event that ended it, or null), "why". The caller owns the array. */
json_t *episodes_of(json_t *records);

/* "net.ipv4.tcp_tw_reuse 2 -> 1, for ...", without the rule. The caller frees it. Out of memory ends the program. */
char *episode_text(const json_t *episode);
