/* SPDX-License-Identifier: MIT */
#pragma once

/* The backend of production: this netns, its ledger, the log and the service manager. */

#include <limits.h>

#include "daemon/apply/ledger_file.h"
#include "daemon/backend.h"
#include "daemon/instance.h"
#include "daemon/observe/observer.h"
#include "lib/audit/text.h"

struct linux_backend {
        struct backend backend; /* first: the functions get a pointer to it */
        struct observer *observer;
        struct ledger_file ledger_file;
        int ledger_error;         /* why the ledger cannot be written; 0: it can */
        char netns[NAME_MAX + 1]; /* the name of the netns, else its cookie */
        /* Gets each record as well; NULL: none. */
        void (*also_report)(void *user, const struct audit_record *record, const struct audit_text *text);
        void *user;
        int notify_fd;            /* the pipe to the supervisor (note.h); 0: sd_notify(3) */
        struct instance instance; /* keeps a second daemon out of the netns */
};

/* Returns 0; or a negative errno, and *ret_what names what failed. -EADDRINUSE, -ENOPROTOOPT: see instance_take();
 * -EPROTONOSUPPORT and others: the kernel has no sock_diag, which is probed only if sockets is true. A kernel without
 * tcp_diag is no error. */
int linux_backend_open(struct linux_backend *ret, bool sockets, const char **ret_what);

/* As linux_backend_open(), but prints an error, and returns 0 or the exit status: EX_UNAVAILABLE for what this kernel
 * lacks, EX_TEMPFAIL for everything else. notify_fd: see struct linux_backend; if it is not 0 and another twtuned
 * runs, sends NOTE_REFUSED to the supervisor and prints nothing. */
int linux_backend_start(struct linux_backend *backend, bool sockets, int notify_fd);

void linux_backend_close(struct linux_backend *backend);

/* Loads the ledger that an earlier process left. *ret is untouched if this boot has none, and on errors, which are
 * printed. observe: no file is changed, and a ledger that cannot be used is not overwritten later. Returns 0;
 * -EBADMSG: the ledger is damaged, and was renamed to .bad, unless observe is set or the rename failed; another
 * negative errno: this twtuned cannot use it. */
int linux_backend_load_ledger(struct linux_backend *backend, bool observe, struct ledger *ret);
