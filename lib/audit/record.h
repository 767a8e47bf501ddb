/* SPDX-License-Identifier: MIT */
#pragma once

/* What happened, as a typed record: one for each event. text.h makes a text of it. */

#include "lib/kernel/snapshot.h"
#include "lib/policy/policy.h"

/* A message_id never changes: scripts and the catalog use it. */
enum audit_kind {
        AUDIT_APPLIED,
        AUDIT_RELEASED,
        AUDIT_REFUSED,
        AUDIT_FAILED,
        AUDIT_OVERRIDDEN,
        AUDIT_UNEXPECTED_EFFECT,
        AUDIT_ABORTED,
        AUDIT_ADVICE,
        AUDIT_HARMFUL,
        AUDIT_DEGRADED,
        AUDIT_RECOVERED,
        AUDIT_CONFIG_LOADED,
        AUDIT_CONFIG_REJECTED,
        AUDIT_PAUSED,
        AUDIT_RESUMED,
        AUDIT_RELEASED_BY_REQUEST,
        AUDIT_REARMED,
        AUDIT_LEFT_CHANGED,
        AUDIT_EXPECTED_EFFECT,
        AUDIT_KIND_COUNT,
};

struct audit_kind_row {
        const char *name;
        int priority; /* syslog(3) */
        const char *message_id;
};

extern const struct audit_kind_row audit_kinds[AUDIT_KIND_COUNT];

/* What a record is about. */
enum audit_subject {
        SUBJECT_CHANGE,      /* a change that a rule decided on */
        SUBJECT_EFFECT,      /* the expected effect of a rule, which has come */
        SUBJECT_RESTORE,     /* a sysctl that is restored because the daemon ends; also if the restore fails */
        SUBJECT_RELEASE,     /* a sysctl that is restored because a person asked for it */
        SUBJECT_ORPHAN,      /* a sysctl that is restored because no rule holds it; retried until it succeeds */
        SUBJECT_HAND,        /* a change of a sysctl by another program while no rule held it */
        SUBJECT_FOREIGN,     /* a sysctl that another program changed or a person released: twtuned leaves it alone */
        SUBJECT_LEFT,        /* in observe mode: a sysctl that an earlier twtuned left changed */
        SUBJECT_ADVICE,      /* advice of a rule */
        SUBJECT_ADVICE_OVER, /* the end of advice */
        SUBJECT_PAUSE,
        SUBJECT_RESUME,
        SUBJECT_REARM,
        SUBJECT_LEDGER,
        SUBJECT_METRICS_FILE,
        SUBJECT_OBSERVATION,
        SUBJECT_TICKS,      /* late ticks */
        SUBJECT_PERMISSION, /* permission to write sysctls */
        SUBJECT_BUS,
        SUBJECT_RECORDING,
        SUBJECT_CONFIG,      /* a configuration that was loaded */
        SUBJECT_CONFIG_FILE, /* a configuration that was rejected */
        SUBJECT_LINE,        /* a harmful line of sysctl.d */
};

/* All pointers are borrowed for the call. */
struct audit_record {
        enum audit_kind kind;
        enum audit_subject subject;
        int error;                /* negative errno; 0: none */
        const char *why;          /* the reason, at the end of the message */
        const char *requested_by; /* RELEASE, FOREIGN, PAUSE, RESUME and REARM: the user who asked; NULL: nobody did */

        /* CHANGE, EFFECT, ADVICE and ADVICE_OVER: the decision, and the rule and counters of its configuration. */
        const struct decision *decision;
        const struct rule *rule;
        const struct counters *counters;
        const char *culprit; /* a systemd unit; "": unknown */

        const struct change *change; /* CHANGE, RESTORE, RELEASE, ORPHAN and HAND */
        /* RESTORE, RELEASE, ORPHAN, HAND, FOREIGN and LEFT: the rule of the sysctl; LINE: a rule to use instead */
        const char *rule_name;
        enum sysctl_id sysctl;                      /* FOREIGN, LEFT and REARM */
        const struct sysctl_value *original, *live; /* FOREIGN and LEFT; live: LEFT only */
        uint64_t ns; /* PAUSE: for how long; 0: until resumed. TICKS: since the last tick, less the time of dumps */
        const char *name;                /* the file, or the source that cannot be read */
        unsigned line;                   /* CONFIG_FILE and LINE: in that file */
        size_t count;                    /* CONFIG_FILE: the number of errors */
        const char *sysctl_name, *value; /* LINE */

        /* CONFIG */
        const struct config *config;
        uint64_t unavailable; /* a bit for each rule */
};
