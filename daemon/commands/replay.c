/* SPDX-License-Identifier: MIT */
#include "daemon/commands/replay.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/config_files.h"
#include "daemon/diagnostics_print.h"
#include "daemon/tick.h"
#include "lib/audit/text.h"
#include "lib/recording/recording.h"
#include "lib/util/safe.h"

#define PORTS_SEED 1 /* fixed, so that the same input gives the same output */

/* A sysctl that the replay wrote. Its value hides the recorded value until no rule holds the sysctl, or until the
 * recorded value changes. */
struct written {
        bool shown;
        struct sysctl_value value, recorded; /* written, and recorded at that time */
};

struct replay {
        struct backend backend; /* first: see self() */
        struct tuner tuner;
        FILE *file;
        struct origin at;
        char *line[2]; /* this row and the one before; owned */
        size_t size[2];
        struct recording recording;
        struct recording_row row;
        struct snapshot snapshot; /* of row */
        struct ports *ports;
        const char *config_file; /* NULL: the usual files */
        struct written written[SYSCTL_COUNT];
        uint64_t begun;
        unsigned rows, events;
        int error; /* negative errno: the file could not be read to its end */
};

static struct replay *self(struct backend *backend)
{
        return (struct replay *)backend;
}

/* Returns the value without the changes of the twtuned that recorded it. */
static const struct sysctl_value *recorded_value(const struct replay *r, enum sysctl_id id)
{
        return r->row.held >> id & 1 ? &r->row.original[id] : &r->snapshot.sysctl[id].value;
}

static void show_sysctls(struct replay *r, struct snapshot *s)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct sysctl_value *recorded = recorded_value(r, id);
                struct written *w = &r->written[id];

                if (s->sysctl[id].state != READING_VALID)
                        continue;
                if (!policy_holds(r->tuner.policy, id) || !sysctl_equal(recorded, &w->recorded))
                        w->shown = false;
                s->sysctl[id].value = w->shown ? w->value : *recorded;
        }
}

/* Returns the destination of the row; NULL: it has none. A recording from before twtuned had for-unit has only the
 * unit of one socket. */
static const struct destination *recorded_destination(struct replay *r)
{
        const struct unit_names *names = &r->tuner.config->unit_names;

        r->row.destination.units =
                units_of_text(names, r->row.units) | units_of_text(names, r->snapshot.culprit[METRIC_PORTS_FIRST]);
        return r->snapshot.endpoint[METRIC_PORTS_FIRST][0] ? &r->row.destination : NULL;
}

static void observe(struct backend *backend, struct snapshot *ret, bool *ret_dump, struct unread *unread)
{
        struct replay *r = self(backend);
        unsigned readings = METRIC_COUNT + r->tuner.config->counters.n; /* reading[] holds many more */

        (void)unread;
        *ret_dump = false;
        memcpy(ret, &r->snapshot, offsetof(struct snapshot, reading) + readings * sizeof(ret->reading[0]));
        ret->ports = r->ports;
        ports_give_listening(r->ports, &r->row.listening);
        if (ports_valid(ret))
                ports_give_destination(r->ports, recorded_destination(r));
        show_sysctls(r, ret);
}

/* Adds nothing: observe() has filled in the whole row. */
static bool observe_states(struct backend *backend, struct snapshot *snapshot, struct unread *unread)
{
        (void)backend, (void)snapshot, (void)unread;
        return false;
}

static void observe_sockets(struct backend *backend, const struct watch_list *watch, struct snapshot *snapshot,
                            struct unread *unread)
{
        (void)backend, (void)watch, (void)snapshot, (void)unread;
}

static int sysctl_read(struct backend *backend, enum sysctl_id id, struct sysctl_value *ret)
{
        struct replay *r = self(backend);

        if (r->snapshot.sysctl[id].state != READING_VALID)
                return r->snapshot.sysctl[id].state == READING_UNAVAILABLE ? -ENOENT : -EIO;
        *ret = r->written[id].shown ? r->written[id].value : *recorded_value(r, id);
        return 0;
}

static int sysctl_write(struct backend *backend, enum sysctl_id id, const struct sysctl_value *value)
{
        struct replay *r = self(backend);

        r->written[id] = (struct written){true, *value, *recorded_value(r, id)};
        return 0;
}

/* Reads no file of this machine, so that a replay gives the same result on every machine. */
static void sysctl_preset(struct backend *backend, enum sysctl_id sysctl, struct sysctl_preset *ret)
{
        (void)backend, (void)sysctl;
        *ret = (struct sysctl_preset){0};
}

static int ledger_save(struct backend *backend, const struct ledger *ledger)
{
        (void)backend, (void)ledger;
        return 0;
}

/* The only cgroup is that of the recorded destination. */
static const char *find_unit(struct backend *backend, uint64_t cgroup)
{
        (void)cgroup;
        return self(backend)->snapshot.culprit[METRIC_PORTS_FIRST];
}

static uint64_t find_cgroup(struct backend *backend, uint64_t destination)
{
        (void)backend, (void)destination;
        return 0;
}

static void report(struct backend *backend, const struct audit_record *record)
{
        static struct audit_text text;
        struct replay *r = self(backend);
        char date[4 * sizeof(r->row.date)];

        printf("%s%s+%.3fs ", safe_text(r->row.date, date, sizeof(date)), r->row.date[0] ? " " : "",
               (double)(r->snapshot.now - r->begun) / 1e9);
        audit_text_make(&text, record);
        audit_text_print(&text, stdout);
        r->events++;
}

static void notify(struct backend *backend, const char *state)
{
        (void)backend, (void)state;
}

static int out_of_memory(void)
{
        fprintf(stderr, "twtuned: out of memory\n");
        return EX_OSERR;
}

/* Returns the next line without its newline; NULL: no whole line is left, or the file cannot be read (r->error). */
static char *line_next(struct replay *r)
{
        char **line = &r->line[r->at.line % 2];
        ssize_t n = getline(line, &r->size[r->at.line % 2], r->file);

        if (ferror(r->file) || (n <= 0 && !feof(r->file)))
                r->error = -errno;
        if (n <= 0 || r->error < 0)
                return NULL;
        r->at.line++;
        if ((*line)[n - 1] != '\n') {
                fprintf(stderr, "%s:%u: the last row is cut short and is left out\n", r->at.file, r->at.line);
                return NULL;
        }
        (*line)[--n] = 0;
        if (n > 0 && (*line)[n - 1] == '\r')
                (*line)[--n] = 0;
        return *line;
}

/* Reads the next row. Returns 1; 0: none is left; -EINVAL: it is invalid, and the reason is printed. */
static int row_next(struct replay *r)
{
        struct diagnostics diagnostics = {0};
        char *line = line_next(r);
        int error;

        if (!line)
                return 0;
        error = recording_parse_row(&r->recording, line, &r->row, r->at, &diagnostics);
        diagnostics_print(&diagnostics, "");
        diagnostics_free(&diagnostics);
        r->rows++;
        return error < 0 ? error : 1;
}

/* Reads the first line. Returns 0; -EINVAL: it is invalid, and the reason is printed. */
static int header_read(struct replay *r)
{
        struct diagnostics diagnostics = {0};
        char *line = line_next(r);
        int error = -EINVAL;

        if (line)
                error = recording_parse_header(&r->recording, line, r->at, &diagnostics);
        else if (r->error == 0)
                diagnostic_add(&diagnostics, r->at, "the file contains no recording");
        diagnostics_print(&diagnostics, "");
        diagnostics_free(&diagnostics);
        return error;
}

/* Prints the counters that the recording lacks: a rule that needs one of them is unavailable because of the recording,
 * not of the kernel. */
static void print_lacking(const struct recording *recording, const struct counters *wanted)
{
        for (unsigned i = 0; i < wanted->n; i++)
                if (counters_find(&recording->counters, wanted->item[i].name) == COUNTERS_MAX)
                        printf("not in the recording: %s\n", wanted->item[i].name);
}

static void print_mode(const struct config *config)
{
        if (config->observe)
                printf("recorded in observe mode, in which nothing changed: each expect counts as met\n");
}

/* Reloads the configuration, as the recorded twtuned did, if the mode of the row is not that of the row before.
 * Returns the exit status. */
static int follow_mode(struct replay *r)
{
        struct config *config;
        int status;

        if (r->row.observe == r->tuner.config->observe)
                return 0;
        status = config_files_load_good(r->config_file, &r->recording.counters, true, &config);
        if (status != 0)
                return status;
        config->observe = r->row.observe;
        if (tuner_reload(&r->tuner, config) < 0) {
                config_free(config);
                return out_of_memory();
        }
        print_mode(config);
        return 0;
}

/* Runs all rows. Takes over config. Returns the exit status. */
static int run(struct replay *r, struct config *config)
{
        int more, status = 0;

        recording_bind(&r->recording, &config->counters);
        recording_row_init(&r->row, &r->snapshot);
        more = row_next(r);
        config->observe = r->row.observe;
        if (tuner_start(&r->tuner, &r->backend, config, r->snapshot.now) < 0) {
                config_free(config);
                return out_of_memory();
        }
        r->begun = r->snapshot.now;
        print_lacking(&r->recording, &config->counters);
        if (more > 0)
                print_mode(config);
        for (; more > 0 && (status = follow_mode(r)) == 0; more = row_next(r)) {
                if (r->row.interval_ns > 0) /* a reload may have changed this as well */
                        r->tuner.config->interval_ns = r->row.interval_ns;
                tick(&r->tuner);
        }
        tuner_stop(&r->tuner);
        return more < 0 ? EX_DATAERR : status;
}

static int replay(struct replay *r)
{
        struct config *config;
        int status;

        r->ports = ports_new(PORTS_SEED);
        if (!r->ports)
                return out_of_memory();
        if (header_read(r) < 0)
                return EX_DATAERR;
        status = config_files_load_good(r->config_file, &r->recording.counters, true, &config);
        if (status != 0)
                return status;
        status = run(r, config);
        if (status == 0)
                printf("%u tick%s, %.0f s, %u event%s\n", r->rows, r->rows == 1 ? "" : "s",
                       r->rows > 0 ? (double)(r->snapshot.now - r->begun) / 1e9 : 0, r->events,
                       r->events == 1 ? "" : "s");
        return status;
}

int replay_print(const char *file, const char *config_file)
{
        static struct replay r = {
                .backend = {observe, observe_states, observe_sockets, sysctl_read, sysctl_write, sysctl_preset,
                            ledger_save, find_unit, find_cgroup, report, notify},
        };
        int status;

        r.at.file = file;
        r.config_file = config_file;
        r.file = fopen(file, "re");
        if (!r.file) {
                fprintf(stderr, "twtuned: %s: %s\n", file, strerror(errno));
                return EX_NOINPUT;
        }
        status = replay(&r);
        if (r.error < 0) {
                fprintf(stderr, "twtuned: %s: %s\n", file, strerror(-r.error));
                status = r.error == -ENOMEM ? EX_OSERR : EX_IOERR;
        }
        fclose(r.file);
        ports_free(r.ports);
        free(r.line[0]);
        free(r.line[1]);
        return status;
}
