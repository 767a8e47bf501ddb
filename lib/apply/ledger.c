/* SPDX-License-Identifier: MIT */
#include "lib/apply/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/macro.h"
#include "lib/util/units.h"

#define MAGIC "twtuned-ledger "
#define VERSION 2u
#define NETNS "netns"
#define CHANGES "changes"
#define FIELDS_MAX 9u
#define BOOT_ID_LENGTH 36u /* of /proc/sys/kernel/random/boot_id */

static const char *const state_names[] = {
        [LEDGER_HELD] = "held",
        [LEDGER_RELEASED] = "released",
        [LEDGER_FOREIGN] = "theirs",
};

uint32_t ledger_checksum(const char *text, size_t n)
{
        uint32_t crc = UINT32_MAX;

        for (size_t i = 0; i < n; i++) {
                crc ^= (unsigned char)text[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
        return ~crc;
}

/* ---- to text ---- */

struct text {
        char *buf;
        size_t n;
};

static void _printf_(2, 3) put(struct text *t, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        t->n += (size_t)vsnprintf(t->buf + t->n, LEDGER_TEXT_MAX - t->n, format, args);
        va_end(args);
}

static void put_value(struct text *t, const struct sysctl_value *value)
{
        char text[SYSCTL_TEXT_MAX];

        put(t, "\t%s", value->n > 0 ? sysctl_format(value, text) : "-");
}

static void put_netns(struct text *t, const char *name)
{
        if (!*name)
                return;
        put(t, NETNS "\t");
        for (; *name; name++)
                put(t, *name > ' ' && *name <= '~' && *name != '\\' ? "%c" : "\\x%02x", (unsigned char)*name);
        put(t, "\n");
}

static void put_entry(struct text *t, const char *name, const struct ledger_entry *e)
{
        put(t, "%s\t%s", name, state_names[e->state]);
        put_value(t, &e->original);
        put_value(t, &e->written);
        put(t, "\t%s\t%" PRIu64, e->rule, e->at);
        put_value(t, &e->before);
        if (e->file_unknown)
                put(t, "\t?");
        else
                put_value(t, &e->file);
        put(t, "\t%" PRIu64 "%s\n", e->hand_at, e->more);
}

size_t ledger_format(const struct ledger *ledger, const struct ledger_owner *owner, char buf[static LEDGER_TEXT_MAX])
{
        const struct ledger_changes *changes = &ledger->changes;
        struct text t = {.buf = buf};

        put(&t, MAGIC "%u %s %" PRIu64 "\n", VERSION, owner->boot_id, owner->netns_cookie);
        put_netns(&t, owner->netns);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                if (ledger->entry[id].state != LEDGER_NONE)
                        put_entry(&t, sysctl_table[id].name, &ledger->entry[id]);
        if (changes->at != 0)
                put(&t, CHANGES "\t%" PRIu64 "\t%" PRIu64 "%s\n", changes->left, changes->at, changes->more);
        put(&t, "%s", ledger->unknown);
        put(&t, "end\t%08" PRIx32 "\n", ledger_checksum(buf, t.n));
        return t.n;
}

/* ---- from text ---- */

/* A line that was split in place at its first tabs. */
struct line {
        unsigned n;
        char *field[FIELDS_MAX];
        char more[LEDGER_MORE_MAX]; /* the fields after those, each with the tab before it */
};

static int line_split(char *text, unsigned max, struct line *ret)
{
        char *p = text;

        *ret = (struct line){0};
        while (p && ret->n < max) {
                ret->field[ret->n++] = p;
                p = strchr(p, '\t');
                if (p && ret->n < max)
                        *p++ = 0;
        }
        if (!p)
                return 0;
        if (strlen(p) >= sizeof(ret->more))
                return -EPROTONOSUPPORT;
        strcpy(ret->more, p);
        *p = 0;
        return 0;
}

static int value_field(enum sysctl_id id, const char *text, struct sysctl_value *ret)
{
        return strcmp(text, "-") == 0 ? 0 : sysctl_parse(id, text, ret);
}

static enum ledger_state state_find(const char *name)
{
        for (unsigned i = LEDGER_HELD; i < ELEMENTSOF(state_names); i++)
                if (strcmp(state_names[i], name) == 0)
                        return (enum ledger_state)i;
        return LEDGER_NONE;
}

static int changes_parse(char *text, unsigned version, struct ledger_changes *ret)
{
        struct line line;
        int r = line_split(text, 3, &line);

        if (r < 0)
                return r;
        if (ret->at != 0 || line.n < 3 || whole_number_parse(line.field[1], &ret->left) < 0 ||
            whole_number_parse(line.field[2], &ret->at) < 0 || ret->at == 0 || (version == 1 && line.more[0]))
                return -EBADMSG;
        memcpy(ret->more, line.more, sizeof(ret->more));
        return 0;
}

/* Parses the fields after the time, as version 2 has them. */
static int fields_parse(const struct line *line, enum sysctl_id id, struct ledger_entry *e)
{
        e->file_unknown = strcmp(line->field[7], "?") == 0;
        memcpy(e->more, line->more, sizeof(e->more));
        if (value_field(id, line->field[6], &e->before) < 0 ||
            (!e->file_unknown && value_field(id, line->field[7], &e->file) < 0))
                return -EBADMSG;
        return whole_number_parse(line->field[8], &e->hand_at);
}

static int entry_parse(char *text, unsigned version, enum sysctl_id id, struct ledger *ledger)
{
        struct ledger_entry e = {.file_unknown = version == 1};
        struct line line;
        int r = line_split(text, FIELDS_MAX, &line);

        if (r < 0)
                return r;
        if (version == 1 ? line.n < 6 || line.n > 7 : line.n < FIELDS_MAX)
                return -EBADMSG;
        e.state = state_find(line.field[1]);
        if (sysctl_table[id].never || e.state == LEDGER_NONE || sysctl_parse(id, line.field[2], &e.original) < 0 ||
            sysctl_parse(id, line.field[3], &e.written) < 0 || strlen(line.field[4]) >= sizeof(e.rule) ||
            whole_number_parse(line.field[5], &e.at) < 0 || ledger->entry[id].state != LEDGER_NONE)
                return -EBADMSG;
        strcpy(e.rule, line.field[4]);
        r = version > 1 ? fields_parse(&line, id, &e) : line.n > 6 ? sysctl_parse(id, line.field[6], &e.before) : 0;
        if (r < 0)
                return -EBADMSG;
        ledger->entry[id] = e;
        return 0;
}

static int unknown_keep(const char *text, struct ledger *ledger)
{
        size_t n = strlen(ledger->unknown), room = sizeof(ledger->unknown) - n;

        return (size_t)snprintf(ledger->unknown + n, room, "%s\n", text) < room ? 0 : -EPROTONOSUPPORT;
}

static int line_parse(char *text, unsigned version, struct ledger *ledger)
{
        size_t n = strcspn(text, "\t");
        enum sysctl_id id;
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)MIN(n, sizeof(name)), text);
        id = sysctl_find(name);
        if (id != SYSCTL_COUNT)
                return entry_parse(text, version, id, ledger);
        if (strcmp(name, CHANGES) == 0)
                return changes_parse(text, version, &ledger->changes);
        if (version == 1)
                return -EBADMSG;
        return strcmp(name, NETNS) == 0 ? 0 : unknown_keep(text, ledger); /* netns is written anew */
}

/* Returns the version in the header; 0: it is no header. */
static uint64_t version_of(const char *text)
{
        const char *end;
        uint64_t version;

        if (strncmp(text, MAGIC, strlen(MAGIC)) != 0)
                return 0;
        end = number_parse(text + strlen(MAGIC), &version);
        return end && *end == ' ' ? version : 0;
}

/* Returns 0; -ESTALE: a good header of another boot; -EBADMSG: damaged. The file is named by the cookie, so another
 * cookie in it means damage. */
static int header_check(const char *text, const struct ledger_owner *owner)
{
        const char *boot_id = strchr(text + strlen(MAGIC), ' ') + 1, *cookie = strchr(boot_id, ' ');
        size_t n = cookie ? (size_t)(cookie - boot_id) : 0;
        uint64_t number;

        if (n == 0 || whole_number_parse(cookie + 1, &number) < 0 || number != owner->netns_cookie)
                return -EBADMSG;
        if (n == strlen(owner->boot_id) && strncmp(boot_id, owner->boot_id, n) == 0)
                return 0;
        return n == BOOT_ID_LENGTH && strspn(boot_id, "0123456789abcdef-") == n ? -ESTALE : -EBADMSG;
}

/* Checks the last line and cuts it off. Returns 0, or -EBADMSG if the text is cut short or damaged. */
static int end_cut(char *text, uint64_t version)
{
        size_t n = strlen(text), size;
        char end[16] = "end\n";

        size = version == 1 ? strlen(end) : strlen("end\t00000000\n");
        assert(n > size); /* version_of() has found a longer header */
        if (version > 1)
                snprintf(end, sizeof(end), "end\t%08" PRIx32 "\n", ledger_checksum(text, n - size));
        n -= size;
        if (strcmp(text + n, end) != 0 || text[n - 1] != '\n')
                return -EBADMSG;
        text[n] = 0;
        return 0;
}

/* Returns the next line, cut out in place; NULL: no whole line is left. */
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
        uint64_t version = version_of(text);
        char buf[LEDGER_TEXT_MAX], *p = buf, *line;
        struct ledger ledger = {0};
        int r;

        if (version > VERSION)
                return -EPROTONOSUPPORT;
        if (version == 0 || strlen(text) >= sizeof(buf))
                return -EBADMSG;
        strcpy(buf, text);
        r = end_cut(buf, version);
        if (r < 0)
                return r;
        r = header_check(line_next(&p), owner);
        while (r == 0 && (line = line_next(&p)))
                r = line_parse(line, (unsigned)version, &ledger);
        if (r == 0)
                *ret = ledger;
        return r;
}

/* ---- what happens ---- */

void ledger_note(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *original,
                 const struct sysctl_value *written, const char *rule, uint64_t now)
{
        struct ledger_entry *e = &ledger->entry[sysctl];

        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                now = MAX(now, ledger->entry[id].at + 1);
        if (e->state != LEDGER_HELD) {
                e->original = *original;
                e->file = (struct sysctl_value){0};
                e->file_unknown = false;
        }
        e->before = e->state == LEDGER_HELD ? e->written : (struct sysctl_value){0};
        e->state = LEDGER_HELD;
        e->written = *written;
        e->at = now;
        snprintf(e->rule, sizeof(e->rule), "%s", rule);
}

void ledger_note_foreign(struct ledger *ledger, enum sysctl_id sysctl, const struct sysctl_value *value,
                         const char *rule)
{
        struct ledger_entry *e = &ledger->entry[sysctl];

        e->original = e->written = *value;
        e->before = e->file = (struct sysctl_value){0};
        e->file_unknown = false;
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
