/* SPDX-License-Identifier: MIT */
#include "daemon/audit/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/audit/json_log.h"

#define WAIT_MS 100 /* wait for a busy journal; not again until it has accepted an entry */

/* The socket of systemd-journald.service(8); an entry is a datagram. */
static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};

static const char message_field[] = "MESSAGE", netns_field[] = "NETNS"; /* of every record */

static struct {
        int fd;                   /* 0: not connected */
        bool stuck;               /* the last entry was lost */
        uint64_t lost;            /* lost entries not yet reported */
        char netns[NAME_MAX + 1]; /* of the last lost entry */
} log_state;

/* systemd.exec(5): $JOURNAL_STREAM is "DEVICE:INODE" of the stream; a redirected stderr has other numbers. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(2, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

void journal_unblock_stderr(void)
{
        struct stat st;
        int fd;

        if (fstat(2, &st) < 0)
                return;
        if (S_ISSOCK(st.st_mode)) {
                fcntl(2, F_SETFL, fcntl(2, F_GETFL) | O_NONBLOCK);
        } else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
                /* Opens a file description of our own: the shell shares the inherited one and must keep blocking. */
                fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd >= 0) {
                        dup2(fd, 2);
                        close(fd);
                }
        }
}

void journal_as_json(void)
{
        if (!stderr_is_journal())
                json_log_begin();
}

static int connect_journal(void)
{
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;

        if (r == 0)
                log_state.fd = fd;
        else if (fd >= 0)
                close(fd);
        return r;
}

void journal_close(void)
{
        if (log_state.fd > 0)
                close(log_state.fd);
        log_state.fd = 0;
}

/* Sends one datagram. Returns 0; -EAGAIN: the journal does not read; another negative errno: there is no journal, or
 * it refuses this datagram. */
static int send_datagram(struct iovec *iov, unsigned n)
{
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n};
        int r = 0;

        for (unsigned tries = 0; tries < 3; tries++) {
                struct pollfd writable = {.events = POLLOUT};

                r = log_state.fd > 0 ? 0 : connect_journal();
                if (r < 0)
                        return r;
                if (sendmsg(log_state.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                        return 0;
                r = -errno;
                writable.fd = log_state.fd;
                if (r == -ECONNREFUSED || r == -ENOTCONN || r == -EPIPE)
                        journal_close(); /* the journal was restarted */
                else if (r == -EAGAIN && (log_state.stuck || poll(&writable, 1, WAIT_MS) <= 0))
                        return r;
        }
        return r;
}

/* Uses the simple form of the journal's native protocol, in which a value has no newline: all texts are one line. */
static int send_to_journal(const struct audit_text *text)
{
        const struct audit_kind_row *kind = &audit_kinds[text->kind];
        struct iovec iov[2 * (AUDIT_FIELDS_MAX + 1)];
        char head[256];
        unsigned n = 0;

        snprintf(head, sizeof(head), "PRIORITY=%d\nMESSAGE_ID=%s\nEVENT=%s\nSYSLOG_IDENTIFIER=twtuned\n",
                 kind->priority, kind->message_id, kind->name);
        iov[n++] = (struct iovec){head, strlen(head)};
        for (unsigned i = 0; i < text->n; i++) {
                const char *field = audit_text_field(text, i);

                iov[n++] = (struct iovec){(char *)field, strcspn(field, "\n")};
                iov[n++] = (struct iovec){(char *)"\n", 1};
        }
        return send_datagram(iov, n);
}

/* main() gives stderr a line buffer of 8 KiB: an entry that fits is one write, so that lines of two processes do not
 * mix. */
static int print(const struct audit_text *text)
{
        if (json_log_is_on())
                return json_log_write(text);
        audit_text_print(text, stderr);
        if (fflush(stderr) == 0 && !ferror(stderr))
                return 0;
        clearerr(stderr);
        return -EAGAIN;
}

static int put(const struct audit_text *text)
{
        int r = stderr_is_journal() ? send_to_journal(text) : -ENOENT;

        return r == 0 || r == -EAGAIN ? r : print(text);
}

/* Reports how many entries were lost before. */
static int put_lost(void)
{
        static struct audit_text text;
        int r;

        if (log_state.lost == 0)
                return 0;
        text = (struct audit_text){.kind = AUDIT_DEGRADED};
        audit_text_add(&text, message_field, "%" PRIu64 " entr%s before this one %s lost: nobody read the log",
                       log_state.lost, log_state.lost == 1 ? "y" : "ies", log_state.lost == 1 ? "is" : "are");
        audit_text_add(&text, "LOST", "%" PRIu64, log_state.lost);
        audit_text_add(&text, netns_field, "%s", log_state.netns);
        r = put(&text);
        if (r == 0)
                log_state.lost = 0;
        return r;
}

void journal_write(const struct audit_text *text)
{
        int r = put_lost();

        if (r == 0)
                r = put(text);
        log_state.lost += r < 0;
        log_state.stuck = r < 0;
        if (r < 0)
                snprintf(log_state.netns, sizeof(log_state.netns), "%s", audit_text_value(text, netns_field));
}

void journal_tick(void)
{
        if (log_state.lost > 0)
                log_state.stuck = put_lost() < 0;
}
