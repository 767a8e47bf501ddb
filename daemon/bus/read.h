/* SPDX-License-Identifier: MIT */
#pragma once

/* Answers callers that read over the bus, which any user may do. An answer has some 50 kB. The bus does not report
 * whether the caller reads it, and this process keeps what the bus does not accept. So answers to users other than
 * root are limited, per user and in total: a call past the limits gets LimitsExceeded. While too many messages wait
 * for the bus to accept them, nobody gets an answer, not even an error. */

#include <systemd/sd-bus.h>

#include "lib/apply/preset.h"
#include "lib/kernel/sysctl.h"

#define SENDERS_MAX 512u /* more than the connections that dbus-daemon lets one user have, 256 */
#define USERS_MAX 16u

/* A token bucket. */
struct bucket {
        double tokens;
        uint64_t at; /* ns: when tokens was updated; 0: the bucket is full */
};

/* A connection that called. The bus never gives its unique name to another connection. */
struct sender {
        struct bus *bus;
        char name[32]; /* ":1.234"; "": the slot is free */
        uint64_t used; /* a count that grows with each use */
        bool known;
        uint32_t uid;          /* if known */
        sd_bus_message *asked; /* Describe(), to be answered when uid is known; NULL: none */
        sd_bus_slot *slot;     /* the call that asks the bus for uid */
};

struct readers {
        struct sender sender[SENDERS_MAX];
        struct {
                uint32_t uid;
                uint64_t used;
                struct bucket bucket;
        } user[USERS_MAX];
        struct bucket all, small;
        uint64_t uses;

        char *described; /* the last answer, made after the tick at described_at; owned */
        uint64_t described_at, owners_at;
        struct sysctl_preset owner[SYSCTL_COUNT];
};

struct bus;

/* Describe() */
int readers_describe(sd_bus_message *m, void *bus, sd_bus_error *error);

/* Refuses or drops calls past the limits. For sd_bus_add_filter(). */
int readers_filter(sd_bus_message *m, void *bus, sd_bus_error *error);

/* Forgets all callers, at the end of a connection. */
void readers_clear(struct bus *bus);

/* Asks the bus for the uid of the sender of m, without waiting: callback gets it as "u", or an error. */
int ask_uid(sd_bus *bus, sd_bus_message *m, sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret);
