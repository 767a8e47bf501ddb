/* SPDX-License-Identifier: MIT */
#include "daemon/backend_linux.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon/apply/preset.h"
#include "daemon/audit/journal.h"
#include "daemon/netns_name.h"

/* <asm-generic/socket.h>, Linux 5.14; Debian 12's libc headers have it, older ones do not. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* An abstract address is per netns (unix(7)): it keeps a second instance out, and goes away however the process
 * ends. */
static const char instance_address[] = "\0twtuned";

static struct linux_backend *self(struct backend *backend)
{
        return (struct linux_backend *)backend;
}

static void observe(struct backend *backend, struct snapshot *ret, bool *ret_dump, struct unread *unread)
{
        observer_read(self(backend)->observer, ret, ret_dump, unread);
}

static void observe_states(struct backend *backend, struct snapshot *snapshot, struct unread *unread)
{
        observer_read_states(self(backend)->observer, snapshot, unread);
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

static void report(struct backend *backend, const struct audit_record *record)
{
        static struct audit_text text; /* too large for the stack of every caller */

        audit_text_make(&text, record);
        audit_text_add(&text, "NETNS", "%s", self(backend)->netns);
        journal_write(&text);
        if (self(backend)->also_report)
                self(backend)->also_report(self(backend)->user, record);
}

static void notify(struct backend *backend, const char *state)
{
        (void)backend;
        sd_notify(0, state);
}

static int instance_lock(struct linux_backend *w)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t size = sizeof(w->netns_cookie);

        w->instance = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (w->instance < 0 || getsockopt(w->instance, SOL_SOCKET, SO_NETNS_COOKIE, &w->netns_cookie, &size) < 0)
                return -errno;
        memcpy(address.sun_path, instance_address, sizeof(instance_address) - 1);
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(instance_address) - 1);
        return bind(w->instance, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
}

int linux_backend_open(struct linux_backend *w, const char **ret_what)
{
        const char *directory = getenv("RUNTIME_DIRECTORY");
        int r;

        *w = (struct linux_backend){
                .backend = {observe, observe_states, observe_sockets, sysctl_read, sysctl_write, sysctl_preset,
                            ledger_save, find_unit, report, notify},
                .instance = -1,
        };
        *ret_what = "the netns's instance address";
        r = instance_lock(w);
        if (r == 0) {
                *ret_what = "NETLINK_SOCK_DIAG";
                r = observer_new("/proc", &w->observer);
        }
        if (r < 0) {
                linux_backend_close(w);
                return r;
        }
        if (netns_name(w->netns, sizeof(w->netns)) == 0)
                snprintf(w->ledger_file.owner.netns, sizeof(w->ledger_file.owner.netns), "%s", w->netns);
        else
                snprintf(w->netns, sizeof(w->netns), "%llu", (unsigned long long)w->netns_cookie);
        w->ledger_error = ledger_file_open(&w->ledger_file, directory ? directory : TWTUNED_RUNTIME, w->netns_cookie);
        return 0;
}

void linux_backend_close(struct linux_backend *w)
{
        observer_free(w->observer);
        w->observer = NULL;
        if (w->instance >= 0)
                close(w->instance);
        w->instance = -1;
}

/* Prints why the ledger cannot be used, and what becomes of it. */
static void print_unusable(const struct linux_backend *w, int error, bool keep)
{
        const char *path = w->ledger_file.path;

        if (error == -EPROTONOSUPPORT)
                fprintf(stderr,
                        "twtuned: %s: a later version of twtuned wrote it, and only that one can put back what it "
                        "holds; "
                        "nothing is changed or put back\n",
                        path);
        else if (error != -EBADMSG)
                fprintf(stderr, "twtuned: cannot read the ledger %s: %s; nothing is changed or put back\n", path,
                        strerror(-error));
        else if (keep)
                fprintf(stderr, "twtuned: %s: truncated or garbled; nothing is restored from it\n", path);
        else
                fprintf(stderr,
                        "twtuned: %s: truncated or garbled; nothing is restored from it; it is kept as %s.bad\n", path,
                        path);
}

int linux_backend_load_ledger(struct linux_backend *w, bool observe, struct ledger *ret)
{
        int r = ledger_file_load(&w->ledger_file, ret);

        if (r < 0)
                *ret = (struct ledger){0};
        if (r == -ENOENT || r == -ESTALE)
                r = 0; /* none, or of another boot: its changes ended with that kernel */
        if (r < 0)
                print_unusable(w, r, observe);
        else if (w->ledger_error < 0)
                fprintf(stderr, "twtuned: cannot save originals in %s: %s; no sysctl will be written\n",
                        w->ledger_file.directory, strerror(-w->ledger_error));
        if (r < 0 && observe)
                w->ledger_error = r;
        else if (r == -EBADMSG)
                ledger_file_keep_aside(&w->ledger_file);
        return r;
}
