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

/* 0 if the sysctl has this value; -EBUSY: another one; else why it cannot be read. *live is what was read. */
static int verify(struct world *w, enum sysctl_id id, const struct sysctl_value *value, struct sysctl_value *live)
{
        int r = w->sysctl_read(w, id, live);

        return r < 0 ? r : sysctl_equal(live, value) ? 0 : -EBUSY;
}

/* What is read back counts, not that write() succeeded. */
static int write_verified(struct world *w, enum sysctl_id id, const struct sysctl_value *value,
                          struct sysctl_value *live)
{
        int r = w->sysctl_write(w, id, value);

        return r < 0 ? r : verify(w, id, value, live);
}

/* What could not be saved now is saved at the next tick: until then the file tells of more than there is, which
 * --restore finds out by the live value. */
static void ledger_set_state(struct tuner *t, enum sysctl_id id, enum ledger_state state)
{
        t->ledger.entry[id].state = state;
        tuner_save_ledger(t);
}

/* The ledger first: whoever finds it after a crash can tell what was there before. It forgets the sysctl only when
 * it is sure that the value before is there. */
static void apply(struct tuner *t, const struct decision *d, struct change *c)
{
        struct ledger_entry before = t->ledger.entry[c->sysctl];
        struct sysctl_value live = c->before;
        int r;

        ledger_note(&t->ledger, c->sysctl, &c->original, &c->value, t->config->rule[d->rule].name, t->snapshot.now);
        guard_record(&t->guard, &t->ledger);
        r = t->world->ledger_save(t->world, &t->ledger);
        if (r < 0) {
                t->ledger.entry[c->sysctl] = before;
                fail(c, r, "the original value could not be recorded, so nothing was written");
                return;
        }
        /* Files were read and written since it was looked at, and a sysctl cannot be written on condition. */
        r = verify(t->world, c->sysctl, &c->before, &live);
        if (r < 0) {
                t->ledger.entry[c->sysctl] = before;
                tuner_save_ledger(t);
                fail(c, r, "it changed just now or cannot be read, so nothing was written");
                return;
        }
        guard_note_change(&t->guard, c->sysctl, t->snapshot.now);
        r = write_verified(t->world, c->sysctl, &c->value, &live);
        if (r == 0) {
                c->outcome = OUTCOME_APPLIED;
                return;
        }
        /* The kernel takes each of these sysctls as written, or not at all (net/ipv4/sysctl_net_ipv4.c: proc_dou8vec_minmax()
         * and the like), so another value is of someone else, who wrote it since. */
        if (r == -EBUSY && !sysctl_equal(&live, &c->before)) {
                c->outcome = OUTCOME_THEIRS;
                c->value = live;
                ledger_set_state(t, c->sysctl, LEDGER_THEIRS);
                return;
        }
        fail(c, r, r == -EBUSY ? "the old value is there after the write" : "cannot write and read back");
        if (verify(t->world, c->sysctl, &c->before, &live) == 0 ||
            write_verified(t->world, c->sysctl, &c->before, &live) == 0) {
                t->ledger.entry[c->sysctl] = before;
                tuner_save_ledger(t);
        } else {
                c->unknown = true;
        }
}

/* Whether someone else's wish comes before the rule. It is asked last: files are read for it. */
static bool yields(struct tuner *t, struct change *c)
{
        char text[SYSCTL_TEXT_MAX];
        struct sysctl_owner owner;

        if (t->config->yield == YIELD_NO)
                return false;
        t->world->sysctl_owner(t->world, c->sysctl, &owner);
        if (owner.configured && owner.admin)
                snprintf(c->reason, sizeof(c->reason), "%s sets it; remove that line, or set yield = no", owner.where);
        else if (t->config->yield == YIELD_NONDEFAULT && owner.has_default &&
                 !sysctl_equal(&c->before, &owner.kernel_default))
                snprintf(c->reason, sizeof(c->reason), "it is not the kernel's default, %s (yield = nondefault)",
                         sysctl_format(&owner.kernel_default, text));
        else
                return false;
        return true;
}

/* Whether the change may be made: YIELDED, LIMITED, REFUSED, FAILED or UNCHANGED if not; JOINED where nothing is to be
 * written, APPLIED where it is. */
static void look_ahead(struct tuner *t, struct change *c, bool step, unsigned writes)
{
        struct sysctl_value live;
        int r;

        c->outcome = OUTCOME_JOINED;
        if (!c->write)
                return;
        /* What is there may be someone else's by now: who puts it back finds out. */
        if (!step && !t->config->observe && t->ledger.entry[c->sysctl].state == LEDGER_HELD) {
                c->outcome = OUTCOME_LIMITED;
                snprintf(c->reason, sizeof(c->reason), "an earlier change of %s has to be put back first",
                         sysctl_table[c->sysctl].name);
                return;
        }
        r = t->world->sysctl_read(t->world, c->sysctl, &live);
        if (r < 0) {
                fail(c, r, "cannot read");
                return;
        }
        if (!step) {
                c->before = c->original = live;
                c->outcome = OUTCOME_UNCHANGED;
                if (sysctl_equal(&live, &c->value) || t->ledger.entry[c->sysctl].state == LEDGER_THEIRS)
                        return;
        } else if (!t->config->observe && !sysctl_equal(&live, &c->before)) {
                c->outcome = OUTCOME_THEIRS;
                c->value = live;
                ledger_set_state(t, c->sysctl, LEDGER_THEIRS);
                return;
        }
        r = guard_check(&t->guard, t->config, &t->snapshot, c->sysctl, &live, &c->value, writes, c->reason,
                        sizeof(c->reason));
        c->outcome = r == 0 ? OUTCOME_APPLIED : r == -EAGAIN ? OUTCOME_LIMITED : OUTCOME_REFUSED;
        if (r == 0 && !step && yields(t, c))
                c->outcome = OUTCOME_YIELDED;
}

/* All of a rule or, while the limits allow only a part, nothing: it is tried again at the next tick. */
static void enter(struct tuner *t, struct decision *d)
{
        bool step = d->kind == DECISION_STEP;
        const struct change *limited = NULL;
        unsigned writes = 0;

        for (unsigned i = 0; i < d->n; i++)
                writes += d->change[i].write;
        for (unsigned i = 0; i < d->n; i++) {
                look_ahead(t, &d->change[i], step, writes);
                if (d->change[i].outcome == OUTCOME_LIMITED)
                        limited = &d->change[i];
        }
        for (unsigned i = 0; i < d->n; i++) {
                struct change *c = &d->change[i];

                if (limited && c->outcome != OUTCOME_THEIRS && c->outcome != OUTCOME_YIELDED) {
                        c->outcome = OUTCOME_LIMITED;
                        memmove(c->reason, limited->reason, sizeof(c->reason));
                } else if (c->outcome == OUTCOME_APPLIED && t->config->observe) {
                        guard_note_change(&t->guard, c->sysctl, t->snapshot.now);
                        c->outcome = OUTCOME_WOULD;
                } else if (c->outcome == OUTCOME_APPLIED) {
                        apply(t, d, c);
                }
        }
}

/* A table of TIME_WAIT that is made smaller than what it holds throws every new one away. Not known is not empty. */
static bool is_too_full(const struct tuner *t, const struct change *c)
{
        const struct reading *share = &t->snapshot.reading[METRIC_TIME_WAIT_TABLE];

        return c->sysctl == SYSCTL_TCP_MAX_TW_BUCKETS && c->value.v[0] < c->before.v[0] &&
               (share->state != READING_VALID || share->value / 100 * (double)c->before.v[0] > (double)c->value.v[0]);
}

/* What sysctl.d says now comes before what was there when we came. */
void writer_restore(struct tuner *t, struct change *c, bool at_end)
{
        struct ledger_entry *entry = &t->ledger.entry[c->sysctl];
        struct sysctl_owner owner;
        struct sysctl_value live;
        int r = t->world->sysctl_read(t->world, c->sysctl, &live);

        t->world->sysctl_owner(t->world, c->sysctl, &owner);
        c->before = r == 0 && sysctl_equal(&live, &entry->before) ? live : entry->written;
        c->original = entry->original;
        c->value = owner.configured ? owner.value : entry->original;
        if (r < 0) {
                fail(c, r, "cannot read");
        } else if (!ledger_is_ours(entry, &live)) {
                c->outcome = OUTCOME_THEIRS;
                c->value = live;
                ledger_set_state(t, c->sysctl, LEDGER_THEIRS);
        } else if (!at_end && is_too_full(t, c)) {
                fail(c, -EBUSY, "the table may hold more than that");
        } else if (!sysctl_equal(&live, &c->value) &&
                   (r = write_verified(t->world, c->sysctl, &c->value, &live)) < 0) {
                fail(c, r, "cannot put the original back");
                c->unknown = true;
        } else {
                c->outcome = OUTCOME_RESTORED;
                entry->at = MAX(entry->at, t->snapshot.now);
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
                guard_note_restore(&t->guard, c->sysctl, t->snapshot.now);
        } else if (t->config->rule[d->rule].keep && d->kind == DECISION_RELEASE) {
                c->outcome = OUTCOME_KEPT;
                c->value = c->before;
                ledger_set_state(t, c->sysctl, LEDGER_RELEASED);
        } else {
                writer_restore(t, c, false);
        }
}

void writer_carry_out(struct tuner *t, struct decision *d)
{
        switch (d->kind) {
        case DECISION_ENTER:
        case DECISION_STEP:
                enter(t, d);
                break;
        case DECISION_GIVE_WAY:
        case DECISION_RELEASE:
        case DECISION_UNEXPECTED:
        case DECISION_ABORT:
                for (unsigned i = 0; i < d->n; i++)
                        leave(t, d, &d->change[i]);
                break;
        case DECISION_OVERRIDDEN:
                ledger_set_state(t, d->change[0].sysctl, LEDGER_THEIRS);
                break;
        }
}
