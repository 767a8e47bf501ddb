/* SPDX-License-Identifier: MIT */
/* The right side of one line of a rule, read as each kind of line. */

#include <math.h>
#include <stdio.h>

#include "lib/config/rule.h"
#include "lib/policy/action.h"
#include "lib/util/macro.h"
#include "text.h"

static const struct origin at = {.file = "f", .line = 1};
static struct diagnostics diagnostics;

/* "0, or -EINVAL with one diagnostic added." */
static bool is_good(int r)
{
        bool good = r == 0;

        assert(diagnostics.n == (good ? 0 : 1));
        assert(good || *diagnostics.item[0].text);
        diagnostics_free(&diagnostics);
        return good;
}

static struct condition_texts texts;

/* The normal form of a condition is its own normal form, and means the same; from NUMBER_MOST on, a number is too long
 * for a line. */
#define NUMBER_MOST 1e31

static void check_normal(const struct condition *c, const char *time_word, struct vocabulary *v)
{
        struct condition again;

        if (c->number >= NUMBER_MOST || c->time_ns % NSEC_PER_MSEC != 0)
                return;
        assert(is_good(condition_parse(c->text, time_word, at, v, &again, &diagnostics)));
        assert(again.metric == c->metric && again.op == c->op && again.number == c->number);
        assert(again.time_ns == c->time_ns && strcmp(again.text, c->text) == 0);
}

/* A name that is printed is one that is understood, as the same metric. */

static void check_metric(unsigned metric, struct vocabulary *v)
{
        char text[128];
        struct condition c;

        assert(metric < METRIC_COUNT + v->wanted->n);
        snprintf(text, sizeof(text), "%s > 1%s", metric_name(metric, v->wanted),
                 unit_suffix(metric_unit(metric, v->wanted)));
        assert(is_good(condition_parse(text, "for", at, v, &c, &diagnostics)) && c.metric == metric);
}

static void check_condition(const char *text)
{
        static struct counters wanted;
        struct vocabulary v = {.wanted = &wanted, .texts = &texts};
        const char *time_word = strstr(text, "within") ? "within" : "for";
        struct condition c;

        texts.used = 0;
        counters_init(&wanted);
        if (!is_good(condition_parse(text, time_word, at, &v, &c, &diagnostics)))
                return;
        check_normal(&c, time_word, &v);
        assert(isfinite(c.number) && c.number >= 0);
        assert(c.time_ns <= 365 * 86400 * NSEC_PER_SEC);
        assert(strstr(text, comparison_text(c.op)) != NULL);
        check_metric(c.metric, &v);
}

static void check_abort(const char *text)
{
        static struct counters wanted;
        struct vocabulary v = {.wanted = &wanted, .texts = &texts};
        struct abort_condition a;

        counters_init(&wanted);
        if (!is_good(abort_parse(text, at, &v, &a, &diagnostics)))
                return;
        assert(isfinite(a.multiple) && a.multiple > 0);
        assert(a.within_ns > 0 && a.within_ns <= 365 * 86400 * NSEC_PER_SEC);
        check_metric(a.metric, &v);
}

/* Wherever it starts from, a step goes the right way, and never out of the bounds. */
static void check_steps(const struct action *l)
{
        static const int64_t live[] = {INT64_MIN, INT32_MIN, -1,    0,      1,         3,
                                       60,        1000,      65536, 262144, INT32_MAX, INT64_MAX};
        static const struct snapshot snapshot = {.memory_bytes = UINT64_C(1) << 36};
        const struct sysctl_bounds *bounds = &sysctl_table[l->sysctl].bounds;

        for (unsigned i = 0; i < ELEMENTSOF(live); i++) {
                struct sysctl_value base = SYSCTL_VALUE(live[i]), next = action_next(l, bounds, &snapshot, &base);

                assert(next.n == 1);
                assert(l->kind == ACTION_RAISE ? next.v[0] >= live[i] : next.v[0] <= live[i]);
                assert(next.v[0] == live[i] || (next.v[0] >= bounds->min && next.v[0] <= bounds->max));
                assert(next.v[0] == live[i] ||
                       (l->kind == ACTION_RAISE ? next.v[0] <= l->value.v[0] : next.v[0] >= l->value.v[0]));
        }
}

static void check_action(enum action_kind kind, const char *text)
{
        char reason[256], again[256], value[SYSCTL_TEXT_MAX];
        struct action l, same;

        if (!is_good(action_parse(kind, text, at, &l, &diagnostics)))
                return;
        assert(l.kind == kind && l.sysctl < SYSCTL_COUNT);
        assert(sysctl_check(l.sysctl, &l.value, reason, sizeof(reason)) == 0);
        assert(kind == ACTION_SET || (l.factor > 1 && l.factor <= 100));
        if (kind != ACTION_SET) {
                check_steps(&l);
                return;
        }
        snprintf(again, sizeof(again), "%s = %s", sysctl_table[l.sysctl].name, sysctl_format(&l.value, value));
        assert(is_good(action_parse(kind, again, at, &same, &diagnostics)));
        assert(same.sysctl == l.sysctl && sysctl_equal(&same.value, &l.value));
}

static void check_bounds(enum sysctl_id id, const char *text)
{
        const struct sysctl *s = &sysctl_table[id];
        struct sysctl_bounds bounds = s->bounds;

        if (!is_good(bounds_parse(id, text, at, &bounds, &diagnostics)))
                return;
        assert(!s->never && bounds.min >= s->bounds.min && bounds.max <= s->bounds.max && bounds.min <= bounds.max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = text_new(data, size);

        /* One of the two: most of the time goes into finding a name that is near an unknown one. */
        if (strstr(text, "before"))
                check_abort(text);
        else
                check_condition(text);
        for (enum action_kind kind = ACTION_SET; kind <= ACTION_LOWER; kind++)
                check_action(kind, text);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                check_bounds(id, text);
        free(text);
        return 0;
}
