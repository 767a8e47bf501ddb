/* SPDX-License-Identifier: MIT */
#pragma once

/* Finds the known name that a person most likely meant. */

struct suggestion {
        const char *wanted;
        const char *name; /* the best so far, borrowed from the caller; NULL: nothing is near enough */
        unsigned distance;
};

#define SUGGESTION(w) ((struct suggestion){.wanted = (w)})

/* Offers one known name. Near enough is a third of the wanted name's length, or one name at the end of the
 * other ("tw_reuse" for "net.ipv4.tcp_tw_reuse"). */
void suggestion_offer(struct suggestion *suggestion, const char *name);

/* ", did you mean NAME?", or "" when nothing is near. */
const char *suggestion_hint(const struct suggestion *suggestion, char buf[static 128]);
