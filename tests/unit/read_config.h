/* SPDX-License-Identifier: MIT */
#pragma once

/* A configuration that is read from texts, and what was wrong with it. */

#include <stdlib.h>
#include <string.h>

#include "expect_diagnostic.h"
#include "lib/config/config.h"
#include "lib/util/macro.h"

#define WHEN "when = ports.cliff >= 80%\n"
#define SET "set = net.ipv4.tcp_tw_reuse = 1\n"
#define RULE "[rule r]\n" WHEN SET /* three lines */

static struct config *config;
static struct diagnostics diagnostics;

/* The text is gone after the reading, as with a file. */
static inline void read_file(const char *file, const char *text)
{
        size_t size = strlen(text);
        char *copy = malloc(size > 0 ? size : 1), *name = strdup(file);

        memcpy(copy, text, size);
        if (!config)
                config = config_new();
        config_read(config, name, copy, size, NULL, &diagnostics);
        memset(copy, '?', size);
        free(copy);
        free(name);
}

static inline void read_all(const char *text)
{
        read_file("a.conf", text);
        config_check(config, &diagnostics);
        diagnostics_sort(&diagnostics);
}

static inline void end(void)
{
        diagnostics_free(&diagnostics);
        config_free(config);
        config = NULL;
}

static inline const struct rule *find_rule(const char *name)
{
        for (unsigned i = 0; i < config->n_rules; i++)
                if (strcmp(config->rule[i].name, name) == 0)
                        return &config->rule[i];
        ck_abort_msg("no rule %s", name);
}

static inline bool is(double a, double b)
{
        return a >= b && a <= b;
}
