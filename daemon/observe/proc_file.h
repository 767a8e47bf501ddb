/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* A file under /proc that is opened once and read again at every tick. /proc/net and /proc/sys/net stay with
 * the netns of the process that opened them. */
struct proc_file {
        int fd;    /* -1: not open */
        int error; /* negative errno of open() */
};

/* Remembers an error instead of returning it: not every kernel has every file. writable: for writing as well
 * where that is allowed. */
struct proc_file proc_file_open(const char *path, int writable);
void proc_file_close(struct proc_file *file);

/* The whole file from its start, with a 0 behind it. The length, or a negative errno; -EFBIG: it does not fit; -EIO:
 * it ends within a line. */
int proc_file_read(const struct proc_file *file, char *buf, size_t size);

/* One write at the start of the file; a part of it is -EIO. 0 or a negative errno. */
int proc_file_write(const struct proc_file *file, const char *text);
