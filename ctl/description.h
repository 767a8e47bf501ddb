/* SPDX-License-Identifier: MIT */
#pragma once

/* Reading the JSON that twtuned's Describe() returns. */

#include <stdbool.h>

#include <jansson.h>

/* The value of a key of an object. Where it is missing or null: "", 0 and false. */
const char *text_of(const json_t *object, const char *key);
double number_of(const json_t *object, const char *key);
bool is_true(const json_t *object, const char *key);
bool has_text(const json_t *object, const char *key, const char *text);

/* Returns the object with that "name" in an array, borrowed; NULL: there is none. */
json_t *find_named(const json_t *array, const char *name);

/* True if a rule sets, raises or lowers the sysctl with that full name. */
bool rule_changes(const json_t *rule, const char *sysctl);

/* Returns the full name of a sysctl that twtuned knows: "net.ipv4.tcp_x" for "net/ipv4/tcp_x" and for "tcp_x". Returns
 * any other name as it is. */
const char *sysctl_full_name(const char *name);

/* Returns the name without "net.ipv4." or "net.netfilter."; any other name as it is. */
const char *sysctl_short_name(const char *name);

/* Who set the value of a sysctl: "twtuned, rule time-wait-reuse; it was 2", "sysctl.d, /etc/sysctl.d/10.conf:3". */
#define OWNER_TEXT_MAX 512
const char *owner_text(const json_t *sysctl, char buf[static OWNER_TEXT_MAX]);

/* "5s", "2min 5s", "1h 2min" */
#define TIME_TEXT_MAX 48
const char *time_text(double seconds, char buf[static TIME_TEXT_MAX]);

/* "14,116" */
#define GROUPED_MAX 32
const char *grouped(double number, char buf[static GROUPED_MAX]);

/* Prints a JSON value and a newline. Returns 0, for use as the exit status. */
int print_json(const json_t *value);
