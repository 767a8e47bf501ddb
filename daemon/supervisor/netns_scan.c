/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/supervisor/netns_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

struct scan {
        const char *patterns;
        void (*each)(void *user, const struct netns *netns);
        void *user;
        dev_t nsfs; /* the device of all namespaces; a file on which none is mounted has a different device */
};

/* Copies the next word to ret, and returns the text after it; NULL: there is no word left. */
static const char *next_word(const char *words, char *ret, size_t size)
{
        const char *word = words + strspn(words, BLANKS);
        size_t n = strcspn(word, BLANKS);

        if (n == 0)
                return NULL;
        snprintf(ret, size, "%.*s", (int)n, word);
        return word + n;
}

static bool fits(const char *patterns, const char *name)
{
        char pattern[PATH_MAX];

        while (patterns && (patterns = next_word(patterns, pattern, sizeof(pattern))))
                if (fnmatch(pattern, name, 0) == 0)
                        return true;
        return false;
}

/* Calls each() for a directory entry that is a wanted namespace. Skips an entry that stat(2) cannot follow, as our
 * processes could not enter it either: a link to the namespace of a process (EACCES without CAP_SYS_PTRACE), or a link
 * to itself. Returns 0; -ENOMEM: it is unknown whether the entry is a namespace. */
static int look_at(const struct scan *s, const char *directory, const char *prefix, int fd, const char *name)
{
        struct netns netns;
        struct stat st;

        if (fstatat(fd, name, &st, 0) < 0)
                return errno == ENOMEM ? -errno : 0;
        if (st.st_dev != s->nsfs || !S_ISREG(st.st_mode))
                return 0;
        netns.device = st.st_dev;
        netns.inode = st.st_ino;
        snprintf(netns.name, sizeof(netns.name), "%s%s", prefix, name);
        if ((size_t)snprintf(netns.path, sizeof(netns.path), "%s/%s", directory, name) >= sizeof(netns.path))
                return 0;
        if (!s->patterns || fits(s->patterns, netns.name))
                s->each(s->user, &netns);
        return 0;
}

/* Returns 0 or a negative errno. */
static int scan_directory(const struct scan *s, const char *directory, const char *prefix)
{
        DIR *d = opendir(directory);
        struct dirent *entry;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r == 0 && (errno = 0, entry = readdir(d)))
                if (entry->d_name[0] != '.')
                        r = look_at(s, directory, prefix, dirfd(d), entry->d_name);
        if (r == 0)
                r = -errno;
        closedir(d);
        return r;
}

int netns_scan(const char *directories, const char *patterns, void (*each)(void *user, const struct netns *netns),
               void *user)
{
        struct scan s = {.patterns = patterns, .each = each, .user = user};
        char directory[PATH_MAX];
        struct stat st;
        int r;

        if (stat("/proc/self/ns/net", &st) < 0)
                return -errno;
        s.nsfs = st.st_dev;
        r = scan_directory(&s, "/run/netns", "");
        if (r == 0)
                r = scan_directory(&s, "/run/docker/netns", "docker-");
        while (r == 0 && directories && (directories = next_word(directories, directory, sizeof(directory))))
                r = scan_directory(&s, directory, "");
        return r;
}
