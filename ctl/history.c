/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "ctl/show.h"
#include "lib/audit/record.h"
#include "lib/util/units.h"

#define FIELD_MAX 1024
#define UNIT_NAME_MAX 256

static const char *const field_names[] = {
        "EVENT",       "MESSAGE",   "SYSCTL", "OLDVALUE", "NEWVALUE", "ORIGINALVALUE", "RULE",  "METRIC",
        "METRICVALUE", "THRESHOLD", "GROUP",  "CULPRIT",  "ADVICE",   "RESULT",        "ERRNO", "NETNS",
};

/* "2h", "today", "yesterday", "2026-11-21 10:00:00" and shorter, in local time. 0, or -1. */
static int parse_since(const char *text, uint64_t *ret_usec)
{
        static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
        time_t now = time(NULL);
        struct tm day, tm;
        uint64_t ns;

        if (duration_parse(text, &ns) == 0) {
                *ret_usec = (uint64_t)now * 1000000 - MIN(ns / 1000, (uint64_t)now * 1000000);
                return 0;
        }
        localtime_r(&now, &day);
        day.tm_hour = day.tm_min = day.tm_sec = 0;
        day.tm_isdst = -1;
        if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
                day.tm_mday -= text[0] == 'y';
                *ret_usec = (uint64_t)mktime(&day) * 1000000;
                return 0;
        }
        for (unsigned i = 0; i < ELEMENTSOF(formats); i++) {
                const char *end;

                tm = (struct tm){.tm_isdst = -1};
                end = strptime(text, formats[i], &tm);
                if (end && *end == 0) {
                        *ret_usec = (uint64_t)mktime(&tm) * 1000000;
                        return 0;
                }
        }
        return -1;
}

/* Any program may write these ids into the journal; of which unit it is, only journald says. */
static int match_events(sd_journal *journal, const char *instance)
{
        static const char *const units[] = {"twtuned", "twtuned-restore"};
        char match[UNIT_NAME_MAX];
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < AUDIT_KIND_COUNT; i++) {
                snprintf(match, sizeof(match), "MESSAGE_ID=%s", audit_kinds[i].message_id);
                r = sd_journal_add_match(journal, match, 0);
        }
        for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(units); i++) {
                snprintf(match, sizeof(match), "_SYSTEMD_UNIT=%s%s%s.service", units[i], instance ? "@" : "",
                         instance ? instance : "");
                r = sd_journal_add_match(journal, match, 0);
        }
        return r;
}

/* The text of a field of the entry at hand; "" where it has none. */
static const char *field(sd_journal *journal, const char *name, char buf[static FIELD_MAX])
{
        size_t length, n = strlen(name) + 1;
        const void *data;

        buf[0] = 0;
        if (sd_journal_get_data(journal, name, &data, &length) >= 0 && length >= n)
                snprintf(buf, FIELD_MAX, "%.*s", (int)(length - n), (const char *)data + n);
        return buf;
}

static void print_entry(sd_journal *journal, uint64_t usec)
{
        char event[FIELD_MAX], message[FIELD_MAX], culprit[FIELD_MAX], date[64];
        time_t seconds = (time_t)(usec / 1000000);
        enum colour colour;
        struct tm tm;
        bool named;

        localtime_r(&seconds, &tm);
        strftime(date, sizeof(date), "%F %T", &tm);
        field(journal, "EVENT", event);
        colour = strcmp(event, "applied") == 0 || strcmp(event, "released") == 0 ? GREEN
                 : strcmp(event, "failed") == 0                                  ? RED
                 : strncmp(event, "config-", 7) == 0                             ? DIM
                                                                                 : YELLOW;
        field(journal, "CULPRIT", culprit);
        named = *culprit && strcmp(culprit, "unknown") != 0;
        printf("%s %s%-17s%s %s%s%s%s\n", date, colour_on(colour), event, colour_off(colour),
               field(journal, "MESSAGE", message), named ? " (" : "", named ? culprit : "", named ? ")" : "");
}

static void append_entry(sd_journal *journal, uint64_t usec, json_t *list)
{
        json_t *entry = json_object();
        char text[FIELD_MAX], key[32];

        json_object_set_new(entry, "time", json_real((double)usec / 1e6));
        for (unsigned i = 0; i < ELEMENTSOF(field_names); i++) {
                const char *name = field_names[i];
                size_t n = 0;

                for (; name[n]; n++)
                        key[n] = (char)tolower((unsigned char)name[n]);
                key[n] = 0;
                if (*field(journal, name, text))
                        json_object_set_new(entry, key, json_string(text)); /* left out where it is no UTF-8 */
        }
        json_array_append_new(list, entry);
}

static void show_entries(sd_journal *journal, const struct options *o)
{
        json_t *list = o->json ? json_array() : NULL;
        unsigned n = 0;
        uint64_t usec;

        for (; sd_journal_next(journal) > 0; n++) {
                if (sd_journal_get_realtime_usec(journal, &usec) < 0)
                        continue;
                if (list)
                        append_entry(journal, usec, list);
                else
                        print_entry(journal, usec);
        }
        if (list)
                print_json(list);
        json_decref(list);
        if (n == 0 && geteuid() != 0)
                fputs("twtunectl: nothing that you may read; root, and the group systemd-journal, may read all\n",
                      stderr);
}

int show_history(const struct options *o, char **args)
{
        sd_journal *journal = NULL;
        uint64_t since = 0;
        int r;

        (void)args;
        if (o->since && parse_since(o->since, &since) < 0)
                return complain(EX_USAGE, "'%s' is no time: write 2h, today, 2026-11-21 or \"2026-11-21 10:00\"",
                                o->since);
        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = match_events(journal, o->instance);
        if (r >= 0)
                r = o->since ? sd_journal_seek_realtime_usec(journal, since) : sd_journal_seek_head(journal);
        if (r >= 0) {
                if (!o->json)
                        pager_open(o);
                show_entries(journal, o);
        }
        sd_journal_close(journal);
        return r < 0 ? complain(EXIT_FAILURE, "cannot read the journal: %s", strerror(-r)) : 0;
}
