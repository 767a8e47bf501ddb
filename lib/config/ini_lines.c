/* SPDX-License-Identifier: MIT */
#include "lib/config/ini_lines.h"

#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#define BLANKS " \t"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* inih cuts sections at 49 characters without a word. */
#define SECTION_LONGEST 48u

struct reader {
        const struct ini_handler *handler;
        struct diagnostics *diagnostics;
        const char *text, *end; /* what is not read yet */
        struct origin at;
};

#define fail(p, ...) diagnostic_add((p)->diagnostics, (p)->at, __VA_ARGS__)

static bool section_line(struct reader *p, const char *line)
{
        char name[SECTION_LONGEST + 1];
        const char *close = strchr(line, ']');
        size_t n = close ? (size_t)(close - line) - 1 : 0;

        if (!close || close[1 + strspn(close + 1, BLANKS)] != 0)
                fail(p, "a section is [NAME] and nothing after it");
        else if (n > SECTION_LONGEST)
                fail(p, "a section's name has at most %u characters", SECTION_LONGEST);
        else {
                memcpy(name, line + 1, n);
                name[n] = 0;
                p->handler->section(p->handler->user, p->at, name);
                return false;
        }
        p->handler->section(p->handler->user, p->at, NULL);
        return false;
}

/* Where inih would begin a comment inside a value; NULL: nowhere. */
static const char *find_comment(const char *value)
{
        for (const char *s = strchr(value, ';'); s; s = strchr(s + 1, ';'))
                if (s > value && strchr(BLANKS, s[-1]))
                        return s;
        return NULL;
}

/* "when ports.cliff >= 80%" would be the key "when ports.cliff >" for inih. */
static bool key_is_one_word(struct reader *p, const char *line, const char *equals)
{
        size_t word = strcspn(line, BLANKS "=");
        const char *rest = line + word + strspn(line + word, BLANKS);

        if (rest == equals)
                return true;
        fail(p, "a key is one word: write '%.*s = %s'", (int)word, line, rest);
        return false;
}

/* Looks at what inih would take in silence. false: inih must not see this line. */
static bool line_check(struct reader *p, char *line)
{
        const char *equals = strchr(line, '='), *colon = strchr(line, ':'), *comment;

        if (*line == 0 || *line == '#' || *line == ';')
                return false;
        if (*line == '[')
                return section_line(p, line);
        if (!equals || (colon && colon < equals)) {
                fail(p, "'%s' is no line of the form KEY = VALUE", line);
                return false;
        }
        comment = find_comment(equals);
        if (comment) {
                fail(p, "a comment cannot follow a value: put '%s' on a line of its own", comment);
                return false;
        }
        return key_is_one_word(p, line, equals);
}

/* Cuts one line off the text. NULL: it is too long or has control characters, which is said. */
static const char *line_cut(struct reader *p, size_t *ret_len)
{
        const char *line = p->text, *newline = memchr(line, '\n', (size_t)(p->end - line));
        size_t len = (size_t)((newline ? newline : p->end) - line);

        p->text = newline ? newline + 1 : p->end;
        p->at.line++;
        if (len > 0 && line[len - 1] == '\r')
                len--;
        *ret_len = len;
        if (len > INI_LINE_LONGEST) {
                fail(p, "a line of %zu characters: at most %u are read", len, INI_LINE_LONGEST);
                return NULL;
        }
        for (size_t i = 0; i < len; i++)
                if (iscntrl((unsigned char)line[i]) && line[i] != '\t') {
                        fail(p, "a control character (0x%02x) at column %zu", (unsigned char)line[i], i + 1);
                        return NULL;
                }
        return line;
}

/* inih's reader, one line a call. A line that inih must not see is an empty one for it. */
static char *on_read(char *buf, int size, void *user)
{
        struct reader *p = user;
        const char *line;
        size_t len, blanks = 0;

        if (p->text >= p->end || size < (int)INI_LINE_LONGEST + 2)
                return NULL;
        strcpy(buf, "\n");
        line = line_cut(p, &len);
        if (!line)
                return buf;
        while (blanks < len && strchr(BLANKS, line[blanks]))
                blanks++;

        memcpy(buf, line + blanks, len - blanks);
        buf[len - blanks] = 0;
        if (blanks > 0 && *buf && *buf != '#' && *buf != ';')
                fail(p, "an indented line: it starts in the first column (there are no continued lines)");
        strcpy(line_check(p, buf) ? buf + strlen(buf) : buf, "\n");
        return buf;
}

/* inih's callback. It comes before the next line is read, so at is this line's. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
        struct reader *p = user;

        (void)section;
        p->handler->key(p->handler->user, p->at, name, value);
        return 1;
}

void ini_lines_read(const char *file, const char *text, size_t size, const struct ini_handler *handler,
                    struct diagnostics *diagnostics)
{
        struct reader p = {
                .handler = handler,
                .diagnostics = diagnostics,
                .text = text,
                .end = text + size,
                .at = {.file = file},
        };

        if (size >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
                p.text += 3;
        if (ini_parse_stream(on_read, &p, on_key, &p) != 0)
                fail(&p, "the INI parser gave up here");
}
