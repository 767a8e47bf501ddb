/* SPDX-License-Identifier: MIT */
#pragma once

/* The kinds of events in the journal. The ids are for ever: scripts and the catalog go by them. */

enum event_kind {
        EVENT_APPLIED,
        EVENT_RELEASED,
        EVENT_REFUSED,
        EVENT_FAILED,
        EVENT_OVERRIDDEN,
        EVENT_UNEXPECTED_EFFECT,
        EVENT_ABORTED,
        EVENT_ADVICE,
        EVENT_HARMFUL,
        EVENT_DEGRADED,
        EVENT_RECOVERED,
        EVENT_CONFIG_LOADED,
        EVENT_CONFIG_REJECTED,
        EVENT_KIND_COUNT,
};

struct event_kind_row {
        const char *name;
        int priority; /* syslog(3) */
        const char *message_id;
};

const char *event_kind_name(enum event_kind kind);

extern const struct event_kind_row event_kinds[EVENT_KIND_COUNT];
