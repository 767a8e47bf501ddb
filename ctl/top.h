/* SPDX-License-Identifier: MIT */
#pragma once

/* What twtunectl top shows, and how it is drawn. */

#include <jansson.h>

#include "ctl/graph.h"

#define GRAPHS_MAX 256u

struct screen {
        unsigned rows, columns; /* of the terminal */
        unsigned first;         /* the first line that is shown below the state */
        json_t *description;    /* of the last sample */
        struct graph graph[GRAPHS_MAX];
        unsigned n_graphs;

        unsigned line, row, used; /* while drawing: lines and rows so far, columns used in the current row */
};

/* Finds or makes the graph of a metric. NULL: there are too many. */
struct graph *screen_graph(struct screen *screen, const char *name);

/* True for the metrics that are drawn above all others, even while their values are unknown. */
bool is_always_shown(const char *metric);

/* Draws the state, then the rules and advice that are active, destinations, changed sysctls and metrics. */
void screen_draw(struct screen *screen);
