/* SPDX-License-Identifier: MIT */
#include "daemon/foreign.h"

static void note_change(struct tuner *t, enum sysctl_id id, const char *rule, const struct sysctl_value *live)
{
        struct ledger_entry *e = &t->apply.ledger.entry[id];
        bool again = e->hand_at != 0;
        struct change change = {
                .sysctl = id,
                .before = t->apply.seen[id],
                .value = *live,
                .original = *live,
                .outcome = again ? OUTCOME_FOREIGN : OUTCOME_NOTED,
        };

        ledger_note_foreign(&t->apply.ledger, id, live, rule);
        e->state = again ? LEDGER_FOREIGN : LEDGER_RELEASED;
        e->hand_at = t->snapshot.now;
        if (again)
                policy_set_foreign(t->policy, id);
        if (!t->config->observe)
                apply_save_ledger(&t->apply);
        audit_restore(
                &t->audit, SUBJECT_HAND, &change, rule,
                "another program changed it; its new value counts as the original, and no rule changes it for 10 min",
                NULL);
}

static bool was_changed(const struct tuner *t, enum sysctl_id id, const struct sysctl_value *live)
{
        enum ledger_state state = t->apply.ledger.entry[id].state;
        const struct sysctl_value *seen = &t->apply.seen[id];

        return state != LEDGER_HELD && state != LEDGER_FOREIGN && seen->n > 0 && !sysctl_equal(seen, live);
}

void foreign_note_changes(struct tuner *t)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct live_sysctl *live = &t->snapshot.sysctl[id];
                const struct rule *rule;

                if (live->state != READING_VALID)
                        continue;
                rule = was_changed(t, id, &live->value) ? config_rule_of(t->config, id) : NULL;
                if (rule)
                        note_change(t, id, rule->name, &live->value);
                t->apply.seen[id] = live->value;
        }
}
