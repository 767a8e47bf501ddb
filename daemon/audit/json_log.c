/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon/audit/json_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/util/json.h"

#define PRIORITY_OF_LINES "6" /* info: systemd's default for lines of stderr (systemd.exec(5), SyslogLevel=) */

static struct {
        bool on;
        bool cut;        /* the last write ended within an object */
        char line[8192]; /* what was printed since the last newline */
        size_t n;
} state;

/* Makes one write, so that lines of two processes do not mix. A nearly full pipe may take
 * only a part of a write of over PIPE_BUF bytes (pipe(7)): the next write ends that line first. */
static int put(struct json *json)
{
        struct iovec iov[] = {{(char *)"\n", state.cut}, {json->text, json->n}, {(char *)"\n", 1}};
        ssize_t all = (ssize_t)(state.cut + json->n + 1);
        ssize_t n = json->failed ? -1 : writev(STDERR_FILENO, iov, 3);

        json_free(json);
        if (n > 0)
                state.cut = n < all && n > state.cut;
        return n == all ? 0 : -EAGAIN;
}

static void put_line(void)
{
        static const char prefix[] = "twtuned: ";
        struct json json = {0};
        const char *line = state.line;

        state.line[state.n] = 0;
        state.n = 0;
        if (strncmp(line, prefix, strlen(prefix)) == 0)
                line += strlen(prefix);
        json_open_object(&json, NULL);
        json_add_text(&json, "PRIORITY", PRIORITY_OF_LINES);
        json_add_text(&json, "SYSLOG_IDENTIFIER", "twtuned");
        json_add_text(&json, "MESSAGE", line);
        json_close_object(&json);
        put(&json);
}

static ssize_t on_print(void *cookie, const char *text, size_t size)
{
        (void)cookie;
        for (size_t i = 0; i < size; i++) {
                if (text[i] != '\n')
                        state.line[state.n++] = text[i];
                if (text[i] == '\n' || state.n == sizeof(state.line) - 1)
                        put_line();
        }
        return (ssize_t)size;
}

void json_log_begin(void)
{
        FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = on_print});

        if (!f)
                return;
        setvbuf(f, NULL, _IOLBF, BUFSIZ);
        stderr = f;
        state.on = true;
}

bool json_log_is_on(void)
{
        return state.on;
}

int json_log_write(const struct audit_text *text)
{
        struct json json = {0};

        audit_text_add_json(text, &json);
        return put(&json);
}
