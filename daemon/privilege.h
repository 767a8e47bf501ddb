/* SPDX-License-Identifier: MIT */
#pragma once

/* What a process may do from now on, and its network namespace. */

#include <stdbool.h>
#include <stdint.h>

#define PRIVILEGE_NET_ADMIN (UINT64_C(1) << 12) /* write the sysctls of a network namespace (capabilities(7)) */
#define PRIVILEGE_SYS_ADMIN (UINT64_C(1) << 21) /* enter a network namespace (setns(2)) */

/* Keeps those of the capabilities in keep that the process has and gives up all others, also for the programs that it
 * starts. Returns 0 or a negative errno; -EPERM: the process lacks one of keep. */
int privilege_keep(uint64_t keep);

/* Enters the network namespace that is mounted at path, or that path is a link to in /proc. Returns 0 or a negative errno;
 * -EINVAL: it is none. */
int privilege_enter_netns(const char *path);

/* The same, and keeps CAP_NET_ADMIN alone. Call it before anything of the namespace is opened. Prints an error; returns 0 or
 * the exit status. */
int privilege_run_in_netns(const char *path);

/* True if the network namespace of the process is the one at path. */
bool privilege_is_netns(const char *path);
