/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/observe/cgroup.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "daemon/now.h"
#include "lib/util/macro.h"

#define WALK_NS (20 * UINT64_C(1000000)) /* some 10,000 cgroups */
#define SHALLOW 2u                       /* a service is below system.slice */
#define MET_MAX 16384u                   /* no walk meets as many within WALK_NS */

/* The cgroups of the system, in ascending order. */
static struct met {
        unsigned n;
        uint64_t id[MET_MAX];
} of_system;

/* One walk of the tree. */
struct walk {
        uint64_t id, until;             /* the inode to find; when to stop, ns of the thread's CPU time */
        bool users;                     /* true: user.slice only; false: everything else */
        unsigned levels;                /* how many below the root it looks at; 0: all */
        bool over;                      /* it took too long, or met too many */
        struct met *met;                /* all that it meets, or NULL */
        const struct unit_names *names; /* of units whose cgroups are looked for, or NULL */
        struct unit_cgroups *found;     /* the cgroups of the named units */
        size_t root;                    /* the length of the root's path */
        char path[PATH_MAX];
};

/* Sets the path to the root. Returns false if there is no cgroup2. */
static bool find_root(struct walk *w)
{
        static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
        struct statfs fs;

        for (unsigned i = 0; i < ELEMENTSOF(places); i++)
                if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
                        w->root = strlen(strcpy(w->path, places[i]));
                        return true;
                }
        return false;
}

static void meet(struct walk *w, uint64_t id)
{
        if (w->met && w->met->n < MET_MAX)
                w->met->id[w->met->n++] = id;
        else
                w->over |= w->met != NULL;
}

static bool find_below(struct walk *w, size_t length, unsigned level);

/* Adds the directory to the found ones if it is of a named unit. Returns false if no cgroup of a named unit can be
 * below it: so the walk skips most directories of a host, and all that users can create, unless a rule names a unit of
 * theirs. */
static bool note_units(const struct walk *w, const struct dirent *entry)
{
        uint32_t units = units_of_path(w->names, w->path + w->root);

        unit_cgroups_add(w->found, entry->d_ino, units);
        return units != 0 || units_may_be_below(w->names, entry->d_name);
}

static bool look_at(struct walk *w, size_t length, const struct dirent *entry, unsigned level)
{
        size_t n;

        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (level == 1 && w->users != (strcmp(entry->d_name, "user.slice") == 0)))
                return false;
        meet(w, entry->d_ino);
        n = (size_t)snprintf(w->path + length, PATH_MAX - length, "/%s", entry->d_name);
        if (n >= PATH_MAX - length)
                return false;
        if (w->names && !note_units(w, entry))
                return false;
        return entry->d_ino == w->id || (level != w->levels && find_below(w, length + n, level + 1));
}

/* Extends path to the directory below it with inode id; level counts from 1. The listing has the inodes
 * (fs/kernfs/dir.c:kernfs_fop_readdir). Not fts(3), which crashes when memory is short (glibc 2.36). */
static bool find_below(struct walk *w, size_t length, unsigned level)
{
        DIR *directory;
        struct dirent *entry;
        bool found = false;

        w->over |= thread_cpu_ns() > w->until;
        directory = w->over ? NULL : opendir(w->path);
        while (directory && !found && !w->over && (entry = readdir(directory)))
                found = look_at(w, length, entry, level);
        if (directory)
                closedir(directory);
        return found;
}

/* Walks the cgroups below user.slice (users) or all others, `levels` deep (0: any depth). Returns true if it found
 * inode w->id; w->path is then its path. */
static bool find_in(struct walk *w, bool users, unsigned levels)
{
        w->users = users;
        w->levels = levels;
        w->path[w->root] = 0;
        return find_below(w, w->root, 1);
}

/* Services come first, as a container can have any number of cgroups. The cgroups of users come last, as users can
 * make any number. */
static void find_unit(uint64_t id, char unit[static CGROUP_UNIT_MAX])
{
        static struct walk w;

        w = (struct walk){.id = id, .until = thread_cpu_ns() + WALK_NS};
        unit[0] = 0;
        if (find_root(&w) && (find_in(&w, false, SHALLOW) || find_in(&w, false, 0) || find_in(&w, true, 0)))
                cgroup_unit_of_path(w.path + w.root, unit);
}

/* Walks take no more than their share of a core. As a tick may have to name several units, a walk may begin before the
 * earlier ones are paid for, if less than WALK_NS of their CPU time is still unpaid. */
static bool may_walk(const struct cgroup_cache *cache, uint64_t now)
{
        return cache->budget <= 0 || now >= cache->again_at ||
               (double)(cache->again_at - now) < WALK_NS / cache->budget;
}

static void charge(struct cgroup_cache *cache, uint64_t now, uint64_t begun)
{
        if (cache->budget > 0)
                cache->again_at =
                        MAX(cache->again_at, now) + (uint64_t)((double)(thread_cpu_ns() - begun) / cache->budget);
}

bool cgroup_find_units(struct cgroup_cache *cache, const struct unit_names *names, struct unit_cgroups *ret)
{
        uint64_t begun = thread_cpu_ns(), now = now_ns();
        static struct walk w;

        w = (struct walk){.until = begun + WALK_NS, .names = names, .found = ret};
        if (!find_root(&w) || !may_walk(cache, now))
                return false;
        ret->n = 0;
        find_in(&w, false, 0);
        find_in(&w, true, 0);
        charge(cache, now, begun);
        return !w.over;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

/* Fills of_system. Returns false if it cannot tell the cgroups of the system from others. */
static bool find_system(struct cgroup_cache *cache)
{
        uint64_t begun = thread_cpu_ns(), now = now_ns();
        static struct walk w;
        struct stat st;

        w = (struct walk){.until = begun + WALK_NS, .met = &of_system};
        if (!find_root(&w) || !may_walk(cache, now))
                return false;
        of_system.n = 0;
        if (stat(w.path, &st) == 0)
                meet(&w, st.st_ino);
        strcpy(w.path + w.root, "/user.slice");
        if (access(w.path, F_OK) < 0)
                return false;
        find_in(&w, false, 0);
        qsort(of_system.id, of_system.n, sizeof(of_system.id[0]), compare);
        charge(cache, now, begun);
        return !w.over;
}

bool cgroup_is_system(struct cgroup_cache *cache, uint64_t now, uint64_t id)
{
        if (cache->system_at != now) {
                cache->system_known = find_system(cache);
                cache->system_at = now;
        }
        return !cache->system_known ||
               bsearch(&id, of_system.id, of_system.n, sizeof(of_system.id[0]), compare) != NULL;
}

const char *cgroup_unit(struct cgroup_cache *cache, uint64_t id)
{
        uint64_t begun, now = now_ns();
        char *unit;

        if (id == 0)
                return "";
        for (unsigned i = 0; i < CGROUP_CACHE; i++)
                if (cache->item[i].id == id)
                        return cache->item[i].unit;
        if (!may_walk(cache, now))
                return "";
        begun = thread_cpu_ns();
        unit = cache->item[cache->next].unit;
        cache->item[cache->next].id = id;
        cache->next = (cache->next + 1) % CGROUP_CACHE;
        find_unit(id, unit);
        charge(cache, now, begun);
        return unit;
}
