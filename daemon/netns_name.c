/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/netns_name.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/util/safe.h"

/* As `ip netns identify`: the name is a file in /run/netns on which the network namespace is mounted. */
int netns_name(char *ret, size_t size)
{
        const char *instance = getenv("TWTUNED_INSTANCE"); /* set by units and --all-netns: /run/netns may be hidden */
        DIR *directory;
        struct stat ours, named;
        struct dirent *entry;
        int r = -ENOENT;

        if (instance && instance[0]) {
                safe_name(instance, ret, size);
                return 0;
        }
        directory = opendir("/run/netns");
        if (!directory)
                return -errno;
        if (stat("/proc/self/ns/net", &ours) < 0)
                r = -errno;
        while (r == -ENOENT && (entry = readdir(directory)))
                if (fstatat(dirfd(directory), entry->d_name, &named, 0) == 0 && named.st_dev == ours.st_dev &&
                    named.st_ino == ours.st_ino) {
                        safe_name(entry->d_name, ret, size);
                        r = 0;
                }
        closedir(directory);
        return r;
}
