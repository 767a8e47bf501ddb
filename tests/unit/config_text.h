/* SPDX-License-Identifier: MIT */
#pragma once

/* A configuration of one text. */

#include <check.h>
#include <string.h>

#include "lib/config/config.h"

static inline struct config *config_try(const char *text, struct diagnostics *diagnostics)
{
        struct config *config = config_new();

        ck_assert_ptr_nonnull(config);
        config_read(config, "test.conf", text, strlen(text), NULL, diagnostics);
        config_check(config, diagnostics);
        return config;
}

/* Of a text that is right. */
static inline struct config *config_of(const char *text)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_try(text, &diagnostics);

        ck_assert_msg(diagnostics.n == 0, "%s", diagnostics.n ? diagnostics.item[0].text : "");
        return config;
}

/* Whether a random text is right, and has a rule. */
static inline bool config_is_good(const char *text)
{
        struct diagnostics diagnostics = {0};
        struct config *config = config_try(text, &diagnostics);
        bool good = diagnostics.n == 0 && config->n_rules > 0;

        diagnostics_free(&diagnostics);
        config_free(config);
        return good;
}
