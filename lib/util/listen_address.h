/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

/* Parses "ADDRESS:PORT": an IPv4 address, or an IPv6 address in brackets, but no host name, and a port from 1 to
 * 65535. ret and ret_size may be NULL. Returns 0 or -EINVAL; then both are as before. */
int listen_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size);
