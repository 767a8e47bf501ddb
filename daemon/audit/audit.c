/* SPDX-License-Identifier: MIT */
#include "daemon/audit/audit.h"

#include <stdio.h>
#include <string.h>

/* The kind of an outcome; AUDIT_KIND_COUNT: nothing happened. */
static enum audit_kind kind_of(enum decision_kind decision, enum outcome outcome)
{
        static const enum audit_kind done[] = {
                [DECISION_ENTER] = AUDIT_APPLIED,       [DECISION_STEP] = AUDIT_APPLIED,
                [DECISION_RELEASE] = AUDIT_RELEASED,    [DECISION_GIVE_WAY] = AUDIT_RELEASED,
                [DECISION_SUPERSEDED] = AUDIT_RELEASED, [DECISION_UNEXPECTED] = AUDIT_UNEXPECTED_EFFECT,
                [DECISION_ABORT] = AUDIT_ABORTED,       [DECISION_OVERRIDDEN] = AUDIT_OVERRIDDEN,
        };
        static const enum audit_kind not_done[OUTCOME_COUNT] = {
                [OUTCOME_JOINED] = AUDIT_KIND_COUNT,  [OUTCOME_UNCHANGED] = AUDIT_KIND_COUNT,
                [OUTCOME_FOREIGN] = AUDIT_OVERRIDDEN, [OUTCOME_NOTED] = AUDIT_OVERRIDDEN,
                [OUTCOME_YIELDED] = AUDIT_ADVICE,     [OUTCOME_LIMITED] = AUDIT_REFUSED,
                [OUTCOME_REFUSED] = AUDIT_REFUSED,    [OUTCOME_FAILED] = AUDIT_FAILED,
        };
        static const bool is_done[OUTCOME_COUNT] = {
                [OUTCOME_APPLIED] = true, [OUTCOME_WOULD] = true, [OUTCOME_RESTORED] = true, [OUTCOME_KEPT] = true};

        return is_done[outcome] ? done[decision] : not_done[outcome];
}

static void send(struct audit *a, const struct audit_record *r)
{
        if (r->change) {
                a->logged[r->change->sysctl][r->change->outcome]++;
                a->restored += r->change->outcome == OUTCOME_RESTORED;
        }
        a->backend->report(a->backend, r);
}

void audit_record(struct audit *a, const struct audit_record *r)
{
        if (news_is_new(&a->news, r))
                send(a, r);
}

/* True if the actions of a rule were refused or did not help, so that its advice applies. An abort does not count. */
static bool actions_failed(const struct decision *d)
{
        if (d->kind == DECISION_UNEXPECTED)
                return true;
        for (unsigned i = 0; i < d->n; i++)
                if (d->kind == DECISION_ENTER && d->change[i].outcome == OUTCOME_REFUSED)
                        return true;
        return false;
}

/* Returns the culprit of a decision; "": unknown. At the beginning of an episode, looks for a live socket of the
 * destination if the dump met none: short connections are in TIME_WAIT nearly all of the time. Later, returns the
 * culprit of the episode if the destination has no live socket left. */
static const char *find_culprit(struct audit *a, const struct rule *rule, const struct decision *d)
{
        uint64_t cgroup = d->evidence.cgroup;
        const struct episode *episode = episodes_current(&a->episodes, rule->name);
        const char *unit = cgroup != 0 ? a->backend->find_unit(a->backend, cgroup) : d->evidence.unit;

        if (!unit[0] && !episode && d->kind == DECISION_ENTER && cgroup == 0 && d->evidence.destination_id != 0)
                unit = a->backend->find_unit(a->backend,
                                             a->backend->find_cgroup(a->backend, d->evidence.destination_id));
        return unit[0] || !episode ? unit : episode->culprit;
}

static void send_decision(struct audit *a, const struct config *config, const struct decision *d, const char *culprit)
{
        const struct rule *rule = &config->rule[d->rule];
        struct audit_record r = {
                .decision = d,
                .rule = rule,
                .counters = &config->counters,
                .culprit = culprit,
        };

        for (unsigned i = 0; i < d->n; i++) {
                r.subject = SUBJECT_CHANGE;
                r.kind = kind_of(d->kind, d->change[i].outcome);
                r.change = &d->change[i];
                if (r.kind != AUDIT_KIND_COUNT)
                        send(a, &r);
        }
        r.change = NULL;
        if (rule->n_actions == 0 && d->kind != DECISION_ENTER) {
                r.subject = SUBJECT_ADVICE_OVER;
                r.kind = AUDIT_RELEASED;
                send(a, &r);
        } else if (rule->advise && (rule->n_actions == 0 || actions_failed(d))) {
                r.subject = SUBJECT_ADVICE;
                r.kind = AUDIT_ADVICE;
                send(a, &r);
        }
}

void audit_decision(struct audit *a, const struct config *config, const struct decision *d, enum progress progress,
                    uint64_t now)
{
        char culprit[SNAPSHOT_CULPRIT_MAX];

        snprintf(culprit, sizeof(culprit), "%s", find_culprit(a, &config->rule[d->rule], d));
        episodes_take(&a->episodes, &config->rule[d->rule], d, culprit, progress, now);
        if (news_decision_is_new(&a->news, d, progress, now))
                send_decision(a, config, d, culprit);
}

static bool is_active(const struct config *config, const struct policy *policy, const char *rule)
{
        for (unsigned i = 0; i < config->n_rules; i++)
                if (policy_is_active(policy, i) && strcmp(config->rule[i].name, rule) == 0)
                        return true;
        return false;
}

void audit_end_episodes(struct audit *a, const struct config *config, const struct policy *policy,
                        enum episode_end how, uint64_t now)
{
        struct episodes *e = &a->episodes;

        for (unsigned k = 0; k < EPISODES_MAX && e->item[k].rule[0]; k++) /* filled from the first on */
                if (e->item[k].end == EPISODE_LASTS && !is_active(config, policy, e->item[k].rule))
                        episodes_end(e, &e->item[k], how, now);
}

/* Returns the cgroup of a live socket toward a destination; 0: unknown. If the connections are so short that no dump
 * meets a live socket, looks for one, as long as new connections come. Does not look if the dump met live sockets but
 * no cgroup: then the kernel reports none. */
static uint64_t live_cgroup(struct audit *a, const struct destination *d)
{
        if (d->cgroup != 0 || d->fresh == 0 || d->holders[0] + d->holders[1] > 0)
                return d->cgroup;
        return a->backend->find_cgroup(a->backend, d->id);
}

void audit_find_culprits(struct audit *a, const struct snapshot *s)
{
        if (!ports_valid(s))
                return;
        for (unsigned i = 0; i < EPISODES_MAX; i++) {
                struct episode *e = &a->episodes.item[i];
                const struct destination *d;
                uint64_t cgroup;

                if (e->begun == 0 || e->end != EPISODE_LASTS || e->culprit[0])
                        continue;
                d = ports_find(s->ports, e->evidence.destination_id);
                cgroup = d ? live_cgroup(a, d) : 0;
                if (cgroup == 0)
                        continue;
                snprintf(e->culprit, sizeof(e->culprit), "%s", a->backend->find_unit(a->backend, cgroup));
                a->episodes.changes += e->culprit[0] != 0;
        }
}

void audit_effect(struct audit *a, const struct config *config, unsigned i, const struct rule_evaluation *now)
{
        const struct rule *rule = &config->rule[i];
        const struct episode *episode = episodes_met(&a->episodes, rule->name);
        struct decision d = {.kind = DECISION_ENTER, .rule = i};

        if (episode)
                d.evidence = episode->evidence;
        d.evidence.metric = rule->expect.metric;
        d.evidence.op = rule->expect.op;
        d.evidence.threshold = rule->expect.number;
        d.evidence.value = now->expect.reading.value;
        audit_record(a, &(struct audit_record){.kind = AUDIT_EXPECTED_EFFECT,
                                               .subject = SUBJECT_EFFECT,
                                               .decision = &d,
                                               .rule = rule,
                                               .counters = &config->counters,
                                               .culprit = episode ? episode->culprit : ""});
}

void audit_restore(struct audit *a, enum audit_subject subject, const struct change *change, const char *rule,
                   const char *why, const char *requested_by)
{
        enum audit_kind kind = kind_of(DECISION_RELEASE, change->outcome);

        audit_record(a, &(struct audit_record){
                                .kind = kind == AUDIT_RELEASED && requested_by ? AUDIT_RELEASED_BY_REQUEST : kind,
                                .subject = subject,
                                .change = change,
                                .rule_name = rule,
                                .why = why,
                                .requested_by = requested_by,
                        });
}

void audit_foreign(struct audit *a, enum sysctl_id sysctl, const struct ledger_entry *entry, const char *why,
                   const char *requested_by)
{
        audit_record(a, &(struct audit_record){
                                .kind = requested_by ? AUDIT_RELEASED_BY_REQUEST : AUDIT_OVERRIDDEN,
                                .subject = SUBJECT_FOREIGN,
                                .sysctl = sysctl,
                                .original = &entry->original,
                                .rule_name = entry->rule,
                                .why = why,
                                .requested_by = requested_by,
                        });
}

void audit_state(struct audit *a, enum audit_subject subject, const char *name, int error)
{
        audit_record(a, &(struct audit_record){
                                .kind = error < 0 ? AUDIT_DEGRADED : AUDIT_RECOVERED,
                                .subject = subject,
                                .name = name,
                                .error = error,
                        });
}
