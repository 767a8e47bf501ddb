/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cgroup.h"

#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <linux/magic.h>

static const char *find_root(void)
{
        static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
        struct statfs fs;

        for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
                if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return places[i];
        return NULL;
}

static bool is_unit(const char *name, size_t len)
{
        static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount"};

        for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                size_t n = strlen(suffixes[i]);

                if (len > n && strncmp(name + len - n, suffixes[i], n) == 0)
                        return true;
        }
        return false;
}

/* The first part of a path below the root that is a unit's: what is under it is the unit's own business
 * (user@1000.service is left for what runs in it). */
static void unit_from_path(const char *path, char unit[static CGROUP_UNIT_MAX])
{
        snprintf(unit, CGROUP_UNIT_MAX, "%s", path); /* the root is nobody's */
        for (const char *part = path + (*path == '/'); *part;) {
                size_t len = strcspn(part, "/");

                if (is_unit(part, len)) {
                        snprintf(unit, CGROUP_UNIT_MAX, "%.*s", (int)len, part);
                        if (strncmp(part, "user@", 5) != 0)
                                return;
                }
                part += len + (part[len] == '/');
        }
}

/* Walks the tree until a directory has the inode. */
static void find_unit(uint64_t id, char unit[static CGROUP_UNIT_MAX])
{
        const char *root = find_root();
        char *paths[] = {(char *)root, NULL};
        FTS *tree = root ? fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL) : NULL;
        FTSENT *entry;

        unit[0] = 0;
        while (tree && (entry = fts_read(tree)))
                if (entry->fts_info == FTS_D && entry->fts_statp->st_ino == id) {
                        unit_from_path(entry->fts_path + strlen(root), unit);
                        break;
                }
        if (tree)
                fts_close(tree);
}

const char *cgroup_unit(struct cgroup_cache *cache, uint64_t id)
{
        char *unit;

        if (id == 0)
                return "";
        for (unsigned i = 0; i < CGROUP_CACHE; i++)
                if (cache->item[i].id == id)
                        return cache->item[i].unit;
        unit = cache->item[cache->next].unit;
        cache->item[cache->next].id = id;
        cache->next = (cache->next + 1) % CGROUP_CACHE;
        find_unit(id, unit);
        return unit;
}
