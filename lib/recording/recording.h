/* SPDX-License-Identifier: MIT */
#pragma once

/* A recording: CSV (RFC 4180) with the names in the first line and one row for each tick. It has everything that the
 * policy and the limits read from a snapshot, so that they decide on a row as on the snapshot. A cell is a text or
 *
 *         (empty)          invalid: not read this time
 *         -                unavailable: this kernel or network namespace has no such thing
 *         NUMBER           valid; every number reads back as the same number
 *         NUMBER*WEIGHT    valid, a share: WEIGHT is the count that it is a share of
 *         LOWER..UPPER     valid, known as a range: a ports.* value of the busiest destination
 *         ~LOWER..UPPER    bounded: not read, because its bounds were enough to decide */

#include "lib/kernel/snapshot.h"
#include "lib/ports/table.h"
#include "lib/util/diagnostics.h"

#define RECORDING_COLUMNS_MAX (2 * METRIC_COUNT + COUNTERS_MAX + SYSCTL_COUNT)
#define RECORDING_LINE_MAX (PORT_SET_TEXT_MAX + 128u * RECORDING_COLUMNS_MAX)
#define RECORDING_DATE_MAX 32

struct recording_row {
        struct snapshot *snapshot; /* borrowed; its ports are not recorded: destination and listening replace them */
        char date[RECORDING_DATE_MAX]; /* for people; any text */
        uint64_t interval_ns;
        bool observe; /* the mode */
        /* The busiest destination: its key and values. Valid only if the ports.* are, and endpoint[] has its name. */
        struct destination destination;
        char units[UNITS_TEXT_MAX];                 /* the units of its sockets, only those that rules name */
        struct port_set listening;                  /* ports with a listener */
        uint32_t held;                              /* a bit for each sysctl with a value that twtuned wrote */
        struct sysctl_value original[SYSCTL_COUNT]; /* the original values of those */
};

struct recording_column {
        unsigned kind, id; /* id of a metric or of a sysctl, or index in counters */
        unsigned at;       /* id; for a counter, the index of its reading in the snapshot, or RECORDING_NO_READING */
};

#define RECORDING_NO_READING UINT32_MAX

/* The columns of one file. */
struct recording {
        unsigned n;
        struct recording_column column[RECORDING_COLUMNS_MAX];
        char *before[RECORDING_COLUMNS_MAX]; /* the cells of the last row that was parsed, borrowed; NULL: none */
        struct counters counters;            /* those with a column */
};

/* Makes a recording of all columns, with one for each counter of the set. */
void recording_init(struct recording *recording, const struct counters *counters);

/* Makes a recording of the columns in the first line of a file, given without its newline and cut up in place. Returns
 * 0; -EINVAL, with a diagnostic for each error. */
int recording_parse_header(struct recording *recording, char *line, struct origin at, struct diagnostics *diagnostics);

/* Binds the counter columns to the readings of this set: from now on, the snapshots have the counters of the set. */
void recording_bind(struct recording *recording, const struct counters *counters);

/* Write a line with its newline. Return its length. */
size_t recording_format_header(const struct recording *recording, char line[static RECORDING_LINE_MAX]);
size_t recording_format_row(const struct recording *recording, const struct recording_row *row,
                            char line[static RECORDING_LINE_MAX]);

/* Makes the row before the first one: everything is unavailable, and stays so if it has no column. */
void recording_row_init(struct recording_row *row, struct snapshot *snapshot);

/* Parses a line, given without its newline and cut up in place, into row, which holds the row before. A cell that did
 * not change is not parsed again, so line and row must not change until the next call. Returns 0; -EINVAL, with a
 * diagnostic. */
int recording_parse_row(struct recording *recording, char *line, struct recording_row *row, struct origin at,
                        struct diagnostics *diagnostics);
