/* SPDX-License-Identifier: MIT */
#pragma once

/* What must hold whatever happens to a simulated host. A violation is printed with the seed and the last events, and
 * the process aborts. */

#include "sim_backend.h"

#define EVENTS_SHOWN 80u
#define EVENT_SHOWN_SIZE 640
#define CHANGES_MAX 512u

/* One sysctl, as it looks from outside of twtuned. */
struct watched_sysctl {
        struct sysctl_value foreign; /* what was set last by someone else; at first what the kernel began with */
        struct sysctl_value ours;    /* written by twtuned last; n == 0: never */
        struct sysctl_value settled; /* live when everything was last accounted for */
        struct sysctl_value seen;    /* by twtuned, in its last tick or write; n == 0: unknown */
        uint64_t noted_at;           /* when twtuned said that someone changed it while it was not held; 0: never */
        bool overridden;             /* someone changed ours: not to be written again */
        bool logged;                 /* twtuned said so */
        uint64_t changed_at;         /* by twtuned; 0: never */
        uint64_t change[CHANGES_MAX];
        unsigned changes;
};

struct watched_rule {
        char name[RULE_NAME_MAX];
        uint64_t entered_at; /* 0: not known to hold anything */
        uint64_t released_at, entered_before, failed_at;
        unsigned factor;
        bool failed;          /* it went because it did not help, or did harm */
        bool stuck;           /* it is to go because it does not help, and could not be put back */
        bool left_clear;      /* it went with a value that was not near the threshold */
        char failed_for[112]; /* the destination that it did not help; "": any */
};

/* changes_per_minute */
struct bucket {
        double tokens;
        uint64_t filled_at;
};

struct watched_write {
        enum sysctl_id id;
        struct sysctl_value from, to;
        uint64_t changed_before;
};

struct invariants {
        const char *run;           /* how to repeat it; borrowed */
        bool may_fail;             /* faults are injected: a write may need no event of its own */
        bool steady;               /* the policy must not flap under a constant load */
        uint64_t calm_at;          /* load and host are the same since then */
        uint64_t moved_at;         /* when a rule entered for the first time since, or was tried again */
        uint64_t refused;          /* connections, by then: those make a load that is not constant at the sockets */
        uint64_t table_lowered_at; /* the table of TIME_WAIT got a size that is under what it holds */
        bool on_edge;              /* the load fills the table of TIME_WAIT, up to its noise */

        uint64_t faulty_at, died_at; /* when something was made to fail last; when the process was killed */

        struct watched_sysctl sysctl[SYSCTL_COUNT];
        struct watched_rule rule[RULES_MAX];
        struct watched_write unaccounted[16];
        unsigned n_rules, n_unaccounted;
        struct bucket changes; /* with those on paper, which the next process does not know */
        struct bucket written; /* without those on paper */

        char shown[EVENTS_SHOWN][EVENT_SHOWN_SIZE];
        unsigned n_shown;
        unsigned kinds[AUDIT_KIND_COUNT]; /* how many events there were of each */
};

/* Before the first start. */
void invariants_begin(struct invariants *inv, struct sim *sim, const char *run);

/* The load changes, or something is done to the host. */
void invariants_disturb(struct invariants *inv, const struct sim *sim);

/* After the orderly end, or when nothing has needed anything for hours: all is as it was. */
void invariants_restored(struct invariants *inv, const struct sim *sim);

/* Called by the simulated world. before_write: something is about to be written; write: it takes. checkpoint:
 * whatever was written has to be accounted for by now. */
void invariants_before_write(struct invariants *inv, struct sim *sim, enum sysctl_id id,
                             const struct sysctl_value *value);
void invariants_write(struct invariants *inv, struct sim *sim, enum sysctl_id id, const struct sysctl_value *value);
void invariants_event(struct invariants *inv, struct sim *sim, const struct audit_text *event);
void invariants_checkpoint(struct invariants *inv, struct sim *sim);
void invariants_override(struct invariants *inv, struct sim *sim, enum sysctl_id id, const struct sysctl_value *value);
void invariants_reloaded(struct invariants *inv, struct sim *sim);
void invariants_crashed(struct invariants *inv, struct sim *sim);
void invariants_stopped(struct invariants *inv, struct sim *sim);
