/* SPDX-License-Identifier: MIT */
/* The metrics of several daemons, which one program joins; here a NUL byte is between two of them. */

#include <stdbool.h>

#include "lib/audit/merge.h"
#include "text.h"

#define TEXTS_MAX 8u

static const char help[] = "# HELP ";
#define HELP (sizeof(help) - 1)

/* One more than the length of the name of the family that this line begins; 0: it begins none. */
static size_t name_of(const char *line, size_t size)
{
        size_t n = 0;

        if (size < HELP || memcmp(line, help, HELP) != 0)
                return 0;
        while (HELP + n < size && line[HELP + n] != ' ')
                n++;
        return n + 1;
}

static const char *next(const char *line, const char *end, size_t *ret_size)
{
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        *ret_size = (size_t)((newline ? newline : end) - line);
        return newline ? newline + 1 : end;
}

static unsigned count_family(const struct exposition_text *t, const char *line, size_t n)
{
        const char *end = t->text + t->size, *behind;
        unsigned found = 0;
        size_t size;

        for (const char *l = t->text; l < end; l = behind) {
                behind = next(l, end, &size);
                found += name_of(l, size) == n && memcmp(l + HELP, line + HELP, n - 1) == 0;
        }
        return found;
}

/* What is the same in whatever order the samples come: how many there are, and what is in them. Those of a family
 * without a name, or with one that is too long, are left out, and so is what comes before the first. */
static uint64_t sum_samples(const struct exposition_text *t)
{
        const char *end = t->text + t->size, *behind;
        uint64_t sum = 0;
        bool counts = false;
        size_t size, name;

        for (const char *l = t->text; l < end; l = behind) {
                uint64_t hash = 14695981039346656037u;

                behind = next(l, end, &size);
                name = name_of(l, size);
                if (name > 0)
                        counts = name > 1 && HELP + name - 1 <= 256;
                for (size_t i = 0; i < size; i++)
                        hash = (hash ^ (unsigned char)l[i]) * 1099511628211u;
                if (counts && (size == 0 || *l != '#'))
                        sum += hash;
        }
        return sum;
}

static void check(const struct exposition_text *in, size_t n, const struct exposition_text *out)
{
        const char *end = out->text + out->size, *behind;
        uint64_t sum = 0;
        size_t size, name;

        assert(out->size == 0 || name_of(out->text, out->size) > 1);
        assert(out->size == 0 || end[-1] == '\n');
        for (size_t i = 0; i < n; i++)
                sum += sum_samples(&in[i]);
        assert(sum == sum_samples(out));
        for (const char *l = out->text; l < end; l = behind) {
                unsigned most = 0;

                behind = next(l, end, &size);
                name = name_of(l, size);
                for (size_t i = 0; name > 0 && i < n; i++) {
                        unsigned found = count_family(&in[i], l, name);

                        most = found > most ? found : most;
                }
                assert(name == 0 || count_family(out, l, name) == most);
        }
}

/* In memory of exactly its length: a read past the end is one that the sanitizer sees. */
static struct exposition_text copy(const struct exposition_text *t)
{
        struct exposition_text copied = {malloc(t->size), t->size};

        if (t->size > 0)
                memcpy(copied.text, t->text, t->size);
        return copied;
}

/* Joins copies of them. */
static struct exposition_text merge(const struct exposition_text *in, size_t n)
{
        struct exposition_text texts[TEXTS_MAX], out;
        char *owned[TEXTS_MAX];
        size_t room = 0;

        for (size_t i = 0; i < n; i++) {
                texts[i] = copy(&in[i]);
                owned[i] = texts[i].text;
                room += in[i].size + 1;
        }
        out.text = malloc(room);
        out.size = exposition_merge(texts, n, out.text);
        for (size_t i = 0; i < n; i++)
                free(owned[i]);
        return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct exposition_text in[TEXTS_MAX], out, again;
        char *text = (char *)data, *end = text + size;
        size_t n = 0;

        while (n < TEXTS_MAX && text < end) {
                char *zero = memchr(text, 0, (size_t)(end - text));

                in[n++] = (struct exposition_text){text, (size_t)((zero ? zero : end) - text)};
                text = zero ? zero + 1 : end;
        }
        out = merge(in, n);
        check(in, n, &out);
        again = merge(&out, 1);
        assert(again.size == out.size && (out.size == 0 || memcmp(again.text, out.text, out.size) == 0));
        free(out.text);
        free(again.text);
        return 0;
}
