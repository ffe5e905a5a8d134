# SPDX-License-Identifier: MIT
"""The programs that compare runs: how each is told what to do, and how its figures are read.

A run gives a dictionary: seconds, messages_per_s, bytes_per_s, p50_ns to max_ns, cpu_ns_per_message (both processes
together), server_bytes and client_bytes per idle connection. None: not measured in this work.
"""

import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile

LIMIT_S = 120
TIMES = ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")


class Failed(Exception):
    pass


def complaint(text):
    """The first line that the program wrote; what follows may be its usage."""
    return text.strip().partition("\n")[0] or "it said nothing"


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def on_core(core):
    """What a child does before it becomes the program: stay on that core. None: where the system puts it."""
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


class Server:
    """A server process, from its "listening ADDRESS" to its end. What it says comes from finish()."""

    def __init__(self, command, core):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=on_core(core))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def address(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 10)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("listening "):
            self.process.kill()
            raise Failed("the server does not listen: " + complaint(self.process.communicate()[1]))
        return line.split(None, 1)[1].strip()

    def finish(self, stop):
        if stop:
            self.process.send_signal(signal.SIGINT)
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failed("the server does not end") from None
        if self.process.returncode != 0:
            raise Failed("server: " + complaint(err))
        return out


def call(command, core):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              preexec_fn=on_core(core))
    except subprocess.TimeoutExpired:
        raise Failed("the client does not end") from None
    if done.returncode != 0:
        raise Failed("client: " + complaint(done.stderr))
    return json.loads(last_line(done.stdout))


class Authority:
    """Certificates of a CA that examples/make-test-ca.sh makes: what each end of TLS is told on its command line."""

    SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "examples/make-test-ca.sh"

    def __init__(self):
        self.folder = None

    def options(self, case, end):
        if case.transport != "tls":
            return []
        if self.folder is None:
            self.folder = tempfile.TemporaryDirectory(prefix="tofu-bench-")
            subprocess.run(["sh", str(self.SCRIPT), self.folder.name], check=True, capture_output=True)
        at = self.folder.name
        if end == "server":
            return ["--cert", f"{at}/server.pem", "--key", f"{at}/server.key"]
        return ["--ca", f"{at}/ca.pem"]


authority = Authority()


class Peer:
    """peer_raw and its like: both ends have the same command line, and each says what it measured."""

    def __init__(self, name, path, what, transports=("tcp", "uds")):
        self.name, self.path, self.what, self.version = name, path, what, None
        self.transports = transports

    def can(self, case):
        return case.work != "fanout" and case.transport in self.transports

    def starts(self):
        return True

    def run(self, case, count):
        command = [str(self.path), case.work, "--transport", case.transport, "--size", str(case.size),
                   "--count", str(count), "--channels", str(case.channels), "--json"]
        ends = {end: command + authority.options(case, end) for end in ("server", "client")}
        with Server(ends["server"] + ["--serve"], case.cores[0]) as server:
            client = call(ends["client"] + ["--to", server.address()], case.cores[1])
            served = json.loads(last_line(server.finish(stop=False)))
        self.version = client["version"]
        # One way, the end that receives knows.
        seen = served if case.work == "throughput" else client
        figures = {name: seen[name] for name in ("seconds", "messages_per_s", "bytes_per_s") + TIMES}
        figures["count"] = count
        figures["cpu_ns_per_message"] = (client["cpu_seconds"] + served["cpu_seconds"]) / count * 1e9
        figures["server_bytes"] = served["resident_bytes_per_connection"]
        figures["client_bytes"] = client["resident_bytes_per_connection"]
        return figures


class Tofu:
    """tofu-perf. Its client knows everything; the server serves until it is told to stop. Its count is per channel."""

    def __init__(self, name, path, poller="auto", io="thread", only=None, together=True):
        self.name, self.path, self.poller, self.io, self.only, self.version = name, path, poller, io, only, None
        self.together = together  # one body to many connections; many messages with one call
        self.what = f"tofu-perf, poller {poller}, io {io}"

    def can(self, case):
        return self.only is None or case.work in self.only

    def starts(self):
        tiny = [str(self.path), "latency", "--count", "1", "--poller", self.poller, "--io", self.io]
        return subprocess.run(tiny, capture_output=True, timeout=LIMIT_S, check=False).returncode == 0

    def run(self, case, count):
        shared_out = case.work in ("parallel", "fanout")
        each = max(count // case.channels, 1) if shared_out else count
        work = {"parallel": "latency", "fanout": "throughput"}.get(case.work, case.work)
        engine = ["--poller", self.poller, "--io", self.io]
        serve = [str(self.path), "--serve", "--transport", case.transport, *engine]
        command = [str(self.path), work, *engine, "--size", str(case.size), "--count", str(each),
                   "--channels", str(case.channels), "--warmup", "1", "--json"]
        if case.work == "fanout" and self.together:
            command.append("--share")
        if case.work == "throughput" and self.together:
            command += ["--batch", str(min(64, max(1, 65536 // max(case.size, 1))))]
        with Server(serve + authority.options(case, "server"), case.cores[0]) as server:
            client = call(command + authority.options(case, "client") + ["--to", server.address()], case.cores[1])
            server.finish(stop=True)
        self.version = client["version"]
        total = each * case.channels if shared_out else each
        figures = {name: client[name] for name in ("seconds", "messages_per_s", "bytes_per_s") + TIMES}
        figures["count"] = total
        # Not its cpu_ns_per_message: that counts a request and its response as two.
        figures["cpu_ns_per_message"] = (client["cpu_seconds"] + client["peer_cpu_seconds"]) / total * 1e9
        figures["server_bytes"] = client["peer_resident_bytes_per_connection"]
        figures["client_bytes"] = client["resident_bytes_per_connection"]
        return figures


def find_programs(build, names):
    """Those that are there, and for the others why not."""
    perf = build / "tools/tofu-perf"
    known = {
        "tofu": Tofu("tofu", perf),
        "tofu-caller": Tofu("tofu-caller", perf, io="caller"),
        "tofu-copies": Tofu("tofu-copies", perf, only=("fanout",), together=False),
        "tofu-single": Tofu("tofu-single", perf, only=("throughput",), together=False),
        "tofu-poll": Tofu("tofu-poll", perf, "poll", only=("latency", "parallel", "connections", "churn")),
        "zmq": Peer("zmq", build / "bench/peer_zmq", "libzmq"),
        "nng": Peer("nng", build / "bench/peer_nng", "nng", ("tcp", "uds", "tls")),
        "raw": Peer("raw", build / "bench/peer_raw", "sockets and nothing else: the floor"),
        "ssl": Peer("ssl", build / "bench/peer_ssl", "OpenSSL on sockets and nothing else: the floor of TLS", ("tls",)),
    }
    found, missing = [], []
    for name in names:
        program = known.get(name)
        if program is None:
            missing.append((name, "no such program"))
        elif not program.path.exists():
            missing.append((name, f"there is no {program.path}"))
        elif not program.starts():
            missing.append((name, "it does not start; is the poller in this build?"))
        else:
            found.append(program)
    return found, missing
