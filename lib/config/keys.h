/* SPDX-License-Identifier: MIT */
#pragma once

/* The keys of all sections, and the parser of their values. Private to lib/config. */

#include "lib/config/config.h"

enum section {
        SECTION_NONE,    /* before the first one */
        SECTION_SKIPPED, /* with an error in its name: its keys are not read */
        SECTION_DAEMON,
        SECTION_LIMITS,
        SECTION_RULE,
};

/* The reading of one file. */
struct parser {
        struct config *config;
        struct diagnostics *diagnostics;
        struct vocabulary vocabulary;
        struct origin at; /* the current line */
        enum section section;
        char section_name[RULE_NAME_MAX + sizeof("rule ")]; /* in its normal form */
        struct rule *rule;                                  /* of SECTION_RULE */
        size_t diagnostics_before;                          /* how many there were before the section */
};

/* Reports an error in the current line of the parser p. */
#define fail(...) diagnostic_add(p->diagnostics, p->at, __VA_ARGS__)

/* Reads the value of a key of the current section into the configuration, and adds it to the values. Reports an error
 * in the value; the configuration must not be used then. */
void key_read(struct parser *p, const char *name, const char *value);
