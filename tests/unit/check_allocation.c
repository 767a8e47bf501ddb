/* SPDX-License-Identifier: MIT */
/* In a tick nothing is allocated and no file is opened: counted over 1,000 real ticks, with rules that ask for every
 * metric, and with a recording. The functions below take the place of the C library's, also for the libraries that
 * twtuned uses. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/backend_linux.h"
#include "daemon/commands/record.h"
#include "daemon/now.h"
#include "daemon/tick.h"
#include "run.h"

#define TICKS 1000u

static unsigned long allocations, opens;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
int __open64(const char *path, int flags, ...);
int open_small(const char *path, int flags, ...) __asm__("open"); /* open itself is open64 in this build */

void *malloc(size_t size)
{
        allocations++;
        return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
        allocations++;
        return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
        allocations++;
        return __libc_realloc(p, size);
}

int open(const char *path, int flags, ...)
{
        va_list args;
        unsigned mode;

        opens++;
        va_start(args, flags);
        mode = flags & O_CREAT ? va_arg(args, unsigned) : 0;
        va_end(args);
        return __open64(path, flags, mode);
}

int open_small(const char *path, int flags, ...)
{
        va_list args;
        unsigned mode;

        opens++;
        va_start(args, flags);
        mode = flags & O_CREAT ? va_arg(args, unsigned) : 0;
        va_end(args);
        return __open64(path, flags, mode);
}

/* Takes the place of the C library's: a millisecond from one call to the next. On a slow machine so many ticks
 * would take more than a minute, after which files that this kernel lacks are tried again. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
        static unsigned calls = 10000;

        if (clock != CLOCK_BOOTTIME)
                return (int)syscall(SYS_clock_gettime, clock, ret);
        calls++;
        *ret = (struct timespec){.tv_sec = calls / 1000, .tv_nsec = calls % 1000 * 1000000};
        return 0;
}

/* A rule for each metric, none of which ever enters. */
static struct config *config_of_everything(void)
{
        struct config *config = config_new();
        struct diagnostics diagnostics = {0};
        char text[8192] = "[daemon]\nmode = observe\ncpu_budget = 100%\n", line[256];

        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                snprintf(line, sizeof(line),
                         "[rule r%u]\nwhen = %s > %.3f%s for 1s\nset = net.ipv4.tcp_fin_timeout = 30\n", i,
                         metric_table[i].name, metric_table[i].most > 0 ? metric_table[i].most - 0.001 : 1e9,
                         unit_suffix(metric_table[i].unit));
                strcat(text, line);
        }
        config_read(config, "everything.conf", text, strlen(text), NULL, &diagnostics);
        config_check(config, &diagnostics);
        ck_assert_msg(diagnostics.n == 0, "%s", diagnostics.n ? diagnostics.item[0].text : "");
        return config;
}

static void recorded_tick(struct tuner *tuner, struct record *record)
{
        record_before(record, tuner);
        tick(tuner);
        record_tick(record, tuner);
}

START_TEST(a_tick_allocates_nothing_and_opens_no_file)
{
        static struct linux_backend backend;
        static struct tuner tuner;
        static struct record record;
        struct config *config = config_of_everything();
        const char *what = "";
        int r;

        unshare(CLONE_NEWNET); /* as root; a twtuned may run in the network namespace of this machine */
        setenv("RUNTIME_DIRECTORY", "/nonexistent", 1); /* observing, it writes nothing there */
        unsetenv("NOTIFY_SOCKET");
        r = linux_backend_open(&backend, true, &what);
        ck_assert_msg(r == 0, "%s: %s", what, strerror(-r));
        observer_set_config(backend.observer, config, &config->counters);
        ck_assert_int_eq(record_open(&record, "/dev/null"), 0);
        record_set_counters(&record, &config->counters);
        ck_assert_int_eq(tuner_start(&tuner, &backend.backend, config, now_ns()), 0);
        for (unsigned i = 0; i < 3; i++)
                recorded_tick(&tuner, &record);
        ck_assert_msg(allocations > 0 && opens > 0, "nothing is counted");
        ck_assert(tuner.unread.error == 0);

        allocations = opens = 0;
        for (unsigned i = 0; i < TICKS; i++)
                recorded_tick(&tuner, &record);
        ck_assert_msg(allocations == 0 && opens == 0, "%lu allocations and %lu opened files in %u ticks", allocations,
                      opens, TICKS);
        ck_assert(tuner.unread.error == 0 && record.fd >= 0);
        tuner_stop(&tuner);
        record_close(&record);
        linux_backend_close(&backend);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, a_tick_allocates_nothing_and_opens_no_file);
}

static bool has_netns_cookie(void)
{
        const int netns_cookie = 71; /* SO_NETNS_COOKIE; older headers do not have it */
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        uint64_t cookie;
        socklen_t size = sizeof(cookie);
        bool has = getsockopt(fd, SOL_SOCKET, netns_cookie, &cookie, &size) == 0;

        close(fd);
        return has;
}

int main(void)
{
        if (!has_netns_cookie()) {
                puts("1..0 # SKIP needs Linux 5.14 (SO_NETNS_COOKIE)");
                return 0;
        }
        return run_suite("allocation", add);
}
