/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

#include "ctl/show.h"

/* The name in the table: "net/ipv4/tcp_x" and, as people say it, "tcp_x" are understood. An unknown one is returned as
 * it is. */
const char *sysctl_full_name(const char *name);

/* "twtuned, rule time-wait-reuse; it was 2", "sysctl.d, /etc/sysctl.d/10.conf:3" of a sysctl of the description. */
#define OWNER_TEXT_MAX 512
const char *owner_text(const json_t *sysctl, char buf[static OWNER_TEXT_MAX]);
