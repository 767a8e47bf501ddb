/* SPDX-License-Identifier: MIT */
#pragma once

/* Internal to recording: the kinds of columns, and their cells. */

#include "lib/recording/recording.h"

#define COLUMN_NAME_MAX (COUNTER_NAME_MAX + 16)

enum kind {
        TIME, /* CLOCK_BOOTTIME */
        DATE,
        MODE,
        INTERVAL,
        MEMORY,
        LISTENING,
        HELD,
        DESTINATION,
        DESTINATION_UNIT,
        DESTINATION_UNITS, /* those that for-unit of a rule names */
        FRESH,
        /* Each kind from here on has one column for each of several ids. */
        WITHOUT_REUSE,
        READING,
        ENDPOINT,
        CULPRIT,
        SYSCTL,
        COUNTER,
};

/* Writes the name of a column and returns buf. */
const char *column_name(const struct recording *recording, const struct recording_column *column,
                        char buf[static COLUMN_NAME_MAX]);

/* Adds the cell of a row; see cell.h. */
void column_add_cell(const struct recording_column *column, char **p, const struct recording_row *row);

/* Parses the text of a cell into row. Returns false if it is invalid; row is then undefined. */
bool column_parse_cell(const struct recording_column *column, const char *text, struct recording_row *row);
