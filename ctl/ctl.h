/* SPDX-License-Identifier: MIT */
#pragma once

/* The commands of twtunectl. Each asks a running twtuned over the system bus, or reads the journal. */

#include <stdbool.h>
#include <stdint.h>

#define EXIT_NOT_RUNNING 3 /* like systemctl status (LSB) */

#define _cleanup_(destructor) __attribute__((cleanup(destructor)))

/* The command line, borrowed from argv. */
struct options {
        const char *instance; /* NULL: the twtuned of the first network namespace */
        const char *argument; /* of the command, or NULL */
        const char *since, *duration;
        uint64_t lines; /* 0: all */
        bool json, all, verbose, no_pager;
};

/* Each prints its errors and returns the exit status. */
int command_status(const struct options *options);
int command_advice(const struct options *options);
int command_top(const struct options *options);
int command_rules(const struct options *options);
int command_explain(const struct options *options);
int command_history(const struct options *options);
int command_diff(const struct options *options);
int command_config(const struct options *options);
int command_record(const struct options *options);
int command_pause(const struct options *options);
int command_resume(const struct options *options);
int command_release(const struct options *options);
int command_rearm(const struct options *options);
