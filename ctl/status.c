/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/client.h"
#include "ctl/description.h"
#include "ctl/now.h"
#include "ctl/terminal.h"

#define SCREEN_WIDTH 80
#define DAY (24 * 60 * 60) /* seconds */

/* ", last given back at 14:03", "... on Tue 14:03", "... on 2026-11-21" */
static void format_given_back(const json_t *d, char *buf, size_t size)
{
        time_t now = time(NULL), at = now - (time_t)number_of(d, "given_back_ago");
        struct tm tm, today;

        buf[0] = 0;
        if (!json_is_number(json_object_get(d, "given_back_ago")) || !localtime_r(&at, &tm) ||
            !localtime_r(&now, &today))
                return;
        strftime(buf, size,
                 now - at >= 6 * DAY           ? ", last given back on %F"
                 : tm.tm_yday != today.tm_yday ? ", last given back on %a %H:%M"
                                               : ", last given back at %H:%M",
                 &tm);
}

/* "healthy; changed something twice, last given back on Tue 14:03 (twtunectl history)" */
static void format_state(const json_t *d, char *buf, size_t size)
{
        static const char *const times[] = {"", "; changed something once", "; changed something twice"};
        unsigned changes = (unsigned)number_of(d, "changes_made");
        size_t n = (size_t)snprintf(buf, size, "%s", text_of(d, "status"));
        char date[40], count[48];

        format_given_back(d, date, sizeof(date));
        if (!has_text(d, "state", "healthy") || n >= size || (changes == 0 && !*date))
                return;
        snprintf(count, sizeof(count), "; changed something %u times", changes);
        snprintf(buf + n, size - n, "%s%s (twtunectl history)", changes < 3 ? times[changes] : count, date);
}

static void print_head(const json_t *d)
{
        enum colour colour = colour_of(text_of(d, "state"));
        const char *instance = text_of(d, "instance");
        char state[512], time[TIME_TEXT_MAX];
        int n;

        format_state(d, state, sizeof(state));
        print_coloured(colour, "%s", has_unicode() ? "●" : "*");
        n = printf(" twtuned%s%s %s, %s, up %s%s", *instance ? "@" : "", instance, text_of(d, "version"),
                   has_text(d, "mode", "observe") ? "observing" : "enforcing", time_text(number_of(d, "up"), time),
                   is_true(d, "recording") ? ", recording" : "");
        if ((size_t)n + strlen(state) + 3 <= SCREEN_WIDTH) {
                print_coloured(colour, ": %s", state);
                putchar('\n');
        } else {
                fputs("\n  ", stdout);
                print_broken(colour, state, 2, 2, TEXT_WIDTH_MIN);
        }
        if (!is_true(d, "paused"))
                return;
        printf("  paused    %s ago, ", time_text(number_of(d, "paused_since"), time));
        if (json_is_number(json_object_get(d, "paused_for")))
                printf("for %s more\n", time_text(number_of(d, "paused_for"), time));
        else
                puts("without an end");
}

static void print_all(const json_t *all)
{
        struct table table = {0};
        json_t *d;
        size_t i;

        json_array_foreach(all, i, d) {
                const char *instance = text_of(d, "instance");

                table_begin_row(&table);
                table_cell(&table, BOLD, "twtuned%s%s", *instance ? "@" : "", instance);
                table_cell(&table, PLAIN, "%s", text_of(d, "version"));
                table_cell(&table, PLAIN, "%s", text_of(d, "mode"));
                table_cell(&table, colour_of(text_of(d, "state")), "%s", text_of(d, "status"));
        }
        table_print(&table);
}

static int show_all(const struct options *o)
{
        json_auto_t *all = NULL;
        int status = describe_all(&all);
        json_t *d;
        size_t i;

        if (status != 0)
                return status;
        if (json_array_size(all) == 0)
                return complain(EXIT_NOT_RUNNING, "no twtuned is running");
        json_array_foreach(all, i, d)
                json_object_del(d, "config");
        if (o->json)
                return print_json(all);
        pager_open(o);
        print_all(all);
        return 0;
}

int command_status(const struct options *o)
{
        json_auto_t *d = NULL;
        int status;

        if (o->all)
                return show_all(o);
        status = describe_now(o->instance, &d);
        if (status != 0)
                return status;
        if (o->json) {
                json_object_del(d, "config");
                return print_json(d);
        }
        pager_open(o);
        print_head(d);
        print_failing(d);
        print_wrong(json_object_get(d, "advice"));
        print_changes(d);
        print_left_alone(d);
        print_to_do(d);
        print_fullest(d);
        print_closest(d);
        return 0;
}
