/* SPDX-License-Identifier: MIT */
#pragma once

/* A twtuned in a network namespace, from when the namespace is first seen until it is gone. */

#include <sys/queue.h>

#include "daemon/supervisor/netns_scan.h"
#include "daemon/supervisor/process.h"
#include "lib/config/config.h"

struct child {
        LIST_ENTRY(child) link;
        struct process process;
        const struct child_options *options;
        struct netns netns; /* name "": the supervisor's own */
        bool present;       /* the last scan has found the namespace */
        bool ready;         /* it has completed a tick since its start */
        bool aborted;       /* it was sent SIGABRT, because it was silent for too long */
        bool left;          /* a process has died, and none has taken over yet what it may have changed */
        int netns_fd;       /* for the next process, as the name may go; -1: none was ready yet */
        unsigned refused;   /* how often it found another twtuned there since it was ready */
        uint64_t heard;     /* us; the last note, or the start */
        char state[16];     /* the first word of its status; "": none yet */
};

LIST_HEAD(children, child);

/* What all children have in common. */
struct child_options {
        const char *config_file; /* NULL: the usual files */
        struct config *config;   /* as last read from there */
        bool observe;
        int notes;                     /* the descriptor that they write notes to (note.h) */
        const char *metrics_directory; /* where each writes its metrics; NULL: where the configuration says */
};

/* Finds the child of a namespace; NULL: there is none. */
struct child *child_find(struct children *children, const struct netns *netns);

/* Adds a child, which the caller has to start. If another child has its name, the inode is appended: the name
 * identifies its metrics and records. options: borrowed. Returns NULL without memory. */
struct child *child_add(struct children *children, const struct netns *netns, const struct child_options *options);

/* Starts it. Prints why if it cannot be started. */
void child_start(struct child *child, uint64_t now);

/* Records that it has ended with this status (wait(2)). */
void child_ended(struct child *child, int status, uint64_t now);

/* Returns the child with this pid; NULL: there is none. */
struct child *child_of_pid(struct children *children, pid_t pid);

/* Processes a note from the child: updates when it was last heard, whether it is ready, and its state. Prints that
 * another twtuned runs in its network namespace when the child reports that for the second time: at the first report
 * the other one may be about to end, as a child of a killed supervisor. */
void child_hear(struct child *child, const char *text, uint64_t now);

/* Ends it if it has been silent for too long: with SIGABRT, then with SIGKILL if it still runs. It is then started
 * again, like one that died. */
void child_watch(struct child *child, uint64_t now);

/* Call this for a child that should have kept running or, at the end of the supervisor (last), should have put
 * everything back. Prints how it has ended, and when the next one starts; nothing after EX_TEMPFAIL: the child itself
 * has printed why, or child_hear() does. */
void child_print_end(const struct child *child, int status, bool last, uint64_t now);

/* Prints that the network namespace lost its name, or no longer matches `netns`, before a process could take over what
 * a dead one may have changed there, and how a person puts that back. */
void child_print_left(const struct child *child);

/* Removes and frees a child that does not run, and removes the metrics file that it may have left. */
void child_remove(struct child *child);
