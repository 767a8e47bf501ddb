/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "netns_name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* As `ip netns identify`: a name is a file in there on which the netns is mounted. */
int netns_name(char *ret, size_t size)
{
        DIR *directory = opendir("/run/netns");
        struct stat ours, named;
        struct dirent *entry;
        int r = -ENOENT;

        if (!directory)
                return -errno;
        if (stat("/proc/self/ns/net", &ours) < 0)
                r = -errno;
        while (r == -ENOENT && (entry = readdir(directory)))
                if (fstatat(dirfd(directory), entry->d_name, &named, 0) == 0 && named.st_dev == ours.st_dev &&
                    named.st_ino == ours.st_ino)
                        r = (size_t)snprintf(ret, size, "%s", entry->d_name) < size ? 0 : -ENAMETOOLONG;
        closedir(directory);
        return r;
}
