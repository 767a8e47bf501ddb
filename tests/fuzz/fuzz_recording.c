/* SPDX-License-Identifier: MIT */
/* A recording, as --replay reads it. What was read can be written, and is then the same; and the policy takes it. */

#include <stdio.h>

#include "lib/config/config.h"
#include "lib/policy/policy.h"
#include "lib/recording/cell.h"
#include "lib/recording/recording.h"
#include "text.h"

static const struct origin at = {.file = "f", .line = 1};
static struct config *config;
static struct ports *ports;

/* The shipped policy. */
static void config_load(void)
{
        static char text[65536];
        struct diagnostics diagnostics = {0};
        FILE *f = fopen(CONF_DIR "/policy.conf", "r");
        size_t n;

        assert(f);
        n = fread(text, 1, sizeof(text), f);
        fclose(f);
        config = config_new();
        config_read(config, "policy.conf", text, n, NULL, &diagnostics);
        config_check(config, &diagnostics);
        assert(diagnostics.n == 0 && config->n_rules > 0);
        ports = ports_new(1);
}

/* The next line without its end; NULL: no whole one is left. */
static char *line_next(char **text)
{
        char *line = *text, *end = strchr(line, '\n');

        if (!end)
                return NULL;
        *end = 0;
        *text = end + 1;
        return line;
}

static char *format_row(struct recording *rec, const struct recording_row *row, char *line)
{
        size_t n = recording_format_row(rec, row, line);

        assert(n > 0 && n < RECORDING_LINE_MAX && line[n - 1] == '\n');
        line[n - 1] = 0;
        return line;
}

/* The first line as it would be recorded has the same columns. */
static void check_header(struct recording *rec, struct recording *again)
{
        static char line[RECORDING_LINE_MAX];
        struct diagnostics diagnostics = {0};

        line[recording_format_header(rec, line) - 1] = 0;
        assert(recording_parse_header(again, line, at, &diagnostics) == 0 && again->n == rec->n);
        recording_bind(again, &config->counters);
}

/* The line as the first of its recording says what is expected. */
static void check_line(struct recording *rec, char *line, const char *expected)
{
        static char text[RECORDING_LINE_MAX];
        static struct recording_row row;
        static struct snapshot snapshot;
        struct diagnostics diagnostics = {0};

        memset(rec->before, 0, sizeof(rec->before));
        recording_row_init(&row, &snapshot);
        assert(recording_parse_row(rec, line, &row, at, &diagnostics) == 0);
        assert(strcmp(format_row(rec, &row, text), expected) == 0);
}

/* A row is what its line says, whatever stood in the row before; and written, it is that line. */
static void check_row(struct recording *rec, struct recording *again, const struct recording_row *row, char *line)
{
        static char text[RECORDING_LINE_MAX], copy[RECORDING_LINE_MAX];

        format_row(rec, row, text);
        check_line(again, line, text);
        strcpy(copy, text);
        check_line(again, copy, text);
}

/* A number reads as strtod() reads it, also where ".." follows it. */
static void check_number(const char *cell)
{
        char text[64] = "";
        double number;
        const char *end = cell_parse_number(cell, &number);

        if (!end || (size_t)(end - cell) >= sizeof(text))
                return;
        memcpy(text, cell, (size_t)(end - cell));
        assert(memcmp(&number, &(double){strtod(text, NULL)}, sizeof(number)) == 0);
}

static void check_numbers(const char *line)
{
        for (check_number(line); (line = strchr(line, ',')); line++)
                check_number(line + 1);
}

static void decide(struct policy *policy, struct snapshot *s, const struct recording_row *row)
{
        struct decision decision;
        unsigned n = 0;

        s->ports = ports;
        ports_give_listening(ports, &row->listening);
        if (s->reading[METRIC_PORTS_FIRST].state == READING_VALID)
                ports_give_destination(ports, s->endpoint[METRIC_PORTS_FIRST][0] ? &row->destination : NULL);
        policy_evaluate(policy, s);
        policy_advance(policy, s);
        while (policy_decide(policy, s, false, &decision)) {
                assert(decision.rule < config->n_rules && decision.n <= RULE_ACTIONS_MAX);
                assert(n++ < 10 * RULES_MAX);
                for (unsigned i = 0; i < decision.n; i++)
                        decision.change[i].outcome = OUTCOME_APPLIED;
                policy_commit(policy, &decision);
        }
}

/* As replay.c: rows go on in one line's memory while the other has the row before. */
static void replay(struct recording *rec, char *text)
{
        static struct recording again;
        static struct recording_row row;
        static struct snapshot snapshot;
        struct policy *policy = policy_new(config);
        struct diagnostics diagnostics = {0};
        char *line, *copy;
        int r;

        recording_bind(rec, &config->counters);
        check_header(rec, &again);
        recording_row_init(&row, &snapshot);
        while ((line = line_next(&text))) {
                check_numbers(line);
                copy = strdup(line);
                r = recording_parse_row(rec, line, &row, at, &diagnostics);
                if (r == 0) {
                        check_row(rec, &again, &row, copy);
                        decide(policy, &snapshot, &row);
                }
                free(copy);
                if (r < 0)
                        break;
        }
        assert(!line == (diagnostics.n == 0));
        diagnostics_free(&diagnostics);
        policy_free(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct recording rec;
        struct diagnostics diagnostics = {0};
        char *text = text_new(data, size), *p = text, *header;

        if (!config)
                config_load();
        header = line_next(&p);
        if (header && recording_parse_header(&rec, header, at, &diagnostics) == 0)
                replay(&rec, p);
        diagnostics_free(&diagnostics);
        free(text);
        return 0;
}
