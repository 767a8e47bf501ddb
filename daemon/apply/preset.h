/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/apply/preset.h"

/* Fills in what sysctl.d, which is read again, sets the sysctl to, and the kernel's default. ret->configured
 * is false if sysctl.d does not set it, does not apply here (it does in the first netns only) or cannot be read. */
void sysctl_preset_find(enum sysctl_id sysctl, struct sysctl_preset *ret);

/* The same for every sysctl, in one pass. */
void sysctl_preset_find_all(struct sysctl_preset ret[static SYSCTL_COUNT]);
