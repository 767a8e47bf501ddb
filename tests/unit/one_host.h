/* SPDX-License-Identifier: MIT */
#pragma once

/* Tests of the policy on one host at a time. */

#include "host.h"

static struct host *h;

static inline void tear_down(void)
{
        if (h)
                host_free(h);
        h = NULL;
}

/* Opens n connections toward dst, which stay open. */
static inline void hold_open(unsigned n, uint32_t dst)
{
        for (unsigned i = 0; i < n; i++)
                model_add(&h->model, TCP_ESTABLISHED, dst, 80, 0);
}

static inline void reload(const char *text)
{
        struct config *config = config_of(text);
        struct policy *policy = policy_new(config);

        policy_inherit(policy, h->policy);
        policy_free(h->policy);
        config_free(h->config);
        h->policy = policy;
        h->config = config;
}

/* The last decisions, in their order: all at one second and of one kind. */
static inline void expect_decisions(uint64_t at, enum decision_kind kind, unsigned n, const unsigned rules[])
{
        ck_assert_uint_ge(h->logged, n);
        for (unsigned i = 0; i < n; i++) {
                const struct entry *e = &h->log[h->logged - n + i];

                ck_assert_msg(e->kind == kind && e->rule == rules[i] && e->at == at,
                              "decision %u: kind %d of rule %u at %llu", i, e->kind, e->rule,
                              (unsigned long long)e->at);
        }
}

#define EXPECT_DECISIONS(at, kind, n, ...) expect_decisions(at, kind, n, (const unsigned[]){__VA_ARGS__})
