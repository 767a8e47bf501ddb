/* SPDX-License-Identifier: MIT */
#pragma once

/* A tick reaches the world only through these functions, so that production and a simulation run the same tick(). All
 * int functions return 0 or a negative errno. */

#include "lib/apply/ledger.h"
#include "lib/apply/preset.h"
#include "lib/audit/record.h"
#include "lib/kernel/snapshot.h"

struct backend {
        /* These three fill in a snapshot. A source that cannot be read makes its own metrics invalid, and the others
         * are read all the same. unread keeps the name and error of the first such source.
         *
         * Fills in the metrics that cost next to nothing to read, and bounds for those that need a dump of all
         * sockets. *ret_dump: a dump is needed, because no bounds of ports.* hold or a recording wants every value. */
        void (*observe)(struct backend *backend, struct snapshot *ret, bool *ret_dump, struct unread *unread);

        /* Replaces bounds in the snapshot by a sample of the sockets by state, if one is due. Returns false if the
         * snapshot is unchanged. */
        bool (*observe_states)(struct backend *backend, struct snapshot *snapshot, struct unread *unread);

        /* Dumps the sockets, or repeats the values of the last dump while cpu_budget forbids another one. watch: see
         * ports_watch(). */
        void (*observe_sockets)(struct backend *backend, const struct watch_list *watch, struct snapshot *snapshot,
                                struct unread *unread);

        /* Reads the live value. */
        int (*sysctl_read)(struct backend *backend, enum sysctl_id sysctl, struct sysctl_value *ret);

        /* Writes the whole value, once. The caller reads it back to see whether the kernel has taken it. */
        int (*sysctl_write)(struct backend *backend, enum sysctl_id sysctl, const struct sysctl_value *value);

        /* Fills in the value that sysctl.d sets, with FILE:LINE, and the kernel's default. */
        void (*sysctl_preset)(struct backend *backend, enum sysctl_id sysctl, struct sysctl_preset *ret);

        /* Replaces the ledger on disk; on an error the old one stays. */
        int (*ledger_save)(struct backend *backend, const struct ledger *ledger);

        /* Returns the systemd unit of a cgroup (see cgroup.h); "": unknown. */
        const char *(*find_unit)(struct backend *backend, uint64_t cgroup);

        /* Looks for a live socket toward a destination (an id) for which the last dump showed none. Returns the cgroup
         * of the socket; 0: none was found, or the last search was too recent. */
        uint64_t (*find_cgroup)(struct backend *backend, uint64_t destination);

        void (*report)(struct backend *backend, const struct audit_record *record);

        /* Sends a state to the service manager, as in sd_notify(3). */
        void (*notify)(struct backend *backend, const char *state);
};
