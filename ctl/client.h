/* SPDX-License-Identifier: MIT */
#pragma once

/* The connection to one twtuned on the system bus. These functions print their errors and return an exit status, 0 for
 * success. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "ctl/ctl.h"

#define BUS_NAME_SIZE 256 /* as in daemon/bus/bus.h */

struct client {
        sd_bus *bus;
        char name[BUS_NAME_SIZE], path[1 + BUS_NAME_SIZE];
        const char *instance; /* borrowed; NULL: the twtuned of the first network namespace */
};

int client_open(struct client *client, const char *instance);
void client_close(struct client *client);

/* Calls Describe() and parses its JSON, whose strings are made safe to print. The caller owns *ret. */
int client_describe(struct client *client, json_t **ret);

/* Calls a method that returns nothing; types and the arguments after it are as in sd_bus_message_append(3). Waits
 * until the next tick has carried it out. */
int client_call(struct client *client, const char *method, const char *types, ...);

/* describe_once() and call_once() open a connection, call the daemon once, and close the connection. */
int describe_once(const char *instance, json_t **ret);

/* Like describe_once(), but if the call causes a dump of the destinations, calls again until the dump is done: up to 5
 * times, 0.5 s apart at most. */
int describe_now(const char *instance, json_t **ret);
int call_once(const char *instance, const char *method, const char *argument);

/* Prints the part of the description with that key: as JSON with --json, else by print(). */
int show_part(const struct options *options, const char *key, void (*print)(const json_t *part));

/* Describes all running instances in an array, which the caller owns, sorted by bus name. Leaves out an instance whose
 * call fails, and prints the error. */
int describe_all(json_t **ret);
