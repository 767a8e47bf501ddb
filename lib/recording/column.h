/* SPDX-License-Identifier: MIT */
#pragma once

/* What a column of a recording tells: the inside of recording.h, shared by recording.c (which columns there are, and
 * lines) and recording_column.c (a cell of each). */

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
        GROUP,
        GROUP_UNIT,
        FRESH,
        /* From here on there is a column for each of some ids. */
        UNRELIEVED,
        READING,
        WHO,
        UNIT,
        SYSCTL,
        COUNTER,
};

const char *column_name(const struct recording *recording, const struct recording_column *column,
                        char buf[static COLUMN_NAME_MAX]);

/* Writes what the row says to *p, which moves on. */
void column_add_cell(const struct recording_column *column, char **p, const struct recording_row *row);

/* Reads it back from the text of one cell. false: it cannot be that. */
bool column_parse_cell(const struct recording_column *column, const char *text, struct recording_row *row);
