/* SPDX-License-Identifier: MIT */
#pragma once

/* At most one instance runs in a network namespace. It holds the abstract address "\0twtuned", which is the same in
 * every mount namespace, but which any user can bind; and a lock on COOKIE.lock in /run/twtuned, which only root and
 * the service's user can open. */

#include <stdint.h>

struct instance {
        int socket;         /* bound to the address, if nobody else has it */
        int lock;           /* -1: the lock file cannot be opened here */
        char lock_path[64]; /* of its file */

        /* Identifies this network namespace in this boot: SO_NETNS_COOKIE; before Linux 5.14, in the first network
         * namespace only, its inode. */
        uint64_t netns_cookie;
};

/* Returns 0; -EADDRINUSE: another twtuned runs in this network namespace; -ENOPROTOOPT: this is not the first network
 * namespace, and the kernel is older than Linux 5.14; or another negative errno. If the holder of the address is
 * unknown, or is neither root nor the service's user nor our own, prints that and takes only the lock. The caller
 * calls instance_leave() in each case. */
int instance_take(struct instance *ret);
void instance_leave(struct instance *instance);
