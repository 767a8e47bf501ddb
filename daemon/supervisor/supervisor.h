/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Runs a twtuned in this network namespace and in each that has a name, as they come and go, until SIGTERM or
 * SIGINT; then all of them put everything back. Returns the exit status. config_file and observe: as for
 * service_run(). argv: main()'s. */
int supervisor_run(const char *config_file, bool observe, char **argv);
