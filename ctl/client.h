/* SPDX-License-Identifier: MIT */
#pragma once

/* The connection to one twtuned. What goes wrong is said on stderr, and the exit status for it returned; 0: it is
 * good. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "ctl/ctl.h"

struct client {
        sd_bus *bus;
        char name[128], path[128];
        const char *instance; /* NULL: the one of the first network namespace */
};

int client_open(struct client *client, const char *instance);
void client_close(struct client *client);

/* All that it tells; the caller's to json_decref(). */
int client_describe(struct client *client, json_t **ret);

/* Both at once. */
int describe_once(const struct options *options, json_t **ret);

/* The instances that run, "" for that of the first network namespace; NULL at the end. The caller's to free, each of
 * them as well. */
int client_list(char ***ret);

/* One method without a result. */
int client_call(struct client *client, const char *method, const char *types, ...);
