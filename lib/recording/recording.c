/* SPDX-License-Identifier: MIT */
#include "lib/recording/recording.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/recording/cell.h"
#include "lib/recording/column.h"
#include "lib/util/macro.h"

/* The metrics with an endpoint and a culprit of their own; metrics of metric_is_ports() have the destination's. */
static const unsigned culprits[] = {METRIC_ACCEPT_QUEUE_WORST, METRIC_SYN_QUEUE_WORST,     METRIC_LISTEN_DROPS,
                                    METRIC_CLOSE_WAIT_GROWTH,  METRIC_CLOSE_WAIT_STUCK,    METRIC_PORTS_BOUND,
                                    METRIC_LISTEN_BURSTS,      METRIC_TCP_DATA_UNANSWERED, METRIC_UDP_PORTS,
                                    METRIC_UDP_RECEIVE_BUFFER};

static void column_add(struct recording *rec, enum kind kind, unsigned id)
{
        rec->column[rec->n++] = (struct recording_column){kind, id, kind == COUNTER ? METRIC_COUNT + id : id};
}

void recording_init(struct recording *rec, const struct counters *counters)
{
        rec->n = 0;
        rec->counters = *counters;
        memset(rec->before, 0, sizeof(rec->before));
        for (unsigned kind = 0; kind < WITHOUT_REUSE; kind++)
                column_add(rec, kind, kind == DESTINATION || kind == DESTINATION_UNIT ? METRIC_PORTS_FIRST : 0);
        for (unsigned id = 0; id < METRIC_COUNT; id++)
                column_add(rec, READING, id);
        for (unsigned id = METRIC_PORTS_FIRST; id <= METRIC_PORTS_FORECAST; id++) /* see ports_value_without_reuse() */
                column_add(rec, WITHOUT_REUSE, id);
        for (unsigned i = 0; i < ELEMENTSOF(culprits); i++) {
                column_add(rec, ENDPOINT, culprits[i]);
                column_add(rec, CULPRIT, culprits[i]);
        }
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (sysctl_table[id].n > 0)
                        column_add(rec, SYSCTL, id);
        for (unsigned i = 0; i < counters->n; i++)
                column_add(rec, COUNTER, i);
}

void recording_bind(struct recording *rec, const struct counters *counters)
{
        for (unsigned i = 0; i < rec->n; i++) {
                struct recording_column *c = &rec->column[i];
                unsigned at;

                if (c->kind != COUNTER)
                        continue;
                at = counters_find(counters, rec->counters.item[c->id].name);
                c->at = at < COUNTERS_MAX ? METRIC_COUNT + at : RECORDING_NO_READING;
        }
}

size_t recording_format_header(const struct recording *rec, char line[static RECORDING_LINE_MAX])
{
        char name[COLUMN_NAME_MAX], *p = line;

        for (unsigned i = 0; i < rec->n; i++) {
                cell_add_text(&p, column_name(rec, &rec->column[i], name));
                *p++ = i + 1 < rec->n ? ',' : '\n';
        }
        return (size_t)(p - line);
}

size_t recording_format_row(const struct recording *rec, const struct recording_row *row,
                            char line[static RECORDING_LINE_MAX])
{
        char *p = line;

        for (unsigned i = 0; i < rec->n; i++) {
                column_add_cell(&rec->column[i], &p, row);
                *p++ = i + 1 < rec->n ? ',' : '\n';
        }
        return (size_t)(p - line);
}

/* Removes the quotes of a cell in place. Returns the text after it; NULL: the quotes do not match. */
static char *unquote(char *cell)
{
        char *to = cell;

        for (char *p = cell + 1; *p; *to++ = *p++)
                if (*p == '"' && *++p != '"') {
                        *to = 0;
                        return p;
                }
        return NULL;
}

/* Returns the next cell of the line, cut out in place. NULL: no cell is left, or *ret_bad: its quotes do not match. */
static char *cell_next(char **line, bool *ret_bad)
{
        char *cell = *line, *end;

        *ret_bad = false;
        if (!cell)
                return NULL;
        end = *cell == '"' ? unquote(cell) : cell + strcspn(cell, ",");
        *ret_bad = !end || (*end && *end != ',');
        if (*ret_bad)
                return NULL;
        *line = *end ? end + 1 : NULL;
        *end = 0;
        return cell;
}

/* Checks only the prefix: the kernel of a recording may have counters that this one lacks. */
static bool is_counter(const char *name)
{
        return strncmp(name, "netstat.", 8) == 0 || strncmp(name, "snmp.", 5) == 0;
}

static bool column_find(struct recording *rec, const struct recording_column *known, unsigned n, const char *name,
                        struct recording_column *ret)
{
        char text[COLUMN_NAME_MAX];

        if (is_counter(name)) {
                unsigned i = counters_add(&rec->counters, name);

                *ret = (struct recording_column){COUNTER, i, METRIC_COUNT + i};
                return i < COUNTERS_MAX;
        }
        for (unsigned i = 0; i < n; i++)
                if (strcmp(column_name(rec, &known[i], text), name) == 0) {
                        *ret = known[i];
                        return true;
                }
        return false;
}

static bool has_column(const struct recording *rec, enum kind kind, unsigned id)
{
        for (unsigned i = 0; i < rec->n; i++)
                if (rec->column[i].kind == kind && rec->column[i].id == id)
                        return true;
        return false;
}

int recording_parse_header(struct recording *rec, char *line, struct origin at, struct diagnostics *diagnostics)
{
        static const struct counters none;
        struct recording_column known[2 * METRIC_COUNT + SYSCTL_COUNT], column;
        size_t before = diagnostics->n;
        unsigned n;
        char *name;
        bool bad;

        recording_init(rec, &none);
        n = rec->n;
        memcpy(known, rec->column, n * sizeof(known[0]));
        rec->n = 0;
        while ((name = cell_next(&line, &bad))) {
                if (!column_find(rec, known, n, name, &column))
                        diagnostic_add(diagnostics, at,
                                       "unknown column '%s': this version of twtuned does not record it", name);
                else if (has_column(rec, column.kind, column.id))
                        diagnostic_add(diagnostics, at, "two columns '%s'", name);
                else
                        rec->column[rec->n++] = column;
        }
        if (bad)
                diagnostic_add(diagnostics, at, "the quotes do not match");
        else if (diagnostics->n == before && !has_column(rec, TIME, 0))
                diagnostic_add(diagnostics, at, "there is no column 'time'");
        return diagnostics->n == before ? 0 : -EINVAL;
}

void recording_row_init(struct recording_row *row, struct snapshot *snapshot)
{
        memset(row, 0, sizeof(*row));
        memset(snapshot, 0, sizeof(*snapshot));
        row->snapshot = snapshot;
        for (unsigned i = 0; i < ELEMENTSOF(snapshot->reading); i++)
                snapshot->reading[i].state = READING_UNAVAILABLE;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                snapshot->sysctl[id].state = READING_UNAVAILABLE;
}

/* True if all ports.* have the same state, apart from those that a dump may leave unknown. They come from one dump,
 * and the policy only checks the state of the first one. */
static bool ports_agree(const struct recording *rec, const struct snapshot *s)
{
        const struct reading *before = NULL;

        for (unsigned i = 0; i < rec->n; i++) {
                const struct recording_column *c = &rec->column[i];

                if (c->kind != READING || !metric_is_ports(c->id) || ports_may_be_unknown(c->id))
                        continue;
                if (before && before->state != s->reading[c->id].state)
                        return false;
                before = &s->reading[c->id];
        }
        return true;
}

int recording_parse_row(struct recording *rec, char *line, struct recording_row *row, struct origin at,
                        struct diagnostics *diagnostics)
{
        uint64_t last = row->snapshot->now;
        char name[COLUMN_NAME_MAX], *cell;
        unsigned i = 0;
        bool bad;

        assert(rec->n > 0);
        while ((cell = cell_next(&line, &bad)) && i < rec->n) {
                const struct recording_column *c = &rec->column[i];

                if ((!rec->before[i] || strcmp(cell, rec->before[i]) != 0) && !column_parse_cell(c, cell, row)) {
                        diagnostic_add(diagnostics, at, "%s cannot be '%s'", column_name(rec, c, name), cell);
                        return -EINVAL;
                }
                rec->before[i++] = cell;
        }
        if (bad)
                diagnostic_add(diagnostics, at, "the quotes do not match");
        else if (cell || i < rec->n)
                diagnostic_add(diagnostics, at, "the row has %s cells than the first line, which has %u",
                               cell ? "more" : "fewer", rec->n);
        else if (!ports_agree(rec, row->snapshot))
                diagnostic_add(diagnostics, at,
                               "some ports.* are valid and some are not, but they come from one dump");
        else if (row->snapshot->now <= last)
                diagnostic_add(diagnostics, at, "time does not increase: are these two recordings in one file?");
        else
                return 0;
        return -EINVAL;
}
