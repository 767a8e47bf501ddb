/* SPDX-License-Identifier: MIT */
#pragma once

/* Gives up capabilities, and enters a network namespace. */

#include <stdbool.h>
#include <stdint.h>

#define PRIVILEGE_NET_ADMIN (UINT64_C(1) << 12) /* write the sysctls of a network namespace (capabilities(7)) */
#define PRIVILEGE_SYS_ADMIN (UINT64_C(1) << 21) /* enter a network namespace (setns(2)) */

/* Keeps the capabilities in keep and gives up all others, also for the programs that the process starts. Returns 0 or
 * a negative errno; -EPERM: the process lacks a capability in keep. */
int privilege_keep(uint64_t keep);

/* Enters the network namespace at path: a mount of it, or a link to it in /proc. Returns 0 or a negative errno;
 * -EINVAL: path is not a network namespace. */
int privilege_enter_netns(const char *path);

/* The same, and keeps CAP_NET_ADMIN alone. Call it before anything of the namespace is opened. Prints an error;
 * returns 0 or the exit status. */
int privilege_run_in_netns(const char *path);

/* True if the network namespace of the process is the one at path. */
bool privilege_is_netns(const char *path);
