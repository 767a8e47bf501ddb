/* SPDX-License-Identifier: MIT */
#pragma once

/* What the lines of sysctl.d that are about TCP really do on this kernel. */

#include "lib/lint/sysctl_lines.h"

enum lint_verdict {
        LINT_FINE,
        LINT_NO_EFFECT,
        LINT_HARMFUL,
};

/* The kernel, as far as it can be asked. */
struct lint_kernel {
        /* The live value of a path below /proc/sys, without the newline. 0; -ENOENT: there is no such sysctl; another
         * negative errno: it is there, and its value is not known. */
        int (*read)(void *user, const char *path, char *buf, size_t size);
        void *user;
        int64_t memory_pages; /* of the machine; 0: not known */
};

#define LINT_WHY_MAX 768
#define LINT_NAME_MAX 256

struct lint_finding {
        const struct sysctl_line *line;
        char name[LINT_NAME_MAX]; /* as in sysctl.conf; for a glob what it matched */
        enum lint_verdict verdict;
        char why[LINT_WHY_MAX];
        const char *rule; /* of the shipped policy, which sees to what the line is there for; NULL: none, or no need */
        const char *does; /* what that rule does, "sets ..." */
};

const char *lint_verdict_name(enum lint_verdict verdict);

/* Tells a finding for each line that is about TCP or ports, in their order; for a glob, one for each sysctl in the
 * table that it matches and this kernel has. */
void lint_run(const struct sysctl_lines *lines, const struct lint_kernel *kernel,
              void (*tell)(void *user, const struct lint_finding *finding), void *user);
