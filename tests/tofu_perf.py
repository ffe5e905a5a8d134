#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tofu-perf as a user meets it. How fast anything is, is not tested; that the figures are there and fit together is.

The program is $TOFU_PERF, or else the one that was built. Every process that is started is ended and waited for; nothing
sleeps.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from tofu_programs import FOREIGN, STOP, as_shown, ask, command, find, kill, main, program, terminal, transports

import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

PERF = program("tofu-perf")
COMMAND = command("tofu-perf")
PATIENCE = 180 if FOREIGN else 60
TICK = 2 if FOREIGN else 0  # seconds: time of processors is counted in 1/100 s there, and little of it, for what waits

REQUEST, RESPONSE, SIGNAL, HELLO_REQUEST, HELLO_RESPONSE = range(5)
DATA, BEGIN, END, PROBE = range(1, 5)

FIELDS = {
    "program", "version", "work", "transport", "poller", "io", "size", "count", "channels", "threads", "window", "batch",
    "seconds", "messages_per_s", "bytes_per_s", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns", "cpu_seconds",
    "peer_cpu_seconds", "cpu_ns_per_message", "alone_cpu_ns_per_message", "sends_per_message", "receives_per_message",
    "wakeups_per_message", "resident_bytes_per_connection", "peer_resident_bytes_per_connection",
}
TIMES = ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")


def run(*args, patience=PATIENCE):
    return subprocess.run([*COMMAND, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patience)


class Service:
    """tofu-perf --serve, as a context: .address is what it says it listens on."""

    def __init__(self, *args):
        self.args = args

    def __enter__(self):
        self.process = subprocess.Popen([*COMMAND, "--serve", *self.args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(PATIENCE, kill, (self.process,))
        self.watchdog.start()
        self.line = self.process.stdout.readline()
        self.address = self.line.removeprefix("listening ").rstrip("\n")
        return self

    def stop(self, how=STOP):
        """(exit code, what else came on the standard output, the standard error output)"""
        if self.process.returncode is None:
            ask(self.process, how)
            self.rest = self.process.communicate()
            self.watchdog.cancel()
        return self.process.returncode, *self.rest

    def __exit__(self, *_):
        self.stop()


class Case(unittest.TestCase):
    def measure(self, *args):
        r = run(*args, "--json")
        self.assertEqual((r.returncode, r.stderr), (0, ""), args)
        self.assertEqual(r.stdout.count("\n"), 1)
        result = json.loads(r.stdout)
        self.assertEqual(set(result), FIELDS)
        self.assertEqual(result["program"], "tofu-perf")
        self.assertGreater(result["seconds"], 0)
        self.assertGreater(result["messages_per_s"], 0)
        if result["seconds"] > TICK:
            self.assertGreater(result["cpu_seconds"], 0)
        self.assertGreater(result["sends_per_message"], 0)
        self.assertAlmostEqual(result["bytes_per_s"] / result["messages_per_s"], result["size"],
                               delta=0.01 * result["size"] + 0.01)
        return result

    def assert_times(self, result):
        times = [result[name] for name in TIMES]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 0)
        self.assertLessEqual(times[-1], result["seconds"] * 1e9)


class CommandLine(Case):
    def test_help_and_version(self):
        for option in ("--help", "-h"):
            r = run(option)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            for word in ("throughput", "latency", "connections", "churn", "--serve", "--json"):
                self.assertIn(word, r.stdout)
        self.assertEqual(run("latency", "--help").stdout, r.stdout)
        self.assertRegex(run("--version").stdout, r"\Atofu-perf \d+\.\d+\.\d+\n\Z")

    def test_wrong_command_lines(self):
        for args in ((), ("speed",), ("latency", "word"), ("latency", "-n", "0"), ("latency", "-n", "x"),
                     ("latency", "-s", "65536"), ("latency", "--threads", "2"), ("latency", "--echo"),
                     ("latency", "--share"), ("throughput", "--echo", "--share"), ("latency", "--batch", "8"),
                     ("throughput", "--share", "--batch", "8"), ("throughput", "--batch", "0"),
                     ("churn", "-w", "2"), ("throughput", "-w", "2"), ("connections", "--threads=2"),
                     ("latency", "--transport", "pigeon"), ("latency", "--poller", "stare"), ("latency", "--io", "nobody"),
                     ("latency", "--nonsense"),
                     ("latency", "--to", "uds|x", "--in-process"), ("latency", "--to", "uds|x", "--transport", "tcp"),
                     ("--serve", "uds|", "uds|"), ("--serve", "-n", "3"), ("--serve", "--transport", "inproc")):
            with self.subTest(args=args):
                r = run(*args)
                self.assertEqual((r.returncode, r.stdout), (2, ""))
                self.assertIn("usage: tofu-perf", r.stderr)

    def test_nobody_there(self):
        with socket.socket() as taken, tempfile.TemporaryDirectory() as directory:
            taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets the port, and nobody answers
            for address in "tcp|127.0.0.1|%d" % taken.getsockname()[1], f"uds|{directory}/none":
                r = run("latency", "--to", address)
                self.assertEqual((r.returncode, r.stdout), (1, ""))
                self.assertRegex(r.stderr, r"\Atofu-perf: cannot connect to [^\n]+: [^\n]+\n\Z")
                self.assertIn(f"cannot connect to {address}: ", r.stderr)

    def test_what_is_wrong_with_an_address_is_told(self):
        for why, *args in (("nobody can be called at port 0", "latency", "--to", "tcp|127.0.0.1|0"),
                           ("the path is missing", "churn", "--to", "uds|"),
                           ("the port is missing", "--serve", "tcp|127.0.0.1|")):
            with self.subTest(args=args):
                r = run(*args)
                self.assertEqual((r.returncode, r.stdout), (1, ""))
                self.assertRegex(r.stderr, rf"\Atofu-perf: cannot [^\n]+: {why}\n\Z")


class InOneProcess(Case):
    def test_throughput(self):
        for transport in transports(self, "inproc"):
            for size in (0, 7, 8, 64, 3000, 65535):
                with self.subTest(transport=transport, size=size):
                    r = self.measure("throughput", "--transport", transport, "-s", size, "-n", 3000)
                    self.assertEqual((r["work"], r["transport"], r["size"], r["count"]),
                                     ("throughput", transport, size, 3000))
                    self.assertEqual([r[name] for name in TIMES], [None] * 5)

    def test_many_messages_share_a_system_call(self):
        r = self.measure("throughput", "-n", 100000)
        # A poster that takes longer for a message than a system call does writes many of them alone, on a busy machine all,
        # and its peer may hear them so. By Wine it always writes them alone: a system call for a socket is a question to its
        # server.
        slow = "thread" in os.environ.get("SANITIZER_FLAGS", "")
        self.assertLessEqual(r["sends_per_message"], 1 if FOREIGN or slow else 0.2)
        self.assertLess(r["receives_per_message"], 0.5 if FOREIGN else 1 if slow else 0.2)

    def test_throughput_of_channels_and_threads(self):
        for transport in transports(self, "inproc"):
            for kind in ((), ("--echo",), ("--batch", 64), ("--share",), ("--share", "-s", 60000)):
                for channels, threads in ((5, 1), (4, 2), (7, 3)):
                    with self.subTest(transport=transport, kind=kind, channels=channels, threads=threads):
                        r = self.measure("throughput", *kind, "--transport", transport, "-c", channels, "--threads",
                                         threads, "-n", 4000)
                        self.assertEqual((r["channels"], r["threads"]), (channels, threads))

    def test_more_channels_than_queues_are_deep(self):
        self.measure("throughput", "-c", 300, "-n", 300)

    def test_throughput_of_round_trips(self):
        for window in (1, 100, 16384):
            r = self.measure("throughput", "--echo", "-n", 20000, "-w", window)
            self.assertEqual((r["work"], r["window"]), ("throughput-echo", window))
            self.assert_times(r)

    def test_latency(self):
        for transport in transports(self, "inproc"):
            r = self.measure("latency", "--transport", transport, "-n", 500, "--warmup", 10)
            self.assert_times(r)
            self.assertAlmostEqual(r["sends_per_message"], 1, delta=0.1)
            self.assertIsNone(r["peer_cpu_seconds"])
        self.assert_times(self.measure("latency", "-n", 500, "-c", 6, "--threads", 2, "-w", 3))

    def test_one_message(self):
        self.assert_times(self.measure("latency", "-n", 1, "--warmup", 0))
        r = run("throughput", "-n", 1, "--warmup", 0, "--json")  # no interval, so no rate
        self.assertEqual((r.returncode, r.stderr, json.loads(r.stdout)["messages_per_s"]), (0, "", 0))

    def test_churn(self):
        for transport in transports(self, "inproc"):
            r = self.measure("churn", "--transport", transport, "-n", 50, "-c", 4, "--threads", 2)
            self.assertEqual((r["count"], r["channels"]), (50, 4))
            self.assert_times(r)

    def test_connections(self):
        for transport in transports(self, "inproc"):
            r = self.measure("connections", "--transport", transport, "-c", 300, "-n", 2000 if TICK else 200)
            self.assert_times(r)
            self.assertGreater(r["resident_bytes_per_connection"], 0)
            self.assertGreater(r["alone_cpu_ns_per_message"], 0)

    def test_engines_without_threads_do_all_works(self):
        for work in ("throughput", "latency", "connections", "churn"):
            for transport in transports(self):
                with self.subTest(work=work, transport=transport):
                    result = self.measure(work, "-n", 200, "-c", 3, "--transport", transport, "--io", "caller")
                    self.assertEqual(result["io"], "caller")
                    with Service("--transport", transport, "--io", "caller") as service:
                        result = self.measure(work, "-n", 200, "-c", 3, "--to", service.address, "--io", "caller")
                    self.assertEqual(result["count"], 200)

    def test_poller_is_chosen(self):
        poller = "afd" if FOREIGN else "poll"
        self.assertEqual(self.measure("latency", "-n", 10, "--poller", poller)["poller"], poller)

    def test_verbose_says_how_the_engines_are_made(self):
        r = run("latency", "-n", 10, "-v")
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stderr, r"the server's engine: pool_initial \d+")
        self.assertRegex(r.stderr, r"the client's engine: pool_initial \d+, pool_max \d+, send_queue_max \d+")

    def test_a_table_for_people(self):
        r = run("latency", "-n", 10)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("latency over tcp", r.stdout)
        self.assertRegex(r.stdout, r"\n  time, median, ns +\d+\n")

    def test_a_full_disk_is_noticed(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            r = subprocess.run([*COMMAND, "latency", "-n", "1", "--json"], stdout=full, stderr=subprocess.PIPE, text=True,
                               timeout=PATIENCE)
        self.assertEqual(r.returncode, 1)
        self.assertIn("cannot write the result", r.stderr)

    def test_progress_is_shown_on_a_terminal_only(self):
        ours, its = terminal(self)
        count = 20000 if FOREIGN else 60000
        process = subprocess.Popen([*COMMAND, "latency", "-n", str(count), "--warmup", "0"], stdout=subprocess.PIPE,
                                   stderr=its)
        os.close(its)
        shown = b""
        while True:  # the terminal ends with an error or with nothing, depending on the system
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)
        self.assertRegex(as_shown(shown), rb"\d+ of %d, \d+%%" % count)
        self.assertTrue(as_shown(shown).endswith(b" \r"), "it is wiped out at the end")


class BetweenTwo(Case):
    def test_everything_against_one_service(self):
        for transport in transports(self):
            args = () if transport == "tcp" else ("--transport", transport)
            with Service(*args) as s:
                self.assertTrue(s.line.startswith("listening " + ("uds|" if args else "tcp|127.0.0.1|")))
                to = ("--to", s.address)
                for work in (("throughput", "-n", 20000), ("throughput", "--echo", "-n", 2000, "-c", 3),
                             ("latency", "-n", 300), ("churn", "-n", 30), ("connections", "-c", 200, "-n", 100)):
                    with self.subTest(args=args, work=work):
                        r = self.measure(*work, *to)
                        self.assertEqual(r["transport"], "uds" if args else "tcp")
                        if r["seconds"] > TICK:
                            self.assertGreater(r["peer_cpu_seconds"], 0)
                        self.assertEqual(r["peer_resident_bytes_per_connection"] is not None, work[0] == "connections")
                self.assertEqual(s.stop(), (0, "", ""))
            if args:
                self.assertIsNone(find(s.address.removeprefix("uds|")))

    def test_several_clients_at_once(self):
        with Service() as s:
            clients = [subprocess.Popen([*COMMAND, "throughput", "-n", "20000", "-c", "2", "--json", "--to", s.address],
                                        stdout=subprocess.PIPE, text=True) for _ in range(3)]
            for client in clients:
                out, _ = client.communicate(timeout=PATIENCE)
                self.assertEqual(client.returncode, 0)
                self.assertEqual(json.loads(out)["count"], 20000)

    def test_a_service_that_dies(self):
        with Service() as s:
            client = subprocess.Popen([*COMMAND, "latency", "-n", "1000000000", "--warmup", "0", "--to", s.address, "-v"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            client.stderr.readline()
            s.stop(signal.SIGKILL)
            _, err = client.communicate(timeout=PATIENCE)
        self.assertEqual(client.returncode, 1)
        self.assertRegex(err, r"tofu-perf: [^\n]+\n\Z")


class WrongAnswers(Case):
    """Against a service that the test plays, which does not tell the truth."""

    def against(self, behave, *args):
        def receive(file):
            head = file.read(16)
            if len(head) < 16:
                return None
            _, proto, _, ident, headers, body = struct.unpack(">HBBQHH", head)
            file.read(headers)
            return proto & 15, ident, file.read(body)

        def send(connection, opcode, ident, body=b""):
            connection.sendall(struct.pack(">HBBQHH", 1, opcode, 0, ident, 0, len(body)) + body)

        def serve(connection):
            with connection, connection.makefile("rb") as file:
                try:
                    while (got := receive(file)) is not None:
                        opcode, ident, body = got
                        if opcode == HELLO_REQUEST:
                            send(connection, HELLO_RESPONSE, ident)
                        elif ident >> 56 == PROBE:
                            send(connection, RESPONSE, ident, bytes(48))
                        elif (answer := behave(opcode, ident, body)) is not None:
                            send(connection, *answer)
                except OSError:
                    pass

        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(PATIENCE)
            players = []

            def accept():
                for _ in range(2):  # for probes, and the one that is measured
                    connection, _ = listener.accept()
                    connection.settimeout(PATIENCE)
                    players.append(threading.Thread(target=serve, args=(connection,)))
                    players[-1].start()

            accepter = threading.Thread(target=accept)
            accepter.start()
            r = run(*args, "--warmup", 0, "--to", "tcp|127.0.0.1|%d" % listener.getsockname()[1])
            for thread in (accepter, *players):
                thread.join(PATIENCE)
        return r

    def refused(self, behave, why, *args):
        r = self.against(behave, *args)
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn(why, r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)

    def test_the_player_itself_is_believed_when_it_tells_the_truth(self):
        r = self.against(lambda opcode, ident, body: (RESPONSE, ident, body), "latency", "-n", 20)
        self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_an_answer_of_another_number(self):
        self.refused(lambda opcode, ident, body: (RESPONSE, ident + (ident & 255 == 3), body), "a wrong answer",
                     "latency", "-n", 20)

    def test_a_number_in_the_body_that_is_wrong(self):
        self.refused(lambda opcode, ident, body: (RESPONSE, ident, bytes([body[0] ^ 1]) + body[1:]), "a wrong answer",
                     "latency", "-n", 20)

    def test_an_answer_that_is_too_short(self):
        self.refused(lambda opcode, ident, body: (RESPONSE, ident, body[:-1]), "a wrong answer", "latency", "-n", 20)

    def arrived(self, count, wrong):
        def behave(opcode, ident, body):
            if ident >> 56 == END:
                return RESPONSE, ident, struct.pack("<4Q", count, wrong, 1000, 2000)
            return None
        return behave

    def test_a_message_that_did_not_arrive(self):
        self.refused(self.arrived(19, 0), "19 of 20 messages arrived, 0 of them wrong", "throughput", "-n", 20)

    def test_messages_out_of_order(self):
        self.refused(self.arrived(20, 2), "20 of 20 messages arrived, 2 of them wrong", "throughput", "-n", 20)

    def test_a_service_that_falls_silent(self):
        self.refused(lambda *_: None, "nothing happened for too long", "latency", "-n", 20, "-t", 1)

    def flow(self, *sent):
        """What the real server says of a flow of three that was sent so: (id, body) each."""
        with Service() as s:
            host, port = s.address.split("|")[1:]
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as c, c.makefile("rb") as file:
                frames = [(HELLO_REQUEST, 1, b""), (SIGNAL, BEGIN << 56, struct.pack("<2Q", 3, 8))]
                frames += [(SIGNAL, ident, body) for ident, body in sent] + [(REQUEST, END << 56, b"")]
                for opcode, ident, body in frames:
                    c.sendall(struct.pack(">HBBQHH", 1, opcode, 0, ident, 0, len(body)) + body)
                file.read(16)
                return struct.unpack("<4Q", file.read(48)[16:])[:2]

    def test_the_server_counts_and_judges(self):
        def data(number, inside=None):
            return DATA << 56 | number, struct.pack("<Q", number if inside is None else inside)

        self.assertEqual(self.flow(data(0), data(1), data(2)), (3, 0))
        self.assertEqual(self.flow(data(0), data(2), data(1)), (3, 2))
        self.assertEqual(self.flow(data(0), data(1)), (2, 0))
        self.assertEqual(self.flow(data(0), data(1, 7), data(2)), (3, 1))
        self.assertEqual(self.flow(data(0), (DATA << 56 | 1, b"short"), data(2)), (3, 1))


if __name__ == "__main__":
    if not os.access(PERF, os.X_OK):
        sys.exit(f"{PERF}: no such program; set TOFU_PERF")
    main()
