/* SPDX-License-Identifier: MIT */
#pragma once

/* The units that rules name (for-unit), and their cgroups. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/cgroup_path.h"

#define UNITS_MAX 16u /* of all rules together: a bit each */
#define UNITS_TEXT_MAX (UNITS_MAX * CGROUP_UNIT_MAX)
#define UNIT_CGROUPS_MAX 256u

struct unit_names {
        unsigned n;
        char name[UNITS_MAX][CGROUP_UNIT_MAX];
};

/* Parses the name of a service, a scope or a slice; ".service" may be left out. "user@1000.service/app.service" names
 * a service or scope of that user's manager. Returns 0; on -EINVAL, ret is untouched. */
int unit_name_parse(const char *text, char ret[static CGROUP_UNIT_MAX]);

/* Return the index of a name. unit_names_find() returns UNITS_MAX if it is not in the set; unit_names_add() then adds
 * it, and returns UNITS_MAX if the set is full. */
unsigned unit_names_find(const struct unit_names *names, const char *name);
unsigned unit_names_add(struct unit_names *names, const char *name);

/* Return a bit for each name that matches. units_of_path(): path, from the root of the hierarchy, is the unit's cgroup
 * or one below it. units_of_text(): text, a list of names separated by blanks, contains this name or that of a unit
 * below it. */
uint32_t units_of_path(const struct unit_names *names, const char *path);
uint32_t units_of_text(const struct unit_names *names, const char *text);

/* part is the last part of the path of a cgroup that belongs to none of the units. Returns false if none of them can
 * have a cgroup below it: units are in slices, and those of users below the users' managers (systemd.slice(5)). */
bool units_may_be_below(const struct unit_names *names, const char *part);

/* Writes the names of these bits, separated by blanks. Returns ret. */
char *units_format(const struct unit_names *names, uint32_t units, char ret[static UNITS_TEXT_MAX]);

/* Cgroups by their ids, ascending, and a bit for each unit that has them. */
struct unit_cgroups {
        unsigned n;
        struct {
                uint64_t cgroup;
                uint32_t units;
        } item[UNIT_CGROUPS_MAX];
};

/* Adds a cgroup; one that does not fit is left out. */
void unit_cgroups_add(struct unit_cgroups *cgroups, uint64_t cgroup, uint32_t units);

/* Returns 0 for a cgroup that is not in the set. */
uint32_t unit_cgroups_find(const struct unit_cgroups *cgroups, uint64_t cgroup);
