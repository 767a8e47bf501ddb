/* SPDX-License-Identifier: MIT */
#pragma once

/* The network namespaces that have a name: a file on which each is mounted. */

#include <limits.h>
#include <sys/stat.h>

/* In the listing of a directory. */
struct netns {
        dev_t device;
        ino_t inode;             /* of the namespace: with the device it tells two apart while both are there */
        char path[PATH_MAX];     /* of the file */
        char name[NAME_MAX + 8]; /* of the file; of Docker's after "docker-" */
};

/* Calls each() for every network namespace in /run/netns, /run/docker/netns and the further directories, of which one of the
 * patterns fits the name (glob(7)). Both lists are separated by blanks; patterns NULL: every name; directories NULL: none.
 * One that has several names comes several times. A directory that is missing has none. Returns 0; or a negative errno, and
 * not all were found. */
int netns_scan(const char *directories, const char *patterns, void (*each)(void *user, const struct netns *netns),
               void *user);
