/* SPDX-License-Identifier: MIT */
#include "files.h"
#include "read_config.h"
#include "run.h"

#define S NSEC_PER_SEC
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X190 X50 X50 X50 X10 X10 X10 X10

static void expect_defaults(void)
{
        ck_assert_uint_eq(config->interval_ns, S);
        ck_assert(!config->observe && config->restore_on_exit);
        ck_assert(is(config->changes_per_minute, 12));
        ck_assert_uint_eq(config->min_interval_ns, 5 * S);
}

START_TEST(defaults)
{
        read_all("");
        expect_none("empty", &diagnostics);
        expect_defaults();
        ck_assert_uint_eq(config->n_rules, 0);
        ck_assert_uint_eq(config->counters.n, COUNTER_OWN);
        end();
        config_free(NULL);
}
END_TEST

START_TEST(every_key_is_taken)
{
        const struct rule *r;

        read_all("[daemon]\ninterval = 500ms\nmode = observe\nrestore_on_exit = no\nmetrics_file = /a/b.prom\n"
                 "metrics_listen = [::1]:9911\nnetns = cni-* docker-*\nnetns = web\n"
                 "netns_directory = /a\nnetns_directory = /b/c\n"
                 "[limits]\nchanges_per_minute = 30\nmin_interval = 2min\n"
                 "[rule low]\n" WHEN SET
                 "[rule high]\ndescription = some text; with = and #\nenabled = no\nafter = low\n"
                 "when = netstat.TcpExt.ListenDrops > 1k/s for 3s\nwhen = ports.cliff_eta < 3s\n"
                 "until = ports.demand <= 1.5%\nset = net.ipv4.tcp_fin_timeout = 30\n"
                 "set = net.ipv4.ip_local_port_range = 32768 65535\n"
                 "expect = netstat.TcpExt.TWRecycled > 0/s within 15s\n"
                 "abort = opens.resets > 3x before within 1min\nretry = 1h\nrelease = keep\n");
        expect_none("all keys", &diagnostics);
        ck_assert(config->interval_ns == S / 2 && config->observe && !config->restore_on_exit);
        ck_assert_str_eq(config->metrics_file, "/a/b.prom");
        ck_assert_str_eq(config->metrics_listen, "[::1]:9911");
        ck_assert_str_eq(config->netns, "cni-* docker-* web");
        ck_assert_str_eq(config->netns_directory, "/a /b/c");
        ck_assert(is(config->changes_per_minute, 30) && config->min_interval_ns == 120 * S);

        r = find_rule("high");
        ck_assert_str_eq(r->description, "some text; with = and #");
        ck_assert(r->disabled && r->keep && r->has_expect && r->after == 0 && r->retry_ns == 3600 * S);
        ck_assert(r->n_when == 2 && r->n_until == 1 && r->n_actions == 2 && r->n_abort == 1);
        ck_assert(r->when[0].metric == METRIC_COUNT + COUNTER_LISTEN_DROPS && r->when[0].time_ns == 3 * S);
        ck_assert(r->action[1].value.v[1] == 65535 && r->expect.time_ns == 15 * S);
        ck_assert(r->abort[0].within_ns == 60 * S && is(r->abort[0].multiple, 3));
        end();
}
END_TEST

START_TEST(rule_has_defaults)
{
        const struct rule *r;

        read_all(RULE);
        expect_none("rule", &diagnostics);
        r = find_rule("r");
        ck_assert(!r->description && !r->disabled && !r->keep && !r->has_expect && !r->faulty);
        ck_assert(r->n_until == 0 && r->n_abort == 0 && r->after == RULE_NONE && r->retry_ns == 600 * S);
        end();
}
END_TEST

START_TEST(origins_are_exact)
{
        const struct rule *r;

        read_all("\n# a comment\n\n[rule r]\n\n" WHEN "until = ports.demand < 1%\n" SET
                 "expect = tcp.listen > 0 within 1s\nabort = opens.resets > 3x before within 1s\n");
        expect_none("origins", &diagnostics);
        r = find_rule("r");
        ck_assert_uint_eq(r->at.line, 4);
        ck_assert_uint_eq(r->when[0].at.line, 6);
        ck_assert_uint_eq(r->until[0].at.line, 7);
        ck_assert_uint_eq(r->action[0].at.line, 8);
        ck_assert_uint_eq(r->expect.at.line, 9);
        ck_assert_uint_eq(r->abort[0].at.line, 10);
        ck_assert_str_eq(r->when[0].at.file, "a.conf");
        end();
}
END_TEST

#define TEXT_LENGTH 8192

/* The texts that people read are never cut, in one line or in several. */
START_TEST(texts_are_whole)
{
        static char text[5 * TEXT_LENGTH], whole[TEXT_LENGTH + 1], twice[2 * TEXT_LENGTH + 2];

        for (size_t i = 0; i < TEXT_LENGTH; i++)
                whole[i] = i % 7 == 6 ? ' ' : 'a' + (char)(i % 26);
        whole[TEXT_LENGTH - 1] = '.';
        snprintf(text, sizeof(text), "%sdescription = %s\nadvise = %s\nadvise = %s\n", RULE, whole, whole, whole);
        snprintf(twice, sizeof(twice), "%s %s", whole, whole);
        read_all(text);
        expect_none("long texts", &diagnostics);
        ck_assert_str_eq(find_rule("r")->description, whole);
        ck_assert_str_eq(find_rule("r")->advise, twice);
        ck_assert_str_eq(config->values.item[config->values.n - 1].text, whole);
        end();
}
END_TEST

/* As long as open() takes one (path_resolution(7)), and no longer. */
START_TEST(metrics_file_is_as_long_as_a_path)
{
        char text[2 * PATH_MAX] = "[daemon]\nmetrics_file = /", *path = strchr(text, '/');

        memset(path + 1, 'x', PATH_MAX - 2);
        read_file("a.conf", text);
        expect_none("as long as a path", &diagnostics);
        ck_assert_str_eq(config->metrics_file, path);
        strcat(path, "y");
        read_file("b.conf", text);
        expect_one("too long", "b.conf", 2, "a path has at most 4095 characters", &diagnostics);
        ck_assert_uint_eq(strlen(config->metrics_file), PATH_MAX - 1);
        end();
}
END_TEST

struct row {
        const char *name, *text;
        struct expected diagnostics[6];
};

static const struct row rows[] = {
        /* sections */
        {"key before a section", "mode = observe\n", {{1, "key 'mode' comes before the first section"}, {0}}},
        {"unknown section", "[demon]\nx = 1\n", {{1, "unknown section [demon], did you mean daemon?"}, {0}}},
        {"unknown section, limits", "[limit]\n", {{1, "unknown section [limit], did you mean limits?"}, {0}}},
        {"nothing near", "[network]\n", {{1, "unknown section [network]: there are [daemon]"}, {0}}},
        {"section in capitals", "[Daemon]\n", {{1, "did you mean daemon?"}, {0}}},
        {"section with blanks", "[ daemon ]\n", {{1, "unknown section [ daemon ]"}, {0}}},
        {"empty section", "[]\n", {{1, "unknown section []"}, {0}}},
        {"rules", "[rules x]\n", {{1, "unknown section [rules x]"}, {0}}},
        {"rule without a name", "[rule]\n", {{1, "invalid rule name ''"}, {0}}},
        {"rule with blanks for a name", "[rule  ]\n", {{1, "invalid rule name ''"}, {0}}},
        {"rule of two words",
         "[rule a b]\n",
         {{1, "invalid rule name 'a b': write at most 39 letters, digits, - and _"}, {0}}},
        {"rule with a slash", "[rule a/b]\n", {{1, "invalid rule name 'a/b'"}, {0}}},
        {"rule in UTF-8", "[rule \xc3\xbc]\n", {{1, "invalid rule name"}, {0}}},
        {"rule's name of 40", "[rule " X10 X10 X10 X10 "]\n", {{1, "at most 39"}, {0}}},
        {"rule's name of 39", "[rule " X10 X10 X10 "123456789]\n" WHEN SET, {{0}}},
        {"keys of a wrong section",
         "[demon]\nnonsense = 1\n[rule a/b]\nmore = 2\n[daemon]\nmode = x\n",
         {{1, "[demon]"}, {3, "a/b"}, {6, "invalid mode 'x': write enforce or observe"}, {0}}},
        {"open section", "[daemon\nmode = x\n", {{1, "write [NAME]"}, {0}}},

        /* keys */
        {"unknown key of daemon",
         "[daemon]\nintervall = 1s\n",
         {{2, "unknown key 'intervall', did you mean interval?"}, {0}}},
        {"unknown key of limits",
         "[limits]\nchange_per_minute = 1\n",
         {{2, "unknown key 'change_per_minute', did you mean changes_per_minute?"}, {0}}},
        {"unknown key of a rule",
         RULE "untill = ports.demand < 1%\n",
         {{4, "unknown key 'untill', did you mean until?"}, {0}}},
        {"key in capitals", "[daemon]\nMode = observe\n", {{2, "unknown key 'Mode', did you mean mode?"}, {0}}},
        {"key of another section", "[daemon]\nmin_interval = 1s\n", {{2, "unknown key 'min_interval'"}, {0}}},
        {"nothing near the key", "[daemon]\ncolour = red\n", {{2, "unknown key 'colour'"}, {0}}},
        {"no key", "[daemon]\n= 1\n", {{2, "no key before '='"}, {0}}},
        {"long key", "[daemon]\n" X190 "=1\n", {{2, "unknown key '" X190 "'"}, {0}}},

        /* values */
        {"interval",
         "[daemon]\ninterval = 1\n",
         {{2, "invalid duration '1': write a number and ms, s, min or h"}, {0}}},
        {"empty interval", "[daemon]\ninterval =\n", {{2, "invalid duration ''"}, {0}}},
        {"interval too short",
         "[daemon]\ninterval = 99ms\n",
         {{2, "invalid interval '99ms': write 100ms to 1min"}, {0}}},
        {"interval too long", "[daemon]\ninterval = 61s\n", {{2, "invalid interval '61s': write 100ms to 1min"}, {0}}},
        {"bounds of the interval", "[daemon]\ninterval = 100ms\ninterval = 1min\n", {{0}}},
        {"mode", "[daemon]\nmode = observ\n", {{2, "invalid mode 'observ': write enforce or observe"}, {0}}},
        {"comment with a value",
         "[daemon]\nmode = observe # not yet\n",
         {{2, "invalid mode 'observe # not yet'"}, {0}}},
        {"metrics_file",
         "[daemon]\nmetrics_file = a.prom\n",
         {{2, "invalid metrics_file 'a.prom': write an absolute path"}, {0}}},
        {"no metrics_file", "[daemon]\nmetrics_file = /a.prom\nmetrics_file =\n", {{0}}},
        {"metrics_listen",
         "[daemon]\nmetrics_listen = localhost:9911\n",
         {{2, "invalid metrics_listen 'localhost:9911': write ADDRESS:PORT"}, {0}}},
        {"no metrics_listen", "[daemon]\nmetrics_listen = 0.0.0.0:1\nmetrics_listen =\n", {{0}}},
        {"netns_directory",
         "[daemon]\nnetns_directory = run/netns\nnetns_directory = /a b\n",
         {{2, "invalid netns_directory 'run/netns': write an absolute path without blanks"},
          {3, "invalid netns_directory '/a b'"},
          {0}}},
        {"yield",
         "[daemon]\nyield = sysctl\n",
         {{2, "invalid yield 'sysctl': write sysctl.d, nondefault or no"}, {0}}},
        {"no share", "[daemon]\ncpu_budget = 5\n", {{2, "invalid cpu_budget '5': write 0.1% to 100%"}, {0}}},
        {"too small a share", "[daemon]\ncpu_budget = 0.05%\n", {{2, "invalid cpu_budget '0.05%'"}, {0}}},
        {"too much of a core", "[daemon]\ncpu_budget = 101%\n", {{2, "invalid cpu_budget '101%'"}, {0}}},
        {"restore_on_exit",
         "[daemon]\nrestore_on_exit = true\n",
         {{2, "invalid restore_on_exit 'true': write no or yes"}, {0}}},
        {"enabled", RULE "enabled = 1\n", {{4, "invalid enabled '1': write yes or no"}, {0}}},
        {"release", RULE "release = never\n", {{4, "invalid release 'never': write restore or keep"}, {0}}},
        {"retry", RULE "retry = soon\n", {{4, "invalid duration 'soon'"}, {0}}},
        {"for-destination",
         RULE "for-destination = 10.0.0.0/33\nfor-destination = backend:443\nfor-destination = 10.0.0.7:\n"
              "for-destination = [2001:db8::7]443\nfor-destination = 10.0.0.7:70000\n",
         {{4, "invalid for-destination '10.0.0.0/33': write ADDRESS, ADDRESS/BITS or either with :PORT, such as "
              "10.0.0.7:443, 10.0.0.0/8 or [2001:db8::7]:443"},
          {5, "invalid for-destination 'backend:443'"},
          {6, "invalid for-destination '10.0.0.7:'"},
          {7, "invalid for-destination '[2001:db8::7]443'"},
          {8, "invalid for-destination '10.0.0.7:70000'"},
          {0}}},
        {"for-destination of a rule about none",
         "[rule r]\nwhen = tcp.fin_wait2 >= 5\nadvise = x\nfor-destination = 10.0.0.7\n",
         {{4, "'for-destination' needs a metric of a destination"}, {0}}},
        {"for-destination of all forms",
         "[rule r]\nwhen = ports.used >= 5\nadvise = x\nfor-destination = 10.0.0.7:443\nfor-destination = 10.0.0.0/8\n"
         "for-destination = 2001:db8::/32\nfor-destination = [2001:db8::7]:443\n",
         {{0}}},
        {"for-unit",
         "[rule r]\nwhen = ports.used >= 5\nadvise = x\nfor-unit = web.servcie other.timer web@.service\n",
         {{4,
           "invalid for-unit 'web.servcie': write services, scopes and slices, such as nginx.service, web@1.service, "
           "kubepods.slice or user@1000.service/app.service"},
          {4, "invalid for-unit 'other.timer'"},
          {4, "invalid for-unit 'web@.service'"},
          {0}}},
        {"for-unit of a rule about no destination",
         "[rule r]\nwhen = tcp.time_wait >= 5\nadvise = x\nfor-unit = web\n",
         {{4, "'for-unit' needs a metric of a destination"}, {0}}},
        {"more units than there is room for",
         "[rule r]\nwhen = ports.used >= 5\nadvise = x\nfor-unit = a b c d e f g h i j k l m n o p\nfor-unit = c\n"
         "for-unit = q\n",
         {{6, "more than 16 names in 'for-unit' of all rules"}, {0}}},
        {"for-unit of all forms",
         "[rule r]\nwhen = ports.used >= 5\nadvise = x\nfor-unit = web  web@1.service\tsession-3.scope\n"
         "for-unit = system.slice user@1000.service/app.service\n",
         {{0}}},
        {"no changes",
         "[limits]\nchanges_per_minute = 0\n",
         {{2, "invalid changes_per_minute '0': write 1 to 600"}, {0}}},
        {"too many changes", "[limits]\nchanges_per_minute = 601\n", {{2, "invalid changes_per_minute '601'"}, {0}}},
        {"negative changes", "[limits]\nchanges_per_minute = -1\n", {{2, "invalid changes_per_minute '-1'"}, {0}}},
        {"many changes", "[limits]\nchanges_per_minute = 1k\n", {{2, "invalid changes_per_minute '1k'"}, {0}}},
        {"changes with a unit",
         "[limits]\nchanges_per_minute = 5/s\n",
         {{2, "invalid changes_per_minute '5/s'"}, {0}}},
        {"bounds of changes", "[limits]\nchanges_per_minute = 1\nchanges_per_minute = 600\n", {{0}}},
        {"min_interval", "[limits]\nmin_interval = 5\n", {{2, "invalid duration '5'"}, {0}}},

        /* conditions */
        {"unknown metric",
         RULE "when = ports.clif > 1%\n",
         {{4, "unknown metric 'ports.clif', did you mean ports.cliff?"}, {0}}},
        {"unknown counter",
         RULE "expect = netstat.TcpExt.TWRecyled > 0/s within 1s\n",
         {{4, "did you mean netstat.TcpExt.TWRecycled?"}, {0}}},
        {"unit that does not fit",
         RULE "until = ports.demand < 50\n",
         {{4, "invalid unit in '50': ports.demand takes a number and %"}, {0}}},
        {"bad number", RULE "when = ports.cliff >= x%\n", {{4, "invalid number 'x%'"}, {0}}},
        {"until with within", RULE "until = ports.demand < 5% within 5s\n", {{4, "only 'for DURATION'"}, {0}}},
        {"expect with for", RULE "expect = tcp.listen > 0 for 5s\n", {{4, "only 'within DURATION'"}, {0}}},
        {"expect without a time", RULE "expect = tcp.listen > 0\n", {{4, "expect needs a time"}, {0}}},
        {"expect within nothing", RULE "expect = tcp.listen > 0 within 0s\n", {{4, "expect needs a time"}, {0}}},
        {"expect of ports",
         "[rule a]\nset = net.ipv4.tcp_tw_reuse = 1\nwhen = tcp.listen > 5\nexpect = ports.cliff < 5% within 5s\n",
         {{4, "'expect' uses ports.cliff, so 'when' needs a metric of a destination"}, {0}}},
        {"abort",
         RULE "abort = opens.resets > 3 before within 5s\n",
         {{4, "write METRIC > Nx before within DURATION"}, {0}}},
        {"abort of ports",
         RULE "abort = ports.cliff > 3x before within 5s\n",
         {{4, "of the metrics of a destination it accepts only ports.syn_waiting"}, {0}}},

        /* sysctls */
        {"unknown sysctl",
         RULE "set = net.ipv4.tcp_fin_timout = 30\n",
         {{4, "unknown sysctl 'net.ipv4.tcp_fin_timout', did you mean net.ipv4.tcp_fin_timeout?"}, {0}}},
        {"no value", RULE "set = net.ipv4.tcp_fin_timeout\n", {{4, "write SYSCTL = VALUE"}, {0}}},
        {"bad value", RULE "set = net.ipv4.tcp_fin_timeout = 30s\n", {{4, "invalid value '30s'"}, {0}}},
        {"tcp_tw_recycle",
         RULE "set = net.ipv4.tcp_tw_recycle = 1\n",
         {{4, "net.ipv4.tcp_tw_recycle is never written: it broke clients behind NAT"}, {0}}},
        {"tcp_timestamps",
         RULE "set = net.ipv4.tcp_timestamps = 0\n",
         {{4, "net.ipv4.tcp_timestamps is never written: without timestamps"}, {0}}},
        {"tcp_rfc1337",
         RULE "set = net.ipv4.tcp_rfc1337 = 1\n",
         {{4, "net.ipv4.tcp_rfc1337 is never written: it changes how a RST"}, {0}}},
        {"tcp_abort_on_overflow",
         RULE "set = net.ipv4.tcp_abort_on_overflow = 1\n",
         {{4, "net.ipv4.tcp_abort_on_overflow is never written: it turns a short burst"}, {0}}},
        {"nf_conntrack_max",
         RULE "set = net.netfilter.nf_conntrack_max = 1048576\n",
         {{4, "net.netfilter.nf_conntrack_max is never written: kube-proxy"}, {0}}},
        {"tcp_syncookies",
         RULE "set = net.ipv4.tcp_syncookies = 0\n",
         {{4, "for net.ipv4.tcp_syncookies: a host without SYN cookies"}, {0}}},
        {"tcp_max_tw_buckets",
         RULE "set = net.ipv4.tcp_max_tw_buckets = 5000\n",
         {{4, "for net.ipv4.tcp_max_tw_buckets: a small table throws TIME_WAIT away"}, {0}}},
        {"tcp_fin_timeout",
         RULE "set = net.ipv4.tcp_fin_timeout = 5\n",
         {{4, "for net.ipv4.tcp_fin_timeout: peers that close a little late"}, {0}}},

        /* lines */
        {"no =", RULE "enabled\n", {{4, "invalid line 'enabled': write KEY = VALUE"}, {0}}},
        {"key of two words", RULE "until ports.demand < 5% and = 3\n", {{4, "a key is one word"}, {0}}},
        {"long line", RULE "description = " X190 X190 "\n", {{0}}},
        {"indented line", RULE "  enabled = yes\n", {{4, "indented line"}, {0}}},
        {"comment after a value",
         RULE "enabled = yes ; for now\n",
         {{4, "put '; for now' on a line of its own"}, {0}}},
        {"control character", RULE "enabled = yes\x01\n", {{4, "control character 0x01 at column 14"}, {0}}},

        /* rules as a whole */
        {"empty rule", "[daemon]\n\n[rule r]\n", {{3, "rule r is empty: it needs 'when' and 'set'"}, {0}}},
        {"no when", "[rule r]\n" SET, {{1, "rule r has no 'when'"}, {0}}},
        {"no set", "[rule r]\n" WHEN, {{1, "rule r has no 'set'"}, {0}}},
        {"cleared when", RULE "when =\n", {{1, "rule r has no 'when'"}, {0}}},
        {"cleared set", RULE "set =\n", {{1, "rule r has no 'set'"}, {0}}},
        {"the when is what is wrong", "[rule r]\nwhen = ports.clif > 1%\n" SET, {{2, "ports.clif"}, {0}}},
        {"the set is what is wrong",
         "[rule r]\n" WHEN "set = net.ipv4.tcp_tw_recycle = 1\n",
         {{3, "tcp_tw_recycle"}, {0}}},
        {"the line of when is wrong", "[rule r]\nwhen ports.cliff > 1%\n" SET, {{2, "invalid line"}, {0}}},
        {"the line of set is long",
         "[rule r]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 1 " X190 "\n",
         {{3, X190 "' for net.ipv4.tcp_tw_reuse"}, {0}}},
        {"pulled apart",
         RULE "[rule s]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 2\n",
         {{6, "net.ipv4.tcp_tw_reuse = 2, but a.conf:3 sets 1"}, {0}}},
        {"pulled apart in one rule",
         RULE "set = net.ipv4.tcp_tw_reuse = 0\n",
         {{4, "net.ipv4.tcp_tw_reuse = 0, but a.conf:3 sets 1"}, {0}}},
        {"pulled apart by three",
         RULE "[rule s]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 2\n[rule t]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 0\n",
         {{6, "a.conf:3 sets 1"}, {9, "a.conf:3 sets 1"}, {0}}},
        {"pulled apart, a range",
         "[rule r]\n" WHEN "set = net.ipv4.ip_local_port_range = 32768 65535\n[rule s]\n" WHEN
         "set = net.ipv4.ip_local_port_range = 32768 61001\n",
         {{6, "net.ipv4.ip_local_port_range = 32768 61001, but a.conf:3 sets 32768 65535"}, {0}}},
        {"the same value", RULE "[rule s]\n" WHEN SET, {{0}}},
        {"disabled", RULE "[rule s]\nenabled = no\n" WHEN "set = net.ipv4.tcp_tw_reuse = 2\n", {{0}}},
        {"the first one is disabled", RULE "enabled = no\n[rule s]\n" WHEN "set = net.ipv4.tcp_tw_reuse = 2\n", {{0}}},

        /* prerequisites */
        {"after an unknown rule", RULE "after = nobody\n", {{4, "unknown rule 'nobody'"}, {0}}},
        {"after a misspelt rule",
         RULE "[rule second]\nafter = secnd\n" WHEN "set = net.ipv4.tcp_fin_timeout = 30\n",
         {{5, "unknown rule 'secnd', did you mean second?"}, {0}}},
        {"after a long name", RULE "after = " X50 "\n", {{4, "a rule's name has at most 39"}, {0}}},
        {"after itself", RULE "after = r\n", {{4, "forms a circle"}, {0}}},
        {"after each other",
         RULE "after = s\n[rule s]\nafter = r\n" WHEN "set = net.ipv4.tcp_fin_timeout = 30\n",
         {{4, "circle"}, {6, "circle"}, {0}}},
        {"after one that comes later",
         RULE "after = s\n[rule s]\n" WHEN "set = net.ipv4.tcp_fin_timeout = 30\n",
         {{0}}},
        {"after nobody any more", RULE "after = nobody\nafter =\n", {{0}}},

        /* all at once, in the order of the lines */
        {"several",
         "mode = x\n[rule r]\nafter = s\nwhen = ports.clif > 1%\n[demon]\n",
         {{1, "before the first section"}, {3, "unknown rule 's'"}, {4, "ports.clif"}, {5, "[demon]"}, {0}}},
        {"what is seen at the end comes first",
         "[rule r]\n[daemon]\nmode = x\n",
         {{1, "rule r is empty"}, {3, "'x'"}, {0}}},
        {"two of one line", RULE "  enabled = maybe\n", {{4, "indented line"}, {4, "'maybe'"}, {0}}},
        {"CRLF and byte order mark", "\xef\xbb\xbf[daemon]\r\nmode = x\r\n", {{2, "invalid mode 'x'"}, {0}}},
};

START_TEST(bad_input)
{
        read_all(rows[_i].text);
        expect_diagnostics(rows[_i].name, "a.conf", rows[_i].diagnostics, &diagnostics);
        end();
}
END_TEST

/* A hint that is nowhere near is worse than none. */
START_TEST(long_key_has_no_hint)
{
        read_all("[daemon]\n" X190 "=1\n");
        ck_assert_uint_eq(diagnostics.n, 1);
        ck_assert_msg(!strstr(diagnostics.item[0].text, "did you mean"), "%s", diagnostics.item[0].text);
        end();
}
END_TEST

/* A key that may stand in a rule so many times, and no more. */
static const struct capacity {
        const char *key, *value;
        unsigned most;
        const char *says;
} capacities[] = {
        {"when", "ports.cliff >= 80%", RULE_CONDITIONS_MAX, "more than 8 lines 'when' in one rule"},
        {"until", "ports.demand < 5%", RULE_CONDITIONS_MAX, "more than 8 lines 'until' in one rule"},
        {"set", "net.ipv4.tcp_tw_reuse = 1", RULE_ACTIONS_MAX,
         "more than 4 lines 'set', 'raise' and 'lower' in one rule"},
        {"abort", "opens.resets > 3x before within 5s", RULE_ABORTS_MAX, "more than 4 lines 'abort' in one rule"},
};

START_TEST(lists_have_a_capacity)
{
        const struct capacity *c = &capacities[_i];
        char text[2000] = "[rule r]\n", line[100], cleared[200];

        snprintf(line, sizeof(line), "%s = %s\n", c->key, c->value);
        for (unsigned i = 0; i <= c->most; i++)
                strcat(text, line);
        read_file("a.conf", text);
        expect_one(c->key, "a.conf", 1 + c->most + 1, c->says, &diagnostics);
        diagnostics_free(&diagnostics);

        snprintf(cleared, sizeof(cleared), "[rule r]\n%s =\n%s", c->key, line);
        read_file("b.conf", cleared);
        expect_none(c->key, &diagnostics);
        end();
}
END_TEST

static void append_rules(char *text, size_t size, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                size_t used = strlen(text);

                snprintf(text + used, size - used, "[rule r%u]\n%s%s", i, WHEN, SET);
        }
}

START_TEST(rules_have_a_capacity)
{
        static char text[20000];

        append_rules(text, sizeof(text), RULES_MAX);
        read_all(text);
        expect_none("as many as there may be", &diagnostics);
        ck_assert_uint_eq(config->n_rules, RULES_MAX);
        read_file("b.conf", "[rule r63]\nenabled = no\n[rule one-more]\nnonsense = 1\n[rule r0]\nenabled = no\n");
        expect_one("one more", "b.conf", 3, "more than 64 rules", &diagnostics);
        ck_assert(config->rule[63].disabled && config->rule[0].disabled);
        ck_assert_uint_eq(config->n_rules, RULES_MAX);
        end();
}
END_TEST

START_TEST(chain_of_all_rules_is_no_circle)
{
        static char text[20000];

        append_rules(text, sizeof(text), RULES_MAX);
        for (unsigned i = 1; i < RULES_MAX; i++) {
                size_t used = strlen(text);

                snprintf(text + used, sizeof(text) - used, "[rule r%u]\nafter = r%u\n", i, i - 1);
        }
        read_all(text);
        expect_none("a chain", &diagnostics);
        read_file("b.conf", "[rule r0]\nafter = r63\n");
        config_check(config, &diagnostics);
        ck_assert_uint_eq(diagnostics.n, RULES_MAX);
        end();
}
END_TEST

/* A wrong value leaves the right value before it in effect. */
START_TEST(wrong_values_are_not_taken)
{
        read_all("[daemon]\ninterval = 1h\nmode = x\nrestore_on_exit = x\n[limits]\nchanges_per_minute = 0\n"
                 "min_interval = x\n" RULE "retry = x\nrelease = x\nenabled = x\nwhen = x\nset = x\nabort = x\n");
        ck_assert_uint_eq(diagnostics.n, 11);
        expect_defaults();
        ck_assert(find_rule("r")->n_when == 1 && find_rule("r")->n_actions == 1 && find_rule("r")->n_abort == 0);
        ck_assert(!find_rule("r")->disabled && !find_rule("r")->keep && find_rule("r")->retry_ns == 600 * S);
        end();
}
END_TEST

START_TEST(kernel_tells_its_counters)
{
        static struct counters kernel;
        const char text[] = "[rule r]\nwhen = netstat.TcpExt.FromTheFuture > 0/s\n" SET;

        counters_init(&kernel);
        counters_add(&kernel, "netstat.TcpExt.FromTheFuture");
        config = config_new();
        config_read(config, "a.conf", text, sizeof(text) - 1, &kernel, &diagnostics);
        expect_none("a counter of the kernel", &diagnostics);
        ck_assert_str_eq(config->counters.item[COUNTER_OWN].name, "netstat.TcpExt.FromTheFuture");
        end();
        read_all(text);
        expect_one("not on this kernel", "a.conf", 2, "unknown metric", &diagnostics);
        end();
}
END_TEST

/* Every beginning of a file, and every byte of it gone wrong: errors, or a configuration within its bounds.
 */
START_TEST(damage_is_survived)
{
        char text[] = "\xef\xbb\xbf[daemon]\r\nmode = observe\n[rule r]\n" WHEN SET
                      "abort = opens.resets > 3x before within 60s\n";

        for (size_t at = 0; at < sizeof(text) - 1; at++) {
                char right = text[at];

                for (unsigned c = 0; c < 256; c += c < 32 || c > 126 ? 9 : 1) {
                        text[at] = (char)c;
                        config = config_new();
                        config_read(config, "a.conf", text, c == 9 ? at : sizeof(text) - 1, NULL, &diagnostics);
                        config_check(config, &diagnostics);
                        for (size_t i = 0; i < diagnostics.n; i++)
                                if (diagnostics.item[i].at.line < 1 || diagnostics.item[i].at.line > 8)
                                        ck_abort_msg("byte %u at %zu: line %u", c, at, diagnostics.item[i].at.line);
                        end();
                }
                text[at] = right;
        }
}
END_TEST

START_TEST(the_policy_is_right)
{
        char *text = file_read(CONF_DIR "/policy.conf");

        read_file("policy.conf", text);
        config_check(config, &diagnostics);
        expect_none("policy.conf", &diagnostics);
        expect_defaults();
        ck_assert_uint_ge(config->n_rules, 2);
        ck_assert_int_eq(find_rule("time-wait-reuse")->action[0].sysctl, SYSCTL_TCP_TW_REUSE);
        for (unsigned i = 0; i < config->n_rules; i++)
                ck_assert_msg(config->rule[i].description && (config->rule[i].n_until > 0 || config->rule[i].advise),
                              "rule %s", config->rule[i].name);
        end();
        free(text);
}
END_TEST

/* "#interval = 1s" is a setting, "# Between two looks" is a remark. */
static void uncomment(char *text)
{
        for (char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
                if (p[0] == '#' && p[1] != ' ' && p[1] != '\n')
                        p[0] = '\n';
}

START_TEST(what_is_commented_out_are_the_defaults)
{
        char *policy = file_read(CONF_DIR "/policy.conf"), *text = file_read(CONF_DIR "/twtuned.conf");

        read_file("policy.conf", policy);
        read_file("twtuned.conf", text);
        ck_assert_uint_eq(find_rule("time-wait-reuse")->disabled, false);
        uncomment(text);
        read_file("twtuned.conf", text);
        config_check(config, &diagnostics);
        expect_none("twtuned.conf", &diagnostics);
        expect_defaults();
        ck_assert(find_rule("time-wait-reuse")->disabled); /* the example at the end */
        end();
        free(policy);
        free(text);
}
END_TEST

static void add(TCase *tcase)
{
        tcase_add_checked_fixture(tcase, NULL, end);
        tcase_add_test(tcase, defaults);
        tcase_add_test(tcase, every_key_is_taken);
        tcase_add_test(tcase, rule_has_defaults);
        tcase_add_test(tcase, origins_are_exact);
        tcase_add_test(tcase, texts_are_whole);
        tcase_add_test(tcase, metrics_file_is_as_long_as_a_path);
        tcase_add_loop_test(tcase, bad_input, 0, ELEMENTSOF(rows));
        tcase_add_test(tcase, long_key_has_no_hint);
        tcase_add_loop_test(tcase, lists_have_a_capacity, 0, ELEMENTSOF(capacities));
        tcase_add_test(tcase, rules_have_a_capacity);
        tcase_add_test(tcase, chain_of_all_rules_is_no_circle);
        tcase_add_test(tcase, wrong_values_are_not_taken);
        tcase_add_test(tcase, kernel_tells_its_counters);
        tcase_add_test(tcase, damage_is_survived);
        tcase_add_test(tcase, the_policy_is_right);
        tcase_add_test(tcase, what_is_commented_out_are_the_defaults);
}

int main(void)
{
        return run_suite("config", add);
}
