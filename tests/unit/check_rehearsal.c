/* SPDX-License-Identifier: MIT */
/* The policy decides on the rows of a recording as on the snapshots that they were made of: a host lives through
 * random loads, and a second one sees nothing but its rows. */

#include "host.h"
#include "lib/recording/recording.h"
#include "random.h"

#define TICKS 300u

static struct random generator;
static struct recording writer, reader;
static char line[2][RECORDING_LINE_MAX];

static unsigned pick(unsigned n)
{
        return random_below(&generator, n);
}

static void begin(const struct counters *counters)
{
        struct diagnostics diagnostics = {0};

        recording_init(&writer, counters);
        line[0][recording_format_header(&writer, line[0]) - 1] = 0;
        ck_assert_int_eq(recording_parse_header(&reader, line[0], (struct origin){"r.csv", 1}, &diagnostics), 0);
        recording_bind(&reader, counters);
}

static const char *const policies[] = {
        NULL, /* as shipped */
        "[rule a]\nwhen = ports.demand >= 40% for 5s\nwhen = ports.relief > 10%\nuntil = ports.demand < 30% for 10s\n"
        "set = net.ipv4.tcp_tw_reuse = 1\nexpect = netstat.TcpExt.TWRecycled > 0/s within 5s\nretry = 30s\n",
        "[rule a]\nwhen = ports.used > 200\nset = net.ipv4.tcp_tw_reuse = 1\n"
        "[rule b]\nafter = a\nwhen = ports.cliff > 30% for 3s\nuntil = ports.reuse_demand < 10% for 5s\n"
        "set = net.ipv4.tcp_tw_reuse_delay = 250\n",
        "[rule a]\nwhen = ports.cliff_eta < 5s\nwhen = tcp.time_wait > 100\nset = net.ipv4.tcp_fin_timeout = 30\n"
        "abort = tcp.time_wait > 2x before within 20s\nexpect = tcp.closing > 0 within 7s\nretry = 20s\n",
};

static void fill_row(struct recording_row *row, struct host *host)
{
        const struct destination *busiest = ports_busiest(host->ports);
        struct snapshot *s = &host->snapshot;
        bool there = busiest && s->reading[METRIC_PORTS_FIRST].state == READING_VALID;

        row->snapshot = s;
        row->listening = *ports_listening(host->ports);
        for (unsigned id = METRIC_PORTS_FIRST; id <= METRIC_PORTS_LAST; id++) {
                s->endpoint[id][0] = 0;
                if (there)
                        destination_name(&busiest->key, s->endpoint[id]);
        }
        if (there)
                row->destination = *busiest;
}

static void replay_row(struct host *host, struct recording_row *row, char *text)
{
        struct diagnostics diagnostics = {0};
        int r = recording_parse_row(&reader, text, row, (struct origin){"r.csv", 2}, &diagnostics);

        ck_assert_msg(r == 0, "seed %" PRIu64 ": %s", generator.seed, diagnostics.n ? diagnostics.item[0].text : "?");
        host->snapshot.ports = host->ports;
        ports_give_listening(host->ports, &row->listening);
        if (host->snapshot.reading[METRIC_PORTS_FIRST].state == READING_VALID)
                ports_give_destination(host->ports,
                                       host->snapshot.endpoint[METRIC_PORTS_FIRST][0] ? &row->destination : NULL);
        host_decide(host);
}

START_TEST(decisions_on_rows_are_those_on_snapshots)
{
        const char *text = policies[(unsigned)_i % ELEMENTSOF(policies)];
        static struct recording_row row, back;
        struct host *live, *replay;
        unsigned rate = 0;

        generator = random_start();
        generator.state += (uint64_t)_i << 32;
        live = host_new(text ? text : shipped_policy());
        replay = host_new(text ? text : shipped_policy());
        live->model.ports = 1000;
        live->skips = pick(2);
        live->no_timestamps = pick(3) == 0;
        begin(&live->config->counters);
        recording_row_init(&back, &replay->snapshot);
        for (unsigned t = 0; t < TICKS && live->logged < LOG_MAX - 16; t++) {
                rate = pick(20) ? rate : pick(3) * pick(100);
                host_connect_all(live, rate, PEER);
                live->snapshot.now += SEC;
                host_observe(live);
                fill_row(&row, live);
                line[t % 2][recording_format_row(&writer, &row, line[t % 2]) - 1] = 0;
                replay_row(replay, &back, line[t % 2]);
                host_decide(live);
                ck_assert_msg(live->logged == replay->logged, "seed %" PRIu64 ": after %u s %u decisions, replayed %u",
                              generator.seed, t, live->logged, replay->logged);
        }
        for (unsigned i = 0; i < live->logged; i++)
                ck_assert(live->log[i].kind == replay->log[i].kind && live->log[i].rule == replay->log[i].rule &&
                          live->log[i].at == replay->log[i].at && live->log[i].logged == replay->log[i].logged);
        host_free(live);
        host_free(replay);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, decisions_on_rows_are_those_on_snapshots, 0, 60);
}

int main(void)
{
        return run_suite("rehearsal", add);
}
