/* SPDX-License-Identifier: MIT */
#include "lib/util/command_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/util/suggest.h"

/* True if the word is --NAME=VALUE, and the option takes no value. */
static bool has_needless_value(const struct option *options, const char *word)
{
        size_t n = strcspn(word, "=");

        if (strncmp(word, "--", 2) != 0 || !word[n])
                return false;
        for (const struct option *o = options; o->name; o++)
                if (o->val == optopt && o->has_arg == no_argument && strncmp(o->name, word + 2, n - 2) == 0)
                        return true;
        return false;
}

static void write_unknown(const struct option *options, const char *word, char buf[static OPTION_ERROR_MAX])
{
        char name[64];
        struct suggestion suggestion = SUGGESTION(name);

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        for (const struct option *o = options; o->name; o++)
                suggestion_offer(&suggestion, o->name);
        snprintf(buf, OPTION_ERROR_MAX, "unknown or ambiguous option --%s%s%s%s", name,
                 suggestion.name ? ", did you mean --" : "", suggestion.name ? suggestion.name : "",
                 suggestion.name ? "?" : "");
}

/* The error is in the last word that getopt_long(3) has finished, unless an unknown short option has others behind it
 * in the same word: then that word is not finished. An unknown long option leaves optopt at 0. */
const char *option_error(const struct option *options, int letter, char *const argv[],
                         char buf[static OPTION_ERROR_MAX])
{
        const char *word = argv[optind - 1];

        if (letter == ':')
                snprintf(buf, OPTION_ERROR_MAX, "option %.100s needs a value", word);
        else if (optopt == 0)
                write_unknown(options, word, buf);
        else if (has_needless_value(options, word))
                snprintf(buf, OPTION_ERROR_MAX, "option %.*s takes no value", (int)strcspn(word, "="), word);
        else
                snprintf(buf, OPTION_ERROR_MAX, "unknown option -%c", optopt);
        return buf;
}
