/* SPDX-License-Identifier: MIT */
/* Which files of a directory are network namespaces. */

#include "daemon/supervisor/netns_scan.h"
#include "files.h"
#include "run.h"

static unsigned found;

static void count(void *user, const struct netns *netns)
{
        (void)user, (void)netns;
        found++;
}

/* Two of each kind, because any entry may be the last in the directory. */
START_TEST(an_entry_that_cannot_be_looked_at_hides_no_other)
{
        tree_new();
        tree_put("twtuned-check-loop1", "->twtuned-check-loop1");
        tree_put("twtuned-check-gone1", "->nowhere");
        tree_put("twtuned-check-a", "->/proc/self/ns/net");
        tree_put("twtuned-check-file", "");
        tree_put("twtuned-check-below-file", "->twtuned-check-file/net");
        tree_put("twtuned-check-directory", NULL);
        tree_put("twtuned-check-b", "->/proc/self/ns/net");
        tree_put("twtuned-check-loop2", "->twtuned-check-loop2");
        ck_assert_int_eq(netns_scan(root, "twtuned-check-*", count, NULL), 0);
        ck_assert_uint_eq(found, 2);
        tree_remove();
}
END_TEST

START_TEST(a_directory_that_cannot_be_read_is_an_error)
{
        tree_new();
        tree_put("file", "");
        strcat(root, "/file");
        ck_assert_int_lt(netns_scan(root, "twtuned-check-*", count, NULL), 0);
        *strrchr(root, '/') = 0;
        tree_remove();
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_test(tcase, an_entry_that_cannot_be_looked_at_hides_no_other);
        tcase_add_test(tcase, a_directory_that_cannot_be_read_is_an_error);
}

int main(void)
{
        return run_suite("netns_scan", add);
}
