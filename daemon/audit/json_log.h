/* SPDX-License-Identifier: MIT */
#pragma once

/* --json: the log on stderr as one JSON object a line, as journalctl -o json writes them. */

#include <stdbool.h>

#include "lib/audit/text.h"

/* From now on each line printed to stderr becomes an object with MESSAGE, PRIORITY and SYSLOG_IDENTIFIER. */
void json_log_begin(void);

bool json_log_is_on(void);

/* Writes a record. Returns 0; -EAGAIN: the reader of stderr does not take it, or there is no memory. */
int json_log_write(const struct audit_text *text);
