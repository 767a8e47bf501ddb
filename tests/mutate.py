#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutate.py [FILE...]: changes one comparison, bound, constant or connective of the policy and the guard after the
other, and counts the changes that no unit test, nor a few ticks of the simulation, notices. Prints these as FILE:LINE:
change; exits with 1 when less than 90 % are noticed. Works on copies of the tree."""

import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("lib/policy*.c")) + ["lib/guard.c"]
# Those first that notice the most in the least time.
TESTS = ["policy_step", "policy_ladder", "policy_range", "guard", "tuner_step", "tuner", "yield", "rule_lever",
         "allocation", "policy", "rehearsal", "policy_need", "simulation"]
ARGUMENTS = {"policy_need": ["40"], "simulation": ["0", "1", "50000"]}
LONGEST = 20  # seconds of CPU; a test that takes longer does not end any more
NEEDED = 0.9

SWAPS = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="],
    "&&": ["||"], "||": ["&&"], "!": [""], "true": ["false"], "false": ["true"], "MIN": ["MAX"], "MAX": ["MIN"],
}
TOKEN = re.compile(r"""(?P<skip>/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|^\#include[^\n]*|->|<<=?|>>=?|\+\+|--)
                   |(?P<op><=|>=|==|!=|&&|\|\||<|>|!|\b(?:true|false|MIN|MAX)\b)
                   |(?P<number>\b\d+(?:\.\d+)?\b(?=[uU]?\b))|(?P<word>\w+)""", re.X | re.S | re.M)


def mutants(path):
    """(offset, length, replacement) of each change of a file."""
    text = (ROOT / path).read_text()
    for match in TOKEN.finditer(text):
        if match["op"]:
            changes = SWAPS[match["op"]]
        elif match["number"]:
            n = int(match["number"]) if match["number"].isdigit() else float(match["number"])
            changes = [str(n + 1)] + ([str(n - 1)] if n > 0 else [])
        else:
            continue
        for change in changes:
            yield path, match.start(), match[0], change


class Tree:
    """A copy of the project, in which one file at a time is changed."""

    def __init__(self, directory):
        self.path = pathlib.Path(directory)
        for part in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
            if part.startswith(("lib/", "daemon/", "conf/", "tests/", "meson", "systemd/", "bench/")):
                (self.path / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / part, self.path / part)
        options = ["-Dtests=true", "-Dwerror=false", "-Dwarning_level=0", "-Doptimization=1", "-Ddebug=false"]
        subprocess.run(["meson", "setup", "build", *options], cwd=self.path, check=True, stdout=subprocess.DEVNULL)
        for test in TESTS:
            if self.notices(test):
                sys.exit(f"mutate.py: {test} fails without a change")

    def notices(self, test):
        if subprocess.run(["ninja", "-C", "build", f"tests/check_{test}"], cwd=self.path, capture_output=True).returncode:
            return True
        # The same random numbers for all of them. Check ends a test that hangs after a minute, the kernel does so sooner.
        argv = ["prlimit", f"--cpu={LONGEST}", self.path / f"build/tests/check_{test}", *ARGUMENTS.get(test, [])]
        return subprocess.run(argv, env=os.environ | {"TEST_SEED": "2"}, capture_output=True).returncode != 0

    def survives(self, path, offset, old, new):
        file, text = self.path / path, (ROOT / path).read_text()
        file.write_text(text[:offset] + new + text[offset + len(old):])
        try:
            return not any(map(self.notices, TESTS))
        finally:
            file.write_text(text)


def main():
    files = sys.argv[1:] or FILES
    changes = [change for path in files for change in mutants(path)]
    workers = os.cpu_count()
    with tempfile.TemporaryDirectory(prefix="mutate-") as directory, \
            concurrent.futures.ThreadPoolExecutor(workers) as pool:
        trees = queue.SimpleQueue()
        for tree in pool.map(Tree, (f"{directory}/{n}" for n in range(workers))):
            trees.put(tree)

        def survives(change):
            tree = trees.get()
            try:
                return tree.survives(*change)
            finally:
                trees.put(tree)

        survivors = 0
        for (path, offset, old, new), alive in zip(changes, pool.map(survives, changes)):
            if not alive:
                continue
            text = (ROOT / path).read_text()
            line = text.count("\n", 0, offset)
            survivors += 1
            print(f"{path}:{line + 1}: {old} -> {new or 'nothing'}: {text.splitlines()[line].strip()}", flush=True)
    noticed = 1 - survivors / len(changes)
    print(f"{len(changes)} changes, {survivors} not noticed: {noticed:.1%} noticed")
    return 0 if noticed >= NEEDED else 1


sys.exit(main())
