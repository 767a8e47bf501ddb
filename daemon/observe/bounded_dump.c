/* SPDX-License-Identifier: MIT */
/* Makes each dump of sockets, and stops one that takes too long: the watchdog must be fed in time. */

#include <errno.h>

#include "daemon/now.h"
#include "daemon/observe/internal.h"
#include "lib/util/macro.h"

/* After a dump that took too long, no dump is made for 10 s; if the next ones take too long as well, for 20 s, 40 s,
 * and so on, up to 5 min. */
#define SLOW_NS (10 * NSEC_PER_SEC)
#define SLOW_NS_MAX (300 * NSEC_PER_SEC)

static bool may_try_again(int r)
{
        return r < 0 && r != -ETIMEDOUT && r != -ECANCELED && r != -ENOENT;
}

int observer_dump(struct observer *o, const struct sock_diag_query *query, void (*begin)(struct observer *o),
                  sock_diag_handler handler)
{
        int r = -EINTR;

        o->same_until = 0;
        if (o->now < o->slow_until)
                return -ETIMEDOUT;
        if (o->no_diag[query->udp])
                return -ENOENT;
        for (unsigned tries = 0; may_try_again(r) && tries < DUMP_TRIES; tries++) {
                begin(o);
                r = sock_diag_dump(&o->diag, query, handler, o);
                if (r < 0 && o->diag.until > 0 && now_monotonic_us() >= o->diag.until)
                        r = -ETIMEDOUT;
        }
        if (r == -ETIMEDOUT && !o->looking) {
                o->slow_ns = MIN(MAX(2 * o->slow_ns, SLOW_NS), SLOW_NS_MAX);
                o->slow_until = now_ns() + o->slow_ns;
        } else if (r == 0) {
                o->slow_ns = 0;
        }
        o->no_diag[query->udp] = r == -ENOENT;
        return r;
}

void unread_dump(struct unread *unread, int r, const char *what)
{
        if (r == -ENOENT)
                unread_add(unread, -EOPNOTSUPP, "sockets without a kernel module (modprobe tcp_diag udp_diag)");
        else if (r != -ECANCELED)
                unread_add(unread, r, what);
}
