/* SPDX-License-Identifier: MIT */
/* The unit that the path of a cgroup names. */

#include <string.h>

#include "daemon/observe/cgroup.h"
#include "lib/kernel/snapshot.h"
#include "lib/util/macro.h"
#include "run.h"

_Static_assert(CGROUP_UNIT_MAX == SNAPSHOT_CULPRIT_MAX, "a whole name fits everywhere");

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define USER "/user.slice/user-1000.slice/user@1000.service"

static const struct {
        const char *path, *unit;
} rows[] = {
        {"/system.slice/nginx.service", "nginx.service"},
        {"/system.slice/nginx.service/worker/x.scope", "nginx.service"},
        {"/system.slice/system-a\\x2db.slice/a\\x2db@1.service", "a\\x2db@1.service"},
        {"/system.slice/docker-" HEX64 ".scope", "docker-" HEX64 ".scope"},
        {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
        {USER, "user@1000.service"},
        {USER "/init.scope", "user@1000.service/init.scope"},
        {USER "/app.slice/nginx.service", "user@1000.service/nginx.service"},
        {USER "/app.slice/user@0.service/nginx.service", "user@1000.service/user@0.service"},
        {USER "/x\033[2J\"nginx.service/y", "user@1000.service/x\\x1b\\x5b2J\\x22nginx.service"},
        {"/web.service/user@0.service/sshd.service", "web.service"},
        {"/docker/" HEX64, "/docker/" HEX64},
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

/* A walk that the budget forbids is no answer for later. */
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

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, a_path_names_a_unit, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, a_spent_budget_leaves_units_unknown_for_now);
}

int main(void)
{
        return run_suite("cgroup", add);
}
