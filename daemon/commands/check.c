/* SPDX-License-Identifier: MIT */
#include "daemon/commands/check.h"

#include <stdio.h>
#include <sysexits.h>

#include "daemon/config_files.h"
#include "daemon/observe/observer.h"
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

int check_print(const char *config_file, bool verbose)
{
        static struct counters kernel; /* too large for the stack */
        struct config *config;

        observer_list_counters("/proc", &kernel);
        config = config_files_load_good(config_file, &kernel, false);
        if (!config)
                return EX_CONFIG;
        if (verbose)
                print_values(config);
        printf("twtuned: the configuration is good, %u rule%s\n", config->n_rules, config->n_rules == 1 ? "" : "s");
        config_free(config);
        return 0;
}
