/* SPDX-License-Identifier: MIT */
#include "daemon/audit/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* Messages are one call for all places: the code's own file and line would say nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static void add(struct event *event, const char *name, const char *format, va_list args)
{
        char *field = event->field[event->n];
        size_t n = (size_t)snprintf(field, EVENT_FIELD_SIZE, "%s=", name);

        if (vsnprintf(field + n, EVENT_FIELD_SIZE - n, format, args) > 0)
                event->n++;
}

void event_begin(struct event *event, enum event_kind kind, const char *format, ...)
{
        va_list args;

        event->kind = kind;
        event->n = 0;
        va_start(args, format);
        add(event, "MESSAGE", format, args);
        va_end(args);
}

void event_add(struct event *event, const char *name, const char *format, ...)
{
        va_list args;

        if (event->n == EVENT_FIELDS_MAX)
                return;
        va_start(args, format);
        add(event, name, format, args);
        va_end(args);
}

const char *event_field(const struct event *event, const char *name)
{
        size_t n = strlen(name);

        for (unsigned i = 0; i < event->n; i++)
                if (strncmp(event->field[i], name, n) == 0 && event->field[i][n] == '=')
                        return event->field[i] + n + 1;
        return "";
}

/* systemd.exec(5): $JOURNAL_STREAM is "DEVICE:INODE" of the stream; a redirected stderr has others. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(2, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

static int write_journal(const struct event *event)
{
        struct iovec iov[EVENT_FIELDS_MAX + 4];
        char priority[16], id[64], name[64], identifier[] = "SYSLOG_IDENTIFIER=twtuned";
        char *const fixed[] = {priority, id, name, identifier};
        unsigned n = 0;

        snprintf(priority, sizeof(priority), "PRIORITY=%d", event_kinds[event->kind].priority);
        snprintf(id, sizeof(id), "MESSAGE_ID=%s", event_kinds[event->kind].message_id);
        snprintf(name, sizeof(name), "EVENT=%s", event_kinds[event->kind].name);
        for (unsigned i = 0; i < ELEMENTSOF(fixed); i++)
                iov[n++] = (struct iovec){fixed[i], strlen(fixed[i])};
        for (unsigned i = 0; i < event->n; i++)
                iov[n++] = (struct iovec){(char *)event->field[i], strlen(event->field[i])};
        return sd_journal_sendv(iov, (int)n);
}

/* NAME="with blanks" and NAME=without. */
static void print_field(const char *field, FILE *f)
{
        const char *value = strchr(field, '=') + 1;

        if (value[strcspn(value, " \t\"")] == 0)
                fprintf(f, " %s", field);
        else
                fprintf(f, " %.*s\"%s\"", (int)(value - field), field, value);
}

void event_print(const struct event *event, FILE *f)
{
        fprintf(f, "%s: %s MESSAGE_ID=%s", event_kinds[event->kind].name, strchr(event->field[0], '=') + 1,
                event_kinds[event->kind].message_id);
        for (unsigned i = 1; i < event->n; i++)
                print_field(event->field[i], f);
        fputc('\n', f);
}

/* main() makes stderr line buffered: an event is one write, so that lines of two processes do not mix. */
void event_write(const struct event *event)
{
        if (!stderr_is_journal() || write_journal(event) < 0)
                event_print(event, stderr);
}
