/* SPDX-License-Identifier: MIT */
/* For LD_PRELOAD: the Nth call of one function fails.
 *
 *     INJECT=FUNCTION:N:ERROR:HOW   ERROR is a number of errno, or `short`: less than was asked for.
 *                                   HOW is `once`, `file` (from then on, for the same file) or `all` (from then on)
 *     INJECT_TRACE=FILE             a line a call: FUNCTION N OBJECT; `fault FUNCTION OBJECT` for the one that failed;
 *                                   for a sysctl `saw NS OBJECT TEXT` and `wrote NS OBJECT TEXT`, with the time before
 *                                   the call, ns of CLOCK_MONOTONIC; `left FD OBJECT` at the end
 *
 * The journal is a line "journal: MESSAGE" on stderr, so that no real one is needed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SHORT (-1)
#define FDS 256
#define TRACE_FD 600
#define FUNCTIONS 64
#define EXPORT __attribute__((visibility("default")))

/* An interposed function and what it stands for have one name. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct {
        char function[32], object[160]; /* object: of the call that failed */
        unsigned long n;
        int error;
        char how;  /* the first letter */
        bool seen; /* it has happened */
} fault;

static struct {
        const char *function;
        unsigned long calls;
} count[FUNCTIONS];

static bool begun, tracing;
static char object_of[FDS][160];

static void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *format, ...)
{
        char line[512];
        va_list args;
        int n, saved = errno;

        if (!tracing)
                return;
        va_start(args, format);
        n = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        if (n > 0)
                syscall(SYS_write, TRACE_FD, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
        errno = saved;
}

__attribute__((constructor)) static void begin(void)
{
        const char *spec = getenv("INJECT"), *file = getenv("INJECT_TRACE");
        char error[16], how[16];
        int fd;

        if (strcmp(program_invocation_short_name, "twtuned") != 0)
                return; /* valgrind, before it becomes the program */
        if (spec && sscanf(spec, "%31[^:]:%lu:%15[^:]:%15s", fault.function, &fault.n, error, how) == 4) {
                fault.error = strcmp(error, "short") == 0 ? SHORT : atoi(error);
                fault.how = how[0];
        }
        if (file && (fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND, 0644)) >= 0) {
                tracing = dup3(fd, TRACE_FD, O_CLOEXEC) == TRACE_FD;
                syscall(SYS_close, fd);
        }
        begun = true;
}

__attribute__((destructor)) static void end(void)
{
        begun = false;
        for (int fd = 3; fd < FDS; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        trace("left %d %s\n", fd, object_of[fd]);
}

static const char *name_of(int fd)
{
        return fd >= 0 && fd < FDS ? object_of[fd] : "";
}

static int remember(int fd, const char *object)
{
        if (fd >= 0 && fd < FDS)
                snprintf(object_of[fd], sizeof(object_of[fd]), "%s", object);
        return fd;
}

/* Returns 0 if this call is not to fail; else the error, which is in errno as well, or SHORT. */
static int inject(const char *function, const char *object)
{
        unsigned i = 0;
        bool hit;

        if (!begun)
                return 0;
        while (i < FUNCTIONS - 1 && count[i].function && strcmp(count[i].function, function) != 0)
                i++;
        count[i].function = function;
        count[i].calls++;
        trace("%s %lu %s\n", function, count[i].calls, object);
        if (strcmp(function, fault.function) != 0)
                return 0;
        hit = fault.how == 'a' && fault.seen;
        hit |= fault.how == 'f' && fault.seen && strcmp(object, fault.object) == 0;
        if (!fault.seen && count[i].calls == fault.n) {
                snprintf(fault.object, sizeof(fault.object), "%s", object);
                hit = fault.seen = true;
        }
        if (!hit)
                return 0;
        trace("fault %s %s\n", function, object);
        if (fault.error != SHORT)
                errno = fault.error;
        return fault.error;
}

/* ---- files ---- */

EXPORT int open64(const char *path, int flags, ...)
{
        va_list args;
        mode_t mode;

        va_start(args, flags);
        mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
        va_end(args);
        return inject("open", path) ? -1 : remember(NEXT(open64)(path, flags, mode), path);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
        return inject("fopen", path) ? NULL : NEXT(fopen64)(path, mode);
}

EXPORT ssize_t read(int fd, void *buf, size_t size)
{
        bool of_loop = strcmp(name_of(fd), "timer") == 0 || strcmp(name_of(fd), "signal") == 0;
        int error = inject(of_loop ? "read_event" : "read", name_of(fd));

        return error > 0 ? -1 : NEXT(read)(fd, buf, error == SHORT && size > 7 ? 7 : size);
}

static unsigned long now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (unsigned long)ts.tv_sec * 1000000000 + (unsigned long)ts.tv_nsec;
}

/* Short: cut within the first line, which /proc never does today. */
EXPORT ssize_t pread64(int fd, void *buf, size_t size, off64_t offset)
{
        int error = inject("pread", name_of(fd));
        unsigned long at = now();
        ssize_t n = error > 0 ? -1 : NEXT(pread64)(fd, buf, error == SHORT && size > 1 ? 1 : size, offset);

        if (n > 1 && strncmp(name_of(fd), "/proc/sys/", 10) == 0)
                trace("saw %lu %s %.*s\n", at, name_of(fd), (int)n - 1, (const char *)buf);
        return n;
}

EXPORT ssize_t write(int fd, const void *buf, size_t size)
{
        int error = fd == 2 ? 0 : inject("write", name_of(fd));

        return error > 0 ? -1 : NEXT(write)(fd, buf, error == SHORT ? (size + 1) / 2 : size);
}

/* A sysctl takes a text whole or not at all (fs/proc/proc_sysctl.c:proc_sys_call_handler): short is not at all. */
EXPORT ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
        int error = inject("pwrite", name_of(fd));

        if (error)
                return error == SHORT ? 0 : -1;
        trace("wrote %lu %s %.*s\n", now(), name_of(fd), (int)size, (const char *)buf);
        return NEXT(pwrite64)(fd, buf, size, offset);
}

/* Whatever it says, the descriptor is gone (close(2)). */
EXPORT int close(int fd)
{
        int error = inject("close", name_of(fd)), r;

        remember(fd, "");
        r = (int)syscall(SYS_close, fd);
        errno = error > 0 ? error : errno;
        return error > 0 ? -1 : r;
}

EXPORT int rename(const char *from, const char *to)
{
        return inject("rename", from) ? -1 : NEXT(rename)(from, to);
}

EXPORT int unlink(const char *path)
{
        return inject("unlink", path) ? -1 : NEXT(unlink)(path);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
        return inject("mkdir", path) ? -1 : NEXT(mkdir)(path, mode);
}

EXPORT ssize_t getrandom(void *buf, size_t size, unsigned flags)
{
        return inject("getrandom", "") ? -1 : NEXT(getrandom)(buf, size, flags);
}

/* ---- sockets ---- */

EXPORT int socket(int domain, int type, int protocol)
{
        const char *object = domain == AF_NETLINK ? "netlink" : "unix";

        return inject("socket", object) ? -1 : remember(NEXT(socket)(domain, type, protocol), object);
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size)
{
        return inject("bind", name_of(fd)) ? -1 : NEXT(bind)(fd, address, size);
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
        return inject("getsockopt", name_of(fd)) ? -1 : NEXT(getsockopt)(fd, level, option, value, size);
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
        return inject("setsockopt", name_of(fd)) ? -1 : NEXT(setsockopt)(fd, level, option, value, size);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
        int error = inject("sendto", name_of(fd));

        return error > 0 ? -1 : NEXT(sendto)(fd, buf, error == SHORT ? size / 2 : size, flags, to, to_size);
}

/* Short: the message was larger than the buffer. */
EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        int error = inject("recvmsg", name_of(fd));
        ssize_t n;

        if (error > 0)
                return -1;
        n = NEXT(recvmsg)(fd, message, flags);
        if (error == SHORT && n > 0) {
                message->msg_flags |= MSG_TRUNC;
                n /= 2;
        }
        return n;
}

/* The journal's socket, by its address. */
EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size)
{
        const struct sockaddr_un *to = (const struct sockaddr_un *)address;

        if (begun && to->sun_family == AF_UNIX && strcmp(to->sun_path, "/run/systemd/journal/socket") == 0) {
                remember(fd, "journal");
                return 0;
        }
        return NEXT(connect)(fd, address, size);
}

static ssize_t send_to_journal(const struct msghdr *message)
{
        if (inject("journal", ""))
                return -1;
        for (size_t i = 0; i < message->msg_iovlen; i++) {
                const struct iovec *field = &message->msg_iov[i];

                if (field->iov_len > 8 && memcmp(field->iov_base, "MESSAGE=", 8) == 0)
                        dprintf(2, "journal: %.*s\n", (int)field->iov_len - 8, (const char *)field->iov_base + 8);
        }
        return 1;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
        if (strcmp(name_of(fd), "journal") == 0)
                return send_to_journal(message);
        return inject("sendmsg", name_of(fd)) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

/* ---- the loop ---- */

EXPORT int epoll_create1(int flags)
{
        return inject("epoll_create1", "") ? -1 : remember(NEXT(epoll_create1)(flags), "epoll");
}

EXPORT int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
        return inject("epoll_ctl", name_of(fd)) ? -1 : NEXT(epoll_ctl)(epoll, op, fd, event);
}

EXPORT int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
        return inject("epoll_wait", "") ? -1 : NEXT(epoll_wait)(epoll, events, max, timeout);
}

EXPORT int timerfd_create(clockid_t clock, int flags)
{
        return inject("timerfd_create", "") ? -1 : remember(NEXT(timerfd_create)(clock, flags), "timer");
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
        return inject("timerfd_settime", "timer") ? -1 : NEXT(timerfd_settime)(fd, flags, value, old);
}

EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
        return inject("signalfd", "") ? -1 : remember(NEXT(signalfd)(fd, mask, flags), "signal");
}

/* ---- journal and service manager ---- */

int sd_notify(int unset_environment, const char *state);

EXPORT int sd_notify(int unset_environment, const char *state)
{
        return inject("sd_notify", "") ? -errno : NEXT(sd_notify)(unset_environment, state);
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

EXPORT void *malloc(size_t size)
{
        return inject("malloc", "") ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
        return inject("calloc", "") ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *block, size_t size)
{
        return inject("realloc", "") ? NULL : __libc_realloc(block, size);
}
