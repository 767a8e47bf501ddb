/* SPDX-License-Identifier: MIT */
#include "daemon/note.h"

#include <string.h>
#include <unistd.h>

#include "lib/util/macro.h"

void note_send(int fd, const char *text)
{
        struct note note = {.pid = getpid()};

        memcpy(note.text, text, MIN(strlen(text), sizeof(note.text) - 1));
        if (write(fd, &note, sizeof(note)) < 0)
                return;
}

bool note_take(int fd, struct note *ret)
{
        bool taken = read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);

        ret->text[sizeof(ret->text) - 1] = 0;
        return taken;
}
