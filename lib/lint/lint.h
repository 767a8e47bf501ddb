/* SPDX-License-Identifier: MIT */
#pragma once

/* Says what the lines of sysctl.d about TCP, UDP, conntrack and core sockets really do on this kernel. */

#include "lib/lint/sysctl_lines.h"

enum lint_verdict {
        LINT_FINE,
        LINT_UNKNOWN,
        LINT_NO_EFFECT,
        LINT_HARMFUL,
};

/* The caller's access to the kernel. */
struct lint_kernel {
        /* Reads the live value of a path below /proc/sys, without the newline. Returns 0; -ENOENT: there is no such
         * sysctl; another negative errno: it exists, and its value is unknown. */
        int (*read)(void *user, const char *path, char *buf, size_t size);
        /* True if nobody may write the path. NULL: unknown. */
        bool (*is_read_only)(void *user, const char *path);
        /* Writes value to an unused copy of the sysctl, in a new network namespace. Returns 0; -ENOSYS: there is no
         * such copy, and ret_kept is untouched; another negative errno: the kernel refuses the value. ret_kept is the
         * value of the copy if the write did not change it, else "". NULL: no value can be tried. */
        int (*try)(void *user, const char *path, const char *value, char *ret_kept, size_t size);
        void (*reset)(void *user); /* sets the copies to the live values again; NULL: not needed */
        /* Returns 1 if the kernel can load the module, 0 if it cannot, -ENODATA: unknown. NULL: unknown. */
        int (*has_module)(void *user, const char *name);
        void *user;
        int64_t memory_pages; /* of the machine; 0: unknown */
};

#define LINT_WHY_MAX 768
#define LINT_NAME_MAX 256
#define LINT_VALUE_MAX 96

struct lint_finding {
        const struct sysctl_line *line;
        /* Escaped by safe_text(), like the reason. */
        char name[LINT_NAME_MAX];   /* as in sysctl.conf; for a glob: a sysctl that it matches, or else the glob */
        char value[LINT_VALUE_MAX]; /* of the line */
        enum lint_verdict verdict;
        char why[LINT_WHY_MAX];
        int applied;      /* 1: the kernel takes the value; 0: it does not; -1: unknown */
        const char *rule; /* the rule of the shipped policy for the same purpose; NULL: none, or none is needed */
        const char *does; /* what that rule does, "sets ..."; NULL: no rule */
        bool yields; /* the rule changes the same sysctl, but not while a file under /etc sets it (yield = sysctl.d) */
};

const char *lint_verdict_name(enum lint_verdict verdict);

/* Calls report for each line about TCP, UDP, conntrack, ports or core sockets, in the order of the lines; for a glob,
 * for each sysctl of the table that it matches and this kernel has, or once if there is none. A finding is valid only
 * during the call. */
void lint_run(const struct sysctl_lines *lines, const struct lint_kernel *kernel,
              void (*report)(void *user, const struct lint_finding *finding), void *user);

/* Finds the lines to remove so that no line is left that is harmful or has no effect: first the harmful ones, because
 * others may have an effect without them. (*ret)[i] is the reason to remove line i; NULL: it stays. The caller frees
 * *ret with lint_fix_free(). Returns 0 or -ENOMEM. */
int lint_fix(const struct sysctl_lines *lines, const struct lint_kernel *kernel, char ***ret);
void lint_fix_free(char **why, size_t n);
