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

        unsigned line, row, used; /* while it is drawn: lines so far, rows and columns of the line that are in use */
};

/* Finds or makes the graph of a metric. NULL: there are too many. */
struct graph *screen_graph(struct screen *screen, const char *name);

/* True for the metrics that are above all others, known or not. */
bool is_always_shown(const char *metric);

/* Draws the state, then the rules and advice that are active, destinations, changed sysctls and metrics. */
void screen_draw(struct screen *screen);
