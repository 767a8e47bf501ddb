#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A slow load, and the shipped times: minutes of waiting, so test_policy.py runs it beside its own."""

import time

from harness import POLICY, ChurnClient, ChurnServer, Pair, Twtuned, check, check_equal, diag, main, test

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"


def slowest(client):
    return min(connects for connects, _ in client.seconds[:45])


@test("300 connects/s: acts before the cliff, and the client never notices; given back in the shipped time",
      beside=True)
def _():
    with Pair() as pair, Pair() as other:
        ChurnServer(pair.server, pair.server.ip4)
        ChurnServer(other.server, other.server.ip4)
        twtuned = Twtuned(pair.client, POLICY)
        # What a client that is not near the cliff gets of this machine at the same time: 13,500 sockets are not.
        calm = ChurnClient(other.client, other.server.ip4, rate=300, seconds=45)
        client = ChurnClient(pair.client, pair.server.ip4, rate=300, seconds=45)
        twtuned.wait_for(rf"^applied: {REUSE}:", 44)
        used = pair.client.sockstat("tw")
        diag(f"acted at {used} TIME_WAIT sockets, the cliff is at 14116")
        check(used < 14116, f"{used} TIME_WAIT sockets: that is past the cliff")
        _, failures = client.finish()
        check_equal(failures, 0, "failed connects")
        check_equal(calm.finish()[1], 0, "failed connects of the other client")
        check(slowest(client) >= 250 / 300 * slowest(calm), f"{client.seconds}, at the same time {calm.seconds}")
        ended = time.monotonic()
        twtuned.wait_for(rf"^released: {REUSE}:", 240)
        held = time.monotonic() - ended
        diag(f"held for {held:.0f} s after the load")
        check(120 <= held <= 200, f"given back after {held:.0f} s: 2 min below half, which takes some of the 60 s")
        check_equal(pair.client.sysctl(REUSE), "2", REUSE)
        check_equal([line for line in twtuned.lines if DELAY in line], [], "log lines of the second rung")


if __name__ == "__main__":
    main()
