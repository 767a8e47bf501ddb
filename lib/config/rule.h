/* SPDX-License-Identifier: MIT */
#pragma once

/* Parsed rules, and the grammar of their lines (twtuned.conf(5)). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/counter.h"
#include "lib/kernel/metric.h"
#include "lib/kernel/sysctl.h"
#include "lib/ports/match.h"
#include "lib/util/diagnostics.h"

#define RULES_MAX 64u
#define RULE_NAME_MAX 40
#define RULE_CONDITIONS_MAX 8u
#define RULE_ACTIONS_MAX 4u
#define RULE_ABORTS_MAX 4u
#define RULE_DESTINATIONS_MAX 4u
#define RULE_NONE UINT32_MAX
#define RULE_TEXT_MAX 128
#define CONDITION_TEXTS_MAX (RULES_MAX * (2 * RULE_CONDITIONS_MAX + RULE_ABORTS_MAX + 1) * RULE_TEXT_MAX)

enum comparison {
        LESS,
        LESS_EQUAL,
        GREATER,
        GREATER_EQUAL,
        EQUAL,
        NOT_EQUAL,
};

/* METRIC OP NUMBER[UNIT] [for DURATION], or "within DURATION" for expect */
struct condition {
        unsigned metric; /* enum metric_id, or METRIC_COUNT + the index of a kernel counter */
        enum comparison op;
        double number;    /* in the metric's unit */
        uint64_t time_ns; /* of `for` or `within`; 0: at once */
        struct origin at;
        const char *text; /* the line in its normal form, which parses to the same condition; borrowed */
};

/* METRIC > Nx before within DURATION */
struct abort_condition {
        unsigned metric;
        double multiple;
        uint64_t within_ns;
        struct origin at;
        const char *text; /* as in struct condition */
};

enum action_kind {
        ACTION_SET,   /* SYSCTL = VALUE */
        ACTION_RAISE, /* SYSCTL xN max LIMIT */
        ACTION_LOWER, /* SYSCTL /N min LIMIT */
};

/* A change that a rule makes to a sysctl. */
struct action {
        enum action_kind kind;
        enum sysctl_id sysctl;
        struct sysctl_value value; /* the value to set, or the limit */
        double factor;             /* of one step; over 1 */
        struct origin at;
};

struct rule {
        char name[RULE_NAME_MAX];
        char *description; /* owned; NULL: none */
        char *advise; /* what a person can do if the rule has no action, or if it did not help; owned; NULL: none */
        struct origin at;
        bool disabled;
        bool faulty; /* one of its lines has an error */
        bool has_expect;
        bool keep;         /* release = keep */
        bool observe;      /* it decides and logs, but writes nothing */
        uint64_t retry_ns; /* the wait after a change was undone by expect or abort */
        uint64_t every_ns; /* the least time between two steps of raise and lower */
        unsigned after;    /* index of the prerequisite rule; RULE_NONE: none */
        char after_name[RULE_NAME_MAX];
        struct origin after_at;

        struct condition when[RULE_CONDITIONS_MAX], until[RULE_CONDITIONS_MAX], expect;
        struct action action[RULE_ACTIONS_MAX];
        uint64_t superseded_by[RULE_ACTIONS_MAX]; /* for an action of the vendor: a bit for each rule with a
                                                     contradicting action of the administrator */
        struct abort_condition abort[RULE_ABORTS_MAX];
        struct destination_match
                destination[RULE_DESTINATIONS_MAX]; /* ports.* are only about these; none: about all */
        struct origin destination_at;               /* of the first of them */
        uint32_t units; /* a bit for each name of unit_names: ports.* are only about destinations of these; 0: all */
        struct origin units_at;
        unsigned n_when, n_until, n_actions, n_abort, n_destinations;
};

/* The texts of all conditions of a configuration, one after the other; conditions borrow them. */
struct condition_texts {
        size_t used;
        char text[CONDITION_TEXTS_MAX];
};

/* The counters that a rule may name, and where its parser stores counters and texts. */
struct vocabulary {
        struct counters *wanted; /* receives the counters that the rules name */
        struct condition_texts *texts;
        const struct counters *kernel; /* those of /proc; NULL: only the built-in list is known */
};

/* Each parses the text of one line. Returns 0, or -EINVAL and adds one diagnostic; then ret is as before. time_word:
 * "for" or "within". */
int condition_parse(const char *text, const char *time_word, struct origin at, struct vocabulary *vocabulary,
                    struct condition *ret, struct diagnostics *diagnostics);
int abort_parse(const char *text, struct origin at, struct vocabulary *vocabulary, struct abort_condition *ret,
                struct diagnostics *diagnostics);
int action_parse(enum action_kind kind, const char *text, struct origin at, struct action *ret,
                 struct diagnostics *diagnostics);

/* Writes the line of an action in its normal form, which parses to the same action. Returns buf. */
const char *action_format(const struct action *action, char buf[static RULE_TEXT_MAX]);

/* Parses "max N", "min N" or both, in any order, within the built-in bounds of the sysctl. */
int bounds_parse(enum sysctl_id sysctl, const char *text, struct origin at, struct sysctl_bounds *ret,
                 struct diagnostics *diagnostics);

/* Calls duration_parse(), and adds a diagnostic on an error. Returns 0 or -EINVAL. */
int duration_read(const char *text, struct origin at, uint64_t *ret_ns, struct diagnostics *diagnostics);

/* Adds the diagnostic of a sysctl that is not in sysctl_table, with the name that was most likely meant. */
void sysctl_unknown(const char *name, struct origin at, struct diagnostics *diagnostics);

static inline bool comparison_holds(enum comparison op, double a, double b)
{
        switch (op) {
        case LESS:
                return a < b;
        case LESS_EQUAL:
                return a <= b;
        case GREATER:
                return a > b;
        case GREATER_EQUAL:
                return a >= b;
        case EQUAL:
                return a == b;
        case NOT_EQUAL:
                break;
        }
        return a != b;
}

const char *comparison_text(enum comparison op);

/* The first ports.* condition of `when`; NULL: the rule is about no destination. */
const struct condition *rule_ports_condition(const struct rule *rule);

/* Returns the condition that explains a release: the first of `until`, or of `when` if there is no `until`. */
static inline const struct condition *rule_release_condition(const struct rule *rule)
{
        return rule->n_until > 0 ? rule->until : rule->when;
}

/* Return the name and the unit of a metric or kernel counter. */
const char *metric_name(unsigned metric, const struct counters *counters);
enum unit metric_unit(unsigned metric, const struct counters *counters);
