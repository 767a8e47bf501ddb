/* SPDX-License-Identifier: MIT */
#pragma once

/* Finds the known name that a person most likely meant. */

struct nearest {
        const char *wanted;
        const char *name; /* the best so far, borrowed from the caller; NULL: nothing is near enough */
        unsigned distance;
};

#define NEAREST(w) ((struct nearest){.wanted = (w)})

/* Offers one known name. Near enough is a third of the wanted name's length, or one name at the end of the
 * other ("tw_reuse" for "net.ipv4.tcp_tw_reuse"). */
void nearest_offer(struct nearest *nearest, const char *name);

/* ", did you mean NAME?", or "" when nothing is near. */
const char *nearest_hint(const struct nearest *nearest, char buf[static 128]);
