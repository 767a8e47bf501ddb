/* SPDX-License-Identifier: MIT */
#include "lib/audit/news.h"

#include <string.h>

/* A rule whose last attempt is so long ago was idle: the same failure is logged again. */
#define FORGET_NS (3600 * NSEC_PER_SEC)

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

static uint16_t outcomes(const struct decision *d)
{
        uint16_t bits = 0;

        for (unsigned i = 0; i < d->n; i++)
                bits |= (uint16_t)(1u << d->change[i].outcome);
        return bits;
}

bool news_decision_is_new(struct audit_news *news, const struct decision *d, enum progress progress, uint64_t now)
{
        struct audit_news_rule *rule = &news->rule[d->rule];
        uint16_t unsaid;

        if (progress == PROGRESS_DONE || now - rule->tried_at >= FORGET_NS)
                *rule = (struct audit_news_rule){0};
        rule->tried_at = now;
        if (progress == PROGRESS_DONE)
                return true;
        unsaid = outcomes(d) & (uint16_t)~rule->said[d->kind];
        rule->said[d->kind] |= unsaid;
        return progress == PROGRESS_SOME || unsaid != 0 || may_have_taken(d);
}

void news_forget_rules(struct audit_news *news, uint64_t rules)
{
        for (unsigned i = 0; i < RULES_MAX; i++)
                if (rules >> i & 1)
                        news->rule[i] = (struct audit_news_rule){0};
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
        struct audit_news_rule rule[RULES_MAX] = {0};

        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < old->n_rules && (inherited >> i & 1); k++)
                        if (strcmp(config->rule[i].name, old->rule[k].name) == 0)
                                rule[i] = news->rule[k];
        memcpy(news->rule, rule, sizeof(rule));
}
