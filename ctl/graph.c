/* SPDX-License-Identifier: MIT */
#include "ctl/graph.h"

#include <math.h>
#include <stdio.h>

#include "ctl/terminal.h"

void graph_add(struct graph *g, double value, bool bounded)
{
        g->sample[g->n++ % GRAPH_SAMPLES] = value;
        if (bounded)
                g->bounded = g->n;
}

bool graph_has_bound(const struct graph *g, unsigned last)
{
        return g->bounded > 0 && g->n - g->bounded < last;
}

/* The sample that is age samples old; NAN: there is none. */
static double sample_at(const struct graph *g, unsigned age)
{
        if (age >= g->n || age >= GRAPH_SAMPLES)
                return NAN;
        return g->sample[(g->n - 1 - age) % GRAPH_SAMPLES];
}

double graph_most(const struct graph *g, unsigned last)
{
        double most = 0;

        for (unsigned i = 0; i < last; i++)
                if (isfinite(sample_at(g, i)))
                        most = fmax(most, sample_at(g, i));
        return most;
}

/* True if the last samples are all the same, or unknown. */
static bool is_constant(const struct graph *g, unsigned last)
{
        double least = INFINITY, most = -INFINITY;

        for (unsigned i = 0; i < last; i++)
                if (!isnan(sample_at(g, i))) {
                        least = fmin(least, sample_at(g, i));
                        most = fmax(most, sample_at(g, i));
                }
        return least >= most;
}

void graph_print(const struct graph *g, unsigned width)
{
        static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
        static const char *const ascii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
        const char *const *set = has_unicode() ? bars : ascii;
        const char *line = has_unicode() ? "─" : "-";
        double most = graph_most(g, width);
        bool constant = is_constant(g, width);

        for (unsigned i = width; i-- > 0;) {
                double sample = sample_at(g, i), share = most > 0 ? sample / most : 0;

                if (isnan(sample) || sample < 0)
                        putchar(' ');
                else if (constant)
                        fputs(line, stdout);
                else
                        fputs(set[(unsigned)(fmin(share, 1) * 7 + 0.5)], stdout);
        }
}
