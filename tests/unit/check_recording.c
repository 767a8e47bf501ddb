/* SPDX-License-Identifier: MIT */
/* What is recorded reads back as it was. */

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/recording/cell.h"
#include "lib/recording/recording.h"
#include "random.h"
#include "run.h"

static struct random generator;
static struct recording writer, reader;
static char line[RECORDING_LINE_MAX], lines[2][RECORDING_LINE_MAX], header[RECORDING_LINE_MAX];

static unsigned pick(unsigned n)
{
        return random_below(&generator, n);
}

/* Of every size, and now and then a whole one. */
static double random_number(void)
{
        union {
                uint64_t bits;
                double value;
        } any = {.bits = random_next(&generator) >> 1};

        switch (pick(4)) {
        case 0:
                return pick(1000);
        case 1:
                return pick(UINT32_MAX) / 1000.0;
        case 2:
                return 100.0 * pick(50000) / (1 + pick(300000));
        }
        return isnan(any.value) ? INFINITY : any.value;
}

static void random_text(char *text, unsigned size)
{
        static const char letters[] = "abc,\"\" ;=->[]:.-\xc3\xa4";
        unsigned n = pick(3) == 0 ? pick(size) : pick(4);

        for (unsigned i = 0; i < n; i++)
                text[i] = letters[pick(sizeof(letters) - 1)];
        text[n] = 0;
}

static struct reading random_reading(unsigned id)
{
        double lower = random_number(), upper = random_number();

        switch (pick(6)) {
        case 0:
                return (struct reading){.state = READING_INVALID};
        case 1:
                return (struct reading){.state = READING_UNAVAILABLE};
        case 2:
                return reading_bounded(fmin(lower, upper), fmax(lower, upper));
        case 3:
                if (!metric_is_ports(id))
                        return (struct reading){.state = READING_VALID, .value = lower, .weight = 1 + pick(50000)};
        }
        return reading_valid(metric_is_ports(id) ? (double)(float)lower : lower);
}

static void random_address(uint32_t a[static 4])
{
        for (unsigned i = 0; i < 4; i++)
                a[i] = pick(3) ? (uint32_t)random_next(&generator) : 0;
        if (pick(2)) {
                a[0] = a[1] = 0;
                a[2] = htonl(0xffff);
        }
}

static void random_group(struct recording_row *row)
{
        struct snapshot *s = row->snapshot;

        random_address(row->destination.key.src);
        random_address(row->destination.key.dst);
        row->destination.key.dport = (uint16_t)pick(65536);
        row->destination.fresh = (uint32_t)random_next(&generator);
        for (unsigned i = 0; i < METRIC_PORTS_COUNT; i++) {
                row->destination.lower[i] = (float)s->reading[METRIC_PORTS_FIRST + i].value;
                row->destination.upper[i] = pick(2) ? row->destination.lower[i] : (float)random_number();
                if (i < PORTS_WITHOUT_REUSE)
                        row->destination.without_reuse[i] = (float)random_number();
                destination_name(&row->destination.key, s->endpoint[METRIC_PORTS_FIRST + i]);
        }
        random_text(s->culprit[METRIC_PORTS_FIRST], SNAPSHOT_CULPRIT_MAX);
        for (unsigned id = METRIC_PORTS_FIRST + 1; id <= METRIC_PORTS_LAST; id++)
                strcpy(s->culprit[id], s->culprit[METRIC_PORTS_FIRST]);
        row->destination.cgroup = s->culprit[METRIC_PORTS_FIRST][0] != 0;
}

/* All ports.* are read together, or none is. */
static void random_ports(struct recording_row *row)
{
        struct snapshot *s = row->snapshot;
        enum reading_state state = s->reading[METRIC_PORTS_FIRST].state;

        for (unsigned id = METRIC_PORTS_FIRST; id <= METRIC_PORTS_LAST; id++) {
                while (s->reading[id].state != state)
                        s->reading[id] = random_reading(id);
                s->endpoint[id][0] = s->culprit[id][0] = 0;
        }
        memset(&row->destination, 0, sizeof(row->destination));
        if (state == READING_VALID && pick(4))
                random_group(row);
}

static struct sysctl_value random_value(enum sysctl_id id)
{
        struct sysctl_value value = {.n = sysctl_table[id].n};

        for (unsigned i = 0; i < value.n; i++)
                value.v[i] = (int64_t)random_next(&generator) >> pick(63);
        return value;
}

static void random_row(struct recording_row *row, unsigned counters)
{
        static const unsigned culprits[] = {METRIC_ACCEPT_QUEUE_WORST, METRIC_SYN_QUEUE_WORST,     METRIC_LISTEN_DROPS,
                                            METRIC_CLOSE_WAIT_GROWTH,  METRIC_CLOSE_WAIT_STUCK,    METRIC_PORTS_BOUND,
                                            METRIC_LISTEN_BURSTS,      METRIC_TCP_DATA_UNANSWERED, METRIC_UDP_PORTS,
                                            METRIC_UDP_RECEIVE_BUFFER};
        static const enum reading_state states[] = {READING_INVALID, READING_UNAVAILABLE, READING_VALID};
        struct snapshot *s = row->snapshot;

        s->now += 1 + random_next(&generator) % (UINT64_C(1) << (1 + pick(40)));
        s->memory_bytes = random_next(&generator) >> pick(64);
        for (unsigned id = 0; id < METRIC_COUNT + counters; id++)
                s->reading[id] = random_reading(id);
        random_ports(row);
        for (unsigned i = 0; i < ELEMENTSOF(culprits); i++) {
                random_text(s->endpoint[culprits[i]], SNAPSHOT_ENDPOINT_MAX);
                random_text(s->culprit[culprits[i]], SNAPSHOT_CULPRIT_MAX);
        }
        row->held = 0;
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                s->sysctl[id] = (struct live_sysctl){.state = READING_UNAVAILABLE};
                if (sysctl_table[id].n == 0)
                        continue;
                s->sysctl[id].state = states[pick(3)];
                if (s->sysctl[id].state == READING_VALID)
                        s->sysctl[id].value = random_value(id);
                row->original[id] = random_value(id);
                row->held |= (uint32_t)(pick(4) == 0) << id;
        }
        memset(&row->listening, 0, sizeof(row->listening));
        for (unsigned i = pick(50); i > 0; i--)
                port_set_add(&row->listening, pick(3) ? pick(65536) : 65535 - i);
        random_text(row->date, RECORDING_DATE_MAX);
        row->observe = pick(2);
        row->interval_ns = random_next(&generator) >> (10 + pick(40));
}

/* Most of a row is as it was in the row before. */
static void random_change(struct recording_row *row, unsigned counters)
{
        struct snapshot *s = row->snapshot;

        if (pick(5) == 0) {
                random_row(row, counters);
                return;
        }
        s->now += 1 + pick(1000000000);
        for (unsigned i = 0; i < 3; i++) {
                unsigned id = pick(METRIC_COUNT + counters);

                if (!metric_is_ports(id))
                        s->reading[id] = random_reading(id);
        }
        random_ports(row);
}

static bool same(double a, double b)
{
        return memcmp(&a, &b, sizeof(a)) == 0;
}

static void check_readings(const struct snapshot *a, const struct snapshot *b, unsigned n)
{
        for (unsigned id = 0; id < n; id++) {
                const struct reading *x = &a->reading[id], *y = &b->reading[id];

                ck_assert_msg(x->state == y->state && same(x->value, y->value) && same(x->upper, y->upper) &&
                                      same(x->weight, y->weight),
                              "seed %" PRIu64 ": reading %u: %d %a %a *%a is read as %d %a %a *%a", generator.seed, id,
                              x->state, x->value, x->upper, x->weight, y->state, y->value, y->upper, y->weight);
        }
}

static void check_group(const struct recording_row *a, const struct recording_row *b)
{
        if (!a->snapshot->endpoint[METRIC_PORTS_FIRST][0])
                return;
        ck_assert_mem_eq(a->destination.lower, b->destination.lower, sizeof(a->destination.lower));
        ck_assert_mem_eq(a->destination.upper, b->destination.upper, sizeof(a->destination.upper));
        for (unsigned i = 0; i < PORTS_WITHOUT_REUSE; i++)
                ck_assert(same((double)a->destination.without_reuse[i], (double)b->destination.without_reuse[i]));
        ck_assert_uint_eq(a->destination.fresh, b->destination.fresh);
        ck_assert_uint_eq(a->destination.cgroup, b->destination.cgroup);
        ck_assert_uint_eq(a->destination.key.dport, b->destination.key.dport);
        ck_assert_mem_eq(a->destination.key.src, b->destination.key.src, sizeof(a->destination.key.src));
        ck_assert_mem_eq(a->destination.key.dst, b->destination.key.dst, sizeof(a->destination.key.dst));
}

static void check_rows(const struct recording_row *a, const struct recording_row *b, unsigned counters)
{
        const struct snapshot *x = a->snapshot, *y = b->snapshot;

        ck_assert_msg(x->now == y->now, "seed %" PRIu64 ": time", generator.seed);
        ck_assert_uint_eq(x->memory_bytes, y->memory_bytes);
        check_readings(x, y, METRIC_COUNT + counters);
        check_group(a, b);
        ck_assert_mem_eq(&a->listening, &b->listening, sizeof(a->listening));
        ck_assert_str_eq(a->date, b->date);
        ck_assert(a->observe == b->observe);
        ck_assert_uint_eq(a->interval_ns, b->interval_ns);
        ck_assert_uint_eq(a->held, b->held);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++) {
                ck_assert(x->sysctl[id].state == y->sysctl[id].state);
                ck_assert(sysctl_equal(&x->sysctl[id].value, &y->sysctl[id].value));
                ck_assert(!(a->held >> id & 1) || sysctl_equal(&a->original[id], &b->original[id]));
        }
        for (unsigned id = 0; id < METRIC_COUNT; id++) {
                ck_assert_str_eq(x->endpoint[id], y->endpoint[id]);
                ck_assert_str_eq(x->culprit[id], y->culprit[id]);
        }
}

/* Cuts the end of the line off, as a reader does. */
static char *whole_line(char *to, size_t n)
{
        ck_assert_uint_lt(n, RECORDING_LINE_MAX);
        ck_assert_msg(line[n - 1] == '\n' && !memchr(line, '\n', n - 1), "a row is a line");
        memcpy(to, line, n - 1);
        to[n - 1] = 0;
        return to;
}

static void begin(const struct counters *counters)
{
        struct diagnostics diagnostics = {0};

        recording_init(&writer, counters);
        ck_assert_int_eq(recording_parse_header(&reader, whole_line(header, recording_format_header(&writer, line)),
                                                (struct origin){"r.csv", 1}, &diagnostics),
                         0);
        recording_bind(&reader, counters);
        ck_assert_uint_eq(reader.n, writer.n);
}

static void read_row(char *text, struct recording_row *row)
{
        struct diagnostics diagnostics = {0};
        int r = recording_parse_row(&reader, text, row, (struct origin){"r.csv", 2}, &diagnostics);

        ck_assert_msg(r == 0, "seed %" PRIu64 ": %s", generator.seed, diagnostics.n ? diagnostics.item[0].text : "?");
}

START_TEST(a_row_reads_back_as_it_was)
{
        static struct snapshot s, t;
        static struct recording_row row, back;
        struct counters counters;

        generator = random_start();
        generator.state += (uint64_t)_i << 32; /* each run of the loop is another */
        counters_init(&counters);
        counters_add(&counters, "netstat.TcpExt.Another");
        begin(&counters);
        recording_row_init(&row, &s);
        recording_row_init(&back, &t);
        for (unsigned i = 0; i < 100; i++) {
                random_change(&row, counters.n);
                read_row(whole_line(lines[i % 2], recording_format_row(&writer, &row, line)), &back);
                check_rows(&row, &back, counters.n);
        }
}
END_TEST

/* The configuration of the replay has other counters than that of the recording, in another order. */
START_TEST(counters_go_by_name)
{
        static struct snapshot s, t;
        static struct recording_row row, back;
        struct counters recorded, wanted;
        unsigned first, second, lacking, same_one;

        counters_init(&recorded);
        first = METRIC_COUNT + counters_add(&recorded, "snmp.Tcp.RecordedOnly");
        second = METRIC_COUNT + counters_add(&recorded, "netstat.TcpExt.Both");
        counters_init(&wanted);
        same_one = METRIC_COUNT + counters_add(&wanted, "netstat.TcpExt.Both");
        lacking = METRIC_COUNT + counters_add(&wanted, "netstat.TcpExt.WantedOnly");
        begin(&recorded);
        recording_bind(&reader, &wanted);
        recording_row_init(&row, &s);
        recording_row_init(&back, &t);
        s.now = 1;
        s.reading[first] = reading_valid(7);
        s.reading[second] = reading_valid(8);
        read_row(whole_line(lines[0], recording_format_row(&writer, &row, line)), &back);
        ck_assert_int_eq(t.reading[lacking].state, READING_UNAVAILABLE);
        ck_assert_int_eq(t.reading[same_one].state, READING_VALID);
        ck_assert(same(t.reading[same_one].value, 8));
}
END_TEST

/* As after a reload: the columns stay, the counter is no longer read. */
START_TEST(a_counter_that_nobody_reads_any_more_is_invalid)
{
        static struct snapshot s, t;
        static struct recording_row row, back;
        struct counters before, after;
        unsigned gone;

        counters_init(&before);
        gone = METRIC_COUNT + counters_add(&before, "snmp.Tcp.Gone");
        begin(&before);
        counters_init(&after);
        recording_bind(&writer, &after);
        recording_row_init(&row, &s);
        recording_row_init(&back, &t);
        s.now = 1;
        read_row(whole_line(lines[0], recording_format_row(&writer, &row, line)), &back);
        ck_assert_int_eq(t.reading[gone].state, READING_INVALID);
}
END_TEST

static void check_number(double value)
{
        char text[64], *p = text;
        double back = 0;

        cell_add_number(&p, value);
        p = (char *)cell_parse_number(text, &back);
        ck_assert_msg(p && !*p && same(value, back), "seed %" PRIu64 ": %a is '%s', read as %a", generator.seed, value,
                      text, back);
}

START_TEST(numbers_are_exact)
{
        static const double some[] = {0,    -0.0,   1,      -1,       0.1,   1e15, 1e15 - 1, 1e16,      123456.75,
                                      1e22, 1e-300, 5e-324, INFINITY, 1e308, 0.3,  4423680,  -INFINITY, 1.0 / 3};

        generator = random_start();
        for (unsigned i = 0; i < ELEMENTSOF(some); i++)
                check_number(some[i]);
        for (unsigned i = 0; i < 200000; i++)
                check_number(random_number());
}
END_TEST

static const struct {
        const char *header, *before, *row, *what;
} broken[] = {
        {"time,ports.forcast", NULL, NULL, "r.csv:1: unknown column 'ports.forcast'"},
        {"time,net.ipv4.tcp_nonsense", NULL, NULL, "r.csv:1: unknown column 'net.ipv4.tcp_nonsense'"},
        {"date,mode", NULL, NULL, "r.csv:1: there is no column 'time'"},
        {"time,mode,time", NULL, NULL, "r.csv:1: two columns 'time'"},
        {"time,\"mode", NULL, NULL, "r.csv:1: the quotes do not match"},
        {"", NULL, NULL, "r.csv:1: unknown column ''"},
        {"time", "1.000000000", "5.00000000x", "r.csv:3: time cannot be '5.00000000x'"},
        {"time,mode", "1.000000000,observe", "5.000000000",
         "r.csv:3: the row has fewer cells than the first line, which has 2"},
        {"time,mode", "1.000000000,observe", "5.000000000,observe,1",
         "r.csv:3: the row has more cells than the first line, which has 2"},
        {"time,mode", "1.000000000,observe", "5.000000000,maybe", "r.csv:3: mode cannot be 'maybe'"},
        {"time,mode", "1.000000000,observe", "5.000000000,\"observe", "r.csv:3: the quotes do not match"},
        {"time,mode", "1.000000000,observe", "5.000000000,\"observe\"x", "r.csv:3: the quotes do not match"},
        {"time,ports.cliff,ports.used", "1.000000000,5,7", "2.000000000,5,",
         "r.csv:3: some ports.* are valid and some"},
        {"time,ports.cliff,ports.used", "1.000000000,5,7", "2.000000000,~1..5,7", "r.csv:3: some ports.* are valid"},
        {"time", "1.000000000", "1.000000000", "r.csv:3: time does not increase"},
        {"time", "1.000000000", "0.999999999", "r.csv:3: time does not increase"},
        {"time", "1.000000000", "", "r.csv:3: time cannot be ''"},
        {"time", "1.000000000", "5", "r.csv:3: time cannot be '5'"},
        {"time", "1.000000000", "5.5", "r.csv:3: time cannot be '5.5'"},
        {"time", "1.000000000", "-5.000000000", "r.csv:3: time cannot be"},
        {"time", "1.000000000", "99999999999.000000000", "r.csv:3: time cannot be"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,x", "r.csv:3: tcp.closing cannot be 'x'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,1x", "r.csv:3: tcp.closing cannot be '1x'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,nan", "r.csv:3: tcp.closing cannot be 'nan'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000, 1", "r.csv:3: tcp.closing cannot be ' 1'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,~1", "r.csv:3: tcp.closing cannot be '~1'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,1..2", "r.csv:3: tcp.closing cannot be '1..2'"},
        {"time,tcp.closing", "1.000000000,", "5.000000000,1*", "r.csv:3: tcp.closing cannot be '1*'"},
        {"time,ports.used", "1.000000000,", "5.000000000,1..", "r.csv:3: ports.used cannot be '1..'"},
        {"time,ports.group", "1.000000000,", "5.000000000,10.0.0.1", "r.csv:3: ports.group cannot be '10.0.0.1'"},
        {"time,ports.group", "1.000000000,", "5.000000000,10.0.0.1->10.0.0.2:x", "r.csv:3: ports.group cannot be"},
        {"time,ports.group", "1.000000000,", "5.000000000,10.0.0.1->10.0.0.2:65536", "r.csv:3: ports.group cannot be"},
        {"time,ports.group", "1.000000000,", "5.000000000,10.0.0.256->10.0.0.2:80", "r.csv:3: ports.group cannot be"},
        {"time,ports.group", "1.000000000,", "5.000000000,10.0.0.1->10.0.0.2:80x", "r.csv:3: ports.group cannot be"},
        {"time,ports.group", "1.000000000,", "5.000000000,fd77::1->[fd77::2:80", "r.csv:3: ports.group cannot be"},
        {"time,ports.fresh", "1.000000000,", "5.000000000,-1", "r.csv:3: ports.fresh cannot be '-1'"},
        {"time,ports.cliff.unrelieved", "1.000000000,", "5.000000000,1..2",
         "r.csv:3: ports.cliff.unrelieved cannot be"},
        {"time,net.ipv4.tcp_tw_reuse", "1.000000000,", "5.000000000,1 2",
         "r.csv:3: net.ipv4.tcp_tw_reuse cannot be '1 2'"},
        {"time,held", "1.000000000,", "5.000000000,net.ipv4.tcp_tw_reuse", "r.csv:3: held cannot be"},
        {"time,held", "1.000000000,", "5.000000000,nothing=1", "r.csv:3: held cannot be"},
        {"time,listening", "1.000000000,", "5.000000000,\"80,x\"", "r.csv:3: listening cannot be '80,x'"},
        {"time,memory_bytes", "1.000000000,0", "5.000000000,", "r.csv:3: memory_bytes cannot be ''"},
        {"time,snmp.Tcp.InSegs", "1.000000000,", "5.000000000,1..2", "r.csv:3: snmp.Tcp.InSegs cannot be '1..2'"},
};

START_TEST(what_is_broken_is_said_with_its_line)
{
        static struct snapshot s;
        static struct recording_row row;
        struct diagnostics diagnostics = {0};
        char text[512], before[512], what[512];
        int r;

        strcpy(text, broken[_i].header);
        r = recording_parse_header(&reader, text, (struct origin){"r.csv", 1}, &diagnostics);
        ck_assert_int_eq(r == 0, broken[_i].row != NULL);
        if (broken[_i].row) {
                recording_row_init(&row, &s);
                strcpy(before, broken[_i].before);
                ck_assert_int_eq(recording_parse_row(&reader, before, &row, (struct origin){"r.csv", 2}, &diagnostics),
                                 0);
                strcpy(text, broken[_i].row);
                r = recording_parse_row(&reader, text, &row, (struct origin){"r.csv", 3}, &diagnostics);
                ck_assert_msg(r == -EINVAL, "'%s' is taken", broken[_i].row);
        }
        ck_assert_uint_eq(diagnostics.n, 1);
        snprintf(what, sizeof(what), "%s:%u: %s", diagnostics.item[0].at.file, diagnostics.item[0].at.line,
                 diagnostics.item[0].text);
        ck_assert_msg(strncmp(what, broken[_i].what, strlen(broken[_i].what)) == 0, "%s", what);
        diagnostics_free(&diagnostics);
}
END_TEST

START_TEST(what_has_no_column_is_unavailable)
{
        static struct snapshot s;
        static struct recording_row row;
        struct diagnostics diagnostics = {0};
        char text[] = "time,tcp.closing", first[] = "1.000000000,3";

        ck_assert_int_eq(recording_parse_header(&reader, text, (struct origin){"r.csv", 1}, &diagnostics), 0);
        recording_row_init(&row, &s);
        read_row(first, &row);
        ck_assert(same(s.reading[METRIC_TCP_CLOSING].value, 3));
        for (unsigned id = 0; id < ELEMENTSOF(s.reading); id++)
                ck_assert_int_eq(s.reading[id].state, id == METRIC_TCP_CLOSING ? READING_VALID : READING_UNAVAILABLE);
        for (unsigned id = 0; id < SYSCTL_COUNT; id++)
                ck_assert_int_eq(s.sysctl[id].state, READING_UNAVAILABLE);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_loop_test(tcase, a_row_reads_back_as_it_was, 0, 50);
        tcase_add_test(tcase, counters_go_by_name);
        tcase_add_test(tcase, a_counter_that_nobody_reads_any_more_is_invalid);
        tcase_add_test(tcase, numbers_are_exact);
        tcase_add_loop_test(tcase, what_is_broken_is_said_with_its_line, 0, ELEMENTSOF(broken));
        tcase_add_test(tcase, what_has_no_column_is_unavailable);
}

int main(void)
{
        return run_suite("recording", add);
}
