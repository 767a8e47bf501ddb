/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/audit/text.h"

/* Writes the text to the journal if stderr is the journal ($JOURNAL_STREAM, systemd.exec(5)), else as a line to
 * stderr. Waits up to 100 ms for a busy journal, three times at most, and not again until it has accepted an entry. An
 * entry that the journal or the reader of stderr does not accept is dropped and counted; an entry with the count
 * precedes the next accepted one. */
void journal_write(const struct audit_text *text);

/* Reports dropped entries, so that the report does not wait for the next entry. If it fails, the next call retries. */
void journal_tick(void);

/* If stderr is not the journal, makes all output to stderr JSON from now on (json_log.h). */
void journal_as_json(void);

/* Makes writes to stderr fail instead of waiting for its reader. */
void journal_unblock_stderr(void);

void journal_close(void);
