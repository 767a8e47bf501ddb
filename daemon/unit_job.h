/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Whether systemd is stopping the unit that we run in, and not to start it again. false also where nobody can tell. */
bool unit_job_is_stop(void);
