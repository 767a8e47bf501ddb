/* SPDX-License-Identifier: MIT */
#pragma once

/* A process that is started again when it ends, after a pause that grows. Times are us of CLOCK_MONOTONIC. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_NEVER UINT64_MAX
#define PROCESS_NOTES 3 /* a descriptor */

struct process {
        pid_t pid;         /* 0: it does not run */
        uint64_t started;  /* the last time */
        uint64_t again_at; /* not before; PROCESS_NEVER: not before process_retry() */
        unsigned pause_s;  /* the last one; 0: there was none */
        unsigned refused;  /* how often in a row it ended because another twtuned runs in its network namespace */
};

/* An environment variable of a process; value NULL: it has none of this name. */
struct variable {
        const char *name, *value;
};

/* Starts the process: run() in a copy of the supervisor, and the exit status is what it returns. The memory that neither of
 * them writes to stays shared by all. input: its standard input; -1: /dev/null. notes: becomes PROCESS_NOTES; -1: it has
 * none. No other descriptor but these and the outputs is open. The supervisor's signals stay blocked. variable: up to one
 * without a name. It gets SIGTERM when the supervisor dies, and so puts everything back. Returns 0; or a negative errno, and
 * it is tried again after a pause. */
int process_start(struct process *process, int (*run)(void *user), void *user, const struct variable variable[],
                  int input, int notes, uint64_t now);

/* Notes that it has ended with this status (wait(2)), and when it is started again. */
void process_ended(struct process *process, int status, uint64_t now);

/* The next start is due at once. */
void process_retry(struct process *process);

bool process_is_due(const struct process *process, uint64_t now);
