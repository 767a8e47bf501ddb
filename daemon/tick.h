/* SPDX-License-Identifier: MIT */
#pragma once

/* The tick: one pass from what is seen to what is done about it. */

#include "daemon/backend.h"
#include "daemon/request.h"
#include "lib/apply/limits.h"
#include "lib/policy/policy.h"

struct tuner {
        struct backend *backend;
        struct config *config; /* owned */
        struct policy *policy; /* owned */
        struct limits limits;
        struct ledger ledger;
        struct snapshot snapshot; /* of the last tick */
        struct requests requests; /* for the next one */
        uint64_t paused_until;    /* nothing is written, and what is held stays; 0: not paused; or PAUSED_FOR_GOOD */
        bool config_is_new;       /* to be told when it is known what this kernel lacks for it */
        const char *unread;       /* what could not be read at the last tick */
        int unread_error;         /* why: a negative errno; 0: everything was read */
        int write_error;          /* why it only observes although the configuration does not say so; 0: it does not */
        bool rejected;            /* the configuration of the last reload, so that the one before goes on */
        bool ledger_dirty;        /* the file is not what the ledger is: saving it failed */
        uint64_t orphans_again_at; /* when to try again what could not be put back */
        uint32_t orphans_logged;   /* of which it was said that it waits for that: a bit each */
        char status[256];          /* the sentence that the service manager was last told; "": none */
        uint64_t status_every;     /* snapshot.look_every in it */
        bool status_is_plain;      /* it tells of nothing but that */

        /* How many outcomes the log has told of each sysctl since the start. */
        uint64_t logged[SYSCTL_COUNT][OUTCOME_COUNT];
};

/* Takes over config, and the ledger of the process before: what a rule of config still sets is held on, the
 * rest is put back by the first tick. 0 or -ENOMEM; on an error config stays the caller's. */
int tuner_start(struct tuner *tuner, struct backend *backend, struct config *config, const struct ledger *ledger,
                uint64_t now);

/* Puts another configuration in place of the running one, which is freed. What no rule sets any more is put
 * back. 0 or -ENOMEM; on an error config stays the caller's and all is as before. */
int tuner_reload(struct tuner *tuner, struct config *config);

void tick(struct tuner *tuner);

/* Puts back all that the ledger holds, the last write first; why is part of a sentence: "twtuned stops". Returns
 * how many could not be put back. */
unsigned tuner_restore_all(struct tuner *tuner, const char *why);

/* Saves the ledger. What fails is said once, and tried again at every tick. */
void tuner_save_ledger(struct tuner *tuner);

/* It does not do all that it was told to. */
bool tuner_is_degraded(const struct tuner *tuner);

void tuner_stop(struct tuner *tuner);
