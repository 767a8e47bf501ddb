/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/observe/internal.h"

static const char *next_word(const char *p)
{
        p += strcspn(p, " \n");
        return p + strspn(p, " ");
}

/* Returns the index of the column with that name in a line of names; UINT32_MAX: there is none. */
static unsigned find_column(const char *line, const char *name)
{
        size_t n = strlen(name);
        unsigned column = 0;

        for (const char *p = line; *p && *p != '\n'; p = next_word(p), column++)
                if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == '\n'))
                        return column;
        return UINT32_MAX;
}

/* Sums a column over all CPUs. The file has a line of names, and under it one line of hexadecimal numbers for each CPU
 * (net/netfilter/nf_conntrack_standalone.c:ct_cpu_seq_show). */
static bool sum_column(const char *text, const char *name, uint64_t *ret)
{
        unsigned column = find_column(text, name);
        uint64_t sum = 0;

        if (column == UINT32_MAX)
                return false;
        for (const char *line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
                const char *p = line + 1;

                for (unsigned i = 0; i < column; i++)
                        p = next_word(p);
                if (!isxdigit((unsigned char)*p))
                        return false;
                sum += strtoull(p, NULL, 16);
        }
        *ret = sum;
        return true;
}

static struct reading insert_failed(struct observer *o, struct snapshot *s)
{
        uint64_t before = o->insert_failed, elapsed = o->now - o->conntrack_at;
        bool known = o->insert_failed_known;

        if (source_read(o, SOURCE_CONNTRACK_STAT) == 0 && !sum_column(o->text, "insert_failed", &o->insert_failed))
                o->error[SOURCE_CONNTRACK_STAT] = -EBADMSG;
        o->insert_failed_known = o->error[SOURCE_CONNTRACK_STAT] == 0;
        if (!o->insert_failed_known)
                return (struct reading){.state = source_state(o, SOURCE_CONNTRACK_STAT)};
        if (!known || o->insert_failed < before || elapsed == 0)
                return (struct reading){.state = READING_INVALID};
        s->events[METRIC_CONNTRACK_INSERT_FAILED] = o->insert_failed - before;
        return reading_valid((double)(o->insert_failed - before) * 1e9 / (double)elapsed);
}

static struct reading table(struct observer *o, const struct snapshot *s)
{
        uint64_t count;

        if (source_read(o, SOURCE_CONNTRACK_COUNT) == 0 && !number_after(o->text, "", &count))
                o->error[SOURCE_CONNTRACK_COUNT] = -EBADMSG;
        if (o->error[SOURCE_CONNTRACK_COUNT] < 0)
                return (struct reading){.state = source_state(o, SOURCE_CONNTRACK_COUNT)};
        return share_of((double)count, &s->sysctl[SYSCTL_NF_CONNTRACK_MAX]);
}

/* Both files cost as much as all other counters together, so they are sampled slowly. */
void fill_conntrack(struct observer *o, struct snapshot *s)
{
        if (o->conntrack_at == 0 || o->retried || o->now - o->conntrack_at >= o->slowly_ns) {
                if (o->wanted[METRIC_CONNTRACK_TABLE])
                        o->conntrack_table = table(o, s);
                if (o->wanted[METRIC_CONNTRACK_INSERT_FAILED])
                        o->conntrack_insert_failed = insert_failed(o, s);
                o->conntrack_at = o->now;
        }
        s->reading[METRIC_CONNTRACK_TABLE] = o->conntrack_table;
        s->reading[METRIC_CONNTRACK_INSERT_FAILED] = o->conntrack_insert_failed;
}
