# SPDX-License-Identifier: MIT
"""The real programs whose connections are measured, and the load on them. Debian's own packages, each configured as
one finds it in the field; any other option has the program's default.

A proxy runs in the client's network namespace, where h2load asks it for pages over 64 connections that stay open: all
connects toward the backends are the proxy's. A client that needs no proxy (PHP, ...) runs there in 8 processes, as
under php-fpm. Both write a line per request in h2load's format: start in us since the epoch, status, us until
the answer."""

import contextlib
import dataclasses
import pathlib
import shutil
import socket
import subprocess
import time
from typing import Callable

from harness import Program

HERE = pathlib.Path(__file__).parent
HTTP_PORT, REDIS_PORT, POSTGRES_PORT, MEMCACHED_PORT, FRONT_PORT = 8080, 6379, 5432, 11211, 8000
CONNECTIONS = 64  # of h2load toward the proxy
WORKERS = 8  # processes of a client that needs no proxy

WEB_SERVER = """
daemon off; worker_processes auto; pid {dir}/backend.pid; error_log {dir}/backend.log;
events {{ worker_connections 10000; }}
http {{
    access_log off; keepalive_requests 1000000000;
    server {{ listen 8080 backlog=4096; listen [::]:8080 backlog=4096; location / {{ return 200 "hello\\n"; }} }}
}}
"""

NGINX = """
daemon off; worker_processes auto; pid {dir}/nginx.pid; error_log {dir}/proxy.log;
events {{ worker_connections 10000; }}
http {{
    access_log off; keepalive_requests 1000000000;
    upstream backends {{ {servers} }}
    server {{
        listen 127.0.0.1:8000;
        location / {{ proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""

APACHE = """
ServerRoot {dir}
ServerName localhost
User www-data
PidFile {dir}/apache.pid
DefaultRuntimeDir {dir}
ErrorLog {dir}/proxy.log
Listen 127.0.0.1:8000
{modules}
MaxKeepAliveRequests 0
{servers}
"""
APACHE_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_balancer", "slotmem_shm",
                  "lbmethod_byrequests")

HAPROXY = """
defaults
    mode http
    option http-server-close
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind 127.0.0.1:8000
    default_backend backends
backend backends
{servers}
"""

SQUID = """
http_port 127.0.0.1:8000 accel defaultsite=backend
{servers}
never_direct allow all
http_access allow all
cache deny all
server_persistent_connections off
pinger_enable off
netdb_filename none
access_log none
cache_log /dev/null
pid_filename none
visible_hostname proxy
"""


def start(namespace, argv):
    """The program and all that it forks, in a pid namespace, so that they end together even when this is killed. Its
    first process is a shell: a program that changes its uid loses the signal that --kill-child asks for (prctl(2))."""
    return Program(namespace, ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", '"$@"; exit', "sh", *argv])


def write_config(directory, name, text):
    path = directory / name
    path.write_text(text)
    return str(path)


def literal(address):
    return f"[{address}]" if ":" in address else address


def wait_port(namespace, address, port, seconds=20):
    """Waits until the program listens."""
    deadline = time.monotonic() + seconds
    while True:
        with namespace.entered(), contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((address, port), 1).close()
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on {address} port {port}")
        time.sleep(0.05)


def web_server(pair, directory):
    start(pair.server, ["nginx", "-c", write_config(directory, "backend.conf", WEB_SERVER.format(dir=directory))])
    wait_port(pair.server, "127.0.0.1", HTTP_PORT)


def redis_server(pair, directory):
    start(pair.server, ["redis-server", "--bind", "*", "-::*", "--protected-mode", "no", "--save", "",
                        "--dir", str(directory), "--tcp-backlog", "4096"])
    wait_port(pair.server, "127.0.0.1", REDIS_PORT)


def postgres_server(pair, directory):
    """As the user postgres: it refuses to run as root."""
    programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    data = directory / "postgres"
    for path in (directory, *directory.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o011)
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    subprocess.run([*user, programs / "initdb", "--auth=trust", "--no-sync", "-D", data], check=True, cwd="/",
                   stdout=subprocess.DEVNULL)
    with open(data / "pg_hba.conf", "a") as access:
        access.write("host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n")
    start(pair.server, [*user, str(programs / "postgres"), "-D", str(data), "-c", "listen_addresses=*", "-c",
                        f"unix_socket_directories={data}", "-c", "fsync=off"])
    wait_port(pair.server, "127.0.0.1", POSTGRES_PORT)


def memcached_server(pair, _):
    start(pair.server, ["memcached", "-u", "nobody", "-b", "4096", "-l", "0.0.0.0,::"])
    wait_port(pair.server, "127.0.0.1", MEMCACHED_PORT)


def nginx(directory, backends):
    servers = " ".join(f"server {literal(address)}:{HTTP_PORT};" for address in backends)
    return ["nginx", "-c", write_config(directory, "nginx.conf", NGINX.format(dir=directory, servers=servers))]


def apache(directory, backends):
    urls = [f"http://{literal(address)}:{HTTP_PORT}" for address in backends]
    if len(urls) == 1:
        servers = f"ProxyPass / {urls[0]}/ disablereuse=On"
    else:
        members = "\n".join(f"BalancerMember {url} disablereuse=On" for url in urls)
        servers = f"<Proxy balancer://backends>\n{members}\n</Proxy>\nProxyPass / balancer://backends/"
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES)
    text = APACHE.format(dir=directory, servers=servers, modules=modules)
    return ["apache2", "-D", "FOREGROUND", "-f", write_config(directory, "apache.conf", text)]


def haproxy(directory, backends):
    servers = "\n".join(f"    server s{n} {literal(address)}:{HTTP_PORT}" for n, address in enumerate(backends))
    return ["haproxy", "-db", "-f", write_config(directory, "haproxy.cfg", HAPROXY.format(servers=servers))]


def squid(directory, backends):
    options = "no-query no-digest originserver round-robin"
    peers = "\n".join(f"cache_peer {literal(address)} parent {HTTP_PORT} 0 {options} name=s{n}"
                      for n, address in enumerate(backends))
    return ["squid", "-N", "-f", write_config(directory, "squid.conf", SQUID.format(servers=peers))]


class ProxyLoad:
    """h2load over HTTP/1.1 through a proxy that is started before it."""

    def __init__(self, command):
        self._command = command

    def prepare(self, pair, directory, backends):
        start(pair.client, self._command(directory, backends))
        wait_port(pair.client, "127.0.0.1", FRONT_PORT)

    def run(self, pair, directory, _, seconds):
        log = directory / "requests"
        pair.client.run(["h2load", "--h1", "-t1", f"-c{CONNECTIONS}", f"-D{seconds}", f"--log-file={log}",
                         f"http://127.0.0.1:{FRONT_PORT}/"], timeout=seconds + 60)
        return [log]


class ClientLoad:
    """Processes that connect to the backends themselves."""

    def __init__(self, command, what, port, workers=WORKERS):
        self._command, self._what, self._port, self._workers = command, what, port, workers

    def prepare(self, *_):
        pass

    def run(self, pair, directory, backends, seconds):
        logs = [directory / f"requests-{n}" for n in range(self._workers)]
        argv = [[self._command[0], str(HERE / self._command[1]), self._what, str(log), str(seconds), str(self._port),
                 *map(literal, backends)] for log in logs]
        for program in [pair.client.popen(one) for one in argv]:
            if program.wait(seconds + 60):
                raise RuntimeError(f"{program.args}: exit {program.returncode}")
        return logs


class ApacheBench:
    """ab without -k: a connection for each request, as in HTTP/1.0. Its log has whole seconds."""

    def prepare(self, *_):
        pass

    def run(self, pair, directory, backends, seconds):
        table, log = directory / "requests.tsv", directory / "requests"
        pair.client.run(["ab", "-q", "-r", "-s5", "-t", str(seconds), "-n", "100000000", "-c", str(WORKERS), "-g",
                         str(table), f"http://{literal(backends[0])}:{HTTP_PORT}/"], timeout=seconds + 60)
        with open(log, "w") as lines:
            for line in table.read_text().splitlines()[1:]:
                _, second, _, _, milliseconds, _ = line.split("\t")
                lines.write(f"{second}000000\t200\t{milliseconds}000\n")
        return [log]


PHP, PYTHON, NODE, SHELL = ("php", "client.php"), ("/usr/bin/python3", "client.py"), ("node", "client.js"), \
    ("bash", "client.sh")


@dataclasses.dataclass(frozen=True)
class RealProgram:
    """falls: the client closes first, so that TIME_WAIT stays on its ports. seconds: of a run with one backend, until
    the ports are short, and 4 s more."""
    key: str
    title: str
    falls: bool
    backend: Callable
    load: object
    seconds: int = 7


PROGRAMS = {program.key: program for program in (
    RealProgram("nginx", "nginx, no upstream keepalive", True, web_server, ProxyLoad(nginx)),
    RealProgram("apache", "Apache mod_proxy, disablereuse=On", True, web_server, ProxyLoad(apache), 11),
    RealProgram("redis", "PHP, a Redis connection a query", True, redis_server, ClientLoad(PHP, "redis", REDIS_PORT)),
    RealProgram("http", "PHP, a cURL handle a request", True, web_server, ClientLoad(PHP, "http", HTTP_PORT)),
    RealProgram("haproxy", "HAProxy, http-server-close", False, web_server, ProxyLoad(haproxy)),
    RealProgram("squid", "Squid, no persistent connections", False, web_server, ProxyLoad(squid)),
    RealProgram("postgres", "Python, a PostgreSQL connection a query", True, postgres_server,
                ClientLoad(PYTHON, "postgres", POSTGRES_PORT), 40),
    RealProgram("memcached", "Python, a memcached connection a query", True, memcached_server,
                ClientLoad(PYTHON, "memcached", MEMCACHED_PORT)),
    RealProgram("node", "Node.js, an agent without keepAlive", False, web_server,
                ClientLoad(NODE, "http", HTTP_PORT, workers=2)),
    RealProgram("curl", "curl, a process a request", True, web_server, ClientLoad(SHELL, "http", HTTP_PORT), 60),
    RealProgram("ab", "ab without -k", False, web_server, ApacheBench()),
)}
