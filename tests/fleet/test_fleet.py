#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The metrics file, with the programs that read it: promtool, prometheus-node-exporter and prometheus as in Debian."""

import http.client
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import (HOLDS, PATIENCE, POLICY, ROOT, ChurnHold, ChurnServer, Pair, Program, Single, Skip,  # noqa: E402
                     Ticks, Twtuned, check, check_equal, fields, main, temp_dir, temp_policy, test, wait_until)

ALERTS = ROOT / "packaging/prometheus/twtuned.rules.yml"
DASHBOARD = ROOT / "packaging/prometheus/twtuned.dashboard.json"
REUSE = "net.ipv4.tcp_tw_reuse"


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"needs {program}: apt-get install prometheus prometheus-node-exporter")


def promtool(*args, **kw):
    need("promtool")
    run = subprocess.run(["promtool", *args], text=True, capture_output=True, **kw)
    check_equal((run.returncode, run.stderr), (0, ""), f"promtool {' '.join(args)}: {run.stdout}")
    return run.stdout


def with_file(path, policy):
    return temp_policy(f"[daemon]\nmetrics_file = {path}\n{policy}")


def written(host, directory):
    """The file of a namespace that has a name, for metrics_file = DIRECTORY/twtuned.prom."""
    return directory / f"twtuned-{host.name}.prom"


def samples(path):
    """{series: value}; nothing while the file is not there."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def dashboard_queries():
    """{title and letter: query}, with values for a short time in place of Grafana's variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {f"{panel['title']}, {target['refId']}": target["expr"]
             for panel in dashboard["panels"] for target in panel["targets"]}
    found |= {annotation["name"]: annotation["expr"] for annotation in dashboard["annotations"]["list"]}
    for name, text in (("$instance", ".*"), ("$__rate_interval", "4s"), ("$__interval", "4s")):
        found = {title: query.replace(name, text) for title, query in found.items()}
    check(not any("$" in query for query in found.values()), "a variable that is not known here")
    return found


@test("promtool check rules, test rules")
def _():
    promtool("check", "rules", str(ALERTS))
    promtool("test", "rules", str(ROOT / "tests/fleet/rules_test.yml"))


@test("every name in the alerts is one of the metrics file, every rule one of the policy")
def _():
    with Single() as host:
        directory = temp_dir()
        path = written(host, directory)
        Twtuned(host, with_file(directory / "twtuned.prom", POLICY.read_text()), ["--observe"])
        wait_until(path.exists, "there is a file")
        text = path.read_text()
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    alerts = re.sub(r"^#.*", "", ALERTS.read_text(), flags=re.M) + "".join(dashboard_queries().values())
    for name in set(re.findall(r"\btwtuned_\w+", alerts)):
        check(name in families, f"{name}: no such family")
    rules = set(re.findall(r"^\[rule (\S+)\]", POLICY.read_text(), re.M))
    for names in re.findall(r'rule=~?"([^"]+)"', alerts):
        check(set(names.split("|")) <= rules, f"{names}: no such rules")


@test("promtool check metrics, the shipped policy; every metric of the table is described", beside=True)
def _():
    with Single() as host:
        directory = temp_dir()
        path = written(host, directory)
        twtuned = Twtuned(host, with_file(directory / "twtuned.prom", POLICY.read_text()), ["--observe"])
        # A rate, which takes two ticks.
        wait_until(lambda: "twtuned_listen_drops_per_second" in str(samples(path)), "there is a second file")
        text = path.read_text()
        check_equal(promtool("check", "metrics", input=text), "", "what promtool says")
        described = re.findall(r"^# HELP (\S+)", text, re.M)
        names = [line.split()[0] for line in host.run([twtuned.argv[0], "--once"]).stdout.splitlines()]
        for name in (n for n in names if not n.startswith(("netstat.", "snmp."))):
            want = "twtuned_" + name.replace(".", "_")
            check(any(d == want or d.startswith(want) and d[len(want):] in
                      ("_ratio", "_seconds", "_bytes", "_per_second") for d in described), f"{name}: not described")
        found = samples(path)
        # A file of ours has its netns in every sample; a metric that this netns lacks, or no rule uses, has no sample.
        check(all(f'netns="{host.name}"' in series for series in found), found)
        for absent in "orphans_table_ratio", "memory_tcp_ratio", "opens_resets_ratio":
            check(f"twtuned_{absent}" not in str(found), f"{absent} is there")
        twtuned.stop()
        check_equal([p.name for p in directory.iterdir()], [], "files after the stop")


@test("a file that cannot be written is logged once, nothing else suffers, and it is logged when it is written again",
      beside=True)
def _():
    with Pair() as pair:
        directory = temp_dir() / "missing"
        ChurnServer(pair.server, pair.server.ip4)
        ticks = Ticks()
        policy = HOLDS.replace("interval = 100ms", "interval = 1s", 1)
        twtuned = Twtuned(pair.client, with_file(directory / "twtuned.prom", policy), ticks=ticks)
        line = twtuned.wait_for("^degraded:.*")[0]
        check("No such file" in line and fields(line)["ERRNO"] == "2", line)
        load = ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned.wait_for(f"^applied: .*SYSCTL={REUSE} ")
        ticks.wait(11)  # after 10 s it has tried again
        directory.mkdir()
        twtuned.wait_for("^recovered:")
        check_equal(len([line for line in twtuned.lines if line.startswith("degraded:")]), 1, "lines 'degraded'")
        netns = f'netns="{pair.client.name}"'
        check_equal(samples(written(pair.client, directory))[f'twtuned_sysctl_held{{sysctl="{REUSE}",{netns}}}'], 1,
                    "held")
        load.stop()


@test("a kill leaves a file that tells when it was; a reload without metrics_file removes it", beside=True)
def _():
    with Single() as host:
        path = written(host, temp_dir())
        policy = with_file(path.with_name("twtuned.prom"), HOLDS)
        start = time.time()
        twtuned = Twtuned(host, policy)
        wait_until(path.exists, "there is a file")
        twtuned.process.kill()
        twtuned.process.wait()
        at = samples(path)[f'twtuned_last_observation_timestamp_seconds{{netns="{host.name}"}}']
        check(start - 1 <= at <= time.time(), f"{at}, it started at {start}, and now it is {time.time()}")
        path.write_text("")
        twtuned = Twtuned(host, policy, runtime_dir=twtuned.runtime_dir)
        wait_until(lambda: samples(path), "the file of the one before is replaced")
        policy.write_text(HOLDS)
        twtuned.process.send_signal(1)
        wait_until(lambda: not path.exists(), "it is gone")


# ---- end to end ----

_prometheus = {}  # connections to it: one for each query would leave TIME_WAIT, and the rules of a test would act


def get(namespace, path):
    connection = _prometheus.setdefault(namespace.name, http.client.HTTPConnection("127.0.0.1", 9090, PATIENCE))
    with namespace.entered():
        try:
            connection.request("GET", f"/api/v1/{path}")
            response = connection.getresponse()
            text = response.read().decode()
            return text if response.status == 200 else ""  # it does not answer yet
        except OSError:  # nor listen
            connection.close()
            return ""


def query(namespace, promql):
    """The result of a query at Prometheus, as [(labels, value)]."""
    answer = get(namespace, "query?" + urllib.parse.urlencode({"query": promql}))
    found = json.loads(answer or '{"data": {"result": []}}')["data"]["result"]
    return [(entry["metric"], float(entry["value"][1])) for entry in found]


def start_prometheus(host):
    """Starts prometheus and its node exporter, with the alerts. Returns the directory of the textfile collector."""
    need("prometheus", "prometheus-node-exporter")
    directory = temp_dir()
    (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{ALERTS}"]
scrape_configs: [{{job_name: node, static_configs: [{{targets: ["127.0.0.1:9100"]}}]}}]
""")
    (directory / "text").mkdir()
    Program(host, ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100",
                   "--collector.disable-defaults", "--collector.textfile", "--collector.sockstat",
                   f"--collector.textfile.directory={directory}/text"], "stderr")
    Program(host, ["prometheus", f"--config.file={directory}/prometheus.yml",
                   "--web.listen-address=127.0.0.1:9090", f"--storage.tsdb.path={directory}/data"], "stderr")
    return directory / "text"


@test("prometheus-node-exporter and prometheus: a change is seen, with its rule; the alerts are loaded", beside=True)
def _():
    with Pair() as pair:
        host = pair.client
        text = start_prometheus(host)
        ChurnServer(pair.server, pair.server.ip4)
        load = ChurnHold(host, pair.server.ip4, count=300)
        # Destinations are shown only after a dump of the sockets, so "until" has to need one.
        policy = HOLDS.replace("tcp.established < 1", "ports.used < 1")
        start = time.time()
        twtuned = Twtuned(host, with_file(text / "twtuned.prom", policy))
        twtuned.wait_for(f"^applied: .*SYSCTL={REUSE} ")

        def value(promql):
            found = wait_until(lambda: query(host, promql), f"an answer to {promql}")
            check_equal(len(found), 1, f"series of {promql}: {found}")
            return found[0]
        value(f'twtuned_sysctl_held{{sysctl="{REUSE}",netns="{host.name}"}} == 1')
        check_equal(value("node_textfile_scrape_error")[1], 0, "node_textfile_scrape_error")
        check_equal(value('twtuned_rule_active{rule="some"}')[1], 1, "rule_active")
        check_equal(value(f'twtuned_sysctl_changes_total{{sysctl="{REUSE}",result="applied"}}')[1], 1, "changes")
        labels, ratio = value("twtuned_group_cliff_ratio")
        check_equal(labels["group"], f"{host.ip4}->{pair.server.ip4}:8080", "group")
        check(0.01 < ratio < 0.03, f"{ratio} of 14116 ports, where 300 are held")
        labels, used = value("twtuned_destination_ports_used")
        check_equal((labels["source"], labels["destination"]), (host.ip4, f"{pair.server.ip4}:8080"), "destination")
        check(150 <= used <= 300, f"{used} ports of one parity, where 300 are held")
        check_equal(value("twtuned_destination_ports_limit")[1], 14116, "limit")
        labels, _ = value("twtuned_info")
        check(re.fullmatch("[0-9a-f]{16}", labels["config"]) and labels["mode"] == "enforce", labels)
        at = value("twtuned_last_observation_timestamp_seconds")[1]
        check(start - 1 <= at <= time.time(), f"observed at {at}, it started at {start}, and now it is {time.time()}")
        alerts = json.loads(get(host, "rules"))["data"]["groups"][0]["rules"]
        check(len(alerts) >= 5 and all(a["health"] == "ok" for a in alerts), alerts)
        load.stop()


def query_range(namespace, promql, start):
    """{labels as text: [value of each second]}"""
    asked = urllib.parse.urlencode({"query": promql, "start": start, "end": time.time() + 2, "step": 1})
    answer = json.loads(get(namespace, f"query_range?{asked}"))
    check_equal(answer["status"], "success", promql)
    return {json.dumps(entry["metric"], sort_keys=True): [float(value) for _, value in entry["values"]]
            for entry in answer["data"]["result"]}


# A rule that acts, one that advises, and what makes twtuned read all else that the dashboard shows.
# Prometheus has connections of its own, so it takes 200. The storm ends after the 60 s of TIME_WAIT.
STORM = HOLDS.replace("ports.used >= 10", "ports.used >= 200").replace("tcp.established < 1", "ports.used < 100") + """
[rule told]
when = ports.used >= 200
until = ports.used < 100
advise = look at it
[rule reads]
when = listen.drops > 1M/s
advise = nothing
"""


@test("the dashboard: each query returns what happened from healthy to given back", beside=True)
def _():
    with Pair() as pair:
        host = pair.client
        text = start_prometheus(host)
        ChurnServer(pair.server, pair.server.ip4)
        start = time.time()
        Twtuned(host, with_file(text / "twtuned.prom", STORM))
        held = f'twtuned_sysctl_held{{sysctl="{REUSE}"}}'
        wait_until(lambda: query(host, f"{held} == 0"), "prometheus sees a healthy host")
        load = ChurnHold(host, pair.server.ip4, count=300)
        wait_until(lambda: query(host, f"{held} == 1"), "prometheus sees the change")
        load.stop()
        wait_until(lambda: query(host, f"{held} == 0"), "prometheus sees that it is given back")
        wait_until(lambda: query(host, dashboard_queries()["given back"]), "and counts it")
        wait_until(lambda: not query(host, "twtuned_advice"), "and no advice stands")
        found = {title: query_range(host, promql, start) for title, promql in dashboard_queries().items()}
    check_equal([title for title, series in found.items() if not series], [], "queries without an answer")

    def only(title):
        check_equal(len(found[title]), 1, f"series of {title}: {found[title]}")
        labels, values = next(iter(found[title].items()))
        return json.loads(labels), values
    for title in ("Sysctls that are changed, A", "Healthy, acting, or a person has to do something, B",
                  "Healthy, acting, or a person has to do something, C"):
        values = only(title)[1]
        steps = [value for value, before in zip(values, [None, *values]) if value != before]
        check_equal(steps, [0, 1, 0], title)
    used = {json.loads(labels)["destination"]: (json.loads(labels)["source"], max(values)) for labels, values in
            found["Ports in use toward the fullest destinations, A"].items()}
    check_equal(used[f"{pair.server.ip4}:8080"], (host.ip4, 300), f"ports in use: {used}")  # of one parity all
    check_equal(only("Ports in use toward the fullest destinations, B")[1][-1], 14116, "limit")
    advised = [json.loads(labels) for labels in found["What a person should do, A"]]
    check(any((labels["rule"], labels["destination"]) == ("told", f"{pair.server.ip4}:8080") for labels in advised),
          advised)
    for title in "applied", "given back":
        check_equal(only(title)[0]["sysctl"], REUSE, title)
    active = {json.loads(labels)["rule"]: values for labels, values in found["Rules that are active, A"].items()}
    check_equal({rule: (max(values), values[-1]) for rule, values in active.items()},
                {"some": (1, 0), "told": (1, 0)}, "rules")
    check_equal({json.loads(labels)["rule"]: max(values)
                 for labels, values in found["How often each rule became active, A"].items()},
                {"some": 1, "told": 1}, "episodes")


main()
