/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/show.h"

/* The one of the first network namespace comes first. */
static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_row(struct table *table, const json_t *d)
{
        const char *instance = text_of(d, "instance"), *state = text_of(d, "state");

        table_cell(table, BOLD, "twtuned%s%s", *instance ? "@" : "", instance);
        table_cell(table, PLAIN, "%s", text_of(d, "version"));
        table_cell(table, PLAIN, "%s", text_of(d, "mode"));
        table_cell(table, colour_of(state), "%s", text_of(d, "status"));
        table_end_row(table);
}

/* As a table, or all that `status --json` tells of each. */
static int print_all(const struct options *o, json_t *all)
{
        struct table *table;
        json_t *d;
        size_t i;

        if (o->json)
                return print_json(all);
        pager_open(o);
        table = table_new();
        json_array_foreach(all, i, d)
                add_row(table, d);
        table_print(table, 0);
        return 0;
}

int show_status_of_all(const struct options *o)
{
        char **instances = NULL;
        int status = client_list(&instances);
        json_t *all = json_array(), *d;
        size_t n = 0;

        while (instances && instances[n])
                n++;
        if (n > 1)
                qsort(instances, n, sizeof(*instances), compare);
        for (size_t i = 0; i < n; i++) {
                struct options one = *o;

                one.instance = *instances[i] ? instances[i] : NULL;
                if (describe_once(&one, &d) == 0) { /* or it has just ended */
                        json_object_del(d, "config");
                        json_object_del(d, "rules");
                        json_array_append_new(all, d);
                }
                free(instances[i]);
        }
        free(instances);
        if (status == 0)
                status = json_array_size(all) > 0 ? print_all(o, all)
                                                  : complain(EXIT_NOT_RUNNING, "no twtuned is running");
        json_decref(all);
        return status;
}
