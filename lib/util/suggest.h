/* SPDX-License-Identifier: MIT */
#pragma once

/* Suggests the known name that a person most likely meant. */

struct suggestion {
        const char *wanted; /* borrowed */
        const char *name;   /* the best so far, borrowed from the caller; NULL: no name is near enough */
        unsigned distance;
};

#define SUGGESTION(w) ((struct suggestion){.wanted = (w)})

/* Makes a known name the best one if it is near enough to the wanted name, and nearer than the best so far. It is near
 * enough if at most a third of the letters of the wanted name differ (of a short one, one letter), or if one of the
 * two names ends with the other, which has at least 4 letters ("tw_reuse", "net.ipv4.tcp_tw_reuse"). */
void suggestion_offer(struct suggestion *suggestion, const char *name);

/* Returns buf: ", did you mean NAME?", or "" when no name is near enough. */
const char *suggestion_hint(const struct suggestion *suggestion, char buf[static 128]);
