#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends twtuned a message with a socket whose last close() waits for a reader that never reads, and gives the socket
away:  bus_descriptor.py SOCKET call|signal. Ends when its input has a line."""

import array
import os
import re
import socket
import struct
import sys
import threading

import bus_flood

CALL, SIGNAL = 1, 4


def slow_to_close():
    """A TCP socket that has data to send, and SO_LINGER; and its peer, which must not be closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        s = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(65536))
    except BlockingIOError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 10**6))
        return s, peer


def wait_for(bus, regex):
    received = b""
    while not re.search(regex, received):
        received += bus.recv(65536) or sys.exit("the bus has ended the connection")


def main():
    bus = bus_flood.connect(sys.argv[1], b"NEGOTIATE_UNIX_FD\r\n")
    s, peer = slow_to_close()
    bus.setblocking(True)
    wait_for(bus, rb":1\.\d+\0")  # the answer to Hello: before BEGIN the bus takes no descriptors
    kind = CALL if sys.argv[2] == "call" else SIGNAL
    message = bus_flood.call(2, "org.twtuned1", "/org/twtuned1", "org.twtuned1", "Describe", kind, descriptors=1)
    bus.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
    # The bus handles this message before it answers the next one. Otherwise it may close the last copy, and wait.
    bus.sendall(bus_flood.call(3, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId"))
    wait_for(bus, rb"[0-9a-f]{32}\0")
    closing = threading.Thread(target=os.close, args=[s.detach()], daemon=True)
    closing.start()
    closing.join(1)  # it lasts for ever if the bus has thrown the other copy away
    print("sent", flush=True)
    input()
    peer.close()


main()
