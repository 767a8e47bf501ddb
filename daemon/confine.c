/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "lib/kernel/sysctl.h"
#include "lib/util/macro.h"

/* Debian 12's <linux/landlock.h> is that of Linux 6.1. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* version 3, Linux 6.2 */
#endif

#define WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define REPLACE (WRITE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define EVERY_WRITE \
        (REPLACE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
         LANDLOCK_ACCESS_FS_MAKE_SYM)

int landlock_version(void)
{
        long r = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        return r < 0 ? -errno : (int)r;
}

/* Allows access below a directory (kind: O_DIRECTORY) or to a file (0). A path that cannot be opened needs no rule:
 * the daemon cannot write there either, and says so when it tries. Only a shortage is an error. */
static int allow(int ruleset, const char *path, int kind, uint64_t access)
{
        struct landlock_path_beneath_attr rule = {.allowed_access = access};
        int r = 0;

        rule.parent_fd = open(path, O_PATH | O_CLOEXEC | kind);
        if (rule.parent_fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                r = -errno;
        close(rule.parent_fd);
        return r;
}

/* A rule is bound to the inode of the file (security/landlock/fs.c:get_inode_object). The inode of a sysctl's file
 * lasts while the file is open (fs/proc/proc_sysctl.c), and a daemon keeps all these files open. */
static int allow_sysctls(int ruleset, uint64_t handled)
{
        char path[128];
        int r = 0;

        for (unsigned id = 0; id < SYSCTL_COUNT && r == 0; id++) {
                if (sysctl_table[id].never)
                        continue;
                snprintf(path, sizeof(path), "/proc/sys/%s", sysctl_table[id].name);
                for (char *dot = path; (dot = strchr(dot, '.'));)
                        *dot = '/';
                r = allow(ruleset, path, 0, WRITE & handled);
        }
        return r;
}

/* Creates a ruleset, which forbids every access in *handled that no rule allows. Removes from *handled what this
 * version of Landlock lacks. Returns the descriptor of the ruleset or a negative errno. */
static int begin(uint64_t *handled)
{
        struct landlock_ruleset_attr attr;
        long r;

        if (landlock_version() < 3)
                *handled &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
        attr = (struct landlock_ruleset_attr){.handled_access_fs = *handled};
        r = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
        return r < 0 ? -errno : (int)r;
}

/* Enforces the ruleset if r is 0, and closes it. Returns r or a negative errno. */
static int finish(int ruleset, int r)
{
        if (r == 0 &&
            (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0))
                r = -errno;
        close(ruleset);
        return r;
}

int confine_to_reading(const char *directory)
{
        uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        uint64_t handled = EVERY_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | reads;
        int ruleset;

        if (landlock_version() < 0)
                return 0;
        ruleset = begin(&handled);
        return ruleset < 0 ? ruleset : finish(ruleset, allow(ruleset, directory, O_DIRECTORY, reads));
}

int confine_writes(const char *ledger_directory, const char *metrics_file)
{
        const char *slash = strrchr(metrics_file, '/');
        char metrics[PATH_MAX];
        const char *const directory[] = {TWTUNED_RUNTIME, ledger_directory, metrics};
        uint64_t handled = EVERY_WRITE;
        int ruleset, r;

        if (landlock_version() < 0)
                return 0;
        snprintf(metrics, sizeof(metrics), "%.*s", slash ? (int)(slash - metrics_file) : 0, metrics_file);
        ruleset = begin(&handled);
        r = ruleset < 0 ? ruleset : allow_sysctls(ruleset, handled);
        for (size_t i = 0; i < ELEMENTSOF(directory) && r == 0; i++)
                r = allow(ruleset, directory[i], O_DIRECTORY, REPLACE & handled);
        if (ruleset >= 0)
                r = finish(ruleset, r);
        if (r < 0)
                fprintf(stderr, "twtuned: cannot give up the right to write other files: %s\n", strerror(-r));
        return r < 0 ? EX_TEMPFAIL : 0;
}
