#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""README.md and docs/ tell a newcomer the truth: the commands to look for the problem, the examples, the links."""

import datetime
import email.utils
import re

import metrics_page
from harness import POLICY, ROOT, ChurnServer, Pair, binary, check, check_equal, main, temp_dir, test
from sockets import Load, keep_time_wait, leave_time_wait

STRANGER = 8081

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         ROOT / "bench/README.md"]


def blocks(page):
    """The indented blocks of a page."""
    return [re.sub("^    ", "", block, flags=re.M)
            for block in re.findall(r"(?<=\n\n)((?:    .*\n(?:\n(?=    ))?)+)", page.read_text())]


@test("README: the command that asks whether a host has the problem names the destination and its TIME_WAIT")
def _():
    command = next(block for block in blocks(ROOT / "README.md") if block.startswith("ss -Htan"))
    with Pair() as pair:
        check_equal(pair.client.run(["sh", "-c", command]).stdout, "", "without any")
        leave_time_wait(pair, 300)  # at the server, toward a port of the client each
        lines = pair.server.run(["sh", "-c", command]).stdout.splitlines()
        check_equal({int(line.split()[0]) for line in lines}, {1}, "a server's: one toward each")
        keep_time_wait(pair.client)
        ChurnServer(pair.server, pair.server.ip4, STRANGER)
        Load(pair.client, pair.server.ip4, STRANGER).open(40)
        count, destination = pair.client.run(["sh", "-c", command]).stdout.split()
        check_equal((int(count), destination), (40, f"{pair.server.ip4}:{STRANGER}"), "a client's")


@test("docs/configuration.md: every example is a good configuration on top of the shipped policy")
def _():
    examples = [block for block in blocks(ROOT / "docs/configuration.md") if block.startswith("[")]
    check(len(examples) >= 10, f"{len(examples)} examples")
    with Pair() as pair:
        for example in examples:
            path = temp_dir() / "twtuned.conf"
            path.write_text(f"{POLICY.read_text()}\n{example}")
            run = pair.client.run([binary("twtuned"), "--check", str(path)], check=False)
            check_equal((run.returncode, run.stderr), (0, ""), example)


@test("docs/metrics.md: each metric with its unit, meaning, rules and alert, as the program and its files have them")
def _():
    told, tables = metrics_page.of_page(), metrics_page.tables()
    check_equal(sorted(told), sorted(tables), "tables")
    for name, table in tables.items():
        check(table.count("\n") > 10, table)
        for number, (line, expected) in enumerate(zip(told[name].split("\n"), table.split("\n"))):
            check_equal(line, expected, f"{name}, line {number}; tests/netns/metrics_page.py writes it anew")
        check_equal(told[name].count("\n"), table.count("\n"), f"lines of {name}")


@test("every link to a file of this tree has its file")
def _():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            check((page.parent / target).exists() or "://" in target, f"{page.name}: no {target}")


@test("meson.build has the version; the packages, the changelogs, the manifests and the pages have the same one")
def _():
    version = re.search(r"^  version: '([\d.]+)',$", (ROOT / "meson.build").read_text(), re.M)[1]
    told = {
        "CHANGELOG.md": r"^## (\S+) - ",
        "docs/operations.md": r"● twtuned ([\d.]+),",
        "packaging/ansible/README.md": r"/twtuned_([\d.]+)_amd64\.deb",
        "packaging/debian/changelog": r"^twtuned \((\S+)\)",
        "packaging/kubernetes/base/kustomization.yaml": r"^ +newTag: (\S+)$",
        "packaging/rpm/twtuned.spec": r"^Version: +(\S+)$",
    }
    for name, pattern in told.items():
        check_equal(re.search(pattern, (ROOT / name).read_text(), re.M)[1], version, name)
    check_equal(re.search(r"^\* .* - (\S+)-1$", (ROOT / "packaging/rpm/twtuned.spec").read_text(), re.M)[1], version,
                "changelog of the RPM package")
    check_equal(newest_dates(), [newest_dates()[0]] * 3, "dates of the changelogs")


def newest_dates():
    """The date of the newest entry of each changelog, as year-month-day."""
    debian = re.search(r"^ -- .*>  (.*)$", (ROOT / "packaging/debian/changelog").read_text(), re.M)[1]
    rpm = re.search(r"^\* (\w+ \w+ \d+ \d+) ", (ROOT / "packaging/rpm/twtuned.spec").read_text(), re.M)[1]
    return [re.search(r"^## \S+ - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[1],
            email.utils.parsedate_to_datetime(debian).date().isoformat(),
            datetime.datetime.strptime(rpm, "%a %b %d %Y").date().isoformat()]


if __name__ == "__main__":
    main()
