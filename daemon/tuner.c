/* SPDX-License-Identifier: MIT */
#include "tuner.h"

#include <errno.h>
#include <string.h>

#include "report.h"
#include "writer.h"

static void observe(struct tuner *t)
{
        const char *what = NULL;
        bool look = false;
        int r = t->world->observe(t->world, &t->snapshot, &look, &what);

        if (r == 0 && (look || policy_needs_sockets(t->policy, &t->snapshot)))
                r = t->world->observe_sockets(t->world, &t->snapshot, &what);
        report_observation(t, r, what);
}

void tick(struct tuner *t)
{
        struct decision decision;

        observe(t);
        policy_step(t->policy, &t->snapshot);
        while (policy_next(t->policy, &t->snapshot, &decision)) {
                writer_carry_out(t, &decision);
                if (policy_settle(t->policy, &decision))
                        report_decision(t, &decision);
        }
        report_status(t);
}

static bool restore(struct tuner *t, enum sysctl_id id, const char *why)
{
        struct change change = {.sysctl = id};

        writer_restore(t, &change);
        report_restored(t, &change, t->ledger.entry[id].rule, why);
        return change.outcome != OUTCOME_FAILED;
}

/* What the ledger says of one sysctl, against what is there. */
static void take_over(struct tuner *t, enum sysctl_id id)
{
        struct ledger_entry *entry = &t->ledger.entry[id];
        struct sysctl_value live;
        int r;

        guard_note_past(&t->guard, id, entry->at, t->snapshot.now);
        if (entry->state == LEDGER_THEIRS)
                policy_leave_alone(t->policy, id);
        if (entry->state != LEDGER_HELD)
                return;
        r = t->world->sysctl_read(t->world, id, &live);
        if (r == 0 && sysctl_equal(&live, &entry->original))
                entry->state = LEDGER_NONE; /* the process died before its write */
        else if (r < 0 || t->config->observe || !sysctl_equal(&live, &entry->written) ||
                 !policy_adopt(t->policy, entry->rule, id, &entry->written, &entry->original))
                restore(t, id, "no rule sets it any more");
        if (entry->state == LEDGER_THEIRS)
                policy_leave_alone(t->policy, id);
}

int tuner_start(struct tuner *t, struct world *world, struct config *config, const struct ledger *ledger,
                uint64_t now)
{
        *t = (struct tuner){.world = world, .config = config, .ledger = *ledger};
        t->snapshot.now = now;
        t->policy = policy_new(config);
        if (!t->policy)
                return -ENOMEM;
        guard_init(&t->guard, config, now);
        report_config_loaded(t);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state != LEDGER_NONE)
                        take_over(t, id);
        return 0;
}

int tuner_reload(struct tuner *t, struct config *config)
{
        struct policy *policy = policy_new(config);

        if (!policy)
                return -ENOMEM;
        /* What observe mode would have done was not done, so there is nothing to take over across a change. */
        if (config->observe == t->config->observe)
                policy_inherit(policy, t->policy);
        policy_free(t->policy);
        config_free(t->config);
        t->policy = policy;
        t->config = config;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (t->ledger.entry[id].state == LEDGER_HELD && !policy_holds(policy, id))
                        restore(t, id, "no rule of the new configuration sets it");
        report_config_loaded(t);
        return 0;
}

unsigned tuner_restore_all(struct tuner *t)
{
        enum sysctl_id id;
        uint32_t failed = 0;

        while ((id = ledger_last_held(&t->ledger, failed)) != SYSCTL_COUNT)
                if (!restore(t, id, "twtuned stops"))
                        failed |= UINT32_C(1) << id;
        return (unsigned)__builtin_popcount(failed);
}

void tuner_stop(struct tuner *t)
{
        policy_free(t->policy);
        config_free(t->config);
}
