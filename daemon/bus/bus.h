/* SPDX-License-Identifier: MIT */
#pragma once

/* org.twtuned1 on the system bus. A read is answered with the state after the last tick. A change is queued for the
 * next tick and answered after it. Nothing here waits for a caller, nor for the bus, which may be missing, die and
 * come back. */

#include <limits.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus/describe.h"
#include "daemon/bus/read.h"
#include "daemon/tuner.h"
#include "lib/audit/text.h"

#define BUS_NAME "org.twtuned1"
#define BUS_NAME_SIZE 256 /* the longest name that a bus allows, and the 0 (D-Bus specification: Valid Names) */
#define BUS_CALLS_MAX 16u
#define BUS_CHANGES_MAX 32u

enum bus_call_kind {
        BUS_PAUSE,
        BUS_RESUME,
        BUS_RELEASE,
        BUS_REARM,
        BUS_RECORD,
};

/* A call that waits for its answer. */
struct bus_call {
        struct bus *bus;
        sd_bus_message *message; /* NULL: the slot is free */
        sd_bus_slot *slot;       /* while the bus is asked for the caller's uid; NULL: stored for the next tick */
        enum bus_call_kind kind;
        uint32_t sysctls;
        bool all;
        uint64_t ns;
        int fd; /* of BUS_RECORD, owned; -1: none */
};

/* A change made in the current tick, signalled after it. */
struct bus_change {
        char kind[24], sysctl[64], from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX], rule[RULE_NAME_MAX], message[256];
};

/* The values that PropertiesChanged was last sent for. */
struct bus_properties {
        char status[640];
        enum daemon_state state;
        bool observe, paused;
};

struct bus {
        sd_event *event; /* borrowed */
        struct tuner *tuner;
        char name[BUS_NAME_SIZE], path[1 + BUS_NAME_SIZE], instance[NAME_MAX + 1];

        sd_bus *bus;     /* NULL: no connection */
        bool named;      /* we own the name on the bus */
        bool refused;    /* the request for it failed; another connection may own it */
        bool logged;     /* the refusal was logged */
        uint64_t try_at; /* ns: when to try again */

        struct bus_call call[BUS_CALLS_MAX];
        struct bus_change change[BUS_CHANGES_MAX];
        unsigned n_changes;
        struct bus_properties signalled;

        struct readers readers;
        uint64_t queued, taken_at; /* messages that the bus has not read; ns: when it was last seen to read some */

        bool asked;       /* since the last tick, a client asked for the state */
        uint64_t look_at; /* ns: the earliest dump for a client (observer_look_at()) */

        /* service.c reads these before a tick, and sets recording after it. */
        int record_fd;        /* the file for a new recording, owned; -1: none */
        bool recording;       /* a recording is running, whoever asked for it */
        sd_bus_track *client; /* the client that asked for it on the bus; NULL: none */
        bool client_gone;
};

/* TWTUNED_INSTANCE in the environment is the name of this instance. The caller zero-initializes bus. Most of it
 * takes no memory until it is used. */
void bus_start(struct bus *bus, sd_event *event, struct tuner *tuner);
void bus_stop(struct bus *bus);

/* In a tick: stores what to signal. */
void bus_note(void *bus, const struct audit_record *record, const struct audit_text *text);

/* After a tick: answers calls, sends signals, and maintains the connection. */
void bus_after_tick(struct bus *bus);

/* call.c: the methods. */
extern const sd_bus_vtable bus_vtable[];
void bus_answer_calls(struct bus *bus);
void bus_drop_calls(struct bus *bus);

/* Call this when the client that asked for a recording is gone. Drops a recording that has not begun; service.c ends
 * one that is running. */
void bus_drop_client(struct bus *bus);
