/* SPDX-License-Identifier: MIT */
#include "daemon/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/now.h"
#include "daemon/text_file.h"

/* Returns the length of the path without the extension of the file name. */
static size_t stem_length(const char *path)
{
        const char *name = strrchr(path, '/') ? strrchr(path, '/') : path, *dot = strrchr(name, '.');

        return dot ? (size_t)(dot - path) : strlen(path);
}

const char *metrics_file_wanted(const struct config *config)
{
        const char *served = getenv("TWTUNED_METRICS_FILE");

        return served ? served : config->metrics_file;
}

const char *metrics_file_problem(const char *path)
{
        size_t n = strlen(path);

        if (n == 0 || (n > 6 && strcmp(path + n - 5, ".prom") == 0 && path[n - 6] != '/'))
                return NULL;
        return "its name must end with .prom";
}

/* True if the file at path may be replaced or removed: it is missing, begins like ours, or is empty, as left by a
 * killed process. */
static bool is_ours(const char *path)
{
        static const char first[] = "# HELP twtuned_";
        char text[sizeof(first) - 1];
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        bool ours = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
        struct stat st;

        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
                ours = st.st_size == 0 || (read(fd, text, sizeof(text)) == (ssize_t)sizeof(text) &&
                                           memcmp(text, first, sizeof(text)) == 0);
        if (fd >= 0)
                close(fd);
        return ours;
}

/* After a reload, moves what was counted for each rule to its new index, and forgets it for a rule that is gone: the
 * name identifies a rule. */
static void follow_rules(struct metrics_file *f, const struct config *config)
{
        struct rule_life old[RULES_MAX];

        memcpy(old, f->life, sizeof(old));
        for (unsigned i = 0; i < config->n_rules; i++) {
                f->life[i] = (struct rule_life){0};
                memcpy(f->life[i].name, config->rule[i].name, sizeof(f->life[i].name));
                for (unsigned k = 0; k < f->n_rules; k++)
                        if (strcmp(old[k].name, f->life[i].name) == 0)
                                f->life[i] = old[k];
        }
        f->n_rules = config->n_rules;
}

void metrics_file_set(struct metrics_file *f, const char *path, const struct config *config)
{
        char wanted[METRICS_FILE_PATH_MAX];
        size_t stem = stem_length(path);

        if (path[0]) /* without a file, the memory for the counts stays unused */
                follow_rules(f, config);
        snprintf(wanted, sizeof(wanted), "%.*s%s%s%s", (int)stem, path, path[0] && f->netns[0] ? "-" : "",
                 path[0] ? f->netns : "", path + stem);
        if (strcmp(wanted, f->path) == 0)
                return;
        metrics_file_remove(f);
        strcpy(f->path, wanted);
        snprintf(f->aside, sizeof(f->aside), "%s.new", f->path); /* the collector reads only *.prom */
        f->next = 0;
}

void metrics_file_remove(struct metrics_file *f)
{
        if (f->path[0] && is_ours(f->path))
                unlink(f->path);
}

/* Converts a time of the tick's clock to CLOCK_REALTIME. */
static double unix_time(uint64_t at)
{
        struct timespec date = now_date();

        return at == 0 ? 0 : (double)date.tv_sec + (double)date.tv_nsec / 1e9 - (double)(now_ns() - at) / 1e9;
}

/* Adds the events since the last read to the counter of each rate. */
static void count_rates(struct metrics_file *f, const struct snapshot *s)
{
        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                f->counters.metric[i] += s->events[i];
                f->counters.counted[i] |=
                        metric_table[i].unit == UNIT_PER_SECOND && s->reading[i].state == READING_VALID;
        }
}

static void count_episodes(struct metrics_file *f, const struct tuner *t)
{
        for (unsigned i = 0; i < t->config->n_rules; i++) {
                struct rule_life *life = &f->life[i];
                bool active = policy_is_active(t->policy, i);

                life->episodes += active && !life->active;
                life->active = active;
                f->counters.episodes[i] = life->episodes;
        }
}

static void count(struct metrics_file *f, const struct tuner *t)
{
        const struct snapshot *s = &t->snapshot;

        count_rates(f, s);
        count_episodes(f, t);
        if (!ports_valid(s))
                return;
        f->n_fullest = exposition_fullest(s->ports, f->fullest);
        f->fullest_at = s->now;
}

static const char *find_unit(void *user, uint64_t cgroup)
{
        struct backend *backend = user;

        return backend->find_unit(backend, cgroup);
}

static int write_file(struct metrics_file *f, struct tuner *t)
{
        const struct exposition exposition = {
                .version = TWTUNED_VERSION,
                .netns = f->netns,
                .snapshot = &t->snapshot,
                .config = t->config,
                .policy = t->policy,
                .episodes = &t->audit.episodes,
                .counters = &f->counters,
                .fullest = f->fullest,
                .n_fullest = f->n_fullest,
                .fullest_at = unix_time(f->fullest_at),
                .find_unit = find_unit,
                .user = t->backend,
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
        if (f->next == 0) /* the path is new */
                news_forget(&t->audit.news, SUBJECT_METRICS_FILE);
        if (f->path[0] == 0)
                return;
        count(f, t);
        if (t->snapshot.now < f->next)
                return;
        f->next = t->snapshot.now + METRICS_FILE_EVERY;
        audit_state(&t->audit, SUBJECT_METRICS_FILE, f->path, write_file(f, t));
        t->settled &= !news_is_failing(&t->audit.news, SUBJECT_METRICS_FILE); /* the next tick has to report it */
}
