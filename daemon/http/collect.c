/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/http/collect.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/audit/merge.h"

#define FILE_SIZE_MAX (1 << 20)

static bool read_file(int directory, const char *name, struct exposition_text *ret)
{
        int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        ssize_t n = -1;

        if (fd < 0)
                return false;
        ret->text = NULL;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= FILE_SIZE_MAX &&
            (ret->text = malloc((size_t)st.st_size)))
                n = read(fd, ret->text, (size_t)st.st_size);
        close(fd);
        if (n <= 0)
                free(ret->text);
        else
                ret->size = (size_t)n;
        return n > 0;
}

static int is_metrics_file(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return n > 5 && strcmp(entry->d_name + n - 5, ".prom") == 0;
}

char *collect_metrics(const char *directory, size_t *ret_size)
{
        struct dirent **entry = NULL;
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
            n = scandir(directory, &entry, is_metrics_file, alphasort);
        size_t count = n > 0 ? (size_t)n : 0, read = 0, room = 1;
        struct exposition_text *texts = calloc(count + 1, sizeof(*texts));
        char **owned = calloc(count + 1, sizeof(*owned)), *merged = NULL;

        for (size_t i = 0; i < count; i++) {
                if (texts && owned && read_file(fd, entry[i]->d_name, &texts[read])) {
                        owned[read] = texts[read].text;
                        room += texts[read].size + 1;
                        read++;
                }
                free(entry[i]);
        }
        if (n >= 0 && fd >= 0 && texts && owned)
                merged = malloc(room);
        if (merged)
                *ret_size = exposition_merge(texts, read, merged);
        for (size_t i = 0; i < read; i++)
                free(owned[i]);
        free(owned);
        free(texts);
        free(entry);
        if (fd >= 0)
                close(fd);
        return merged;
}
