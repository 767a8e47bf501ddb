/* SPDX-License-Identifier: MIT */
#include "daemon/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/observe/retry.h"
#include "lib/util/macro.h"

#define FILE_SIZE_MAX (1u << 20)

/* Accepts a regular file and /dev/null, a link to which masks a file of sysctl.d (sysctl.d(5)). Any other file may
 * block for ever, or never end. */
static int check_kind(const struct stat *st)
{
        if (S_ISDIR(st->st_mode))
                return -EISDIR;
        return S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)) ? 0 : -EINVAL;
}

int text_file_read(const char *path, char **ret, size_t *ret_size)
{
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        char *text = NULL;
        struct stat st;
        ssize_t n = 1;
        int r;

        if (fd < 0)
                return -errno;
        r = fstat(fd, &st) < 0 ? -errno : check_kind(&st);
        if (r == 0 && !(text = malloc(FILE_SIZE_MAX)))
                r = -ENOMEM;
        for (*ret_size = 0; r == 0 && n > 0; *ret_size += (size_t)MAX(n, 0)) {
                n = retry_interrupted(read(fd, text + *ret_size, FILE_SIZE_MAX - *ret_size));
                if (n < 0)
                        r = -errno;
        }
        if (r == 0 && *ret_size == FILE_SIZE_MAX)
                r = -EFBIG;
        close(fd);
        if (r < 0)
                free(text);
        else
                *ret = text;
        return r;
}

const char *text_file_error(int error)
{
        return error == -EINVAL ? "not a regular file" : strerror(-error);
}

static int write_whole(int fd, const char *buf, size_t size)
{
        while (size > 0) {
                ssize_t n = retry_interrupted(write(fd, buf, size));

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                buf += n;
                size -= (size_t)n;
        }
        return 0;
}

int text_file_replace(const char *path, const char *aside, const char *text, size_t size)
{
        int fd, r;

        unlink(aside); /* left by a killed process, which may have run as root */
        fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, 0644) < 0 ? -errno : 0; /* despite the umask, so that other users can read it */
        if (r == 0)
                r = write_whole(fd, text, size);
        if (close(fd) < 0 && r == 0)
                r = -errno;
        if (r == 0 && rename(aside, path) < 0)
                r = -errno;
        if (r < 0)
                unlink(aside);
        return r;
}
