/* SPDX-License-Identifier: MIT */
#include "daemon/tick.h"

#include <errno.h>

#include "daemon/foreign.h"
#include "daemon/request.h"
#include "daemon/status.h"

#define AT_ONCE 4u /* decisions */
#define ORPHANS_RETRY_NS (60 * NSEC_PER_SEC)
#define LATE_NS (60 * NSEC_PER_SEC) /* ticks are on time again after so long without a late one */

/* Samples the sockets by state if that may decide, and dumps them if dump is true (*ret_dump of observe()) or if a
 * decision still depends on an unknown condition. */
static void observe_more(struct tuner *t, bool dump, struct unread *unread)
{
        struct backend *backend = t->backend;
        struct watch_list watch;

        if (!dump) {
                dump = policy_evaluate(t->policy, &t->snapshot)->needs_dump;
                if (dump && backend->observe_states(backend, &t->snapshot, unread))
                        dump = policy_evaluate(t->policy, &t->snapshot)->needs_dump;
        }
        if (dump) {
                policy_watched(t->policy, &watch);
                backend->observe_sockets(backend, &watch, &t->snapshot, unread);
                policy_evaluate(t->policy, &t->snapshot);
        }
}

/* True if nothing has changed for the rules and the status, and no person has requested anything. */
static bool rests(struct tuner *t)
{
        return t->settled && t->snapshot.dump_every == 0 && !requests_pending(&t->requests) &&
               policy_rest(t->policy, &t->snapshot);
}

/* Reads counters and bounds, then the sockets if need be. Each step runs even if an earlier one failed. Returns false
 * if the rules rest: the tick has nothing to do. */
static bool observe(struct tuner *t)
{
        struct unread unread = {0};
        bool dump = false;

        t->backend->observe(t->backend, &t->snapshot, &dump, &unread);
        if (!dump && unread.error == 0 && rests(t))
                return false;
        observe_more(t, dump, &unread);
        t->unread = unread;
        audit_state(&t->audit, SUBJECT_OBSERVATION, unread.what, unread.error);
        foreign_note_changes(t);
        return true;
}

static void record_config(struct tuner *t)
{
        uint64_t unavailable = 0;

        t->config_is_new = false;
        for (unsigned i = 0; i < t->config->n_rules; i++)
                if (policy_is_unavailable(t->policy, i))
                        unavailable |= UINT64_C(1) << i;
        audit_record(&t->audit, &(struct audit_record){.kind = AUDIT_CONFIG_LOADED,
                                                       .subject = SUBJECT_CONFIG,
                                                       .config = t->config,
                                                       .unavailable = unavailable});
}

/* Records whether the ledger can be saved. When it can again, failed changes may be retried at once. */
static void record_ledger(struct tuner *t)
{
        if (t->policy && t->apply.ledger_error == 0 && news_is_failing(&t->audit.news, SUBJECT_LEDGER))
                policy_retry(t->policy);
        audit_state(&t->audit, SUBJECT_LEDGER, NULL, t->apply.ledger_error);
}

/* gap: from policy_advance(): the ns without a tick, less the time of dumps; 0: the tick was on time. */
static void record_late(struct tuner *t, uint64_t gap)
{
        if (gap > 0)
                t->late_until = t->snapshot.now + LATE_NS;
        else if (t->late_until <= t->snapshot.now)
                t->late_until = 0;
        audit_record(&t->audit, &(struct audit_record){.kind = t->late_until > 0 ? AUDIT_DEGRADED : AUDIT_RECOVERED,
                                                       .subject = SUBJECT_TICKS,
                                                       .error = t->late_until > 0 ? -ETIME : 0,
                                                       .ns = gap});
}

static void restore(struct tuner *t, enum sysctl_id id, bool at_end, struct change *ret)
{
        *ret = (struct change){.sysctl = id};
        apply_restore(&t->apply, ret, at_end);
        record_ledger(t);
        if (ret->outcome == OUTCOME_FOREIGN && t->policy)
                policy_set_foreign(t->policy, id);
}

/* Restores each sysctl that the ledger holds but no rule holds: left by a dead process, by a reload, or by a write
 * that failed halfway. In observe mode only a reload calls this, once, so a pause does not delay it. */
static void restore_orphans(struct tuner *t, const char *why)
{
        const struct ledger *ledger = &t->apply.ledger;
        struct change change;

        if (t->paused_until > 0 && !t->config->observe)
                return;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                if (ledger->entry[id].state != LEDGER_HELD || policy_holds(t->policy, id))
                        continue;
                restore(t, id, t->config->observe, &change);
                if (change.outcome == OUTCOME_FAILED)
                        t->orphans_again_at = t->snapshot.now + ORPHANS_RETRY_NS;
                audit_restore(&t->audit, SUBJECT_ORPHAN, &change, ledger->entry[id].rule, why, NULL);
        }
}

static void save_ledger(struct tuner *t)
{
        apply_save_ledger(&t->apply);
        record_ledger(t);
}

/* Carries out up to AT_ONCE decisions before it records them: recording a change looks for its culprit, which takes a
 * fifth of a second with a million sockets, and the other changes of the tick do not wait for that. */
static void decide(struct tuner *t)
{
        struct {
                struct decision decision;
                enum progress progress;
        } made[AT_ONCE];
        unsigned n;

        do {
                for (n = 0; n < AT_ONCE; n++) {
                        if (!policy_decide(t->policy, &t->snapshot, t->paused_until > 0, &made[n].decision))
                                break;
                        apply_decision(&t->apply, &made[n].decision);
                        record_ledger(t);
                        made[n].progress = policy_commit(t->policy, &made[n].decision);
                }
                for (unsigned i = 0; i < n; i++)
                        audit_decision(&t->audit, t->config, &made[i].decision, made[i].progress, t->snapshot.now);
        } while (n == AT_ONCE);
}

/* Records each rule that is still active and whose expected effect was seen since the last tick. */
static void record_effects(struct tuner *t)
{
        uint64_t expecting = policy_expecting(t->policy), over = t->expecting & ~expecting;

        t->expecting = expecting;
        for (unsigned i = 0; i < t->config->n_rules && over != 0; i++)
                if ((over >> i & 1) && policy_is_active(t->policy, i))
                        audit_effect(&t->audit, t->config, i, policy_evaluate_rule(t->policy, i, &t->snapshot));
}

/* True if only what the rules see, or a request, can make the next tick differ from this one. */
static bool is_settled(const struct tuner *t)
{
        return t->unread.error == 0 && t->snapshot.dump_every == 0 && t->apply.ledger_error == 0 &&
               t->paused_until == 0 && t->late_until == 0 && !news_is_failing(&t->audit.news, SUBJECT_METRICS_FILE) &&
               ledger_last_held(&t->apply.ledger, 0) == SYSCTL_COUNT;
}

void tick(struct tuner *t)
{
        if (!observe(t))
                return;
        if (t->config_is_new)
                record_config(t);
        if (t->apply.ledger_error < 0)
                save_ledger(t);
        requests_carry_out(t);
        record_ledger(t);
        if (t->snapshot.now >= t->orphans_again_at && !t->config->observe)
                restore_orphans(t, "no rule holds it");
        record_late(t, policy_advance(t->policy, &t->snapshot));
        decide(t);
        audit_end_episodes(&t->audit, t->config, t->policy, EPISODE_OVERRIDDEN, t->snapshot.now);
        audit_find_culprits(&t->audit, &t->snapshot);
        record_effects(t);
        status_update(t);
        t->settled = policy_settle(t->policy, &t->snapshot) && is_settled(t);
}

/* Lets a rule of policy hold the sysctl if its live value is that of the last step or of the step before. Leaves any
 * other value, and the original, to apply_restore(), which compares again. */
static void adopt(struct tuner *t, struct policy *policy, enum sysctl_id id, const struct sysctl_value *live)
{
        struct ledger_entry *entry = &t->apply.ledger.entry[id];

        if (sysctl_equal(live, &entry->original) || !ledger_is_ours(entry, live))
                return;
        entry->written = *live;
        policy_adopt(policy, entry->rule, id, live, &entry->original);
}

/* live: the live value; if that is unknown, the value last written. */
static void record_left(struct tuner *t, enum sysctl_id id, const struct sysctl_value *live)
{
        const struct ledger_entry *entry = &t->apply.ledger.entry[id];

        audit_record(&t->audit, &(struct audit_record){.kind = AUDIT_LEFT_CHANGED,
                                                       .subject = SUBJECT_LEFT,
                                                       .sysctl = id,
                                                       .live = live,
                                                       .original = &entry->original,
                                                       .rule_name = entry->rule});
}

/* Compares one entry of the ledger with the live value. */
static void take_over(struct tuner *t, enum sysctl_id id)
{
        struct ledger_entry *entry = &t->apply.ledger.entry[id];
        struct sysctl_value live;
        int r = t->backend->sysctl_read(t->backend, id, &live);

        if (entry->state == LEDGER_FOREIGN) {
                policy_set_foreign(t->policy, id);
                audit_foreign(&t->audit, id, entry,
                              "someone else changed it, or a person released it, while the previous twtuned ran",
                              NULL);
        } else if (entry->state == LEDGER_HELD && r == 0 && sysctl_equal(&live, &entry->original)) {
                entry->state = LEDGER_RELEASED; /* nothing to put back; entry->at still counts for the limits */
        } else if (entry->state == LEDGER_HELD && t->config->observe) {
                record_left(t, id, r == 0 ? &live : &entry->written);
        } else if (entry->state == LEDGER_HELD && r == 0) {
                adopt(t, t->policy, id, &live);
        }
}

int tuner_start(struct tuner *t, struct backend *backend, struct config *config, uint64_t now)
{
        const struct ledger *ledger = &t->apply.ledger;

        t->backend = t->apply.backend = t->audit.backend = backend;
        t->config = config;
        t->apply.config = config;
        t->apply.snapshot = &t->snapshot;
        t->snapshot.now = t->started = now;
        t->policy = policy_new(config);
        if (!t->policy)
                return -ENOMEM;
        limits_init(&t->apply.limits, config, now);
        limits_resume(&t->apply.limits, ledger, now);
        t->config_is_new = true;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state != LEDGER_NONE)
                        take_over(t, id);
        if (!config->observe)
                save_ledger(t);
        return 0;
}

/* The rules of the new configuration adopt the sysctls that they set; a foreign sysctl stays foreign. */
static void adopt_held(struct tuner *t, struct policy *policy, bool observe)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *e = &t->apply.ledger.entry[id];
                struct sysctl_value live;

                if (e->state == LEDGER_FOREIGN)
                        policy_set_foreign(policy, id);
                else if (e->state == LEDGER_HELD && !observe && !policy_holds(policy, id) &&
                         t->backend->sysctl_read(t->backend, id, &live) == 0)
                        adopt(t, policy, id, &live);
        }
}

int tuner_reload(struct tuner *t, struct config *config)
{
        struct policy *policy = policy_new(config);
        uint64_t inherited = 0;

        if (!policy)
                return -ENOMEM;
        /* Observe mode changes nothing, so a switch to or from it leaves nothing to inherit. */
        if (config->observe == t->config->observe)
                inherited = policy_inherit(policy, t->policy);
        adopt_held(t, policy, config->observe);
        news_inherit(&t->audit.news, config, t->config, inherited);
        audit_end_episodes(&t->audit, config, policy, EPISODE_CUT, t->snapshot.now);
        policy_free(t->policy);
        config_free(t->config);
        t->policy = policy;
        t->config = config;
        t->apply.config = config;
        restore_orphans(t, "no rule of the new configuration holds it");
        t->config_is_new = true;
        t->status.reloaded = true;
        t->expecting = policy_expecting(policy);
        return 0;
}

/* Restores everything before it records the changes: the reader of the log may be slow, or gone. */
unsigned tuner_restore_all(struct tuner *t, const char *why)
{
        struct ledger *ledger = &t->apply.ledger;
        struct change change[SYSCTL_COUNT];
        uint32_t failed = 0;
        enum sysctl_id id;
        unsigned n = 0;

        while ((id = ledger_last_held(ledger, failed)) != SYSCTL_COUNT) {
                restore(t, id, true, &change[n]);
                if (change[n++].outcome == OUTCOME_FAILED)
                        failed |= UINT32_C(1) << id;
        }
        for (id = 0; id < SYSCTL_COUNT; id++) { /* rearm everything: after an orderly end, a person starts twtuned */
                if (ledger->entry[id].state == LEDGER_FOREIGN)
                        ledger->entry[id].state = LEDGER_RELEASED;
                ledger->entry[id].hand_at = 0;
        }
        save_ledger(t);
        for (unsigned i = 0; i < n; i++)
                audit_restore(&t->audit, SUBJECT_RESTORE, &change[i], ledger->entry[change[i].sysctl].rule, why, NULL);
        return (unsigned)__builtin_popcount(failed);
}

void tuner_stop(struct tuner *t)
{
        policy_free(t->policy);
        config_free(t->config);
}
