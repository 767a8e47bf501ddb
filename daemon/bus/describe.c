/* SPDX-License-Identifier: MIT */
#include "daemon/bus/describe.h"

#include "daemon/status.h"
#include "lib/util/macro.h"

static void describe_metrics(struct json *j, const struct tuner *t)
{
        const struct snapshot *s = &t->snapshot;
        const struct counters *counters = &t->config->counters;

        json_open_array(j, "metrics");
        for (unsigned i = 0; i < METRIC_COUNT + counters->n; i++) {
                json_open_object(j, NULL);
                json_add_text(j, "name", metric_name(i, counters));
                json_add_text(j, "unit", unit_suffix(metric_unit(i, counters)));
                describe_reading(j, &s->reading[i]);
                if (i < METRIC_COUNT && s->endpoint[i][0])
                        json_add_text(j, "who", s->endpoint[i]);
                if (i < METRIC_COUNT && s->culprit[i][0])
                        json_add_text(j, "systemd_unit", s->culprit[i]);
                json_add_text(j, "help", i < METRIC_COUNT ? metric_table[i].help : "a counter of the kernel");
                json_close_object(j);
        }
        json_close_array(j);
}

/* The live value after the tick; the snapshot has the value before the tick wrote. */
static struct live_sysctl live_sysctl(const struct tuner *t, enum sysctl_id id)
{
        const struct sysctl_value *seen = &t->apply.seen[id];
        struct live_sysctl live = t->snapshot.sysctl[id];

        if (live.state == READING_VALID && seen->n > 0) /* seen[] stays when the sysctl is gone or unreadable */
                live.value = *seen;
        return live;
}

/* Returns who set the live value. A default that depends on the machine cannot be recognised. A foreign sysctl with
 * its original value was probably released by a person, so its owner is found as if it were not foreign. */
static const char *owner_of(const struct tuner *t, enum sysctl_id id, const struct live_sysctl *live,
                            const struct sysctl_preset *o)
{
        const struct ledger_entry *e = &t->apply.ledger.entry[id];

        if (e->state == LEDGER_HELD)
                return "twtuned";
        if (live->state != READING_VALID)
                return "unknown";
        if (policy_is_foreign(t->policy, id) && !sysctl_equal(&e->original, &live->value))
                return "someone else";
        if (o->configured && sysctl_equal(&o->value, &live->value))
                return "sysctl.d";
        if (!o->has_default)
                return "unknown";
        return sysctl_equal(&o->kernel_default, &live->value) ? "kernel default" : "someone else";
}

static void describe_value(struct json *j, const char *key, bool known, const struct sysctl_value *value)
{
        char text[SYSCTL_TEXT_MAX];

        json_add_text(j, key, known ? sysctl_format(value, text) : NULL);
}

static void describe_sysctl(struct json *j, const struct tuner *t, enum sysctl_id id, const struct sysctl_preset *o)
{
        const struct live_sysctl live = live_sysctl(t, id);
        const struct ledger_entry *e = &t->apply.ledger.entry[id];
        uint64_t rules = policy_holders(t->policy, id);
        bool is_list = sysctl_table[id].n == 0;

        json_open_object(j, NULL);
        json_add_text(j, "name", sysctl_table[id].name);
        json_add_bool(j, "available", live.state != READING_UNAVAILABLE);
        describe_value(j, "value", live.state == READING_VALID && !is_list, &live.value);
        json_add_text(j, "owner", owner_of(t, id, &live, o));
        json_add_text(j, "configured_at", o->configured ? o->where : NULL);
        describe_value(j, "configured", o->configured, &o->value);
        describe_value(j, "default", o->has_default && !is_list, &o->kernel_default);
        describe_value(j, "original", e->state == LEDGER_HELD, &e->original);
        json_add_bool(j, "rearm", policy_is_foreign(t->policy, id));
        json_add_text(j, "left_by", e->state == LEDGER_HELD && rules == 0 ? e->rule : NULL);
        json_open_array(j, "rules");
        for (unsigned i = 0; i < t->config->n_rules; i++)
                if (rules >> i & 1)
                        json_add_text(j, NULL, t->config->rule[i].name);
        json_close_array(j);
        json_add_text(j, "never", sysctl_table[id].never);
        json_add_text(j, "help", sysctl_table[id].help);
        json_close_object(j);
}

static void describe_config(struct json *j, const struct config *config)
{
        json_open_array(j, "config");
        for (size_t i = 0; i < config->values.n; i++) {
                const struct config_value *v = &config->values.item[i];

                json_open_object(j, NULL);
                json_add_text(j, "section", v->section);
                json_add_text(j, "key", v->key);
                json_add_text(j, "value", v->text);
                json_add_text(j, "file", v->at.file);
                json_add_number(j, "line", v->at.line);
                json_close_object(j);
        }
        json_close_array(j);
}

static void describe_changes_since_start(struct json *j, const struct tuner *t)
{
        uint64_t applied = 0, at = t->status.restored_at;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                applied += t->audit.logged[id][OUTCOME_APPLIED];
        json_add_number(j, "changes_made", (double)applied);
        describe_seconds(j, "given_back_ago", at > 0 ? t->snapshot.now - at : UINT64_MAX);
}

static void describe_daemon(struct json *j, const struct description *d)
{
        const struct tuner *t = d->tuner;
        bool paused = t->paused_until > 0;
        uint64_t until = paused ? MAX(t->paused_until, t->snapshot.now) : 0;

        json_add_text(j, "version", TWTUNED_VERSION);
        describe_text(j, "instance", d->instance);
        json_add_text(j, "mode", t->config->observe ? "observe" : "enforce");
        json_add_text(j, "state", daemon_state_names[t->status.state]);
        json_add_text(j, "status", t->status.text);
        json_add_bool(j, "paused", paused);
        describe_seconds(j, "paused_since", paused ? t->snapshot.now - t->paused_at : UINT64_MAX);
        describe_seconds(j, "paused_for", !paused || until == PAUSED_FOR_GOOD ? UINT64_MAX : until - t->snapshot.now);
        json_add_bool(j, "recording", d->recording);
        describe_seconds(j, "up", t->snapshot.now - t->started);
        describe_changes_since_start(j, t);
        describe_seconds(j, "interval", t->config->interval_ns);
        describe_seconds(j, "look_every", t->snapshot.dump_every);
        json_add_bool(j, "look_pending", d->look_pending);
}

void describe(struct json *j, const struct description *d)
{
        json_open_object(j, NULL);
        describe_daemon(j, d);
        json_open_array(j, "sysctls");
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                describe_sysctl(j, d->tuner, id, &d->owner[id]);
        json_close_array(j);
        describe_rules(j, d->tuner);
        describe_episodes(j, d->tuner);
        describe_now(j, d->tuner);
        describe_metrics(j, d->tuner);
        describe_config(j, d->tuner->config);
        json_close_object(j);
}
