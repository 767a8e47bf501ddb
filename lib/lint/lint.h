/* SPDX-License-Identifier: MIT */
#pragma once

/* Says what the lines of sysctl.d about TCP really do on this kernel. */

#include "lib/lint/sysctl_lines.h"

enum lint_verdict {
        LINT_FINE,
        LINT_NO_EFFECT,
        LINT_HARMFUL,
};

/* The caller's access to the kernel. */
struct lint_kernel {
        /* Reads the live value of a path below /proc/sys, without the newline. Returns 0; -ENOENT: there is no such
         * sysctl; another negative errno: it exists, and its value is unknown. */
        int (*read)(void *user, const char *path, char *buf, size_t size);
        void *user;
        int64_t memory_pages; /* of the machine; 0: unknown */
};

#define LINT_WHY_MAX 768
#define LINT_NAME_MAX 256

struct lint_finding {
        const struct sysctl_line *line;
        char name[LINT_NAME_MAX]; /* as in sysctl.conf; of a glob, the sysctl that it matched */
        enum lint_verdict verdict;
        char why[LINT_WHY_MAX];
        const char *rule; /* the rule of the shipped policy for the same purpose; NULL: none, or none is needed */
        const char *does; /* what that rule does, "sets ..."; NULL: no rule */
};

const char *lint_verdict_name(enum lint_verdict verdict);

/* Calls report with a finding for each line about TCP or ports, in their order; for a glob, with one for each sysctl
 * in the table that it matches and this kernel has. A finding is valid during its call only. */
void lint_run(const struct sysctl_lines *lines, const struct lint_kernel *kernel,
              void (*report)(void *user, const struct lint_finding *finding), void *user);
