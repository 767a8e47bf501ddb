/* SPDX-License-Identifier: MIT */
#include "lib/audit/news.h"

#include <string.h>

/* Sets a bit to value. Returns its value before. */
static bool exchange(uint32_t *bits, unsigned bit, bool value)
{
        bool before = *bits >> bit & 1;

        *bits = (*bits & ~(UINT32_C(1) << bit)) | (uint32_t)value << bit;
        return before;
}

/* True if the live value of a sysctl is unknown after a failed write: each such try is logged. */
static bool may_have_taken(const struct decision *d)
{
        for (unsigned i = 0; i < d->n; i++)
                if (d->change[i].unknown)
                        return true;
        return false;
}

bool news_decision_is_new(struct audit_news *news, const struct decision *d, enum progress progress)
{
        uint64_t bit = UINT64_C(1) << d->rule;
        bool repeated = news->repeated & bit;

        news->repeated = progress == PROGRESS_DONE ? news->repeated & ~bit : news->repeated | bit;
        return progress != PROGRESS_NONE || !repeated || may_have_taken(d);
}

bool news_is_new(struct audit_news *news, const struct audit_record *r)
{
        bool waits;

        switch (r->subject) {
        case SUBJECT_ORPHAN:
                waits = r->change->outcome == OUTCOME_FAILED && !r->change->unknown;
                return !exchange(&news->waiting, r->change->sysctl, waits) || !waits;
        case SUBJECT_LEDGER:
        case SUBJECT_METRICS_FILE:
        case SUBJECT_OBSERVATION:
        case SUBJECT_TICKS:
        case SUBJECT_BUS:
                return exchange(&news->failing, r->subject, r->error < 0) != (r->error < 0);
        default:
                return true;
        }
}

void news_inherit(struct audit_news *news, const struct config *config, const struct config *old, uint64_t inherited)
{
        uint64_t repeated = 0;

        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < old->n_rules && (inherited >> i & 1); k++)
                        if (strcmp(config->rule[i].name, old->rule[k].name) == 0 && (news->repeated >> k & 1))
                                repeated |= UINT64_C(1) << i;
        news->repeated = repeated;
}
