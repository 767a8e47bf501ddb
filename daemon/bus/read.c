/* SPDX-License-Identifier: MIT */
#include "daemon/bus/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/apply/preset.h"
#include "daemon/bus/bus.h"
#include "daemon/now.h"
#include "lib/util/macro.h"

#define OWNERS_EVERY_NS (10 * NSEC_PER_SEC) /* the shortest time between two reads of sysctl.d */
#define QUEUED_SOME 32u                     /* with so many unsent messages only root gets an answer */
#define QUEUED_MANY 128u                    /* with so many nobody does */

/* The calls that are allowed at once, and then per second. */
struct rate {
        double most, per_second;
};

static const struct rate user_rate = {16, 2}, all_rate = {32, 4}, small_rate = {64, 32};

static bool take(struct bucket *b, const struct rate *rate, uint64_t now)
{
        double grown = b->at == 0 ? rate->most : b->tokens + (double)(now - b->at) / 1e9 * rate->per_second;

        b->tokens = MIN(grown, rate->most);
        b->at = now;
        if (b->tokens < 1)
                return false;
        b->tokens -= 1;
        return true;
}

static uint64_t count_queued(const struct bus *b)
{
        uint64_t n = 0;

        return sd_bus_get_n_queued_write(b->bus, &n) < 0 ? QUEUED_MANY : n;
}

/* ---- who asks ---- */

static void forget(struct sender *s)
{
        sd_bus_slot_unref(s->slot);
        sd_bus_message_unref(s->asked);
        *s = (struct sender){0};
}

void readers_clear(struct bus *b)
{
        for (unsigned i = 0; i < SENDERS_MAX; i++)
                if (b->readers.sender[i].name[0])
                        forget(&b->readers.sender[i]);
}

/* Returns the entry of a connection and makes one if there is none. NULL: there is no valid name, or all entries are
 * waiting for an answer of the bus. */
static struct sender *find_sender(struct bus *b, const char *name)
{
        struct sender *oldest = NULL;

        if (!name || strlen(name) >= sizeof(oldest->name))
                return NULL;
        for (unsigned i = 0; i < SENDERS_MAX; i++) {
                struct sender *s = &b->readers.sender[i];

                if (strcmp(s->name, name) == 0) {
                        s->used = ++b->readers.uses;
                        return s;
                }
                if (!s->asked && (!oldest || s->used < oldest->used))
                        oldest = s;
        }
        if (!oldest)
                return NULL;
        forget(oldest);
        oldest->bus = b;
        oldest->used = ++b->readers.uses;
        strcpy(oldest->name, name);
        return oldest;
}

static struct bucket *bucket_of(struct readers *r, uint32_t uid)
{
        unsigned oldest = 0;

        for (unsigned i = 0; i < USERS_MAX; i++) {
                if (r->user[i].used > 0 && r->user[i].uid == uid) {
                        r->user[i].used = ++r->uses;
                        return &r->user[i].bucket;
                }
                if (r->user[i].used < r->user[oldest].used)
                        oldest = i;
        }
        r->user[oldest].uid = uid;
        r->user[oldest].used = ++r->uses;
        r->user[oldest].bucket = (struct bucket){0};
        return &r->user[oldest].bucket;
}

static bool may_read(struct bus *b, uint32_t uid)
{
        uint64_t now = now_ns(), queued = count_queued(b);

        if (uid == 0)
                return queued < QUEUED_MANY;
        return queued < QUEUED_SOME && take(bucket_of(&b->readers, uid), &user_rate, now) &&
               take(&b->readers.all, &all_rate, now);
}

int ask_uid(sd_bus *bus, sd_bus_message *m, sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret)
{
        /* sd_bus_query_sender_creds() would wait for the answer. (D-Bus specification: GetConnectionUnixUser) */
        return sd_bus_call_method_async(bus, ret, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "GetConnectionUnixUser", callback, userdata, "s",
                                        sd_bus_message_get_sender(m));
}

/* ---- the answer ---- */

/* Makes the answer once per tick, however many callers ask. NULL: no memory. */
static const char *describe_cached(struct bus *b)
{
        struct readers *r = &b->readers;
        uint64_t now = b->tuner->snapshot.now;
        struct description d = {b->tuner, r->owner, b->instance, b->recording, now >= b->look_at};
        struct json json = {0};

        if (r->described && r->described_at == now)
                return r->described;
        if (r->owners_at == 0 || now - r->owners_at >= OWNERS_EVERY_NS) {
                sysctl_preset_find_all(r->owner);
                r->owners_at = now;
        }
        describe(&json, &d);
        if (json.failed) {
                json_free(&json);
                return NULL;
        }
        free(r->described);
        r->described = json.text;
        r->described_at = now;
        return r->described;
}

/* Sends an error: a short one, because the caller may never read it. No reply at all would be worse: for each new call
 * dbus-daemon walks all unanswered ones (bus/connection.c:bus_connections_expect_reply). */
static int refuse(sd_bus_message *m)
{
        sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls; try again later");
        return 1;
}

static void answer(struct bus *b, uint32_t uid, sd_bus_message *m)
{
        const char *text;

        if (!may_read(b, uid)) {
                refuse(m);
                return;
        }
        b->asked = true;
        text = describe_cached(b);
        if (text)
                sd_bus_reply_method_return(m, "s", text);
        else
                sd_bus_reply_method_errno(m, -ENOMEM, NULL);
}

static int on_uid(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct sender *s = userdata;

        (void)error;
        s->slot = sd_bus_slot_unref(s->slot);
        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &s->uid) < 0) {
                forget(s); /* the caller is gone */
                return 0;
        }
        s->known = true;
        answer(s->bus, s->uid, s->asked);
        s->asked = sd_bus_message_unref(s->asked);
        return 0;
}

int readers_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus *b = userdata;
        struct sender *s = find_sender(b, sd_bus_message_get_sender(m));

        (void)error;
        if (!s || s->asked) {
                refuse(m);
        } else if (s->known) {
                answer(b, s->uid, m);
        } else {
                s->asked = sd_bus_message_ref(m);
                if (ask_uid(b->bus, m, on_uid, s, &s->slot) < 0) {
                        refuse(m);
                        forget(s);
                }
        }
        return 1;
}

/* True for calls that are limited elsewhere: Describe(), and those that the bus allows to root alone
 * (org.twtuned1.conf). libsystemd answers the others, and invalid ones. */
static bool is_limited(const struct bus *b, sd_bus_message *m)
{
        const char *path = sd_bus_message_get_path(m);

        if (!path || strcmp(path, b->path) != 0 || sd_bus_message_is_method_call(m, BUS_NAME, NULL) <= 0)
                return false;
        return sd_bus_message_is_method_call(m, BUS_NAME, "Describe") <= 0 || sd_bus_message_is_empty(m) > 0;
}

int readers_filter(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct bus *b = userdata;

        (void)error;
        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;
        if (count_queued(b) >= QUEUED_MANY)
                return 1;
        return is_limited(b, m) || take(&b->readers.small, &small_rate, now_ns()) ? 0 : refuse(m);
}
