/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/lint/sysctl_lines.h"

/* When /etc/sysctl.conf is read. */
enum sysctl_conf {
        SYSCTL_CONF_NONE,   /* the file does not exist */
        SYSCTL_CONF_LINKED, /* at the place of the link to it in sysctl.d (Debian's 99-sysctl.conf) */
        SYSCTL_CONF_LAST,   /* no link: last, as "sysctl --system" does; systemd-sysctl does not read it */
};

/* Reads the sysctls that are set at boot: the files of sysctl.d in the order of sysctl.d(5), where a file masks those
 * of the same name in later directories, and /etc/sysctl.conf once. root is the directory above all files, "" for this
 * host; the file names in lines do not contain it. Reports a file that cannot be read, and continues. Returns 0 or
 * -ENOMEM. */
int sysctl_files_load(const char *root, struct sysctl_lines *lines, enum sysctl_conf *ret_conf,
                      struct diagnostics *diagnostics);

/* True if these files apply to this netns: they apply to the first one only. */
bool sysctl_files_apply_here(void);

/* Reads one file. Returns 0 or -ENOMEM. */
int sysctl_files_read(const char *path, struct sysctl_lines *lines, struct diagnostics *diagnostics);
