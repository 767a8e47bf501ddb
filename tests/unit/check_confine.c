/* SPDX-License-Identifier: MIT */
/* What a process can write after it has given up the rest. */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "daemon/confine.h"
#include "daemon/privilege.h"
#include "lib/util/macro.h"
#include "run.h"

static int open_error(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static void in(char ret[static 512], const char *directory, const char *file)
{
        snprintf(ret, 512, "%s/%s", directory, file);
}

/* In a container other files of /proc/sys may be on a read-only mount. */
static bool is_refused(const char *path)
{
        int r = open_error(path, O_WRONLY);

        return r == -EACCES || r == -EROFS;
}

/* In a process of its own. Returns what is not as expected, or NULL. */
static const char *try_writes(const char *ledger, const char *metrics, const char *other)
{
#define expect(what) \
        do { \
                if (!(what)) \
                        return #what; \
        } while (0)
        int sysctl = open_error("/proc/sys/net/ipv4/tcp_fin_timeout", O_RDWR), fd;
        char path[512], target[512];

        fd = open("/proc/sys/net/ipv4/tcp_fin_timeout", O_RDONLY | O_CLOEXEC); /* its inode stays */
        in(path, metrics, "x.prom");
        expect(confine_writes(ledger, path) == 0);
        expect(open_error("/proc/sys/net/ipv4/tcp_fin_timeout", O_RDWR) == sysctl);
        expect(open_error("/proc/sys/net/ipv4/tcp_fin_timeout", O_RDONLY) == 0);
        expect(is_refused("/proc/sys/net/ipv4/tcp_rfc1337"));
        expect(is_refused("/proc/sys/kernel/core_pattern"));
        expect(is_refused("/proc/self/comm"));
        expect(open_error(path, O_WRONLY | O_CREAT | O_TRUNC) == 0);
        in(path, ledger, "1.ledger.new");
        in(target, ledger, "1.ledger");
        expect(open_error(path, O_WRONLY | O_CREAT | O_EXCL) == 0 && rename(path, target) == 0);
        expect(open_error(target, O_RDONLY) == 0 && unlink(target) == 0);
        expect(mkdir(path, 0700) < 0 && errno == EACCES);
        in(path, other, "file");
        expect(open_error(path, O_WRONLY) == -EACCES && open_error(path, O_RDONLY) == 0);
        expect(open_error(path, O_RDONLY | O_TRUNC) == -EACCES || landlock_version() < 3);
        expect(unlink(path) < 0 && errno == EACCES);
        in(path, other, "new");
        expect(open_error(path, O_WRONLY | O_CREAT) == -EACCES);
        close(fd);
        return NULL;
#undef expect
}

START_TEST(only_sysctls_ledger_and_metrics_can_be_written)
{
        char top[] = "/tmp/twtuned-confine-XXXXXX", ledger[64], metrics[64], other[64], file[128];
        int status = -1;
        pid_t pid;

        if (landlock_version() < 0)
                return; /* then twtuned is not confined either */
        ck_assert_ptr_nonnull(mkdtemp(top));
        snprintf(ledger, sizeof(ledger), "%s/ledger", top);
        snprintf(metrics, sizeof(metrics), "%s/metrics", top);
        snprintf(other, sizeof(other), "%s/other", top);
        snprintf(file, sizeof(file), "%s/file", other);
        ck_assert(mkdir(ledger, 0700) == 0 && mkdir(metrics, 0700) == 0 && mkdir(other, 0700) == 0);
        ck_assert_int_eq(open_error(file, O_WRONLY | O_CREAT), 0);
        pid = fork();
        if (pid == 0) {
                const char *failed = try_writes(ledger, metrics, other);

                if (failed)
                        fprintf(stderr, "%s\n", failed);
                _exit(failed != NULL);
        }
        ck_assert(waitpid(pid, &status, 0) == pid);
        ck_assert_int_eq(status, 0);
        unlink(file);
        snprintf(file, sizeof(file), "%s/x.prom", metrics);
        unlink(file);
        ck_assert(rmdir(ledger) == 0 && rmdir(metrics) == 0 && rmdir(other) == 0 && rmdir(top) == 0);
}
END_TEST

/* The daemon runs without them, and says so: no sysctl is written without a ledger. */
START_TEST(directories_that_are_none_are_no_error)
{
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
                _exit(confine_writes("/proc/self/comm", "/proc/self/comm/x.prom") +
                      confine_writes("/proc/self/comm/none", "/proc/self/exe/none/x.prom"));
        ck_assert(waitpid(pid, &status, 0) == pid);
        ck_assert_int_eq(status, 0);
}
END_TEST

/* Debian 11's headers do not have it. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

/* From now on Landlock fails with this error: ENOSYS on an old kernel, EOPNOTSUPP if it was disabled at boot. */
static void lose_landlock(unsigned error)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {.len = ELEMENTSOF(filter), .filter = filter};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(99);
}

START_TEST(without_landlock_nothing_is_confined_and_nothing_fails)
{
        static const int errors[] = {ENOSYS, EOPNOTSUPP};
        int status = -1, error = errors[_i];
        pid_t pid = fork();

        if (pid == 0) {
                lose_landlock((unsigned)error);
                _exit(landlock_version() >= 0 || confine_writes("/tmp", "") != 0 || confine_to_reading("/") != 0);
        }
        ck_assert(waitpid(pid, &status, 0) == pid);
        ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(no_network_namespace_is_an_error)
{
        ck_assert_int_eq(privilege_enter_netns("/proc/self/ns/none"), -ENOENT);
        ck_assert(privilege_enter_netns("/proc/self/exe") < 0);
        ck_assert(privilege_is_netns("/proc/self/ns/net"));
        ck_assert(!privilege_is_netns("/proc/self/ns/mnt"));
        ck_assert(!privilege_is_netns("/proc/self/ns/none"));
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, only_sysctls_ledger_and_metrics_can_be_written);
        tcase_add_test(tcase, directories_that_are_none_are_no_error);
        tcase_add_loop_test(tcase, without_landlock_nothing_is_confined_and_nothing_fails, 0, 2);
        tcase_add_test(tcase, no_network_namespace_is_an_error);
}

int main(void)
{
        return run_suite("confine", add);
}
