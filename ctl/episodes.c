/* SPDX-License-Identifier: MIT */
#include "ctl/episodes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/description.h"
#include "ctl/terminal.h"

static bool is_open(const json_t *episode)
{
        return json_is_null(json_object_get(episode, "end"));
}

/* Returns the number of the last episode of a rule; -1: it has none. */
static int find_last(const json_t *episodes, const char *rule)
{
        for (size_t i = json_array_size(episodes); i-- > 0;)
                if (has_text(json_array_get(episodes, i), "rule", rule))
                        return (int)i;
        return -1;
}

static int begin(json_t *episodes, const json_t *record)
{
        json_t *episode =
                json_pack("{s:s, s:f, s:n, s:{}, s:{}, s:n, s:n, s:n, s:n, s:i, s:b, s:n, s:n}", "rule",
                          text_of(record, "rule"), "begun", number_of(record, "time"), "ended", "sysctls", "held",
                          "destination", "systemd_unit", "metric", "peak", "steps", 0, "helped", 0, "end", "why");

        json_array_append_new(episodes, episode);
        return (int)json_array_size(episodes) - 1;
}

static void set_text(json_t *episode, const char *key, const char *text)
{
        if (*text && strcmp(text, "unknown") != 0)
                json_object_set_new(episode, key, json_string(text));
}

static void take_evidence(json_t *episode, const json_t *record)
{
        const char *value = text_of(record, "metricvalue");
        bool same = has_text(episode, "metric", text_of(record, "metric"));

        set_text(episode, "destination", text_of(record, "group"));
        set_text(episode, "systemd_unit", text_of(record, "culprit"));
        if (!*text_of(episode, "metric") || (same && strtod(value, NULL) > strtod(text_of(episode, "peak"), NULL))) {
                set_text(episode, "metric", text_of(record, "metric"));
                set_text(episode, "peak", value);
        }
        json_object_set_new(episode, "steps", json_integer((json_int_t)number_of(episode, "steps") + 1));
}

static void take_change(json_t *episode, const json_t *record)
{
        const char *sysctl = text_of(record, "sysctl");

        json_object_set_new(json_object_get(episode, "sysctls"), sysctl,
                            json_pack("{s:s, s:s, s:b}", "was", text_of(record, "originalvalue"), "now",
                                      text_of(record, "newvalue"), "would", has_text(record, "result", "would")));
        json_object_set_new(json_object_get(episode, "held"), sysctl, json_true());
}

/* The reason at the end of a message: "net.ipv4.x: 1 -> 2: REASON". */
static const char *reason_of(const json_t *record)
{
        const char *message = text_of(record, "message"), *arrow = strstr(message, " -> ");
        const char *colon = strstr(arrow ? arrow : message, ": ");

        return colon ? colon + 2 : message;
}

static void end_episode(json_t *episode, const json_t *record, const char *end, const char *why)
{
        json_object_set(episode, "ended", json_object_get(record, "time"));
        set_text(episode, "end", end);
        set_text(episode, "why", why);
}

/* Ends an episode once none of its sysctls is held. */
static void take_end(json_t *episode, const json_t *record)
{
        json_t *held = json_object_get(episode, "held");

        set_text(episode, "systemd_unit", text_of(record, "culprit"));
        json_object_del(held, text_of(record, "sysctl"));
        if (json_object_size(held) == 0)
                end_episode(episode, record, text_of(record, "event"), reason_of(record));
}

/* False for advice and for changes that were only observed: there is nothing to give back. */
static bool wrote(const json_t *episode)
{
        const char *name;
        json_t *sysctl;

        json_object_foreach((json_t *)json_object_get(episode, "sysctls"), name, sysctl)
                if (!is_true(sysctl, "would"))
                        return true;
        return false;
}

/* Some episodes end without a record of their own. Ends these if one of the fields below differs from its last value,
 * which is in seen. A daemon takes over the values that an earlier one wrote, but not its advice; a boot sets all
 * values anew; with another mode, all rules begin anew. */
static void end_forgotten(json_t *episodes, json_t *seen, const json_t *record)
{
        static const struct {
                const char *key, *why;
                bool also_written;
        } rows[] = {
                {"_boot_id", "the host was started again", true},
                {"_systemd_invocation_id", "twtuned was started again", false},
                {"mode", "the mode has changed", false},
        };
        json_t *episode;
        size_t i;

        for (unsigned k = 0; k < ELEMENTSOF(rows); k++) {
                const char *before = text_of(seen, rows[k].key), *now = text_of(record, rows[k].key);

                if (*before && *now && strcmp(before, now) != 0)
                        json_array_foreach(episodes, i, episode)
                                if (is_open(episode) && (rows[k].also_written || !wrote(episode)))
                                        end_episode(episode, record, "released", rows[k].why);
                set_text(seen, rows[k].key, now);
        }
}

/* True if the record makes a change that the episode only observed, or the other way round. Then the mode has changed;
 * the journal has no other record that ends the episode. */
static bool mode_changed(const json_t *episode, const json_t *record)
{
        const json_t *sysctl = json_object_get(json_object_get(episode, "sysctls"), text_of(record, "sysctl"));

        return sysctl && is_true(sysctl, "would") != has_text(record, "result", "would");
}

/* Returns the text for an event that ends an episode; NULL: the event ends none. */
static const char *end_text(const char *event)
{
        static const char *const texts[][2] = {
                {"released", "given back"},
                {"unexpected-effect", "did not help, put back"},
                {"aborted", "did harm, put back"},
                {"overridden", "changed by another program"},
                {"released-by-request", "released by request"},
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (strcmp(event, texts[i][0]) == 0)
                        return texts[i][1];
        return NULL;
}

/* Returns the number of the episode that a record belongs to; -1: none. */
static int take(json_t *episodes, const json_t *record)
{
        int last = find_last(episodes, text_of(record, "rule"));
        json_t *episode = json_array_get(episodes, (size_t)last);
        bool open = episode && is_open(episode), applied = has_text(record, "event", "applied");

        if (open && applied && mode_changed(episode, record)) {
                end_episode(episode, record, "released", "the mode has changed");
                open = false;
        }
        if (applied || has_text(record, "event", "advice")) {
                /* Advice belongs to an episode that ended less than 1 s before, unless by a release: the rule advises
                 * because its change did not help. */
                if (!applied && episode && !open && !has_text(episode, "end", "released") &&
                    number_of(record, "time") - number_of(episode, "ended") < 1)
                        return last;
                if (!open)
                        last = begin(episodes, record);
                episode = json_array_get(episodes, (size_t)last);
                take_evidence(episode, record);
                if (applied)
                        take_change(episode, record);
                return last;
        }
        if (!open)
                return -1;
        if (has_text(record, "event", "expected-effect")) {
                json_object_set_new(episode, "helped", json_true());
                set_text(episode, "systemd_unit", text_of(record, "culprit"));
                return last;
        }
        if (!end_text(text_of(record, "event")) || has_text(record, "result", "noted"))
                return -1;
        take_end(episode, record);
        return last;
}

json_t *episodes_of(json_t *records)
{
        json_auto_t *seen = json_object();
        json_t *episodes = json_array(), *record;
        size_t i;

        json_array_foreach(records, i, record) {
                int number;

                end_forgotten(episodes, seen, record);
                number = *text_of(record, "rule") ? take(episodes, record) : -1;
                if (number >= 0)
                        json_object_set_new(record, "episode", json_integer(number));
        }
        json_array_foreach(episodes, i, record)
                json_object_del(record, "held");
        return episodes;
}

/* ---- as text ---- */

static void write_what(FILE *f, const json_t *episode)
{
        const char *separator = "", *name;
        json_t *sysctl;

        json_object_foreach((json_t *)json_object_get(episode, "sysctls"), name, sysctl) {
                fprintf(f, "%s%s%s %s -> %s", separator, is_true(sysctl, "would") ? "would set " : "", name,
                        text_of(sysctl, "was"), text_of(sysctl, "now"));
                separator = ", ";
        }
        if (*separator == 0)
                fputs("advice", f);
}

/* Rounds both times down, so that the duration matches the whole seconds that history and journalctl(1) show. */
static void write_end(FILE *f, const json_t *episode)
{
        char time[TIME_TEXT_MAX];

        if (is_open(episode))
                fputs("; no end so far", f);
        else
                fprintf(f, "; %s after %s: %s", wrote(episode) ? end_text(text_of(episode, "end")) : "over",
                        time_text(floor(number_of(episode, "ended")) - floor(number_of(episode, "begun")), time),
                        text_of(episode, "why"));
}

char *episode_text(const json_t *episode)
{
        const char *destination = text_of(episode, "destination"), *unit = text_of(episode, "systemd_unit");
        double steps = number_of(episode, "steps");
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                exit(complain(EXIT_FAILURE, "out of memory"));
        write_what(f, episode);
        if (*destination || *unit)
                fprintf(f, ", for %s%s%s", destination, *destination && *unit ? ", " : "", unit);
        fprintf(f, "; at %s %s", text_of(episode, "metric"), text_of(episode, "peak"));
        if (steps > 1)
                fprintf(f, "; %.0f steps", steps);
        if (is_true(episode, "helped"))
                fputs("; helped", f);
        write_end(f, episode);
        if (fclose(f) != 0)
                exit(complain(EXIT_FAILURE, "out of memory"));
        return text;
}
