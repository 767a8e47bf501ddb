/* SPDX-License-Identifier: MIT */
/* Values that are the name of a module: congestion control, and the queue of a network device. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/lint/row.h"
#include "lib/util/safe.h"

/* The names in Linux 6.18 (net/ipv4/Kconfig; in net/sched/sch_*.c, the .id of queues that can be a default). */
static const char *const tcp_names[] = {"bbr",      "bic",   "cdg",      "cubic",    "dctcp", "highspeed",
                                        "htcp",     "hybla", "illinois", "lp",       "nv",    "reno",
                                        "scalable", "vegas", "veno",     "westwood", "yeah",  NULL};
static const char *const sch_names[] = {
        "bfifo", "cake",       "choke",           "codel", "etf", "fq",  "fq_codel", "fq_pie",  "hhf", "noqueue",
        "pfifo", "pfifo_fast", "pfifo_head_drop", "pie",   "red", "sfb", "sfq",      "skbprio", NULL};

/* True if Linux 6.18 has the name. Most names are those of a module's file, such as net/ipv4/tcp_highspeed.c; the
 * queues in net/sched/sch_fifo.c and sch_generic.c are always built in. */
static bool is_known(const struct lint_row *row, const char *name)
{
        const char *const *names = strcmp(row->module, "tcp_") == 0 ? tcp_names : sch_names;

        for (; *names; names++)
                if (strcmp(*names, name) == 0)
                        return true;
        return false;
}

static bool is_built_in_queue(const char *name)
{
        return strcmp(name, "pfifo") == 0 || strcmp(name, "bfifo") == 0 || strcmp(name, "pfifo_fast") == 0 ||
               strcmp(name, "pfifo_head_drop") == 0 || strcmp(name, "noqueue") == 0;
}

static bool has_word(const char *list, const char *name)
{
        size_t n = strlen(name);

        for (const char *p = list; (p = strstr(p, name)); p++)
                if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
                        return true;
        return false;
}

/* True if the kernel has the congestion control or the queue without loading a module. */
static bool is_there(const struct lint_case *c, const char *name)
{
        char text[1024];

        if (strcmp(c->row->module, "sch_") == 0)
                return is_built_in_queue(name) ||
                       (lint_read_live(c, c->path, text, sizeof(text)) == 0 && strcmp(text, name) == 0);
        return lint_read_live(c, "net/ipv4/tcp_available_congestion_control", text, sizeof(text)) == 0 &&
               has_word(text, name);
}

static int has_module(const struct lint_case *c)
{
        char module[64];

        snprintf(module, sizeof(module), "%s%s", c->row->module, c->value);
        return c->kernel->has_module ? c->kernel->has_module(c->kernel->user, module) : -1;
}

/* Measured: the value is looked up as it is, and a blank, a comment or a quote is a part of the name. */
static bool is_no_name(struct lint_case *c)
{
        char lower[64];
        size_t n = 0;

        if (!*c->value)
                return lint_say_refused(c, "it needs a name");
        if (strpbrk(c->value, "\"'"))
                return lint_say_refused(c, "the quotes are a part of the name");
        if (strpbrk(c->value, "#; \t"))
                return lint_say_refused(c, "everything after the name is part of it, even a comment");
        for (; c->value[n] && n + 1 < sizeof(lower); n++)
                lower[n] = (char)tolower((unsigned char)c->value[n]);
        lower[n] = 0;
        if (strcmp(lower, c->value) != 0 && (is_known(c->row, lower) || is_there(c, lower)))
                return lint_say_refused(c, "names are in lower case: %s", lower);
        return false;
}

/* net/ipv4/tcp_cong.c:tcp_set_default_congestion_control() takes restricted names in the first namespace only. */
static bool is_restricted(const struct lint_case *c)
{
        char allowed[1024];

        return strcmp(c->row->module, "tcp_") == 0 && !lint_is_first_netns(c) &&
               lint_read_live(c, "net/ipv4/tcp_allowed_congestion_control", allowed, sizeof(allowed)) == 0 &&
               !has_word(allowed, c->value);
}

bool lint_refuses_module(struct lint_case *c)
{
        int has;

        if (is_no_name(c))
                return true;
        if (is_restricted(c))
                return lint_say_refused(c,
                                        "outside of the first network namespace it accepts what is in "
                                        "tcp_allowed_congestion_control, not %s",
                                        c->finding->value);
        if (is_there(c, c->value))
                return false;
        has = has_module(c);
        if (has == 0 && (strcmp(c->row->module, "tcp_") == 0 || !is_known(c->row, c->value)))
                return lint_say_refused(c, "this kernel has no module %s%s", c->row->module, c->finding->value);
        if (has < 0 && !is_known(c->row, c->value))
                return lint_say_refused(c, "Linux has no module %s%s, and none of that name is loaded", c->row->module,
                                        c->finding->value);
        return false;
}

/* The kernel loads the module of that name on demand (net/ipv4/tcp_cong.c:tcp_ca_find_autoload()). */
bool lint_check_module(struct lint_case *c)
{
        if (is_there(c, c->value))
                return false;
        if (has_module(c) <= 0)
                c->finding->applied = -1;
        return lint_say(c, LINT_FINE,
                        has_module(c) > 0 ? "%s; the kernel loads the module %s%s for it"
                                          : "%s, if the module %s%s exists: it is not loaded",
                        lint_help(c), c->row->module, c->finding->value);
}

/* net/ipv4/tcp_cong.c:tcp_set_allowed_congestion_control() loads no module. It splits at each blank, but not at a tab,
 * and the empty name between two blanks ends the list. */
bool lint_refuses_congestion_list(struct lint_case *c)
{
        char list[1024], *word, *rest = list;

        if (strlen(c->value) >= sizeof(list))
                return lint_say_refused(c, "it is too long");
        memcpy(list, c->value, strlen(c->value) + 1);
        while ((word = strsep(&rest, " ")) && *word)
                if (strchr(word, '\t'))
                        return lint_say_refused(c, "a tab is a part of a name: separate the names by one blank");
                else if (!is_there(c, word))
                        return lint_say_refused(c, "%.32s is not in tcp_available_congestion_control", word);
        return false;
}

bool lint_check_congestion_list(struct lint_case *c)
{
        const char *end = strstr(c->value, "  ");
        char shown[80];

        return end && lint_say(c, LINT_FINE, "%s; the kernel ignores '%s': the names end at two blanks", lint_help(c),
                               safe_text(end + strspn(end, " "), shown, sizeof(shown)));
}
