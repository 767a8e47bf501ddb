/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/tuner.h"

/* Carries out what was asked for, and ends a pause whose time is over. To be called in a tick, before the policy. */
void requests_carry_out(struct tuner *tuner);
