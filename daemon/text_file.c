/* SPDX-License-Identifier: MIT */
#include "text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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
