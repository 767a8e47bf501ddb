/* SPDX-License-Identifier: MIT */
#include "daemon/supervisor/child.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/config_files.h"
#include "daemon/note.h"
#include "daemon/privilege.h"
#include "daemon/service.h"
#include "daemon/supervisor/title.h"
#include "lib/util/safe.h"

#define NAME_SIZE (4 * NAME_MAX + 1)
#define SECOND UINT64_C(1000000) /* us */
#define SILENT_MAX (30 * SECOND) /* as WatchdogSec= of the units */
#define START_MAX (90 * SECOND)  /* as systemd's DefaultTimeoutStartSec= */
#define ABORT_WITHIN (5 * SECOND)

struct child *child_find(struct children *children, const struct netns *netns)
{
        struct child *c;

        LIST_FOREACH(c, children, link)
        if (c->netns.inode == netns->inode && c->netns.device == netns->device)
                return c;
        return NULL;
}

struct child *child_of_pid(struct children *children, pid_t pid)
{
        struct child *c;

        LIST_FOREACH(c, children, link)
        if (c->process.pid == pid)
                return c;
        return NULL;
}

/* True if a child has the same name, from a file in another directory. A child of the same file does not count: the
 * file is that of a new network namespace now, so that child is about to end. */
static bool is_taken(const struct children *children, const struct netns *netns)
{
        const struct child *c;

        LIST_FOREACH(c, children, link)
        if (strcmp(c->netns.name, netns->name) == 0 && strcmp(c->netns.path, netns->path) != 0)
                return true;
        return false;
}

struct child *child_add(struct children *children, const struct netns *netns, const struct child_options *options)
{
        struct child *c = malloc(sizeof(*c));

        if (!c)
                return NULL;
        *c = (struct child){.options = options, .netns = *netns, .netns_fd = -1};
        if (is_taken(children, netns))
                snprintf(c->netns.name, sizeof(c->netns.name), "%.*s-%ju", NAME_MAX - 24, netns->name,
                         (uintmax_t)netns->inode);
        LIST_INSERT_HEAD(children, c, link);
        return c;
}

/* "in network namespace NAME", for people */
static const char *where(const struct child *c, char buf[static NAME_SIZE + 32])
{
        char name[NAME_SIZE];

        if (c->netns.name[0] == 0)
                return "in this network namespace";
        snprintf(buf, NAME_SIZE + 32, "in network namespace %s", safe_name(c->netns.name, name, sizeof(name)));
        return buf;
}

static void metrics_path(const struct child *c, bool own, char *buf, size_t size)
{
        char name[NAME_SIZE];

        safe_name(c->netns.name, name, sizeof(name));
        snprintf(buf, size, "%s/twtuned%s%s.prom", c->options->metrics_directory, own && name[0] ? "-" : "",
                 own ? name : "");
}

static int run(void *user)
{
        const struct child *c = user;
        const struct child_options *options = c->options;
        const struct netns *of = &c->netns;
        char title[PATH_MAX + 32];
        bool shared = !config_files_of_instance(options->config_file, of->name);
        int r;

        snprintf(title, sizeof(title), "twtuned --netns=%s", of->path);
        title_set(title);
        r = privilege_run_in_netns(c->netns_fd >= 0 ? "/proc/self/fd/0" : of->path);
        if (r != 0)
                return r;
        return service_run(&(struct service_options){.config_file = options->config_file,
                                                     .config = shared ? options->config : NULL,
                                                     .observe_only = options->observe,
                                                     .netns = of->path,
                                                     .notify_fd = PROCESS_NOTES});
}

void child_start(struct child *c, uint64_t now)
{
        char metrics[PATH_MAX + NAME_SIZE], watchdog[24];
        const struct variable variable[] = {
                {"TWTUNED_INSTANCE", c->netns.name[0] ? c->netns.name : NULL},
                {"TWTUNED_METRICS_FILE", c->options->metrics_directory ? metrics : NULL},
                {"NOTIFY_SOCKET", NULL},
                {"WATCHDOG_USEC", watchdog},
                {"WATCHDOG_PID", NULL},
                {0},
        };
        char buf[NAME_SIZE + 32];
        int r;

        snprintf(watchdog, sizeof(watchdog), "%" PRIu64, SILENT_MAX);
        if (c->options->metrics_directory)
                metrics_path(c, false, metrics, sizeof(metrics));
        r = process_start(&c->process, run, c, variable, c->netns_fd, c->options->notes, now);
        c->ready = c->aborted = false;
        c->heard = now;
        c->state[0] = 0;
        if (r < 0)
                fprintf(stderr, "twtuned: cannot start a process %s: %s\n", where(c, buf), strerror(-r));
}

void child_ended(struct child *c, int status, uint64_t now)
{
        process_ended(&c->process, status, now);
        c->left = !c->process.in_order && (c->left || c->process.refused == 0);
}

static void hear_refused(struct child *c)
{
        char buf[NAME_SIZE + 32];

        if (++c->refused == 2)
                fprintf(stderr,
                        "twtuned: another twtuned runs %s, such as the unit of the host's package; this one starts "
                        "there after the other one has ended\n",
                        where(c, buf));
}

/* Opens the namespace through /proc: a descriptor of its named file would keep that from being unmounted (umount(2),
 * EBUSY). */
static void open_netns(struct child *c)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/ns/net", c->process.pid);
        if (c->netns_fd < 0)
                c->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
}

void child_hear(struct child *c, const char *text, uint64_t now)
{
        static const char ready[] = "READY=1\n", status[] = "STATUS=";

        c->heard = now;
        if (strcmp(text, NOTE_REFUSED) == 0)
                hear_refused(c);
        if (strncmp(text, ready, strlen(ready)) == 0) {
                c->ready = true;
                c->refused = 0;
                c->left = false;
                open_netns(c);
                text += strlen(ready);
        }
        if (strncmp(text, status, strlen(status)) == 0) {
                text += strlen(status);
                snprintf(c->state, sizeof(c->state), "%.*s", (int)strcspn(text, " :,"), text);
        }
}

void child_watch(struct child *c, uint64_t now)
{
        uint64_t silent = now - c->heard, longest = c->ready ? SILENT_MAX : START_MAX;
        char buf[NAME_SIZE + 32];

        if (c->process.pid == 0 || silent < longest)
                return;
        if (!c->aborted) {
                fprintf(stderr, "twtuned: killing the process %s, which has given no sign of life for %u s\n",
                        where(c, buf), (unsigned)(silent / SECOND));
                kill(c->process.pid, SIGABRT);
                c->aborted = true;
        } else if (silent >= longest + ABORT_WITHIN) {
                kill(c->process.pid, SIGKILL);
        }
}

void child_print_end(const struct child *c, int status, bool last, uint64_t now)
{
        char buf[NAME_SIZE + 32], how[64];

        if (c->process.refused > 0)
                return; /* the reason is printed elsewhere, and each further try would print this again */
        if (WIFSIGNALED(status))
                snprintf(how, sizeof(how), "was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
        else
                snprintf(how, sizeof(how), "has ended with status %d", WEXITSTATUS(status));
        if (last)
                fprintf(stderr, "twtuned: the process %s %s; the next start takes over what it has changed\n",
                        where(c, buf), how);
        else if (c->process.again_at == PROCESS_NEVER)
                fprintf(stderr, "twtuned: the process %s %s; the next one starts after a reload (SIGHUP)\n",
                        where(c, buf), how);
        else
                fprintf(stderr, "twtuned: the process %s %s; the next one takes over in %u s\n", where(c, buf), how,
                        (unsigned)((c->process.again_at - now) / 1000000));
}

void child_print_left(const struct child *c)
{
        char name[NAME_SIZE];

        fprintf(stderr,
                "twtuned: network namespace %s has lost its name, or no longer matches 'netns'; what twtuned changed "
                "there "
                "may still be in force: if a process PID still runs there, run "
                "twtuned --restore --netns=/proc/PID/ns/net\n",
                safe_name(c->netns.name, name, sizeof(name)));
}

void child_remove(struct child *c)
{
        char path[PATH_MAX + NAME_SIZE];

        if (c->options->metrics_directory) {
                metrics_path(c, true, path, sizeof(path));
                unlink(path); /* left by a process that was killed */
        }
        if (c->netns_fd >= 0)
                close(c->netns_fd);
        LIST_REMOVE(c, link);
        free(c);
}
