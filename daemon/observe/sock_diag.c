/* SPDX-License-Identifier: MIT */
#include "daemon/observe/sock_diag.h"

#include <errno.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "daemon/now.h"
#include "daemon/observe/pages.h"

/* The kernel's batches are at most this large (net/netlink/af_netlink.c:netlink_dump). */
#define BATCH_SIZE 32768u
#define TIMEOUT_SECONDS 2
#define REQUEST_SIZE 128

static _Alignas(4096) char batch[BATCH_SIZE];

void sock_diag_close(struct sock_diag *d)
{
        if (d->socket)
                mnl_socket_close(d->socket);
        d->socket = NULL;
}

static int open_socket(struct sock_diag *d)
{
        struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};

        d->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        if (!d->socket)
                return -errno;
        if (mnl_socket_bind(d->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
            setsockopt(mnl_socket_get_fd(d->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
                int r = -errno;

                sock_diag_close(d);
                return r;
        }
        return 0;
}

/* -ENOENT comes from net/ipv4/inet_diag.c:inet_diag_lock_handler, which loads the module unless that is forbidden
 * (modules_disabled, a container). */
const char *sock_diag_error(int error)
{
        return error == -ENOENT ? "the kernel module tcp_diag is missing: modprobe tcp_diag" : strerror(-error);
}

/* Adds a program for the kernel's inet_diag_bc_run(): local port >= low, and <= high. Each comparison is two words,
 * the second with the port; a jump to 4 bytes past the end rejects the socket. */
static void add_port_filter(struct nlmsghdr *request, const struct sock_diag_query *q)
{
        struct inet_diag_bc_op program[4] = {
                {.code = INET_DIAG_BC_S_GE, .yes = 2 * sizeof(program[0]), .no = sizeof(program) + 4},
                {.no = q->low},
                {.code = INET_DIAG_BC_S_LE, .yes = 2 * sizeof(program[0]), .no = sizeof(program) / 2 + 4},
                {.no = q->high},
        };

        if (q->high > 0)
                mnl_attr_put(request, INET_DIAG_REQ_BYTECODE, sizeof(program), program);
}

static int send_request(struct sock_diag *d, const struct sock_diag_query *q, uint16_t type, const void *body,
                        size_t size)
{
        _Alignas(struct nlmsghdr) char buf[REQUEST_SIZE];
        struct nlmsghdr *request = mnl_nlmsg_put_header(buf);

        memcpy(mnl_nlmsg_put_extra_header(request, size), body, size);
        add_port_filter(request, q);
        request->nlmsg_type = type;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request->nlmsg_seq = ++d->seq;
        return mnl_socket_sendto(d->socket, request, request->nlmsg_len) < 0 ? -errno : 0;
}

/* Returns the error at the start of the payload of an NLMSG_ERROR or NLMSG_DONE; 0: none. libmnl's own handler ignores
 * the error of an NLMSG_DONE. */
static int control_error(const struct nlmsghdr *h)
{
        int error;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(error))
                return h->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
        memcpy(&error, mnl_nlmsg_get_payload(h), sizeof(error));
        return error <= 0 ? error : -EBADMSG;
}

/* Handles one message. Returns 1 if the dump is complete, 0 if more messages follow, else a negative errno. */
static int take_message(const struct nlmsghdr *h, sock_diag_handler handler, void *user)
{
        const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(h);
        size_t length = mnl_nlmsg_get_payload_len(h);
        int r;

        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                return -EINTR;
        switch (h->nlmsg_type) {
        case NLMSG_NOOP:
                return 0;
        case NLMSG_DONE:
                r = control_error(h);
                return r == 0 ? 1 : r;
        case NLMSG_ERROR:
                r = control_error(h);
                return r == 0 ? -EBADMSG : r; /* an acknowledgement that was not asked for */
        case NLMSG_OVERRUN:
                return -ENOBUFS;
        case TCPDIAG_GETSOCK:
        case SOCK_DIAG_BY_FAMILY:
                break;
        default:
                return -EBADMSG;
        }
        if (length < sizeof(*socket) || (socket->idiag_family != AF_INET && socket->idiag_family != AF_INET6))
                return -EBADMSG;
        handler(user, socket, length);
        return 0;
}

int sock_diag_take(const char *buf, size_t size, unsigned seq, unsigned portid, sock_diag_handler handler, void *user)
{
        const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
        int left = (int)size, r = 0;

        for (; r == 0 && mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
                if (h->nlmsg_len > INT_MAX) /* libmnl takes it for a negative length, and accepts it */
                        return -EBADMSG;
                if (h->nlmsg_seq != seq || h->nlmsg_pid != portid) /* libmnl's own check lets 0 pass */
                        return -EPROTO;
                r = take_message(h, handler, user);
        }
        return r == 0 && left > 0 ? -EBADMSG : r; /* the rest is not a message */
}

/* Called between two batches. A signal for signalfd(2) is pending until it is read. */
static int may_go_on(const struct sock_diag *d)
{
        sigset_t pending;

        if (d->until > 0 && now_monotonic_us() >= d->until)
                return -ETIMEDOUT;
        if (sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT)))
                return -ECANCELED;
        return 0;
}

static int receive(struct sock_diag *d, sock_diag_handler handler, void *user)
{
        unsigned portid = mnl_socket_get_portid(d->socket);
        ssize_t n;
        int r;

        do {
                n = mnl_socket_recvfrom(d->socket, batch, sizeof(batch)); /* ENOSPC: truncated */
                if (n <= 0)
                        return n == 0 ? -EPIPE : -errno;
                d->batch_at = now_ns();
                r = sock_diag_take(batch, (size_t)n, d->seq, portid, handler, user);
                if (r == 0)
                        r = may_go_on(d);
        } while (r == 0);
        return r < 0 ? r : 0;
}

/* Walks the kernel's table once, for one family. AF_UNSPEC: for both, by the old request, of which the kernel ignores
 * the family (net/ipv4/inet_diag.c:inet_diag_dump_compat). */
static int walk(struct sock_diag *d, const struct sock_diag_query *q, uint8_t family, sock_diag_handler handler,
                void *user)
{
        const struct inet_diag_req both = {
                .idiag_family = AF_INET, .idiag_states = q->states, .idiag_ext = q->extensions};
        const struct inet_diag_req_v2 one = {.sdiag_family = family,
                                             .sdiag_protocol = q->udp ? IPPROTO_UDP : IPPROTO_TCP,
                                             .idiag_states = q->states,
                                             .idiag_ext = q->extensions};
        int r = family == AF_UNSPEC ? send_request(d, q, TCPDIAG_GETSOCK, &both, sizeof(both))
                                    : send_request(d, q, SOCK_DIAG_BY_FAMILY, &one, sizeof(one));

        return r < 0 ? r : receive(d, handler, user);
}

int sock_diag_dump(struct sock_diag *d, const struct sock_diag_query *query, sock_diag_handler handler, void *user)
{
        int r = d->socket ? 0 : open_socket(d);

        if (r < 0)
                return r;
        if (!d->two_walks && !query->udp) {
                r = walk(d, query, AF_UNSPEC, handler, user);
                d->two_walks = r == -EOPNOTSUPP;
        }
        if (d->two_walks || query->udp) {
                r = walk(d, query, AF_INET, handler, user);
                if (r == 0) {
                        r = walk(d, query, AF_INET6, handler, user);
                        r = r == -ENOENT ? 0 : r; /* the kernel has no handler for AF_INET6 */
                }
        }
        pages_give_back(batch, sizeof(batch));
        if (r < 0)
                sock_diag_close(d); /* so that the rest of this dump does not get into the next one */
        return r;
}
