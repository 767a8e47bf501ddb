/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* True if systemd is stopping our unit and will not start it again. False if it restarts the unit, if it runs no job
 * for it, or if systemd does not answer; waits at most 2 s in all. */
bool unit_job_is_stop(void);
