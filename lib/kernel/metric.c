/* SPDX-License-Identifier: MIT */
#include "lib/kernel/metric.h"

#include <string.h>

const struct metric metric_table[METRIC_COUNT] = {
#define METRIC(id, ...) [METRIC_##id] = {__VA_ARGS__},
#include "lib/kernel/metric_rows.h"
};

unsigned metric_find(const char *name)
{
        for (unsigned i = 0; i < METRIC_COUNT; i++)
                if (strcmp(metric_table[i].name, name) == 0)
                        return i;
        return METRIC_COUNT;
}
