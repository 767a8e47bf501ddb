/* SPDX-License-Identifier: MIT */
#pragma once

/* The last values of a metric, as a row of bars. */

#define GRAPH_SAMPLES 512u

struct graph {
        char name[64];
        double sample[GRAPH_SAMPLES]; /* a ring; NAN: not known then */
        unsigned n;                   /* how many there were ever */
};

void graph_add(struct graph *graph, double value);

/* The largest of the last ones; 0: none is known. */
double graph_most(const struct graph *graph, unsigned last);

/* One bar a sample, the newest at the right. */
void graph_print(const struct graph *graph, unsigned width);
