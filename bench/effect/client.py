#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client that connects anew for each query, without a pool: client.py postgres|memcached LOG SECONDS PORT HOST...
Writes to LOG a line a request, as client.php does."""

import sys
import time


def postgres(host, port):
    import psycopg2
    connection = psycopg2.connect(host=host, port=port, user="postgres", dbname="postgres", connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)
    finally:
        connection.close()


def memcached(host, port):
    from pymemcache.client.base import Client
    client = Client((host, port), connect_timeout=5, timeout=5)
    try:
        return client.get("key") is None
    finally:
        client.close()


def main(what, path, seconds, port, *hosts):
    query, end, number = {"postgres": postgres, "memcached": memcached}[what], time.time() + float(seconds), 0
    with open(path, "w") as log:
        while (start := time.time()) < end:
            try:
                ok = query(hosts[number % len(hosts)].strip("[]"), int(port))
            except Exception:
                ok = False
            number += 1
            log.write(f"{start * 1e6:.0f}\t{200 if ok else -1}\t{(time.time() - start) * 1e6:.0f}\n")


main(*sys.argv[1:])
