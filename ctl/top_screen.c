/* SPDX-License-Identifier: MIT */
#include "ctl/top.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/description.h"
#include "ctl/terminal.h"

#define VALUE_WIDTH 12u
#define NAME_WIDTH 28u
#define DESTINATION_WIDTH 34u
#define BAR_MIN 10u
#define MOST_WIDTH 13u
#define NUMBER_MAX 352u /* enough for DBL_MAX as text */
#define SECTION_MAX 5u  /* rules, destinations or sysctls; leaves room for the metrics */

#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

struct graph *screen_graph(struct screen *s, const char *name)
{
        for (unsigned i = 0; i < s->n_graphs; i++)
                if (strcmp(s->graph[i].name, name) == 0)
                        return &s->graph[i];
        if (s->n_graphs == GRAPHS_MAX)
                return NULL;
        snprintf(s->graph[s->n_graphs].name, sizeof(s->graph->name), "%s", name);
        return &s->graph[s->n_graphs++];
}

/* Returns true if the next line is on the screen. */
static bool line_begin(struct screen *s)
{
        s->used = 0;
        if (s->line++ < s->first || s->row + 1 >= s->rows) /* the last row explains the keys */
                return false;
        s->row++;
        return true;
}

static void line_end(void)
{
        fputs(REST_OF_LINE "\n", stdout);
}

static unsigned room(const struct screen *s)
{
        return s->columns - MIN(s->used, s->columns);
}

/* Prints as much of the text as the line has room for. */
static void _printf_(3, 4) put(struct screen *s, enum colour colour, const char *format, ...)
{
        char text[512];
        va_list args;
        size_t n;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        n = text_cut(text, room(s));
        print_coloured(colour, "%.*s", (int)n, text);
        s->used += (unsigned)n;
}

/* Draws a title, or how much is left out. */
static void draw_note(struct screen *s, const char *text)
{
        if (!line_begin(s))
                return;
        put(s, DIM, "%s", text);
        line_end();
}

static void draw_rule(struct screen *s, const json_t *rule)
{
        bool advice = json_array_size(json_object_get(rule, "levers")) == 0;

        put(s, advice ? YELLOW : GREEN, "%s %s", advice ? "!" : "*", text_of(rule, "name"));
        put(s, PLAIN, "  %s", text_of(rule, advice ? "advise" : "why"));
}

/* Prints a bar of width columns, of which a share (0 to 1) is filled, if the line has room for it. */
static void put_bar(struct screen *s, double share, unsigned width)
{
        unsigned full = (unsigned)(fmin(fmax(share, 0), 1) * width + 0.5);
        bool unicode = has_unicode();

        if (room(s) < width + 2)
                return;
        printf("[%s", colour_on(share >= 0.8 ? YELLOW : GREEN));
        for (unsigned i = 0; i < width; i++)
                fputs(i >= full ? " " : unicode ? "█" : "#", stdout);
        printf("%s]", colour_off(GREEN));
        s->used += width + 2;
}

static void draw_destination(struct screen *s, const json_t *d)
{
        double cliff = number_of(d, "ports.cliff");

        put(s, PLAIN, "%-*s ", (int)DESTINATION_WIDTH, text_of(d, "name"));
        put_bar(s, cliff / 100, MAX(BAR_MIN, s->columns / 6));
        put(s, PLAIN, " %.0f %% of %.0f; %.0f in use", cliff, number_of(d, "parity_limit"),
            number_of(d, "ports.used"));
        if (*text_of(d, "systemd_unit"))
                put(s, PLAIN, ", %s", text_of(d, "systemd_unit"));
}

static void draw_sysctl(struct screen *s, const json_t *sysctl)
{
        put(s, GREEN, "%s = %s", text_of(sysctl, "name"), text_of(sysctl, "value"));
        put(s, PLAIN, ", it was %s; rule %s", text_of(sysctl, "original"),
            json_string_value(json_array_get(json_object_get(sysctl, "rules"), 0)));
}

static bool is_active(const json_t *rule)
{
        return has_text(rule, "state", "active");
}

static bool is_changed(const json_t *sysctl)
{
        return has_text(sysctl, "owner", "twtuned") && json_array_size(json_object_get(sysctl, "rules")) > 0;
}

static void draw_item(struct screen *s, void (*draw)(struct screen *s, const json_t *item), const json_t *item)
{
        if (!line_begin(s))
                return;
        draw(s, item);
        line_end();
}

/* Draws the items that pass the filter (NULL: all), SECTION_MAX at most. */
static void draw_section(struct screen *s, const char *key, const char *title, bool (*filter)(const json_t *item),
                         void (*draw)(struct screen *s, const json_t *item))
{
        char rest[32];
        unsigned n = 0;
        json_t *item;
        size_t i;

        json_array_foreach(json_object_get(s->description, key), i, item) {
                if (filter && !filter(item))
                        continue;
                if (n == 0)
                        draw_note(s, title);
                if (n++ < SECTION_MAX)
                        draw_item(s, draw, item);
        }
        if (n > SECTION_MAX) {
                snprintf(rest, sizeof(rest), "  and %u more", n - SECTION_MAX);
                draw_note(s, rest);
        }
}

/* "3.2%"; bounded: "<= 4.0%" */
static const char *number_text(double number, bool bounded, const char *unit, char buf[static NUMBER_MAX])
{
        snprintf(buf, NUMBER_MAX, "%s%.*f%s", bounded ? "<= " : "", *unit && *unit != 'B', number, unit);
        return buf;
}

/* Likewise the value of a metric; "inf": infinite; "-": unknown. */
static const char *value_text(const json_t *metric, char buf[static NUMBER_MAX])
{
        const char *unit = text_of(metric, "unit");

        if (has_text(metric, "state", "valid") && !json_is_number(json_object_get(metric, "value")))
                return "inf";
        if (has_text(metric, "state", "valid"))
                return number_text(number_of(metric, "value"), false, unit, buf);
        if (json_is_number(json_object_get(metric, "upper")))
                return number_text(number_of(metric, "upper"), true, unit, buf);
        return "-";
}

static void draw_metric(struct screen *s, const json_t *metric)
{
        const struct graph *g = screen_graph(s, text_of(metric, "name"));
        char number[NUMBER_MAX];
        unsigned width;

        put(s, BOLD, "%*.*s", (int)VALUE_WIDTH, (int)VALUE_WIDTH, value_text(metric, number));
        put(s, PLAIN, " %-*s", (int)NAME_WIDTH, text_of(metric, "name"));
        if (g && room(s) > MOST_WIDTH + 4) {
                width = MIN(room(s) - MOST_WIDTH - 1, GRAPH_SAMPLES);
                printf(" %s", colour_on(GREEN));
                graph_print(g, width);
                printf("%s", colour_off(GREEN));
                s->used += width + 1;
                if (graph_most(g, width) > 0)
                        put(s, DIM, " %s",
                            number_text(graph_most(g, width), graph_has_bound(g, width), text_of(metric, "unit"),
                                        number));
        }
}

static const char *const first_metrics[] = {"tcp.time_wait", "tcp.established"};

bool is_always_shown(const char *metric)
{
        for (unsigned i = 0; i < ELEMENTSOF(first_metrics); i++)
                if (strcmp(metric, first_metrics[i]) == 0)
                        return true;
        return false;
}

static void draw_metrics(struct screen *s)
{
        const json_t *metrics = json_object_get(s->description, "metrics");
        json_t *metric;
        size_t i;

        draw_note(s, s->columns > 80 ? "METRICS: NOW, NAME, HISTORY, ITS MAXIMUM" : "METRICS");
        for (i = 0; i < ELEMENTSOF(first_metrics); i++)
                if (find_named(metrics, first_metrics[i]))
                        draw_item(s, draw_metric, find_named(metrics, first_metrics[i]));
        json_array_foreach(metrics, i, metric) {
                bool shown = has_text(metric, "state", "valid") || has_text(metric, "state", "bounded");

                if (shown && !is_always_shown(text_of(metric, "name")))
                        draw_item(s, draw_metric, metric);
        }
}

static void draw(struct screen *s)
{
        char seen[32] = "", title[96];

        s->line = 0;
        s->row = 1;
        s->used = 9;
        printf(HOME "twtuned: ");
        put(s, colour_of(text_of(s->description, "state")), "%s", text_of(s->description, "status"));
        line_end();
        draw_section(s, "rules", "RULES AND ADVICE", is_active, draw_rule);
        if (number_of(s->description, "destinations_seen") >= 1)
                snprintf(seen, sizeof(seen), ", %.0f s AGO", number_of(s->description, "destinations_seen"));
        snprintf(title, sizeof(title), "DESTINATIONS%s: PORTS THAT CONNECT() CANNOT TAKE", seen);
        draw_section(s, "destinations", title, NULL, draw_destination);
        draw_section(s, "sysctls", "CHANGED SYSCTLS", is_changed, draw_sysctl);
        draw_metrics(s);
        print_coloured(DIM, "%.*s", (int)s->columns - 1, "q quits, up and down scroll");
        fputs(REST_OF_LINE REST_OF_SCREEN, stdout);
}

void screen_draw(struct screen *s)
{
        draw(s);
        if (s->first >= s->line) { /* what was scrolled to is gone: show the last line */
                s->first = s->line - 1;
                draw(s);
        }
        fflush(stdout);
}
