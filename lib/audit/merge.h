/* SPDX-License-Identifier: MIT */
#pragma once

/* Joins the texts of several daemons (exposition.h): each family appears once, with the samples of all daemons, which
 * differ in the label netns. All samples of a family must be together (Prometheus, text format 0.0.4). */

#include <stddef.h>

/* The text of one daemon. exposition_merge() changes it. */
struct exposition_text {
        char *text;
        size_t size;
};

/* Writes the joined text to buf, which must have room for the sizes of all n texts and n more bytes. Returns its
 * length. Families come in the order of the first text, and then of the others. Leaves out what a text has before its
 * first "# HELP". */
size_t exposition_merge(struct exposition_text *texts, size_t n, char *buf);
