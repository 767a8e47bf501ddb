/* SPDX-License-Identifier: MIT */
#pragma once

/* A message from a daemon of --all-netns to its supervisor: what it would otherwise send to systemd by sd_notify(3).
 * Sent through a pipe, because an abstract address belongs to one network namespace, and the file system of a socket
 * file may be read-only. */

#include <stdbool.h>
#include <sys/types.h>

/* Small enough for an atomic write(2) to the pipe (pipe(7), PIPE_BUF). */
struct note {
        pid_t pid;
        char text[28]; /* the beginning of the message */
};

/* The daemon ends because another twtuned runs in its network namespace. */
#define NOTE_REFUSED "X_REFUSED=1"

/* Sends a message, or drops it if the pipe is full, so that a supervisor that does not read delays no daemon. */
void note_send(int fd, const char *text);

/* Reads the next message. Returns false if there is none. */
bool note_take(int fd, struct note *ret);
