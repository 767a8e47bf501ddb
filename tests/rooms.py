#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rooms of lib/, daemon/ and ctl/: dependencies run only downwards, and no two files and no two rooms include each
other, or call each other, in a circle. What a file calls is what its object needs."""

import collections
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("TWTUNED_BUILD") or ROOT / "build")
# From the bottom up. The files of daemon/ itself are of two levels: what the rooms stand on, and what drives them.
LEVELS = [["lib/util"], ["lib/kernel"], ["lib/ports"], ["lib/config"], ["lib/policy"], ["lib/apply"], ["lib/audit"],
          ["lib/lint", "lib/recording"], ["daemon", "daemon/observe", "daemon/apply", "daemon/audit", "daemon/bus",
                                          "daemon/commands", "daemon/supervisor", "daemon/http", "ctl"]]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}


def name_of(path):
    return str(path.relative_to(ROOT))


def includes():
    """file -> the files that it includes"""
    graph = collections.defaultdict(set)
    for path in sorted(ROOT.glob("lib/**/*.[ch]")) + sorted(ROOT.glob("daemon/**/*.[ch]")) + sorted(ROOT.glob("ctl/*.[ch]")):
        for included in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            graph[name_of(path)].add(included)
    return graph


def calls():
    """file -> the files whose functions or variables its object needs"""
    defined, needed = {}, collections.defaultdict(set)
    for directory in ("libcore.a.p", "libbackend.a.p", "metrics-http.p", "twtunectl.p"):
        objects = sorted((BUILD / directory).glob("*.o"))
        if not objects and directory != "metrics-http.p":  # which needs libmicrohttpd
            sys.exit(f"no objects in {BUILD / directory}: build first")
        for obj in objects:
            name = re.sub(r"^(lib|daemon|ctl)_(?:(util|kernel|ports|config|policy|apply|audit|lint|recording|observe|bus|"
                          r"commands|supervisor|http)_)?(.*)\.c$", lambda m: "/".join(filter(None, m.groups())), obj.stem)
            for line in subprocess.check_output(["nm", "--extern-only", obj], text=True).splitlines():
                kind, symbol = line.split()[-2:]
                if kind == "U":
                    needed[name].add(symbol)
                elif directory != "twtunectl.p":
                    defined[symbol] = name
    return {name: {defined[symbol] for symbol in symbols if symbol in defined} - {name}
            for name, symbols in needed.items()}


def circle(graph):
    """One circle as a list of names; None: there is none."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        found = next(filter(None, (visit(other) for other in sorted(graph.get(node, ())) if other != node)), None)
        path.pop()
        done.add(node)
        return found

    return next(filter(None, map(visit, sorted(graph))), None)


def room(name):
    return name.rsplit("/", 1)[0]


def rooms(graph):
    """The graph between rooms; each file of daemon/ itself is a room of its own."""
    between = collections.defaultdict(set)
    for name, others in graph.items():
        for other in others:
            one, two = (n.rsplit(".", 1)[0] if room(n) == "daemon" else room(n) for n in (name, other))
            if one != two:
                between[one].add(two)
    return between


def upwards(graph):
    return [f"{name} needs {other}" for name, others in sorted(graph.items()) for other in sorted(others)
            if LEVEL.get(room(other), 0) > LEVEL.get(room(name), len(LEVELS))]


def main():
    checks = []
    for what, graph in (("include", includes()), ("call", calls())):
        checks += [(f"no two files {what} each other in a circle", circle(graph)),
                   (f"no two rooms {what} each other in a circle", circle(rooms(graph))),
                   (f"no file {what}s one above it", upwards(graph))]
    checks.append(("no source file has over 400 lines",
                   [str(p.relative_to(ROOT)) for d in ("lib", "daemon", "ctl") for p in sorted(ROOT.glob(f"{d}/**/*.[ch]"))
                    if len(p.read_text().splitlines()) > 400]))
    print(f"1..{len(checks)}")
    for number, (name, found) in enumerate(checks, 1):
        print(f"{'not ok' if found else 'ok'} {number} - {name}" + (f": {found}" if found else ""))
    return 1 if any(found for _, found in checks) else 0


sys.exit(main())
