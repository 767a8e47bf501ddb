/* SPDX-License-Identifier: MIT */
#pragma once

/* The last values of a metric, as a row of bars. */

#include <stdbool.h>

#define GRAPH_SAMPLES 512u

struct graph {
        char name[64];
        double sample[GRAPH_SAMPLES]; /* a ring; NAN: unknown */
        unsigned n;                   /* samples ever added */
        unsigned bounded;             /* n after the last sample that was an upper bound; 0: none was */
};

/* bounded: the value is an upper bound. */
void graph_add(struct graph *graph, double value, bool bounded);

/* Returns the largest finite value of the last samples; 0: none is over 0. */
double graph_most(const struct graph *graph, unsigned last);

/* True if one of the last samples is an upper bound. */
bool graph_has_bound(const struct graph *graph, unsigned last);

/* Prints the last width samples, a bar for each, the newest at the right; a line if all are the same. */
void graph_print(const struct graph *graph, unsigned width);
