/* SPDX-License-Identifier: MIT */
#pragma once

/* --record: a row a tick, each one write: however the daemon ends, the file is good up to its last whole line. */

#include "daemon/tick.h"
#include "lib/recording/recording.h"

struct record {
        const char *path;     /* for people; NULL: nothing is recorded */
        int fd;               /* owned; -1: the recording is over */
        bool begun;           /* the header is written */
        struct ledger before; /* as the tick at hand found it */
        struct recording recording;
        struct recording_row row;
        char line[2 * RECORDING_LINE_MAX]; /* a header and a row */
};

/* 0 or a negative errno; -EEXIST: there is something in the file. path is borrowed. */
int record_open(struct record *record, const char *path);

/* The same, to a file that is open already, and is the record's from then on. */
void record_take(struct record *record, int fd, const char *path);
void record_close(struct record *record);

/* The counters of the configuration that runs from now on. The first one's are recorded, and added to those that come
 * after a reload. */
void record_set_counters(struct record *record, struct counters *counters);

/* Before a tick, and when it is over. When the file cannot be written that is said, and the recording ends. */
void record_before(struct record *record, const struct tuner *tuner);
void record_tick(struct record *record, struct tuner *tuner);
