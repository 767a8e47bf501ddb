/* SPDX-License-Identifier: MIT */
#pragma once

/* Files that a test reads, and a tree of files that it makes for itself. */

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (UINT32_C(1) << 20)

/* The whole text, for the caller to free. */
static inline char *file_read(const char *path)
{
        char *text = calloc(1, FILE_MAX);
        FILE *f = fopen(path, "r");

        ck_assert_msg(f != NULL, "%s cannot be read", path);
        ck_assert_uint_lt(fread(text, 1, FILE_MAX - 1, f), FILE_MAX - 1);
        fclose(f);
        return text;
}

static char root[PATH_MAX / 2]; /* of the tree */

static inline void tree_new(void)
{
        const char *directory = getenv("TMPDIR");

        snprintf(root, sizeof(root), "%s/twtuned-check-XXXXXX", directory ? directory : P_tmpdir);
        ck_assert_ptr_nonnull(mkdtemp(root));
}

static inline void tree_remove(void)
{
        char command[PATH_MAX];

        snprintf(command, sizeof(command), "rm -r '%s'", root);
        ck_assert_int_eq(system(command), 0);
}

/* A file below the root with that text, in place of what it was, and the directories above it. A text that begins with
 * "->": a link; NULL: a directory. */
static inline void tree_put(const char *path, const char *text)
{
        char full[PATH_MAX];
        FILE *f;

        snprintf(full, sizeof(full), "%s/%s", root, path);
        for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
                *p = 0;
                mkdir(full, 0755);
                *p = '/';
        }
        if (!text) {
                ck_assert_int_eq(mkdir(full, 0755), 0);
        } else if (strncmp(text, "->", 2) == 0) {
                ck_assert_int_eq(symlink(text + 2, full), 0);
        } else {
                f = fopen(full, "w");
                ck_assert_ptr_nonnull(f);
                fputs(text, f);
                ck_assert_int_eq(fclose(f), 0);
        }
}
