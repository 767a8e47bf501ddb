#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mutate.py [FILE...]: changes the comparisons, connectives, constants and bounds of the policy and the limits one by
one, and counts the changes that neither a unit test nor a few ticks of the simulation notices. Prints these as
FILE:LINE: change; exits with 1 when less than 91 % are noticed.

All changes are compiled into one copy of the tree, in which MUTANT=N selects one; clang tells where expressions
are."""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("lib/policy/*.c")) + ["lib/apply/limits.c"]
# First the tests that notice the most changes in the least time.
TESTS = ["policy_step", "action", "policy_settle", "policy_harm", "policy_ladder", "policy_range", "policy_reload",
         "policy_evidence", "policy_look", "policy_supersede", "policy_unit", "limits", "limits_rates", "tick_step", "tick", "tick_rest",
         "yield", "rule_action", "policy_explain", "allocation", "out_of_memory", "rehearsal", "policy_need",
         "simulation", "policy"]
ARGUMENTS = {"policy_need": ["40"], "simulation": ["0", "1", "50000"]}
LONGEST = 20  # seconds of CPU time; a test that takes longer is taken to hang
NEEDED = 0.91

COMPARISONS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="]}
CONNECTIVES = {"&&": "||", "||": "&&"}
NONE = -1  # no change has this number

PROLOGUE = """#include <stdlib.h>
static int mutant_;
__attribute__((constructor)) static void mutant_init_(void)
{
        mutant_ = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0;
}
#define COMPARE_(n, m, op, a, b, l, r) \\
        ({ __auto_type l_ = l; __auto_type r_ = r; mutant_ == n ? l_ a r_ : mutant_ == m ? l_ b r_ : l_ op r_; })
#define AND_(n, l, r) ({ _Bool l_ = l; l_ == (mutant_ == n) ? l_ : (_Bool)r; })
#define OR_(n, l, r) ({ _Bool l_ = l; l_ == (mutant_ != n) ? l_ : (_Bool)r; })
#define NOT_(n, x) ({ _Bool x_ = x; mutant_ == n ? x_ : !x_; })
#define BOOL_(n, v) (mutant_ == n ? !v : v)
#define NUMBER_(n, m, v) (mutant_ == n ? v + 1 : mutant_ == m ? v - 1 : v)
#define MIN_(n, a, b) (mutant_ == n ? MAX(a, b) : MIN(a, b))
#define MAX_(n, a, b) (mutant_ == n ? MIN(a, b) : MAX(a, b))
#line 1
"""


class File:
    """A source file, and the edits that put the changes into it."""

    def __init__(self, path, changes):
        self.path, self.changes = path, changes
        self.text = (ROOT / path).read_text()
        self.edits = []  # (offset, order at that offset, length, text)
        self.seen = set()
        ast = subprocess.run(["clang", "-std=gnu17", "-D_GNU_SOURCE", "-I.", "-fsyntax-only", "-Xclang",
                              "-ast-dump=json", path], cwd=ROOT, capture_output=True, check=True).stdout
        for node in json.loads(ast)["inner"]:
            if node["kind"] == "FunctionDecl" and "includedFrom" not in node["loc"]:
                self.visit(node)
        for match in re.finditer(r"\b(MIN|MAX)\(", self.text):
            other = "MAX" if match[1] == "MIN" else "MIN"
            n = self.number(match.start(), [(match[1], other)])
            self.edits.append((match.start(), (1, 0), len(match[0]), f"{match[1]}_({n}, "))
        for match in re.finditer(r"^#define \w+ .*?\b(\d+(?:\.\d+)?)\b", self.text, re.M):
            self.constant(match.start(1), match[1])

    def place(self, loc):
        """(begin, end) of a token in this file, or None: it is a part of a macro."""
        if "expansionLoc" in loc:
            loc = loc["spellingLoc" if loc["expansionLoc"].get("isMacroArgExpansion") else "expansionLoc"]
        if "includedFrom" in loc or "<" in loc.get("file", "") or "offset" not in loc:
            return None
        return loc["offset"], loc["offset"] + loc["tokLen"]

    def range(self, node):
        begin, end = self.place(node["range"]["begin"]), self.place(node["range"]["end"])
        if not begin or not end:
            return None
        begin, end = begin[0], end[1]
        if self.text[end:end + 1] == "(" and "expansionLoc" in node["range"]["end"]:  # the arguments of a macro
            depth = 0
            for end in range(end, len(self.text)):
                depth += {"(": 1, ")": -1}.get(self.text[end], 0)
                if depth == 0:
                    break
            end += 1
        return begin, end

    def number(self, offset, changes):
        """Adds these changes (old, new) at the offset; returns the number of the first."""
        line = self.text.count("\n", 0, offset)
        first = len(self.changes)
        for old, new in changes:
            self.changes.append(f"{self.path}:{line + 1}: {old} -> {new}: {self.text.splitlines()[line].strip()}")
        return first

    def wrap(self, begin, end, before, after):
        # Of those that begin together the longest is outside; of those that end together the shortest is inside.
        self.edits.append((begin, (1, -end), 0, before))
        self.edits.append((end, (0, -begin), 0, after))

    def constant(self, offset, text):
        less = [(text, f"{text} - 1")] if float(text.rstrip("uU")) > 0 else []
        n = self.number(offset, [(text, f"{text} + 1")] + less)
        self.wrap(offset, offset + len(text), f"NUMBER_({n}, {n + 1 if less else NONE}, ", ")")

    def operator(self, node, op):
        left, right = (self.range(child) for child in node["inner"])
        if not left or not right or self.text[left[1]:right[0]].strip() != op:
            return
        if op in COMPARISONS:
            first, second = COMPARISONS[op][0], COMPARISONS[op][-1]
            n = self.number(left[1] + 1, [(op, new) for new in COMPARISONS[op]])
            begin = f"COMPARE_({n}, {n + 1 if first != second else NONE}, {op}, {first}, {second}, ("
        else:
            n = self.number(left[1] + 1, [(op, CONNECTIVES[op])])
            begin = f"{'AND_' if op == '&&' else 'OR_'}({n}, ("
        self.wrap(left[0], right[1], begin, "))")
        self.edits.append((left[1], (0, 1), right[0] - left[1], "), ("))

    def literal(self, node):
        token = self.place(node["range"]["begin"])
        text = self.text[slice(*token)] if token else ""
        if text in ("true", "false"):
            n = self.number(token[0], [(text, "false" if text == "true" else "true")])
            self.wrap(*token, f"BOOL_({n}, ", ")")
        elif re.fullmatch(r"\d+(\.\d+)?[uU]?", text):
            self.constant(token[0], text)

    def visit(self, node):
        kind, op = node.get("kind"), node.get("opcode")
        key = (kind, self.range(node)) if node.get("range", {}).get("begin") else None
        if kind == "VarDecl" and node.get("storageClass") == "static":
            return
        if key and key[1] and key not in self.seen:
            self.seen.add(key)
            if kind == "BinaryOperator" and (op in COMPARISONS or op in CONNECTIVES):
                self.operator(node, op)
            elif kind == "UnaryOperator" and op == "!" and self.text[key[1][0]] == "!":
                n = self.number(key[1][0], [("!", "nothing")])
                self.wrap(*key[1], f"NOT_({n}, (", "))")
                self.edits.append((key[1][0], (1, 0), 1, ""))
            elif kind in ("IntegerLiteral", "FloatingLiteral"):
                self.literal(node)
        for child in node.get("inner", [])[1 if kind == "CaseStmt" else 0:]:
            self.visit(child)

    def mutated(self):
        out, at = [PROLOGUE], 0
        for offset, _, length, text in sorted(self.edits):
            out.append(self.text[at:offset] + text)
            at = offset + length
        return "".join(out) + self.text[at:]


def build(tree, files):
    """A copy of the project with these files in place of its own."""
    for part in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).exists():
            shutil.copy(ROOT / part, tree / part)
    for file in files:
        (tree / file.path).write_text(file.mutated())
    # So that what reads past the end of an array is noticed.
    bounds = "-fsanitize=bounds -fsanitize-undefined-trap-on-error"
    options = ["-Dtests=true", "-Dwerror=false", "-Dwarning_level=0", "-Doptimization=1", "-Ddebug=false",
               f"-Dc_args={bounds}"]
    for argv in (["meson", "setup", "build", *options],
                 ["ninja", "-C", "build", *(f"tests/check_{test}" for test in TESTS)]):
        done = subprocess.run(argv, cwd=tree, text=True, capture_output=True)
        if done.returncode:
            sys.exit(f"mutate.py: {done.stdout[-4000:]}")


def notices(tree, test, mutant):
    # The same random numbers for all of them. Without a fork: else the limit would be for each test that hangs.
    argv = ["prlimit", f"--cpu={LONGEST}", tree / f"build/tests/check_{test}", *ARGUMENTS.get(test, [])]
    env = os.environ | {"CK_FORK": "no", "TEST_SEED": "2", "MUTANT": str(mutant)}
    return subprocess.run(argv, env=env, capture_output=True).returncode != 0


def main():
    changes = ["nothing is changed"]
    files = [File(path, changes) for path in sys.argv[1:] or FILES]
    noticed_by = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="mutate-") as directory, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tree = pathlib.Path(directory)
        build(tree, files)
        if failed := next((test for test in TESTS if notices(tree, test, 0)), None):
            sys.exit(f"mutate.py: {failed} fails without a change")

        def first_notice(mutant):
            return next((test for test in TESTS if notices(tree, test, mutant)), None)

        for mutant, test in zip(range(1, len(changes)), pool.map(first_notice, range(1, len(changes)))):
            noticed_by[test] += 1
            if not test:
                print(changes[mutant], flush=True)
    noticed = 1 - noticed_by[None] / (len(changes) - 1)
    print(f"{len(changes) - 1} changes, {noticed_by.pop(None, 0)} not noticed: {noticed:.1%} noticed, first by "
          + ", ".join(f"{test} {n}" for test, n in noticed_by.most_common()))
    return 0 if noticed >= NEEDED else 1


sys.exit(main())
