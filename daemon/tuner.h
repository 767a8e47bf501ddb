/* SPDX-License-Identifier: MIT */
#pragma once

/* What the daemon knows between two ticks. */

#include "daemon/apply/write.h"
#include "daemon/audit/audit.h"
#include "lib/policy/policy.h"

#define PAUSED_FOR_GOOD UINT64_MAX /* until it is resumed */

/* What a person asks of a running daemon: the bus notes it, the next tick carries it out. */
struct requests {
        bool pause, resume;
        uint64_t pause_ns;       /* 0: for good */
        bool release_all;        /* everything that is held then */
        uint32_t release, rearm; /* a bit a sysctl */
};

enum daemon_state {
        STATE_STARTING, /* no tick was completed yet */
        STATE_HEALTHY,
        STATE_ADVISING,  /* advice stands */
        STATE_ACTING,    /* a sysctl is held */
        STATE_WOULD_ACT, /* observe mode: one would be */
        STATE_PAUSED,
        STATE_DEGRADED, /* a part of it fails */
};

struct status {
        enum daemon_state state;
        char text[640];      /* "": none yet */
        uint64_t dump_every; /* snapshot.dump_every as it names it */
        uint64_t restored,
                restored_at; /* how often sysctls were put back; when last, ns of CLOCK_BOOTTIME; 0: never */
};

struct tuner {
        struct backend *backend;
        struct config *config;    /* owned */
        struct policy *policy;    /* owned */
        struct snapshot snapshot; /* of the last tick */
        struct apply apply;
        struct audit audit;
        struct requests requests; /* for the next tick */
        uint64_t started;         /* ns of CLOCK_BOOTTIME */
        uint64_t expecting;       /* a bit for each rule whose effect was awaited after the last tick */
        uint64_t paused_until;    /* nothing is written, and what is held stays; 0: not paused; or PAUSED_FOR_GOOD */
        bool config_is_new;       /* to be logged once it is known what this kernel lacks for it */
        bool rejected;            /* the configuration of the last reload: the one before it goes on */
        struct unread unread;     /* at the last tick */
        uint64_t late_until;      /* a tick came late, and until then that is said once; 0: none */
        int write_error;          /* why it only observes although the configuration does not say so; 0: it does not */
        uint64_t orphans_again_at; /* when to try again to put back what no rule holds */
        struct status status;
};
