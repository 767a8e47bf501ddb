#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The container image, run by podman as the pod template of the DaemonSet says: a node with network namespaces in the place
of pods. And the manifests. The image has the programs of the build directory; --long: those that ./dev image compiles."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "netns"))
import harness  # noqa: E402
from harness import (LONG, ROOT, ChurnClient, ChurnServer, Namespace, Pair, Program, Skip, check, check_equal, few_ports,  # noqa: E402
                     main, temp_dir, test, wait_until)
from node import FIN, HOLDS, Host, storm, try_get, values  # noqa: E402

REUSE = "net.ipv4.tcp_tw_reuse"
SIZE_MAX = 25_000_000
NEEDED = ("podman", "runc", "buildah", "kubectl")
_image = {}


def podman(*args):
    top = _image["storage"]
    return ["podman", f"--root={top}/storage", f"--runroot={top}/run", f"--tmpdir={top}/tmp", "--storage-driver=vfs",
            "--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=none", *map(str, args)]


def run(*argv, **kw):
    done = subprocess.run(argv, text=True, capture_output=True, **kw)
    check_equal(done.returncode, 0, f"{argv}: {done.stderr}")
    return done.stdout


def manifests(overlay="base"):
    try:
        import yaml
    except ImportError:
        raise Skip("needs python3-yaml") from None
    text = run("kubectl", "kustomize", ROOT / "packaging/kubernetes" / overlay)
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def build_image(archive):
    run(ROOT / "dev", "image", archive, env={**os.environ, "TWTUNED_BUILD": "" if LONG else str(harness.BUILD)})


def image():
    """Builds the image once, and loads it into a storage of its own. Returns the archive."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        raise Skip(f"needs root and {' '.join(missing)}")
    if not _image:
        archive, storage = temp_dir() / "a.tar", temp_dir()
        build_image(archive)
        _image.update(archive=archive, storage=storage)
        run(*podman("load", "-i", archive))
    return _image["archive"]


class Node(Host):
    """Runs the supervisor in a container, by the pod template of the DaemonSet."""

    def __init__(self, overlay="base", pressure=HOLDS):
        """pressure: a rule for which ten sockets are a load; "": only the shipped rules."""
        image()
        super().__init__()
        documents = manifests(overlay)
        self.pod = documents["DaemonSet"]["spec"]["template"]["spec"]
        self.spec = self.pod["containers"][0]
        self.config = temp_dir()
        for name, text in documents["ConfigMap"]["data"].items():
            (self.config / name).write_text(text)
        # The rule of the test, and only the namespaces of the test; this machine has others.
        (self.config / "90-test.conf").write_text(
            f"[daemon]\nnetns = *-{self.mark}\n" +
            pressure.replace("[rule some]", "[rule fin-wait2-orphans]\nenabled = no\n[rule some]"))
        self.container = f"twtuned-{os.getpid()}-{self.mark}"

    def _volumes(self):
        sources = {v["name"]: str(self.config) if "configMap" in v else v["hostPath"]["path"] for v in self.pod["volumes"]}
        sources["ledgers"] = str(self.runtime_dir)  # that of this machine may be in use
        for mount in self.spec["volumeMounts"]:
            options = ["ro"] * mount.get("readOnly", False)
            options += {"HostToContainer": ["rslave"]}.get(mount.get("mountPropagation"), [])
            yield f"--volume={sources[mount['name']]}:{mount['mountPath']}:{','.join(options) or 'rw'}"

    def start(self, *args):
        security = self.spec["securityContext"]
        flags = ["--network=host"] * self.pod["hostNetwork"] + ["--privileged"] * security["privileged"]
        flags += ["--read-only", "--read-only-tmpfs=false"] * security["readOnlyRootFilesystem"]
        for limit in ("nofile", "nproc"):  # what a container without CAP_SYS_RESOURCE can have
            flags.append(f"--ulimit={limit}=1024:1024")
        argv = podman("run", "--rm", f"--name={self.container}", "--log-driver=none", *flags, *self._volumes(),
                      self.spec["image"], *self.spec["args"], *args)
        self.supervisor = Program(self, argv, "stderr")
        self.wait_event("config-loaded")
        self.init = int(run(*podman("inspect", "--format={{.State.Pid}}", self.container)))
        return self.supervisor

    def wait_event(self, kind, pod=None, message="", sysctl="", since=0):
        """Waits for a record, which --json has written."""
        regex = f'"EVENT":"{kind}","MESSAGE":"{message}.*'
        regex += f'"SYSCTL":"{sysctl}".*' * bool(sysctl)
        self.supervisor.wait_for(regex + (f'"NETNS":"{pod.name}"' if pod else ""), since=since)

    def wait_started(self, *pods, since=0):
        for pod in pods:
            self.wait_event("config-loaded", pod, since=since)

    def lines(self, kind, pod=None):
        return [entry for entry in map(json.loads, self.supervisor.lines) if entry.get("EVENT") == kind]

    def stop(self):
        run(*podman("stop", "--time", self.pod["terminationGracePeriodSeconds"], self.container))
        self.supervisor.process.wait(harness.PATIENCE)

    def remove(self):
        subprocess.run(podman("rm", "--force", "--time=1", self.container), capture_output=True)
        if hasattr(self, "supervisor"):
            self.supervisor.process.wait(harness.PATIENCE)  # podman run, which removes files of the container as well
        super().remove()


def wait_applied(node, *pods, since=0):
    for pod in pods:
        node.wait_event("applied", pod, sysctl=FIN, since=since)


@test("the image: small, without a shell, labelled, and the same when it is built again")
def _():
    archive = image()
    again = temp_dir() / "b.tar"
    build_image(again)

    def digest(path):
        with tarfile.open(path) as tar:
            return json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]
    check_equal(digest(again), digest(archive), "digest")
    name = manifests()["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["image"]
    [about] = json.loads(run(*podman("image", "inspect", name)))
    check(about["Size"] <= SIZE_MAX, f"{about['Size']} bytes")
    for label in ("title", "description", "licenses", "version", "revision"):
        check(about["Labels"].get(f"org.opencontainers.image.{label}") is not None, label)
    mounted = pathlib.Path(run(*podman("image", "mount", name)).strip())
    try:
        programs = sorted(str(p.relative_to(mounted)) for p in mounted.rglob("*")
                          if p.is_file() and os.access(p, os.X_OK) and ".so" not in p.name)
        check_equal(programs, ["usr/lib/twtuned/metrics-http", "usr/sbin/twtuned"], "programs")
        check_equal([str(p) for p in mounted.rglob("*") if p.stat().st_mode & 0o6022 and not p.is_symlink()], [], "modes")
    finally:
        run(*podman("image", "unmount", name))


@test("by the pod template, a load in two of four: it acts in these two and nowhere else; podman stop puts it back")
def _():
    with Node() as node:
        pods = [node.add() for _ in range(4)]
        node.start()
        node.wait_started(*pods)
        storm(pods[0]), storm(pods[1])
        wait_applied(node, *pods[:2])
        check_equal(values(*pods, node), ["20", "20", "60", "60", "60"], FIN)
        wait_until(lambda: all(f'netns="{pod.name}"' in try_get(node, "/metrics")[1] for pod in pods), "metrics of all")
        late = node.add()  # its mount reaches the container
        node.wait_started(late)
        check_equal(try_get(node, "/healthz"), (200, "ok\n"), "healthz")
        node.stop()
        check_equal(values(*pods, late, node), ["60"] * 6, f"{FIN} after the stop")
        check_equal([name for name in node.files() if not name.endswith((".ledger", "all-netns.lock"))], [], "files")


@test("in the container, kill -9 of a process, then of the supervisor: taken over; podman rm -f puts it back")
def _():
    with Node() as node:
        pod, other = node.add(), node.add()
        node.start()
        node.wait_started(pod, other)
        load = storm(pod)
        wait_applied(node, pod)
        children = pathlib.Path(f"/proc/{node.init}/task/{node.init}/children").read_text().split()
        child = next(int(pid) for pid in children if pod.name in pathlib.Path(f"/proc/{pid}/cmdline").read_text())
        since = len(node.supervisor.lines)
        os.kill(child, signal.SIGKILL)
        node.wait_started(pod, since=since)
        os.kill(node.init, signal.SIGKILL)  # the kernel ends all of its PID namespace
        node.supervisor.process.wait(harness.PATIENCE)
        check_equal(values(pod, other, node), ["20", "60", "60"], f"{FIN} of nobody")
        node.start()
        node.wait_started(pod, other)
        check_equal((values(pod), node.lines("applied")), (["20"], []), "taken over without a write")
        run(*podman("rm", "--force", node.container))
        check_equal(values(pod, other, node), ["60"] * 3, f"{FIN} after rm -f")
        load.stop()


@test("by the pod template with the shipped policy alone, a storm: reuse in that pod and in no other; podman stop ends it")
def _():
    with Node(pressure="") as node, Pair(lambda _: Namespace(f"p-{node.mark}")) as pair:
        other = node.add()
        few_ports(pair.client, 512)
        node.start()
        node.wait_started(pair.client, other)
        ChurnServer(pair.server, pair.server.ip4)
        load = ChurnClient(pair.client, pair.server.ip4, rate=40, seconds=600)
        node.wait_event("applied", pair.client, sysctl=REUSE)
        check_equal([n.sysctl(REUSE) for n in (pair.client, other, node)], ["1", "2", "2"], REUSE)
        check_equal([e["RULE"] for e in node.lines("applied") if e["SYSCTL"] == REUSE], ["time-wait-reuse"], "the rule")
        node.stop()
        check_equal([n.sysctl(REUSE) for n in (pair.client, other, node)], ["2", "2", "2"], f"{REUSE} after the stop")
        load.stop()


@test("the overlay observe: nothing is written")
def _():
    with Node("overlays/observe") as node:
        pod = node.add()
        node.start()
        node.wait_started(pod)
        storm(pod)
        node.wait_event("applied", pod, "would set ")
        check_equal(values(pod, node), ["60", "60"], FIN)


@test("the manifests have only fields that Kubernetes knows, and configure what twtuned knows")
def _():
    if not shutil.which("kubectl"):
        raise Skip("needs kubectl")
    try:
        from kubernetes.client import ApiClient, models
    except ImportError:
        raise Skip("needs python3-kubernetes") from None
    client = ApiClient()

    def look(value, kind, path):
        if kind.startswith("list["):
            for i, item in enumerate(value):
                look(item, kind[5:-1], f"{path}[{i}]")
        elif kind.startswith("dict("):
            for key, item in value.items():
                look(item, kind[5:-1].split(", ", 1)[1], f"{path}.{key}")
        elif hasattr(models, kind):
            model = getattr(models, kind)
            known = {json_name: model.openapi_types[name] for name, json_name in model.attribute_map.items()}
            for key, item in value.items():
                check(key in known, f"{path}.{key} is no field of {kind}")
                look(item, known[key], f"{path}.{key}")
            client._ApiClient__deserialize(value, kind)  # what must be there is there
    kinds = {"Namespace": "V1Namespace", "ServiceAccount": "V1ServiceAccount", "ConfigMap": "V1ConfigMap",
             "DaemonSet": "V1DaemonSet", "NetworkPolicy": "V1NetworkPolicy"}
    documents = manifests()
    check_equal(sorted(documents), sorted([*kinds, "PodMonitor"]), "kinds")
    for kind, model in kinds.items():
        look(documents[kind], model, kind)
    for text in documents["ConfigMap"]["data"].values():
        path = temp_dir() / "all.conf"
        path.write_text((ROOT / "conf/policy.conf").read_text() + text)
        run(harness.binary("twtuned"), "--check", path)
    port = documents["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["ports"][0]
    check_equal(port["name"], documents["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"], "port")
    check_equal(port["containerPort"], documents["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"], "port")


main()
