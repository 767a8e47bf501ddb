/* SPDX-License-Identifier: MIT */
#include "daemon/apply/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/observe/retry.h"
#include "daemon/text_file.h"
#include "lib/util/macro.h"

/* Reads the text of a file, or as much of it as fits. Returns 0 or a negative errno. */
static int read_path(const char *path, char *buf, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;
        size_t at = 0;
        ssize_t n;

        if (fd < 0)
                return -errno;
        do {
                n = retry_interrupted(read(fd, buf + at, size - 1 - at));
                at += (size_t)MAX(n, 0);
        } while (n > 0);
        r = n < 0 ? -errno : 0;
        buf[at] = 0;
        close(fd);
        return r;
}

int ledger_file_open(struct ledger_file *f, const char *directory, uint64_t netns_cookie)
{
        int r = read_path("/proc/sys/kernel/random/boot_id", f->owner.boot_id, sizeof(f->owner.boot_id));

        f->owner.boot_id[r == 0 ? strcspn(f->owner.boot_id, "\n") : 0] = 0;
        f->owner.netns_cookie = netns_cookie;
        if ((size_t)snprintf(f->directory, sizeof(f->directory), "%s", directory) >= sizeof(f->directory))
                return -ENAMETOOLONG;
        snprintf(f->path, sizeof(f->path), "%s/%llu.ledger", f->directory, (unsigned long long)netns_cookie);
        snprintf(f->aside, sizeof(f->aside), "%s.new", f->path);
        if (mkdir(f->directory, 0755) < 0 && errno != EEXIST)
                return -errno;
        return r;
}

int ledger_file_load(const struct ledger_file *f, struct ledger *ret)
{
        char text[LEDGER_TEXT_MAX];
        int r = f->owner.boot_id[0] ? read_path(f->path, text, sizeof(text)) : -EIO;

        return r < 0 ? r : ledger_parse(text, &f->owner, ret);
}

int ledger_file_keep_aside(const struct ledger_file *f)
{
        char bad[sizeof(f->path) + 8];

        snprintf(bad, sizeof(bad), "%s.bad", f->path);
        return rename(f->path, bad) < 0 ? -errno : 0;
}

int ledger_file_save(const struct ledger_file *f, const struct ledger *ledger)
{
        char text[LEDGER_TEXT_MAX];
        size_t size = ledger_format(ledger, &f->owner, text);

        return text_file_replace(f->path, f->aside, text, size);
}

void ledger_file_remove(const struct ledger_file *f)
{
        unlink(f->path);
}
