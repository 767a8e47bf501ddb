/* SPDX-License-Identifier: MIT */
#pragma once

/* twtunectl: asks a running twtuned over the system bus, and shows or changes something. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/util/macro.h"

#define EXIT_NOT_RUNNING 3 /* as of systemctl status (LSB) */

struct options {
        const char *instance, *since, *time;
        bool json, all, no_pager;
};

/* Each command takes what follows its name, NULL at the end, and returns the exit status. */
int show_status(const struct options *options, char **args);
int show_status_of_all(const struct options *options);
int show_rules(const struct options *options, char **args);
int show_config(const struct options *options, char **args);
int show_explanation(const struct options *options, char **args);
int show_history(const struct options *options, char **args);
int show_top(const struct options *options, char **args);
int do_pause(const struct options *options, char **args);
int do_resume(const struct options *options, char **args);
int do_release(const struct options *options, char **args);
int do_rearm(const struct options *options, char **args);
int do_record(const struct options *options, char **args);

/* Says what is wrong on stderr. Returns status. */
int complain(int status, const char *format, ...) _printf_(2, 3);
