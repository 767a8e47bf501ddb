/* SPDX-License-Identifier: MIT */
#pragma once

/* A process that is started again when it ends, after a pause that grows. Times are us of CLOCK_MONOTONIC. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_NEVER UINT64_MAX
#define PROCESS_NOTES 3 /* the descriptor that the process writes notes to */

struct process {
        pid_t pid;         /* 0: it does not run */
        uint64_t started;  /* when it was last started */
        uint64_t again_at; /* when it may be started again; PROCESS_NEVER: only after process_retry() */
        unsigned pause_s;  /* the last pause; 0: there was none */
        bool in_order;     /* the last one had nothing to put back, or has put it back */
        unsigned refused;  /* how often in a row it ended with EX_TEMPFAIL, as when another twtuned runs there */
};

/* An environment variable of a process; value NULL: it has none of this name. */
struct variable {
        const char *name, *value;
};

/* Forks the supervisor, and calls run() in the new process, which exits with the status that run() returns. Memory
 * that no process writes to stays shared by all. input: becomes standard input; -1: /dev/null. notes: becomes
 * PROCESS_NOTES; -1: it has none. All other descriptors but standard output and error are closed. The supervisor's
 * signals stay blocked. variable ends with an entry without a name. The process gets SIGTERM when the supervisor dies,
 * and so puts everything back. Returns 0; or a negative errno, and the next start is due after a pause. */
int process_start(struct process *process, int (*run)(void *user), void *user, const struct variable variable[],
                  int input, int notes, uint64_t now);

/* Records that it has ended with this status (wait(2)), and sets when it is started again. */
void process_ended(struct process *process, int status, uint64_t now);

/* Makes the next start due at once. */
void process_retry(struct process *process);

bool process_is_due(const struct process *process, uint64_t now);
