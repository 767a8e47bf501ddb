/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/supervisor/title.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
        char *text;
        size_t size;
} room;

/* In memory the strings of the environment follow those of the arguments (fs/binfmt_elf.c:create_elf_tables). The
 * kernel reads on into them if the last byte of the arguments is not 0 (fs/proc/base.c:get_mm_cmdline). */
void title_prepare(char **argv)
{
        char *end = argv[0], *copy;

        for (char **a = argv; *a == end; a++)
                end += strlen(end) + 1;
        for (char **e = environ; *e && *e == end && (copy = strdup(*e)); e++) {
                end += strlen(end) + 1;
                *e = copy;
        }
        room.text = argv[0];
        room.size = (size_t)(end - argv[0]);
}

void title_set(const char *title)
{
        memset(room.text, 0, room.size);
        snprintf(room.text, room.size, "%s", title);
}
