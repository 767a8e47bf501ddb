/* SPDX-License-Identifier: MIT */
#pragma once

/* The lines of "twtunectl status", in the order of the questions that they answer. */

#include <jansson.h>

void print_failing(const json_t *d);    /* does connect() fail, and for whom */
void print_wrong(const json_t *advice); /* is anything else wrong */
void print_changes(const json_t *d);    /* what was changed, for whom, since when, did it help, until when */
void print_left_alone(const json_t *d); /* what rules may not change */
void print_to_do(const json_t *d);      /* what should a person do */
void print_fullest(const json_t *d);    /* the fullest destination */
void print_closest(const json_t *d);    /* the rule that is closest to acting */
void print_all_advice(const json_t *advice);
