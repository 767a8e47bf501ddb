/* SPDX-License-Identifier: MIT */
/* Not looking at the sockets while bounds decide never changes a decision: random loads and random policies, once
 * with a look at every tick and once with as few as the policy asks for. Without ports.forecast, whose rate is that
 * since the look before (check_ports.c). check_policy_need [RUNS] */

#include "host.h"
#include "random.h"

#define TICKS 400u
#define PORTS 1000u
#define DESTINATIONS 6u
#define LINE 200

static struct random generator;
static int runs = 100; /* ./dev test --long: 1000 */

static unsigned pick(unsigned n)
{
        return random_below(&generator, n);
}

static const char *const metrics[][2] = {
        {"ports.cliff", "%"},           {"ports.exhaustion", "%"},  {"ports.demand", "%"},   {"ports.relief", "%"},
        {"ports.reuse_demand", "%"},    {"ports.source_used", "%"}, {"ports.used", ""},      {"ports.reusable", ""},
        {"ports.cliff_eta", "s"},       {"tcp.time_wait", ""},      {"tcp.established", ""}, {"ports.bind_first", "%"},
        {"tcp.fin_wait2_orphaned", ""},
};

/* own: takes the last metric, which the action of the rule changes, more often than others. */
static void random_condition(char *text, const char *key, bool own)
{
        static const char *const ops[] = {">=", ">", "<", "<="};
        unsigned usual = strcmp(key, "when") == 0 ? 0 : 2;
        const char *const *metric = metrics[own && pick(2) ? ELEMENTSOF(metrics) - 1 : pick(ELEMENTSOF(metrics))];
        unsigned number = metric[1][0] == '%' ? 1 + pick(150) : 1 + pick(300);
        char line[LINE], time[32] = "";

        if (pick(2))
                snprintf(time, sizeof(time), " for %us", 1 + pick(20));
        snprintf(line, sizeof(line), "%s = %s %s %u%s%s\n", key, metric[0],
                 ops[pick(100) < 80 ? usual + pick(2) : pick(4)], number, metric[1], time);
        strcat(text, line);
}

/* Steps only go where a table is full, so what is lowered here is a time. */
static void random_policy(char *text)
{
        static const char *const actions[] = {
                "set = net.ipv4.tcp_tw_reuse = 1", "set = net.ipv4.tcp_tw_reuse_delay = 250",
                "lower = net.ipv4.tcp_fin_timeout /1.2 min 15\nevery = 6s", "advise = do something"};
        unsigned rules = 1 + pick(ELEMENTSOF(actions));
        char line[LINE];

        strcpy(text, "");
        for (unsigned i = 0; i < rules; i++) {
                snprintf(line, sizeof(line), "[rule r%u]\n%s\n", i, actions[i]);
                strcat(text, line);
                if (i > 0 && pick(2))
                        strcat(text, "after = r0\n");
                for (unsigned k = 0; k <= pick(3); k++)
                        random_condition(text, "when", i == 2);
                for (unsigned k = pick(3); k > 0; k--)
                        random_condition(text, "until", i == 2);
                if (pick(3) == 0 && i < 3)
                        strcat(text, "expect = netstat.TcpExt.TWRecycled > 0/s within 5s\nretry = 20s\n");
        }
}

/* What happens in one second: the same on both hosts. */
struct second {
        unsigned rate[DESTINATIONS]; /* connections that are opened and closed */
        unsigned open, close;        /* connections that stay */
        unsigned to;                 /* where those go */
        unsigned listen, listeners;  /* ports from listen on that begin to listen, or end */
};

static void random_load(struct second load[static TICKS])
{
        struct second now = {0};

        for (unsigned t = 0; t < TICKS; t++) {
                if (pick(25) == 0)
                        for (unsigned d = 0; d < DESTINATIONS; d++)
                                now.rate[d] = pick(3) ? 0 : pick(20) * (pick(6) == 0 ? 5 : 1);
                now.open = pick(30) == 0 ? pick(200) : 0;
                now.close = pick(30) == 0 ? pick(300) : 0;
                now.to = pick(DESTINATIONS);
                now.listen = 32768 + pick(PORTS);
                now.listeners = pick(10) == 0 ? pick(LISTENERS_UNSEEN / METRIC_SLOWLY_SECONDS) : 0;
                load[t] = now;
        }
}

static uint32_t address_of(unsigned d)
{
        return d == 0 ? LOOPBACK : PEER + d;
}

/* Half of them wait for their peer first, with no owner. */
static void close_some(struct host *host, unsigned n)
{
        struct model *m = &host->model;

        for (unsigned i = 0; i < m->n && n > 0; i++)
                if (m->socket[i].state != TCP_TIME_WAIT) {
                        bool waits = m->socket[i].state == TCP_ESTABLISHED && i % 2 == 0;

                        m->socket[i].state = waits ? TCP_FIN_WAIT2 : TCP_TIME_WAIT;
                        m->socket[i].since = host->snapshot.now + SEC / 2;
                        n--;
                }
}

static void live_a_second(struct host *host, const struct second *s)
{
        for (unsigned d = 0; d < DESTINATIONS; d++)
                host_connect_all(host, s->rate[d], address_of(d));
        for (unsigned i = 0; i < s->open && host->model.n < PORTS; i++, host->opened++)
                model_add(&host->model, TCP_ESTABLISHED, address_of(s->to), 80, 0);
        close_some(host, s->close);
        for (unsigned port = s->listen; port < s->listen + s->listeners; port++)
                model_listen(&host->model, port);
        host->snapshot.now += SEC;
        host_observe(host);
        host_decide(host);
}

static void check_log_alike(const struct host *always, const struct host *seldom, unsigned from, const char *text)
{
        for (unsigned i = from; i < always->logged && i < seldom->logged; i++)
                ck_assert_msg(always->log[i].kind == seldom->log[i].kind && always->log[i].rule == seldom->log[i].rule,
                              "seed %llu: at %llu s kind %d of rule %u, and with skipping kind %d of rule %u\n%s",
                              (unsigned long long)generator.seed, (unsigned long long)always->log[i].at,
                              always->log[i].kind, always->log[i].rule, seldom->log[i].kind, seldom->log[i].rule,
                              text);
        ck_assert_msg(always->logged == seldom->logged, "seed %llu: %u decisions at %llu s, with skipping %u\n%s",
                      (unsigned long long)generator.seed, always->logged,
                      (unsigned long long)((always->snapshot.now - host_start()) / SEC), seldom->logged, text);
}

static void check_alike(const char *text, const struct second load[static TICKS])
{
        struct host *always = host_new(text), *seldom = host_new(text);

        seldom->skips = true;
        always->follows = seldom;
        always->model.ports = seldom->model.ports = PORTS;
        for (unsigned t = 0; t < TICKS && always->logged <= LOG_MAX - 16; t++) {
                unsigned from = always->logged;

                live_a_second(seldom, &load[t]);
                live_a_second(always, &load[t]);
                check_log_alike(always, seldom, from, text);
        }
        ck_assert_uint_le(seldom->dumps, always->dumps);
        host_free(always);
        host_free(seldom);
}

START_TEST(skipping_never_changes_a_decision)
{
        static struct second load[TICKS];
        char text[4096];

        generator = random_start();
        generator.state += (uint64_t)_i << 32; /* each run of the loop is another */
        do
                random_policy(text);
        while (!config_is_good(text));
        random_load(load);
        check_alike(text, load);
}
END_TEST

/* While the rule is active bounds decide, and the look after that is the first since the destination ended. */
START_TEST(a_destination_that_has_ended_decides_nothing)
{
        static struct second load[TICKS];

        load[0].rate[1] = 1;
        check_alike("[rule r0]\nset = net.ipv4.tcp_tw_reuse = 1\nwhen = ports.cliff_eta >= 2000s\n"
                    "until = ports.used < 600 for 100s\n",
                    load);
}
END_TEST

/* Each takes a port that connect() could pick, and no socket tells. */
START_TEST(listeners_that_come_unseen_decide_at_once)
{
        static struct second load[TICKS];

        load[20] = (struct second){.open = 400, .to = 1};
        load[55] = (struct second){.listen = 33600, .listeners = 40};
        check_alike("[rule r0]\nset = net.ipv4.tcp_tw_reuse = 1\nwhen = ports.cliff >= 81%\n", load);
}
END_TEST

/* The point of it: a quiet host, and one with few connections, is hardly ever looked at. */
START_TEST(a_healthy_host_is_not_looked_at)
{
        struct host *host = host_new(shipped_policy());

        host->skips = true;
        host_run(host, 600, 30, PEER); /* 1,800 TIME_WAIT */
        ck_assert_uint_eq(host->logged, 0);
        ck_assert_msg(host->dumps <= 6, "%u looks in 600 s", host->dumps);
        host_free(host);
}
END_TEST

/* A host that comes near the cliff is looked at. */
START_TEST(a_busy_host_is_looked_at)
{
        struct host *host = host_new(shipped_policy());

        host->skips = true;
        host_run(host, 60, 300, PEER);
        check_log(host, 1, (const enum decision_kind[]){DECISION_ENTER}, (const unsigned[]){0});
        ck_assert_uint_lt(host->log[0].at * 300, 14116);
        host_free(host);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, skipping_never_changes_a_decision, 0, runs);
        tcase_add_test(tcase, a_destination_that_has_ended_decides_nothing);
        tcase_add_test(tcase, listeners_that_come_unseen_decide_at_once);
        tcase_add_test(tcase, a_healthy_host_is_not_looked_at);
        tcase_add_test(tcase, a_busy_host_is_looked_at);
}

int main(int argc, char *argv[])
{
        if (argc > 1)
                runs = atoi(argv[1]);
        return run_suite("policy_need", add);
}
