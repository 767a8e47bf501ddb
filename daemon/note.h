/* SPDX-License-Identifier: MIT */
#pragma once

/* What a daemon of --all-netns says to its supervisor: what it would say to systemd by sd_notify(3). Through a pipe, because
 * an abstract address is of one network namespace, and a file may be on a file system without writes. */

#include <stdbool.h>
#include <sys/types.h>

/* One write(2) to a pipe, which is whole (pipe(7), PIPE_BUF). */
struct note {
        pid_t pid;
        char text[28]; /* the beginning of what is said */
};

/* Says it, or nothing if the pipe is full: a supervisor that does not read holds up no daemon. */
void note_send(int fd, const char *text);

/* Takes the next one. Returns false if there is none. */
bool note_take(int fd, struct note *ret);
