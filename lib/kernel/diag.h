/* SPDX-License-Identifier: MIT */
#pragma once

/* The attributes of a sock_diag message (net/ipv4/inet_diag.c:inet_diag_msg_attrs_fill). The set of attributes
 * and their sizes differ by kernel and privilege: an attribute of an unexpected size is ignored. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/inet_diag.h>

/* Returns the payload, of size bytes (at_least: or more), of the first attribute of the type; it may be unaligned.
 * NULL: there is none, or the attributes are garbled. length is that of socket with all its attributes. */
const void *diag_attribute(const struct inet_diag_msg *socket, size_t length, unsigned type, size_t size,
                           bool at_least);

/* Returns INET_DIAG_CGROUP_ID, the inode of the cgroup2 directory of the socket's creator (Linux 5.8; full sockets
 * only). 0: unknown. */
uint64_t diag_cgroup(const struct inet_diag_msg *socket, size_t length);

/* The kernel's id of the socket, never used again in a boot. */
static inline uint64_t diag_cookie(const struct inet_diag_msg *socket)
{
        return (uint64_t)socket->id.idiag_cookie[1] << 32 | socket->id.idiag_cookie[0];
}

/* Read a number from INET_DIAG_SKMEMINFO: the packets that the socket dropped (for a listener: the connections), or
 * how full its receive buffer is, in percent. The request must ask for them with DIAG_EXT_MEMORY in idiag_ext. Return
 * false if they are not in the message. */
bool diag_drops(const struct inet_diag_msg *socket, size_t length, uint32_t *ret);
bool diag_receive_buffer(const struct inet_diag_msg *socket, size_t length, double *ret);

#define DIAG_EXT_MEMORY (1u << (INET_DIAG_SKMEMINFO - 1))
