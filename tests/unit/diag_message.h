/* SPDX-License-Identifier: MIT */
#pragma once

/* A message of sock_diag with attributes, byte by byte, in memory of exactly its length: a read past the end
 * is one that a sanitizer sees. */

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct diag_message {
        struct inet_diag_msg *socket;
        size_t length;
};

static inline struct diag_message diag_message_new(const struct inet_diag_msg *socket)
{
        struct diag_message m = {.socket = malloc(sizeof(*socket)), .length = sizeof(*socket)};

        if (!m.socket)
                abort();
        *m.socket = *socket;
        return m;
}

static inline void diag_message_free(struct diag_message *m)
{
        free(m->socket);
}

static inline void diag_message_resize(struct diag_message *m, size_t length)
{
        m->socket = realloc(m->socket, length);
        if (!m->socket)
                abort();
        if (length > m->length)
                memset((char *)m->socket + m->length, 0xee, length - m->length);
        m->length = length;
}

/* An attribute whose header says nla_len, and size bytes of payload: nla_len = 4 + size is a good one.
 * Padded as the kernel does. */
static inline void diag_message_put_raw(struct diag_message *m, unsigned type, unsigned nla_len, const void *payload,
                                        size_t size)
{
        struct nlattr a = {.nla_len = (uint16_t)nla_len, .nla_type = (uint16_t)type};
        size_t at = m->length;

        diag_message_resize(m, at + sizeof(a) + ((size + 3) & ~(size_t)3));
        memcpy((char *)m->socket + at, &a, sizeof(a));
        if (size > 0)
                memcpy((char *)m->socket + at + sizeof(a), payload, size);
}

static inline void diag_message_put(struct diag_message *m, unsigned type, const void *payload, size_t size)
{
        diag_message_put_raw(m, type, (unsigned)(sizeof(struct nlattr) + size), payload, size);
}

static inline void diag_message_put_cgroup(struct diag_message *m, uint64_t cgroup)
{
        diag_message_put(m, INET_DIAG_CGROUP_ID, &cgroup, sizeof(cgroup));
}

static inline void diag_message_put_drops(struct diag_message *m, uint32_t drops)
{
        uint32_t meminfo[SK_MEMINFO_VARS] = {0};

        meminfo[SK_MEMINFO_DROPS] = drops;
        diag_message_put(m, INET_DIAG_SKMEMINFO, meminfo, sizeof(meminfo));
}
