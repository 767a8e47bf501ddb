/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>

/* Messages are one call for all places: the code's own file and line would say nothing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* The ids are for ever: scripts and the catalog go by them. */
static const struct {
        const char *name;
        int priority;
        const char *message_id;
} kinds[EVENT_KIND_COUNT] = {
        [EVENT_APPLIED] = {"applied", LOG_NOTICE, "d84c9e582b45468a8cf93f4d7595cf06"},
        [EVENT_RELEASED] = {"released", LOG_NOTICE, "1f8f77a4667043ebb832e3129970f34a"},
        [EVENT_REFUSED] = {"refused", LOG_WARNING, "6a7f02e5005a436292bdffffc4783b94"},
        [EVENT_FAILED] = {"failed", LOG_ERR, "b162d3f6fe0d43a3ae1a8a2461b57762"},
        [EVENT_OVERRIDDEN] = {"overridden", LOG_WARNING, "bdeea48a54a3479d9f776fded41b5aca"},
        [EVENT_UNEXPECTED_EFFECT] = {"unexpected-effect", LOG_WARNING, "d77ff43321f74bbca578b7c746452cb1"},
        [EVENT_ABORTED] = {"aborted", LOG_WARNING, "5ea39eca3a284295b87e70509bb29efa"},
        [EVENT_ADVICE] = {"advice", LOG_WARNING, "3f0f2b8dd0a94a5c8a2b1e7a46b0c9d1"},
        [EVENT_HARMFUL] = {"harmful", LOG_WARNING, "af7dc5ddf29a4ec4a444ad5250532f0c"},
        [EVENT_DEGRADED] = {"degraded", LOG_WARNING, "c7710a994d9143d48a63ac8fe9ca9a8f"},
        [EVENT_RECOVERED] = {"recovered", LOG_NOTICE, "0d6db10567a64e36b5e71b69b7fb42d3"},
        [EVENT_CONFIG_LOADED] = {"config-loaded", LOG_INFO, "629e815ed4d24148a05296a8b62b80fa"},
        [EVENT_CONFIG_REJECTED] = {"config-rejected", LOG_ERR, "71e81a67c1dc462ebf63a6fcada03364"},
};

const char *event_kind_name(enum event_kind kind)
{
        return kinds[kind].name;
}

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

        snprintf(priority, sizeof(priority), "PRIORITY=%d", kinds[event->kind].priority);
        snprintf(id, sizeof(id), "MESSAGE_ID=%s", kinds[event->kind].message_id);
        snprintf(name, sizeof(name), "EVENT=%s", kinds[event->kind].name);
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
        fprintf(f, "%s: %s MESSAGE_ID=%s", kinds[event->kind].name, strchr(event->field[0], '=') + 1,
                kinds[event->kind].message_id);
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
