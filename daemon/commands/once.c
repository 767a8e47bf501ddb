/* SPDX-License-Identifier: MIT */
#include "daemon/commands/once.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "daemon/config_files.h"
#include "daemon/diagnostics_print.h"
#include "daemon/observe/observer.h"
#include "daemon/observe/sock_diag.h"
#include "lib/policy/policy.h"
#include "lib/util/json.h"
#include "lib/util/safe.h"

static void write_word(FILE *f, const char *word)
{
        if (word[0])
                fputc(' ', f);
        safe_print(word, f);
}

static void write_text(FILE *f, const struct snapshot *s, const struct counters *counters, unsigned metric)
{
        const struct reading *r = &s->reading[metric];
        const char *unit = unit_suffix(metric_unit(metric, counters));

        fprintf(f, "%s ", metric_name(metric, counters));
        if (r->state == READING_VALID)
                fprintf(f, "%.10g", r->value);
        else
                fputs(reading_state_names[r->state], f);
        fprintf(f, " %s", unit[0] ? unit : "-");
        if (metric < METRIC_COUNT) {
                write_word(f, s->endpoint[metric]);
                write_word(f, s->culprit[metric]);
        }
        fputc('\n', f);
}

static void add_json(struct json *j, const struct snapshot *s, const struct counters *counters, unsigned metric)
{
        const struct reading *r = &s->reading[metric];

        json_open_object(j, metric_name(metric, counters));
        json_add_text(j, "state", reading_state_names[r->state]);
        json_add_number(j, "value", r->state == READING_VALID ? r->value : (double)NAN);
        json_add_text(j, "unit", unit_suffix(metric_unit(metric, counters)));
        if (metric < METRIC_COUNT && s->endpoint[metric][0])
                json_add_text(j, "who", s->endpoint[metric]);
        if (metric < METRIC_COUNT && s->culprit[metric][0])
                json_add_text(j, "systemd_unit", s->culprit[metric]);
        json_close_object(j);
}

static int write_json(FILE *f, const struct snapshot *s, const struct counters *counters)
{
        struct json j = {0};
        int r;

        json_open_object(&j, NULL);
        for (unsigned metric = 0; metric < METRIC_COUNT + counters->n; metric++)
                add_json(&j, s, counters, metric);
        json_close_object(&j);
        r = j.failed ? -ENOMEM : 0;
        if (r == 0)
                fprintf(f, "%s\n", j.text);
        json_free(&j);
        return r;
}

int once_write(FILE *f, const struct snapshot *s, const struct counters *counters, bool json)
{
        if (json)
                return write_json(f, s, counters);
        for (unsigned metric = 0; metric < METRIC_COUNT + counters->n; metric++)
                write_text(f, s, counters, metric);
        return 0;
}

/* Reads counters twice, for the rates, and the sockets once, at the end. The metrics of a source that cannot be read
 * are invalid. */
static struct unread observe(struct observer *observer, struct snapshot *ret)
{
        const struct timespec second = {.tv_sec = 1};
        struct unread unread = {0};
        bool dump;

        observer_read(observer, ret, &dump, &(struct unread){0});
        nanosleep(&second, NULL);
        observer_read(observer, ret, &dump, &unread);
        observer_read_sockets(observer, &(struct watch_list){0}, ret, &unread);
        return unread;
}

static void write_pressure(FILE *f, const struct snapshot *s, const struct config *config, unsigned i,
                           const struct condition_evaluation *e)
{
        const struct rule *rule = &config->rule[i];
        unsigned metric = rule->when[0].metric;
        char whose[DESTINATION_NAME_MAX];

        fprintf(f, "! %s:", rule->name);
        if (rule->description)
                fprintf(f, " %s:", rule->description);
        fprintf(f, " %s %.10g", metric_name(metric, &config->counters), e->reading.value);
        write_word(f, unit_suffix(metric_unit(metric, &config->counters)));
        write_word(f, condition_whose(e, metric, s, whose));
        write_word(f, condition_unit(e, metric, s));
        fputc('\n', f);
}

/* Sets the times of all `when` conditions to 0, and prints the rules that are then STANDING_READY. Returns 0 or
 * -ENOMEM. */
static int write_pressures(FILE *f, const struct snapshot *s, struct config *config)
{
        struct policy *policy = policy_new(config);
        const struct evaluation *evaluation;

        for (unsigned i = 0; i < config->n_rules; i++)
                for (unsigned k = 0; k < config->rule[i].n_when; k++)
                        config->rule[i].when[k].time_ns = 0;
        if (!policy)
                return -ENOMEM;
        evaluation = policy_evaluate(policy, s);
        for (unsigned i = 0; i < config->n_rules; i++)
                if (evaluation->rule[i].standing == STANDING_READY && config->rule[i].n_when > 0)
                        write_pressure(f, s, config, i, &evaluation->rule[i].when[0]);
        policy_free(policy);
        return 0;
}

/* Prints which files cannot be read, and no other errors. Returns false if a file cannot be read, or if there was no
 * memory for any error. */
static bool are_read(const struct diagnostics *diagnostics)
{
        bool all = diagnostics->item || diagnostics->n == 0;

        for (size_t i = 0; diagnostics->item && i < diagnostics->n; i++) {
                if (diagnostics->item[i].at.line > 0)
                        continue;
                diagnostics_print(&(struct diagnostics){.item = &diagnostics->item[i], .n = 1}, "");
                all = false;
        }
        return all;
}

/* Returns the valid part of the configuration; NULL: no memory. Fills in counters: first those of the configuration,
 * in its order, then the others of the kernel. *ret_read: all of the files could be read. */
static struct config *load_config(const char *file, struct counters *counters, bool *ret_read)
{
        struct counters *kernel = observer_list_counters("/proc");
        struct diagnostics diagnostics = {0};
        struct config *config = config_files_load(file, kernel, &diagnostics);

        *ret_read = are_read(&diagnostics);
        diagnostics_free(&diagnostics);
        if (config)
                *counters = config->counters;
        else
                counters_init(counters);
        for (unsigned i = 0; kernel && i < kernel->n; i++)
                counters_add(counters, kernel->item[i].name);
        free(kernel);
        return config;
}

int once_print(const char *config_file, bool json)
{
        static struct counters counters;
        static struct snapshot snapshot;
        struct observer *observer = NULL;
        struct config *config;
        struct unread unread;
        bool files_read, short_of_memory;
        int r = observer_new("/proc", &observer);

        if (r == 0)
                r = observer_probe(observer);
        if (r < 0) {
                observer_free(observer);
                fprintf(stderr, "twtuned: cannot open NETLINK_SOCK_DIAG: %s\n", sock_diag_error(r));
                return r == -ENOMEM ? EXIT_FAILURE : EX_UNAVAILABLE;
        }
        config = load_config(config_file, &counters, &files_read);
        observer_set_config(observer, NULL, &counters);
        unread = observe(observer, &snapshot);
        r = unread.error;
        if (r < 0)
                fprintf(stderr, "twtuned: cannot read %s: %s\n", unread.what, strerror(-r));
        short_of_memory = !config || (!json && write_pressures(stdout, &snapshot, config) < 0);
        short_of_memory |= once_write(stdout, &snapshot, &counters, json) < 0;
        if (short_of_memory)
                fprintf(stderr, "twtuned: out of memory\n");
        config_free(config);
        observer_free(observer);
        /* If the usual files cannot be read, that is no failure: where twtuned is not installed, there are none. */
        return r < 0 || short_of_memory || (config_file && !files_read) ? EXIT_FAILURE : 0;
}
