/* SPDX-License-Identifier: MIT */
#include "lib/apply/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

#define MAGIC "twtuned-ledger 1"
#define CHANGES "changes"
#define FIELDS_MIN 6u
#define FIELDS_MAX 7u
#define CHANGES_FIELDS 3u

static const char *const state_names[] = {
        [LEDGER_HELD] = "held",
        [LEDGER_RELEASED] = "released",
        [LEDGER_FOREIGN] = "theirs",
};

size_t ledger_format(const struct ledger *ledger, const struct ledger_owner *owner, char buf[static LEDGER_TEXT_MAX])
{
        char original[SYSCTL_TEXT_MAX], written[SYSCTL_TEXT_MAX], before[SYSCTL_TEXT_MAX];
        size_t n =
                (size_t)snprintf(buf, LEDGER_TEXT_MAX, MAGIC " %s %" PRIu64 "\n", owner->boot_id, owner->netns_cookie);

        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct ledger_entry *e = &ledger->entry[id];

                if (e->state == LEDGER_NONE)
                        continue;
                n += (size_t)snprintf(buf + n, LEDGER_TEXT_MAX - n, "%s\t%s\t%s\t%s\t%s\t%" PRIu64 "%s%s\n",
                                      sysctl_table[id].name, state_names[e->state],
                                      sysctl_format(&e->original, original), sysctl_format(&e->written, written),
                                      e->rule, e->at, e->before.n > 0 ? "\t" : "", sysctl_format(&e->before, before));
        }
        if (ledger->changes.at != 0)
                n += (size_t)snprintf(buf + n, LEDGER_TEXT_MAX - n, CHANGES "\t%" PRIu64 "\t%" PRIu64 "\n",
                                      ledger->changes.left, ledger->changes.at);
        return n + (size_t)snprintf(buf + n, LEDGER_TEXT_MAX - n, "end\n");
}

/* Splits a line in place. Returns how many fields it has, or 0: too many; those that are missing stay as they were. */
static unsigned line_split(char *line, char *field[static FIELDS_MAX])
{
        unsigned n = 0;

        for (char *p = line; p; n++) {
                char *tab = strchr(p, '\t');

                if (n == FIELDS_MAX)
                        return 0;
                if (tab)
                        *tab++ = 0;
                field[n] = p;
                p = tab;
        }
        return n;
}

static int field_parse(const char *text, uint64_t *ret)
{
        const char *end = number_parse(text, ret);

        return end && !*end ? 0 : -EBADMSG;
}

static enum ledger_state state_find(const char *name)
{
        for (unsigned i = LEDGER_HELD; i < ELEMENTSOF(state_names); i++)
                if (strcmp(state_names[i], name) == 0)
                        return (enum ledger_state)i;
        return LEDGER_NONE;
}

static int changes_parse(char *const field[static FIELDS_MAX], struct ledger_changes *ret)
{
        if (ret->at != 0 || field_parse(field[1], &ret->left) < 0 || field_parse(field[2], &ret->at) < 0)
                return -EBADMSG;
        return ret->at != 0 ? 0 : -EBADMSG;
}

static int entry_parse(char *const field[static FIELDS_MAX], struct ledger *ledger)
{
        struct ledger_entry e = {0};
        enum sysctl_id id;

        id = sysctl_find(field[0]);
        e.state = state_find(field[1]);
        if (id == SYSCTL_COUNT || e.state == LEDGER_NONE || sysctl_parse(id, field[2], &e.original) < 0 ||
            sysctl_parse(id, field[3], &e.written) < 0 || strlen(field[4]) >= sizeof(e.rule) ||
            (field[6] && sysctl_parse(id, field[6], &e.before) < 0) || ledger->entry[id].state != LEDGER_NONE)
                return -EBADMSG;
        strcpy(e.rule, field[4]);
        if (field_parse(field[5], &e.at) < 0)
                return -EBADMSG;
        ledger->entry[id] = e;
        return 0;
}

static int line_parse(char *line, struct ledger *ledger)
{
        char *field[FIELDS_MAX] = {NULL};
        unsigned n = line_split(line, field);

        if (n == CHANGES_FIELDS && strcmp(field[0], CHANGES) == 0)
                return changes_parse(field, &ledger->changes);
        return n >= FIELDS_MIN ? entry_parse(field, ledger) : -EBADMSG;
}

/* The next line, cut out in place; NULL when no whole line is left. */
static char *line_next(char **p)
{
        char *line = *p, *newline = strchr(line, '\n');

        if (!newline)
                return NULL;
        *newline = 0;
        *p = newline + 1;
        return line;
}

int ledger_parse(const char *text, const struct ledger_owner *owner, struct ledger *ret)
{
        char buf[LEDGER_TEXT_MAX], mine[128], *p = buf, *line;
        struct ledger ledger = {0};

        if (strlen(text) >= sizeof(buf))
                return -EBADMSG;
        strcpy(buf, text);
        line = line_next(&p);
        if (!line || strncmp(line, MAGIC " ", strlen(MAGIC " ")) != 0)
                return -EBADMSG;
        snprintf(mine, sizeof(mine), MAGIC " %s %" PRIu64, owner->boot_id, owner->netns_cookie);
        if (strcmp(line, mine) != 0)
                return -ESTALE;

        while ((line = line_next(&p)) && strcmp(line, "end") != 0)
                if (line_parse(line, &ledger) < 0)
                        return -EBADMSG;
        if (!line || *p)
                return -EBADMSG;
        *ret = ledger;
        return 0;
}

void ledger_note(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *original,
                 const struct sysctl_value *written, const char *rule, uint64_t now)
{
        struct ledger_entry *e = &ledger->entry[sysctl];

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                now = MAX(now, ledger->entry[id].at + 1);
        if (e->state != LEDGER_HELD)
                e->original = *original;
        e->before = e->state == LEDGER_HELD ? e->written : (struct sysctl_value){0};
        e->state = LEDGER_HELD;
        e->written = *written;
        e->at = now;
        snprintf(e->rule, sizeof(e->rule), "%s", rule);
}

bool ledger_is_ours(const struct ledger_entry *e, const struct sysctl_value *live)
{
        return sysctl_equal(live, &e->original) || sysctl_equal(live, &e->written) || sysctl_equal(live, &e->before);
}

enum sysctl_id ledger_last_held(const struct ledger *ledger, uint32_t except)
{
        enum sysctl_id last = SYSCTL_COUNT;

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state == LEDGER_HELD && !(except >> id & 1) &&
                    (last == SYSCTL_COUNT || ledger->entry[id].at >= ledger->entry[last].at))
                        last = id;
        return last;
}
