/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "ctl/ctl.h"

/* Prints what a metric is, its value, how to see it without twtuned, and the rules that use it. */
int explain_metric(const struct options *options, const json_t *description, const json_t *metric);
