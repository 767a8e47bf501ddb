/* SPDX-License-Identifier: MIT */
/* for-unit: a rule looks at the destinations of its units alone. */

#include "one_host.h"

#define WEB 4711u
#define OTHER 4712u
#define WEB_AGAIN 4713u

#define RULE(lines) "[rule r]\nwhen = ports.used >= 500\nuntil = ports.used < 100\n" lines "advise = x\n"

static struct unit_cgroups cgroups;

static uint32_t unit_bit(const char *name)
{
        unsigned i = unit_names_find(&h->config->unit_names, name);

        ck_assert_uint_lt(i, UNITS_MAX);
        return BIT(i);
}

/* The cgroups of the units, as the observer finds them. */
static void use(const char *policy)
{
        cgroups.n = 0;
        h = host_new(policy);
        ports_use_units(h->ports, &cgroups);
        if (unit_names_find(&h->config->unit_names, "web.service") < UNITS_MAX)
                unit_cgroups_add(&cgroups, WEB, unit_bit("web.service"));
        if (unit_names_find(&h->config->unit_names, "other.service") < UNITS_MAX)
                unit_cgroups_add(&cgroups, OTHER, unit_bit("other.service"));
}

static void open_one(uint32_t peer, uint64_t cgroup)
{
        model_add(&h->model, TCP_ESTABLISHED, peer, 80, 0)->cgroup = cgroup;
}

static const struct destination *destination_of(uint32_t peer)
{
        for (unsigned slot = 0; slot < ports_slots(h->ports); slot++) {
                const struct destination *d = ports_destination(h->ports, slot);

                if (d->id != 0 && d->key.dst[3] == htonl(peer))
                        return d;
        }
        ck_abort_msg("the destination is missing");
}

static const struct {
        const char *policy;
        uint64_t cgroup[2]; /* of the live sockets; 0: without one */
        bool fires;
} rows[] = {
        {RULE(""), {0}, true},
        {RULE("for-unit = web\n"), {WEB}, true},
        {RULE("for-unit = web\n"), {OTHER}, false},
        {RULE("for-unit = web\n"), {0}, false}, /* TIME_WAIT alone */
        {RULE("for-unit = web\n"), {9999}, false},
        {RULE("for-unit = web\n"), {WEB, OTHER}, true}, /* the ports are those of both */
        {RULE("for-unit = web\n"), {OTHER, WEB}, true},
        {RULE("for-unit = other.service web.service\n"), {WEB}, true},
        {RULE("for-unit = other\nfor-unit = web\n"), {WEB}, true},
        {RULE("for-unit = other\nfor-unit =\nfor-unit = web\n"), {OTHER}, false},
        {RULE("for-unit = web\nfor-destination = 10.0.0.2\n"), {WEB}, true},
        {RULE("for-unit = web\nfor-destination = 10.0.0.3\n"), {WEB}, false},
        {RULE("for-unit = other\nfor-destination = 10.0.0.2\n"), {WEB}, false},
};

START_TEST(a_rule_is_for_its_units)
{
        use(rows[_i].policy);
        h->skips = true;
        for (unsigned i = 0; i < 2; i++)
                if (rows[_i].cgroup[i] > 0)
                        open_one(PEER, rows[_i].cgroup[i]);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, rows[_i].fires);
}
END_TEST

/* A larger destination of another unit neither hides that of the rule's nor holds it up. */
START_TEST(a_rule_ends_with_its_units)
{
        use(RULE("for-unit = web\n"));
        open_one(PEER + 1, OTHER);
        open_one(PEER, WEB);
        host_run(h, 10, 1000, PEER + 1);
        ck_assert_uint_eq(h->logged, 0);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_str_eq(h->log[0].decision.evidence.destination, "10.0.0.1->10.0.0.2:80");
        for (unsigned i = 0; i < 7; i++)
                host_run(h, 10, 1000, PEER + 1);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
}
END_TEST

/* Short connections: one of their sockets that is met is enough, then and later. */
START_TEST(one_live_socket_is_enough)
{
        use(RULE("for-unit = web\n"));
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 0);
        open_one(PEER, WEB);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
        h->model.n--; /* it is closed */
        host_run(h, 30, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
        ck_assert_uint_eq(destination_of(PEER)->units, 1);
}
END_TEST

/* The unit that a rule names is shown as the culprit, whoever else has sockets there. */
START_TEST(the_named_unit_is_the_culprit)
{
        use(RULE("for-unit = web\n"));
        open_one(PEER, 9999);
        host_run(h, 1, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, 9999);
        open_one(PEER, WEB);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->log[0].decision.evidence.cgroup, WEB);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, WEB);
}
END_TEST

/* A program that is gone, or a person who tried the connection once, is not the culprit of what comes later. */
START_TEST(the_culprit_has_live_sockets)
{
        struct model_socket *first;

        use(RULE(""));
        open_one(PEER, 9999);
        host_run(h, 1, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, 9999);
        open_one(PEER, OTHER);
        host_run(h, 3, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, 9999);
        for (first = h->model.socket; first->cgroup != 9999; first++)
                ;
        first->cgroup = OTHER; /* as if it were closed */
        host_run(h, 1, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, OTHER);
        h->model.n = 0; /* without any live socket the last one stays */
        host_run(h, 3, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, OTHER);
}
END_TEST

/* A unit that is started again has a new cgroup. Others that have a live socket do not take its place. */
START_TEST(the_culprit_is_the_new_cgroup_of_the_unit)
{
        use(RULE("for-unit = web\n"));
        open_one(PEER, WEB);
        host_run(h, 10, 100, PEER);
        h->model.n = 0;
        open_one(PEER, 9999);
        host_run(h, 2, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, WEB);
        open_one(PEER, WEB_AGAIN);
        cgroups.n = 0;
        unit_cgroups_add(&cgroups, WEB_AGAIN, unit_bit("web.service"));
        ports_use_units(h->ports, &cgroups);
        host_run(h, 2, 100, PEER);
        ck_assert_uint_eq(destination_of(PEER)->cgroup, WEB_AGAIN);
}
END_TEST

/* Its cgroup is met before the observer has found out whose it is. */
START_TEST(a_unit_that_is_found_later_counts)
{
        use(RULE("for-unit = web\n"));
        open_one(PEER, WEB_AGAIN);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 0);
        ck_assert_uint_eq(ports_newest_cgroup(h->ports), WEB_AGAIN);
        h->model.n = 0;
        unit_cgroups_add(&cgroups, WEB_AGAIN, unit_bit("web.service"));
        ports_use_units(h->ports, &cgroups);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* A live socket that is looked for after the dump. */
START_TEST(a_cgroup_that_is_given_counts)
{
        use(RULE("for-unit = web\n"));
        host_run(h, 10, 100, PEER);
        ports_give_cgroup(h->ports, destination_of(PEER)->id, WEB);
        host_run(h, 1, 0, PEER);
        ck_assert_uint_eq(h->logged, 1);
}
END_TEST

/* A reload forgets which units a destination has; the one that the rule acts for keeps it. */
START_TEST(a_reload_ends_no_rule)
{
        use(RULE("for-unit = web\n"));
        open_one(PEER, WEB);
        host_run(h, 10, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
        h->model.n = 0;
        cgroups.n = 0;
        ports_use_units(h->ports, NULL);
        ports_use_units(h->ports, &cgroups);
        ck_assert_uint_eq(destination_of(PEER)->units, 0);
        host_run(h, 30, 100, PEER);
        ck_assert_uint_eq(h->logged, 1);
        for (unsigned i = 0; i < 7; i++)
                host_run(h, 10, 0, PEER);
        ck_assert_uint_eq(h->logged, 2);
        ck_assert_int_eq(h->log[1].kind, DECISION_RELEASE);
}
END_TEST

static const struct {
        const char *before, *after;
        bool inherits;
} reloads[] = {
        {RULE("for-unit = web\n"), RULE("for-unit = web.service\n"), true},
        {RULE("for-unit = web other\n"),
         "[rule q]\nwhen = ports.used >= 5\nfor-unit = other\nadvise = x\n" RULE("for-unit = web other\n"), true},
        {RULE("for-unit = web\n"), RULE("for-unit = other\n"), false},
        {RULE("for-unit = web\n"),
         "[rule q]\nwhen = ports.used >= 5\nfor-unit = web\nadvise = x\n" RULE("for-unit = other\n"), false},
        {RULE("for-unit = web\n"), RULE("for-unit = web other\n"), false},
        {RULE("for-unit = web other\n"), RULE("for-unit = web\n"), false},
        {RULE("for-unit = web\n"), RULE(""), false},
        {RULE(""), RULE("for-unit = web\n"), false},
};

START_TEST(a_rule_is_the_same_for_the_same_units)
{
        struct config *config = config_of(reloads[_i].after);
        struct policy *policy = policy_new(config);

        use(reloads[_i].before);
        ck_assert_int_eq(policy_inherit(policy, h->policy) != 0, reloads[_i].inherits);
        policy_free(policy);
        config_free(config);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, tear_down);
        tcase_add_loop_test(tcase, a_rule_is_for_its_units, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, a_rule_ends_with_its_units);
        tcase_add_test(tcase, one_live_socket_is_enough);
        tcase_add_test(tcase, the_named_unit_is_the_culprit);
        tcase_add_test(tcase, the_culprit_has_live_sockets);
        tcase_add_test(tcase, the_culprit_is_the_new_cgroup_of_the_unit);
        tcase_add_test(tcase, a_unit_that_is_found_later_counts);
        tcase_add_test(tcase, a_cgroup_that_is_given_counts);
        tcase_add_test(tcase, a_reload_ends_no_rule);
        tcase_add_loop_test(tcase, a_rule_is_the_same_for_the_same_units, 0, ELEMENTSOF(reloads));
}

int main(void)
{
        return run_suite("policy_unit", add);
}
