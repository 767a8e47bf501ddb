/* SPDX-License-Identifier: MIT */
#pragma once

/* A fake kernel for sock_diag: it takes the place of sendto() and recvmsg(), so that all code above them, with libmnl,
 * is the real one. */

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/util/macro.h"

#define PEER_SOCKETS 192u
#define PEER_BATCHES 68u
#define PEER_BATCH_SIZE 1024u
#define PEER_IN_BATCH 3u

/* A socket, with its attributes behind it. */
struct peer_socket {
        struct inet_diag_msg msg;
        char attributes[128];
        size_t size;
};

struct peer_batch {
        _Alignas(struct nlmsghdr) char data[PEER_BATCH_SIZE];
        size_t size;
        bool larger; /* than any buffer */
        int error;   /* of recvmsg() */
};

static struct peer {
        struct peer_socket socket[PEER_SOCKETS];
        unsigned n;

        unsigned requests;     /* since the test began */
        struct nlmsghdr asked; /* the last one */
        uint8_t family;
        bool udp;
        uint32_t portid;
        struct peer_batch batch[PEER_BATCHES];
        unsigned n_batches, next;

        void (*spoil)(void);              /* makes an answer wrong; NULL: all are right */
        unsigned spoil_first, spoil_last; /* the numbers of the requests that get such an answer, from 1 on */
        int send_error;
} peer;

/* ---- the host ---- */

static inline struct peer_socket *peer_add(uint8_t state, uint16_t sport, uint16_t dport)
{
        struct peer_socket *s = &peer.socket[peer.n++];

        *s = (struct peer_socket){.msg = {.idiag_family = AF_INET, .idiag_state = state}};
        s->msg.id.idiag_sport = htons(sport);
        s->msg.id.idiag_dport = htons(dport);
        s->msg.id.idiag_src[0] = htonl(0x0a000001);
        s->msg.id.idiag_dst[0] = dport ? htonl(0x0a000002) : 0;
        s->msg.id.idiag_cookie[0] = peer.n;
        s->msg.idiag_inode = peer.n;
        return s;
}

/* A right attribute has nla_len = size + 4. */
static inline void peer_attribute(struct peer_socket *s, unsigned type, unsigned nla_len, const void *payload,
                                  size_t size)
{
        struct nlattr a = {.nla_len = (uint16_t)nla_len, .nla_type = (uint16_t)type};

        memcpy(s->attributes + s->size, &a, sizeof(a));
        memcpy(s->attributes + s->size + sizeof(a), payload, size);
        s->size += sizeof(a) + ((size + 3) & ~(size_t)3);
}

/* ---- the answer ---- */

static inline struct nlmsghdr *peer_put(uint16_t type, const void *payload, size_t size)
{
        struct peer_batch *b = &peer.batch[peer.n_batches - 1];
        struct nlmsghdr *h = (struct nlmsghdr *)(b->data + b->size);

        *h = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
                               .nlmsg_type = type,
                               .nlmsg_flags = NLM_F_MULTI,
                               .nlmsg_seq = peer.asked.nlmsg_seq,
                               .nlmsg_pid = peer.portid};
        memcpy(NLMSG_DATA(h), payload, size);
        b->size += NLMSG_SPACE(size);
        return h;
}

static inline void peer_new_batch(void)
{
        peer.batch[peer.n_batches++] = (struct peer_batch){0};
}

/* The last message of the answer, which is DONE, and the first one. */
static inline struct nlmsghdr *peer_done(void)
{
        return (struct nlmsghdr *)peer.batch[peer.n_batches - 1].data;
}

static inline struct nlmsghdr *peer_first(void)
{
        return (struct nlmsghdr *)peer.batch[0].data;
}

static inline void peer_answer(uint32_t states)
{
        char payload[sizeof(struct inet_diag_msg) + sizeof(peer.socket[0].attributes)];
        unsigned shown = 0;
        int success = 0;

        peer.n_batches = peer.next = 0;
        for (unsigned i = 0; i < peer.n; i++) {
                const struct peer_socket *s = &peer.socket[i];
                bool wanted = states >> s->msg.idiag_state & 1;

                if (peer.asked.nlmsg_type == SOCK_DIAG_BY_FAMILY)
                        wanted &= s->msg.idiag_family == peer.family;
                if (!wanted)
                        continue;
                if (shown++ % PEER_IN_BATCH == 0)
                        peer_new_batch();
                memcpy(payload, &s->msg, sizeof(s->msg));
                memcpy(payload + sizeof(s->msg), s->attributes, s->size);
                peer_put(peer.asked.nlmsg_type, payload, sizeof(s->msg) + s->size);
        }
        peer_new_batch();
        peer_put(NLMSG_DONE, &success, sizeof(success));
        if (peer.spoil && peer.requests >= peer.spoil_first && peer.requests <= peer.spoil_last)
                peer.spoil();
}

/* ---- the functions that libmnl calls ---- */

ssize_t sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
        struct sockaddr_nl own = {0};
        socklen_t own_size = sizeof(own);
        const char *body = (const char *)buf + NLMSG_HDRLEN;

        (void)flags, (void)to, (void)to_size;
        if (getsockname(fd, (struct sockaddr *)&own, &own_size) < 0)
                return -1;
        peer.requests++;
        memcpy(&peer.asked, buf, sizeof(peer.asked));
        peer.family = (uint8_t)body[0];
        peer.udp = peer.asked.nlmsg_type == SOCK_DIAG_BY_FAMILY && body[1] == IPPROTO_UDP;
        peer.portid = own.nl_pid;
        if (peer.send_error) {
                errno = peer.send_error;
                return -1;
        }
        if (peer.asked.nlmsg_type == SOCK_DIAG_BY_FAMILY)
                peer_answer(((const struct inet_diag_req_v2 *)body)->idiag_states);
        else
                peer_answer(((const struct inet_diag_req *)body)->idiag_states);
        return (ssize_t)size;
}

/* When no batch is left, fails as after SO_RCVTIMEO (socket(7)). */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
        const struct peer_batch *b = &peer.batch[peer.next];
        size_t size;

        (void)fd, (void)flags;
        errno = peer.next == peer.n_batches ? EAGAIN : b->error;
        if (errno)
                return -1;
        peer.next++;
        size = MIN(b->size, message->msg_iov[0].iov_len);
        memcpy(message->msg_iov[0].iov_base, b->data, size);
        message->msg_flags = b->larger ? MSG_TRUNC : 0;
        message->msg_namelen = sizeof(struct sockaddr_nl);
        return (ssize_t)size;
}

/* ---- faults of an answer ---- */

#define PEER_SPOIL(name) static inline void peer_##name(void)

PEER_SPOIL(cut_message)
{
        peer.batch[0].size -= 8;
}
PEER_SPOIL(cut_header)
{
        peer.batch[0].size = 8;
}
PEER_SPOIL(message_too_long)
{
        peer_first()->nlmsg_len += 4000;
}
PEER_SPOIL(message_too_short)
{
        peer_first()->nlmsg_len = 12;
}
PEER_SPOIL(message_of_no_length)
{
        peer_first()->nlmsg_len = 0;
}
PEER_SPOIL(larger_than_the_buffer)
{
        peer.batch[0].larger = true;
}
PEER_SPOIL(wrong_seq)
{
        peer_first()->nlmsg_seq--;
}
PEER_SPOIL(wrong_portid)
{
        peer_first()->nlmsg_pid++;
}
PEER_SPOIL(no_seq)
{
        peer_first()->nlmsg_seq = 0;
}
PEER_SPOIL(no_portid)
{
        peer_first()->nlmsg_pid = 0;
}
PEER_SPOIL(wrong_seq_of_done)
{
        peer_done()->nlmsg_seq++;
}
PEER_SPOIL(interrupted)
{
        peer_first()->nlmsg_flags |= NLM_F_DUMP_INTR;
}
PEER_SPOIL(interrupted_at_the_end)
{
        peer_done()->nlmsg_flags |= NLM_F_DUMP_INTR;
}
PEER_SPOIL(overrun)
{
        peer_first()->nlmsg_type = NLMSG_OVERRUN;
}
PEER_SPOIL(unknown_type)
{
        peer_first()->nlmsg_type = 77;
}
PEER_SPOIL(no_done)
{
        peer.n_batches--;
}
PEER_SPOIL(nothing)
{
        peer.n_batches = 0;
}
PEER_SPOIL(end_of_file)
{
        peer.batch[0].size = 0;
}
PEER_SPOIL(socket_too_short)
{
        peer_first()->nlmsg_len = NLMSG_LENGTH(sizeof(struct inet_diag_msg) - 1);
}
PEER_SPOIL(unknown_family)
{
        ((struct inet_diag_msg *)NLMSG_DATA(peer_first()))->idiag_family = AF_UNIX;
}
PEER_SPOIL(receive_interrupted)
{
        peer.batch[peer.n_batches - 1].error = EINTR;
}
PEER_SPOIL(receive_no_buffers)
{
        peer.batch[peer.n_batches - 1].error = ENOBUFS;
}
PEER_SPOIL(receive_no_memory)
{
        peer.batch[0].error = ENOMEM;
}

static inline void peer_end_with(uint16_t type, int error, size_t size)
{
        struct nlmsgerr payload = {.error = error};

        peer.batch[peer.n_batches - 1].size = 0;
        peer_put(type, &payload, size);
}

PEER_SPOIL(done_with_an_error)
{
        peer_end_with(NLMSG_DONE, -ENOMEM, sizeof(int));
}
PEER_SPOIL(done_with_a_positive_error)
{
        peer_end_with(NLMSG_DONE, 5, sizeof(int));
}
PEER_SPOIL(error)
{
        peer_end_with(NLMSG_ERROR, -EACCES, sizeof(struct nlmsgerr));
}
PEER_SPOIL(error_that_is_cut)
{
        peer_end_with(NLMSG_ERROR, -EACCES, 2);
}
PEER_SPOIL(acknowledgement)
{
        peer_end_with(NLMSG_ERROR, 0, sizeof(struct nlmsgerr));
}

/* The error that each must give. */
static const struct peer_fault {
        const char *name;
        void (*spoil)(void);
        int error;
} peer_faults[] = {
        {"a message is cut", peer_cut_message, -EBADMSG},
        {"a header is cut", peer_cut_header, -EBADMSG},
        {"a message is longer than its batch", peer_message_too_long, -EBADMSG},
        {"a message is shorter than its header", peer_message_too_short, -EBADMSG},
        {"a message of no length", peer_message_of_no_length, -EBADMSG},
        {"a message is longer than the buffer", peer_larger_than_the_buffer, -ENOSPC},
        {"seq of the dump before", peer_wrong_seq, -EPROTO},
        {"portid of another socket", peer_wrong_portid, -EPROTO},
        {"no seq", peer_no_seq, -EPROTO},
        {"no portid", peer_no_portid, -EPROTO},
        {"DONE of another dump", peer_wrong_seq_of_done, -EPROTO},
        {"DUMP_INTR", peer_interrupted, -EINTR},
        {"DUMP_INTR at the end", peer_interrupted_at_the_end, -EINTR},
        {"OVERRUN", peer_overrun, -ENOBUFS},
        {"a message of unknown type", peer_unknown_type, -EBADMSG},
        {"no DONE", peer_no_done, -EAGAIN},
        {"nothing at all", peer_nothing, -EAGAIN},
        {"end of file", peer_end_of_file, -EPIPE},
        {"a socket is too short", peer_socket_too_short, -EBADMSG},
        {"a socket of no family of TCP", peer_unknown_family, -EBADMSG},
        {"recvmsg: EINTR", peer_receive_interrupted, -EINTR},
        {"recvmsg: ENOBUFS", peer_receive_no_buffers, -ENOBUFS},
        {"recvmsg: ENOMEM", peer_receive_no_memory, -ENOMEM},
        {"DONE with an error", peer_done_with_an_error, -ENOMEM},
        {"DONE with a positive error", peer_done_with_a_positive_error, -EBADMSG},
        {"ERROR", peer_error, -EACCES},
        {"ERROR that is cut", peer_error_that_is_cut, -EBADMSG},
        {"an acknowledgement without a request for it", peer_acknowledgement, -EBADMSG},
};
