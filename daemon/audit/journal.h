/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/audit/text.h"

/* Writes the text to the journal if stderr is the journal ($JOURNAL_STREAM, systemd.exec(5)), else as a line to
 * stderr. Waits for 100 ms at most. An entry that the journal or the reader of stderr does not accept is dropped and
 * counted; an entry with the count precedes the next accepted one. */
void journal_write(const struct audit_text *text);

/* Reports dropped entries without waiting for the next entry. Each call retries until they are reported. */
void journal_tick(void);

/* From now on what goes to stderr is JSON, if stderr is not the journal (json_log.h). */
void journal_as_json(void);

/* Makes writes to stderr fail instead of waiting for its reader. */
void journal_unblock_stderr(void);

void journal_close(void);
