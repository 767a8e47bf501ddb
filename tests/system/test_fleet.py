#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator of many hosts switches on, as documented, with the units and their sandbox as shipped."""

import re
import shutil

from container import HOLDS, REUSE, check, on_host, wait_until
from harness import ROOT, Skip, check_equal, main

EXPORTED = "var/lib/prometheus/node-exporter"


def commands(readme):
    """The first block of shell commands of a document."""
    return re.search(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(), re.M | re.S)[1]


@on_host("packaging/prometheus/README.md: its commands are enough for the sandboxed unit to write the metrics")
def _(host):
    if not shutil.which("prometheus-node-exporter"):
        raise Skip("needs prometheus-node-exporter")
    host.start(HOLDS)
    host.run("ip", "netns", "add", "web")
    host.systemctl("start", "twtuned@web")
    check_equal(list((host.root / EXPORTED).glob("*.prom")), [], "files before")
    host.run("sh", "-e", "-c", commands("packaging/prometheus/README.md"))
    host.systemctl("restart", "twtuned@web")
    for name, sample in (("twtuned", f'twtuned_sysctl_held{{sysctl="{REUSE}"}} 1'),
                         ("twtuned-web", f'twtuned_sysctl_held{{sysctl="{REUSE}",netns="web"}} 0')):
        path = f"/{EXPORTED}/{name}.prom"
        wait_until(lambda: sample in host.run("setpriv", "--reuid=prometheus", "--clear-groups", "cat", path,
                                              check=False).stdout, f"{sample} in {path}, for its reader", 20)
    check_equal(host.show("User"), "twtuned", "user")
    host.systemctl("stop", "twtuned", "twtuned@web")
    check_equal(list((host.root / EXPORTED).iterdir()), [], "files after the stop")
    host.run("sh", "-c", "rm -r /etc/systemd/system/twtuned@.service.d")


main()
