/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/apply/preset.h"

/* Reads sysctl.d again. Fills in the value that it sets, and the kernel's default. ret->configured is false if
 * sysctl.d sets no valid value, does not apply here (it applies to the first netns only) or cannot be read. */
void sysctl_preset_find(enum sysctl_id sysctl, struct sysctl_preset *ret);

/* The same for every sysctl, in one pass. */
void sysctl_preset_find_all(struct sysctl_preset ret[static SYSCTL_COUNT]);
