/* SPDX-License-Identifier: MIT */
#pragma once

/* The ledger of this netns on disk: DIRECTORY/COOKIE.ledger. */

#include "lib/apply/ledger.h"

struct ledger_file {
        struct ledger_owner owner;
        char directory[160], path[224], aside[232];
};

/* Creates the runtime directory if it is missing. Leaves the netns name in file->owner as it is. Returns 0; or a
 * negative errno: then nothing can be recorded, so no sysctl may be written. */
int ledger_file_open(struct ledger_file *file, const char *directory, uint64_t netns_cookie);

/* Reads the ledger. Returns 0; -ENOENT: there is no file; -EBADMSG, -ESTALE, -EPROTONOSUPPORT: see ledger_parse();
 * -EIO: the id of this boot is unknown; or another negative errno. */
int ledger_file_load(const struct ledger_file *file, struct ledger *ret);

/* Renames a damaged ledger to .bad, so that a person can examine it. Returns 0 or a negative errno. */
int ledger_file_keep_aside(const struct ledger_file *file);

/* Writes a temporary file and renames it, so that the ledger on disk is always complete: the old or the new one.
 * Returns 0 or a negative errno. */
int ledger_file_save(const struct ledger_file *file, const struct ledger *ledger);

/* Removes the file. */
void ledger_file_remove(const struct ledger_file *file);
