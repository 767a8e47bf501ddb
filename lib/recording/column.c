/* SPDX-License-Identifier: MIT */
#include "lib/recording/column.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/recording/cell.h"
#include "lib/util/macro.h"
#include "lib/util/units.h"

/* The name of the column, or what follows the name of its metric, sysctl or counter. */
static const char *const names[] = {
        [TIME] = "time",
        [DATE] = "date",
        [MODE] = "mode",
        [INTERVAL] = "interval",
        [MEMORY] = "memory_bytes",
        [LISTENING] = "listening",
        [HELD] = "held",
        [DESTINATION] = "ports.group",
        [DESTINATION_UNIT] = "ports.unit",
        [DESTINATION_UNITS] = "ports.for_unit",
        [FRESH] = "ports.fresh",
        [WITHOUT_REUSE] = ".unrelieved",
        [READING] = "",
        [ENDPOINT] = ".who",
        [CULPRIT] = ".unit",
        [SYSCTL] = "",
        [COUNTER] = "",
};

const char *column_name(const struct recording *rec, const struct recording_column *c,
                        char buf[static COLUMN_NAME_MAX])
{
        const char *name = "";

        if (c->kind == COUNTER)
                name = rec->counters.item[c->id].name;
        else if (c->kind == SYSCTL)
                name = sysctl_table[c->id].name;
        else if (c->kind >= WITHOUT_REUSE)
                name = metric_table[c->id].name;
        snprintf(buf, COLUMN_NAME_MAX, "%s%s", name, names[c->kind]);
        return buf;
}

static void add_held(char **p, const struct recording_row *row)
{
        char value[SYSCTL_TEXT_MAX];
        const char *between = "";

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (row->held >> id & 1) {
                        cell_add(p, "%s%s=%s", between, sysctl_table[id].name,
                                 sysctl_format(&row->original[id], value));
                        between = ";";
                }
}

static bool parse_held(const char *text, struct recording_row *row)
{
        row->held = 0;
        for (const char *p = text; *p; p += *p == ';') {
                size_t n = strcspn(p, ";"), name = strcspn(p, "=");
                char one[COLUMN_NAME_MAX + SYSCTL_TEXT_MAX];
                enum sysctl_id id;

                if (n >= sizeof(one) || name >= n)
                        return false;
                memcpy(one, p, n);
                one[n] = one[name] = 0;
                id = sysctl_find(one);
                if (id == SYSCTL_COUNT || sysctl_parse(id, one + name + 1, &row->original[id]) < 0)
                        return false;
                row->held |= BIT(id);
                p += n;
        }
        return true;
}

_Static_assert(SNAPSHOT_ENDPOINT_MAX >= DESTINATION_NAME_MAX, "endpoint[] holds the name of a destination");

static bool has_destination(const struct snapshot *s)
{
        return ports_valid(s) && s->endpoint[METRIC_PORTS_FIRST][0];
}

static void add_reading(char **p, const struct recording_row *row, unsigned id)
{
        unsigned i = id - METRIC_PORTS_FIRST;

        if (metric_is_ports(id) && has_destination(row->snapshot) && !isnan(row->destination.lower[i]))
                cell_add_range(p, row->destination.lower[i], row->destination.upper[i]);
        else if (id != RECORDING_NO_READING)
                cell_add_reading(p, &row->snapshot->reading[id]);
}

/* The reading of a ports.* is the lower end of the value of the busiest destination. */
static bool parse_reading(const char *text, struct recording_row *row, unsigned id)
{
        struct reading *r;
        double upper = 0;

        if (id == RECORDING_NO_READING)
                return true;
        r = &row->snapshot->reading[id];
        if (!cell_parse_reading(text, r, &upper))
                return false;
        if (metric_is_ports(id)) /* unknown, unless the cell is valid */
                row->destination.lower[id - METRIC_PORTS_FIRST] = row->destination.upper[id - METRIC_PORTS_FIRST] =
                        NAN;
        if (r->state != READING_VALID)
                return true;
        if (!metric_is_ports(id))
                return upper <= r->value && upper >= r->value;
        row->destination.lower[id - METRIC_PORTS_FIRST] = (float)r->value;
        row->destination.upper[id - METRIC_PORTS_FIRST] = (float)upper;
        r->value = (double)(float)r->value;
        return true;
}

/* Copies as much of the text as fits. Returns true: every text is valid. */
static bool parse_text(const char *text, char *to, size_t size)
{
        snprintf(to, size, "%s", text);
        return true;
}

/* All ports.* are of the same destination. */
static bool parse_destination(const char *text, struct recording_row *row)
{
        for (unsigned id = METRIC_PORTS_FIRST; id <= METRIC_PORTS_LAST; id++)
                parse_text(text, row->snapshot->endpoint[id], SNAPSHOT_ENDPOINT_MAX);
        return !*text || destination_key_parse(text, &row->destination.key) == 0;
}

static bool parse_destination_unit(const char *text, struct recording_row *row)
{
        for (unsigned id = METRIC_PORTS_FIRST; id <= METRIC_PORTS_LAST; id++)
                parse_text(text, row->snapshot->culprit[id], SNAPSHOT_CULPRIT_MAX);
        row->destination.cgroup = *text != 0; /* any id but 0, which is no cgroup: only the unit's name is recorded */
        return true;
}

/* Parses a number of the destination, which is not negative. An empty text is 0: there is no destination. */
static bool parse_of_destination(const char *text, double *ret)
{
        const char *end = cell_parse_number(text, ret);

        if (*text)
                return end && !*end && *ret >= 0;
        *ret = 0;
        return true;
}

void column_add_cell(const struct recording_column *c, char **p, const struct recording_row *row)
{
        const struct snapshot *s = row->snapshot;
        unsigned at = c->at;

        switch ((enum kind)c->kind) {
        case TIME:
                cell_add_time(p, s->now);
                break;
        case DATE:
                cell_add_text(p, row->date);
                break;
        case MODE:
                cell_add(p, "%s", row->observe ? "observe" : "enforce");
                break;
        case INTERVAL:
                cell_add_time(p, row->interval_ns);
                break;
        case MEMORY:
                cell_add(p, "%" PRIu64, s->memory_bytes);
                break;
        case LISTENING:
                *(*p)++ = '"';
                *p += port_set_format(&row->listening, *p);
                *(*p)++ = '"';
                break;
        case HELD:
                add_held(p, row);
                break;
        case DESTINATION_UNITS:
                if (has_destination(s))
                        cell_add_text(p, row->units);
                break;
        case FRESH:
                if (has_destination(s))
                        cell_add(p, "%" PRIu32, row->destination.fresh);
                break;
        case WITHOUT_REUSE:
                if (has_destination(s))
                        cell_add_range(p, row->destination.without_reuse[at - METRIC_PORTS_FIRST],
                                       row->destination.without_reuse[at - METRIC_PORTS_FIRST]);
                break;
        case READING:
        case COUNTER:
                add_reading(p, row, at);
                break;
        case DESTINATION:
        case ENDPOINT:
                cell_add_text(p, s->endpoint[at]);
                break;
        case DESTINATION_UNIT:
        case CULPRIT:
                cell_add_text(p, s->culprit[at]);
                break;
        case SYSCTL:
                cell_add_sysctl(p, &s->sysctl[at]);
                break;
        }
}

bool column_parse_cell(const struct recording_column *c, const char *text, struct recording_row *row)
{
        struct snapshot *s = row->snapshot;
        unsigned at = c->at;
        double number;

        switch ((enum kind)c->kind) {
        case TIME:
                return cell_parse_time(text, &s->now);
        case DATE:
                return parse_text(text, row->date, sizeof(row->date));
        case MODE:
                row->observe = strcmp(text, "observe") == 0;
                return row->observe || strcmp(text, "enforce") == 0;
        case INTERVAL:
                return cell_parse_time(text, &row->interval_ns);
        case MEMORY:
                return whole_number_parse(text, &s->memory_bytes) == 0;
        case LISTENING:
                return port_set_parse(text, &row->listening) == 0;
        case HELD:
                return parse_held(text, row);
        case DESTINATION:
                return parse_destination(text, row);
        case DESTINATION_UNIT:
                return parse_destination_unit(text, row);
        case DESTINATION_UNITS:
                return parse_text(text, row->units, sizeof(row->units));
        case FRESH:
                if (!parse_of_destination(text, &number) || number > UINT32_MAX)
                        return false;
                row->destination.fresh = (uint32_t)number;
                return true;
        case WITHOUT_REUSE:
                if (!parse_of_destination(text, &number))
                        return false;
                row->destination.without_reuse[at - METRIC_PORTS_FIRST] = (float)number;
                return true;
        case READING:
        case COUNTER:
                return parse_reading(text, row, at);
        case ENDPOINT:
                return parse_text(text, s->endpoint[at], SNAPSHOT_ENDPOINT_MAX);
        case CULPRIT:
                return parse_text(text, s->culprit[at], SNAPSHOT_CULPRIT_MAX);
        default: /* SYSCTL */
                return cell_parse_sysctl(text, at, &s->sysctl[at]);
        }
}
