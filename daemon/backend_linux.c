/* SPDX-License-Identifier: MIT */
#include "daemon/backend_linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <systemd/sd-daemon.h>

#include "daemon/apply/preset.h"
#include "daemon/audit/journal.h"
#include "daemon/netns_name.h"
#include "daemon/note.h"

static struct linux_backend *self(struct backend *backend)
{
        return (struct linux_backend *)backend;
}

static void observe(struct backend *backend, struct snapshot *ret, bool *ret_dump, struct unread *unread)
{
        observer_read(self(backend)->observer, ret, ret_dump, unread);
}

static bool observe_states(struct backend *backend, struct snapshot *snapshot, struct unread *unread)
{
        return observer_read_states(self(backend)->observer, snapshot, unread);
}

static void observe_sockets(struct backend *backend, const struct watch_list *watch, struct snapshot *snapshot,
                            struct unread *unread)
{
        observer_read_sockets(self(backend)->observer, watch, snapshot, unread);
}

static int sysctl_read(struct backend *backend, enum sysctl_id sysctl, struct sysctl_value *ret)
{
        return observer_sysctl_read(self(backend)->observer, sysctl, ret);
}

static int sysctl_write(struct backend *backend, enum sysctl_id sysctl, const struct sysctl_value *value)
{
        return observer_sysctl_write(self(backend)->observer, sysctl, value);
}

static void sysctl_preset(struct backend *backend, enum sysctl_id sysctl, struct sysctl_preset *ret)
{
        (void)backend;
        sysctl_preset_find(sysctl, ret);
}

static int ledger_save(struct backend *backend, const struct ledger *ledger)
{
        struct linux_backend *w = self(backend);

        return w->ledger_error < 0 ? w->ledger_error : ledger_file_save(&w->ledger_file, ledger);
}

static const char *find_unit(struct backend *backend, uint64_t cgroup)
{
        return observer_find_unit(self(backend)->observer, cgroup);
}

static uint64_t find_cgroup(struct backend *backend, uint64_t destination)
{
        return observer_find_cgroup(self(backend)->observer, destination);
}

static void report(struct backend *backend, const struct audit_record *record)
{
        static struct audit_text text; /* too large for the stack */

        audit_text_make(&text, record);
        audit_text_add(&text, "NETNS", "%s", self(backend)->netns);
        journal_write(&text);
        if (self(backend)->also_report)
                self(backend)->also_report(self(backend)->user, record, &text);
}

static void notify(struct backend *backend, const char *state)
{
        int fd = self(backend)->notify_fd;

        if (fd > 0)
                note_send(fd, state);
        else
                sd_notify(0, state);
}

int linux_backend_open(struct linux_backend *w, bool sockets, const char **ret_what)
{
        const char *directory = getenv("RUNTIME_DIRECTORY");
        int r;

        *w = (struct linux_backend){
                .backend = {observe, observe_states, observe_sockets, sysctl_read, sysctl_write, sysctl_preset,
                            ledger_save, find_unit, find_cgroup, report, notify},
        };
        *ret_what = "the abstract address @twtuned";
        r = instance_take(&w->instance);
        if (r == 0) {
                *ret_what = "/proc/net";
                r = observer_new("/proc", &w->observer);
        }
        if (r == 0 && sockets) {
                *ret_what = "NETLINK_SOCK_DIAG";
                r = observer_probe(w->observer);
                /* -ENOENT: tcp_diag may be loaded later; until then each tick reports that it is missing. -ECANCELED:
                 * the daemon was asked to end; it starts all the same, to put back what the ledger holds. */
                if (r == -ENOENT || r == -ECANCELED)
                        r = 0;
        }
        if (r < 0) {
                linux_backend_close(w);
                return r;
        }
        if (netns_name(w->netns, sizeof(w->netns)) == 0)
                snprintf(w->ledger_file.owner.netns, sizeof(w->ledger_file.owner.netns), "%s", w->netns);
        else
                snprintf(w->netns, sizeof(w->netns), "%llu", (unsigned long long)w->instance.netns_cookie);
        w->ledger_error =
                ledger_file_open(&w->ledger_file, directory ? directory : TWTUNED_RUNTIME, w->instance.netns_cookie);
        return 0;
}

/* True if this kernel lacks a feature; any other error (a shortage, a dump that took too long) may be temporary. */
static bool is_for_good(int error)
{
        return error == -EPROTONOSUPPORT || error == -EAFNOSUPPORT || error == -EOPNOTSUPP || error == -ENOPROTOOPT;
}

int linux_backend_start(struct linux_backend *backend, bool sockets, int notify_fd)
{
        const char *what;
        int r = linux_backend_open(backend, sockets, &what);

        backend->notify_fd = notify_fd;
        if (r == -EADDRINUSE && notify_fd > 0)
                note_send(notify_fd, NOTE_REFUSED); /* the supervisor prints it once, not at each try */
        else if (r == -EADDRINUSE)
                fprintf(stderr, "twtuned: another twtuned runs in this network namespace; stop it first\n");
        else if (r == -ENOPROTOOPT)
                fprintf(stderr, "twtuned: a network namespace other than the first one needs Linux 5.14 "
                                "(SO_NETNS_COOKIE)\n");
        else if (r < 0)
                fprintf(stderr, "twtuned: cannot open %s: %s\n", what, strerror(-r));
        return r == 0 ? 0 : is_for_good(r) ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

void linux_backend_close(struct linux_backend *w)
{
        observer_free(w->observer);
        w->observer = NULL;
        instance_leave(&w->instance);
        journal_close();
}

/* Prints why the ledger cannot be used, and what happens to it. aside: it was renamed to .bad. */
static void print_unusable(const struct linux_backend *w, int error, bool aside)
{
        const char *path = w->ledger_file.path;

        if (error == -EPROTONOSUPPORT)
                fprintf(stderr,
                        "twtuned: %s: a later version of twtuned wrote it, and only that version can put back what it "
                        "holds; nothing is changed or put back\n",
                        path);
        else if (error != -EBADMSG)
                fprintf(stderr, "twtuned: cannot read the ledger %s: %s; nothing is changed or put back\n", path,
                        strerror(-error));
        else
                fprintf(stderr, "twtuned: %s: truncated or garbled; nothing is restored from it%s%s%s\n", path,
                        aside ? "; it is kept as " : "", aside ? path : "", aside ? ".bad" : "");
}

int linux_backend_load_ledger(struct linux_backend *w, bool observe, struct ledger *ret)
{
        int r = ledger_file_load(&w->ledger_file, ret);
        bool aside = r == -EBADMSG && !observe && ledger_file_keep_aside(&w->ledger_file) == 0;

        if (r == -ENOENT || r == -ESTALE)
                r = 0; /* none, or of another boot: its changes ended with that kernel */
        if (r < 0)
                print_unusable(w, r, aside);
        else if (w->ledger_error < 0)
                fprintf(stderr, "twtuned: cannot save originals in %s: %s; no sysctl will be written\n",
                        w->ledger_file.directory, strerror(-w->ledger_error));
        if (r < 0 && observe)
                w->ledger_error = r;
        return r;
}
