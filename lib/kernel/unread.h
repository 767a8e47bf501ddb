/* SPDX-License-Identifier: MIT */
#pragma once

/* The first source that could not be read in a tick. The others are read all the same. */
struct unread {
        int error;        /* a negative errno; 0: everything was read */
        const char *what; /* the name of the source, as in "cannot read %s"; a static string; NULL while error is 0 */
};

/* Keeps the first error: a later one is often its consequence. error is 0 or a negative errno. */
static inline void unread_add(struct unread *unread, int error, const char *what)
{
        if (error < 0 && unread->error == 0)
                *unread = (struct unread){error, what};
}
