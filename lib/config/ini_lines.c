/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mempcpy() */
#include "lib/config/ini_lines.h"

#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define SECTION_LONGEST 48u
#define KEY_LONGEST 190u /* with its '=' it fits into one piece */

/* inih reads lines of at most INI_MAX_LINE (200) bytes, so it gets a longer one in pieces: the first, then the others
 * as continued lines. CUT marks both sides of a cut, where inih would strip blanks. A file cannot contain it, as
 * line_cut() rejects control characters. */
#define CUT '\1'
#define CUT_TEXT "\1"

struct reader {
        const struct ini_handler *handler;
        struct diagnostics *diagnostics;
        struct origin at;
        char *next, *end;          /* the lines that were not read yet */
        const char *rest;          /* the part of the current line that inih has not read yet */
        char key[KEY_LONGEST + 1]; /* of that line */
        char *value;               /* of that line: the pieces that inih has returned; has room for the whole text */
        size_t length;             /* of these pieces */
};

/* Reports an error in the current line of the reader p. */
#define fail(...) diagnostic_add(p->diagnostics, p->at, __VA_ARGS__)

/* Handles a section line without inih, which does not report an empty section. */
static void section_read(struct reader *p, char *line)
{
        size_t n = strcspn(line, "]") - 1;
        char *name = NULL;

        if (strcmp(line + 1 + n, "]") != 0)
                fail("invalid section line: write [NAME] and nothing after it");
        else if (n > SECTION_LONGEST)
                fail("a section's name has at most %u characters", SECTION_LONGEST);
        else
                name = line + 1;
        line[1 + n] = 0;
        p->handler->section(p->handler->user, p->at, name);
}

/* Returns where inih would begin a comment inside a value; NULL: nowhere. */
static const char *comment_find(const char *value)
{
        for (const char *s = strchr(value, ';'); s; s = strchr(s + 1, ';'))
                if (s > value && strchr(BLANKS, s[-1]))
                        return s;
        return NULL;
}

/* True if inih may read this line. Reports errors that inih would accept: it would read "when ports.cliff >= 80%" as
 * the key "when ports.cliff >". */
static bool line_check(struct reader *p, const char *line)
{
        const char *equals = strchr(line, '='), *comment = equals ? comment_find(equals) : NULL;
        size_t word = strcspn(line, BLANKS "=:");
        const char *rest = line + word + strspn(line + word, BLANKS);

        if (!equals || memchr(line, ':', (size_t)(equals - line)))
                fail("invalid line '%.100s': write KEY = VALUE", line);
        else if (comment)
                fail("a comment cannot follow a value: put '%s' on a line of its own", comment);
        else if (word == 0)
                fail("no key before '='");
        else if (rest != equals)
                fail("a key is one word: write '%.*s = %s'", (int)word, line, rest);
        else if (equals - line > (int)KEY_LONGEST)
                fail("more than %u characters before '='", KEY_LONGEST);
        else
                return true;
        return false;
}

/* Cuts the next line off the text. Returns its length without the end of the line and trailing blanks; 0 if it has a
 * control character. */
static size_t line_cut(struct reader *p, const char *line)
{
        char *newline = memchr(line, '\n', (size_t)(p->end - line));
        size_t length = (size_t)((newline ? newline : p->end) - line);

        p->next = newline ? newline + 1 : p->end;
        p->at.line++;
        if (length > 0 && line[length - 1] == '\r')
                length--;
        for (size_t i = 0; i < length; i++)
                if (iscntrl((unsigned char)line[i]) && line[i] != '\t') {
                        fail("control character 0x%02x at column %zu", (unsigned char)line[i], i + 1);
                        return 0;
                }
        while (length > 0 && strchr(BLANKS, line[length - 1]))
                length--;
        return length;
}

/* Returns the next line if inih may read it, else "". */
static const char *line_read(struct reader *p)
{
        char *begin = p->next, *line = begin;

        begin[line_cut(p, begin)] = 0;
        line += strspn(line, BLANKS);
        if (*line == 0 || *line == '#' || *line == ';')
                return "";
        if (line > begin)
                fail("indented line: start it in the first column (no line continues another)");
        if (*line == '[')
                section_read(p, line);
        return *line != '[' && line_check(p, line) ? line : "";
}

/* Gives inih the next piece of the current line, or the next line that it may read (ini_reader in <ini.h>). */
static char *on_read(char *buf, int size, void *user)
{
        struct reader *p = user;
        char *end = buf;
        size_t n;

        assert(size > (int)(KEY_LONGEST + sizeof("=" CUT_TEXT "\n")));
        if (*p->rest)
                end = stpcpy(end, " " CUT_TEXT);
        while (!*p->rest) {
                if (p->next >= p->end)
                        return NULL;
                p->rest = line_read(p);
        }
        n = strnlen(p->rest, (size_t)size - sizeof(" " CUT_TEXT CUT_TEXT "\n"));
        end = mempcpy(end, p->rest, n);
        p->rest += n;
        strcpy(end, *p->rest ? CUT_TEXT "\n" : "\n");
        return buf;
}

/* Collects the pieces of a value (ini_handler in <ini.h>), and passes the whole value on after the last piece. inih
 * calls this before it reads on, so p->at is the line of the key. */
static int on_key(void *user, const char *section, const char *key, const char *piece)
{
        struct reader *p = user;
        size_t n;

        (void)section;
        if (p->key[0] == 0) /* the first piece; for the others inih cuts the key */
                snprintf(p->key, sizeof(p->key), "%s", key);
        piece += *piece == CUT;
        n = strcspn(piece, CUT_TEXT);
        memcpy(p->value + p->length, piece, n);
        p->length += n;
        if (*p->rest)
                return 1;
        p->value[p->length] = 0;
        p->handler->key(p->handler->user, p->at, p->key, p->value + strspn(p->value, BLANKS));
        p->key[0] = 0;
        p->length = 0;
        return 1;
}

void ini_lines_read(const char *file, const char *text, size_t size, const struct ini_handler *handler,
                    struct diagnostics *diagnostics)
{
        struct reader *p = &(struct reader){
                .handler = handler,
                .diagnostics = diagnostics,
                .at = {.file = file},
                .rest = "",
                .value = malloc(size + 1),
        };
        char *copy = malloc(size + 1);

        if (copy && p->value) {
                memcpy(copy, text, size);
                p->next = copy + (size >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0 ? 3 : 0);
                p->end = copy + size;
                if (ini_parse_stream(on_read, p, on_key, p) != 0)
                        fail("the INI parser failed before this line");
        } else {
                fail("out of memory");
        }
        free(p->value);
        free(copy);
}
