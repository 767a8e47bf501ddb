/* SPDX-License-Identifier: MIT */
#pragma once

/* Everything that a tick does to the world goes through these, so that production and a simulation run the same
 * tick(). All int functions return 0 or a negative errno. */

#include "event.h"
#include "ledger.h"
#include "snapshot.h"

struct world {
        /* Fills in all of ret. On an error, what could not be read is invalid in ret, and *ret_what says what
         * that was. */
        int (*observe)(struct world *world, struct snapshot *ret, const char **ret_what);

        /* The live value, read afresh. */
        int (*sysctl_read)(struct world *world, enum sysctl_id sysctl, struct sysctl_value *ret);

        /* One write of the whole value. Whether it took is for the caller to read back. */
        int (*sysctl_write)(struct world *world, enum sysctl_id sysctl, const struct sysctl_value *value);

        /* Replaces the ledger on disk, or leaves it as it was. */
        int (*ledger_save)(struct world *world, const struct ledger *ledger);

        void (*report)(struct world *world, const struct event *event);

        /* To the service manager, as in sd_notify(3). */
        void (*notify)(struct world *world, const char *state);
};
