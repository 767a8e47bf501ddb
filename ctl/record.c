/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/terminal.h"

/* Opens the file here, so that it belongs to this user and the daemon's sandbox need not allow the write. O_NONBLOCK:
 * a FIFO without a reader must not block. *ret_new: true if there was no such file. */
static int open_recording(const char *path, int *ret_fd, bool *ret_new)
{
        const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
        struct stat st;
        int fd = open(path, flags | O_CREAT | O_EXCL, 0640);

        *ret_new = fd >= 0;
        if (fd < 0 && errno == EEXIST)
                fd = open(path, flags);
        if (fd < 0)
                return complain(EX_CANTCREAT, "cannot open %s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0) {
                close(fd);
                return complain(EX_CANTCREAT, "%s is not an empty regular file; name a new one", path);
        }
        *ret_fd = fd;
        return 0;
}

static void block_signals(sigset_t *ret)
{
        sigemptyset(ret);
        sigaddset(ret, SIGINT);
        sigaddset(ret, SIGTERM);
        sigprocmask(SIG_BLOCK, ret, NULL);
}

/* Waits until Ctrl-C or SIGTERM, or for ns (0: no limit). Asks the daemon once a second if it still records, and fails
 * if it does not. Returns the exit status. */
static int wait_for_end(struct client *client, uint64_t ns)
{
        sigset_t signals;
        int status;

        block_signals(&signals);
        for (uint64_t left = ns > 0 ? ns : UINT64_MAX; left > 0;) {
                uint64_t wait = MIN(left, NSEC_PER_SEC);
                struct timespec ts = {.tv_sec = wait == NSEC_PER_SEC, .tv_nsec = (long)(wait % NSEC_PER_SEC)};
                json_auto_t *d = NULL;

                if (sigtimedwait(&signals, NULL, &ts) > 0)
                        return 0;
                left -= wait;
                status = client_describe(client, &d);
                if (status != 0)
                        return status;
                if (!is_true(d, "recording"))
                        return complain(EXIT_FAILURE, "twtuned has ended the recording; its log says why");
        }
        return 0;
}

/* The daemon records for as long as this connection is open. */
int command_record(const struct options *o)
{
        _cleanup_(client_close) struct client client = {0};
        uint64_t ns = 0;
        bool new = false;
        int fd = -1, status;

        status = o->duration ? parse_duration(o->duration, &ns) : 0;
        if (status == 0)
                status = open_recording(o->argument, &fd, &new);
        if (status != 0)
                return status;
        status = client_open(&client, o->instance);
        if (status == 0)
                status = client_call(&client, "Record", "h", fd);
        close(fd);
        if (status != 0 && new)
                unlink(o->argument);
        if (status != 0)
                return status;
        fprintf(stderr, "recording to %s%s\n", o->argument, o->duration ? "" : "; Ctrl-C ends it");
        return wait_for_end(&client, ns);
}
