/* SPDX-License-Identifier: MIT */
#pragma once

/* What the daemon knows after its last tick, as JSON: all that twtunectl shows. describe() reads nothing but the
 * systemd units of culprits. A client that asks for it may cause a dump after the next tick (observer_look()). */

#include "daemon/tuner.h"
#include "lib/apply/preset.h"
#include "lib/util/json.h"

struct description {
        const struct tuner *tuner;
        const struct sysctl_preset *owner; /* SYSCTL_COUNT of them */
        const char *instance;              /* of twtuned@INSTANCE; "": none */
        bool recording;
        bool look_pending; /* the sockets are dumped after the next tick, because a client asks */
};

void describe(struct json *json, const struct description *description);

/* describe_value.c. Add ns in seconds, null for UINT64_MAX; a text, null if it is empty; the members of a reading. */
void describe_seconds(struct json *json, const char *key, uint64_t ns);
void describe_text(struct json *json, const char *key, const char *text);
void describe_reading(struct json *json, const struct reading *reading);

/* describe_now.c: changes, advice and destinations. */
void describe_now(struct json *json, const struct tuner *tuner);

/* describe_rule.c */
void describe_rules(struct json *json, const struct tuner *tuner);
void describe_episodes(struct json *json, const struct tuner *tuner);
