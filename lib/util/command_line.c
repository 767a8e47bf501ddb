/* SPDX-License-Identifier: MIT */
#include "lib/util/command_line.h"

#include <stdio.h>
#include <string.h>

#include "lib/util/suggest.h"

const char *option_error(const struct option *options, int letter, char *const argv[],
                         char buf[static OPTION_ERROR_MAX])
{
        const char *word = argv[optind - 1];
        char name[64] = "", hint[128];
        struct suggestion suggestion = SUGGESTION(name);

        if (letter == ':')
                snprintf(buf, OPTION_ERROR_MAX, "option %.100s needs a value", word);
        else if (strncmp(word, "--", 2) != 0)
                snprintf(buf, OPTION_ERROR_MAX, "unknown option -%c", optopt);
        else if (optopt != 0)
                snprintf(buf, OPTION_ERROR_MAX, "option %.*s takes no value", (int)strcspn(word, "="), word);
        if (letter == ':' || strncmp(word, "--", 2) != 0 || optopt != 0)
                return buf;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        for (const struct option *o = options; o->name; o++)
                suggestion_offer(&suggestion, o->name);
        suggestion_hint(&suggestion, hint);
        snprintf(buf, OPTION_ERROR_MAX, "unknown or ambiguous option --%s%s", name, hint);
        return buf;
}
