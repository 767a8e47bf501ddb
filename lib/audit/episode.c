/* SPDX-License-Identifier: MIT */
#include "lib/audit/episode.h"

#include <stdio.h>
#include <string.h>

const char *const episode_end_names[] = {
        [EPISODE_LASTS] = "lasts",     [EPISODE_RELEASED] = "released",     [EPISODE_UNEXPECTED] = "unexpected",
        [EPISODE_ABORTED] = "aborted", [EPISODE_OVERRIDDEN] = "overridden", [EPISODE_CUT] = "cut",
};

/* Returns episodes_current(), for changing it. */
static struct episode *find(struct episodes *e, const char *rule)
{
        return (struct episode *)episodes_current(e, rule);
}

static struct episode *begin(struct episodes *e, const struct rule *rule, const struct decision *d, uint64_t now)
{
        struct episode *episode = &e->item[e->next];

        e->next = (e->next + 1) % EPISODES_MAX;
        *episode = (struct episode){.begun = now, .evidence = d->evidence, .peak = d->evidence.value};
        memcpy(episode->rule, rule->name, sizeof(episode->rule));
        return episode;
}

void episodes_end(struct episodes *e, struct episode *episode, enum episode_end how, uint64_t now)
{
        e->changes++;
        episode->end = how;
        episode->ended = now;
}

void episodes_take(struct episodes *e, const struct rule *rule, const struct decision *d, const char *culprit,
                   enum progress progress, uint64_t now)
{
        static const enum episode_end ends[] = {
                [DECISION_RELEASE] = EPISODE_RELEASED,    [DECISION_GIVE_WAY] = EPISODE_RELEASED,
                [DECISION_SUPERSEDED] = EPISODE_RELEASED, [DECISION_UNEXPECTED] = EPISODE_UNEXPECTED,
                [DECISION_ABORT] = EPISODE_ABORTED,       [DECISION_OVERRIDDEN] = EPISODE_OVERRIDDEN,
        };
        struct episode *episode;

        if (progress != PROGRESS_DONE)
                return;
        episode = find(e, rule->name);
        if (d->kind != DECISION_ENTER && d->kind != DECISION_STEP) {
                if (episode)
                        episodes_end(e, episode, ends[d->kind], now);
                return;
        }
        if (!episode)
                episode = begin(e, rule, d, now);
        e->changes++;
        if (!episode->culprit[0])
                snprintf(episode->culprit, sizeof(episode->culprit), "%s", culprit);
        episode->steps++;
        if (d->evidence.value > episode->peak)
                episode->peak = d->evidence.value;
}

const struct episode *episodes_met(struct episodes *e, const char *rule)
{
        struct episode *episode = find(e, rule);

        if (episode)
                episode->helped = true;
        return episode;
}

const struct episode *episodes_last(const struct episodes *e, const char *rule)
{
        for (unsigned k = 1; k <= EPISODES_MAX; k++) {
                const struct episode *episode = &e->item[(e->next + EPISODES_MAX - k) % EPISODES_MAX];

                if (episode->begun != 0 && strcmp(episode->rule, rule) == 0)
                        return episode;
        }
        return NULL;
}
