/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* True if systemd is stopping our unit and will not start it again. False if it restarts the unit, if it runs no job
 * for it, or if systemd cannot be asked; waits at most 2 s for each of its two answers. */
bool unit_job_is_stop(void);
