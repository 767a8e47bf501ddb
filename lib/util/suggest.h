/* SPDX-License-Identifier: MIT */
#pragma once

/* Suggests the known name that a person most likely meant. */

struct suggestion {
        const char *wanted; /* borrowed */
        const char *name;   /* the best so far, borrowed from the caller; NULL: no name is near enough */
        unsigned distance;
};

#define SUGGESTION(w) ((struct suggestion){.wanted = (w)})

/* Compares a known name, which replaces the best one if it is nearer. It is near enough if a third of the letters of
 * the wanted name differ at most, or if one name ends with the other ("tw_reuse", "net.ipv4.tcp_tw_reuse"). */
void suggestion_offer(struct suggestion *suggestion, const char *name);

/* Returns buf: ", did you mean NAME?", or "" when no name is near enough. */
const char *suggestion_hint(const struct suggestion *suggestion, char buf[static 128]);
