/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/apply/sysctl_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf_files.h"
#include "daemon/text_file.h"
#include "lib/util/macro.h"

/* In order of precedence, the highest first. */
static const char *const directories[] = {
        "/etc/sysctl.d",
        "/run/sysctl.d",
        "/usr/local/lib/sysctl.d",
        "/usr/lib/sysctl.d",
};
static const char sysctl_conf[] = "/etc/sysctl.conf";

/* Reads path and records it as name. optional: ignores a dangling link, as systemd-sysctl does. */
static int read_as(const char *path, const char *name, bool optional, struct sysctl_lines *lines,
                   struct diagnostics *diagnostics)
{
        const char *file = sysctl_lines_add_file(lines, name);
        char *text = NULL;
        size_t size = 0;
        int r;

        if (!file)
                return -ENOMEM;
        r = text_file_read(path, &text, &size);
        if (r == -ENOENT && optional)
                return 0;
        if (r < 0) {
                diagnostic_add(diagnostics, (struct origin){.file = file}, "cannot be read: %s", text_file_error(r));
                return 0;
        }
        r = sysctl_lines_read(lines, file, text, size, diagnostics);
        free(text);
        return r;
}

static bool is_same_file(const char *path, const struct stat *other)
{
        struct stat st;

        return stat(path, &st) == 0 && st.st_dev == other->st_dev && st.st_ino == other->st_ino;
}

int sysctl_files_load(const char *root, struct sysctl_lines *lines, enum sysctl_conf *ret_conf,
                      struct diagnostics *diagnostics)
{
        char path[PATH_MAX], conf_path[PATH_MAX];
        struct conf_files list;
        struct stat conf;
        int r = conf_files_list(root, directories, ELEMENTSOF(directories), &list, diagnostics);

        snprintf(conf_path, sizeof(conf_path), "%s%s", root, sysctl_conf);
        *ret_conf = stat(conf_path, &conf) == 0 ? SYSCTL_CONF_LAST : SYSCTL_CONF_NONE;
        for (size_t i = 0; r == 0 && i < list.n; i++) {
                const char *name = path + strlen(root);

                snprintf(path, sizeof(path), "%s%s/%s", root, list.item[i].directory, list.item[i].name);
                if (*ret_conf == SYSCTL_CONF_LAST && is_same_file(path, &conf)) {
                        *ret_conf = SYSCTL_CONF_LINKED;
                        name = sysctl_conf;
                }
                r = read_as(path, name, true, lines, diagnostics);
        }
        if (r == 0 && *ret_conf == SYSCTL_CONF_LAST)
                r = read_as(conf_path, sysctl_conf, true, lines, diagnostics);
        free(list.item);
        return r;
}

int sysctl_files_read(const char *path, struct sysctl_lines *lines, struct diagnostics *diagnostics)
{
        return read_as(path, path, false, lines, diagnostics);
}

/* tcp_mem is registered for the first netns alone (net/ipv4/sysctl_net_ipv4.c:ipv4_table). SO_NETNS_COOKIE cannot
 * identify it: the cookie of the first netns depends on the kernel (3 on Linux 6.18). */
bool sysctl_files_apply_here(void)
{
        return access("/proc/sys/net/ipv4/tcp_mem", F_OK) == 0;
}
