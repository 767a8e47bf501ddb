/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/util/macro.h"

#define SECOND UINT64_C(1000000) /* us */
#define PAUSE_MAX_S 60u
#define PAUSE_SHORT_MAX_S 8u /* after EX_TEMPFAIL, to take over soon when another twtuned there ends */

/* Runs in the child of fork(); the program has no threads. Closes the supervisor's descriptors, because its lock and
 * its pipes would otherwise outlive it. Returns 0 or a negative errno. */
static int set_up(const struct variable variable[], int input, int notes)
{
        if (input < 0)
                input = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (input < 0 || dup2(input, STDIN_FILENO) < 0 || (notes >= 0 && dup2(notes, PROCESS_NOTES) < 0) ||
            syscall(__NR_close_range, notes >= 0 ? PROCESS_NOTES + 1 : PROCESS_NOTES, UINT_MAX, 0) < 0)
                return -errno;
        for (const struct variable *v = variable; v->name; v++)
                if (v->value ? setenv(v->name, v->value, true) : unsetenv(v->name))
                        return -errno;
        return 0;
}

static int run_in_child(pid_t parent, int (*run)(void *user), void *user, const struct variable variable[], int input,
                        int notes)
{
        int r;

        /* The signal stays set when capabilities are given up, and over execve(2) (kernel/cred.c:commit_creds). */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent)
                return EX_OSERR;
        r = set_up(variable, input, notes);
        if (r < 0)
                fprintf(stderr, "twtuned: cannot start a process: %s\n", strerror(-r));
        return r < 0 ? EX_OSERR : run(user);
}

static void pause_before_next(struct process *p, unsigned longest_s, uint64_t now)
{
        p->pause_s = MIN(p->pause_s == 0 ? 1 : 2 * p->pause_s, longest_s);
        p->again_at = now + p->pause_s * SECOND;
}

int process_start(struct process *p, int (*run)(void *user), void *user, const struct variable variable[], int input,
                  int notes, uint64_t now)
{
        pid_t parent = getpid(), pid = fork();

        if (pid == 0)
                exit(run_in_child(parent, run, user, variable, input, notes));
        if (pid < 0) {
                int r = -errno;

                pause_before_next(p, PAUSE_MAX_S, now);
                return r;
        }
        p->pid = pid;
        p->started = now;
        return 0;
}

/* A daemon that ends with EX_CONFIG has also put back what it found (service_run()). EX_UNAVAILABLE: the kernel
 * lacks something, and another start would fail, so the next one is due only after process_retry(). */
void process_ended(struct process *p, int status, uint64_t now)
{
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

        p->pid = 0;
        p->in_order = code == 0 || code == EX_CONFIG || code == EX_UNAVAILABLE;
        p->refused = code == EX_TEMPFAIL ? p->refused + 1 : 0;
        if (now - p->started > PAUSE_MAX_S * SECOND)
                p->pause_s = 0;
        pause_before_next(p, code == EX_TEMPFAIL ? PAUSE_SHORT_MAX_S : PAUSE_MAX_S, now);
        if (code == EX_UNAVAILABLE)
                p->again_at = PROCESS_NEVER;
}

void process_retry(struct process *p)
{
        p->pause_s = 0;
        p->again_at = 0;
}

bool process_is_due(const struct process *p, uint64_t now)
{
        return p->pid == 0 && now >= p->again_at && p->again_at != PROCESS_NEVER;
}
