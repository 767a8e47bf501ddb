# SPDX-License-Identifier: MIT
"""A small runner: tests are functions under @test; their results are printed as TAP."""

import itertools
import re
import sys
import threading
import time
import traceback


class Skip(Exception):
    pass


_tests = []
_output = threading.Lock()  # print() writes a line and its end one after the other
LONG = "--long" in sys.argv  # ./dev test --long


def test(name, beside=False, long=False):
    """Registers a test. beside: it may run at the same time as its neighbours that have the same mark, because it
    mostly waits. long: it runs with --long only, and then those without the mark do not run."""
    def register(function):
        _tests.append((name, function, beside, long))
        return function
    return register


def _say(line):
    with _output:
        print(line, flush=True)


def diag(text):
    for line in str(text).splitlines():
        _say(f"# {line}")


def check(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


def check_equal(actual, expected, what="value"):
    check(actual == expected, f"{what} is {actual!r}, should be {expected!r}")


class _Run:
    """One test; beside others in a thread of its own, which is a daemon so that SIGTERM need not wait for it."""

    def __init__(self, name, function, beside):
        self._name, self._function, self._thread = name, function, None
        if not beside:
            self._run()
        else:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self):
        start = time.monotonic()
        self._passed, self._line = False, self._name
        try:
            self._function()
            self._passed = True
        except Skip as reason:
            self._passed = True
            self._line += f" # SKIP {reason}"
        except Exception:
            # With --print-errorlogs, meson shows only the stderr of a failed test.
            print(f"{self._name}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        diag(f"{self._name}: took {time.monotonic() - start:.1f} s")

    def report(self, number):
        """Waits for the end, and prints the result; True when it passed."""
        if self._thread:
            self._thread.join()
        _say(f"{'ok' if self._passed else 'not ok'} {number} - {self._line}")
        return self._passed


def _run_all(tests):
    """The results, in order; neighbours that may run beside each other do."""
    for _, group in itertools.groupby(enumerate(tests, 1), lambda t: 0 if t[1][2] else t[0]):
        group = list(group)
        runs = [_Run(*entry) for _, entry in group]
        yield from (run.report(number) for run, (number, _) in zip(runs, group))


def main(skip_all=""):
    """Runs the tests in whose name a regex of argv is found, or all; exits with 1 when one failed. skip_all: the reason
    why none can run."""
    patterns = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    marked = LONG and any(long for *_, long in _tests)
    chosen = [(name, function, beside) for name, function, beside, long in _tests
              if long == marked and (not patterns or any(re.search(p, name) for p in patterns))]
    if not chosen:
        sys.exit(f"no test matches {' '.join(patterns)}")
    if skip_all:
        print(f"1..0 # SKIP {skip_all}", flush=True)
        sys.exit(0)
    print(f"1..{len(chosen)}", flush=True)
    passed = list(_run_all(chosen))
    sys.exit(0 if all(passed) else 1)
