/* SPDX-License-Identifier: MIT */
#pragma once

/* Records every outcome once: decides whether it is new and must be logged, then passes it to the sinks. */

#include "daemon/backend.h"
#include "lib/apply/ledger.h"
#include "lib/audit/episode.h"
#include "lib/audit/news.h"

struct audit {
        struct backend *backend; /* borrowed: its report() passes a record to the sinks */
        struct audit_news news;
        struct episodes episodes;
        uint64_t logged[SYSCTL_COUNT][OUTCOME_COUNT]; /* how many outcomes were logged since the start */
        uint64_t restored;                            /* how many of them were OUTCOME_RESTORED */
};

/* Records a decision that was carried out and committed: a record for each change that was made or could not be
 * made, and the advice of a rule that changes nothing, or whose changes were refused or did not help. */
void audit_decision(struct audit *audit, const struct config *config, const struct decision *decision,
                    enum progress progress, uint64_t now);

/* Ends the episodes of rules that became inactive without a decision: a person released the sysctl that they held,
 * another program changed it while several rules held it, or a reload removed them. */
void audit_end_episodes(struct audit *audit, const struct config *config, const struct policy *policy,
                        enum episode_end how, uint64_t now);

/* Records that the expected effect of a rule was seen. */
void audit_effect(struct audit *audit, const struct config *config, unsigned rule, const struct rule_evaluation *now);

/* Fills in the culprits of episodes that last, once a live socket of their destination is seen; looks for one if no
 * dump has met any. */
void audit_find_culprits(struct audit *audit, const struct snapshot *snapshot);

/* Records an event that no rule decided: a sysctl was put back or could not be (subject: RESTORE, RELEASE, ORPHAN), or
 * another program changed it (HAND). rule: the rule that held it; HAND: a rule that sets it. why: the reason, as part
 * of a sentence. requested_by: the user who asked for it; NULL: nobody. */
void audit_restore(struct audit *audit, enum audit_subject subject, const struct change *change, const char *rule,
                   const char *why, const char *requested_by);

/* Records that a sysctl is left alone, because its ledger entry is LEDGER_FOREIGN. */
void audit_foreign(struct audit *audit, enum sysctl_id sysctl, const struct ledger_entry *entry, const char *why,
                   const char *requested_by);

/* Records that a subject fails (error: a negative errno) or works again (0). name: the file or the source; or NULL. */
void audit_state(struct audit *audit, enum audit_subject subject, const char *name, int error);

/* Passes any other record to the sinks if it is new. */
void audit_record(struct audit *audit, const struct audit_record *record);
