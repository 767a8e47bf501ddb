#!/usr/bin/env python3
"""Adds up what runs of `meson test` left behind, a directory of logs each. The last line is `N passed, N failed, N
skipped`; the exit status is 1 when something failed, nothing ran or, under CI=true, something was skipped."""

import json
import os
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

SAID = 40  # the last lines of a failed program's stderr that are printed


def count(logs):
    """(passed, failed, skipped) of one run."""
    passed = failed = skipped = broken = 0
    if not (logs / "testlog.json").exists():
        return 0, 1, 0  # meson says why
    for line in (logs / "testlog.json").read_text().splitlines():
        result = json.loads(line)
        if result["result"] not in ("OK", "SKIP", "EXPECTEDFAIL"):
            broken += 1
            # What meson printed of it may be far above.
            print(f"{result['name']}: {result['result']}", *result.get("stderr", "").splitlines()[-SAID:], sep="\n")
            print(f"to repeat: ./dev test {result['name'].split()[-1]}")

    for suite in ElementTree.parse(logs / "testlog.junit.xml").getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = case.get("name")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {suite.get('name')}: {name}")
            elif case.find("skipped") is not None:
                skipped += 1
                print(f"skipped: {suite.get('name')}: {name}")
            else:
                passed += 1
    # A program that crashed, timed out or broke its plan fails although none of its tests did.
    return passed, failed or broken, skipped


def main(directories):
    passed, failed, skipped = map(sum, zip(*(count(pathlib.Path(logs)) for logs in directories)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    strict = os.environ.get("CI") == "true"
    return 1 if failed or not passed or (strict and skipped) else 0


sys.exit(main(sys.argv[1:]))
