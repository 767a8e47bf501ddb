#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Debian package, as an administrator meets it: installed, upgraded, removed and purged with dpkg, in a container
that has booted a real systemd (container.py). TuneD and "sysctl --system" beside it.

--long: the package is the one that Debian's own build makes and lintian checks, or $TWTUNED_PACKAGE; TuneD is the one
that Debian has; and the version before this one is there as well."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

from container import (BAD, CONF, DROPINS, FILES, FIN_TIMEOUT, HOLDS, REUSE, UNIT_DROPINS, Container, on_host, sampled,
                       wait_until)
from harness import BUILD, ROOT, Skip, check, check_equal, diag, main, temp_dir

VERSION, NEXT, OLD = "1", "2", "0.1.0"
OLD_COMMIT = "c69e036c"  # the last one of 0.1.0, for where its tag is not
LONG = "--long" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--long"]


# debian/rules that packs what meson built here, instead of compiling it once more.
PACK = """
override_dh_auto_configure override_dh_auto_build override_dh_auto_test override_dh_auto_clean:

override_dh_auto_install:
\tmeson install -C {build} --no-rebuild --destdir $(CURDIR)/debian/twtuned
\tmkdir -p debian/twtuned/lib/systemd
\tmv debian/twtuned/usr/lib/systemd/system debian/twtuned/lib/systemd
"""


def build_package():
    """Builds it of the programs of the build directory; with --long by Debian's build, as ./dev package does."""
    directory = temp_dir()
    if given := os.environ.get("TWTUNED_PACKAGE"):
        return given
    if LONG:
        argv, cwd = [ROOT / "dev", "package", directory], ROOT
    else:
        cwd = directory / "twtuned"
        shutil.copytree(ROOT / "packaging/debian", cwd / "debian")
        rules = cwd / "debian/rules"
        kept = re.sub(r"^override_dh_auto_\w+:\n(?:\t.*\n)+", "", rules.read_text(), flags=re.M)
        rules.write_text(kept + PACK.format(build=BUILD))
        argv = [rules, "binary"]
    start = time.monotonic()
    run = subprocess.run(argv, cwd=cwd, capture_output=True, text=True,
                         env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck noautodbgsym"})
    check(run.returncode == 0, f"{argv}: {run.stdout}{run.stderr}")
    diag(f"packed in {time.monotonic() - start:.0f} s")
    built = list(directory.glob("twtuned_*.deb"))
    check_equal(len(built), 1, "packages")
    return built[0]


def with_version(package, suffix, target):
    """The same package under a higher version."""
    tree = temp_dir() / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", rf"\1+{suffix}", control.read_text(), flags=re.M))
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, target], check=True, stdout=subprocess.DEVNULL)


def old_package():
    """The package of the version before, from the history; built once."""
    built = BUILD / f"twtuned_{OLD}.deb"
    if not built.exists():
        tree = temp_dir() / "twtuned"
        tree.mkdir()
        make = (f"git -C {ROOT} archive $(git -C {ROOT} rev-parse -q --verify v{OLD} || echo {OLD_COMMIT}) | tar -x && "
                "cp -a packaging/debian . && dpkg-buildpackage --build=binary --no-sign")
        run = subprocess.run(["bash", "-o", "pipefail", "-c", make], cwd=tree, capture_output=True, text=True,
                             env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck noautodbgsym"})
        if "not a valid object name" in run.stderr:
            raise Skip(f"the history has no {OLD}")
        check(run.returncode == 0, run.stdout + run.stderr)
        (package,) = tree.parent.glob("twtuned_*.deb")
        shutil.copy(package, built)
    return built


class PackageHost(Container):
    """Without twtuned, but with two versions of its package in /opt."""

    def __init__(self):
        super().__init__()
        self.run("rm", "-f", "/var/lib/man-db/auto-update")  # it takes most of dpkg's time
        self.run("sh", "-c", "rm -rf /var/lib/apt/lists/*")  # most of apt's, which needs only /opt

    def install(self, files):
        package = build_package()
        (files / "opt").mkdir(parents=True)
        for version in (VERSION, NEXT):
            with_version(package, version, files / f"opt/twtuned-{version}.deb")
        shutil.copytree(ROOT / "packaging/ansible", files / "opt/ansible")
        # The machine may itself be a container, in which packages must not start services.
        (files / "usr/sbin").mkdir(parents=True)
        (files / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 0\n")
        (files / "usr/sbin/policy-rc.d").chmod(0o755)

    def dpkg(self, *argv):
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *argv).stdout

    def upgrade(self, version):
        start = time.monotonic()
        self.dpkg("--install", f"/opt/twtuned-{version}.deb")
        diag(f"dpkg --install: {time.monotonic() - start:.1f} s")

    def configure(self, config):
        self.write(f"{DROPINS}/50-test.conf", config)
        self.systemctl("reload", "twtuned")

    def reuse(self, netns):
        return self.run("ip", "netns", "exec", netns, "sysctl", "-n", REUSE).stdout.strip()

    def files(self):
        """All that bears the name, but for what the administrator wrote, what dpkg and systemd log, and FILES."""
        found = self.run("find", "/etc", "/usr", "/var", "/run", "/opt", "-xdev", "-name", "*twtune*").stdout.split()
        laid = {f"/{path}" for file in FILES for path in (file, os.path.dirname(file))}
        return sorted(name for name in found if name not in laid and
                      not name.startswith(("/opt/", f"/{DROPINS}", "/run/log", "/var/log")))

    def end(self):
        self.dpkg("--purge", "twtuned")
        self.stop_all()
        self.systemctl("reset-failed", "twtuned*", check=False)


def on_package_host(name):
    return on_host(name, PackageHost)


def in_long(name):
    """Like on_package_host, but only with --long."""
    return on_package_host(name) if LONG else lambda function: function


@on_package_host("install: enabled, started once, healthy; manuals and explanations are there; nothing is changed")
def _(host):
    before = host.run("sysctl", "net.ipv4", "net.core").stdout
    host.upgrade(VERSION)
    check_equal(host.systemctl("is-enabled", "twtuned"), "enabled", "is-enabled")
    wait_until(lambda: host.show("ActiveState") == "active", "active")
    wait_until(lambda: 'Status: "healthy' in host.systemctl("status", "twtuned"), "healthy, with ticks that are on time")
    host.events("config-loaded")
    wait_until(lambda: "healthy" in host.run("twtunectl", "status").stdout, "twtunectl reaches it over the bus")
    check_equal([entry["EVENT"] for entry in host.journal("_SYSTEMD_UNIT=twtuned.service")], ["config-loaded"],
                "events, of one start")
    check("nothing was changed" in host.run("twtunectl", "history").stdout, "history says that there is none")
    check_equal(host.run("sysctl", "net.ipv4", "net.core").stdout, before, "sysctls")
    explained = host.run("journalctl", "-x", "-u", "twtuned", f"--since=@{host.since}").stdout
    check("Subject: The configuration is in effect" in explained, explained)
    for section, page in (("8", "twtuned"), ("8", "twtuned.service"), ("5", "twtuned.conf"), ("5", "org.twtuned1")):
        check(host.run("man", "-w", section, page).stdout.startswith("/usr/share/man/"), page)
    for completion in ("bash-completion/completions/twtuned", "zsh/vendor-completions/_twtuned",
                       "fish/vendor_completions.d/twtuned.fish", "bash-completion/completions/twtunectl",
                       "zsh/vendor-completions/_twtunectl", "fish/vendor_completions.d/twtunectl.fish"):
        check((host.root / "usr/share" / completion).exists(), completion)
    check_equal(host.dpkg("--verify", "twtuned"), "", "dpkg --verify")
    version = host.run("dpkg-query", "-W", "-f", "${Version}", "twtuned").stdout.removesuffix(f"+{VERSION}")
    check_equal(host.run("twtuned", "--version").stdout, f"twtuned {version}\n", "version")


@on_package_host("what the examples of twtuned(8) say to run can be run")
def _(host):
    host.upgrade(VERSION)
    page = (ROOT / "man/twtuned.8.scd").read_text().replace("\\\\", "\\")
    examples = re.search(r"^# EXAMPLES\n(.*?)^# [A-Z]", page, re.M | re.S)[1]
    commands = re.findall(r"^[#$] (.*)$", examples, re.M)
    check(len(commands) >= 10, commands)
    ended_by_hand = "twtuned --observe --record="
    for command in commands:
        if command.startswith(ended_by_hand):
            command = f"timeout --preserve-status --signal=INT 2 {command}"
        host.run("bash", "-c", f"cd /tmp; cp -n /usr/lib/twtuned/policy.conf policy-of-mine.conf; {command}")


@on_package_host("edit twtuned.conf, reload a bad file and a good one; an upgrade keeps the file and what it says")
def _(host):
    host.upgrade(VERSION)
    shipped = (host.root / CONF).read_text()
    host.write(CONF, shipped + BAD)
    check_equal(host.run("systemctl", "reload", "twtuned", check=False).returncode, 1, "exit status of a bad reload")
    rejected = host.events("config-rejected")[0]
    line = len(shipped.splitlines()) + 2
    check(rejected["MESSAGE"].startswith(f"/{CONF}:{line}: "), rejected["MESSAGE"])
    mine = shipped + "[daemon]\nmode = observe\n"
    host.write(CONF, mine)
    host.systemctl("reload", "twtuned")
    check_equal(host.events("config-loaded", 2)[-1]["MODE"], "observe", "mode")
    host.upgrade(NEXT)
    check_equal((host.root / CONF).read_text(), mine, f"/{CONF} after an upgrade")
    check_equal(host.events("config-loaded", 3)[-1]["MODE"], "observe", "mode after an upgrade")


def hold(host):
    """A changed sysctl here, and one in the network namespace web, each under its own load."""
    host.configure(HOLDS)
    host.run("sh", "-c", "ip netns add web && ip -n web link set lo up && ip -n web address add 10.77.1.1/32 dev lo")
    for unit, *what in ("web-server", "server"), ("web-load", "hold", "--count=10"):
        host.run("systemd-run", f"--unit={unit}", "-p", "NetworkNamespacePath=/run/netns/web", "-p",
                 "Restart=on-failure", "churn", *what, "10.77.1.1", "80")
    host.systemctl("start", "load", "twtuned@web")
    wait_until(lambda: (host.sysctls()[0], host.reuse("web")) == ("1", "1"), "both are changed")


@on_package_host("upgrade while sysctls are changed: a new process of each instance takes over, without a dip")
def _(host):
    host.upgrade(VERSION)
    hold(host)
    pids = [host.show("MainPID", unit) for unit in ("twtuned", "twtuned@web")]
    with sampled(host, ["1"]), sampled(host, ["1"], netns="web"):
        host.upgrade(NEXT)
        for unit, pid in zip(("twtuned", "twtuned@web"), pids):
            wait_until(lambda: host.show("MainPID", unit) not in ("0", pid), f"{unit} is another")
            wait_until(lambda: host.show("ActiveState", unit) == "active", f"{unit} is active")
            host.wait_ticks(5, unit)
    events = [entry.get("EVENT", entry["MESSAGE"]) for entry in host.journal("_COMM=twtuned")]
    check_equal(events, ["config-loaded", "config-loaded", "applied", "config-loaded"], "events")
    host.systemctl("stop", "load", "web-load")
    wait_until(lambda: (host.sysctls()[0], host.reuse("web")) == ("2", "2"), "both are given back")


@in_long("upgrade from the version before while sysctls are changed: taken over, without a dip")
def _(host):
    shutil.copy(old_package(), host.root / f"opt/twtuned-{OLD}.deb")
    host.upgrade(OLD)
    check_equal(host.run("twtuned", "--version").stdout, f"twtuned {OLD}\n", "version")
    hold(host)
    with sampled(host, ["1"]), sampled(host, ["1"], netns="web"):
        host.upgrade(VERSION)
        for unit in ("twtuned", "twtuned@web"):
            wait_until(lambda: host.show("ActiveState", unit) == "active", f"{unit} is active")
            host.wait_ticks(5, unit)
    check("rule some" in host.run("twtunectl", "-n", "web").stdout, host.run("twtunectl", "-n", "web").stdout)
    host.systemctl("stop", "load", "web-load")
    wait_until(lambda: (host.sysctls()[0], host.reuse("web")) == ("2", "2"), "both are given back")


@in_long("downgrade while sysctls are changed: put back first, as the version before cannot read the ledger")
def _(host):
    shutil.copy(old_package(), host.root / f"opt/twtuned-{OLD}.deb")
    host.upgrade(VERSION)
    hold(host)
    with sampled(host, ["1", "2"], netns="web"):
        with sampled(host, ["1", "2", "1"]):
            host.upgrade(OLD)
            host.wait_for_reuse("1")
    check_equal(host.run("twtuned", "--version").stdout, f"twtuned {OLD}\n", "version")
    check_equal(host.show("ActiveState"), "active", "state")
    host.systemctl("stop", "load", "web-load")
    wait_until(lambda: host.sysctls()[0] == "2", "it is given back")
    host.dpkg("--remove", "twtuned")


@on_package_host("remove: each instance puts everything back before the program is gone; the configuration stays")
def _(host):
    host.upgrade(VERSION)
    hold(host)
    host.systemctl("start", "twtuned-netns.path")  # must not start another while they are stopped
    host.dpkg("--remove", "twtuned")
    check_equal((host.sysctls()[0], host.reuse("web")), ("2", "2"), REUSE)
    check(not (host.root / "usr/sbin/twtuned").exists(), "it is still there")
    check_equal(host.systemctl("list-units", "--plain", "--no-legend", "twtuned*"), "", "units")
    check((host.root / CONF).exists() and (host.root / DROPINS / "50-test.conf").exists(), "the configuration is gone")


@on_package_host("remove where a policy-rc.d denies every stop: all is put back all the same, and nothing runs")
def _(host):
    host.upgrade(VERSION)
    hold(host)
    guard = host.root / "usr/sbin/policy-rc.d"
    guard.write_text("#!/bin/sh\nexit 101\n")
    guard.chmod(0o755)
    try:
        host.dpkg("--remove", "twtuned")
    finally:
        guard.unlink()
    check_equal((host.sysctls()[0], host.reuse("web")), ("2", "2"), REUSE)
    check_equal(host.run("pgrep", "-x", "twtuned", check=False).stdout, "", "processes")


@on_package_host("remove after a kill -9: what is left changed is put back as well")
def _(host):
    host.upgrade(VERSION)
    host.write(f"{UNIT_DROPINS}/50-test.conf", "[Service]\nRestartSec=1min\n")
    host.systemctl("daemon-reload")
    hold(host)
    host.systemctl("kill", "--signal=KILL", "twtuned")
    wait_until(lambda: host.show("SubState") == "auto-restart", "it waits to be started again")
    check_equal(host.sysctls()[0], "1", REUSE)
    host.dpkg("--remove", "twtuned")
    check_equal((host.sysctls()[0], host.reuse("web")), ("2", "2"), REUSE)


@on_package_host("purge: nothing of the package is left, what the administrator wrote is")
def _(host):
    host.upgrade(VERSION)
    check(len(host.files()) > 10, host.files())
    host.write(f"{DROPINS}/50-mine.conf", "[daemon]\nmode = observe\n")
    host.systemctl("restart", "twtuned")
    host.dpkg("--purge", "twtuned")
    check_equal(host.files(), [], "files afterwards")
    check_equal([path.name for path in (host.root / DROPINS).iterdir()], ["50-mine.conf"], "the administrator's files")
    check_equal(host.systemctl("is-enabled", "twtuned", check=False), "", "is-enabled")


@on_package_host("sysctl --system beside it: what that sets is the administrator's; the same value again is no change")
def _(host):
    # Nothing else of the machine can be written here.
    check("ro" in host.run("findmnt", "-n", "-o", "OPTIONS", "/proc/sys").stdout.split(","), "/proc/sys is writable")
    host.upgrade(VERSION)
    host.configure(HOLDS)
    host.systemctl("start", "load")
    host.wait_for_reuse("1")
    for value in ("1", "0"):
        host.write("etc/sysctl.d/99-test.conf", f"{REUSE} = {value}\n")
        host.run("sysctl", "--system", check=False)  # much of it is read-only here
        if value == "1":
            host.wait_ticks(5)
            check_equal(host.journal("EVENT=overridden"), [], "what it says of the same value")
    host.events("overridden")
    check_equal(host.sysctls()[0], "0", f"{REUSE} under load")
    host.dpkg("--remove", "twtuned")
    check_equal(host.sysctls()[0], "0", f"{REUSE} when twtuned is gone")
    (host.root / "etc/sysctl.d/99-test.conf").unlink()


def tuned_packages():
    """The packages of TuneD and of its dependencies that this machine lacks, downloaded once."""
    directory = BUILD / "tuned"
    if not list(directory.glob("tuned_*.deb")):
        (directory / "partial").mkdir(parents=True, exist_ok=True)
        run = subprocess.run(["apt-get", "-y", "-qq", "--no-install-recommends", "--download-only", "-o",
                              f"Dir::Cache::archives={directory}", "install", "tuned"], capture_output=True, text=True)
        if run.returncode:
            raise Skip(f"TuneD cannot be downloaded: {run.stderr.strip().splitlines()[-1]}")
    return directory


# A profile is a file for "sysctl -p"; "tuned-adm profile NAME" sets another one.
TUNED_UNIT = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'sysctl -p "/etc/tuned/$(cat /etc/tuned/active_profile)/tuned.conf"'
"""
TUNED_ADM = """#!/bin/sh
echo "$2" >/etc/tuned/active_profile && systemctl restart tuned
"""


def install_tuned(host):
    """Starts TuneD with its profile "first": the real one, or a unit and a command that set a profile as it does."""
    # A profile for this test; the one that TuneD would choose is for the whole machine, which is read-only here.
    host.write("etc/tuned/active_profile", "first\n")
    host.write("etc/tuned/profile_mode", "manual\n")
    for name, text in (("first", f"{FIN_TIMEOUT} = 45\n"), ("second", f"{FIN_TIMEOUT} = 45\n{REUSE} = 0\n")):
        host.write(f"etc/tuned/{name}/tuned.conf", f"[sysctl]\n{text}" if LONG else text)
    if LONG:
        shutil.copytree(tuned_packages(), host.root / "opt/tuned")
        host.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Options::=--force-confold "
                 "--no-install-recommends install /opt/tuned/*.deb")
    else:
        host.write("etc/systemd/system/tuned.service", TUNED_UNIT)
        host.write("usr/sbin/tuned-adm", TUNED_ADM)
        (host.root / "usr/sbin/tuned-adm").chmod(0o755)
        host.systemctl("daemon-reload")
        host.systemctl("start", "tuned")


@on_package_host("TuneD beside it: what that has set is given back to it, what it sets later stays its own")
def _(host):
    install_tuned(host)

    def fin_timeout():
        return host.sysctl(FIN_TIMEOUT)

    wait_until(lambda: fin_timeout() == "45", "TuneD has set it")
    host.upgrade(VERSION)
    host.configure(HOLDS + f"set = {FIN_TIMEOUT} = 20\n")
    host.systemctl("start", "load")
    wait_until(lambda: (host.sysctls()[0], fin_timeout()) == ("1", "20"), "both are changed")
    host.run("tuned-adm", "profile", "second")
    wait_until(lambda: (host.sysctls()[0], fin_timeout()) == ("0", "45"), "the profile is there")
    theirs = {entry["SYSCTL"] for entry in host.events("overridden", 2)}
    check_equal(theirs, {REUSE, FIN_TIMEOUT}, "what is TuneD's now")
    host.wait_ticks(5)
    check_equal((host.sysctls()[0], fin_timeout()), ("0", "45"), "sysctls under load")

    host.systemctl("stop", "load", "twtuned")
    check_equal((host.sysctls()[0], fin_timeout()), ("0", "45"), "sysctls when twtuned has stopped")
    host.run("sysctl", "-w", f"{REUSE}=2")
    host.systemctl("start", "load", "twtuned")
    wait_until(lambda: (host.sysctls()[0], fin_timeout()) == ("1", "20"), "both are changed once more")
    host.systemctl("stop", "twtuned")
    wait_until(lambda: (host.sysctls()[0], fin_timeout()) == ("2", "45"), "each is given back")


# A run takes its time to start Python, once for each task, so there are as few runs as possible.
PLAYBOOK = ("env", "HOME=/root", "ANSIBLE_NOCOLOR=1", "ANSIBLE_PIPELINING=1", "ANSIBLE_GATHER_SUBSET=!all",
            "LC_ALL=C.UTF-8", "ansible-playbook", "-i", "localhost,", "-c", "local")


def playbook(host, check=True, **variables):
    variables |= {"ansible_python_interpreter": "/usr/bin/python3", "twtuned_deb": f"/opt/twtuned-{VERSION}.deb"}
    return host.run(*PLAYBOOK, "-e", json.dumps(variables), "/opt/ansible/site.yml", check=check)


def play(host, **variables):
    """Runs the role. Returns how many tasks have changed something."""
    return int(re.search(r"^localhost +: .*changed=(\d+)", playbook(host, **variables).stdout, re.M)[1])


@on_package_host("the Ansible role: begins in observe mode, enforces, refuses what has an error, and removes all")
def _(host):
    if not shutil.which("ansible-playbook"):
        raise Skip("needs ansible")
    before = host.run("sysctl", "net.ipv4", "net.core").stdout
    check(play(host) > 0, "nothing was installed")
    check_equal(host.events("config-loaded")[0]["MODE"], "observe", "mode of the first start")
    check_equal(host.show("ActiveState"), "active", "state")
    if LONG:
        check_equal(play(host), 0, "what the second run changes")
    play(host, twtuned_mode="enforce", twtuned_config=HOLDS.replace("[daemon]\n", ""))
    check_equal(host.events("config-loaded", 2)[-1]["MODE"], "enforce", "mode")
    broken = playbook(host, check=False, twtuned_config="[rule")
    check(broken.returncode and "failed to validate" in broken.stdout, broken)
    check("mode = enforce" in (host.root / DROPINS / "50-ansible.conf").read_text(), "the drop-in stays")
    host.systemctl("start", "load")
    host.wait_for_reuse("1")
    play(host, twtuned_state="absent")
    host.systemctl("stop", "load")
    check_equal(host.run("sysctl", "net.ipv4", "net.core").stdout, before, "sysctls")
    check(not (host.root / "usr/sbin/twtuned").exists(), "the program is still there")
    check(not (host.root / DROPINS / "50-ansible.conf").exists(), "the drop-in is still there")


if __name__ == "__main__":
    main()
