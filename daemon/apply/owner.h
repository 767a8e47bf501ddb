/* SPDX-License-Identifier: MIT */
#pragma once

/* What the administrator wants a sysctl to be: asked when twtuned is about to change one or to give it back. */

#include <stdbool.h>

#include "lib/kernel/sysctl.h"

#define SYSCTL_OWNER_MAX 280

struct sysctl_owner {
        bool configured;              /* sysctl.d sets it */
        struct sysctl_value value;    /* to that */
        bool admin;                   /* under /etc */
        char where[SYSCTL_OWNER_MAX]; /* FILE:LINE */
        bool has_default;             /* the kernel's default is the same everywhere, and known */
        struct sysctl_value kernel_default;
};

/* Reads sysctl.d afresh. Where it is not applied (another netns than the first) or cannot be read, it sets nothing. */
/* Of every sysctl, in one reading. */
void sysctl_owner_find_all(struct sysctl_owner ret[static SYSCTL_COUNT]);

void sysctl_owner_find(enum sysctl_id sysctl, struct sysctl_owner *ret);
