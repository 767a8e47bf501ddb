/* SPDX-License-Identifier: MIT */
#pragma once

/* The sysctls that twtuned knows: one row each in sysctl_rows.h. The kernel checks next to nothing (it accepts
 * tcp_fin_timeout = -5), so twtuned has bounds of its own; no configuration can widen them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sysctl_id {
#define SYSCTL(id, ...) SYSCTL_##id,
#include "lib/kernel/sysctl_rows.h"
        SYSCTL_COUNT,
};

/* One number; two for ip_local_port_range, three for tcp_mem. n == 0: no value. */
struct sysctl_value {
        unsigned n;
        int64_t v[3];
};

#define SYSCTL_VALUE(x) ((struct sysctl_value){.n = 1, .v = {(x)}})
#define SYSCTL_TEXT_MAX 72

/* Both inclusive. */
struct sysctl_bounds {
        int64_t min, max;
};

/* The direction in which a value may change, and the one in which its effect grows. */
enum sysctl_direction {
        SYSCTL_BOTH,  /* up and down; every value has a different effect */
        SYSCTL_LESS,  /* up and down; a smaller value has more of the same effect */
        SYSCTL_RAISE, /* never below the live value; a larger value has more of the same effect */
        SYSCTL_WIDEN, /* a range, which may only be widened */
};

struct sysctl {
        const char *name; /* as in sysctl.conf; with '/' for '.' it is the file below /proc/sys */
        unsigned n;       /* numbers in the value; 0: a list of any length, read as text */
        struct sysctl_bounds bounds;
        enum sysctl_direction direction;
        unsigned bytes;    /* kernel memory of each entry of a table; 0: not a table, or a small one */
        const char *never; /* why it is never written, whatever the configuration says; NULL: it may be written */
        const char *below; /* the harm of a value below min; NULL: none is given */
        const char *help;  /* what it really acts on */
};

extern const struct sysctl sysctl_table[SYSCTL_COUNT];

/* Returns the id of "a.b" or "a/b", the two forms of sysctl(8); SYSCTL_COUNT: unknown. */
enum sysctl_id sysctl_find(const char *name);

/* Parses as many numbers as the row has, with blanks between them. Returns 0; on -EINVAL, *ret is untouched. */
int sysctl_parse(enum sysctl_id id, const char *text, struct sysctl_value *ret);

/* Writes the text that the kernel accepts, numbers with one blank between them, and returns buf. */
const char *sysctl_format(const struct sysctl_value *value, char buf[static SYSCTL_TEXT_MAX]);

bool sysctl_equal(const struct sysctl_value *a, const struct sysctl_value *b);

/* Checks whether value may be written, whatever the live value is. Returns 0; -EPERM: this sysctl is never written;
 * -ERANGE: out of bounds, a wrong number of numbers, or a port range whose ends are in the wrong order or both even or
 * both odd. On an error, reason says why in one sentence, cut at size. */
int sysctl_check(enum sysctl_id id, const struct sysctl_value *value, char *reason, size_t size);

/* Checks value against bounds that [limits] has narrowed. Returns 0, or -ERANGE and a reason. */
int sysctl_check_bounds(enum sysctl_id id, const struct sysctl_value *value, const struct sysctl_bounds *bounds,
                        char *reason, size_t size);

/* Checks whether the step from live to value has the direction of the row. Returns 0, or -ERANGE and a reason. */
int sysctl_check_step(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                      char *reason, size_t size);

/* True if live already has the effect of value toward a destination; loopback: it is a loopback destination.
 * tcp_tw_reuse = 2 acts as 1 on loopback destinations (net/ipv4/tcp_ipv4.c:tcp_twsk_unique), and a table that is
 * larger than wanted is large enough. */
bool sysctl_has_effect(enum sysctl_id id, const struct sysctl_value *live, const struct sysctl_value *value,
                       bool loopback);
