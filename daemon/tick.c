/* SPDX-License-Identifier: MIT */
#include "daemon/tick.h"

#include <errno.h>
#include <string.h>

#include "daemon/apply/write.h"
#include "daemon/audit/report.h"

#define ORPHANS_RETRY_NS (60 * NSEC_PER_SEC)

/* Counters and bounds; a sample of the sockets by state if that may decide; a dump if the bounds do not hold or some
 * condition is still open. Each goes on whatever could not be read before. */
static void observe(struct tuner *t)
{
        struct backend *backend = t->backend;
        struct unread unread = {0};
        bool dump = false;

        backend->observe(backend, &t->snapshot, &dump, &unread);
        if (!dump && policy_needs_dump(t->policy, &t->snapshot))
                backend->observe_states(backend, &t->snapshot, &unread);
        if (dump || policy_needs_dump(t->policy, &t->snapshot))
                backend->observe_sockets(backend, &t->snapshot, &unread);
        report_observation(t, unread.error, unread.what);
}

void tuner_save_ledger(struct tuner *t)
{
        int r = t->backend->ledger_save(t->backend, &t->ledger);

        report_ledger(t, r);
        t->ledger_dirty = r < 0;
}

static void restore(struct tuner *t, enum sysctl_id id, bool at_end, struct change *ret)
{
        *ret = (struct change){.sysctl = id};
        writer_restore(t, ret, at_end);
        if (ret->outcome == OUTCOME_FOREIGN && t->policy)
                policy_set_foreign(t->policy, id);
}

/* What may have changed the kernel is told every time it is tried, what only waits once. */
static bool tell_orphan(struct tuner *t, const struct change *c)
{
        uint32_t logged = t->orphans_logged, bit = UINT32_C(1) << c->sysctl;
        bool waits = c->outcome == OUTCOME_FAILED && !c->unknown;

        t->orphans_logged = waits ? logged | bit : logged & ~bit;
        return !waits || !(logged & bit);
}

/* What the ledger holds and no rule does: left by a dead process, by a reload, or by a write that failed halfway. In
 * observe mode only a reload does that, and it does not come again. */
static void restore_orphans(struct tuner *t, const char *why)
{
        struct change change;

        for (unsigned id = 0; id < SYSCTL_COUNT && t->paused_until == 0; id++) {
                if (t->ledger.entry[id].state != LEDGER_HELD || policy_holds(t->policy, id))
                        continue;
                restore(t, id, t->config->observe, &change);
                if (change.outcome == OUTCOME_FAILED)
                        t->orphans_again_at = t->snapshot.now + ORPHANS_RETRY_NS;
                if (tell_orphan(t, &change))
                        report_restored(t, &change, t->ledger.entry[id].rule, why);
        }
}

/* What may have changed the kernel is told every time it is tried. */
static bool left_unknown(const struct decision *d)
{
        for (unsigned i = 0; i < d->n; i++)
                if (d->change[i].unknown)
                        return true;
        return false;
}

static bool next_decision(struct tuner *t, struct decision *ret)
{
        if (t->paused_until > 0)
                return policy_next_overridden(t->policy, &t->snapshot, ret);
        return policy_next(t->policy, &t->snapshot, ret);
}

void tick(struct tuner *t)
{
        struct decision decision;

        observe(t);
        if (t->config_is_new)
                report_config_loaded(t);
        if (t->ledger_dirty)
                tuner_save_ledger(t);
        requests_carry_out(t);
        if (t->snapshot.now >= t->orphans_again_at && !t->config->observe)
                restore_orphans(t, "no rule holds it");
        policy_step(t->policy, &t->snapshot);
        while (next_decision(t, &decision)) {
                writer_carry_out(t, &decision);
                if (policy_settle(t->policy, &decision) || left_unknown(&decision))
                        report_decision(t, &decision);
        }
        report_status(t);
}

/* What is there is the last step, or the one before it. What is neither is left to be put back: that looks again. */
static void adopt(struct tuner *t, struct policy *policy, enum sysctl_id id, const struct sysctl_value *live)
{
        struct ledger_entry *entry = &t->ledger.entry[id];

        if (sysctl_equal(live, &entry->original) || !ledger_is_ours(entry, live))
                return;
        entry->written = *live;
        policy_adopt(policy, entry->rule, id, live, &entry->original);
}

/* What the ledger says of one sysctl, against what is there. */
static void take_over(struct tuner *t, enum sysctl_id id)
{
        struct ledger_entry *entry = &t->ledger.entry[id];
        struct sysctl_value live;
        int r = t->backend->sysctl_read(t->backend, id, &live);

        if (entry->state == LEDGER_FOREIGN) {
                policy_set_foreign(t->policy, id);
                report_left_alone(t, id, "someone else changed it, or a person released it, under the twtuned before");
        } else if (entry->state == LEDGER_HELD && t->config->observe) {
                report_left_alone(t, id, "a twtuned before left it changed; observing writes nothing, see --restore");
        } else if (entry->state == LEDGER_HELD && r == 0 && sysctl_equal(&live, &entry->original)) {
                entry->state = LEDGER_RELEASED; /* the process died before its write; its time counts for the limits */
        } else if (entry->state == LEDGER_HELD && r == 0) {
                adopt(t, t->policy, id, &live);
        }
}

int tuner_start(struct tuner *t, struct backend *backend, struct config *config, const struct ledger *ledger,
                uint64_t now)
{
        *t = (struct tuner){.backend = backend, .config = config, .ledger = *ledger};
        t->snapshot.now = now;
        t->policy = policy_new(config);
        if (!t->policy)
                return -ENOMEM;
        limits_init(&t->limits, config, now);
        limits_resume(&t->limits, ledger, now);
        t->config_is_new = true;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state != LEDGER_NONE)
                        take_over(t, id);
        if (!config->observe)
                tuner_save_ledger(t);
        return 0;
}

/* What the same rules held within its limits goes on; what other rules of the new configuration set is taken over by
 * them; what is someone else's stays theirs; the rest is put back. */
int tuner_reload(struct tuner *t, struct config *config)
{
        struct policy *policy = policy_new(config);

        if (!policy)
                return -ENOMEM;
        /* What observe mode would have done was not done, so there is nothing to take over across a change. */
        if (config->observe == t->config->observe)
                policy_inherit(policy, t->policy);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *e = &t->ledger.entry[id];
                struct sysctl_value live;

                if (e->state == LEDGER_FOREIGN)
                        policy_set_foreign(policy, id);
                else if (e->state == LEDGER_HELD && !config->observe && !policy_holds(policy, id) &&
                         t->backend->sysctl_read(t->backend, id, &live) == 0)
                        adopt(t, policy, id, &live);
        }
        policy_free(t->policy);
        config_free(t->config);
        t->policy = policy;
        t->config = config;
        restore_orphans(t, "no rule of the new configuration holds it");
        t->config_is_new = true;
        t->status_is_plain = false;
        return 0;
}

/* All first, then the log: who reads it may be slow, or gone. */
unsigned tuner_restore_all(struct tuner *t, const char *why)
{
        struct change change[SYSCTL_COUNT];
        uint32_t failed = 0;
        enum sysctl_id id;
        unsigned n = 0;

        while ((id = ledger_last_held(&t->ledger, failed)) != SYSCTL_COUNT) {
                restore(t, id, true, &change[n]);
                if (change[n++].outcome == OUTCOME_FAILED)
                        failed |= UINT32_C(1) << id;
        }
        for (id = 0; id < SYSCTL_COUNT; id++) /* an orderly end: the next start is a manual one */
                if (t->ledger.entry[id].state == LEDGER_FOREIGN)
                        t->ledger.entry[id].state = LEDGER_RELEASED;
        tuner_save_ledger(t);
        for (unsigned i = 0; i < n; i++)
                report_restored(t, &change[i], t->ledger.entry[change[i].sysctl].rule, why);
        return (unsigned)__builtin_popcount(failed);
}

bool tuner_is_degraded(const struct tuner *t)
{
        return t->unread_error < 0 || t->write_error < 0 || t->ledger_dirty || t->rejected;
}

void tuner_stop(struct tuner *t)
{
        policy_free(t->policy);
        config_free(t->config);
}
