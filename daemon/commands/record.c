/* SPDX-License-Identifier: MIT */
#include "daemon/commands/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/now.h"

int record_open(struct record *r, const char *path)
{
        /* In a directory that other users can write, one of them may have made a link or a pipe with this name. */
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
        struct stat st;
        int error;

        if (fd < 0)
                return -errno;
        error = fstat(fd, &st) < 0                             ? -errno
                : S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ? -EINVAL
                : st.st_size > 0                               ? -EEXIST
                                                               : 0;
        if (error < 0) {
                close(fd);
                return error;
        }
        record_take(r, fd, path);
        return 0;
}

void record_take(struct record *r, int fd, const char *path)
{
        r->path = path;
        r->fd = fd;
        r->begun = false;
        memset(&r->recording, 0, sizeof(r->recording));
}

void record_close(struct record *r)
{
        if (record_is_on(r))
                close(r->fd);
        r->fd = -1;
}

void record_set_counters(struct record *r, struct counters *counters)
{
        if (r->recording.n == 0)
                recording_init(&r->recording, counters);
        for (unsigned i = 0; i < r->recording.counters.n; i++)
                counters_add(counters, r->recording.counters.item[i].name);
        recording_bind(&r->recording, counters);
}

void record_before(struct record *r, const struct tuner *t)
{
        if (record_is_on(r))
                r->before = t->apply.ledger;
}

/* Fills in the sysctls that have the value that twtuned wrote, and their original values. */
static void fill_held(struct recording_row *row, const struct ledger *ledger)
{
        row->held = 0;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *e = &ledger->entry[id];

                if (e->state != LEDGER_HELD || !sysctl_equal(&row->snapshot->sysctl[id].value, &e->written))
                        continue;
                row->held |= UINT32_C(1) << id;
                row->original[id] = e->original;
        }
}

static void fill_row(struct recording_row *row, struct tuner *t, const struct ledger *before)
{
        const struct destination *busiest = ports_busiest(t->snapshot.ports);
        struct timespec date = now_date();
        struct tm utc;
        size_t n;

        row->snapshot = &t->snapshot;
        row->observe = t->config->observe;
        row->interval_ns = t->config->interval_ns;
        row->listening = *ports_listening(t->snapshot.ports);
        if (busiest) {
                row->destination = *busiest;
                units_format(&t->config->unit_names, busiest->units, row->units);
        }
        fill_held(row, before);
        gmtime_r(&date.tv_sec, &utc);
        n = strftime(row->date, sizeof(row->date), "%FT%T", &utc);
        snprintf(row->date + n, sizeof(row->date) - n, ".%03ldZ", date.tv_nsec / 1000000);
}

/* Writes the line with one call. Returns 0 or a negative errno; -ENOSPC also if only a part was written. */
static int append(struct record *r, size_t size)
{
        ssize_t n = write(r->fd, r->line, size);

        return n < 0 ? -errno : (size_t)n < size ? -ENOSPC : 0;
}

void record_tick(struct record *r, struct tuner *t)
{
        size_t n = 0;
        int error;

        if (!record_is_on(r))
                return;
        fill_row(&r->row, t, &r->before);
        if (!r->begun)
                n = recording_format_header(&r->recording, r->line);
        error = append(r, n + recording_format_row(&r->recording, &r->row, r->line + n));
        r->begun = true;
        if (error == 0)
                return;
        record_close(r);
        audit_state(&t->audit, SUBJECT_RECORDING, r->path, error);
}
