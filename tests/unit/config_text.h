/* SPDX-License-Identifier: MIT */
#pragma once

/* A configuration of one text. */

#include <check.h>
#include <string.h>

#include "lib/config/config.h"

static inline struct config *config_try(const char *text, struct problems *problems)
{
        struct config *config = config_new();

        ck_assert_ptr_nonnull(config);
        config_read(config, "test.conf", text, strlen(text), NULL, problems);
        config_check(config, problems);
        return config;
}

/* Of a text that is right. */
static inline struct config *config_of(const char *text)
{
        struct problems problems = {0};
        struct config *config = config_try(text, &problems);

        ck_assert_msg(problems.n == 0, "%s", problems.n ? problems.item[0].text : "");
        return config;
}

/* Whether a random text is right, and has a rule. */
static inline bool config_is_good(const char *text)
{
        struct problems problems = {0};
        struct config *config = config_try(text, &problems);
        bool good = problems.n == 0 && config->n_rules > 0;

        problems_free(&problems);
        config_free(config);
        return good;
}
