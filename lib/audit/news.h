/* SPDX-License-Identifier: MIT */
#pragma once

/* Decides whether a record is logged: a state when it changes, a repeated failure once. */

#include "lib/audit/record.h"

/* What was logged of a rule since its last decision that was carried out in full. */
struct audit_news_rule {
        uint16_t said[DECISION_COUNT]; /* by kind of decision: a bit for each outcome that was logged */
        uint64_t tried_at;             /* ns of CLOCK_BOOTTIME; the last decision */
};

struct audit_news {
        struct audit_news_rule rule[RULES_MAX];
        uint32_t waiting; /* a bit for each sysctl that waits to be restored and whose wait was logged */
        uint32_t failing; /* a bit for each subject that fails and whose failure was logged */
};

/* Returns true if all records of a decision are to be logged; false: none. */
bool news_decision_is_new(struct audit_news *news, const struct decision *decision, enum progress progress,
                          uint64_t now);

/* Returns true if a record without a decision is to be logged. */
bool news_is_new(struct audit_news *news, const struct audit_record *record);

/* True if the subject is degraded now. */
static inline bool news_is_failing(const struct audit_news *news, enum audit_subject subject)
{
        return news->failing >> subject & 1;
}

/* Forgets that a subject fails, because the subject is a new one, such as a file with a new name. */
static inline void news_forget(struct audit_news *news, enum audit_subject subject)
{
        news->failing &= ~(UINT32_C(1) << subject);
}

/* Forgets what was logged of these rules (a bit each): a person has released a sysctl that they hold. */
void news_forget_rules(struct audit_news *news, uint64_t rules);

/* After a reload, keeps what was logged of each rule that did not change. inherited: a bit for each such rule of
 * config. */
void news_inherit(struct audit_news *news, const struct config *config, const struct config *old, uint64_t inherited);
