/* SPDX-License-Identifier: MIT */
/* The names of for-unit, and which cgroups are theirs. */

#include <errno.h>
#include <string.h>

#include "lib/kernel/unit_names.h"
#include "lib/util/macro.h"
#include "run.h"

#define N50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define USER "/user.slice/user-1000.slice/user@1000.service"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
        const char *text, *name; /* NULL: invalid */
} parsed[] = {
        {"nginx", "nginx.service"},
        {"nginx.service", "nginx.service"},
        {"web@1", "web@1.service"},
        {"web@10.0.0.1.service", "web@10.0.0.1.service"},
        {"a\\x2db.service", "a\\x2db.service"},
        {"session-3.scope", "session-3.scope"},
        {"system.slice", "system.slice"},
        {"user@1000.service/app.service", "user@1000.service/app.service"},
        {"user@1000.service/app", "user@1000.service/app.service"},
        {"", NULL},
        {".service", NULL},
        {"-.slice", NULL},
        {"web@.service", NULL}, /* a template */
        {"web@", NULL},
        {"nginx.servcie", NULL},
        {"nginx.timer", NULL},
        {"nginx.service.", NULL},
        {"a b.service", NULL},
        {"a,b.service", NULL},
        {"a/b.service", NULL},
        {"app.service/user@1000.service", NULL},
        {"user@1000.service/app.slice", NULL},
        {"user@1000.service/", NULL},
        {"user@1000/app.service", NULL},
        {"user@1000.service/a/b.service", NULL},
        {"/system.slice", NULL},
        {"pod:0123", NULL},
        {"docker:0123456789ab", NULL},
        {N50 N50 N50 N50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 247 letters */
         N50 N50 N50 N50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.service"},
        {N50 N50 N50 N50 N50, NULL},
};

START_TEST(names_are_parsed)
{
        char name[CGROUP_UNIT_MAX] = "before";
        int r = unit_name_parse(parsed[_i].text, name);

        ck_assert_int_eq(r, parsed[_i].name ? 0 : -EINVAL);
        ck_assert_str_eq(name, parsed[_i].name ? parsed[_i].name : "before");
}
END_TEST

static struct unit_names names_of(const char *a, const char *b)
{
        struct unit_names names = {0};

        ck_assert_uint_eq(unit_names_add(&names, a), 0);
        ck_assert_uint_eq(unit_names_add(&names, b), 1);
        ck_assert_uint_eq(unit_names_add(&names, a), 0);
        return names;
}

static const struct {
        const char *path, *name;
        bool has;
} owners[] = {
        {"/system.slice/web.service", "web.service", true},
        {"/system.slice/web.service/worker", "web.service", true},
        {"/system.slice/web.service/a.service", "a.service", false}, /* it named that itself */
        {"/system.slice/web.service.d", "web.service", false},
        {"/system.slice/my-web.service", "web.service", false},
        {"/web.service", "web.service", true},
        {"/system.slice/system-web.slice/web@1.service", "web@1.service", true},
        {"/system.slice/system-web.slice/web@11.service", "web@1.service", false},
        {"/system.slice/web.service", "system.slice", true},
        {"/system.slice/system-web.slice/web@1.service/x", "system-web.slice", true},
        {"/system.slice", "system.slice", true},
        {"/my-system.slice/web.service", "system.slice", false},
        {"/system.slice/web.service/mine.slice", "mine.slice", false},
        {USER, "user@1000.service", true},
        {USER "/app.slice/app.service", "user@1000.service", true},
        {USER "/app.slice/app.service", "user@1000.service/app.service", true},
        {USER "/app.slice/app.service", "app.service", false}, /* any user can name one so */
        {USER "/app.slice/app.service", "app.slice", false},
        {USER "/app.slice/app.service", "user-1000.slice", true},
        {USER "/app.slice/app.service", "user@100.service", false},
        {"/kubepods.slice/kubepods-podx.slice/cri-containerd-" HEX64 ".scope", "kubepods-podx.slice", true},
};

START_TEST(a_path_is_of_a_unit)
{
        struct unit_names names = names_of("other.service", owners[_i].name);

        ck_assert_uint_eq(units_of_path(&names, owners[_i].path), owners[_i].has ? BIT(1) : 0);
}
END_TEST

START_TEST(units_are_below_slices_and_managers)
{
        struct unit_names names = names_of("web.service", "user@1000.service/app.service");

        ck_assert(units_may_be_below(&names, "system.slice"));
        ck_assert(units_may_be_below(&names, "docker"));
        ck_assert(units_may_be_below(&names, "user@1000.service"));
        ck_assert(!units_may_be_below(&names, "user@1001.service"));
        ck_assert(!units_may_be_below(&names, "web.service"));
        ck_assert(!units_may_be_below(&names, "session-3.scope"));
}
END_TEST

/* As a recording has them. */
START_TEST(a_text_has_units)
{
        struct unit_names names = names_of("web.service", "user@1000.service");
        char text[UNITS_TEXT_MAX];

        ck_assert_uint_eq(units_of_text(&names, ""), 0);
        ck_assert_uint_eq(units_of_text(&names, "my-web.service web.services"), 0);
        ck_assert_uint_eq(units_of_text(&names, "a.service web.service"), BIT(0));
        ck_assert_uint_eq(units_of_text(&names, "user@1000.service/app.service"), BIT(1));
        for (unsigned units = 0; units < 4; units++)
                ck_assert_uint_eq(units_of_text(&names, units_format(&names, units, text)), units);
        ck_assert_str_eq(text, "web.service user@1000.service");
}
END_TEST

START_TEST(a_full_set_takes_no_more)
{
        struct unit_names names = {0};
        char name[] = "a.service";

        for (unsigned i = 0; i < UNITS_MAX; i++) {
                name[0] = (char)('a' + i);
                ck_assert_uint_eq(unit_names_add(&names, name), i);
        }
        ck_assert_uint_eq(unit_names_add(&names, "z.service"), UNITS_MAX);
        ck_assert_uint_eq(unit_names_add(&names, "c.service"), 2);
}
END_TEST

/* Added in no order. */
START_TEST(cgroups_are_found)
{
        static struct unit_cgroups cgroups;

        for (unsigned i = 0; i < UNIT_CGROUPS_MAX; i++) {
                ck_assert_uint_eq(unit_cgroups_find(&cgroups, 1 + i * 37 % 256 * 2), 0);
                unit_cgroups_add(&cgroups, 1 + i * 37 % 256 * 2, 1 + i);
        }
        unit_cgroups_add(&cgroups, 2, 1); /* no room */
        for (unsigned i = 0; i < UNIT_CGROUPS_MAX; i++) {
                ck_assert_uint_eq(unit_cgroups_find(&cgroups, 1 + i * 37 % 256 * 2), 1 + i);
                ck_assert_uint_eq(unit_cgroups_find(&cgroups, 2 * i), 0);
        }
        ck_assert_uint_eq(unit_cgroups_find(&cgroups, UINT64_MAX), 0);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, names_are_parsed, 0, ELEMENTSOF(parsed));
        tcase_add_loop_test(tcase, a_path_is_of_a_unit, 0, ELEMENTSOF(owners));
        tcase_add_test(tcase, units_are_below_slices_and_managers);
        tcase_add_test(tcase, a_text_has_units);
        tcase_add_test(tcase, a_full_set_takes_no_more);
        tcase_add_test(tcase, cgroups_are_found);
}

int main(void)
{
        return run_suite("unit_names", add);
}
