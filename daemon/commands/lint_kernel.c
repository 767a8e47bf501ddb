/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/commands/lint_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/observe/proc_file.h"
#include "lib/util/macro.h"

static void path_of(const char *path, char file[static PATH_MAX])
{
        snprintf(file, PATH_MAX, "/proc/sys/%s", path);
}

static int read_sysctl(void *user, const char *path, char *buf, size_t size)
{
        char file[PATH_MAX];
        struct proc_file f;
        int n;

        (void)user;
        path_of(path, file);
        f = proc_file_open(file, 0);
        n = proc_file_read(&f, buf, size);
        proc_file_close(&f);
        if (n < 0)
                return n == -ENOTDIR || n == -ENAMETOOLONG ? -ENOENT : n;
        buf[strcspn(buf, "\n")] = 0;
        return 0;
}

static bool is_read_only(void *user, const char *path)
{
        char file[PATH_MAX];
        struct stat st;

        (void)user;
        path_of(path, file);
        return stat(file, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0222);
}

/* ---- modules ---- */

/* Returns 1 if the list names the module (kernel/net/ipv4/tcp_bbr.ko.xz), else 0; -ENODATA: there is no such list. */
static int is_listed(const char *list, const char *name)
{
        struct utsname uts;
        char path[PATH_MAX], file[NAME_MAX];
        char *line = NULL;
        size_t size = 0;
        int r = 0;
        FILE *f;

        if (uname(&uts) < 0)
                return -ENODATA;
        snprintf(path, sizeof(path), "/lib/modules/%s/%s", uts.release, list);
        snprintf(file, sizeof(file), "/%s.ko", name);
        f = fopen(path, "re");
        if (!f)
                return -ENODATA;
        while (r == 0 && getline(&line, &size, f) > 0) {
                line[strcspn(line, ":")] = 0; /* the modules that it needs follow */
                r = strstr(line, file) != NULL;
        }
        free(line);
        fclose(f);
        return r;
}

/* A kernel without CONFIG_MODULES has no /proc/sys/kernel/modprobe (kernel/module/main.c). */
static int has_module(void *user, const char *name)
{
        int loadable, builtin;

        (void)user;
        if (access("/proc/sys/kernel/modprobe", F_OK) < 0 && errno == ENOENT)
                return 0;
        loadable = is_listed("modules.dep", name);
        builtin = is_listed("modules.builtin", name);
        if (loadable < 0)
                return loadable;
        return loadable > 0 || builtin > 0;
}

/* ---- trials ---- */

struct lint_trial lint_trial_open(void)
{
        struct lint_trial t = {.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), .away = -1};

        if (t.home < 0 || unshare(CLONE_NEWNET) < 0)
                return t;
        t.away = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (setns(t.home, CLONE_NEWNET) < 0) {
                perror("twtuned: cannot leave the network namespace in which values are tried");
                exit(EXIT_FAILURE);
        }
        return t;
}

void lint_trial_close(struct lint_trial *trial)
{
        if (trial->away >= 0)
                close(trial->away);
        if (trial->home >= 0)
                close(trial->home);
        *trial = (struct lint_trial){-1, -1};
}

/* Opens a sysctl in the namespace of the trial: /proc/sys/net shows the namespace of the process that opens a file in
 * it. Returns a file descriptor or a negative errno. */
static int open_away(const struct lint_trial *t, const char *path)
{
        char file[PATH_MAX];
        int fd;

        path_of(path, file);
        if (setns(t->away, CLONE_NEWNET) < 0)
                return -errno;
        fd = open(file, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                fd = -errno;
        if (setns(t->home, CLONE_NEWNET) < 0) {
                perror("twtuned: cannot leave the network namespace in which values are tried");
                exit(EXIT_FAILURE);
        }
        return fd;
}

/* One write, with a newline, as systemd-sysctl does it (systemd's basic/sysctl-util.c:sysctl_write()). */
static int write_value(int fd, const char *value)
{
        size_t n = strlen(value);
        char *text = malloc(n + 2);
        int r = 0;

        if (!text)
                return -ENOMEM;
        memcpy(text, value, n);
        memcpy(text + n, "\n", 2);
        if (pwrite(fd, text, n + 1, 0) < 0)
                r = -errno;
        free(text);
        return r;
}

/* Reads the copy, as read_sysctl() does. Returns 0 or a negative errno. */
static int read_copy(int fd, char *buf, size_t size)
{
        ssize_t n = pread(fd, buf, size - 1, 0);

        if (n < 0)
                return -errno;
        buf[n] = 0;
        buf[strcspn(buf, "\n")] = 0;
        return 0;
}

/* Sets the copy of a sysctl to its live value. reset() does this for the pairs in compared[], try() for all others. */
static void copy_live(const struct lint_trial *t, const char *path)
{
        char live[8192];
        int fd = open_away(t, path);

        if (fd >= 0 && read_sysctl(NULL, path, live, sizeof(live)) == 0)
                (void)write_value(fd, live);
        if (fd >= 0)
                close(fd);
}

/* True for sysctls that a trial must not write, because the write has an effect outside of its namespace. Before Linux
 * 6.0, a write to early_demux changes it for all namespaces
 * (net/ipv4/sysctl_net_ipv4.c:proc_configure_early_demux()). Since Linux 6.17, a write to log_invalid may load a
 * module (net/netfilter/nf_conntrack_standalone.c:nf_conntrack_log_invalid_sysctl()). */
static bool is_shared(const char *path)
{
        struct utsname uts;

        if (strcmp(path, "net/ipv4/tcp_early_demux") == 0 || strcmp(path, "net/ipv4/udp_early_demux") == 0)
                return uname(&uts) < 0 || strtoul(uts.release, NULL, 10) < 6;
        return strcmp(path, "net/netfilter/nf_conntrack_log_invalid") == 0;
}

/* Pairs that the kernel checks against each other: their copies keep the values that earlier lines have set. */
static const char *const compared[] = {
        "net/ipv4/ip_unprivileged_port_start",
        "net/ipv4/ip_local_port_range",
        "net/ipv4/tcp_max_reordering",
        "net/ipv4/tcp_reordering",
        "net/netfilter/nf_conntrack_frag6_high_thresh",
        "net/netfilter/nf_conntrack_frag6_low_thresh",
};

static bool is_compared(const char *path)
{
        for (unsigned i = 0; i < ELEMENTSOF(compared); i++)
                if (strcmp(path, compared[i]) == 0)
                        return true;
        return false;
}

/* Copies each pair twice: the kernel may refuse the first value until the second one is set. */
static void reset(void *user)
{
        const struct lint_trial *t = user;

        for (unsigned i = 0; t->away >= 0 && i < 2 * ELEMENTSOF(compared); i++)
                copy_live(t, compared[i % ELEMENTSOF(compared)]);
}

static int try(void *user, const char *path, const char *value, char *ret_kept, size_t size)
{
        const struct lint_trial *t = user;
        char after[256];
        int fd, r;

        if (t->away < 0 || strncmp(path, "net/", 4) != 0 || is_shared(path))
                return -ENOSYS;
        if (!is_compared(path))
                copy_live(t, path);
        fd = open_away(t, path);
        if (fd < 0)
                return -ENOSYS; /* the namespace lacks it, or it cannot be written there */
        if (read_copy(fd, ret_kept, size) < 0)
                *ret_kept = 0;
        r = write_value(fd, value);
        if (read_copy(fd, after, sizeof(after)) < 0 || strcmp(ret_kept, after) != 0)
                *ret_kept = 0;
        close(fd);
        return r;
}

struct lint_kernel lint_kernel(struct lint_trial *trial)
{
        return (struct lint_kernel){.read = read_sysctl,
                                    .is_read_only = is_read_only,
                                    .reset = reset,
                                    .try = try,
                                    .has_module = has_module,
                                    .user = trial,
                                    .memory_pages = sysconf(_SC_PHYS_PAGES)};
}
