/* SPDX-License-Identifier: MIT */
#include "lib/config/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void remove_key(struct config_values *values, const char *section, const char *key)
{
        size_t n = 0;

        for (size_t i = 0; i < values->n; i++)
                if (strcmp(values->item[i].section, section) == 0 && strcmp(values->item[i].key, key) == 0)
                        free(values->item[i].section);
                else
                        values->item[n++] = values->item[i];
        values->n = n;
}

int config_values_note(struct config_values *values, const char *section, const char *key, const char *text, bool list,
                       struct origin at)
{
        const size_t n_section = strlen(section) + 1, n_key = strlen(key) + 1, n_text = strlen(text) + 1;
        struct config_value *grown;
        char *copy;

        if (!list || *text == 0)
                remove_key(values, section, key);
        if (*text == 0)
                return 0;
        grown = realloc(values->item, (values->n + 1) * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        values->item = grown;
        copy = malloc(n_section + n_key + n_text);
        if (!copy)
                return -ENOMEM;
        grown[values->n++] = (struct config_value){.section = memcpy(copy, section, n_section),
                                                   .key = memcpy(copy + n_section, key, n_key),
                                                   .text = memcpy(copy + n_section + n_key, text, n_text),
                                                   .at = at};
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

/* Adds up the hashes of the keys, as their order depends on the files. */
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
                free(values->item[i].section);
        free(values->item);
        *values = (struct config_values){0};
}
