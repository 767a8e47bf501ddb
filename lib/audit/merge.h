/* SPDX-License-Identifier: MIT */
#pragma once

/* Joins what several daemons expose (exposition.h): each family once, with the samples of all, which have different labels
 * netns. The format wants all samples of a family together (Prometheus, text format 0.0.4). */

#include <stddef.h>

/* What one daemon exposes. Is written to. */
struct exposition_text {
        char *text;
        size_t size;
};

/* Writes to buf, which has room for the sizes of all n texts and n more bytes, and returns the length. Families come in the order of the
 * first text, and then of the others. What comes before the first "# HELP" of a text is left out. */
size_t exposition_merge(struct exposition_text *texts, size_t n, char *buf);
