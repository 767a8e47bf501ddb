#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls a method of twtuned over connections that never read an answer, each 7 times a second, until its input has a
line:  bus_flood.py SOCKET CONNECTIONS PATH INTERFACE MEMBER. A faster flood would block dbus-daemon and not twtuned.
So no connection calls again before both have taken all calls of the last round, which the answer to one more call
shows."""

import contextlib
import itertools
import select
import socket
import struct
import sys


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def pad(data, to):
    return data + bytes(-len(data) % to)


def call(serial, destination, path, interface, member, message=1, descriptors=0):
    """A message without a body (D-Bus specification: Message Format)."""
    fields = b""
    for code, kind, text in (1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination):
        fields = pad(fields, 8) + bytes([code, 1]) + kind.encode() + b"\0" + string(text)
    if descriptors:
        fields = pad(fields, 8) + b"\x09\x01u\0" + struct.pack("<I", descriptors)
    return pad(struct.pack("<cBBBIII", b"l", message, 0, 1, 0, serial, len(fields)) + fields, 8)


def connect(path, negotiate=b""):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\n" + negotiate + b"BEGIN\r\n")
    s.sendall(call(1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"))
    s.setblocking(False)
    return s


def await_answer(s, serial):
    """Asks again after a second, because twtuned may have dropped the call (daemon/bus/read.c)."""
    with contextlib.suppress(BlockingIOError):
        while s.recv(4096):
            pass
    answered = False
    while not answered:
        s.send(call(serial, "org.twtuned1", "/", "org.freedesktop.DBus.Peer", "Ping"))
        answered = select.select([s], [], [], 1)[0]


def main():
    path, connections, obj, interface, member = sys.argv[1:]
    sockets = [connect(path) for _ in range(int(connections))]
    last = connect(path)
    print("connected", flush=True)
    rest = dict.fromkeys(sockets, b"")
    serials = itertools.count(2)
    calls = 0
    while not select.select([0], [], [], 0.14)[0]:
        for i, s in enumerate(sockets):
            rest[s] = rest[s] or call(next(serials), "org.twtuned1", obj, interface, member)
            try:
                rest[s] = rest[s][s.send(rest[s]):]
                calls += not rest[s]
            except BlockingIOError:
                pass
            except OSError:  # the bus has thrown it out
                sockets[i] = connect(path)
                rest[sockets[i]] = b""
        await_answer(last, next(serials))
    print(calls, flush=True)


if __name__ == "__main__":
    main()
