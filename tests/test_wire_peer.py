#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library on the wire, seen by a peer that shares no code with it.

The peer is tests/lib/tofu_wire.py, made from the text of the protocol. In the Serving cases it calls tofu-echo serve,
in the Calling cases tofu-echo call calls it. Each case runs over TCP and over Unix sockets, with a process of its own.

Nothing sleeps. Where a frame has to arrive in two pieces, a round trip on another connection of the same process lies
between them: what was sent before it has been read by then. TOFU_SEED repeats the garbage of a former run, TOFU_POLLER
chooses what the programs wait with.
"""

import faulthandler
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from tofu_programs import FOREIGN, ask, command, kill, main, over, pid_of, program
from tofu_wire import (ANSWERS, BYE_REQUEST, BYE_RESPONSE, BYE_SIGNAL, ENGINE, HEAD, HELLO_REQUEST, HELLO_RESPONSE,
                       MORE, MOST, PATIENCE, REQUEST, RESPONSE, SIGNAL, WELCOME_REQUEST, WELCOME_RESPONSE, Frame,
                       Listener, connect, encode, header_lines)

ECHO = program("tofu-echo")
COMMAND = command("tofu-echo")
SEED = int(os.environ.get("TOFU_SEED", random.SystemRandom().randrange(1 << 32)))
POLLER = os.environ.get("TOFU_POLLER", "auto")
CROWD = 1000

HELLO = b"~connect_to: somewhere\r\n"

# What may never be sent, wherever it stands: (what, proto, id, status).
ALWAYS_ILLEGAL = [
    ("more on ByeSignal", BYE_SIGNAL | MORE, 5, 0),
    ("WelcomeRequest", WELCOME_REQUEST, 5, 0),
    ("WelcomeResponse", WELCOME_RESPONSE, 5, 0),
    *[(f"opcode {code}", code, 5, 0) for code in range(10, 16)],
    ("origin engine", REQUEST | ENGINE, 5, 0),
    ("internal bit 6", REQUEST | 0x40, 5, 0),
    ("internal bit 7", REQUEST | 0x80, 5, 0),
    ("both internal bits", REQUEST | 0xC0, 5, 0),
    ("every bit", 0xFF, 5, 0),
    ("status 1", REQUEST, 5, 1),
    ("status 255", SIGNAL, 5, 255),
    ("Response with id 0", RESPONSE, 0, 0),
    ("ByeResponse with id 0", BYE_RESPONSE, 0, 0),
    ("HelloResponse with id 0", HELLO_RESPONSE, 0, 0),
    ("more on ByeRequest", BYE_REQUEST | MORE, 5, 0),
    ("more on ByeResponse", BYE_RESPONSE | MORE, 5, 0),
    ("more on HelloResponse", HELLO_RESPONSE | MORE, 5, 0),
    ("a second HelloRequest", HELLO_REQUEST, 5, 0),
]
ILLEGAL_WHEN_ACCEPTED = ALWAYS_ILLEGAL + [("HelloResponse to a listener", HELLO_RESPONSE, 5, 0)]
ILLEGAL_AS_FIRST = [
    *[(f"opcode {code}", code, 5, 0) for code in range(16) if code not in (HELLO_REQUEST, BYE_SIGNAL)],
    ("Hello of an engine", HELLO_REQUEST | ENGINE, 5, 0),
    ("Hello with more", HELLO_REQUEST | MORE, 5, 0),
    ("Hello with an internal bit", HELLO_REQUEST | 0x40, 5, 0),
    ("Hello with a status", HELLO_REQUEST, 5, 3),
]

UNUSUAL_HEADERS = [
    b"a: b",
    b"a:b\r\n",
    b"a: b\r\nc: d",
    b"\r\n",
    b"\r\n\r\n\r\n",
    b"\r\na: b\r\n\r\nc: d\r\n\r\n",
    b"  a \t:\t b  \r\n",
    b": nameless\r\n",
    b"valueless:\r\n",
    b"no colon at all",
    b":",
    b"a: b\n",
    b"a: b\r",
    b"a: b: c: d\r\n",
    b"a: 1\r\na: 2\r\na: 1\r\n",
    b"~connect_to: tcp|8.8.8.8|1\r\n~reason: none\r\n",
    b"\0",
    bytes(range(256)),
    b"\xff" * 300,
]


class Process:
    """tofu-echo, under the eyes of a watchdog."""

    def __init__(self, what, *args):
        self.process = subprocess.Popen([*COMMAND, what, "--poller=" + POLLER, *args], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(2 * PATIENCE, kill, (self.process,))
        self.watchdog.start()

    def wait(self):
        """(exit code, standard output, standard error)"""
        out, err = self.process.communicate(timeout=PATIENCE)
        self.watchdog.cancel()
        return self.process.returncode, out, err

    def stop(self, how=ask):
        if self.process.returncode is None:
            how(self.process)
            return self.wait()
        return self.process.returncode, "", ""


def unwarned(code, out, err):
    """The same without what the engine warns of: it names whoever broke the rules."""
    return code, out, "".join(line for line in err.splitlines(True) if not line.startswith("tofu-echo: warning: "))


def setUpModule():
    """Does it run at all? Else each of the Calling cases would wait in vain for a long time."""
    server = Process("serve", "tcp|127.0.0.1|0")
    line = server.process.stdout.readline()
    _, _, err = server.stop() if line else server.wait()
    if not line:
        raise RuntimeError(f"{ECHO} does not serve: {err}")


class ServingCases:
    """One address, one server for each case; beside what the case does, a bystander must always be served."""

    listen_on = None

    def setUp(self):
        self.peers = []
        self.server = Process("serve", self.listen_on)
        self.addCleanup(self.server.stop, kill)
        self.addCleanup(self.hang_up)
        line = self.server.process.stdout.readline()
        self.assertTrue(line.startswith("listening " + self.listen_on.rstrip("0")), line)
        self.address = line[len("listening "):].rstrip("\n")
        self.turn = 0
        self.bystander = self.greeted()

    def tearDown(self):
        if self.server.process.returncode is None:
            self.ping()
            self.hang_up()
            self.assertEqual(unwarned(*self.server.stop()), (0, "", ""))

    def hang_up(self):
        """No connection is left for the server to say bye to."""
        for peer in self.peers:
            peer.socket.close()

    def call(self):
        peer = connect(self.address)
        self.peers.append(peer)
        return peer

    def greeted(self, headers=HELLO):
        peer = self.call()
        peer.send(HELLO_REQUEST, 1, headers)
        self.assertEqual(peer.receive(), Frame(HELLO_RESPONSE, 1, headers))
        return peer

    def ping(self):
        """The server lives and has seen everything that was sent to it before."""
        self.turn += 1
        self.bystander.send(REQUEST, self.turn, b"", b"still there?")
        self.assertEqual(self.bystander.receive(), Frame(RESPONSE, self.turn, b"", b"still there?"))

    def round_trip(self, peer, id=7, headers=b"", body=b"", opcode=REQUEST, more=False):
        peer.send(opcode, id, headers, body, more)
        self.assertEqual(peer.receive(), Frame(ANSWERS[opcode], id, headers, body, more))

    def stop(self):
        """Make the server say bye. It waits 3 s for the ends of its connections; those that end well take less."""
        self.ping()
        ask(self.server.process)
        self.asked_to_stop = time.monotonic()

    def asked(self):
        """The id of the bye it said."""
        bye = self.bystander.receive()
        self.assertEqual(bye, Frame(BYE_REQUEST, bye.id))
        return bye.id

    def stopped(self, close=True):
        self.bystander.fin()
        if close:
            self.bystander.socket.close()
        self.assertEqual(unwarned(*self.server.wait()), (0, "", ""))
        self.assertLess(time.monotonic() - self.asked_to_stop, 2.5)

    # What it sends.

    def test_every_frame_it_sends_to_the_byte(self):
        peer = self.call()

        def told(frame, answer):
            peer.write(bytes.fromhex(frame))
            got = peer.take(len(bytes.fromhex(answer)) + 2)
            self.assertEqual(got[2:].hex(), bytes.fromhex(answer).hex())
            return int.from_bytes(got[:2], "big")

        channels = {
            # channel proto status, id, lengths
            told("0001 03 00 00000000000000ff 0006 0000" + b"a: b\r\n".hex(),
                 "04 00 00000000000000ff 0006 0000" + b"a: b\r\n".hex()),
            told("ffff 00 00 0102030405060708 0003 0002" + b"k:v".hex() + b"\0\xff".hex(),
                 "01 00 0102030405060708 0003 0002" + b"k:v".hex() + b"\0\xff".hex()),
            told("0000 20 00 ffffffffffffffff 0000 0001 00", "21 00 ffffffffffffffff 0000 0001 00"),
            told("1234 02 00 8000000000000000 0000 0000", "02 00 8000000000000000 0000 0000"),
            told("1234 22 00 0000000000000001 0000 0000", "22 00 0000000000000001 0000 0000"),
            told("0001 05 00 00ff00ff00ff00ff 0000 0000", "06 00 00ff00ff00ff00ff 0000 0000"),
        }
        self.assertEqual(len(channels), 1, "one channel has one number")
        self.assertFalse(channels & {0, 65535, self.bystander.channel})
        peer.fin()

    def test_a_bye_request_of_its_own_to_the_byte(self):
        self.stop()
        got = self.bystander.take(16)
        channel, proto, status, id, headers, body = HEAD.unpack(got)
        self.assertEqual((channel, proto, status, headers, body), (self.bystander.channel, BYE_REQUEST, 0, 0, 0))
        self.assertNotEqual(id, 0)
        self.bystander.send(BYE_RESPONSE, id)
        self.stopped()

    def test_what_it_sends_never_depends_on_the_peers_channel_number(self):
        peer = self.greeted()
        for channel in (0, 1, 2, 0x0100, 0x7FFF, 65534, 65535):
            peer.write(encode(REQUEST, 9, b"", b"x", channel=channel))
            self.assertEqual(peer.receive(), Frame(RESPONSE, 9, b"", b"x"))

    # How it takes what comes.

    def test_frames_that_come_byte_by_byte(self):
        peer = self.call()
        stream = encode(HELLO_REQUEST, 1, HELLO) + encode(REQUEST, 2, b"a: b\r\n", b"body") + encode(BYE_REQUEST, 3)
        for at in range(len(stream)):
            peer.write(stream[at:at + 1])
            self.ping()
        self.assertEqual([peer.receive() for _ in range(3)], [
            Frame(HELLO_RESPONSE, 1, HELLO), Frame(RESPONSE, 2, b"a: b\r\n", b"body"), Frame(BYE_RESPONSE, 3)])
        peer.fin()

    def test_a_frame_split_at_each_offset(self):
        peer = self.greeted()
        for headers, body in ((b"a: b\r\n", b"0123456789"), (b"a: b\r\n", b""), (b"", b"0123456789")):
            frame = encode(SIGNAL, 4, headers, body)
            for at in range(1, len(frame)):
                peer.write(frame[:at])
                self.ping()
                peer.write(frame[at:])
                self.assertEqual(peer.receive(), Frame(SIGNAL, 4, headers, body))

    def test_two_frames_whose_border_and_split_do_not_agree(self):
        peer = self.greeted()
        pair = encode(REQUEST, 4, b"a: b\r\n", b"first") + encode(REQUEST, 5, b"", b"second")
        for at in range(1, len(pair)):
            peer.write(pair[:at])
            self.ping()
            peer.write(pair[at:])
            self.assertEqual(peer.receive(), Frame(RESPONSE, 4, b"a: b\r\n", b"first"))
            self.assertEqual(peer.receive(), Frame(RESPONSE, 5, b"", b"second"))

    def test_a_hello_split_at_each_offset(self):
        hello = encode(HELLO_REQUEST, 1, HELLO)
        for at in range(1, len(hello)):
            with self.call() as peer:
                peer.write(hello[:at])
                self.ping()
                peer.write(hello[at:])
                self.assertEqual(peer.receive(), Frame(HELLO_RESPONSE, 1, HELLO))

    def test_many_frames_in_one_segment(self):
        peer = self.call()
        requests = b"".join(encode(REQUEST, id, b"", b"%d" % id) for id in range(2, 700))
        peer.write(encode(HELLO_REQUEST, 1, HELLO) + requests + encode(BYE_REQUEST, 700))
        self.assertEqual(peer.receive(), Frame(HELLO_RESPONSE, 1, HELLO))
        for id in range(2, 700):
            self.assertEqual(peer.receive(), Frame(RESPONSE, id, b"", b"%d" % id))
        self.assertEqual(peer.receive(), Frame(BYE_RESPONSE, 700))
        peer.fin()

    def test_frames_of_every_size_that_cross_every_border(self):
        rng = random.Random(SEED)
        peer = self.greeted()
        frames = [Frame(REQUEST, id, rng.randbytes(rng.choice((0, 1, 15, 1023, 1024, 1025, rng.randrange(MOST)))),
                        rng.randbytes(rng.choice((0, 1, 1023, 1024, 1025, MOST, rng.randrange(MOST)))))
                  for id in range(1, 121)]
        stream = b"".join(encode(f.opcode, f.id, f.headers, f.body) for f in frames)
        writer = threading.Thread(target=peer.write, args=(stream,), daemon=True)
        writer.start()
        for frame in frames:
            self.assertTrue(peer.receive() == frame._replace(opcode=RESPONSE), f"frame {frame.id}, seed {SEED}")
        writer.join(PATIENCE)

    def test_lengths_from_nothing_to_the_most(self):
        peer = self.greeted()
        for headers, body in ((0, 0), (0, 1), (1, 0), (MOST, 0), (0, MOST), (MOST, MOST), (MOST - 1, 1), (256, 255)):
            for opcode in (REQUEST, SIGNAL):
                self.round_trip(peer, 6, b"h" * headers, b"\0" * body, opcode)

    def test_a_hello_of_the_most_bytes_and_one_of_none(self):
        with self.call() as peer:
            headers = b"~connect_to: " + b"x" * (MOST - 13)
            peer.send(HELLO_REQUEST, 3, headers, b"b" * MOST)
            self.assertTrue(peer.receive() == Frame(HELLO_RESPONSE, 3, headers, b"b" * MOST))
        self.greeted(b"")

    def test_more_is_kept(self):
        peer = self.greeted()
        for opcode in (REQUEST, SIGNAL):
            for more in (True, True, False, True, False):
                self.round_trip(peer, 8, b"", b"part", opcode, more)

    def test_unusual_text_headers_come_back_byte_for_byte(self):
        peer = self.greeted()
        for headers in UNUSUAL_HEADERS:
            with self.subTest(headers=headers[:40]):
                self.round_trip(peer, 8, headers, b"body")
                self.greeted(headers).socket.close()

    def test_answers_that_nobody_asked_for_change_nothing(self):
        peer = self.greeted()
        for id in (1, 2, 1 << 63):
            peer.send(RESPONSE, id, b"a: b\r\n", b"unasked", more=id == 2)
        self.round_trip(peer)

    # What it does not take.

    def illegal(self, peer, proto, id, status, lengths=(0, 0), before=b""):
        """It ends the connection on the header alone, and answers nothing."""
        peer.write(before + HEAD.pack(1, proto, status, id, *lengths))
        self.assertEqual(peer.end(), b"")
        self.ping()

    def test_each_illegal_frame_ends_its_connection_and_no_other(self):
        for what, proto, id, status in ILLEGAL_WHEN_ACCEPTED:
            for lengths in ((0, 0), (9, 65535)):
                with self.subTest(what, lengths=lengths), self.greeted() as peer:
                    self.illegal(peer, proto, id, status, lengths)

    def test_each_illegal_first_frame_ends_its_connection_and_no_other(self):
        for what, proto, id, status in ILLEGAL_AS_FIRST:
            for lengths in ((0, 0), (9, 65535)):
                with self.subTest(what, lengths=lengths), self.call() as peer:
                    self.illegal(peer, proto, id, status, lengths)

    def test_each_frame_after_a_bye_response_ends_the_connection_at_the_latest(self):
        for opcode in (REQUEST, RESPONSE, SIGNAL, HELLO_REQUEST, HELLO_RESPONSE, BYE_REQUEST, BYE_RESPONSE):
            with self.subTest(opcode=opcode), self.greeted() as peer:
                self.illegal(peer, opcode, 5, 0, before=encode(BYE_RESPONSE, 4))

    def test_what_came_whole_before_an_illegal_frame_may_be_answered_but_nothing_else_is(self):
        for _ in range(20):
            with self.greeted() as peer:
                peer.write(encode(REQUEST, 3, b"", b"legal") + encode(WELCOME_REQUEST, 4) + encode(REQUEST, 5))
                answer = encode(RESPONSE, 3, b"", b"legal", channel=peer.channel)
                self.assertIn(peer.end(), (b"", answer))
        self.ping()

    def test_a_bye_signal_ends_the_connection_and_is_no_violation(self):
        for first in (True, False):
            with self.subTest(first=first), self.call() if first else self.greeted() as peer:
                peer.write(HEAD.pack(1, BYE_SIGNAL, 0, 5, 0, 0))
                self.assertEqual(peer.end(), b"")
                self.ping()

    def test_http_ends_the_connection(self):
        with self.call() as peer:
            peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(peer.end(), b"")

    # How it ends.

    def test_a_bye_is_answered_and_the_connection_ends_by_fin(self):
        peer = self.greeted()
        peer.send(BYE_REQUEST, 12)
        self.assertEqual(peer.receive(), Frame(BYE_RESPONSE, 12))
        peer.half_close()
        peer.fin()
        self.ping()
        self.assertEqual(peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0, "no RST behind the FIN")

    def test_everything_asked_before_a_bye_is_answered_before_it_and_none_is_lost(self):
        peer = self.greeted()
        body = b"0123456789abcdef" * 256
        stream = b"".join(encode(REQUEST, id, b"", body) for id in range(1, 2001)) + encode(BYE_REQUEST, 9999)
        writer = threading.Thread(target=peer.write, args=(stream,), daemon=True)
        writer.start()
        for id in range(1, 2001):
            self.assertTrue(peer.receive() == Frame(RESPONSE, id, b"", body), id)
        self.assertEqual(peer.receive(), Frame(BYE_RESPONSE, 9999))
        peer.fin()
        writer.join(PATIENCE)

    def test_an_unasked_bye_response_ends_the_connection_by_fin(self):
        peer = self.greeted()
        peer.send(BYE_RESPONSE, 77)
        peer.fin()

    def test_a_peer_that_does_not_close_after_a_bye_is_waited_for_a_second_or_so(self):
        peer = self.greeted()
        peer.send(BYE_REQUEST, 12)
        self.assertEqual(peer.receive(), Frame(BYE_RESPONSE, 12))
        started = time.monotonic()
        peer.fin()  # behind the answer it would make some peers throw the answer away
        waited = time.monotonic() - started
        self.assertGreater(waited, 0.5)
        self.assertLess(waited, 2.5)

    def test_a_peer_that_answers_a_bye_and_never_closes_holds_nothing_up(self):
        self.stop()  # the peer is like the Zig library
        self.bystander.send(BYE_RESPONSE, self.asked())
        self.stopped(close=False)

    def test_byes_that_cross_are_both_answered_by_the_peer_last(self):
        self.stop()
        bye = self.asked()
        self.bystander.send(BYE_REQUEST, 4711)
        self.assertEqual(self.bystander.receive(), Frame(BYE_RESPONSE, 4711))
        self.bystander.send(BYE_RESPONSE, bye)
        self.stopped()

    def test_byes_that_cross_are_both_answered_by_the_peer_first(self):
        self.stop()
        bye = self.asked()
        self.bystander.write(encode(BYE_REQUEST, 4711) + encode(BYE_RESPONSE, bye))
        self.assertEqual(self.bystander.receive(), Frame(BYE_RESPONSE, 4711))
        self.stopped()

    def test_after_its_bye_request_it_sends_nothing_but_a_bye_response(self):
        self.stop()
        bye = self.asked()
        for id in range(100):
            self.bystander.send(REQUEST, 100 + id, b"", b"you may ask")
        self.bystander.send(BYE_RESPONSE, bye)
        self.stopped()

    def test_a_peer_that_resets_once_its_bye_is_answered_harms_nobody(self):
        for _ in range(20):  # like the Zig library
            peer = self.greeted()
            peer.send(BYE_REQUEST, 12)
            self.assertEqual(peer.receive(), Frame(BYE_RESPONSE, 12))
            peer.reset()
            self.ping()

    def test_a_peer_that_closes_its_sending_side_gets_whole_answers_or_none(self):
        peer = self.greeted()
        peer.write(b"".join(encode(REQUEST, id, b"", b"x" * 50) for id in range(1, 200)))
        peer.half_close()
        answers = b"".join(encode(RESPONSE, id, b"", b"x" * 50, channel=peer.channel) for id in range(1, 200))
        rest = peer.end()
        self.assertTrue(answers.startswith(rest))
        self.assertEqual(len(rest) % (16 + 50), 0)

    def test_an_end_in_the_middle_of_a_frame_harms_nobody(self):
        frame = encode(REQUEST, 3, b"a: b\r\n", b"body")
        for at in range(1, len(frame)):
            for end in ("reset", "close"):
                peer = self.greeted()
                peer.write(frame[:at])
                if at % 2 == 0:
                    self.ping()  # it is in there already; else both may arrive at once
                peer.reset() if end == "reset" else peer.socket.close()
            self.ping()

    # Many, and strange ones.

    def test_a_thousand_connections_each_get_their_echo(self):
        peers = [self.call() for _ in range(CROWD)]
        for n, peer in enumerate(peers):
            peer.write(encode(HELLO_REQUEST, 1, HELLO) + encode(REQUEST, n + 2, b"", b"number %d" % n))
        for n, peer in enumerate(peers):
            self.assertEqual(peer.receive(), Frame(HELLO_RESPONSE, 1, HELLO))
            self.assertEqual(peer.receive(), Frame(RESPONSE, n + 2, b"", b"number %d" % n))
        self.assertEqual(len({peer.channel for peer in peers}), CROWD, "channel numbers are unique while open")
        for n, peer in enumerate(peers):
            if n % 2 == 0:
                peer.reset()
        self.ping()
        for n, peer in enumerate(peers):
            if n % 2 == 1:
                self.round_trip(peer, 7, b"", b"%d" % n)
                peer.socket.close()

    def garbage(self, rng):
        def frame():
            proto = rng.choice((REQUEST, RESPONSE, SIGNAL, REQUEST | MORE, BYE_REQUEST, BYE_RESPONSE))
            return encode(proto, rng.randrange(1, 1 << 64), rng.randbytes(rng.randrange(40)),
                          rng.randbytes(rng.randrange(400)))

        kind = rng.randrange(4)
        hello = encode(HELLO_REQUEST, rng.randrange(1, 1 << 64), HELLO)
        if kind == 0:
            return rng.randbytes(rng.randrange(3000))
        if kind == 1:
            return hello + rng.randbytes(rng.randrange(3000))
        stream = bytearray(hello + b"".join(frame() for _ in range(rng.randrange(1, 12))))
        if kind == 2:
            for _ in range(rng.randrange(1, 8)):
                stream[rng.randrange(len(stream))] ^= 1 << rng.randrange(8)
        else:
            at = rng.randrange(len(stream))
            stream[at:at] = rng.randbytes(rng.randrange(1, 30))
        return bytes(stream)

    def test_garbage_is_survived(self):
        rng = random.Random(SEED)
        before = self.descriptors()
        for turn in range(200):
            peer = self.call()
            try:
                peer.write(self.garbage(rng))
                how = rng.randrange(4)
                if how == 0:
                    peer.half_close()
                    peer.end()
                elif how == 1:
                    peer.reset()
            except (BrokenPipeError, ConnectionResetError):
                pass
            peer.socket.close()
            if turn % 10 == 0:
                self.ping()
        started = time.monotonic()
        while self.descriptors() != before:  # all are let go; each look is a round trip
            self.assertLess(time.monotonic() - started, PATIENCE, f"descriptors are left open, seed {SEED}")
            self.ping()

    def descriptors(self):
        try:
            return len(os.listdir("/proc/%d/fd" % pid_of(self.server.process)))
        except FileNotFoundError:
            return 0


@over("tcp")
class ServingTCP(ServingCases, unittest.TestCase):
    listen_on = "tcp|127.0.0.1|0"


@over("uds")
class ServingUnix(ServingCases, unittest.TestCase):
    listen_on = "uds|"


def mix(id, size):
    """The body tofu-echo call must send with this id (splitmix64, in the byte order of the machine)."""
    mask = (1 << 64) - 1
    out = b""
    for at in range(0, size, 8):
        z = (id * 0x9E3779B97F4A7C15 + at) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out += (z ^ (z >> 31)).to_bytes(8, sys.byteorder)
    return out[:size]


def id_of(line, sequence):
    return line << 40 | (sequence + 1)


class CallingCases:
    unix = False

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.listener = Listener(directory.name if self.unix else None)
        self.addCleanup(self.listener.close)

    def call(self, *args):
        caller = Process("call", *args, self.listener.address)
        self.addCleanup(caller.stop, kill)
        return caller

    def accept(self):
        peer = self.listener.accept()
        self.addCleanup(peer.socket.close)
        return peer

    def greet(self, peer):
        """(number of the connection, from 1)"""
        hello = peer.receive()
        self.assertEqual(hello.opcode, HELLO_REQUEST)
        self.assertEqual(list(header_lines(hello.headers)), [(b"~connect_to", self.listener.address.encode())])
        self.assertEqual((hello.body, hello.more), (b"", False))
        peer.send(HELLO_RESPONSE, hello.id)

    def answer(self, peer):
        """The next frame is a request: answer it. What it was."""
        request = peer.receive()
        self.assertEqual(request.opcode, REQUEST)
        peer.send(RESPONSE, request.id, request.headers, request.body)
        return request

    def part(self, peer):
        bye = peer.receive()
        self.assertEqual(bye, Frame(BYE_REQUEST, bye.id))
        peer.send(BYE_RESPONSE, bye.id)
        peer.fin()
        peer.socket.close()

    def right(self, caller):
        code, out, err = unwarned(*caller.wait())
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(out.endswith(", all right\n"), out)

    def wrong(self, caller, sentence):
        code, out, err = unwarned(*caller.wait())
        self.assertEqual((code, out), (1, ""))
        self.assertIn(sentence, err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_every_frame_it_sends_to_the_byte(self):
        caller = self.call("-n3", "-s20", "-w1")
        peer = self.accept()
        text = b"~connect_to: " + self.listener.address.encode() + b"\r\n"
        got = peer.take(16 + len(text))
        channel, id = got[:2], got[4:12]
        self.assertNotIn(channel, (b"\0\0", b"\xff\xff"))
        self.assertNotEqual(id, bytes(8))
        self.assertEqual(got, channel + b"\x03\0" + id + len(text).to_bytes(2, "big") + b"\0\0" + text)
        peer.write(encode(HELLO_RESPONSE, int.from_bytes(id, "big")))
        for sequence in range(3):
            id = id_of(1, sequence)
            got = peer.take(16 + 20)
            self.assertEqual(got, channel + b"\0\0" + id.to_bytes(8, "big") + b"\0\0\0\x14" + mix(id, 20))
            peer.write(encode(RESPONSE, id, b"", got[16:]))
        got = peer.take(16)
        self.assertEqual(got, channel + b"\x05\0" + got[4:12] + b"\0\0\0\0")
        self.assertNotEqual(got[4:12], bytes(8))
        peer.write(encode(BYE_RESPONSE, int.from_bytes(got[4:12], "big")))
        peer.fin()
        peer.socket.close()
        self.right(caller)

    def test_connections_have_numbers_and_hellos_ids_of_their_own(self):
        caller = self.call("-n1", "-c20")
        peers = [self.accept() for _ in range(20)]
        hellos = [peer.receive() for peer in peers]
        self.assertEqual(len({hello.id for hello in hellos}), 20)
        self.assertEqual(len({peer.channel for peer in peers}), 20)
        for peer, hello in zip(peers, hellos):
            peer.send(HELLO_RESPONSE, hello.id)
        for peer in peers:
            self.answer(peer)
        for peer in peers:
            self.part(peer)
        self.right(caller)

    def test_frames_of_the_most_bytes(self):
        caller = self.call("-n3", "-s65535", "-w3")
        peer = self.accept()
        self.greet(peer)
        for sequence in range(3):
            request = peer.receive()
            self.assertEqual(request.id, id_of(1, sequence))
            self.assertTrue(request.body == mix(request.id, MOST))
            peer.send(RESPONSE, request.id, b"h" * MOST, request.body)
        self.part(peer)
        self.right(caller)

    def test_answers_in_one_segment(self):
        caller = self.call("-n300", "-s30", "-w300")
        peer = self.accept()
        self.greet(peer)
        requests = [peer.receive() for _ in range(300)]
        self.assertEqual([request.id for request in requests], [id_of(1, n) for n in range(300)])
        peer.write(b"".join(encode(RESPONSE, r.id, b"", r.body) for r in requests))
        self.part(peer)
        self.right(caller)

    def test_answers_in_pieces(self):
        # Two connections of one process: a round trip on the second lies between the pieces on the first.
        caller = self.call("-n100", "-s8", "-c2", "-w1")
        one, two = self.accept(), self.accept()
        self.greet(one)
        self.greet(two)
        for at in range(1, 24):
            request = one.receive()
            answer = encode(RESPONSE, request.id, b"", request.body)
            one.write(answer[:at])
            self.answer(two)
            one.write(answer[at:])
        request = one.receive()
        answer = encode(RESPONSE, request.id, b"", request.body)
        for at in range(len(answer)):
            one.write(answer[at:at + 1])
            self.answer(two)
        for _ in range(100 - 24):
            self.answer(one)
        for _ in range(100 - 23 - 24):
            self.answer(two)
        self.part(one)
        self.part(two)
        self.right(caller)

    def test_each_illegal_frame_ends_the_connection(self):
        for what, proto, id, status in ALWAYS_ILLEGAL:
            with self.subTest(what):
                caller = self.call("-n5", "-w1")
                peer = self.accept()
                self.greet(peer)
                peer.receive()
                peer.write(HEAD.pack(1, proto, status, id, 9, 65535))
                self.assertEqual(peer.end(), b"")
                self.wrong(caller, "the connection was closed")

    def test_each_frame_after_a_bye_response_ends_the_connection(self):
        for opcode in (REQUEST, RESPONSE, SIGNAL, HELLO_REQUEST, HELLO_RESPONSE, BYE_REQUEST, BYE_RESPONSE):
            with self.subTest(opcode=opcode):
                caller = self.call("-n1")
                peer = self.accept()
                self.greet(peer)
                self.answer(peer)
                bye = peer.receive()
                peer.write(encode(BYE_RESPONSE, bye.id) + encode(opcode, 5))
                self.assertEqual(peer.end(), b"")
                # It had its ByeResponse; nothing of the frame behind it is seen by the application.
                self.right(caller)

    def test_the_answer_to_a_hello_may_be_left_out(self):
        # The program wants one, so it complains; what it complains about is that it got the first message.
        caller = self.call("-n1")
        peer = self.accept()
        peer.receive()
        peer.send(SIGNAL, 9, b"", b"hello is for others")
        self.wrong(caller, "it sent something of its own")

    def test_a_peer_that_answers_a_bye_and_never_closes_is_waited_for_a_second_or_so(self):
        caller = self.call("-n1")  # like the Zig library
        peer = self.accept()
        self.greet(peer)
        self.answer(peer)
        bye = peer.receive()
        started = time.monotonic()
        peer.send(BYE_RESPONSE, bye.id)
        peer.fin()
        self.right(caller)
        waited = time.monotonic() - started
        self.assertGreater(waited, 0.5)
        self.assertLess(waited, 2.5)

    def test_a_peer_that_closes_at_once_when_it_has_answered_a_bye(self):
        for _ in range(10):
            caller = self.call("-n1")
            peer = self.accept()
            self.greet(peer)
            self.answer(peer)
            peer.send(BYE_RESPONSE, peer.receive().id)
            peer.socket.close()
            self.right(caller)

    def test_a_peer_that_resets_before_the_answers_is_a_failure(self):
        caller = self.call("-n5", "-w1")
        peer = self.accept()
        self.greet(peer)
        self.answer(peer)
        peer.reset()
        self.wrong(caller, "connection 1, after ")


@over("tcp")
class CallingTCP(CallingCases, unittest.TestCase):
    unix = False


@over("uds")
class CallingUnix(CallingCases, unittest.TestCase):
    unix = True


def room_for_the_crowd():
    """Descriptors for all of it, here and in what is started from here."""
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CROWD + 200
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        print("skipped: this Python is too old")
        sys.exit(77)
    faulthandler.dump_traceback_later(900 if FOREIGN else 180, exit=True)
    room_for_the_crowd()
    print(f"TOFU_SEED={SEED}", flush=True)
    main(verbosity=2)
