/* SPDX-License-Identifier: MIT */
#pragma once

/* Groups the journal's records into episodes. An episode is a time in which a rule was active. */

#include <jansson.h>

/* Groups records, which are sorted by time and have the keys of "history --json". Returns an array of the episodes,
 * which the caller owns. In each record that belongs to an episode, sets "episode" to its index in the array. The keys
 * of an episode are "rule", "begun" and "ended" (Unix times; null: not ended; if no record says that it ended: the
 * time of the first record of the next start or mode), "sysctls" (by name: "was", "now" and "would", which is true if
 * the change was only observed), "destination", "systemd_unit", "metric", "peak", "steps", "helped", "end" (the event
 * that ended it, or null), "why". */
json_t *episodes_of(json_t *records);

/* "net.ipv4.tcp_tw_reuse 2 -> 1, for ...", without the rule. The caller frees it. Out of memory ends the program. */
char *episode_text(const json_t *episode);
