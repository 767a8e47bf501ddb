/* SPDX-License-Identifier: MIT */
#pragma once

/* Whether a record is new enough to be logged: a state is logged when it changes, a try that fails the same way once.
 * The one place that knows. */

#include "lib/audit/record.h"

struct audit_news {
        uint64_t repeated; /* rules whose last try changed nothing and was logged: a bit each */
        uint32_t waiting;  /* sysctls that wait to be put back, which was logged: a bit each */
        uint32_t failing;  /* subjects that are degraded, which was logged: a bit each */
};

/* Of a decision, all of whose records are logged or none. */
bool news_decision_is_new(struct audit_news *news, const struct decision *decision, enum progress progress);

/* Of any other record. */
bool news_is_new(struct audit_news *news, const struct audit_record *record);

/* True if the subject is degraded now. */
static inline bool news_is_failing(const struct audit_news *news, enum audit_subject subject)
{
        return news->failing >> subject & 1;
}

/* The subject is another one from now on, such as a file with another name. */
static inline void news_forget(struct audit_news *news, enum audit_subject subject)
{
        news->failing &= ~(UINT32_C(1) << subject);
}

/* These rules (a bit each) begin anew: a person has released or rearmed a sysctl of theirs. */
static inline void news_forget_rules(struct audit_news *news, uint64_t rules)
{
        news->repeated &= ~rules;
}

/* A reload: what is remembered of a rule goes on for those that are the same in both configurations. */
void news_inherit(struct audit_news *news, const struct config *config, const struct config *old, uint64_t inherited);
