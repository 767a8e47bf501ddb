/* SPDX-License-Identifier: MIT */
#include "daemon/request.h"

#include "daemon/apply/write.h"
#include "daemon/audit/report.h"
#include "daemon/tick.h"

static void pause_or_resume(struct tuner *t, const struct requests *asked, const char *why)
{
        if (asked->pause) {
                t->paused_until = asked->pause_ns > 0 ? t->snapshot.now + asked->pause_ns : PAUSED_FOR_GOOD;
                report_paused(t, asked->pause_ns, why);
        } else if (t->paused_until > 0 && (asked->resume || t->snapshot.now >= t->paused_until)) {
                t->paused_until = 0;
                report_resumed(t, asked->resume ? why : "its time is over");
        }
}

static void leave_to_operator(struct tuner *t, enum sysctl_id id)
{
        t->ledger.entry[id].state = LEDGER_FOREIGN;
        policy_set_foreign(t->policy, id);
        tuner_save_ledger(t);
}

/* What is held is put back; what is not is not to be touched from now on. */
static void release_held(struct tuner *t, uint32_t which, const char *why)
{
        uint32_t failed = 0;
        enum sysctl_id id;

        while ((id = ledger_last_held(&t->ledger, ~which | failed)) != SYSCTL_COUNT) {
                struct change change = {.sysctl = id};

                writer_restore(t, &change, false);
                report_restored(t, &change, t->ledger.entry[id].rule, why);
                if (change.outcome == OUTCOME_FAILED)
                        failed |= UINT32_C(1) << id;
                else
                        leave_to_operator(t, id);
        }
}

static void release_free(struct tuner *t, enum sysctl_id id, const char *why)
{
        struct ledger_entry *e = &t->ledger.entry[id];
        struct sysctl_value live;

        if (e->state == LEDGER_FOREIGN || e->state == LEDGER_HELD ||
            t->backend->sysctl_read(t->backend, id, &live) < 0)
                return;
        *e = (struct ledger_entry){.original = live, .written = live, .rule = "none", .at = e->at};
        leave_to_operator(t, id);
        report_left_alone(t, id, why);
}

static void rearm(struct tuner *t, enum sysctl_id id, const char *why)
{
        struct ledger_entry *e = &t->ledger.entry[id];

        if (e->state != LEDGER_FOREIGN)
                return;
        e->state = LEDGER_RELEASED; /* its time counts for the limits */
        policy_rearm(t->policy, id);
        tuner_save_ledger(t);
        report_rearmed(t, id, why);
}

void requests_carry_out(struct tuner *t)
{
        struct requests asked = t->requests;
        const char *why = "by request (uid 0)"; /* nobody else may ask */

        t->requests = (struct requests){0};
        pause_or_resume(t, &asked, why);
        if (asked.release_all || asked.release != 0)
                release_held(t, asked.release_all ? UINT32_MAX : asked.release, why);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                if (asked.release >> id & 1)
                        release_free(t, id, why);
                if (asked.rearm >> id & 1)
                        rearm(t, id, why);
        }
}
