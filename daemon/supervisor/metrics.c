/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/supervisor/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/audit/json_log.h"

/* Removes all files of the directory, also those that a killed supervisor has left. */
static void empty(const char *directory)
{
        DIR *d = opendir(directory);
        struct dirent *entry;

        while (d && (entry = readdir(d)))
                unlinkat(dirfd(d), entry->d_name, 0);
        if (d)
                closedir(d);
}

static int prepare(struct metrics_server *m, const char *address)
{
        const char *runtime = getenv("RUNTIME_DIRECTORY");

        snprintf(m->directory, sizeof(m->directory), "%s/metrics", runtime ? runtime : TWTUNED_RUNTIME);
        if (mkdir(m->directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        empty(m->directory);
        m->address = strdup(address);
        return m->address && pipe2(m->beat, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
}

void metrics_server_init(struct metrics_server *m, const char *address)
{
        const char *program = getenv("TWTUNED_METRICS_HTTP"); /* of a build tree */
        int r;

        *m = (struct metrics_server){.beat = {-1, -1}};
        if (!address)
                return;
        m->program = program ? program : TWTUNED_METRICS_HTTP;
        r = access(m->program, X_OK) < 0 ? -errno : prepare(m, address);
        if (r == 0)
                return;
        fprintf(stderr, "twtuned: metrics_listen: no metrics are served: %s: %s\n",
                m->directory[0] ? m->directory : m->program, strerror(-r));
        m->program = NULL;
}

static int run(void *user)
{
        struct metrics_server *m = user;
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execl(m->program, "metrics-http", m->address, m->directory, NULL);
        fprintf(stderr, "twtuned: metrics_listen: cannot execute %s: %s\n", m->program, strerror(errno));
        return EX_OSERR;
}

void metrics_server_tick(struct metrics_server *m, uint64_t now)
{
        char refused[16];
        const struct variable variable[] = {
                {"TWTUNED_REFUSED", refused}, {"TWTUNED_JSON", json_log_is_on() ? "1" : NULL}, {0}};

        if (!m->program)
                return;
        snprintf(refused, sizeof(refused), "%u", m->process.refused);
        if (process_is_due(&m->process, now))
                process_start(&m->process, run, m, variable, m->beat[0], -1, now);
        if (write(m->beat[1], "", 1) < 0)
                return; /* the pipe is full: nobody reads it */
}

void metrics_server_stop(struct metrics_server *m)
{
        if (m->process.pid > 0 && kill(m->process.pid, SIGKILL) == 0) /* it has nothing to put back, and may hang */
                waitpid(m->process.pid, NULL, 0);
        if (m->program) {
                empty(m->directory);
                rmdir(m->directory);
        }
        free(m->address);
}
