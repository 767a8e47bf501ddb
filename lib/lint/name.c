/* SPDX-License-Identifier: MIT */
/* Names that this kernel does not have, and the sysctls that they mean. */
#define _GNU_SOURCE /* basename() */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/kernel/sysctl.h"
#include "lib/lint/row.h"
#include "lib/util/suggest.h"

#define WORDS_MAX 8

/* The parts of a name in lower case, without "proc/sys", and without characters that no name has. */
struct words {
        char text[LINT_NAME_MAX];
        const char *word[WORDS_MAX];
        unsigned n;
};

static void split(const char *path, struct words *w)
{
        char *rest = w->text, *word;
        size_t n = 0;

        for (; *path && n + 1 < sizeof(w->text); path++)
                if (isalnum((unsigned char)*path) || strchr("_-./", *path))
                        w->text[n++] = *path == '-' ? '_' : (char)tolower((unsigned char)*path);
        w->text[n] = 0;
        w->n = 0;
        while ((word = strsep(&rest, "/.")) && w->n < WORDS_MAX)
                if (*word && !(w->n == 0 && (strcmp(word, "proc") == 0 || strcmp(word, "sys") == 0)))
                        w->word[w->n++] = word;
}

/* Joins the last n words with "_". Turns "ip_conntrack_", with which conntrack's names began before Linux 4.9, into
 * "nf_conntrack_". */
static const char *join(const struct words *w, unsigned n, char *buf, size_t size)
{
        size_t at = 0;

        buf[0] = 0;
        for (unsigned i = w->n - n; i < w->n; i++)
                at += (size_t)snprintf(buf + MIN(at, size - 1), size - MIN(at, size - 1), "%s%s", at > 0 ? "_" : "",
                                       w->word[i]);
        if (strncmp(buf, "ip_conntrack_", 13) == 0)
                memcpy(buf, "nf", 2);
        return buf;
}

/* True if the name is a single word, or if its first word can only mean the network. */
static bool is_net(const struct words *w)
{
        static const char *const first[] = {"net", "ipv4", "ipv6", "ip", "core", "tcp", "udp", "netfilter"};

        for (unsigned i = 0; w->n > 1 && i < ELEMENTSOF(first); i++)
                if (strcmp(w->word[0], first[i]) == 0)
                        return true;
        return w->n == 1;
}

static const struct lint_row *find_base(const char *prefix, const char *name)
{
        size_t n = strlen(prefix);

        for (unsigned i = 0; i < lint_row_count; i++) {
                const char *base = basename(lint_rows[i].path);

                if (strncmp(base, prefix, n) == 0 && strcmp(base + n, name) == 0)
                        return &lint_rows[i];
        }
        return NULL;
}

const struct lint_row *lint_row_meant(const char *path)
{
        static const char *const left_out[] = {"", "tcp_", "ip_", "ip_local_", "nf_", "nf_conntrack_", "udp_"};
        const struct lint_row *row = NULL;
        struct words w;
        char name[LINT_NAME_MAX];

        split(path, &w);
        for (unsigned n = MIN(w.n, 3u); n > 0 && !row; n--) {
                join(&w, n, name, sizeof(name));
                for (unsigned i = 0; i < ELEMENTSOF(left_out) && !row; i++)
                        if (i == 0 || (is_net(&w) && strlen(name) > 4))
                                row = find_base(left_out[i], name);
        }
        return row;
}

static bool begins_with(const char *text, const char *const *prefixes, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

bool lint_is_about(const struct lint_case *c)
{
        static const char *const paths[] = {"net/ipv4/tcp_",       "net/ipv4/udp_", "net/ipv4/ip_local_",
                                            "net/ipv4/netfilter/", "net/core/",     "net/netfilter/nf_conntrack_"};
        static const char *const names[] = {"tcp_", "udp_", "ip_conntrack_", "nf_conntrack_", "ip_local_"};
        struct words w;
        char name[LINT_NAME_MAX];

        if (begins_with(c->path, paths, ELEMENTSOF(paths)) || lint_row_find(c->path))
                return true;
        if (lint_exists(c, c->path))
                return false;
        split(c->path, &w);
        if (w.n == 0)
                return false;
        return lint_row_meant(c->path) ||
               (is_net(&w) && begins_with(join(&w, 1, name, sizeof(name)), names, ELEMENTSOF(names)));
}

/* Returns why this kernel lacks the sysctl of a row; NULL: unknown. */
static const char *why_missing(const struct lint_case *c, const struct lint_row *row)
{
        enum sysctl_id id = sysctl_find(row->path);

        if (row->place & LINT_CONNTRACK && !lint_exists(c, "net/netfilter/nf_conntrack_count"))
                return "it exists once nf_conntrack is loaded; a line that is applied earlier is lost";
        if (row->place & LINT_FIRST && !lint_is_first_netns(c))
                return "it exists in the first network namespace only";
        if (row->gone)
                return row->gone;
        return id == SYSCTL_COUNT || row->place ? NULL : sysctl_table[id].never;
}

/* True if this kernel lacks the sysctl of a row in every network namespace, whatever module is loaded. *ret_why is why
 * it does not exist here; NULL: it exists, or the reason is unknown. */
static bool is_nowhere(const struct lint_case *c, const struct lint_row *row, const char **ret_why)
{
        bool exists = lint_exists(c, row->path);

        *ret_why = exists ? NULL : why_missing(c, row);
        return !exists && (row->place == 0 || !*ret_why);
}

static bool say_meant(struct lint_case *c, const struct lint_row *meant)
{
        const char *why;
        bool nowhere = is_nowhere(c, meant, &why);
        char name[LINT_NAME_MAX];

        sysctl_name_swap(meant->path, name, sizeof(name));
        if (nowhere)
                return lint_say(c, LINT_NO_EFFECT, "there is no such sysctl, and no %s either%s%s", name,
                                why ? ": " : "", why ? why : "");
        lint_say(c, LINT_NO_EFFECT, "there is no such sysctl: it is %s", name);
        if (strstr(c->path, "ipv6"))
                lint_add_why(c, ", which acts on IPv6 as well");
        if (why)
                lint_add_why(c, "; %s", why);
        return true;
}

bool lint_say_missing(struct lint_case *c)
{
        struct suggestion suggestion = SUGGESTION(basename(c->path));
        const char *why = c->row ? why_missing(c, c->row) : NULL;
        char name[LINT_NAME_MAX];
        const struct lint_row *meant = lint_row_meant(c->path), *near;

        c->finding->applied = 0;
        if (meant && (!c->row || strchr(c->row->path, '*')))
                return say_meant(c, meant);
        if (why)
                return lint_say(c, LINT_NO_EFFECT, "there is no such sysctl here: %s", why);
        for (unsigned i = 0; i < lint_row_count && !c->row; i++)
                if (!strchr(lint_rows[i].path, '*'))
                        suggestion_offer(&suggestion, basename(lint_rows[i].path));
        lint_say(c, LINT_NO_EFFECT, "%s",
                 lint_is_first_netns(c) ? "this kernel has no such sysctl"
                                        : "there is no such sysctl in this network namespace");
        near = suggestion.name ? find_base("", suggestion.name) : NULL;
        if (!near)
                return true;
        sysctl_name_swap(near->path, name, sizeof(name));
        if (is_nowhere(c, near, &why))
                lint_add_why(c, "; there is no %s either%s%s", name, why ? ": " : "", why ? why : "");
        else
                lint_add_why(c, ", did you mean %s?", name);
        return true;
}
