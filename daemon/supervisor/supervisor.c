/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "daemon/audit/journal.h"
#include "daemon/config_files.h"
#include "daemon/confine.h"
#include "daemon/note.h"
#include "daemon/now.h"
#include "daemon/privilege.h"
#include "daemon/service.h"
#include "daemon/supervisor/child.h"
#include "daemon/supervisor/metrics.h"
#include "daemon/supervisor/node_status.h"
#include "daemon/supervisor/title.h"
#include "lib/util/macro.h"

#define SECOND UINT64_C(1000000) /* us */
#define SCAN_EVERY (1 * SECOND)  /* a namespace is noticed within that time */
#define LATE (5 * SECOND)        /* since the last scan: if longer, the supervisor itself hung, not its children */
#define STOP_WITHIN (8 * SECOND) /* podman waits for 10 s before it kills, Kubernetes for 30 s */
#define CHILDREN_MAX 1024u

struct supervisor {
        struct children children;
        unsigned n_children;
        struct child_options options;
        struct metrics_server metrics;
        sd_event *event;
        int lock;
        int notes[2];        /* a pipe: the notes of the children */
        uint64_t scanned_at; /* us; 0: not yet */
        struct node_status status;
        bool stopping, failed, too_many, scan_failed;
};

/* ---- the children ---- */

static void on_netns(void *user, const struct netns *netns)
{
        struct supervisor *s = user;
        struct child *c = child_find(&s->children, netns);

        if (!c && s->n_children == CHILDREN_MAX) {
                if (!s->too_many)
                        fprintf(stderr,
                                "twtuned: more than %u network namespaces; the others are left alone; select by "
                                "netns = in the configuration\n",
                                CHILDREN_MAX);
                s->too_many = true;
                return;
        }
        if (!c && (c = child_add(&s->children, netns, &s->options)))
                s->n_children++;
        if (!c || c->present)
                return;
        c->present = true;
        strcpy(c->netns.path, netns->path); /* its first name may be gone while a second one remains */
}

/* The namespace of the supervisor itself: it has no name, and it stays. */
static void add_own(struct supervisor *s)
{
        struct netns own = {.path = "/proc/self/ns/net"};
        struct stat st;

        if (stat(own.path, &st) < 0)
                return;
        own.device = st.st_dev;
        own.inode = st.st_ino;
        on_netns(s, &own);
}

static void remove_child(struct supervisor *s, struct child *c)
{
        if (c->left && !s->stopping)
                child_print_left(c);
        child_remove(c);
        s->n_children--;
        s->too_many = false;
}

/* After a scan that failed, no namespace counts as gone. */
static void scan(struct supervisor *s)
{
        struct child *c;
        int r;

        LIST_FOREACH(c, &s->children, link)
        c->present = false;
        add_own(s);
        r = netns_scan(s->options.config->netns_directory, s->options.config->netns, on_netns, s);
        if (r < 0 && !s->scan_failed)
                fprintf(stderr, "twtuned: cannot look for network namespaces: %s\n", strerror(-r));
        s->scan_failed = r < 0;
        LIST_FOREACH(c, &s->children, link)
        c->present |= s->scan_failed;
}

static void follow_scan(struct supervisor *s, uint64_t now)
{
        struct child *c, *next;

        for (c = LIST_FIRST(&s->children); c; c = next) {
                next = LIST_NEXT(c, link);
                if (!c->present && c->process.pid > 0)
                        kill(c->process.pid, SIGTERM);
                else if (!c->present && !(c->left && c->netns_fd >= 0))
                        remove_child(s, c);
                else if (process_is_due(&c->process, now))
                        child_start(c, now);
        }
}

static void take_notes(struct supervisor *s, uint64_t now)
{
        struct child *c;
        struct note note;

        while (note_take(s->notes[0], &note))
                if ((c = child_of_pid(&s->children, note.pid)))
                        child_hear(c, note.text, now);
}

/* Reads the notes of the children, and kills those that hang. */
static void watch(struct supervisor *s, uint64_t now)
{
        bool late = s->scanned_at > 0 && now - s->scanned_at > LATE;
        struct child *c;

        take_notes(s, now);
        LIST_FOREACH(c, &s->children, link)
        {
                if (late)
                        c->heard = now;
                child_watch(c, now);
        }
        s->scanned_at = now;
}

static int on_scan(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct supervisor *s = userdata;
        uint64_t now = now_monotonic_us();

        (void)usec;
        if (s->stopping)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        scan(s);
        follow_scan(s, now);
        watch(s, now);
        node_status_update(&s->status, &s->children);
        metrics_server_tick(&s->metrics, now);
        return sd_event_source_set_time(source, now + SCAN_EVERY);
}

static void note_end(struct supervisor *s, struct child *c, int status, uint64_t now)
{
        bool asked = s->stopping || !c->present;

        child_ended(c, status, now);
        if (!asked || (s->stopping && WIFSIGNALED(status)))
                child_print_end(c, status, s->stopping, now);
        s->failed |= s->stopping && status != 0 && (c->process.refused == 0 || c->left);
        if (asked)
                remove_child(s, c);
}

/* ---- the end ---- */

static unsigned signal_all(struct supervisor *s, int signal)
{
        unsigned n = 0;
        struct child *c;

        LIST_FOREACH(c, &s->children, link)
        n += c->process.pid > 0 && kill(c->process.pid, signal) == 0;
        return n;
}

/* Starts a process where one has died, to put back what that one had changed. SIGTERM, which is sent at once, waits
 * until the new process has taken over, because it is blocked until then. */
static void start_for_the_end(struct supervisor *s)
{
        uint64_t now = now_monotonic_us();
        struct child *c;

        LIST_FOREACH(c, &s->children, link)
        if (c->process.pid == 0 && !c->process.in_order) {
                child_start(c, now);
                s->failed |= c->process.pid == 0;
        }
}

static void exit_when_done(struct supervisor *s)
{
        struct child *c;

        LIST_FOREACH(c, &s->children, link)
        if (c->process.pid > 0)
                return;
        sd_event_exit(s->event, s->failed ? EXIT_FAILURE : 0);
}

static int on_stop_late(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct supervisor *s = userdata;

        (void)source, (void)usec;
        s->failed = true;
        fprintf(stderr,
                "twtuned: killing %u processes that have not ended; the next start takes over what they changed, from "
                "the ledgers\n",
                signal_all(s, SIGKILL));
        return 0;
}

/* ---- signals ---- */

/* Also reaps orphans of other processes: the supervisor is their parent if it is process 1 of a container. */
static int on_child_ended(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct supervisor *s = userdata;
        uint64_t now = now_monotonic_us();
        int status;
        pid_t pid;

        (void)source, (void)info;
        take_notes(s, now); /* while the pids in them are still those of the children */
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                struct child *c = child_of_pid(&s->children, pid);

                if (c)
                        note_end(s, c, status, now);
                else if (pid == s->metrics.process.pid)
                        process_ended(&s->metrics.process, status, now);
        }
        if (s->stopping)
                exit_when_done(s);
        return 0;
}

/* If the new configuration has an error, the supervisor and its children keep the current one. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct supervisor *s = userdata;
        struct config *config;
        struct child *c;

        (void)source, (void)info;
        if (config_files_load_good(s->options.config_file, NULL, false, &config) != 0) {
                fputs("twtuned: keeping the current configuration\n", stderr);
                return 0;
        }
        config_free(s->options.config);
        s->options.config = config;
        signal_all(s, SIGHUP);
        LIST_FOREACH(c, &s->children, link)
        process_retry(&c->process);
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct supervisor *s = userdata;

        (void)source, (void)info;
        if (s->stopping)
                return 0;
        s->stopping = true;
        if (s->scanned_at == 0)
                scan(s); /* an earlier supervisor may have left something changed */
        start_for_the_end(s);
        signal_all(s, SIGTERM);
        exit_when_done(s);
        return sd_event_add_time_relative(s->event, NULL, CLOCK_MONOTONIC, STOP_WITHIN, 0, on_stop_late, s);
}

static const struct {
        int number;
        sd_event_signal_handler_t handler;
} signals[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_reload}, {SIGCHLD, on_child_ended}};

static int loop(struct supervisor *s)
{
        sd_event_source *timer = NULL;
        int r = sd_event_new(&s->event);

        for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(s->event, NULL, signals[i].number, signals[i].handler, s);
        if (r >= 0)
                r = sd_event_add_time_relative(s->event, &timer, CLOCK_MONOTONIC, 0, 1, on_scan, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer, SD_EVENT_ON);
        if (r >= 0)
                r = sd_event_loop(s->event);
        if (r < 0)
                fprintf(stderr, "twtuned: the event loop failed: %s\n", strerror(-r));
        sd_event_source_unref(timer);
        s->event = sd_event_unref(s->event);
        return r < 0 ? EXIT_FAILURE : r;
}

/* ---- the start ---- */

/* The supervisor has a descriptor for each child (netns_fd). */
static void allow_descriptors(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

/* Allows one supervisor on a host: two would keep each other's children out of the namespaces. Without the directory
 * there is no lock, as for instance_take(). Returns 0 or the exit status. */
static int take_lock(struct supervisor *s)
{
        mkdir(TWTUNED_RUNTIME, 0755);
        s->lock = open(TWTUNED_RUNTIME "/all-netns.lock", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
                return 0;
        fputs("twtuned: another twtuned --all-netns runs on this host; stop it first\n", stderr);
        return EX_TEMPFAIL;
}

static int drop_privileges(void)
{
        int r = privilege_keep(PRIVILEGE_SYS_ADMIN | PRIVILEGE_NET_ADMIN), landlock = landlock_version();

        if (r < 0) {
                fprintf(stderr,
                        "twtuned: --all-netns needs CAP_SYS_ADMIN (to enter network namespaces) and "
                        "CAP_NET_ADMIN: %s\n",
                        strerror(-r));
                return EXIT_FAILURE;
        }
        if (landlock < 0)
                fprintf(stderr,
                        "twtuned: no Landlock here (%s; see landlock(7)): nothing keeps the processes from writing "
                        "root's files and other sysctls\n",
                        strerror(-landlock));
        return 0;
}

int supervisor_run(const char *config_file, bool observe, char **argv)
{
        static struct supervisor s = {.lock = -1};
        int r;

        service_block_signals(); /* at once: until then, process 1 of a container gets none (pid_namespaces(7)) */
        /* A copy, as title_set() overwrites the argument. */
        s.options =
                (struct child_options){.config_file = config_file ? strdup(config_file) : NULL, .observe = observe};
        if (config_file && !s.options.config_file) {
                fputs("twtuned: out of memory\n", stderr);
                return EX_OSERR;
        }
        LIST_INIT(&s.children);
        allow_descriptors();
        title_prepare(argv);
        journal_unblock_stderr();
        r = config_files_load_good(config_file, NULL, true, &s.options.config);
        if (r != 0)
                return r;
        r = take_lock(&s);
        if (r == 0 && pipe2(s.notes, O_CLOEXEC | O_NONBLOCK) < 0) {
                fprintf(stderr, "twtuned: cannot make a pipe: %s\n", strerror(errno));
                r = EX_OSERR;
        }
        s.options.notes = s.notes[1];
        if (r == 0)
                r = drop_privileges();
        if (r == 0) {
                metrics_server_init(&s.metrics, s.options.config->metrics_listen);
                s.options.metrics_directory = s.metrics.program ? s.metrics.directory : NULL;
                r = loop(&s);
                metrics_server_stop(&s.metrics);
        }
        config_free(s.options.config);
        return r;
}
