/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/lint/sysctl_lines.h"

/* Where /etc/sysctl.conf comes in. */
enum sysctl_conf {
        SYSCTL_CONF_NONE,   /* there is none */
        SYSCTL_CONF_LINKED, /* a link in sysctl.d leads to it (Debian's 99-sysctl.conf): in its place there */
        SYSCTL_CONF_LAST,   /* no link: systemd-sysctl does not read it; last, as "sysctl --system" does */
};

/* Reads what the administrator and the packages want set at boot: the files of sysctl.d in the order of sysctl.d(5), a
 * file masking those of the same name in the directories after its own, and /etc/sysctl.conf, once. The files are
 * looked for under root, "" for this host's own, which is left out of their names. A file that cannot be read is a
 * problem, and reading goes on. 0 or -ENOMEM. */
int sysctl_files_load(const char *root, struct sysctl_lines *lines, enum sysctl_conf *ret_conf,
                      struct diagnostics *diagnostics);

/* Whether they are applied to this netns: only to the first one. */
bool sysctl_files_apply_here(void);

/* Reads one file. 0 or -ENOMEM. */
int sysctl_files_read(const char *path, struct sysctl_lines *lines, struct diagnostics *diagnostics);
