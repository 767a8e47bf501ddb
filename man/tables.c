/* SPDX-License-Identifier: MIT */

/* The build runs this. It prints a man page in scdoc(5), adds the version to its title, the first line, and replaces
 * the lines @METRICS@ and @SYSCTLS@ by the tables of metrics and sysctls. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/kernel/metric.h"
#include "lib/kernel/sysctl.h"

/* Escapes what scdoc(5) would take as markup: '_' and '*' change the font. */
static void print_text(const char *text)
{
        for (; *text; text++) {
                if (strchr("_*\\", *text))
                        putchar('\\');
                putchar(*text);
        }
}

static void print_metrics(void)
{
        static const char *const when[] = {
                [EVERY_TICK] = "each tick",
                [WITH_DUMP] = "sockets",
                [SLOWLY] = "sampled",
        };

        for (unsigned i = 0; i < METRIC_COUNT; i++) {
                const struct metric *m = &metric_table[i];
                const char *unit = unit_suffix(m->unit);

                printf("%s*", i > 0 ? "\n" : "");
                print_text(m->name);
                printf("* (%s%s%s)\n\t", unit, unit[0] ? ", " : "", when[m->cadence]);
                print_text(m->help);
                putchar('\n');
        }
}

static void print_bounds(const struct sysctl *s)
{
        static const char *const direction[] = {
                [SYSCTL_BOTH] = "",
                [SYSCTL_LESS] = "",
                [SYSCTL_RAISE] = ", only raised",
                [SYSCTL_WIDEN] = ", only widened",
        };

        if (s->never)
                fputs("never written", stdout);
        else if (s->bounds.min == s->bounds.max)
                printf("%" PRId64 " only", s->bounds.min);
        else
                printf("%" PRId64 " to %" PRId64 "%s%s", s->bounds.min, s->bounds.max, direction[s->direction],
                       s->bytes > 0 ? ", by memory" : "");
}

static void print_sysctls(void)
{
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                const struct sysctl *s = &sysctl_table[id];

                printf("%s*", id > 0 ? "\n" : "");
                print_text(s->name);
                fputs("* (", stdout);
                print_bounds(s);
                fputs(")\n\t", stdout); /* no tab after "++": scdoc keeps the indent */
                print_text(s->help);
                if (s->never)
                        fputs("++\nNever written: ", stdout);
                else if (s->below)
                        printf("++\nBelow %" PRId64 ": ", s->bounds.min);
                print_text(s->never ? s->never : s->below ? s->below : "");
                putchar('\n');
        }
}

int main(int argc, char **argv)
{
        FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
        char line[1024];

        if (!f)
                return 1;
        if (fgets(line, sizeof(line), f))
                printf("%.*s \"twtuned " TWTUNED_VERSION "\"\n", (int)strcspn(line, "\n"), line);
        while (fgets(line, sizeof(line), f)) {
                if (strcmp(line, "@METRICS@\n") == 0)
                        print_metrics();
                else if (strcmp(line, "@SYSCTLS@\n") == 0)
                        print_sysctls();
                else
                        fputs(line, stdout);
        }
        return fclose(f) == 0 && fflush(stdout) == 0 ? 0 : 1;
}
