/* SPDX-License-Identifier: MIT */
#include "daemon/service.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "daemon/audit/journal.h"
#include "daemon/backend_linux.h"
#include "daemon/bus/bus.h"
#include "daemon/commands/lint.h"
#include "daemon/commands/record.h"
#include "daemon/config_files.h"
#include "daemon/confine.h"
#include "daemon/diagnostics_print.h"
#include "daemon/early.h"
#include "daemon/metrics_file.h"
#include "daemon/now.h"
#include "daemon/privilege.h"
#include "daemon/text_file.h"
#include "daemon/tick.h"
#include "daemon/unit_job.h"

struct service {
        struct linux_backend backend;
        struct tuner tuner;
        struct record record;
        struct bus bus;
        struct early early;
        sd_event *event; /* owned; freed after bus_stop() */
        struct metrics_file metrics;
        const struct service_options *options;
        bool reload;            /* SIGHUP came; the next tick reloads */
        uint64_t watchdog, fed; /* us: its timeout, 0 without one (sd_watchdog_enabled(3)); when it was last fed */
};

/* Switches config to observe mode for --observe; or if sysctls cannot be written, which it reports. Returns 0; or a
 * negative errno: why they cannot be written. */
static int observe_if_readonly(struct service *s, struct config *config)
{
        int r = observer_can_write(s->backend.observer);

        config->observe |= s->options->observe_only;
        if (config->observe || r == 0)
                return 0;
        config->observe = true;
        s->backend.backend.report(
                &s->backend.backend,
                &(struct audit_record){.kind = AUDIT_DEGRADED, .subject = SUBJECT_PERMISSION, .error = r});
        return r;
}

/* Makes the metrics file, the recording and the observer follow config. */
static void follow_config(struct service *s, struct config *config)
{
        const char *path = metrics_file_wanted(config), *problem = metrics_file_problem(path);

        /* Not fatal: an earlier version accepted every name. */
        if (problem)
                fprintf(stderr, "twtuned: metrics_file = %s: %s; no metrics are written\n", path, problem);
        metrics_file_set(&s->metrics, problem ? "" : path, config);
        if (record_is_on(&s->record))
                record_set_counters(&s->record, &config->counters);
        observer_set_config(s->backend.observer, config, &config->counters);
        if (record_is_on(&s->record))
                observer_want_everything(s->backend.observer);
}

/* Type=notify-reload needs the time of the reload (sd_notify(3), MONOTONIC_USEC). */
static void notify_reloading(struct service *s)
{
        char message[64];

        snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_monotonic_us());
        s->backend.backend.notify(&s->backend.backend, message);
}

/* Logs the first diagnostic, or "out of memory" if there was no memory for it. */
static void record_rejected(struct service *s, const struct diagnostics *d)
{
        static const struct diagnostic lost = {.at = {.file = "twtuned"}, .text = "out of memory"};
        const struct diagnostic *first = d->item && d->item->text ? d->item : &lost;

        audit_record(&s->tuner.audit, &(struct audit_record){.kind = AUDIT_CONFIG_REJECTED,
                                                             .subject = SUBJECT_CONFIG_FILE,
                                                             .name = first->at.file,
                                                             .line = first->at.line,
                                                             .why = first->text,
                                                             .count = d->n});
}

/* Switches to a configuration without an error, which the tuner then owns. Returns 0 or -ENOMEM; on an error config
 * stays the caller's and nothing changes. */
static int follow_reloaded(struct service *s, struct config *config)
{
        int r, write_error = observe_if_readonly(s, config);

        diagnostics_print(&config->warnings, "warning: ");
        r = tuner_reload(&s->tuner, config);
        if (r < 0)
                return r;
        s->tuner.write_error = write_error;
        s->tuner.rejected = false;
        follow_config(s, config);
        return 0;
}

static void reload(struct service *s)
{
        struct diagnostics diagnostics = {0};
        struct config *config;

        s->reload = false;
        notify_reloading(s);
        config = config_files_load(s->options->config_file, NULL, &diagnostics);
        if (!config || (diagnostics.n == 0 && follow_reloaded(s, config) < 0))
                diagnostic_add(&diagnostics, (struct origin){.file = "twtuned"}, "out of memory");
        diagnostics_print(&diagnostics, "");
        if (diagnostics.n > 0) {
                record_rejected(s, &diagnostics);
                s->tuner.rejected = true;
                s->tuner.settled = false; /* the next tick has to report it */
                config_free(config);
        }
        diagnostics_free(&diagnostics);
        s->backend.backend.notify(&s->backend.backend, "READY=1");
}

/* Feeds the watchdog after a completed tick, if half of its timeout will have passed one interval from now
 * (sd_watchdog_enabled(3)). now and interval are us. */
static void feed_watchdog(struct service *s, uint64_t now, uint64_t interval)
{
        if (s->watchdog == 0 || now + interval < s->fed + s->watchdog / 2)
                return;
        s->backend.backend.notify(&s->backend.backend, "WATCHDOG=1");
        s->fed = now;
}

/* Ends a recording whose client has left the bus, or that has failed: the observer would go on reading everything for
 * it. Begins the recording that was requested since the last tick. */
static void follow_recording(struct service *s)
{
        bool failed = s->record.path && !record_is_on(&s->record);

        if (s->bus.client_gone || failed) {
                s->bus.client_gone = false;
                record_close(&s->record);
                s->record.path = NULL;
                follow_config(s, s->tuner.config);
        }
        if (s->bus.record_fd >= 0) {
                record_take(&s->record, s->bus.record_fd, "of twtunectl");
                s->bus.record_fd = -1;
                follow_config(s, s->tuner.config);
        }
}

/* Updates the destinations in the snapshot for clients of the bus and readers of the metrics file. */
static void look(struct service *s)
{
        if (s->bus.asked || s->metrics.path[0])
                observer_look(s->backend.observer, s->bus.asked ? LOOK_CLIENT : LOOK_METRICS, &s->tuner.snapshot);
        s->bus.asked = false;
        if (s->bus.bus)
                s->bus.look_at = observer_look_at(s->backend.observer, LOOK_CLIENT);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;
        uint64_t now, interval;
        bool early = early_begin_tick(&s->early);
        int r;

        (void)usec;
        if (early)
                observer_set_early(s->backend.observer);
        if (s->reload)
                reload(s);
        follow_recording(s);
        record_before(&s->record, &s->tuner);
        tick(&s->tuner);
        record_tick(&s->record, &s->tuner);
        look(s);
        s->bus.recording = record_is_on(&s->record);
        bus_after_tick(&s->bus);
        metrics_file_tick(&s->metrics, &s->tuner);
        journal_tick();

        /* Ticks come at multiples of the interval. Those that a busy machine has missed are not made up for. */
        interval = s->tuner.config->interval_ns / 1000;
        if (s->watchdog > 0)
                interval = MAX(MIN(interval, s->watchdog / 2), 1); /* ticks alone feed the watchdog */
        sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now);
        if (!early)
                feed_watchdog(s, now, interval);
        r = sd_event_source_set_time(source, early_end_tick(&s->early, &s->tuner.snapshot, now, interval));
        return r < 0 ? sd_event_exit(sd_event_source_get_event(source), r) : 0; /* else it would never tick again */
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct service *s = userdata;

        if (info->ssi_signo == SIGHUP)
                s->reload = true;
        else
                sd_event_exit(sd_event_source_get_event(source), 0);
        return 0;
}

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

/* No signal may end the daemon before it has put everything back, after the event loop. This includes SIGPIPE, which
 * comes when stderr is a pipe that nobody reads. */
void service_block_signals(void)
{
        sigset_t mask;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD); /* for the supervisor */
        for (unsigned i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&mask, signals[i]);
        sigprocmask(SIG_BLOCK, &mask, NULL);
}

static int loop(struct service *s)
{
        sd_event_source *timer = NULL;
        int r = sd_event_new(&s->event);

        if (sd_watchdog_enabled(0, &s->watchdog) <= 0)
                s->watchdog = 0;
        for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(s->event, NULL, signals[i], on_signal, s);
        if (r >= 0)
                bus_start(&s->bus, s->event, &s->tuner);
        if (r >= 0)
                r = sd_event_add_time_relative(s->event, &timer, CLOCK_MONOTONIC, 0, 1, on_tick, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer, SD_EVENT_ON);
        if (r >= 0)
                r = early_start(&s->early, s->event, timer, s->backend.observer);
        if (r >= 0)
                r = sd_event_loop(s->event);
        early_stop(&s->early);
        if (r < 0)
                fprintf(stderr, "twtuned: the event loop failed: %s\n", strerror(-r));
        sd_event_source_unref(timer);
        return r;
}

/* True if the originals are put back at the end. With --hold they are put back only if systemd stops the unit: after a
 * restart the next process takes over, and twtuned-restore.service puts back what nobody takes over. */
static bool restores_on_exit(const struct service *s)
{
        const struct config *config = s->tuner.config;

        return config->restore_on_exit && !config->observe && (!s->options->hold || unit_job_is_stop());
}

/* The cookie of a network namespace that is gone never comes again in this boot, so nothing can use its ledger. */
static void forget_netns(const struct service *s)
{
        const char *netns = s->options->netns;

        if (netns && !privilege_is_netns(netns) && ledger_last_held(&s->tuner.apply.ledger, 0) == SYSCTL_COUNT)
                ledger_file_remove(&s->backend.ledger_file);
}

/* Runs the daemon. Takes ownership of config. Returns the exit status. */
static int run(struct service *s, struct config *config)
{
        int r, write_error;

        lint_report(&s->backend.backend);
        write_error = observe_if_readonly(s, config);
        r = linux_backend_load_ledger(&s->backend, config->observe, &s->tuner.apply.ledger);
        if (r < 0 && r != -EBADMSG && !(config->observe && r == -EPROTONOSUPPORT)) {
                config_free(config); /* a new ledger would overwrite originals that the next start may read */
                return EXIT_FAILURE;
        }
        strcpy(s->metrics.netns, s->backend.ledger_file.owner.netns);
        follow_config(s, config);
        if (tuner_start(&s->tuner, &s->backend.backend, config, now_ns()) < 0) {
                fprintf(stderr, "twtuned: out of memory\n");
                config_free(config);
                return EX_OSERR;
        }
        malloc_trim(0); /* returns the memory used to read the files to the kernel */
        s->tuner.write_error = write_error;
        s->backend.also_report = bus_note;
        s->backend.user = &s->bus;
        r = loop(s);
        metrics_file_remove(&s->metrics);
        s->backend.backend.notify(&s->backend.backend, "STOPPING=1");
        if (restores_on_exit(s) && tuner_restore_all(&s->tuner, "twtuned stops") > 0)
                r = -EIO;
        forget_netns(s);
        bus_stop(&s->bus);
        sd_event_unref(s->event);
        tuner_stop(&s->tuner);
        return r < 0 ? EXIT_FAILURE : 0;
}

/* Too large for the stack. */
static struct service service;

/* Puts back all that the ledger holds; why is for the log; *ret_held says whether it held anything. Returns the exit
 * status. */
static int restore_all(struct service *s, int notify_fd, const char *why, bool *ret_held)
{
        int r = linux_backend_start(&s->backend, false, notify_fd);

        if (r != 0)
                return r;
        s->tuner.backend = s->tuner.apply.backend = s->tuner.audit.backend = &s->backend.backend;
        s->tuner.apply.snapshot = &s->tuner.snapshot;
        s->tuner.snapshot.now = now_ns();
        r = linux_backend_load_ledger(&s->backend, false, &s->tuner.apply.ledger);
        *ret_held = ledger_last_held(&s->tuner.apply.ledger, 0) != SYSCTL_COUNT;
        if (*ret_held && tuner_restore_all(&s->tuner, why) > 0)
                r = -EIO;
        linux_backend_close(&s->backend);
        return r < 0 ? EXIT_FAILURE : 0;
}

/* Opens the recording if path is not NULL. Returns 0; or the exit status, as the daemon does not start without it. */
static int open_record(struct record *record, const char *path)
{
        int r = path ? record_open(record, path) : 0;

        if (r == -EEXIST)
                fprintf(stderr, "twtuned: %s is not empty; name a new file for the recording\n", path);
        else if (r < 0)
                fprintf(stderr, "twtuned: cannot record to %s: %s\n", path, text_file_error(r));
        return r < 0 ? EX_CANTCREAT : 0;
}

int service_run(const struct service_options *options)
{
        struct service *s = &service;
        struct config *config = options->config;
        bool held = false;
        int r = 0;

        s->options = options;
        /* Makes large blocks come from mmap(2), so that their unused pages take no memory: on the heap, calloc()
         * would clear them. Without M_MMAP_THRESHOLD malloc() raises the threshold at the first free() of such a
         * block. malloc() uses the free top of the heap before it looks at the threshold: M_TOP_PAD keeps the top
         * small (mallopt(3)). */
        mallopt(M_MMAP_THRESHOLD, 16 * 1024);
        mallopt(M_TOP_PAD, 4096);
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* a huge page takes 2 MB for the few pages of it that are used */
        service_block_signals();
        journal_unblock_stderr();
        if (!config)
                r = config_files_load_good(options->config_file, NULL, true, &config);
        if (r != 0) {
                /* The daemon will not run, so what an earlier process left changed is put back. */
                if (!options->observe_only &&
                    restore_all(s, options->notify_fd, "the configuration cannot be used, so twtuned does not run",
                                &held) == EXIT_FAILURE &&
                    held)
                        r = EXIT_FAILURE; /* systemd restarts it, unlike after EX_CONFIG, and it tries again */
                return r;
        }
        r = linux_backend_start(&s->backend, true, options->notify_fd);
        if (r == 0)
                r = open_record(&s->record, options->record_file);
        if (r == 0 && options->netns)
                r = confine_writes(s->backend.ledger_file.directory, metrics_file_wanted(config));
        if (r == 0)
                r = run(s, config);
        else
                config_free(config);
        record_close(&s->record);
        linux_backend_close(&s->backend);
        return r;
}

int service_restore(void)
{
        bool held = false;
        int r = restore_all(&service, 0, "twtuned --restore", &held);

        if (r == 0 && !held)
                puts("twtuned: the ledger of this network namespace holds nothing to put back");
        return r;
}
