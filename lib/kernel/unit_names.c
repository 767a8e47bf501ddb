/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memrchr() */
#include "lib/kernel/unit_names.h"

#include <errno.h>
#include <string.h>

#include "lib/util/macro.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-" /* systemd.unit(5) */

static bool ends_with(const char *text, size_t n, const char *suffix)
{
        size_t length = strlen(suffix);

        return n > length && strncmp(text + n - length, suffix, length) == 0;
}

static bool is_slice(const char *name)
{
        return ends_with(name, strlen(name), ".slice");
}

/* False for a template, which never runs itself, and for the root slice, which contains every unit. */
static bool is_name(const char *text, size_t n)
{
        const char *dot = memrchr(text, '.', n);

        return dot && strspn(text, LETTERS) >= n && text[0] != '-' && dot > text && dot[-1] != '@' &&
               (ends_with(text, n, ".service") || ends_with(text, n, ".scope") || ends_with(text, n, ".slice"));
}

int unit_name_parse(const char *text, char ret[static CGROUP_UNIT_MAX])
{
        const char *slash = strchr(text, '/'), *own = slash ? slash + 1 : text;
        char name[CGROUP_UNIT_MAX];
        size_t n = strlen(text);

        if (n + sizeof(".service") > sizeof(name))
                return -EINVAL;
        strcpy(name, text);
        if (!strpbrk(own, ".:")) /* the name of a container, docker:0123456789ab, gets no suffix */
                strcpy(name + n, ".service");
        own = name + (own - text);
        if (!is_name(own, strlen(own)))
                return -EINVAL;
        if (slash && (strncmp(text, "user@", 5) != 0 || is_slice(own) || !is_name(text, (size_t)(slash - text))))
                return -EINVAL;
        strcpy(ret, name);
        return 0;
}

unsigned unit_names_find(const struct unit_names *names, const char *name)
{
        for (unsigned i = 0; i < names->n; i++)
                if (strcmp(names->name[i], name) == 0)
                        return i;
        return UNITS_MAX;
}

unsigned unit_names_add(struct unit_names *names, const char *name)
{
        unsigned i = unit_names_find(names, name);

        if (i == UNITS_MAX && names->n < UNITS_MAX) {
                i = names->n++;
                strcpy(names->name[i], name);
        }
        return i;
}

/* Only the first parts of a path are slices: units and users choose the names of the parts after them. */
static bool is_in_slice(const char *path, const char *slice)
{
        const char *part = path + (*path == '/');
        size_t n = strcspn(part, "/"), length = strlen(slice);

        while (ends_with(part, n, ".slice")) {
                if (n == length && strncmp(part, slice, n) == 0)
                        return true;
                part += n + (part[n] == '/');
                n = strcspn(part, "/");
        }
        return false;
}

/* "user@1000.service/app.service" is below "user@1000.service". */
static bool is_or_is_below(const char *unit, size_t n, const char *name)
{
        size_t length = strlen(name);

        return n >= length && strncmp(unit, name, length) == 0 && (n == length || unit[length] == '/');
}

static bool is_of_unit(const char *path, const char *name)
{
        const char *slash = strrchr(name, '/');
        char unit[CGROUP_UNIT_MAX];

        if (!strstr(path, slash ? slash + 1 : name)) /* rules out nearly every path of a host */
                return false;
        if (is_slice(name))
                return is_in_slice(path, name);
        cgroup_unit_of_path(path, unit);
        return is_or_is_below(unit, strlen(unit), name);
}

uint32_t units_of_path(const struct unit_names *names, const char *path)
{
        uint32_t units = 0;

        for (unsigned i = 0; i < names->n; i++)
                if (is_of_unit(path, names->name[i]))
                        units |= BIT(i);
        return units;
}

bool units_may_be_below(const struct unit_names *names, const char *part)
{
        size_t n = strlen(part);

        if (!ends_with(part, n, ".service") && !ends_with(part, n, ".scope"))
                return true;
        for (unsigned i = 0; i < names->n; i++)
                if (names->name[i][n] == '/' && strncmp(names->name[i], part, n) == 0)
                        return true;
        return false;
}

uint32_t units_of_text(const struct unit_names *names, const char *text)
{
        uint32_t units = 0;

        for (const char *word = text; *word; word += strspn(word, " ")) {
                size_t n = strcspn(word, " ");

                for (unsigned i = 0; i < names->n; i++)
                        if (is_or_is_below(word, n, names->name[i]))
                                units |= BIT(i);
                word += n;
        }
        return units;
}

char *units_format(const struct unit_names *names, uint32_t units, char ret[static UNITS_TEXT_MAX])
{
        char *p = ret;

        *p = 0;
        for (unsigned i = 0; i < names->n; i++)
                if (units & BIT(i)) {
                        if (p > ret)
                                *p++ = ' ';
                        p = stpcpy(p, names->name[i]);
                }
        return ret;
}

/* Returns the index of the cgroup, or the one where it would be inserted. */
static unsigned position(const struct unit_cgroups *c, uint64_t cgroup)
{
        unsigned from = 0, to = c->n;

        while (from < to) {
                unsigned middle = (from + to) / 2;

                if (c->item[middle].cgroup < cgroup)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

void unit_cgroups_add(struct unit_cgroups *c, uint64_t cgroup, uint32_t units)
{
        unsigned at = position(c, cgroup);

        if (c->n == UNIT_CGROUPS_MAX || units == 0)
                return;
        memmove(&c->item[at + 1], &c->item[at], (c->n - at) * sizeof(c->item[0]));
        c->item[at].cgroup = cgroup;
        c->item[at].units = units;
        c->n++;
}

uint32_t unit_cgroups_find(const struct unit_cgroups *c, uint64_t cgroup)
{
        unsigned at = position(c, cgroup);

        return at < c->n && c->item[at].cgroup == cgroup ? c->item[at].units : 0;
}
