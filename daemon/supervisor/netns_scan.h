/* SPDX-License-Identifier: MIT */
#pragma once

/* Network namespaces that have a name: a file on which the namespace is mounted. */

#include <limits.h>
#include <sys/stat.h>

/* A network namespace, found by its file. */
struct netns {
        dev_t device;
        ino_t inode;             /* of the namespace: with the device, unique among those that exist */
        char path[PATH_MAX];     /* of the file */
        char name[NAME_MAX + 8]; /* of the file; in Docker's directory with "docker-" before it */
};

/* Calls each() for every network namespace in /run/netns, in /run/docker/netns and in directories, if its name matches
 * one of patterns (glob(7)) and does not begin with a dot. Both lists are separated by blanks; patterns NULL: every
 * name; directories NULL: none. A namespace with several names is reported once for each. A missing directory counts
 * as empty. Returns 0; or a negative errno, and not all were found. */
int netns_scan(const char *directories, const char *patterns, void (*each)(void *user, const struct netns *netns),
               void *user);
