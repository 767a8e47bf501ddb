#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The metrics file, with the programs that read it: promtool, prometheus-node-exporter and prometheus as in Debian."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
from harness import (HOLDS, PATIENCE, POLICY, ROOT, ChurnHold, ChurnServer, Pair, Program, Single, Skip,  # noqa: E402
                     Twtuned, check, check_equal, fields, main, temp_dir, temp_policy, test, wait_until)

ALERTS = ROOT / "packaging/prometheus/twtuned.rules.yml"
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
    alerts = re.sub(r"^#.*", "", ALERTS.read_text(), flags=re.M)
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
        # A file of ours has its netns in every sample; what this netns or no rule has, has no sample.
        check(all(f'netns="{host.name}"' in series for series in found), found)
        for absent in "orphans_table_ratio", "memory_tcp_ratio", "opens_resets_ratio":
            check(f"twtuned_{absent}" not in str(found), f"{absent} is there")
        twtuned.stop()
        check_equal([p.name for p in directory.iterdir()], [], "files after the stop")


@test("a file that cannot be written is told once, nothing else suffers, and that it is written again is told",
      beside=True)
def _():
    with Pair() as pair:
        directory = temp_dir() / "missing"
        ChurnServer(pair.server, pair.server.ip4)
        twtuned = Twtuned(pair.client, with_file(directory / "twtuned.prom", HOLDS))
        line = twtuned.wait_for("^degraded:.*")[0]
        check("No such file" in line and fields(line)["ERRNO"] == "2", line)
        load = ChurnHold(pair.client, pair.server.ip4, count=10)
        twtuned.wait_for(f"^applied: .*SYSCTL={REUSE} ")
        time.sleep(11)  # the time after which it tries again; on a slow machine it may not have
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

def get(namespace, url):
    with namespace.entered():
        try:
            return urllib.request.urlopen(url, timeout=PATIENCE).read().decode()
        except OSError:  # it does not listen yet
            return ""


def query(namespace, promql):
    """The result of a query at Prometheus, as [(labels, value)]."""
    answer = get(namespace, "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": promql}))
    found = json.loads(answer or '{"data": {"result": []}}')["data"]["result"]
    return [(entry["metric"], float(entry["value"][1])) for entry in found]


@test("prometheus-node-exporter and prometheus: a change is seen, with its rule; the alerts are loaded", beside=True)
def _():
    need("prometheus", "prometheus-node-exporter")
    with Pair() as pair:
        host, directory = pair.client, temp_dir()
        (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{ALERTS}"]
scrape_configs: [{{job_name: node, static_configs: [{{targets: ["127.0.0.1:9100"]}}]}}]
""")
        (directory / "text").mkdir()
        Program(host, ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:9100",
                       "--collector.disable-defaults", "--collector.textfile",
                       f"--collector.textfile.directory={directory}/text"], "stderr")
        Program(host, ["prometheus", f"--config.file={directory}/prometheus.yml",
                       "--web.listen-address=127.0.0.1:9090", f"--storage.tsdb.path={directory}/data"], "stderr")
        ChurnServer(pair.server, pair.server.ip4)
        load = ChurnHold(host, pair.server.ip4, count=300)
        # Destinations are there while the sockets are looked at, so "until" has to need them.
        policy = HOLDS.replace("tcp.established < 1", "ports.used < 1")
        start = time.time()
        twtuned = Twtuned(host, with_file(directory / "text/twtuned.prom", policy))
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
        labels, _ = value("twtuned_info")
        check(re.fullmatch("[0-9a-f]{16}", labels["config"]) and labels["mode"] == "enforce", labels)
        at = value("twtuned_last_observation_timestamp_seconds")[1]
        check(start - 1 <= at <= time.time(), f"observed at {at}, it started at {start}, and now it is {time.time()}")
        alerts = json.loads(get(host, "http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"][0]["rules"]
        check(len(alerts) >= 5 and all(a["health"] == "ok" for a in alerts), alerts)
        load.stop()


main()
