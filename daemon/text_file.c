/* SPDX-License-Identifier: MIT */
#include "daemon/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/observe/retry.h"

#define FILE_SIZE_MAX (1u << 20)

int text_file_read(const char *path, char **ret, size_t *ret_size)
{
        FILE *f = fopen(path, "re");
        char *text = NULL;
        struct stat st;
        int r = 0;

        if (!f)
                return -errno;
        if (fstat(fileno(f), &st) < 0)
                r = -errno;
        else if (S_ISDIR(st.st_mode))
                r = -EISDIR;
        else if (!(text = malloc(FILE_SIZE_MAX)))
                r = -ENOMEM;
        if (r == 0) {
                *ret_size = fread(text, 1, FILE_SIZE_MAX, f);
                if (ferror(f) || *ret_size == FILE_SIZE_MAX)
                        r = ferror(f) ? -EIO : -EFBIG;
        }
        fclose(f);
        if (r < 0)
                free(text);
        else
                *ret = text;
        return r;
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

        unlink(aside); /* left by a process that was killed, which may have been root */
        fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = fchmod(fd, 0644) < 0 ? -errno : 0; /* despite the umask: another user may read it */
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
