/* SPDX-License-Identifier: MIT */
#include "daemon/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "daemon/apply/sysctl_files.h"
#include "daemon/now.h"

/* <asm-generic/socket.h>, Linux 5.14; Debian 12's libc headers have it, older ones do not. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define LOCK_TRIES 8
#define ASK_US 2000000 /* limits the dump, as a user may have any number of sockets */
#define BATCH_SIZE 32768u

static const char address_name[] = "\0twtuned";
#define ADDRESS_SIZE (sizeof(address_name) - 1)

/* ---- the address ---- */

struct holder {
        bool found;
        uid_t uid;
};

static int find_address(const struct nlattr *attribute, void *user)
{
        const struct nlattr **found = user;
        uint16_t type = mnl_attr_get_type(attribute);

        if (type == UNIX_DIAG_NAME && mnl_attr_get_payload_len(attribute) == ADDRESS_SIZE &&
            memcmp(mnl_attr_get_payload(attribute), address_name, ADDRESS_SIZE) == 0)
                found[0] = attribute;
        else if (type == UNIX_DIAG_UID && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t))
                found[1] = attribute;
        return MNL_CB_OK;
}

/* Counts datagram sockets only: a socket of another type may have the same address without a conflict
 * (net/unix/af_unix.c:unix_abstract_hash). Otherwise a service with User= could pass for root: its stdout is a stream
 * socket that root created, and the service can bind it. */
static int on_socket(const struct nlmsghdr *h, void *user)
{
        const struct nlattr *found[2] = {NULL, NULL};
        const struct unix_diag_msg *socket = mnl_nlmsg_get_payload(h);
        struct holder *holder = user;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(*socket) || socket->udiag_type != SOCK_DGRAM)
                return MNL_CB_OK;
        mnl_attr_parse(h, sizeof(struct unix_diag_msg), find_address, found);
        if (found[0] && found[1]) {
                holder->found = true;
                holder->uid = mnl_attr_get_u32(found[1]);
        }
        return holder->found ? MNL_CB_STOP : MNL_CB_OK;
}

static int send_question(struct mnl_socket *socket, unsigned seq)
{
        _Alignas(struct nlmsghdr) char buf[128];
        struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
        struct unix_diag_req *body = mnl_nlmsg_put_extra_header(request, sizeof(*body));

        request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request->nlmsg_seq = seq;
        body->sdiag_family = AF_UNIX;
        body->udiag_states = UINT32_MAX;
        body->udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID;
        return mnl_socket_sendto(socket, request, request->nlmsg_len) < 0 ? -errno : 0;
}

/* Asks the kernel who has bound the address (net/unix/diag.c:unix_diag_dump; UDIAG_SHOW_UID, Linux 5.3). A socket
 * keeps the uid of the process that made it. */
static bool find_holder(uid_t *ret)
{
        static _Alignas(struct nlmsghdr) char buf[BATCH_SIZE];
        const struct timeval timeout = {.tv_usec = ASK_US / 4};
        struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        uint64_t until = now_monotonic_us() + ASK_US;
        struct holder holder = {0};
        int r = 1;

        if (!socket)
                return false;
        if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 || send_question(socket, 1) < 0 ||
            setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                r = 0;
        while (r > 0 && now_monotonic_us() < until) {
                ssize_t n = mnl_socket_recvfrom(socket, buf, sizeof(buf));

                r = n <= 0 ? 0 : mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(socket), on_socket, &holder);
        }
        mnl_socket_close(socket);
        *ret = holder.uid;
        return holder.found;
}

/* True for root, our own user and the service's user, who owns /run/twtuned, which only root can make. */
static bool is_trusted(uid_t uid)
{
        struct stat st;

        return uid == 0 || uid == geteuid() || (stat(TWTUNED_RUNTIME, &st) == 0 && st.st_uid == uid);
}

/* If the kernel does not report who holds the address, the lock alone decides. */
static int take_address(struct instance *i)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + ADDRESS_SIZE);
        uid_t uid;

        memcpy(address.sun_path, address_name, ADDRESS_SIZE);
        if (bind(i->socket, (struct sockaddr *)&address, size) == 0)
                return 0;
        if (errno != EADDRINUSE)
                return -errno;
        if (!find_holder(&uid)) {
                fputs("twtuned: an unknown process holds the abstract address @twtuned; starting all the same\n",
                      stderr);
                return 0;
        }
        if (is_trusted(uid))
                return -EADDRINUSE;
        fprintf(stderr,
                "twtuned: uid %u, not the service's user, holds the abstract address @twtuned; starting all the "
                "same\n",
                (unsigned)uid);
        return 0;
}

/* ---- the lock ---- */

/* Opens the lock file, with mode 0600: any user who could open it could also lock it (flock(2)). Gives a file that
 * root created to the owner of the directory, the service's user, unless it has content or a second link. */
static int open_lock(const char *path)
{
        int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        struct stat st, directory;

        if (fd >= 0 && geteuid() == 0 && fstat(fd, &st) == 0 && stat(TWTUNED_RUNTIME, &directory) == 0 &&
            st.st_uid == 0 && directory.st_uid != 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == 0 &&
            fchown(fd, directory.st_uid, directory.st_gid) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

/* False if the previous instance removed the file before this one locked it. */
static bool is_at(int fd, const char *path)
{
        struct stat ours, there;

        return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
               ours.st_ino == there.st_ino;
}

/* Takes no lock if the directory cannot be made or the file cannot be opened. A process that lacks the permission for
 * that can save no ledger there, either. */
static int take_lock(struct instance *i)
{
        int fd;

        snprintf(i->lock_path, sizeof(i->lock_path), TWTUNED_RUNTIME "/%llu.lock",
                 (unsigned long long)i->netns_cookie);
        if (mkdir(TWTUNED_RUNTIME, 0755) < 0 && errno != EEXIST)
                return 0;
        for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
                fd = open_lock(i->lock_path);
                if (fd < 0)
                        return 0;
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        int r = errno == EWOULDBLOCK ? -EADDRINUSE : 0;

                        close(fd);
                        return r;
                }
                if (is_at(fd, i->lock_path)) {
                        i->lock = fd;
                        return 0;
                }
                close(fd);
        }
        return -EADDRINUSE;
}

/* ---- the cookie ---- */

/* Before Linux 5.14 only the inode identifies a network namespace, and a new one may get the inode of a deleted one.
 * The inode therefore serves only for the first network namespace, which is never deleted. */
static int read_cookie(struct instance *i)
{
        socklen_t size = sizeof(i->netns_cookie);
        struct stat st;

        if (getsockopt(i->socket, SOL_SOCKET, SO_NETNS_COOKIE, &i->netns_cookie, &size) == 0)
                return 0;
        if (errno != ENOPROTOOPT)
                return -errno;
        if (!sysctl_files_apply_here())
                return -ENOPROTOOPT;
        if (stat("/proc/thread-self/ns/net", &st) < 0)
                return -errno;
        i->netns_cookie = st.st_ino;
        return 0;
}

int instance_take(struct instance *i)
{
        int r;

        *i = (struct instance){.lock = -1};
        i->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (i->socket < 0)
                return -errno;
        r = read_cookie(i);
        if (r < 0)
                return r;
        r = take_address(i);
        return r < 0 ? r : take_lock(i);
}

void instance_leave(struct instance *i)
{
        if (i->lock >= 0) {
                unlink(i->lock_path);
                close(i->lock);
        }
        if (i->socket >= 0)
                close(i->socket);
        *i = (struct instance){.socket = -1, .lock = -1};
}
