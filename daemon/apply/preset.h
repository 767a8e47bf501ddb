/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/apply/preset.h"

/* Reads sysctl.d again. If it does not apply here (it does in the first netns only) or is unreadable, it sets
 * nothing. */
void sysctl_preset_find(enum sysctl_id sysctl, struct sysctl_preset *ret);

/* The same for every sysctl, in one pass. */
void sysctl_preset_find_all(struct sysctl_preset ret[static SYSCTL_COUNT]);
