/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/observe/cgroup.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

/* The first part of a path below the root that names a unit: the cgroups under it are the unit's own business. Only
 * user@1000.service is passed over for a unit that runs in it. */
static void unit_from_path(const char *path, char unit[static CGROUP_UNIT_MAX])
{
        snprintf(unit, CGROUP_UNIT_MAX, "%s", path);
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

/* Extends path to the directory below it with inode id. The listing has the inodes
 * (fs/kernfs/dir.c:kernfs_fop_readdir). Not fts(3), which crashes when memory is short (glibc 2.36). */
static bool find_below(char path[static PATH_MAX], size_t length, uint64_t id)
{
        DIR *directory = opendir(path);
        struct dirent *entry;
        bool found = false;

        while (directory && !found && (entry = readdir(directory))) {
                size_t n;

                if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                n = (size_t)snprintf(path + length, PATH_MAX - length, "/%s", entry->d_name);
                found = n < PATH_MAX - length && (entry->d_ino == id || find_below(path, length + n, id));
        }
        if (directory)
                closedir(directory);
        return found;
}

static void find_unit(uint64_t id, char unit[static CGROUP_UNIT_MAX])
{
        const char *root = find_root();
        char path[PATH_MAX];

        unit[0] = 0;
        if (root && find_below(strcpy(path, root), strlen(root), id))
                unit_from_path(path + strlen(root), unit);
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
