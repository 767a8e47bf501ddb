/* SPDX-License-Identifier: MIT */
#include "daemon/apply/write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"

/* True if the error may pass by itself: a resource was exhausted, or the call was interrupted. */
static bool error_may_pass(int error)
{
        static const int errors[] = {EAGAIN, EINTR, ENOMEM, ENOBUFS, ENOSPC, EDQUOT, EMFILE, ENFILE};

        for (unsigned i = 0; i < ELEMENTSOF(errors); i++)
                if (error == -errors[i])
                        return true;
        return false;
}

static void fail(struct change *c, int error, const char *what)
{
        c->outcome = OUTCOME_FAILED;
        c->error = error;
        c->may_pass = error_may_pass(error);
        snprintf(c->reason, sizeof(c->reason), "%s: %s", what, strerror(-error));
}

/* Returns 0 if the sysctl has this value; -EBUSY: it has another one; another negative errno: it cannot be read.
 * *live: the value read. */
static int verify(struct backend *b, enum sysctl_id id, const struct sysctl_value *value, struct sysctl_value *live)
{
        int r = b->sysctl_read(b, id, live);

        return r < 0 ? r : sysctl_equal(live, value) ? 0 : -EBUSY;
}

/* Returns 0 only if the value is also read back: write() may succeed without effect. */
static int write_verified(struct apply *a, enum sysctl_id id, const struct sysctl_value *value,
                          struct sysctl_value *live)
{
        int r = a->backend->sysctl_write(a->backend, id, value);

        if (r < 0)
                return r;
        r = verify(a->backend, id, value, live);
        a->seen[id] = r == 0 ? *value : (struct sysctl_value){0};
        return r;
}

void apply_save_ledger(struct apply *a)
{
        int r = a->backend->ledger_save(a->backend, &a->ledger);

        a->ledger_error = r < 0 ? r : 0;
}

/* A ledger that cannot be saved now is saved at the next tick. If the process dies before that, the file may still
 * list the sysctl as held: the next process compares the entry with the live value. */
void apply_set_state(struct apply *a, enum sysctl_id id, enum ledger_state state)
{
        a->ledger.entry[id].state = state;
        apply_save_ledger(a);
}

/* Saves the ledger first, so that after a crash the original is known. After a failed write, restores the old entry
 * only if the previous value is live, if need be after one more write. */
static void write_change(struct apply *a, const struct decision *d, struct change *c)
{
        struct ledger_entry before = a->ledger.entry[c->sysctl];
        struct sysctl_value live = c->before;
        int r;

        ledger_note(&a->ledger, c->sysctl, &c->original, &c->value, a->config->rule[d->rule].name, a->snapshot->now);
        if (before.state != LEDGER_HELD)
                a->ledger.entry[c->sysctl].file = c->file;
        limits_save(&a->limits, &a->ledger);
        apply_save_ledger(a);
        if (a->ledger_error < 0) {
                a->ledger.entry[c->sysctl] = before;
                fail(c, a->ledger_error, "the original value could not be recorded, so nothing was written");
                c->may_pass = true; /* whatever the error: each tick tries to save again */
                return;
        }
        /* A sysctl has no conditional write, so it is compared just before: another program may have changed it while
         * files were read and written. */
        r = verify(a->backend, c->sysctl, &c->before, &live);
        if (r < 0) {
                a->ledger.entry[c->sysctl] = before;
                apply_save_ledger(a);
                fail(c, r, "it changed just now or cannot be read, so nothing was written");
                return;
        }
        limits_note_change(&a->limits, c->sysctl, a->snapshot->now);
        r = write_verified(a, c->sysctl, &c->value, &live);
        if (r == 0) {
                c->outcome = OUTCOME_APPLIED;
                return;
        }
        /* The kernel takes each of these sysctls as written, or not at all (kernel/sysctl.c:
         * proc_dou8vec_minmax() and the like), so any other value is from another program. */
        if (r == -EBUSY && !sysctl_equal(&live, &c->before)) {
                c->outcome = OUTCOME_FOREIGN;
                c->value = live;
                apply_set_state(a, c->sysctl, LEDGER_FOREIGN);
                return;
        }
        fail(c, r, r == -EBUSY ? "the old value is still live after the write" : "cannot write and read back");
        if (verify(a->backend, c->sysctl, &c->before, &live) == 0 ||
            write_verified(a, c->sysctl, &c->before, &live) == 0) {
                a->ledger.entry[c->sysctl] = before;
                apply_save_ledger(a);
        } else {
                c->unknown = true;
        }
}

/* True if the administrator has set the sysctl, in the sense of yield=. Stores in c->file the value that sysctl.d
 * sets. Call this last, because it reads files. */
static bool yields(struct apply *a, struct change *c)
{
        char text[SYSCTL_TEXT_MAX];
        struct sysctl_preset owner;

        a->backend->sysctl_preset(a->backend, c->sysctl, &owner);
        if (owner.configured)
                c->file = owner.value;
        if (a->config->yield == YIELD_NO)
                return false;
        if (owner.configured && owner.admin)
                snprintf(c->reason, sizeof(c->reason), "%s sets it; remove that line, or set yield = no", owner.where);
        else if (a->config->yield == YIELD_NONDEFAULT && owner.has_default &&
                 !sysctl_equal(&c->before, &owner.kernel_default))
                snprintf(c->reason, sizeof(c->reason),
                         "the old value is not the kernel's default, %s (yield = nondefault)",
                         sysctl_format(&owner.kernel_default, text));
        else
                return false;
        return true;
}

/* True if another program changed the sysctl a short time ago, or since it was last observed (the next tick will
 * notice that). */
static bool is_left_for_now(const struct apply *a, struct change *c, const struct sysctl_value *live)
{
        const struct sysctl_value *seen = &a->seen[c->sysctl];
        uint64_t hand_at = a->ledger.entry[c->sysctl].hand_at;

        if ((seen->n == 0 || sysctl_equal(live, seen)) &&
            (hand_at == 0 || a->snapshot->now - hand_at >= APPLY_HAND_WAIT_NS))
                return false;
        c->outcome = OUTCOME_LIMITED;
        snprintf(c->reason, sizeof(c->reason), "someone else changed %s less than 10 min ago",
                 sysctl_table[c->sysctl].name);
        return true;
}

static bool observes(const struct apply *a, const struct decision *d)
{
        return a->config->observe || a->config->rule[d->rule].observe;
}

/* Fills in the outcome that the change will have: YIELDED, LIMITED, REFUSED, FAILED, FOREIGN or UNCHANGED if it is not
 * to be made, JOINED if there is nothing to write, else APPLIED. */
static void look_ahead(struct apply *a, struct change *c, bool step, bool observe, unsigned writes)
{
        struct sysctl_value live;
        int r;

        c->outcome = OUTCOME_JOINED;
        if (!c->write)
                return;
        /* The live value is not an original: apply_restore() has to put the original back first. */
        if (!step && !observe && a->ledger.entry[c->sysctl].state == LEDGER_HELD) {
                c->outcome = OUTCOME_LIMITED;
                snprintf(c->reason, sizeof(c->reason), "an earlier change of %s has to be put back first",
                         sysctl_table[c->sysctl].name);
                return;
        }
        r = a->backend->sysctl_read(a->backend, c->sysctl, &live);
        if (r < 0) {
                fail(c, r, "cannot read");
                return;
        }
        if (!step) {
                c->before = c->original = live;
                c->outcome = OUTCOME_UNCHANGED;
                if (sysctl_equal(&live, &c->value) || a->ledger.entry[c->sysctl].state == LEDGER_FOREIGN)
                        return;
                if (is_left_for_now(a, c, &live))
                        return;
        } else if (!observe && !sysctl_equal(&live, &c->before)) {
                c->outcome = OUTCOME_FOREIGN;
                c->value = live;
                apply_set_state(a, c->sysctl, LEDGER_FOREIGN);
                return;
        }
        r = limits_check(&a->limits, a->config, a->snapshot, c->sysctl, &live, &c->value, writes, c->reason,
                         sizeof(c->reason));
        c->outcome = r == 0 ? OUTCOME_APPLIED : r == -EAGAIN ? OUTCOME_LIMITED : OUTCOME_REFUSED;
        if (r == 0 && !step && yields(a, c))
                c->outcome = OUTCOME_YIELDED;
}

/* Makes all changes of a rule. While the limits allow only some of them it makes none; the next tick tries again. */
static void enter(struct apply *a, struct decision *d)
{
        bool step = d->kind == DECISION_STEP, observe = observes(a, d);
        const struct change *limited = NULL;
        unsigned writes = 0;

        for (unsigned i = 0; i < d->n; i++)
                writes += d->change[i].write;
        for (unsigned i = 0; i < d->n; i++) {
                look_ahead(a, &d->change[i], step, observe, writes);
                if (d->change[i].outcome == OUTCOME_LIMITED)
                        limited = &d->change[i];
        }
        for (unsigned i = 0; i < d->n; i++) {
                struct change *c = &d->change[i];

                if (limited && c->outcome != OUTCOME_FOREIGN && c->outcome != OUTCOME_YIELDED) {
                        c->outcome = OUTCOME_LIMITED;
                        memmove(c->reason, limited->reason, sizeof(c->reason));
                } else if (c->outcome == OUTCOME_APPLIED && observe) {
                        if (a->config->observe) /* in enforce mode, only writes count for the limits */
                                limits_note_change(&a->limits, c->sysctl, a->snapshot->now);
                        c->outcome = OUTCOME_WOULD;
                } else if (c->outcome == OUTCOME_APPLIED) {
                        write_change(a, d, c);
                }
        }
}

/* True if the TIME_WAIT table would become smaller than its content: it would take no new socket. Treats an unknown
 * count as a full table. */
static bool is_too_full(const struct apply *a, const struct change *c)
{
        const struct reading *share = &a->snapshot->reading[METRIC_TIME_WAIT_TABLE];

        return c->sysctl == SYSCTL_TCP_MAX_TW_BUCKETS && c->value.v[0] < c->before.v[0] &&
               (share->state != READING_VALID || share->value / 100 * (double)c->before.v[0] > (double)c->value.v[0]);
}

/* Chooses the value to restore. That is the value that sysctl.d sets, if it is within our bounds and differs from the
 * one that sysctl.d set when the rule took the sysctl: then someone has changed the file on purpose. Else it is the
 * original, even if out of bounds. */
static void choose_original(const struct ledger_entry *e, const struct sysctl_preset *owner, struct change *c)
{
        bool moved = owner->configured && !e->file_unknown && !sysctl_equal(&owner->value, &e->file);
        char text[SYSCTL_TEXT_MAX];

        c->original = c->value = e->original;
        if (!moved)
                return;
        if (sysctl_check(c->sysctl, &owner->value, c->reason, sizeof(c->reason)) < 0) {
                snprintf(c->reason, sizeof(c->reason), "%s sets %s now, which is out of bounds", owner->where,
                         sysctl_format(&owner->value, text));
                return;
        }
        c->from_file = true;
        c->value = owner->value;
        snprintf(c->reason, sizeof(c->reason), "%s", owner->where);
}

/* Does not set seen[]: if the value was live already because another program wrote it in this tick, the next
 * foreign_note_changes() sees that. */
static void note_restored(struct apply *a, struct change *c)
{
        c->outcome = OUTCOME_RESTORED;
        a->ledger.entry[c->sysctl].written = c->value;
        apply_set_state(a, c->sysctl, LEDGER_RELEASED);
}

void apply_restore(struct apply *a, struct change *c, bool at_end)
{
        struct ledger_entry *entry = &a->ledger.entry[c->sysctl];
        struct sysctl_preset owner;
        struct sysctl_value live;
        int r = a->backend->sysctl_read(a->backend, c->sysctl, &live);

        a->backend->sysctl_preset(a->backend, c->sysctl, &owner);
        c->before = r == 0 && sysctl_equal(&live, &entry->before) ? live : entry->written;
        choose_original(entry, &owner, c);
        if (r < 0) {
                fail(c, r, "cannot read");
        } else if (sysctl_equal(&live, &c->value)) {
                /* Comes before ledger_is_ours(): an earlier restore may have written the value of sysctl.d, and that
                 * function would call it foreign. */
                note_restored(a, c);
        } else if (!ledger_is_ours(entry, &live)) {
                c->outcome = OUTCOME_FOREIGN;
                c->value = live;
                apply_set_state(a, c->sysctl, LEDGER_FOREIGN);
        } else if (!at_end && is_too_full(a, c)) {
                fail(c, -EBUSY, "the table may hold more sockets than that");
                c->too_full = true;
        } else if ((r = write_verified(a, c->sysctl, &c->value, &live)) < 0) {
                fail(c, r, "cannot put the original back");
                c->unknown = verify(a->backend, c->sysctl, &c->before, &live) < 0;
        } else {
                note_restored(a, c);
        }
}

static void leave(struct apply *a, const struct decision *d, struct change *c)
{
        if (!c->write) {
                c->outcome = OUTCOME_JOINED;
        } else if (observes(a, d)) {
                c->outcome = OUTCOME_WOULD;
        } else if (a->config->rule[d->rule].keep && d->kind == DECISION_RELEASE) {
                c->outcome = OUTCOME_KEPT;
                c->value = c->before;
                apply_set_state(a, c->sysctl, LEDGER_RELEASED);
        } else {
                /* Undoes a change that did not help or did harm even if the table is full: it was full before, too. */
                apply_restore(a, c, d->kind == DECISION_UNEXPECTED || d->kind == DECISION_ABORT);
        }
}

void apply_decision(struct apply *a, struct decision *d)
{
        switch (d->kind) {
        case DECISION_ENTER:
        case DECISION_STEP:
                enter(a, d);
                break;
        case DECISION_GIVE_WAY:
        case DECISION_SUPERSEDED:
        case DECISION_RELEASE:
        case DECISION_UNEXPECTED:
        case DECISION_ABORT:
                for (unsigned i = 0; i < d->n; i++)
                        leave(a, d, &d->change[i]);
                break;
        case DECISION_OVERRIDDEN:
                apply_set_state(a, d->change[0].sysctl, LEDGER_FOREIGN);
                break;
        }
}
