/* SPDX-License-Identifier: MIT */
#include "daemon/request.h"

/* The bus accepts requests from nobody else. */
#define REQUESTER "uid 0"
#define WHY "by request (" REQUESTER ")"

static void pause_or_resume(struct tuner *t, const struct requests *asked)
{
        if (asked->pause) {
                if (t->paused_until == 0)
                        t->paused_at = t->snapshot.now;
                t->paused_until = asked->pause_ns > 0 ? t->snapshot.now + asked->pause_ns : PAUSED_FOR_GOOD;
                audit_record(&t->audit, &(struct audit_record){.kind = AUDIT_PAUSED,
                                                               .subject = SUBJECT_PAUSE,
                                                               .ns = asked->pause_ns,
                                                               .why = WHY,
                                                               .requested_by = REQUESTER});
        } else if (t->paused_until > 0 && (asked->resume || t->snapshot.now >= t->paused_until)) {
                t->paused_until = 0;
                audit_record(&t->audit, &(struct audit_record){.kind = AUDIT_RESUMED,
                                                               .subject = SUBJECT_RESUME,
                                                               .why = asked->resume ? WHY : "its time is over",
                                                               .requested_by = asked->resume ? REQUESTER : NULL});
        }
}

static void set_foreign(struct tuner *t, enum sysctl_id id)
{
        news_forget_rules(&t->audit.news, policy_holders(t->policy, id));
        policy_set_foreign(t->policy, id);
        apply_set_state(&t->apply, id, LEDGER_FOREIGN);
}

/* Restores held sysctls and makes them foreign: no rule touches them until they are rearmed. which: a bit for each
 * sysctl. */
static void release_held(struct tuner *t, uint32_t which)
{
        const struct ledger *ledger = &t->apply.ledger;
        uint32_t failed = 0;
        enum sysctl_id id;

        while ((id = ledger_last_held(ledger, ~which | failed)) != SYSCTL_COUNT) {
                struct change change = {.sysctl = id};

                apply_restore(&t->apply, &change, false);
                audit_restore(&t->audit, SUBJECT_RELEASE, &change, ledger->entry[id].rule, WHY, REQUESTER);
                if (change.outcome == OUTCOME_FAILED)
                        failed |= UINT32_C(1) << id;
                else
                        set_foreign(t, id);
        }
}

/* Makes a sysctl foreign that is not held: no rule touches it until it is rearmed. */
static void release_free(struct tuner *t, enum sysctl_id id)
{
        struct ledger_entry *e = &t->apply.ledger.entry[id];
        struct sysctl_value live;

        if (e->state == LEDGER_FOREIGN || e->state == LEDGER_HELD ||
            t->backend->sysctl_read(t->backend, id, &live) < 0)
                return;
        ledger_note_foreign(&t->apply.ledger, id, &live, "none");
        set_foreign(t, id);
        audit_foreign(&t->audit, id, e, WHY, REQUESTER);
}

static void rearm(struct tuner *t, enum sysctl_id id)
{
        if (t->apply.ledger.entry[id].state != LEDGER_FOREIGN)
                return;
        policy_rearm(t->policy, id);
        t->apply.ledger.entry[id].hand_at = 0;
        apply_set_state(&t->apply, id, LEDGER_RELEASED); /* entry->at still counts for the limits */
        audit_record(&t->audit, &(struct audit_record){.kind = AUDIT_REARMED,
                                                       .subject = SUBJECT_REARM,
                                                       .sysctl = id,
                                                       .why = WHY,
                                                       .requested_by = REQUESTER});
}

bool requests_pending(const struct requests *r)
{
        return r->pause || r->resume || r->release_all || r->release != 0 || r->rearm != 0;
}

void requests_carry_out(struct tuner *t)
{
        struct requests asked = t->requests;

        t->requests = (struct requests){0};
        pause_or_resume(t, &asked);
        release_held(t, asked.release_all ? UINT32_MAX : asked.release);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                if (asked.release >> id & 1)
                        release_free(t, id);
                if (asked.rearm >> id & 1)
                        rearm(t, id);
        }
        if (asked.release_all || asked.release != 0)
                audit_end_episodes(&t->audit, t->config, t->policy, EPISODE_RELEASED, t->snapshot.now);
}
