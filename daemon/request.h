/* SPDX-License-Identifier: MIT */
#pragma once

#include "daemon/tuner.h"

bool requests_pending(const struct requests *requests);

/* Carries out the requests, and ends a pause that has expired. Call in a tick, before the policy. */
void requests_carry_out(struct tuner *tuner);
