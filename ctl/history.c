/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "ctl/description.h"
#include "ctl/episodes.h"
#include "ctl/terminal.h"
#include "lib/audit/text.h"
#include "lib/util/safe.h"

#define UNIT_NAME_MAX 256
#define DATE_TEXT_MAX 64
#define TITLE_MAX 320
#define INDENT 2u
#define RECORD_COLUMN 40u /* where the message begins, after the date and the event */

/* clang-format off */
static const char *const field_names[] = {
        "EVENT",  "MESSAGE", "SYSCTL",      "OLDVALUE",  "NEWVALUE", "ORIGINALVALUE",
        "RULE",   "METRIC",  "METRICVALUE", "THRESHOLD", "GROUP",    "CULPRIT",
        "ADVICE", "RESULT",  "ERRNO",       "NETNS",     "REQUESTER",
        "_BOOT_ID", "_SYSTEMD_INVOCATION_ID", "MODE", /* for episodes_of() */
};
/* clang-format on */

/* True if the date is in the calendar and after 1969. strptime() accepts day 31 of every month, and second 60;
 * timegm() changes these, and nothing else, as in UTC no day lacks an hour. */
static bool date_exists(struct tm tm)
{
        struct tm real = tm;

        timegm(&real);
        return tm.tm_year >= 70 && real.tm_mday == tm.tm_mday && real.tm_sec == tm.tm_sec;
}

/* Parses "2h" (before now), "10:00" (of today), "today", "yesterday", "2026-11-21 10:00:00" and its shorter forms, in
 * local time, into a Unix time in us. Returns 0 or -EINVAL. */
static int parse_since(const char *text, uint64_t *ret_usec)
{
        static const char *const formats[] = {
                "%H:%M", "today", "yesterday", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d",
        };
        time_t now = time(NULL);
        uint64_t ns;

        if (duration_of_person(text, &ns) == 0) {
                *ret_usec = (uint64_t)now * 1000000 - MIN(ns / 1000, (uint64_t)now * 1000000);
                return 0;
        }
        for (unsigned i = 0; i < ELEMENTSOF(formats); i++) {
                const char *end;
                struct tm tm;

                localtime_r(&now, &tm);
                tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
                end = strptime(text, formats[i], &tm);
                if (!end || *end || !date_exists(tm))
                        continue;
                tm.tm_mday -= text[0] == 'y'; /* mktime() makes day 0 the last day of the month before */
                tm.tm_isdst = -1;
                *ret_usec = (uint64_t)MAX(mktime(&tm), 0) * 1000000;
                return 0;
        }
        return -EINVAL;
}

/* Matches our MESSAGE_IDs and our units: any program may log such an id, but only journald sets _SYSTEMD_UNIT
 * (systemd.journal-fields(7)). Returns 0 or a negative errno. */
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

/* The text of a field of the current entry, safe to print; "" if it has none. Valid until the next call. */
static const char *field(sd_journal *journal, const char *name)
{
        static char text[AUDIT_TEXT_SIZE], safe[4 * AUDIT_TEXT_SIZE]; /* a byte that is not safe becomes four */
        size_t length, n = strlen(name) + 1;
        const void *data;

        text[0] = 0;
        if (sd_journal_get_data(journal, name, &data, &length) >= 0 && length >= n)
                snprintf(text, sizeof(text), "%.*s", (int)(length - n), (const char *)data + n);
        return safe_text(text, safe, sizeof(safe));
}

static enum colour event_colour(const char *event)
{
        if (strcmp(event, "applied") == 0 || strcmp(event, "released") == 0)
                return GREEN;
        if (strcmp(event, "failed") == 0)
                return RED;
        return strncmp(event, "config-", strlen("config-")) == 0 ? DIM : YELLOW;
}

static const char *date_text(double time, char buf[static DATE_TEXT_MAX])
{
        time_t seconds = (time_t)time;
        struct tm tm;

        localtime_r(&seconds, &tm);
        strftime(buf, DATE_TEXT_MAX, "%F %T", &tm);
        return buf;
}

static void print_record(const json_t *record)
{
        const char *event = has_text(record, "result", "would") ? "would-set" : text_of(record, "event");
        char date[DATE_TEXT_MAX];

        printf("%s ", date_text(number_of(record, "time"), date));
        print_coloured(event_colour(event), "%-19s", event);
        putchar(' ');
        print_wrapped_from(text_of(record, "message"), RECORD_COLUMN, INDENT);
}

static void print_episode(const json_t *episode)
{
        char title[TITLE_MAX], date[DATE_TEXT_MAX];
        char *text = episode_text(episode);

        snprintf(title, sizeof(title), "%s %s", date_text(number_of(episode, "begun"), date),
                 text_of(episode, "rule"));
        print_item(0, BOLD, title, text);
        free(text);
}

/* The records that get a line: the first of each episode, which gets the line of the whole episode, and those that
 * belong to no episode, except for reports of normal operation. The caller owns the array. */
static json_t *lines_of(const json_t *records)
{
        json_t *lines = json_array(), *record;
        json_int_t shown = -1; /* the last episode that has a line */
        size_t i;

        json_array_foreach(records, i, record) {
                const json_t *episode = json_object_get(record, "episode");
                bool normal = has_text(record, "event", "config-loaded") || has_text(record, "event", "recovered");

                if (episode ? json_integer_value(episode) <= shown : normal)
                        continue;
                if (episode)
                        shown = json_integer_value(episode);
                json_array_append(lines, record);
        }
        return lines;
}

/* Removes all but the last n items; 0: removes none. */
static void keep_last(json_t *list, uint64_t n)
{
        while (n > 0 && json_array_size(list) > n)
                json_array_remove(list, 0);
}

/* Prints a line for each record: that of its episode, or its own if it belongs to none or episodes is NULL. */
static void print_lines(const json_t *lines, const json_t *episodes)
{
        json_t *record;
        size_t i;

        json_array_foreach(lines, i, record) {
                const json_t *episode = json_object_get(record, "episode");

                if (episode && episodes)
                        print_episode(json_array_get(episodes, (size_t)json_integer_value(episode)));
                else
                        print_record(record);
        }
}

static void append_entry(sd_journal *journal, uint64_t usec, json_t *list)
{
        json_t *entry = json_object();
        char key[32];

        json_object_set_new(entry, "time", json_real((double)usec / 1e6));
        for (unsigned i = 0; i < ELEMENTSOF(field_names); i++) {
                const char *name = field_names[i], *text = field(journal, name);
                size_t n = 0;

                for (; name[n]; n++)
                        key[n] = (char)tolower((unsigned char)name[n]);
                key[n] = 0;
                if (*text)
                        json_object_set_new(entry, key, json_string(text));
        }
        json_array_append_new(list, entry);
}

static void show_entries(sd_journal *journal, const struct options *o)
{
        json_auto_t *records = json_array(), *episodes = NULL, *lines = NULL;
        uint64_t usec;
        int r;

        while ((r = sd_journal_next(journal)) > 0)
                if (sd_journal_get_realtime_usec(journal, &usec) >= 0)
                        append_entry(journal, usec, records);
        if (r < 0)
                complain(0, "the journal cannot be read to its end: %s", strerror(-r));
        episodes = episodes_of(records);
        lines = o->json || o->verbose ? json_incref(records) : lines_of(records);
        keep_last(lines, o->lines);
        if (o->json)
                print_json(lines);
        else
                print_lines(lines, o->verbose ? NULL : episodes);
        if (json_array_size(lines) == 0 && json_array_size(records) > 0)
                puts("nothing was changed and nothing advised in this time; -v shows the other records");
        if (json_array_size(records) == 0)
                complain(0, geteuid() == 0
                                    ? "the journal has no entry of twtuned for this time"
                                    : "no entry that you may read; root and the group systemd-journal may read all");
}

int command_history(const struct options *o)
{
        _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
        uint64_t since = 0;
        int r;

        if (o->since && parse_since(o->since, &since) < 0)
                return complain(EX_USAGE,
                                "invalid time '%s': write 2h, 10:00, today, 2026-11-21 or \"2026-11-21 10:00\"",
                                o->since);
        r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = match_events(journal, o->instance);
        if (r >= 0)
                r = o->since ? sd_journal_seek_realtime_usec(journal, since) : sd_journal_seek_head(journal);
        if (r < 0)
                return complain(EXIT_FAILURE, "cannot read the journal: %s", strerror(-r));
        if (!o->json)
                pager_open(o);
        show_entries(journal, o);
        return 0;
}
