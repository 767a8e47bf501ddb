/* SPDX-License-Identifier: MIT */
#pragma once

/* --record: writes one row for each tick with a single write(), so that the file is valid up to its last whole line,
 * however the daemon ends. */

#include "daemon/tick.h"
#include "lib/recording/recording.h"

struct record {
        const char *path;     /* for messages, borrowed; NULL: nothing is recorded */
        int fd;               /* owned; -1: the recording has ended */
        bool begun;           /* the header is written */
        struct ledger before; /* the ledger before the current tick */
        struct recording recording;
        struct recording_row row;
        char line[2 * RECORDING_LINE_MAX]; /* a header and a row */
};

static inline bool record_is_on(const struct record *record)
{
        return record->path && record->fd >= 0;
}

/* Opens a file, which must be new or empty. Returns 0 or a negative errno; -EEXIST: it is not empty. */
int record_open(struct record *record, const char *path);

/* Takes over an open file. */
void record_take(struct record *record, int fd, const char *path);

/* Ends the recording. */
void record_close(struct record *record);

/* Call this with the counters of each new configuration. The recording keeps the counters of the first one, and adds
 * them to those of a later one, so that they are still read. */
void record_set_counters(struct record *record, struct counters *counters);

/* Call these before and after each tick. If the row cannot be written, record_tick() reports that and ends the
 * recording. */
void record_before(struct record *record, const struct tuner *tuner);
void record_tick(struct record *record, struct tuner *tuner);
