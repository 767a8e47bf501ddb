/* SPDX-License-Identifier: MIT */
#pragma once

/* The state of the daemon between two ticks. */

#include "daemon/apply/write.h"
#include "daemon/audit/audit.h"
#include "lib/policy/policy.h"

#define PAUSED_FOR_GOOD UINT64_MAX /* as paused_until: until a person resumes it */

/* Requests from people: the bus stores them, the next tick carries them out. */
struct requests {
        bool pause, resume;
        uint64_t pause_ns;       /* 0: until resumed */
        bool release_all;        /* every held sysctl */
        uint32_t release, rearm; /* a bit for each sysctl */
};

enum daemon_state {
        STATE_STARTING, /* no tick was completed yet */
        STATE_HEALTHY,
        STATE_ADVISING,  /* a rule gives advice */
        STATE_ACTING,    /* a sysctl is held */
        STATE_WOULD_ACT, /* observe mode: a sysctl would be held */
        STATE_PAUSED,
        STATE_DEGRADED, /* a part of the daemon fails */
};

/* The facts in the text of the status; that of STATE_DEGRADED depends on more. */
struct status_facts {
        unsigned held;  /* sysctls that this twtuned or an earlier one changed and that are not put back yet */
        unsigned would; /* observe mode: sysctls that would be changed */
        unsigned n_advice, advice;   /* how many rules give advice, and the worst of them */
        const struct episode *cause; /* of the first rule that holds a sysctl for a destination; NULL: none */
        uint64_t episodes;           /* how often an episode has begun, ended or changed */
        uint64_t dump_every;         /* the snapshot.dump_every that the text shows: see follow_cadence() */
};

struct status {
        enum daemon_state state;
        struct status_facts facts; /* of the text */
        bool reloaded;             /* since the text was made: its rules and interval may be old */
        char text[640];            /* "": none yet */
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
        struct requests requests;  /* for the next tick */
        uint64_t started;          /* ns of CLOCK_BOOTTIME */
        uint64_t expecting;        /* a bit for each rule whose effect was awaited after the last tick */
        uint64_t paused_at;        /* when the pause began */
        uint64_t paused_until;     /* until then rules write nothing, and held values stay; 0: not paused */
        bool config_is_new;        /* to be logged once it is known what this kernel lacks for it */
        bool rejected;             /* the last reload was rejected; the configuration before it stays */
        bool settled;              /* until something changes, ticks have nothing to do */
        struct unread unread;      /* at the last tick */
        uint64_t late_until;       /* a tick came late, and until then the state is degraded; 0: none */
        int write_error;           /* why it cannot write sysctls, and so only observes: negative errno; 0: it can */
        uint64_t orphans_again_at; /* when to retry restoring sysctls that no rule holds */
        struct status status;
};
