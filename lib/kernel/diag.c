/* SPDX-License-Identifier: MIT */
#include "lib/kernel/diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>

#define ALIGNED(n) (((size_t)(n) + 3) & ~(size_t)3) /* NLA_ALIGN, without its signed arithmetic */

const void *diag_attribute(const struct inet_diag_msg *socket, size_t length, unsigned type, size_t size,
                           bool at_least)
{
        const char *base = (const char *)socket;
        struct nlattr a;

        for (size_t at = ALIGNED(sizeof(*socket)); at + sizeof(a) <= length; at += ALIGNED(a.nla_len)) {
                memcpy(&a, base + at, sizeof(a));
                if (a.nla_len < sizeof(a) || a.nla_len > length - at)
                        return NULL;
                if ((a.nla_type & NLA_TYPE_MASK) == type) {
                        size_t payload = a.nla_len - sizeof(a);

                        return payload == size || (at_least && payload > size) ? base + at + sizeof(a) : NULL;
                }
        }
        return NULL;
}

uint64_t diag_cgroup(const struct inet_diag_msg *socket, size_t length)
{
        const void *payload = diag_attribute(socket, length, INET_DIAG_CGROUP_ID, sizeof(uint64_t), false);
        uint64_t id = 0;

        if (payload)
                memcpy(&id, payload, sizeof(id));
        return id;
}

static bool memory(const struct inet_diag_msg *socket, size_t length, uint32_t ret[static SK_MEMINFO_DROPS + 1])
{
        size_t size = (SK_MEMINFO_DROPS + 1) * sizeof(*ret);
        const void *payload = diag_attribute(socket, length, INET_DIAG_SKMEMINFO, size, true);

        if (payload)
                memcpy(ret, payload, size);
        return payload != NULL;
}

bool diag_drops(const struct inet_diag_msg *socket, size_t length, uint32_t *ret)
{
        uint32_t m[SK_MEMINFO_DROPS + 1];

        if (!memory(socket, length, m))
                return false;
        *ret = m[SK_MEMINFO_DROPS];
        return true;
}

bool diag_receive_buffer(const struct inet_diag_msg *socket, size_t length, double *ret)
{
        uint32_t m[SK_MEMINFO_DROPS + 1];

        if (!memory(socket, length, m) || m[SK_MEMINFO_RCVBUF] == 0)
                return false;
        *ret = 100.0 * m[SK_MEMINFO_RMEM_ALLOC] / m[SK_MEMINFO_RCVBUF];
        return true;
}
