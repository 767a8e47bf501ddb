/* SPDX-License-Identifier: MIT */
#pragma once

/* What a person asks of a running daemon. Whoever takes it from the bus puts it here, and the next tick does it. */

#include <stdbool.h>
#include <stdint.h>

struct tuner;

#define PAUSED_FOR_GOOD UINT64_MAX /* until it is resumed */

struct requests {
        bool pause, resume;
        uint64_t pause_ns;       /* 0: for good */
        bool release_all;        /* all that is held then */
        uint32_t release, rearm; /* a bit a sysctl */
};

/* Carries out what was asked for, and ends a pause whose time is over. To be called in a tick, before the policy. */
void requests_carry_out(struct tuner *tuner);
