/* SPDX-License-Identifier: MIT */
#include "daemon/bus/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util/macro.h"
#include "lib/util/safe.h"

#define RETRY_NS (5 * NSEC_PER_SEC)
#define STUCK_NS (10 * NSEC_PER_SEC)

static void disconnect(struct bus *b)
{
        bus_drop_calls(b);
        readers_clear(b);
        bus_drop_client(b);
        b->bus = sd_bus_close_unref(b->bus);
        b->named = b->refused = false;
        b->n_changes = 0;
        /* Queued signals are lost: the next connection sends PropertiesChanged again. */
        b->signalled = (struct bus_properties){0};
}

/* D-Bus specification: RequestName. */
#define PRIMARY_OWNER 1
#define ALREADY_OWNER 4

/* NULL: the name is ours; else why it is not. */
static const char *why_refused(sd_bus_message *m)
{
        uint32_t result;

        if (sd_bus_message_is_method_error(m, NULL))
                return sd_bus_message_get_error(m)->message;
        if (sd_bus_message_read(m, "u", &result) < 0)
                return "the answer is not understood";
        return result == PRIMARY_OWNER || result == ALREADY_OWNER ? NULL : "another twtuned has it";
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *refused = why_refused(m);
        struct bus *b = userdata;

        (void)error;
        if (refused) {
                if (!b->logged)
                        fprintf(stderr,
                                "twtuned: cannot take the name %s on the bus: %s; twtunectl will not find this "
                                "twtuned; trying again every 5 s\n",
                                b->name, refused);
                b->refused = b->logged = true;
                return 0;
        }
        b->named = true;
        audit_state(&b->tuner->audit, SUBJECT_BUS, NULL, 0);
        b->logged = false;
        return 0;
}

/* True if there is certainly no bus. To find that out by connecting takes ten system calls. */
static bool is_missing(void)
{
        return !getenv("DBUS_SYSTEM_BUS_ADDRESS") && access("/run/dbus/system_bus_socket", F_OK) < 0 &&
               access("/var/run/dbus/system_bus_socket", F_OK) < 0;
}

/* None of this blocks: connecting, authenticating and requesting the name continue in the event loop. */
static void connect_bus(struct bus *b)
{
        if (sd_bus_open_system_with_description(&b->bus, "twtuned") < 0)
                return;
        sd_bus_set_close_on_exit(b->bus, false); /* so that the restores at the end are signalled */
        if (sd_bus_add_object_vtable(b->bus, NULL, b->path, BUS_NAME, bus_vtable, b) < 0 ||
            sd_bus_add_filter(b->bus, NULL, readers_filter, b) < 0 ||
            sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL) < 0 ||
            sd_bus_request_name_async(b->bus, NULL, b->name, 0, on_name, b) < 0)
                disconnect(b);
}

/* True if the queue has not become shorter for STUCK_NS: the bus reads nothing. A bus stops reading from a connection
 * while too many of its messages wait for their receivers: dbus-daemon at 127 MiB (dbus-daemon(1),
 * max_incoming_bytes). It does read from a new connection. */
static bool is_stuck(struct bus *b, uint64_t now)
{
        uint64_t queued = 0;

        if (!b->bus || !b->named || sd_bus_get_n_queued_write(b->bus, &queued) < 0 || queued == 0 ||
            queued < b->queued)
                b->taken_at = now;
        b->queued = queued;
        return now - b->taken_at >= STUCK_NS;
}

/* Drops a connection that is dead or stuck, or did not get the name, and tries to connect again. Logs only that a
 * connection died: a host may have no bus. A refused name may become available: the bus had not read the policy file
 * yet, or another twtuned owned the name. */
static void look_after_connection(struct bus *b, uint64_t now)
{
        if (b->bus && (b->refused || sd_bus_is_open(b->bus) <= 0)) {
                if (b->named)
                        audit_state(&b->tuner->audit, SUBJECT_BUS, NULL, -ENOTCONN);
                disconnect(b);
        }
        if (is_stuck(b, now)) {
                disconnect(b);
                b->try_at = b->taken_at = now;
        }
        if (b->bus || now < b->try_at)
                return;
        b->try_at = now + RETRY_NS;
        if (!is_missing())
                connect_bus(b);
}

/* Escapes the instance as in an object path. The result is also a valid element of a bus name. The path is derived
 * from the name, as in twtunectl: if the name is too long for the bus, both are cut at the same character. */
static void name_instance(struct bus *b, const char *instance)
{
        char *path = NULL;

        snprintf(b->name, sizeof(b->name), "%s", BUS_NAME);
        if (instance && *instance && sd_bus_path_encode("/", instance, &path) >= 0) {
                snprintf(b->instance, sizeof(b->instance), "%s", instance);
                snprintf(b->name, sizeof(b->name), BUS_NAME ".instance.%s", path + 1);
        }
        free(path);
        snprintf(b->path, sizeof(b->path), "/%s", b->name);
        for (char *dot = b->path; (dot = strchr(dot, '.'));)
                *dot = '/';
}

void bus_start(struct bus *b, sd_event *event, struct tuner *tuner)
{
        b->event = event;
        b->tuner = tuner;
        b->record_fd = -1;
        name_instance(b, getenv("TWTUNED_INSTANCE"));
        connect_bus(b);
}

/* Returns the sysctl whose value or owner changed; NULL: none. */
static const struct sysctl *changed_sysctl(const struct audit_record *r)
{
        static const bool changes[OUTCOME_COUNT] = {[OUTCOME_APPLIED] = true,
                                                    [OUTCOME_RESTORED] = true,
                                                    [OUTCOME_KEPT] = true,
                                                    [OUTCOME_FOREIGN] = true,
                                                    [OUTCOME_NOTED] = true};

        if (r->change)
                return changes[r->change->outcome] ? &sysctl_table[r->change->sysctl] : NULL;
        return r->subject == SUBJECT_FOREIGN || r->subject == SUBJECT_REARM ? &sysctl_table[r->sysctl] : NULL;
}

void bus_note(void *bus, const struct audit_record *r, const struct audit_text *text)
{
        struct bus *b = bus;
        struct bus_change *c = &b->change[b->n_changes];
        const struct sysctl *sysctl = changed_sysctl(r);

        if (!b->named || b->n_changes == BUS_CHANGES_MAX || !sysctl)
                return;
        b->n_changes++;
        snprintf(c->kind, sizeof(c->kind), "%s", audit_kinds[r->kind].name);
        snprintf(c->sysctl, sizeof(c->sysctl), "%s", sysctl->name);
        safe_text(audit_text_value(text, "OLDVALUE"), c->from, sizeof(c->from));
        safe_text(audit_text_value(text, "NEWVALUE"), c->to, sizeof(c->to));
        safe_text(audit_text_value(text, "RULE"), c->rule, sizeof(c->rule));
        safe_text(audit_text_value(text, "MESSAGE"), c->message, sizeof(c->message));
}

/* The text of a degraded daemon shows neither the mode nor a pause, so comparing only the text is not enough. */
static bool properties_differ(const struct bus_properties *p, const struct tuner *t)
{
        return strcmp(p->status, t->status.text) != 0 || p->state != t->status.state ||
               p->observe != t->config->observe || p->paused != (t->paused_until > 0);
}

static void emit_properties(struct bus *b)
{
        struct bus_properties *p = &b->signalled;
        const struct tuner *t = b->tuner;

        if (!properties_differ(p, t))
                return;
        strcpy(p->status, t->status.text);
        p->state = t->status.state;
        p->observe = t->config->observe;
        p->paused = t->paused_until > 0;
        sd_bus_emit_properties_changed(b->bus, b->path, BUS_NAME, "State", "Status", "Mode", "Paused", NULL);
}

static void emit_changes(struct bus *b)
{
        for (unsigned i = 0; i < b->n_changes; i++) {
                const struct bus_change *c = &b->change[i];

                sd_bus_emit_signal(b->bus, b->path, BUS_NAME, "Changed", "ssssss", c->kind, c->sysctl, c->from, c->to,
                                   c->rule, c->message);
        }
        b->n_changes = 0;
        emit_properties(b);
}

void bus_stop(struct bus *b)
{
        if (!b->event)
                return;
        if (b->bus && b->named)
                emit_changes(b);
        disconnect(b);
        free(b->readers.described);
        b->readers.described = NULL;
        b->event = NULL;
}

void bus_after_tick(struct bus *b)
{
        uint64_t now = b->tuner->snapshot.now;

        look_after_connection(b, now);
        if (!b->bus)
                return;
        bus_answer_calls(b);
        if (b->named)
                emit_changes(b);
}
