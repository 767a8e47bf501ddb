/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines of "twtunectl status" in their order, and the text of "twtunectl advice" (print_all_advice()). */

#include <jansson.h>

void print_failing(const json_t *d);    /* the destinations toward which connect() fails, and their units */
void print_wrong(const json_t *advice); /* other problems: those for which there is advice */
void print_changes(const json_t *d);    /* each change: for whom, since when, whether it helped, until when */
void print_left_alone(const json_t *d); /* the sysctls that rules may not change until rearm */
void print_to_do(const json_t *d);      /* what a person should do */
void print_fullest(const json_t *d);    /* the fullest destination */
void print_closest(const json_t *d);    /* the rule that is closest to acting */
void print_all_advice(const json_t *advice);
