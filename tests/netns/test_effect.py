#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What twtuned is for: a client that is past the cliff on stock sysctls is not with twtuned beside it. Real
connections between two network namespaces; all figures are ratios within one run."""

import statistics

from harness import (ChurnClient, ChurnServer, Pair, Single, Twtuned, check, check_equal, diag, fields, main,
                     quick_policy, test)

REUSE, DELAY = "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay"
STEADY = (4, 8)  # the seconds that count: twtuned has had its interval and one more
PAIRS = {"IPv4": 3, "IPv6": 1, "IPv4-mapped": 1}  # of runs by hand and with twtuned, one after the other
PAIRS_MAX = 7  # the median counts; on a busy machine that takes more of them


def address(namespace, family):
    return namespace.ip6 if family == "IPv6" else namespace.ip4


def begin(pair, family, seconds):
    return ChurnClient(pair.client, address(pair.server, family), seconds=seconds, mapped=family == "IPv4-mapped")


def churn(pair, family, seconds):
    """A whole run; the client, when it has ended."""
    client = begin(pair, family, seconds)
    client.finish()
    return client


def applied(twtuned):
    return [fields(line)["SYSCTL"] for line in twtuned.lines if line.startswith("applied:")]


def serve(pair, family):
    ChurnServer(pair.server, address(pair.server, family))


def rate_by_hand(family):
    with Pair() as pair:
        pair.client.sysctl(REUSE, 1)
        pair.client.sysctl(DELAY, 250)
        serve(pair, family)
        return churn(pair, family, STEADY[1]).rate(*STEADY)


def rate_with_twtuned(family):
    """From stock sysctls, and back to them; no connect() fails."""
    with Pair() as pair:
        serve(pair, family)
        twtuned = Twtuned(pair.client, quick_policy())
        twtuned.wait_for("^config-loaded")
        client = begin(pair, family, STEADY[1])
        client.wait_second(STEADY[1] - 1)
        check_equal((pair.client.sysctl(REUSE), pair.client.sysctl(DELAY)), ("1", "250"), "reuse and delay under load")
        check_equal(client.finish()[1], 0, "failed connects")
        check_equal(applied(twtuned), [REUSE, DELAY], "sysctls changed")
        twtuned.wait_for(rf"^released: {REUSE}:")
        check_equal((pair.client.sysctl(REUSE), pair.client.sysctl(DELAY)), ("2", "1000"), "reuse, delay afterwards")
        check_equal(twtuned.stop(), 0, "exit status")
        return client.rate(*STEADY)


def rate_on_stock(family):
    with Pair() as pair:
        serve(pair, family)
        client = churn(pair, family, 12)
        return client.rate(9, 12)


def saves(family):
    stock = rate_on_stock(family)
    runs, ratio = [], 0
    while len(runs) < PAIRS[family] or (ratio < 0.9 and len(runs) < PAIRS_MAX):
        # In turns, for the machine may be faster after the wait at the end of a run with twtuned.
        if len(runs) % 2 == 0:
            hand, tuned = rate_by_hand(family), rate_with_twtuned(family)
        else:
            tuned, hand = rate_with_twtuned(family), rate_by_hand(family)
        runs.append((hand, tuned))
        ratio = statistics.median(tuned / hand for hand, tuned in runs)
    diag(f"{family}: stock {stock:.0f}/s; by hand, with twtuned: " +
         ", ".join(f"{hand:.0f} {tuned:.0f}" for hand, tuned in runs) + f"; twtuned/hand {ratio:.2f}")
    check(stock < 1000, f"stock sysctls do not fall off the cliff: {stock:.0f}/s")
    worst = min(tuned for _, tuned in runs)
    check(worst >= 20 * stock, f"{worst:.0f}/s with twtuned is only {worst / stock:.1f} times stock's {stock:.0f}/s")
    check(ratio >= 0.9, f"twtuned gives only {ratio:.2f} of what the same sysctls give that are set by hand")


for family in PAIRS:
    test(f"{family}: at least 20 times stock and 0.9 of by hand, no failure, stock again afterwards")(lambda family=family: saves(family))


def loopback(pasted_reuse):
    """Loopback rates with the delay as it was and after the second rung, in one run: the policy's threshold is
    the load itself, so twtuned waits until it is started."""
    with Single() as host:
        host.sysctl(REUSE, pasted_reuse)
        ChurnServer(host, host.ip4)
        client = ChurnClient(host, host.ip4, seconds=16)
        client.wait_second(7)
        twtuned = Twtuned(host, quick_policy())
        client.finish()
        before, after = client.rate(4, 7), client.rate(11, 15)
        diag(f"loopback, tcp_tw_reuse={pasted_reuse}: {before:.0f}/s before, {after:.0f}/s after the second rung")
        check_equal(applied(twtuned), [DELAY], "sysctls changed")
        check_equal(host.sysctl(REUSE), str(pasted_reuse), REUSE)
        twtuned.wait_for(rf"^released: {DELAY}:")
        check_equal(host.sysctl(DELAY), "1000", DELAY)
        check(after > 1.3 * before, f"{after:.0f}/s is not clearly more than {before:.0f}/s")


@test("loopback under the stock tcp_tw_reuse=2: the second rung alone lifts it")
def _():
    loopback(2)


@test("a host with a pasted tcp_tw_reuse=1: the second rung alone lifts it")
def _():
    loopback(1)


if __name__ == "__main__":
    main()
