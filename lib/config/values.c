/* SPDX-License-Identifier: MIT */
#include "lib/config/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void value_free(struct config_value *v)
{
        free(v->section);
        free(v->key);
        free(v->text);
}

static void remove_key(struct config_values *values, const char *section, const char *key)
{
        size_t n = 0;

        for (size_t i = 0; i < values->n; i++)
                if (strcmp(values->item[i].section, section) == 0 && strcmp(values->item[i].key, key) == 0)
                        value_free(&values->item[i]);
                else
                        values->item[n++] = values->item[i];
        values->n = n;
}

int config_values_note(struct config_values *values, const char *section, const char *key, const char *text, bool list,
                       struct origin at)
{
        struct config_value v, *grown;

        if (!list || *text == 0)
                remove_key(values, section, key);
        if (*text == 0)
                return 0;
        grown = realloc(values->item, (values->n + 1) * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        values->item = grown;
        v = (struct config_value){strdup(section), strdup(key), strdup(text), at};
        if (!v.section || !v.key || !v.text) {
                value_free(&v);
                return -ENOMEM;
        }
        grown[values->n++] = v;
        return 0;
}

/* FNV-1a over the text and its NUL. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
        do
                hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        while (*text++);
        return hash;
}

/* A sum, as the order of the keys depends on the files. */
uint64_t config_values_hash(const struct config_values *values)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < values->n; i++) {
                const struct config_value *v = &values->item[i];

                sum += hash_text(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), v->section), v->key), v->text);
        }
        return sum;
}

void config_values_free(struct config_values *values)
{
        for (size_t i = 0; i < values->n; i++)
                value_free(&values->item[i]);
        free(values->item);
        *values = (struct config_values){0};
}
