/* SPDX-License-Identifier: MIT */
#pragma once

#include "lib/apply/preset.h"

/* Reads sysctl.d afresh. Where it is not applied (only the first netns gets it) or cannot be read, it sets nothing. */
void sysctl_preset_find(enum sysctl_id sysctl, struct sysctl_preset *ret);

/* The same for every sysctl, in one reading. */
void sysctl_preset_find_all(struct sysctl_preset ret[static SYSCTL_COUNT]);
