/* SPDX-License-Identifier: MIT */
#pragma once

/* A recording: CSV (RFC 4180), the names in the first line, a row a tick. It has what the policy and the guard read of
 * a snapshot, so that they decide on the row as they would have decided then. A cell is
 *
 *         (empty)          invalid: it was not read this time
 *         -                unavailable: that kernel or netns had no such thing
 *         NUMBER           valid; every number reads back as the one it was
 *         NUMBER*WEIGHT    a share of WEIGHT
 *         LOWER..UPPER     valid, known only as a range: a ports.* value of the busiest group
 *         ~LOWER..UPPER    bounded: not read, because it was enough to know that it lies in between
 *
 * or a text. */

#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"
#include "lib/util/diagnostics.h"

#define RECORDING_COLUMNS_MAX (2 * METRIC_COUNT + COUNTERS_MAX + SYSCTL_COUNT)
#define RECORDING_LINE_MAX (PORT_SET_TEXT_MAX + 128u * RECORDING_COLUMNS_MAX)
#define RECORDING_DATE_MAX 32

/* What a row says. */
struct recording_row {
        struct snapshot *snapshot;     /* borrowed. ports is neither read nor set: group and listening are for it */
        char date[RECORDING_DATE_MAX]; /* for people; any text */
        uint64_t interval_ns;
        bool observe;              /* the mode */
        struct destination group;  /* while the ports.* are valid and have a name in who[]: its key and values */
        struct port_set listening; /* ports that have a listener */
        uint32_t held;             /* a bit for each sysctl that has a value of twtuned's */
        struct sysctl_value original[SYSCTL_COUNT]; /* the value before, of those */
};

struct recording_column {
        unsigned kind, id; /* id: of a metric, of a sysctl, or an index in counters */
        unsigned at; /* the same, but for a counter the id of its reading; RECORDING_NOWHERE: nobody asks for it */
};

#define RECORDING_NOWHERE UINT32_MAX

/* The columns of one file. */
struct recording {
        unsigned n;
        struct recording_column column[RECORDING_COLUMNS_MAX];
        char *before[RECORDING_COLUMNS_MAX]; /* the cells of the row that was parsed last; NULL: none was */
        struct counters counters;            /* those that have a column */
};

/* Every column there is, with a counter for each of the set. */
void recording_init(struct recording *recording, const struct counters *counters);

/* The columns that the first line of a file, without its end, names; it is cut up in place. 0, or -EINVAL with a
 * problem for each that nobody knows. */
int recording_parse_header(struct recording *recording, char *line, struct origin at, struct diagnostics *diagnostics);

/* From now on the snapshots have these counters. */
void recording_bind(struct recording *recording, const struct counters *counters);

/* A whole line, with its end. Returns its length. */
size_t recording_format_header(const struct recording *recording, char line[static RECORDING_LINE_MAX]);
size_t recording_format_row(const struct recording *recording, const struct recording_row *row,
                            char line[static RECORDING_LINE_MAX]);

/* A row before the first: whatever has no column stays unavailable. */
void recording_row_init(struct recording_row *row, struct snapshot *snapshot);

/* Reads a line, which is cut up in place, over the row before. Cells that are as they were there are passed over, so
 * line has to stay as it is, and row untouched, until the next call. line has no end of line. 0, or -EINVAL with a
 * problem. */
int recording_parse_row(struct recording *recording, char *line, struct recording_row *row, struct origin at,
                        struct diagnostics *diagnostics);
