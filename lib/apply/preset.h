/* SPDX-License-Identifier: MIT */
#pragma once

/* The value of a sysctl without twtuned: from sysctl.d, or the kernel's default. */

#include <stdbool.h>

#include "lib/kernel/sysctl.h"

#define SYSCTL_PRESET_MAX 280

struct sysctl_preset {
        bool configured;               /* sysctl.d sets it */
        struct sysctl_value value;     /* the value that it sets */
        bool admin;                    /* in a file under /etc */
        char where[SYSCTL_PRESET_MAX]; /* FILE:LINE */
        bool has_default;              /* the kernel's default is known, and the same on every machine */
        struct sysctl_value kernel_default;
};
