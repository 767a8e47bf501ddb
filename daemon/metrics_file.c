/* SPDX-License-Identifier: MIT */
#include "daemon/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/now.h"
#include "daemon/text_file.h"

/* The last '.' of the name, or its end. */
static size_t stem_length(const char *path)
{
        const char *name = strrchr(path, '/') ? strrchr(path, '/') : path, *dot = strrchr(name, '.');

        return dot ? (size_t)(dot - path) : strlen(path);
}

const char *metrics_file_problem(const char *path)
{
        size_t n = strlen(path);

        if (n == 0 || (n > 6 && strcmp(path + n - 5, ".prom") == 0 && path[n - 6] != '/'))
                return NULL;
        return "its name must end with .prom";
}

/* Whether the file at path may be replaced or removed: there is none, or it begins as ours do. An empty one was left by a
 * process that was killed. */
static bool is_ours(const char *path)
{
        static const char first[] = "# HELP twtuned_";
        char text[sizeof(first) - 1];
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        bool ours = fd < 0 && errno == ENOENT;
        struct stat st;

        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
                ours = st.st_size == 0 || (read(fd, text, sizeof(text)) == (ssize_t)sizeof(text) &&
                                           memcmp(text, first, sizeof(text)) == 0);
        if (fd >= 0)
                close(fd);
        return ours;
}

void metrics_file_set(struct metrics_file *f, const char *path)
{
        char wanted[METRICS_FILE_PATH_MAX];
        size_t stem = stem_length(path);

        snprintf(wanted, sizeof(wanted), "%.*s%s%s%s", (int)stem, path, path[0] && f->netns[0] ? "-" : "",
                 path[0] ? f->netns : "", path + stem);
        if (strcmp(wanted, f->path) == 0)
                return;
        metrics_file_remove(f);
        strcpy(f->path, wanted);
        snprintf(f->aside, sizeof(f->aside), "%s.new", f->path); /* only *.prom is read */
        f->next = 0;
        f->moved = true;
}

void metrics_file_remove(struct metrics_file *f)
{
        if (f->path[0] && is_ours(f->path))
                unlink(f->path);
}

/* Of CLOCK_REALTIME, by what the tick's clock has gone on since. */
static double unix_time(uint64_t at)
{
        struct timespec date = now_date();

        return at == 0 ? 0 : (double)date.tv_sec + (double)date.tv_nsec / 1e9 - (double)(now_ns() - at) / 1e9;
}

static int write_file(struct metrics_file *f, const struct tuner *t)
{
        const struct exposition exposition = {
                .version = TWTUNED_VERSION,
                .netns = f->netns,
                .snapshot = &t->snapshot,
                .config = t->config,
                .policy = t->policy,
                .ledger = &t->apply.ledger,
                .logged = t->audit.logged,
                .observed_at = unix_time(f->observed_at),
                .degraded = t->status.state == STATE_DEGRADED,
        };
        ssize_t n = exposition_format(&exposition, f->text, sizeof(f->text));

        if (!is_ours(f->path) || !is_ours(f->aside))
                return -EEXIST;
        return n < 0 ? (int)n : text_file_replace(f->path, f->aside, f->text, (size_t)n);
}

void metrics_file_tick(struct metrics_file *f, struct tuner *t)
{
        if (t->unread.error == 0)
                f->observed_at = t->snapshot.now;
        if (f->path[0] == 0 || t->snapshot.now < f->next)
                return;
        f->next = t->snapshot.now + METRICS_FILE_EVERY;
        if (f->moved)
                news_forget(&t->audit.news, SUBJECT_METRICS_FILE);
        f->moved = false;
        audit_state(&t->audit, SUBJECT_METRICS_FILE, f->path, write_file(f, t));
}
