/* SPDX-License-Identifier: MIT */
#pragma once

/* The ledger of this netns on disk: DIRECTORY/COOKIE.ledger. */

#include "lib/apply/ledger.h"

struct ledger_file {
        struct ledger_owner owner;
        char directory[160], path[224], aside[232];
};

/* The runtime directory is made when it is missing. The name of the netns in file->owner stays as it is. 0 or a negative
 * errno: then nothing can be recorded, and so nothing written. */
int ledger_file_open(struct ledger_file *file, const char *directory, uint64_t netns_cookie);

/* 0; -ENOENT: there is none; -EBADMSG, -ESTALE, -EPROTONOSUPPORT as of ledger_parse(); -EIO: nobody knows of which boot
 * it is; or another negative errno. */
int ledger_file_load(const struct ledger_file *file, struct ledger *ret);

/* Renames a ledger that is not to be trusted to .bad, for whoever wants to know. */
void ledger_file_keep_aside(const struct ledger_file *file);

/* Written aside and renamed: at any instant the file is the old ledger or the new one, whole. */
int ledger_file_save(const struct ledger_file *file, const struct ledger *ledger);

/* Removes the file. */
void ledger_file_remove(const struct ledger_file *file);
