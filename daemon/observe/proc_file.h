/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A file under /proc that is opened once and read again at every tick. /proc/net and /proc/sys/net stay with the netns
 * of the process that opened them. */
struct proc_file {
        int fd;    /* -1: not open */
        int error; /* negative errno of open(), for writing if that was requested; 0: none */
};

/* Opens a file. Stores an error in the struct instead of returning it: not every kernel has every file. writable:
 * opens it for writing as well; if that fails, for reading only. */
struct proc_file proc_file_open(const char *path, bool writable);
void proc_file_close(struct proc_file *file);

/* Reads the whole file from its start and puts a 0 behind it. Returns the length or a negative errno; -EFBIG: it
 * does not fit into size bytes; -EIO: it is empty or ends within a line. */
int proc_file_read(const struct proc_file *file, char *buf, size_t size);

/* Writes text to the start of the file, in one write(). Returns 0 or a negative errno; -EIO: only a part was
 * written. */
int proc_file_write(const struct proc_file *file, const char *text);
