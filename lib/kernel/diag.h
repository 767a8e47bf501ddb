/* SPDX-License-Identifier: MIT */
#pragma once

/* What a message of sock_diag says beyond its fixed part (net/ipv4/inet_diag.c:inet_diag_msg_attrs_fill). Sizes
 * differ by kernel and privilege, so only attributes of exactly the length that is expected count. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

/* The payload of an attribute that is size bytes long (at_least: or longer). NULL: it is not there, or the
 * attributes are garbled. length is that of socket with all its attributes. */
const void *diag_attribute(const struct inet_diag_msg *socket, size_t length, unsigned type, size_t size,
                           bool at_least);

/* INET_DIAG_CGROUP_ID: the inode of the cgroup2 directory of the socket's creator (Linux 5.8; full sockets only).
 * 0: unknown. */
uint64_t diag_cgroup(const struct inet_diag_msg *socket, size_t length);

/* INET_DIAG_SKMEMINFO: how many packets the socket dropped; for a listener, connections. Asked for by
 * DIAG_EXT_DROPS in the request. false: not there. */
bool diag_drops(const struct inet_diag_msg *socket, size_t length, uint32_t *ret);

#define DIAG_EXT_DROPS (1u << (INET_DIAG_SKMEMINFO - 1))
