/* SPDX-License-Identifier: MIT */
#include "daemon/commands/check.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "daemon/config_files.h"
#include "daemon/diagnostics_print.h"
#include "daemon/metrics_file.h"
#include "lib/util/safe.h"

static void print_values(const struct config *config)
{
        for (size_t i = 0; i < config->values.n; i++) {
                const struct config_value *v = &config->values.item[i];

                safe_print(v->at.file, stdout);
                printf(":%u: [%s] %s = ", v->at.line, v->section, v->key);
                safe_print(v->text, stdout);
                putchar('\n');
        }
}

/* Returns false, and prints why, if metrics_file is invalid. */
static bool check_metrics_file(const struct config *config)
{
        const char *problem = metrics_file_problem(config->metrics_file);
        struct diagnostics diagnostics = {0};

        for (size_t i = 0; problem && i < config->values.n; i++)
                if (strcmp(config->values.item[i].key, "metrics_file") == 0)
                        diagnostic_add(&diagnostics, config->values.item[i].at, "metrics_file = %s: %s",
                                       config->metrics_file, problem);
        diagnostics_print(&diagnostics, "");
        diagnostics_free(&diagnostics);
        return problem == NULL;
}

int check_print(const char *config_file, bool verbose)
{
        struct config *config;
        int r = config_files_load_good(config_file, NULL, false, &config);
        unsigned disabled = 0;

        if (r != 0)
                return r;
        if (!check_metrics_file(config)) {
                config_free(config);
                return EX_CONFIG;
        }
        if (verbose)
                print_values(config);
        printf("twtuned: the configuration is good, %u rule%s", config->n_rules, config->n_rules == 1 ? "" : "s");
        for (unsigned i = 0; i < config->n_rules; i++)
                disabled += config->rule[i].disabled;
        if (disabled > 0)
                printf(", %u of them disabled", disabled);
        putchar('\n');
        config_free(config);
        return 0;
}
