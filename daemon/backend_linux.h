/* SPDX-License-Identifier: MIT */
#pragma once

/* The backend of production: this netns, its ledger, the log and the service manager. */

#include <limits.h>

#include "daemon/apply/ledger_file.h"
#include "daemon/backend.h"
#include "daemon/observe/observer.h"

struct linux_backend {
        struct backend backend; /* first: the functions get a pointer to it */
        struct observer *observer;
        struct ledger_file ledger_file;
        int ledger_error; /* why nothing can be recorded; 0: it can */
        uint64_t netns_cookie;
        char netns[NAME_MAX + 1]; /* the name of the netns, else its cookie */
        void (*also_report)(void *user, const struct audit_record *record); /* gets each record as well; NULL: none */
        void *user;
        int instance; /* the socket whose address keeps a second daemon out of the netns */
};

/* Returns 0 or a negative errno, and in *ret_what the name of the part that failed. -EADDRINUSE: another twtuned runs in
 * this netns; -EPROTONOSUPPORT and others: the kernel has no sock_diag. */
int linux_backend_open(struct linux_backend *ret, const char **ret_what);
void linux_backend_close(struct linux_backend *backend);

/* Loads the ledger that an earlier process left; *ret is empty if there is none, and on errors, which are printed.
 * observe: no file is changed, and a ledger that cannot be used is not written over later. Returns 0; -EBADMSG: it is
 * damaged, and was kept aside unless observe; another negative errno: it cannot be used by this twtuned. */
int linux_backend_load_ledger(struct linux_backend *backend, bool observe, struct ledger *ret);
