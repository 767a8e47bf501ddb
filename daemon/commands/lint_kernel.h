/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/lint/lint.h"

/* This kernel, for lint_run(). */

/* The network namespace in which values are tried. Without the privilege to make one, nothing is tried, and lint's
 * table says what the kernel accepts. Not for the daemon: the process exits if it cannot return to its own namespace,
 * and it must have one thread. */
struct lint_trial {
        int home, away; /* descriptors, owned: the process's own namespace, and the trial's; -1: none */
};

struct lint_trial lint_trial_open(void);
void lint_trial_close(struct lint_trial *trial);

/* trial is borrowed. If it is not open, nothing is tried. */
struct lint_kernel lint_kernel(struct lint_trial *trial);
