/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/util/macro.h"

static int set_capabilities(uint64_t keep)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

        for (unsigned i = 0; i < ELEMENTSOF(data); i++)
                data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* Without CAP_SETPCAP the bounding set stays as it is. no_new_privs then keeps an executed program from gaining
 * capabilities that are only in that set (security/commoncap.c:cap_bprm_creds_from_file). */
static void bound_capabilities(uint64_t keep)
{
        for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (!(keep >> cap & 1))
                        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int privilege_keep(uint64_t keep)
{
        bound_capabilities(keep);
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return set_capabilities(keep);
}

int privilege_enter_netns(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

        if (fd < 0)
                return -errno;
        r = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
        close(fd);
        return r;
}

int privilege_run_in_netns(const char *path)
{
        int r = privilege_enter_netns(path);

        if (r == 0)
                r = privilege_keep(PRIVILEGE_NET_ADMIN);
        if (r < 0)
                fprintf(stderr, "twtuned: cannot enter the network namespace %s: %s\n", path,
                        r == -EINVAL  ? "it is not a network namespace"
                        : r == -EPERM ? "CAP_SYS_ADMIN or CAP_NET_ADMIN is missing"
                                      : strerror(-r));
        return r == 0 ? 0 : EX_TEMPFAIL;
}

bool privilege_is_netns(const char *path)
{
        struct stat ours, there;

        return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
               ours.st_ino == there.st_ino;
}
