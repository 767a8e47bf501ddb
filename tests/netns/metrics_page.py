#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of docs/metrics.md, from the program, its policy and its alerts. Run as a program it writes them into the
page; test_docs.py compares."""

import re

from harness import POLICY, ROOT, Single, Twtuned, binary, temp_dir, temp_policy, wait_until

PAGE = ROOT / "docs/metrics.md"
ALERTS = ROOT / "packaging/prometheus/twtuned.rules.yml"
SUFFIXES = {"%": "_ratio", "/s": "_per_second", "/min": "_per_second", "s": "_seconds", "B": "_bytes", "-": ""}


def observed():
    """(name, unit) of every metric, and the metrics file."""
    with Single() as host:
        once = host.run([binary("twtuned"), "--once", f"--config={POLICY}"]).stdout
        path = temp_dir() / "twtuned.prom"
        twtuned = Twtuned(host, temp_policy(f"[daemon]\nmetrics_file = {path}\n{POLICY.read_text()}"))
        wait_until(lambda: list(path.parent.glob("*.prom")), "the metrics file")
        (written,) = path.parent.glob("*.prom")
        text = written.read_text()
        twtuned.stop()
    lines = [line.split() for line in once.splitlines()]
    return [(name, unit) for name, _, unit, *_ in (line for line in lines if line[0] != "!" and len(line) > 2)], text


def rules():
    """{rule: (the metrics of its conditions, whether it only advises)}"""
    found = {}
    for name, body in re.findall(r"^\[rule ([\w-]+)\]\n(.*?)(?=^\[|\Z)", POLICY.read_text(), re.M | re.S):
        conditions = re.findall(r"^(?:when|until|expect|abort) = (\S+)", body, re.M)
        found[name] = conditions, not re.search(r"^(?:set|raise|lower) =", body, re.M)
    return found


def alerts():
    """(alert, its expression)"""
    one = r"^      - alert: (\w+)\n        expr: (?:>-\n)?(.*?)(?=^        \w)"
    return re.findall(one, ALERTS.read_text(), re.M | re.S)


def alert_of_rule(rule):
    """The alert that stands when this rule advises."""
    for name, expression in alerts():
        for operator, names in re.findall(r'rule([!=]~?)"([^"]+)"', expression):
            if (rule in names.split("|")) != operator.startswith("!"):
                return name
    return "none"


def metric_rows(metrics, text):
    help_of, used = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M)), rules()
    yield "| metric | in Prometheus | unit | what it is | rules | alert |"
    yield "|---|---|---|---|---|---|"
    for name, unit in metrics:
        if name.startswith(("netstat.", "snmp.")):
            continue
        family = "twtuned_" + name.replace(".", "_") + SUFFIXES[unit]
        of = [rule for rule, (conditions, _) in used.items() if name in conditions]
        advice = {alert_of_rule(rule) for rule in of if used[rule][1]}
        yield (f"| `{name}` | `{family}` | {'' if unit == '-' else unit} | {help_of[family]} | {', '.join(of)} | "
               f"{', '.join(sorted(advice))} |")


def own_rows(metrics, text):
    families = {"twtuned_" + name.replace(".", "_") for name, _ in metrics}
    yield "| in Prometheus | type | what it is | alert |"
    yield "|---|---|---|---|"
    for name, what, kind in re.findall(r"^# HELP (\w+) (.*)\n# TYPE \w+ (\w+)$", text, re.M):
        if re.sub("_(ratio|per_second|seconds|bytes|total)$", "", name) in families:
            continue
        of = [alert for alert, expression in alerts() if re.search(rf"\b{name}\b", expression)]
        yield f"| `{name}` | {kind} | {what} | {', '.join(of)} |"


def tables():
    metrics, text = observed()
    return {"metrics": "\n".join(metric_rows(metrics, text)), "own": "\n".join(own_rows(metrics, text))}


def of_page():
    """The tables as the page has them."""
    return dict(re.findall(r"^<!-- (\w+) -->\n\n(.*?)\n\n<!-- /\1 -->$", PAGE.read_text(), re.M | re.S))


if __name__ == "__main__":
    page = PAGE.read_text()
    for name, table in tables().items():
        page = re.sub(rf"(?s)(<!-- {name} -->\n\n).*?(\n\n<!-- /{name} -->)", lambda m: m[1] + table + m[2], page)
    PAGE.write_text(page)
