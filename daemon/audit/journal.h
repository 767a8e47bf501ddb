/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/audit/text.h"

/* Writes the text to the journal if stderr is the journal ($JOURNAL_STREAM, systemd.exec(5)), else as a line to
 * stderr. */
void journal_write(const struct audit_text *text);
