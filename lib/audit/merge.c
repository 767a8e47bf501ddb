/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lib/audit/merge.h"

#include <stdbool.h>
#include <string.h>

static const char help[] = "# HELP ";
#define HELP (sizeof(help) - 1)

/* A family in a text: "# HELP NAME ...", "# TYPE NAME ...", then its samples. size 0: there is none. */
struct family {
        char *text;
        size_t size, name; /* name: the length of the name, which follows help */
};

static bool is_family(const char *text, const char *end)
{
        return (size_t)(end - text) >= HELP && memcmp(text, help, HELP) == 0;
}

static char *next_line(char *text, char *end)
{
        char *newline = memchr(text, '\n', (size_t)(end - text));

        return newline ? newline + 1 : end;
}

/* Finds the first family from text on. */
static struct family next_family(char *text, char *end)
{
        struct family f = {0};
        char *line;

        while (text < end && !is_family(text, end))
                text = next_line(text, end);
        if (text == end)
                return f;
        for (line = next_line(text, end); line < end && !is_family(line, end);)
                line = next_line(line, end);
        f.text = text;
        f.size = (size_t)(line - text);
        while (HELP + f.name < f.size && text[HELP + f.name] != ' ' && text[HELP + f.name] != '\n')
                f.name++;
        return f;
}

static bool is_same(const struct family *a, const struct family *b)
{
        return a->name == b->name && memcmp(a->text + HELP, b->text + HELP, a->name) == 0;
}

/* Finds the family with the name of wanted. It is nearly always the first: all texts have the same order. */
static struct family find(const struct exposition_text *in, const struct family *wanted)
{
        char *end = in->text + in->size;
        struct family f = next_family(in->text, end);

        while (f.size > 0 && !is_same(&f, wanted))
                f = next_family(f.text + f.size, end);
        return f;
}

/* Appends the samples, with their header before them if header is true. Returns the new end of out. */
static char *append(char *out, const struct family *f, bool header)
{
        char *end = f->text + f->size, *text = f->text;

        while (!header && text < end && *text == '#')
                text = next_line(text, end);
        out = mempcpy(out, text, (size_t)(end - text));
        if (text < end && end[-1] != '\n')
                *out++ = '\n';
        return out;
}

/* Removes a family from the text and, if it is the first one, all text before it. */
static void take(struct exposition_text *in, const struct family *f)
{
        char *behind = f->text + f->size, *end = in->text + in->size;

        if (next_family(in->text, end).text == f->text) {
                in->text = behind;
                in->size = (size_t)(end - behind);
        } else {
                memmove(f->text, behind, (size_t)(end - behind));
                in->size -= f->size;
        }
}

size_t exposition_merge(struct exposition_text *texts, size_t n, char *buf)
{
        char *out = buf;

        for (size_t first = 0; first < n; first++)
                for (;;) {
                        struct family f = next_family(texts[first].text, texts[first].text + texts[first].size);
                        char name[256];
                        struct family wanted = {.text = name, .size = f.size, .name = f.name};

                        if (f.size == 0)
                                break;
                        if (f.name == 0 || HELP + f.name > sizeof(name)) { /* twtuned writes no such name */
                                take(&texts[first], &f);
                                continue;
                        }
                        memcpy(name, f.text, HELP + f.name);
                        for (size_t i = first; i < n; i++) {
                                f = find(&texts[i], &wanted);
                                if (f.size == 0)
                                        continue;
                                out = append(out, &f, i == first);
                                take(&texts[i], &f);
                        }
                }
        return (size_t)(out - buf);
}
