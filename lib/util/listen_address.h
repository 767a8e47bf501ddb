/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

/* Reads "ADDRESS:PORT": an IPv4 address, or an IPv6 address in brackets, and a port from 1 to 65535; no name. Either ret may
 * be NULL. Returns 0; -EINVAL, and they are untouched. */
int listen_address_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size);
