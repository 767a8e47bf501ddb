/* SPDX-License-Identifier: MIT */
#pragma once

/* org.twtuned1 on the system bus. Reads answer with what the last tick left; what changes something is put down for
 * the next one, and answered after it. Nothing here waits: not for the bus, which may be missing, die and come back,
 * nor for whoever asks. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus/describe.h"
#include "daemon/bus/read.h"
#include "daemon/tuner.h"
#include "lib/audit/text.h"

#define BUS_NAME "org.twtuned1"
#define BUS_PATH "/org/twtuned1"
#define BUS_CALLS_MAX 16u
#define BUS_CHANGES_MAX 32u

enum bus_call_kind {
        BUS_PAUSE,
        BUS_RESUME,
        BUS_RELEASE,
        BUS_REARM,
        BUS_RECORD,
};

/* Someone waits for the answer. */
struct bus_call {
        struct bus *bus;
        sd_bus_message *message; /* NULL: the slot is free */
        sd_bus_slot *slot;       /* while it is asked who that is */
        enum bus_call_kind kind;
        bool accepted; /* the next tick sees it */
        uint32_t sysctls;
        bool all;
        uint64_t ns;
        int fd; /* of RECORD */
};

/* A change that the tick at hand has made, to be told after it. */
struct bus_change {
        char kind[24], sysctl[64], from[SYSCTL_TEXT_MAX], to[SYSCTL_TEXT_MAX], rule[RULE_NAME_MAX], message[256];
};

struct bus {
        sd_event *event; /* borrowed */
        struct tuner *tuner;
        char name[128], path[128], instance[64];

        sd_bus *bus;     /* NULL: there is none */
        bool named;      /* it is ours to be found at */
        bool refused;    /* it is not; another connection may have it */
        bool logged;     /* that it cannot be had was said */
        uint64_t try_at; /* ns: when to try again */

        struct bus_call call[BUS_CALLS_MAX];
        struct bus_change change[BUS_CHANGES_MAX];
        unsigned n_changes;
        char status[640]; /* as it was told last */

        struct readers readers;
        uint64_t queued, taken_at; /* messages that the bus has not taken; ns: when it was last seen to take some */

        /* What service.c takes from here before a tick. */
        int record_fd;        /* to record to, owned; -1: none */
        bool recording;       /* a recording goes on, whoever asked for it */
        sd_bus_track *client; /* who asked for it on the bus; NULL: nobody */
        bool client_gone;
};

/* TWTUNED_INSTANCE in the environment is the name of this instance. bus is zero-initialized: most of it takes no memory
 * until it is used. */
void bus_start(struct bus *bus, sd_event *event, struct tuner *tuner);
void bus_stop(struct bus *bus);

/* In a tick: keeps what there is to tell. */
void bus_note(struct bus *bus, const struct audit_record *record);

/* After a tick: answers, tells, and looks after the connection. */
void bus_after_tick(struct bus *bus);

/* bus_call.c: the methods. */
extern const sd_bus_vtable bus_vtable[];
void bus_answer_calls(struct bus *bus);
void bus_drop_calls(struct bus *bus);
