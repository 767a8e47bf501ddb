/* SPDX-License-Identifier: MIT */
/* The unit that the path of a cgroup names. */

#include <string.h>

#include "daemon/now.h"
#include "daemon/observe/cgroup.h"
#include "lib/kernel/cgroup_tally.h"
#include "lib/kernel/snapshot.h"
#include "lib/util/macro.h"
#include "run.h"

_Static_assert(CGROUP_UNIT_MAX == SNAPSHOT_CULPRIT_MAX, "a whole name fits everywhere");

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
#define UID_ "1a2b3c4d_5e6f_7a8b_9c0d_1e2f3a4b5c6d"
#define BURSTABLE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"
#define ID "0123456789ab"
#define USER "/user.slice/user-1000.slice/user@1000.service"

static const struct {
        const char *path, *unit;
} rows[] = {
        {"/system.slice/nginx.service", "nginx.service"},
        {"/system.slice/nginx.service/worker/x.scope", "nginx.service"},
        {"/system.slice/system-a\\x2db.slice/a\\x2db@1.service", "a\\x2db@1.service"},
        {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
        {USER, "user@1000.service"},
        {USER "/init.scope", "user@1000.service/init.scope"},
        {USER "/app.slice/nginx.service", "user@1000.service/nginx.service"},
        {USER "/app.slice/user@0.service/nginx.service", "user@1000.service/user@0.service"},
        {USER "/x\033[2J\"nginx.service/y", "user@1000.service/x\\x1b\\x5b2J\\x22nginx.service"},
        {"/web.service/user@0.service/sshd.service", "web.service"},

        /* pods, with the systemd driver: burstable, guaranteed, best effort, static (the UID is a hash) */
        {BURSTABLE "/cri-containerd-" HEX64 ".scope", "pod:" UID "/containerd:" ID},
        {BURSTABLE "/cri-containerd-" HEX64 ".scope/worker.service", "pod:" UID "/containerd:" ID},
        {BURSTABLE "/crio-" HEX64 ".scope", "pod:" UID "/cri-o:" ID},
        {BURSTABLE "/crio-" HEX64 ".scope/container", "pod:" UID "/cri-o:" ID},
        {BURSTABLE "/docker-" HEX64 ".scope", "pod:" UID "/docker:" ID},
        {BURSTABLE, "pod:" UID},
        {"/kubepods/burstable/pod0123456789-abcdef0123456789abcdef012/x",
         "/kubepods/burstable/pod0123456789-abcdef0123456789abcdef012/x"},
        {"/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" HEX64 ".scope", "pod:" UID "/containerd:" ID},
        {"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" HEX64
         ".scope",
         "pod:" UID "/containerd:" ID},
        {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice/"
         "cri-containerd-" HEX64 ".scope",
         "pod:0123456789abcdef0123456789abcdef/containerd:" ID},
        /* kind */
        {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" UID_
         ".slice/cri-containerd-" HEX64 ".scope",
         "pod:" UID "/containerd:" ID},
        /* with the cgroupfs driver: the path does not say the runtime, but for CRI-O's */
        {"/kubepods/burstable/pod" UID "/" HEX64, "pod:" UID "/container:" ID},
        {"/kubepods/besteffort/pod" UID "/" HEX64, "pod:" UID "/container:" ID},
        {"/kubepods/pod" UID "/" HEX64, "pod:" UID "/container:" ID},
        {"/kubepods/pod" UID "/crio-" HEX64, "pod:" UID "/cri-o:" ID},
        {"/kubelet/kubepods/burstable/pod" UID "/" HEX64, "pod:" UID "/container:" ID},
        {"/kubepods/burstable/pod" UID, "pod:" UID},
        /* a containerd whose driver is not the kubelet's */
        {"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" HEX64,
         "pod:" UID "/containerd:" ID},
        {"/system.slice/containerd.service", "containerd.service"},
        {"/system.slice/containerd.service/x", "containerd.service"},
        /* what looks like a pod and is none */
        {"/kubepods/burstable/pod" UID "x/" HEX64, "/kubepods/burstable/pod" UID "x/" HEX64},
        {"/pod" UID "/" HEX64, "/pod" UID "/" HEX64},
        {"/kubepods.slice/kubepods-podx.slice/a.scope", "a.scope"},
        {"/kubepods.slice", "/kubepods.slice"},
        {USER BURSTABLE "/cri-containerd-" HEX64 ".scope", "user@1000.service/containerd:" ID},
        {"/system.slice/web.service" BURSTABLE "/cri-containerd-" HEX64 ".scope", "web.service"},
        {BURSTABLE "/cri-containerd-" HEX64 ".scope/kubepods/podffffffff-ffff-ffff-ffff-ffffffffffff/" HEX64,
         "pod:" UID "/containerd:" ID},

        /* docker */
        {"/system.slice/docker-" HEX64 ".scope", "docker:" ID},
        {"/docker/" HEX64, "docker:" ID},
        {"/docker/" HEX64 "/docker/ffff", "docker:" ID},
        {"/docker/" HEX64 "0", "/docker/" HEX64 "0"},
        {"/docker/0123456789ab", "/docker/0123456789ab"},
        {"/docker-" HEX64 ".scopes", "/docker-" HEX64 ".scopes"},
        {"/system.slice/docker.service", "docker.service"},
        {"/" HEX64, "/" HEX64},
        /* podman: as root, in a pod of its own, of a user, with cgroupfs, by a unit; the monitor of a container */
        {"/machine.slice/libpod-" HEX64 ".scope", "podman:" ID},
        {"/machine.slice/libpod-" HEX64 ".scope/container", "podman:" ID},
        {"/machine.slice/machine-libpod_pod_" HEX64 ".slice/libpod-" HEX64 ".scope/container", "podman:" ID},
        {USER "/user.slice/libpod-" HEX64 ".scope/container", "user@1000.service/podman:" ID},
        {"/libpod_parent/libpod-" HEX64, "podman:" ID},
        {"/system.slice/web.service/libpod-payload-" HEX64, "web.service"},
        {"/machine.slice/libpod-conmon-" HEX64 ".scope", "libpod-conmon-" HEX64 ".scope"},
        {"/kubepods.slice/crio-conmon-" HEX64 ".scope", "crio-conmon-" HEX64 ".scope"},

        {"/a b\n", "/a\\x20b\\x0a"},
        {"/.service", "/.service"},
        {"", ""},
};

START_TEST(a_path_names_a_unit)
{
        char unit[CGROUP_UNIT_MAX];

        cgroup_unit_of_path(rows[_i].path, unit);
        ck_assert_str_eq(unit, rows[_i].unit);
}
END_TEST

/* A unit that is unknown because the budget forbids a walk is looked for again later. */
START_TEST(a_spent_budget_leaves_units_unknown_for_now)
{
        static struct cgroup_cache cache;

        cache.budget = 0.01;
        cache.again_at = UINT64_MAX;
        ck_assert_str_eq(cgroup_unit(&cache, 7), "");
        ck_assert_uint_eq(cache.item[0].id, 0);
        cache.again_at = 0;
        ck_assert_str_eq(cgroup_unit(&cache, 7777777777), "");
        ck_assert_uint_eq(cache.item[0].id, 7777777777);
        ck_assert(cache.again_at > 0);
}
END_TEST

/* A tick that has to name two units names both; then no walk is made until the budget allows one. */
START_TEST(a_second_walk_goes_into_debt)
{
        static struct cgroup_cache cache;
        uint64_t again_at;

        cache.budget = 0.01;
        cgroup_unit(&cache, 7777777777);
        cache.again_at = again_at = now_ns() + NSEC_PER_SEC;
        cgroup_unit(&cache, 8888888888);
        ck_assert_uint_eq(cache.item[1].id, 8888888888);
        ck_assert_uint_gt(cache.again_at, again_at);
        cache.again_at = now_ns() + 3 * NSEC_PER_SEC;
        cgroup_unit(&cache, 9999999999);
        ck_assert_uint_eq(cache.item[2].id, 0);
}
END_TEST

/* More cgroups than there is room for: the one with the most stays, and each new one takes one from every count. */
START_TEST(a_tally_keeps_who_has_most)
{
        struct cgroup_tally tally = {0};

        ck_assert_uint_eq(cgroup_tally_most(&tally), 0);
        for (uint64_t id = 1; id <= CGROUP_TALLY_MAX; id++)
                cgroup_tally_add(&tally, id);
        for (unsigned i = 0; i < 10; i++)
                cgroup_tally_add(&tally, 7);
        ck_assert_uint_eq(cgroup_tally_most(&tally), 7);
        cgroup_tally_add(&tally, 1000); /* all with one socket are dropped, and so is this one */
        ck_assert_uint_eq(tally.n, 1);
        ck_assert_uint_eq(cgroup_tally_most(&tally), 7);
        cgroup_tally_add(&tally, 1000);
        ck_assert_uint_eq(tally.n, 2);
}
END_TEST

START_TEST(a_tally_counts_a_new_one_from_the_start)
{
        struct cgroup_tally tally = {0};

        for (uint64_t id = 1; id < CGROUP_TALLY_MAX; id++)
                cgroup_tally_add(&tally, id);
        for (unsigned i = 0; i < 1000; i++)
                cgroup_tally_add(&tally, 100);
        for (uint64_t id = 101; id <= 103; id++) /* the first of them takes one from every count */
                cgroup_tally_add(&tally, id);
        ck_assert_uint_eq(tally.n, 3);
        ck_assert_uint_eq(cgroup_tally_most(&tally), 100);
        ck_assert_uint_eq(tally.item[0].sockets, 999);
        ck_assert_uint_eq(tally.item[1].sockets, 1);
        ck_assert_uint_eq(tally.item[2].sockets, 1);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, a_path_names_a_unit, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, a_spent_budget_leaves_units_unknown_for_now);
        tcase_add_test(tcase, a_second_walk_goes_into_debt);
        tcase_add_test(tcase, a_tally_keeps_who_has_most);
        tcase_add_test(tcase, a_tally_counts_a_new_one_from_the_start);
}

int main(void)
{
        return run_suite("cgroup", add);
}
