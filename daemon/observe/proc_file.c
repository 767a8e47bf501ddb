/* SPDX-License-Identifier: MIT */
#include "daemon/observe/proc_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/observe/retry.h"

#define HALF_PAGE 2048

struct proc_file proc_file_open(const char *path, bool writable)
{
        struct proc_file file = {.fd = -1};

        if (writable)
                file.fd = open(path, O_RDWR | O_CLOEXEC);
        if (file.fd < 0) {
                file.error = writable ? -errno : 0;
                file.fd = open(path, O_RDONLY | O_CLOEXEC);
        }
        if (file.fd < 0)
                file.error = -errno;
        return file;
}

void proc_file_close(struct proc_file *file)
{
        if (file->fd >= 0)
                close(file->fd);
        file->fd = -1;
}

/* A seq_file gives at most a page of whole records per read, or one larger record (fs/seq_file.c:seq_read_iter), so
 * one read may return only a part of the file. But a read of less than half a page is the last one: another record,
 * usually a line, would have fitted. A text without a newline at its end was cut short: "100" of "1000" must not be
 * taken for a value. */
int proc_file_read(const struct proc_file *file, char *buf, size_t size)
{
        size_t n = 0;

        assert(size > 0);
        if (file->fd < 0)
                return file->error;
        while (n < size) {
                ssize_t r = retry_interrupted(pread(file->fd, buf + n, size - n, (off_t)n));

                if (r < 0)
                        return -errno;
                n += (size_t)r;
                if (n < size && r < HALF_PAGE && (r == 0 || buf[n - 1] == '\n')) {
                        buf[n] = 0;
                        return n > 0 && buf[n - 1] == '\n' ? (int)n : -EIO;
                }
        }
        return -EFBIG;
}

int proc_file_write(const struct proc_file *file, const char *text)
{
        size_t size = strlen(text);
        ssize_t n;

        if (file->error < 0)
                return file->error; /* not open, or open for reading only */
        n = retry_interrupted(pwrite(file->fd, text, size, 0));
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EIO;
}
