/* SPDX-License-Identifier: MIT */
#pragma once

/* Records every outcome once: whether it is new enough to be logged is decided here, then it goes to the sinks. */

#include "daemon/backend.h"
#include "lib/apply/ledger.h"
#include "lib/audit/episode.h"
#include "lib/audit/news.h"

struct audit {
        struct backend *backend; /* borrowed: its report() gives a record to the sinks */
        struct audit_news news;
        struct episodes episodes;
        uint64_t logged[SYSCTL_COUNT][OUTCOME_COUNT]; /* how many outcomes were logged since the start */
};

/* A decision that was carried out and committed: a record for each change that was or could not be made, and the advice
 * of a rule that changes nothing, or whose changes came to nothing. */
void audit_decision(struct audit *audit, const struct config *config, const struct decision *decision,
                    enum progress progress, uint64_t now);

/* The expected effect of a rule has come. */
void audit_effect(struct audit *audit, const struct config *config, unsigned rule, const struct rule_evaluation *now);

/* Fills in the culprits of episodes that last, once a live socket of their destination is seen. */
void audit_find_culprits(struct audit *audit, const struct snapshot *snapshot);

/* A sysctl that was put back, or could not be, without a rule's decision. subject: RESTORE or ORPHAN; rule: the one that
 * held it; why: part of a sentence. */
void audit_restore(struct audit *audit, enum audit_subject subject, const struct change *change, const char *rule,
                   const char *why);

/* The same of one that a person released. */
void audit_release(struct audit *audit, const struct change *change, const char *rule, const char *why,
                   const char *requested_by);

/* A sysctl that is left alone, by its entry in the ledger. requested_by: the user who asked for it; NULL: nobody did. */
void audit_foreign(struct audit *audit, enum sysctl_id sysctl, const struct ledger_entry *entry, const char *why,
                   const char *requested_by);

/* Something that does not work (error: a negative errno) or works again (0). name: the file or the source; or NULL. */
void audit_state(struct audit *audit, enum audit_subject subject, const char *name, int error);

/* Any other record. */
void audit_record(struct audit *audit, const struct audit_record *record);
