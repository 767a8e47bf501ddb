/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/audit/text.h"

/* Writes the text to the journal if stderr is the journal ($JOURNAL_STREAM, systemd.exec(5)), else as a line to
 * stderr. Waits for 100 ms at most. What the journal or the reader of stderr does not take is dropped and counted, and the
 * next entry that is taken follows one that says how many. */
void journal_write(const struct audit_text *text);

/* Says in the meantime how many were dropped, as soon as that is taken. */
void journal_tick(void);

/* From now on a write to stderr fails rather than waits for its reader. */
void journal_unblock_stderr(void);

void journal_close(void);
