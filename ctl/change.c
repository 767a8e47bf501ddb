/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
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
#include "ctl/owner.h"
#include "ctl/show.h"
#include "lib/util/units.h"

/* Calls one method, and says what has come of it. */
static int change(const struct options *o, const char *said, const char *method, const char *argument)
{
        struct client client;
        int status = client_open(&client, o->instance);

        if (status == 0)
                status = argument ? client_call(&client, method, "s", argument) : client_call(&client, method, "");
        if (status == 0)
                puts(said);
        client_close(&client);
        return status;
}

int do_pause(const struct options *o, char **args)
{
        struct client client;
        uint64_t ns = 0;
        int status;

        if (args[0] && (duration_parse(args[0], &ns) < 0 || ns == 0))
                return complain(EX_USAGE, "'%s' is no duration: write a number and s, min or h", args[0]);
        status = client_open(&client, o->instance);
        if (status == 0)
                status = client_call(&client, "Pause", "t", args[0] ? MAX(ns / 1000, 1u) : UINT64_MAX);
        if (status == 0)
                printf("twtuned is paused %s%s: nothing is written, and what is held stays\n",
                       args[0] ? "for " : "until \"twtunectl resume\"", args[0] ? args[0] : "");
        client_close(&client);
        return status;
}

int do_resume(const struct options *o, char **args)
{
        (void)args;
        return change(o, "twtuned acts again", "Resume", NULL);
}

int do_release(const struct options *o, char **args)
{
        char said[256];

        if (o->all)
                return change(o, "all that twtuned held is put back, and left alone until \"twtunectl rearm\"",
                              "ReleaseAll", NULL);
        snprintf(said, sizeof(said), "twtuned leaves %s alone until: twtunectl rearm %s", args[0], args[0]);
        return change(o, said, "Release", sysctl_full_name(args[0]));
}

int do_rearm(const struct options *o, char **args)
{
        char said[256];

        snprintf(said, sizeof(said), "rules may change %s again", args[0]);
        return change(o, said, "Rearm", sysctl_full_name(args[0]));
}

/* Opened here, so that it is this user's file, and the daemon's sandbox stays closed. */
static int open_recording(const char *path, int *ret_fd)
{
        struct stat st;
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);

        if (fd < 0)
                return complain(EX_CANTCREAT, "cannot open %s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0) {
                close(fd);
                return complain(EX_CANTCREAT, "%s is no empty file; recordings are not written over", path);
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

static int is_recording(struct client *client, bool *ret)
{
        json_t *d = NULL;
        int status = client_describe(client, &d);

        *ret = is_true(d, "recording");
        json_decref(d);
        return status;
}

/* Until Ctrl-C, the time that was asked for, or until the daemon stops. It records for as long as this connection is
 * there. */
static int record_until_end(struct client *client, uint64_t ns)
{
        bool recording = true;
        sigset_t signals;
        int status = 0;

        block_signals(&signals);
        for (uint64_t left = ns > 0 ? ns : UINT64_MAX; status == 0 && recording && left > 0;) {
                uint64_t wait = MIN(left, NSEC_PER_SEC);
                struct timespec ts = {.tv_sec = wait == NSEC_PER_SEC, .tv_nsec = (long)(wait % NSEC_PER_SEC)};

                if (sigtimedwait(&signals, NULL, &ts) > 0)
                        return 0;
                left -= wait;
                status = is_recording(client, &recording);
        }
        if (status == 0 && !recording)
                return complain(EXIT_FAILURE, "twtuned has ended the recording: the log says why");
        return status;
}

int do_record(const struct options *o, char **args)
{
        struct client client;
        uint64_t ns = 0;
        int fd = -1, status;

        if (o->time && (duration_parse(o->time, &ns) < 0 || ns == 0))
                return complain(EX_USAGE, "'%s' is no duration: write a number and s, min or h", o->time);
        status = open_recording(args[0], &fd);
        if (status != 0)
                return status;
        status = client_open(&client, o->instance);
        if (status == 0)
                status = client_call(&client, "Record", "h", fd);
        close(fd);
        if (status == 0) {
                fprintf(stderr, "recording to %s%s\n", args[0], o->time ? "" : "; Ctrl-C ends it");
                status = record_until_end(&client, ns);
        }
        client_close(&client);
        return status;
}
