#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tofu-echo as a user meets it: command lines in, lines and exit codes out.

The program is $TOFU_ECHO, or else the one that was built. Every process that is started is ended and waited for; nothing
sleeps, whatever is awaited is read from a pipe.
"""

import contextlib
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from tofu_programs import (ANYWHERE, FOREIGN, STOP, as_shown, ask, command, connect_unix, find, innermost, kill, listeners,
                           main, over, program, terminal)

import select
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import unittest

ECHO = program("tofu-echo")
COMMAND = command("tofu-echo")
COMPLAINS = "tofu-echo.exe: " if FOREIGN else "tofu-echo: "  # of options: getopt_long() says who it is
PATIENCE = 60
ONE_OF_TWO = b"1 of 2 echoes, 50%"

REQUEST, RESPONSE, SIGNAL, HELLO_REQUEST, HELLO_RESPONSE, BYE_REQUEST, BYE_RESPONSE = range(7)
MORE = 0x20


def run(*args, patience=PATIENCE):
    return subprocess.run([*COMMAND, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience)


class Service:
    """tofu-echo serve, as a context: .addresses are the ones it says it listens on."""

    def __init__(self, *args, listeners=None):
        self.args = args
        self.listeners = listeners if listeners is not None else len(args)

    def __enter__(self):
        self.process = subprocess.Popen([*COMMAND, "serve", *self.args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(PATIENCE, kill, (self.process,))
        self.watchdog.start()
        self.lines = [self.process.stdout.readline() for _ in range(self.listeners)]
        self.addresses = [line.removeprefix("listening ").rstrip("\n") for line in self.lines]
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


class Wire:
    """A peer that speaks the protocol by hand: what the tool's own client would hide is seen here."""

    def __init__(self, to):
        """to: an address to connect to, or a connection that is there already"""
        if isinstance(to, socket.socket):
            self.socket = to
        elif to.startswith("uds|"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            connect_unix(self.socket, to.removeprefix("uds|"))
        else:
            _, host, port = to.split("|")
            self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, opcode, ident, headers=b"", body=b"", flags=0):
        head = struct.pack(">HBBQHH", 1, opcode | flags, 0, ident, len(headers), len(body))
        self.socket.sendall(head + headers + body)

    def receive(self):
        """(opcode, flags, id, headers, body), or None at the end of the connection."""
        head = self.file.read(16)
        if len(head) < 16:
            return None
        _, proto, _, ident, headers, body = struct.unpack(">HBBQHH", head)
        return proto & 0x0F, proto & 0xF0, ident, self.file.read(headers), self.file.read(body)

    def hello(self):
        self.send(HELLO_REQUEST, 1, b"~connect_to: somewhere\r\n")
        return self.receive()


class CommandLine(unittest.TestCase):
    def assert_usage_error(self, sentence, *args):
        r = run(*args)
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertIn(sentence, r.stderr)
        self.assertIn("usage: tofu-echo serve", r.stderr)

    def test_help_goes_to_stdout_and_succeeds(self):
        for args in (["--help"], ["-h"], ["serve", "--help"], ["call", "-h"]):
            r = run(*args)
            self.assertEqual((r.returncode, r.stderr), (0, ""), args)
            self.assertTrue(r.stdout.startswith("usage: tofu-echo serve"), args)
            self.assertIn("--connections", r.stdout)

    def test_help_fits_a_terminal(self):
        self.assertLessEqual(max(len(line) for line in run("--help").stdout.splitlines()), 90)

    def test_version_is_one_line(self):
        for args in (["--version"], ["-V"], ["serve", "--version"]):
            r = run(*args)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            self.assertRegex(r.stdout, r"\Atofu-echo \d+\.\d+\.\d+\n\Z")

    def test_help_that_cannot_be_written_fails(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            r = subprocess.run([*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.assertEqual(r.returncode, 1)
        self.assertIn("tofu-echo: cannot write: ", r.stderr)

    def test_no_command_and_a_wrong_one(self):
        self.assert_usage_error("usage")
        self.assert_usage_error("'dance' is neither serve nor call", "dance")

    def test_a_missing_address(self):
        self.assert_usage_error("an address is missing", "serve")
        self.assert_usage_error("an address is missing", "call", "-n", "3")

    def test_call_takes_one_address(self):
        self.assert_usage_error("'uds|/b' is one address too many", "call", "uds|/a", "uds|/b")

    def test_unknown_options(self):
        self.assert_usage_error(COMPLAINS, "serve", "--nonsense", "tcp||0")
        self.assert_usage_error(COMPLAINS, "call", "-x", "tcp||0")

    def test_options_of_call_mean_nothing_to_serve(self):
        self.assert_usage_error("-n", "serve", "-n", "3", "tcp|127.0.0.1|0")
        self.assert_usage_error("-n", "serve", "--count", "3", "tcp|127.0.0.1|0")

    def test_an_option_without_its_value(self):
        self.assert_usage_error(COMPLAINS, "call", "-n")

    def test_numbers_that_are_none_or_out_of_range(self):
        wrong = {
            "--count": ("0", "-1", "+1", " 1", "1 ", "", "x", "1x", "0x10", "1000000001", "99999999999999999999999"),
            "--size": ("-1", "65536", "x"),
            "--connections": ("0", "65001"),
            "--window": ("0", "65536"),
            "--timeout": ("0", "86401", "1.5"),
        }
        for option, values in wrong.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.assert_usage_error(f"{option}: '{value}' is not a number from ", "call",
                                            f"{option}={value}", "tcp|127.0.0.1|1")

    def test_a_poller_that_is_none(self):
        self.assert_usage_error("--poller: 'select' is none of", "call", "--poller", "select", "tcp|127.0.0.1|1")

    def test_a_poller_of_another_system_is_refused_by_the_engine(self):
        r = run("serve", "--poller=epoll" if FOREIGN else "--poller=afd", "tcp|127.0.0.1|0")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn("tofu-echo: cannot create an engine: ", r.stderr)


class Serving(unittest.TestCase):
    def test_port_0_becomes_a_port(self):
        with Service("tcp|127.0.0.1|0") as s:
            self.assertRegex(s.lines[0], r"\Alistening tcp\|127\.0\.0\.1\|[1-9]\d*\n\Z")
            self.assertEqual(s.stop(), (0, "", ""))

    def test_an_empty_host_is_every_interface(self):
        with Service("tcp||0") as s:
            port = s.addresses[0].rsplit("|", 1)[1]
            self.assertEqual(run("call", "-n5", f"tcp|127.0.0.1|{port}").returncode, 0)

    @over("uds")
    def test_an_empty_path_becomes_a_socket_file_that_goes_at_the_end(self):
        with Service("uds|") as s:
            path = s.addresses[0].removeprefix("uds|")
            self.assertTrue(stat.S_ISSOCK(os.stat(find(path)).st_mode))
            self.assertEqual(s.stop(), (0, "", ""))
            self.assertIsNone(find(path))

    @over("uds")
    def test_a_path_is_taken_as_it_is(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "echo")
            with Service(f"uds|{path}") as s:
                self.assertEqual(s.addresses, [f"uds|{path}"])
                self.assertEqual(s.stop(signal.SIGINT), (0, "", ""))
            self.assertEqual(os.listdir(directory), [])

    def test_a_tcp_address_as_a_url(self):
        with Service("tcp://127.0.0.1:0") as s:
            port = s.addresses[0].rsplit("|", 1)[1]
            self.assertEqual(run("call", "-n5", f"tcp://127.0.0.1:{port}").returncode, 0)

    @over("uds")
    def test_a_path_as_a_url(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "echo")
            with Service(f"unix://{path}") as s:
                self.assertEqual(s.addresses, [f"uds|{path}"])
                self.assertEqual(run("call", "-n5", f"unix://{path}").returncode, 0)

    def test_several_addresses_in_the_order_of_the_command_line(self):
        wanted = 2 * [ANYWHERE, "tcp|127.0.0.1|0"]
        with Service(*wanted) as s:
            self.assertEqual([a.split("|")[0] for a in s.addresses], [a.split("|")[0] for a in wanted])
            self.assertEqual(len(set(s.addresses)), 4)
            for address in s.addresses:
                r = run("call", "-n", "20", address)
                self.assertEqual((r.returncode, r.stderr), (0, ""), address)
            self.assertEqual(s.stop(), (0, "", ""))

    def assert_cannot_listen(self, *addresses):
        r = run("serve", *addresses)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stderr, r"\Atofu-echo: cannot listen on [^\n]*: [^\n]+\n\Z")
        self.assertIn(f"cannot listen on {addresses[-1]}: ", r.stderr)
        return r

    def test_an_address_in_use(self):
        with Service(*listeners(self)) as s:
            for address in s.addresses:
                self.assert_cannot_listen(address)
                self.assertEqual(run("call", "-n5", address).returncode, 0, "the first one lives on")

    def test_a_stranger_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = "tcp|127.0.0.1|%d" % listener.getsockname()[1]
            with subprocess.Popen([*COMMAND, "call", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True) as caller:
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    out, err = caller.communicate(timeout=PATIENCE)
            self.assertEqual((caller.returncode, out), (1, ""))
            self.assertIn(f"tofu-echo: cannot connect to {address}: the peer broke the rules of the protocol", err)
            self.assertRegex(err, re.escape(address) + ".*HTTP, this is no tofu peer")

    @over("uds")
    def test_a_path_that_is_too_long_is_told_the_limit(self):
        address = "uds|/" + "x" * 107
        for command, what in (("call", "connect to"), ("serve", "listen on")):
            r = run(command, address)
            self.assertEqual((r.returncode, r.stdout), (1, ""))
            self.assertIn(f"cannot {what} {address}: ", r.stderr)
            self.assertIn("107 bytes at most", r.stderr)

    def test_addresses_that_are_none(self):
        for address in ("nonsense", "tcp|127.0.0.1|notaport", "pigeon|roof", "", "uds|/" + "x" * 300,
                        "uds|/nonexistent/directory/socket"):
            with self.subTest(address=address):
                self.assertEqual(self.assert_cannot_listen(address).stdout, "")

    def test_what_is_wrong_with_an_address_is_told_apart(self):
        form = "the address does not begin with a transport and a bar, like TRANSPORT|REST"
        for address, why in (("tpc|127.0.0.1|80", "no transport of that name is registered"),
                             ("tcp|127.0.0.1", "the port is missing"),
                             ("tcp://127.0.0.1", "the port is missing"),
                             ("tcp|127.0.0.1|99999", "the port is not a number from 0 to 65535"),
                             ("tcp|[::1|80", "the transport does not know this form of address"),
                             ("nonsense", form), ("http://127.0.0.1:80", form), ("", "the address is empty")):
            for command, what in (("serve", "listen on"), ("call", "connect to")):
                with self.subTest(address=address, command=command):
                    r = run(command, address)
                    self.assertEqual((r.returncode, r.stdout, r.stderr),
                                     (1, "", f"tofu-echo: cannot {what} {address}: {why}\n"))
        for address, why in (("tcp||80", "the host is missing"), ("uds|", "the path is missing"),
                             ("tcp|127.0.0.1|0", "nobody can be called at port 0")):
            with self.subTest(address=address):
                self.assertEqual(run("call", address).stderr, f"tofu-echo: cannot connect to {address}: {why}\n")

    @over("uds")
    def test_when_the_second_listener_fails_the_first_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "echo")
            self.assert_cannot_listen(f"uds|{path}", "nonsense")
            self.assertEqual(os.listdir(directory), [])

    def test_listening_lines_that_cannot_be_written_end_the_program(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            r = subprocess.run([*COMMAND, "serve", "tcp|127.0.0.1|0"], stdout=full, stderr=subprocess.PIPE, text=True,
                               timeout=PATIENCE)
        self.assertEqual(r.returncode, 1)
        self.assertIn("tofu-echo: cannot write: ", r.stderr)

    def test_both_signals_stop_it_with_success(self):
        for how in (signal.SIGINT,) if FOREIGN else (signal.SIGINT, signal.SIGTERM):
            with Service("tcp|127.0.0.1|0", ANYWHERE) as s:
                self.assertEqual(s.stop(how), (0, "", ""), how)

    def test_sigint_stops_it_even_when_a_script_started_it_in_the_background(self):
        script = '"$@" & read pid; kill -INT $pid; wait $!'
        with subprocess.Popen(["sh", "-c", script, "sh", *COMMAND, "serve", ANYWHERE], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as shell:
            self.assertRegex(shell.stdout.readline(), r"\Alistening ")
            shell.stdin.write(f"{innermost(shell.pid)}\n")
            shell.stdin.flush()
            self.assertEqual(shell.wait(PATIENCE), 0)

    def test_a_stop_says_bye_to_connections_and_waits_for_the_answer(self):
        for wanted in listeners(self):
            with self.subTest(wanted), Service(wanted) as s, Wire(s.addresses[0]) as w:
                self.assertEqual(w.hello()[0], HELLO_RESPONSE)
                ask(s.process, STOP)
                opcode, _, ident, _, _ = w.receive()
                self.assertEqual(opcode, BYE_REQUEST)
                w.send(BYE_RESPONSE, ident)
                self.assertIsNone(w.receive())
                self.assertEqual(s.stop(), (0, "", ""))

    def test_a_stop_does_not_wait_for_ever_for_a_peer_that_does_not_answer(self):
        with Service("tcp|127.0.0.1|0") as s, Wire(s.addresses[0]) as w:
            w.hello()
            self.assertEqual(s.stop(), (0, "", ""))

    def test_asked_twice_it_stops_at_once(self):
        with Service("tcp|127.0.0.1|0") as s, Wire(s.addresses[0]) as w:
            w.hello()
            ask(s.process, signal.SIGINT)
            self.assertEqual(w.receive()[0], BYE_REQUEST)
            self.assertEqual(s.stop(signal.SIGINT), (0, "", ""))


class Echoing(unittest.TestCase):
    """What the service answers, seen on the wire."""

    def both(self):
        for wanted in listeners(self):
            with self.subTest(wanted), Service(wanted) as s, Wire(s.addresses[0]) as w:
                self.assertEqual(w.hello()[:3], (HELLO_RESPONSE, 0, 1))
                w.address = s.addresses[0]
                yield w

    def test_requests_become_responses_with_everything_in_them(self):
        for w in self.both():
            for body in (b"", b"x", bytes(range(256)) * 200, b"\xff" * 65535):
                w.send(REQUEST, 77, b"color: white\r\nfirm: yes\r\n", body)
                self.assertEqual(w.receive(), (RESPONSE, 0, 77, b"color: white\r\nfirm: yes\r\n", body))

    def test_signals_become_signals(self):
        for w in self.both():
            w.send(SIGNAL, 5, b"a: b\r\n", b"ping")
            self.assertEqual(w.receive(), (SIGNAL, 0, 5, b"a: b\r\n", b"ping"))

    def test_more_is_kept(self):
        for w in self.both():
            for opcode, answer in ((REQUEST, RESPONSE), (SIGNAL, SIGNAL)):
                for flags in (MORE, MORE, 0):
                    w.send(opcode, 9, b"", b"part", flags)
                    self.assertEqual(w.receive(), (answer, flags, 9, b"", b"part"))

    def test_bye_is_answered_after_everything_else(self):
        for w in self.both():
            for ident in range(2, 102):
                w.send(REQUEST, ident, b"", b"." * 1000)
            w.send(BYE_REQUEST, 200)
            for ident in range(2, 102):
                self.assertEqual(w.receive()[:3], (RESPONSE, 0, ident))
            self.assertEqual(w.receive()[:3], (BYE_RESPONSE, 0, 200))
            self.assertIsNone(w.receive())

    def test_a_peer_that_does_not_read_for_a_while_loses_nothing(self):
        # Small messages use up the pool, big ones fill the channel's queue before that. Both are far more than what the
        # system's buffers take in, too, which may grow to some 20 MB.
        self.hold_back(60000, b"0123456789abcdef" * 64)
        self.hold_back(1500, b"0123456789abcdef" * 4000)

    def hold_back(self, count, body):
        for w in self.both():
            def send():
                for ident in range(2, 2 + count):
                    w.send(REQUEST, ident, b"", body)

            sender = threading.Thread(target=send)
            sender.start()
            # Until nothing more can be written for a while: the service is full, and holds the sender back.
            while select.select([], [w.socket], [], 0.2)[1] and sender.is_alive():
                sender.join(0.01)
            self.assertTrue(sender.is_alive(), "more is sent than the service takes in")
            for ident in range(2, 2 + count):
                opcode, _, got, _, echoed = w.receive()
                self.assertEqual((opcode, got), (RESPONSE, ident))
                self.assertTrue(echoed == body)
            sender.join(PATIENCE)
            self.assertFalse(sender.is_alive())

    def test_answers_that_nobody_asked_for_are_ignored(self):
        for w in self.both():
            w.send(RESPONSE, 4, b"", b"what?")
            w.send(REQUEST, 5)
            self.assertEqual(w.receive(), (RESPONSE, 0, 5, b"", b""))

    def test_a_peer_that_speaks_something_else_is_dropped_and_the_others_are_not(self):
        for w in self.both():
            with Wire(w.address) as stranger:
                stranger.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
                try:
                    self.assertIsNone(stranger.receive())
                except ConnectionResetError:
                    pass
            w.send(REQUEST, 5)
            self.assertEqual(w.receive(), (RESPONSE, 0, 5, b"", b""))


class Calling(unittest.TestCase):
    def test_verbose_shows_each_message_that_comes(self):
        with Service("-v", "tcp|127.0.0.1|0", listeners=1) as s:
            r = run("call", "-v", "-n2", s.addresses[0])
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(r.stderr, r"tofu-echo: received HelloResponse on \d+, id \d+; ")
            answers = re.findall(r"tofu-echo: received Response on \d+, id \d+; 0 bytes of text headers, 64 of body\n",
                                 r.stderr)
            self.assertEqual(len(answers), 2, r.stderr)
            self.assertIn('"~reason: channel_closed"', r.stderr)
            self.assertIn(f'; "~connect_to: {s.addresses[0]}"', s.stop()[2])

    def test_verbose_shows_who_comes_and_what_went_over_the_connection(self):
        for wanted in listeners(self):
            with self.subTest(wanted=wanted), Service("-v", wanted, listeners=1) as s:
                r = run("call", "-v", "-n3", s.addresses[0])
                self.assertEqual(r.returncode, 0, r.stderr)
                out = s.stop()[2]
                whose = r"tofu-echo: channel \d+: the peer is (\S+), here is (\S+?)(?:, uid \d+, gid \d+)?(?:, pid \d+)?\n"
                peer, here = re.search(whose, r.stderr).groups()
                self.assertEqual(peer, s.addresses[0])
                self.assertEqual(re.search(whose, out).groups(), (here, peer))
                # Hello, three questions of 64 bytes, bye; each has a header of 16.
                length = 5 * 16 + len(f"~connect_to: {s.addresses[0]}\r\n") + 3 * 64
                went = f"5 messages, {length} bytes"
                ended = f"ended, channel_closed; received {went}; sent {went}\n"
                self.assertRegex(r.stderr, r"tofu-echo: channel \d+: " + ended)
                self.assertRegex(out, r"tofu-echo: channel \d+: " + ended)

    def test_verbose_shows_why_a_connection_ended(self):
        for wanted in listeners(self):
            with self.subTest(wanted=wanted), Service("-v", wanted, listeners=1) as s:
                with Wire(s.addresses[0]) as w:
                    w.hello()
                    w.send(SIGNAL, 5, b"", b"ping")
                    w.receive()
                for line in s.process.stderr:
                    if "ended" in line:
                        break
                self.assertIn("ended, peer_disconnected; received 2 messages, 60 bytes; sent 2 messages, 60 bytes\n", line)

    def test_sizes_counts_connections_and_windows(self):
        cases = (
            ((), 1000, 64, 1),
            (("-n", "1", "-s", "0"), 1, 0, 1),
            (("-n2", "-s1", "-c3"), 2, 1, 3),
            (("--count=40", "--size=65535", "--connections", "2"), 40, 65535, 2),
            (("-n", "300", "-w", "1"), 300, 64, 1),
            (("-n", "5000", "-w", "65535", "-s", "10"), 5000, 10, 1),
            (("-n", "200", "-c", "50", "-s", "100"), 200, 100, 50),
            (("-n", "500", "-c", "4", "--poller=afd" if FOREIGN else "--poller=poll"), 500, 64, 4),
        )
        for wanted in listeners(self):
            with Service(wanted) as s:
                for args, count, size, connections in cases:
                    with self.subTest(wanted=wanted, args=args):
                        r = run("call", *args, s.addresses[0])
                        self.assertEqual((r.returncode, r.stderr), (0, ""))
                        total = count * connections
                        self.assertRegex(r.stdout, r"\A%d echo%s of %d byte%s on %d connection%s in \d+\.\d{3} s, "
                                         r"\d+/s, all right\n\Z" % (total, "" if total == 1 else "es", size,
                                                                    "" if size == 1 else "s", connections,
                                                                    "" if connections == 1 else "s"))
                self.assertEqual(s.stop(), (0, "", ""))

    def test_options_may_stand_behind_the_address(self):
        with Service(ANYWHERE) as s:
            self.assertEqual(run("call", s.addresses[0], "-n", "3").returncode, 0)

    def test_several_callers_at_once(self):
        with Service("tcp|127.0.0.1|0", ANYWHERE) as s:
            callers = [subprocess.Popen([*COMMAND, "call", "-n", "500", "-c", "5", a], stdout=subprocess.PIPE, text=True)
                       for a in s.addresses * 2]
            for caller in callers:
                out, _ = caller.communicate(timeout=PATIENCE)
                self.assertEqual(caller.returncode, 0)
                self.assertIn("2500 echoes of 64 bytes on 5 connections", out)

    def test_nobody_there(self):
        with socket.socket() as taken, tempfile.TemporaryDirectory() as directory:
            taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets the port, and nobody answers
            for address in ("tcp|127.0.0.1|%d" % taken.getsockname()[1], f"uds|{directory}/none"):
                r = run("call", address)
                self.assertEqual((r.returncode, r.stdout), (1, ""))
                self.assertRegex(r.stderr, r"\Atofu-echo: cannot connect to [^\n]+: [^\n]+\n\Z")
                self.assertIn(address, r.stderr)

    def test_addresses_that_are_none(self):
        for address in ("nonsense", "pigeon|roof", "tcp|127.0.0.1|"):
            r = run("call", address)
            self.assertEqual((r.returncode, r.stdout), (1, ""), address)
            self.assertIn(f"tofu-echo: cannot connect to {address}: ", r.stderr)

    @contextlib.contextmanager
    def service(self, behave):
        """The address of a service that the test plays, once: behave(connection) after the hello."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(PATIENCE)

            def play():
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    with Wire(connection) as wire:
                        hello = wire.receive()
                        wire.send(HELLO_RESPONSE, hello[2])
                        behave(wire)

            player = threading.Thread(target=play)
            player.start()
            yield "tcp|127.0.0.1|%d" % listener.getsockname()[1]
            player.join(PATIENCE)

    def against(self, behave, *args):
        """What call says when it fails against such a service."""
        with self.service(behave) as address:
            r = run("call", *args, address)
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
        return r.stderr

    def test_an_answer_with_one_wrong_byte(self):
        def behave(wire):
            for turn in range(3):
                opcode, _, ident, headers, body = wire.receive()
                if turn == 2:
                    body = body[:50] + bytes([body[50] ^ 1]) + body[51:]
                wire.send(RESPONSE, ident, headers, body)
            wire.receive()

        self.assertIn("connection 1, after 2 of 10 echoes: the body differs at byte 50",
                      self.against(behave, "-n10", "-w1"))

    def test_an_answer_that_is_too_short(self):
        def behave(wire):
            _, _, ident, headers, body = wire.receive()
            wire.send(RESPONSE, ident, headers, body[:-1])
            wire.receive()

        self.assertIn("the body has 63 bytes, not 64", self.against(behave, "-n10", "-w1"))

    def test_an_answer_with_another_id(self):
        def behave(wire):
            _, _, ident, headers, body = wire.receive()
            wire.send(RESPONSE, ident + 1, headers, body)
            wire.receive()

        self.assertIn("the id is ", self.against(behave, "-n10", "-w1"))

    def test_an_answer_too_many(self):
        def behave(wire):
            _, _, ident, headers, body = wire.receive()
            wire.send(RESPONSE, ident, headers, body)
            wire.send(RESPONSE, ident, headers, body)
            while wire.receive():
                pass

        self.assertIn("after 1 of 10 echoes", self.against(behave, "-n10", "-w1"))

    def test_a_service_that_goes_away(self):
        def behave(wire):
            _, _, ident, headers, body = wire.receive()
            wire.send(RESPONSE, ident, headers, body)

        self.assertIn("connection 1, after ", self.against(behave, "-n10", "-w1"))

    def test_a_service_that_says_bye(self):
        def behave(wire):
            wire.receive()
            wire.send(BYE_REQUEST, 99)
            while wire.receive():
                pass

        self.assertIn("the service said bye", self.against(behave, "-n10", "-w1"))

    def test_a_service_that_falls_silent(self):
        def behave(wire):
            wire.receive()
            wire.receive()

        self.assertRegex(self.against(behave, "-n10", "-w1", "-t1"), r"nothing came from \S+ for 1 s, after 0 echoes")

    def test_what_goes_over_the_wire(self):
        heard = []

        def behave(wire):
            while (message := wire.receive()) is not None:
                heard.append(message)
                wire.send({REQUEST: RESPONSE, BYE_REQUEST: BYE_RESPONSE}[message[0]], *message[2:])

        with self.service(behave) as address:
            self.assertEqual(run("call", "-n20", "-s33", address).returncode, 0)
        self.assertEqual([opcode for opcode, *_ in heard], 20 * [REQUEST] + [BYE_REQUEST])
        self.assertEqual(len({ident for _, _, ident, _, _ in heard}), 21)
        self.assertEqual(len({body for _, _, _, _, body in heard}), 21, "no two bodies are the same")
        self.assertEqual({len(body) for _, _, _, _, body in heard[:20]}, {33})

    def test_a_summary_that_cannot_be_written_fails(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with Service(ANYWHERE) as s, open("/dev/full", "w") as full:
            r = subprocess.run([*COMMAND, "call", "-n5", s.addresses[0]], stdout=full, stderr=subprocess.PIPE, text=True,
                               timeout=PATIENCE)
        self.assertEqual(r.returncode, 1)
        self.assertIn("tofu-echo: cannot write the summary", r.stderr)

    def test_progress_is_shown_on_a_terminal(self):
        seen = threading.Event()

        def behave(wire):
            for turn in range(2):
                _, _, ident, headers, body = wire.receive()
                if turn == 1:
                    seen.wait(PATIENCE)
                wire.send(RESPONSE, ident, headers, body)
            wire.send(BYE_RESPONSE, wire.receive()[2])
            wire.receive()

        ours, its = terminal(self)
        with self.service(behave) as address:
            caller = subprocess.Popen([*COMMAND, "call", "-n2", "-w1", address], stdout=subprocess.PIPE, stderr=its)
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
                if ONE_OF_TWO in as_shown(shown):
                    seen.set()
            seen.set()
            os.close(ours)
            out = caller.communicate(timeout=PATIENCE)[0]
        self.assertEqual(caller.returncode, 0)
        self.assertRegex(out, rb"\A2 echoes [^\n]+, all right\n\Z")
        self.assertIn(ONE_OF_TWO, as_shown(shown))
        self.assertTrue(as_shown(shown).endswith(b" \r"), "it is wiped out at the end")


if __name__ == "__main__":
    if not os.access(ECHO, os.X_OK):
        sys.exit(f"{ECHO}: no such program; set TOFU_ECHO")
    main()
