/* SPDX-License-Identifier: MIT */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "macro.h"

static void fail(struct change *c, int error, const char *what)
{
        c->outcome = OUTCOME_FAILED;
        c->error = error;
        snprintf(c->reason, sizeof(c->reason), "%s: %s", what, strerror(-error));
}

/* Writes and reads back: the kernel takes some values in part or changed, and says 0. */
static int write_verified(struct world *w, enum sysctl_id id, const struct sysctl_value *value)
{
        struct sysctl_value live;
        int r = w->sysctl_write(w, id, value);

        if (r == 0)
                r = w->sysctl_read(w, id, &live);
        if (r == 0 && !sysctl_equal(&live, value))
                r = -EIO;
        return r;
}

static int ledger_set_state(struct tuner *t, enum sysctl_id id, enum ledger_state state)
{
        t->ledger.entry[id].state = state;
        return t->world->ledger_save(t->world, &t->ledger);
}

/* The ledger first: whoever finds it after a crash can tell what was there before. */
static void apply(struct tuner *t, const struct decision *d, struct change *c, const struct sysctl_value *live)
{
        struct ledger_entry before = t->ledger.entry[c->sysctl];
        int r;

        ledger_note(&t->ledger, c->sysctl, live, &c->value, t->config->rule[d->rule].name, t->snapshot.now);
        r = t->world->ledger_save(t->world, &t->ledger);
        if (r < 0) {
                t->ledger.entry[c->sysctl] = before;
                fail(c, r, "the original value could not be recorded, so nothing was written");
                return;
        }
        guard_note_change(&t->guard, c->sysctl, t->snapshot.now);
        r = write_verified(t->world, c->sysctl, &c->value);
        if (r == 0) {
                c->outcome = OUTCOME_APPLIED;
                return;
        }
        fail(c, r, r == -EIO ? "the kernel took another value than the one written" : "cannot write");
        if (r != -EIO || write_verified(t->world, c->sysctl, live) == 0)
                t->ledger.entry[c->sysctl] = before;
        t->world->ledger_save(t->world, &t->ledger);
}

static void enter(struct tuner *t, const struct decision *d, struct change *c)
{
        struct sysctl_value live;
        int r;

        if (!c->write) {
                c->outcome = OUTCOME_JOINED;
                return;
        }
        r = t->world->sysctl_read(t->world, c->sysctl, &live);
        if (r < 0) {
                fail(c, r, "cannot read");
                return;
        }
        c->original = live;
        if (sysctl_equal(&live, &c->value)) {
                c->outcome = OUTCOME_UNCHANGED;
                return;
        }
        r = guard_check(&t->guard, t->config, &t->snapshot, c->sysctl, &live, &c->value, c->reason,
                        sizeof(c->reason));
        if (r < 0) {
                c->outcome = r == -EAGAIN ? OUTCOME_LIMITED : OUTCOME_REFUSED;
        } else if (t->config->observe) {
                guard_note_change(&t->guard, c->sysctl, t->snapshot.now);
                c->outcome = OUTCOME_WOULD;
        } else {
                apply(t, d, c, &live);
        }
}

void writer_restore(struct tuner *t, struct change *c)
{
        struct ledger_entry *entry = &t->ledger.entry[c->sysctl];
        struct sysctl_value live;
        int r = t->world->sysctl_read(t->world, c->sysctl, &live);

        c->value = entry->written;
        c->original = entry->original;
        if (r < 0) {
                fail(c, r, "cannot read");
        } else if (!sysctl_equal(&live, &entry->written) && !sysctl_equal(&live, &entry->original)) {
                c->outcome = OUTCOME_THEIRS;
                c->value = live;
                ledger_set_state(t, c->sysctl, LEDGER_THEIRS);
        } else if ((r = write_verified(t->world, c->sysctl, &entry->original)) < 0) {
                fail(c, r, "cannot put the original back");
        } else {
                c->outcome = OUTCOME_RESTORED;
                guard_note_restore(&t->guard, c->sysctl, t->snapshot.now);
                ledger_set_state(t, c->sysctl, LEDGER_RELEASED);
        }
}

static void leave(struct tuner *t, const struct decision *d, struct change *c)
{
        if (!c->write) {
                c->outcome = OUTCOME_JOINED;
        } else if (t->config->observe) {
                c->outcome = OUTCOME_WOULD;
        } else if (t->config->rule[d->rule].keep && d->kind == DECISION_RELEASE) {
                c->outcome = OUTCOME_KEPT;
                ledger_set_state(t, c->sysctl, LEDGER_NONE);
        } else {
                writer_restore(t, c);
        }
}

void writer_carry_out(struct tuner *t, struct decision *d)
{
        for (unsigned i = 0; i < d->n; i++)
                switch (d->kind) {
                case DECISION_ENTER:
                        enter(t, d, &d->change[i]);
                        break;
                case DECISION_RELEASE:
                case DECISION_UNEXPECTED:
                case DECISION_ABORT:
                        leave(t, d, &d->change[i]);
                        break;
                case DECISION_OVERRIDDEN:
                        ledger_set_state(t, d->change[i].sysctl, LEDGER_THEIRS);
                        break;
                }
}
