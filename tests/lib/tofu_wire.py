# SPDX-License-Identifier: MIT
"""The wire as docs/protocol.md tells it, sections 2 to 5, and nothing else: no line of the library is used here.

encode() writes any frame, legal or not; Stream reads what a peer sends, and asserts that it keeps every rule.
"""

import socket
import struct
from typing import NamedTuple

from tofu_programs import connect_unix

REQUEST, RESPONSE, SIGNAL, HELLO_REQUEST, HELLO_RESPONSE, BYE_REQUEST, BYE_RESPONSE = range(7)
BYE_SIGNAL, WELCOME_REQUEST, WELCOME_RESPONSE = range(7, 10)  # the welcomes never travel
REGULAR = (REQUEST, RESPONSE, SIGNAL)
ANSWERS = {REQUEST: RESPONSE, SIGNAL: SIGNAL, HELLO_REQUEST: HELLO_RESPONSE, BYE_REQUEST: BYE_RESPONSE}

ENGINE, MORE, INTERNAL = 0x10, 0x20, 0xC0  # the bits of the proto byte above the opcode
HEAD = struct.Struct(">HBBQHH")
MOST = 65535  # bytes of text headers, and of body

PATIENCE = 30  # seconds: how long anything is awaited that must come


class Frame(NamedTuple):
    """A legal frame, without the sender's channel number."""

    opcode: int
    id: int
    headers: bytes = b""
    body: bytes = b""
    more: bool = False


def encode(proto, id=0, headers=b"", body=b"", channel=1, status=0):
    """The bytes of a frame. proto: the opcode, and bits that are legal or not."""
    return HEAD.pack(channel, proto, status, id, len(headers), len(body)) + headers + body


def header_lines(headers):
    """Text headers as (name, value), the way a reader has to take them."""
    for line in headers.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name.strip(b" \t"):
            yield name.strip(b" \t"), value.strip(b" \t")


def check(channel, proto, status, id, first):
    """The rules for every frame that travels; first: nothing came before it on this connection."""
    opcode = proto & 0x0F
    assert channel != 0 and channel != 65535, f"channel {channel}"
    assert opcode <= BYE_RESPONSE, f"opcode {opcode} does not travel"
    assert proto & ENGINE == 0, "origin is 1"
    assert proto & INTERNAL == 0, f"internal bits {proto >> 6}"
    assert status == 0, f"status {status}"
    assert id != 0, "id 0"
    assert proto & MORE == 0 or opcode in REGULAR, f"more on opcode {opcode}"
    assert first or opcode != HELLO_REQUEST, "a second HelloRequest"


class Stream:
    """One end of a connection, by hand."""

    def __init__(self, sock):
        self.socket = sock
        self.channel = None  # the peer's number for it
        self.heard = []  # opcodes
        sock.settimeout(PATIENCE)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def send(self, opcode, id=0, headers=b"", body=b"", more=False):
        self.write(encode(opcode | (MORE if more else 0), id, headers, body))

    def take(self, count):
        """That many bytes."""
        pieces = []
        while count > 0:
            piece = self.socket.recv(count)
            assert piece, f"the connection ended, {count} bytes too early"
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def receive(self):
        """The next frame, which is there and whole."""
        channel, proto, status, id, headers, body = HEAD.unpack(self.take(HEAD.size))
        check(channel, proto, status, id, not self.heard)
        assert self.channel in (None, channel), f"the channel number changed from {self.channel} to {channel}"
        assert BYE_RESPONSE not in self.heard, "a frame after ByeResponse"
        assert BYE_REQUEST not in self.heard or proto == BYE_RESPONSE, "a frame after ByeRequest"
        self.channel = channel
        self.heard.append(proto & 0x0F)
        return Frame(proto & 0x0F, id, self.take(headers), self.take(body), proto & MORE != 0)

    def fin(self):
        """Nothing else comes, and the connection ends by FIN: a reset is an error that recv raises."""
        rest = self.socket.recv(65536)
        assert rest == b"", f"more came: {rest[:40]!r}"

    def end(self):
        """What still comes before the connection ends, in whichever way."""
        rest = b""
        try:
            while True:
                piece = self.socket.recv(65536)
                if not piece:
                    return rest
                rest += piece
        except (ConnectionResetError, BrokenPipeError):
            return rest

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """End by RST. A Unix socket has none; there it is an end with whatever was unread thrown away."""
        if self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def connect(address):
    """Call "tcp|HOST|PORT" or "uds|PATH"."""
    kind, rest = address.split("|", 1)
    if kind == "tcp":
        host, port = rest.split("|")
        return Stream(socket.create_connection((host, int(port)), PATIENCE))
    assert kind == "uds", address
    sock = socket.socket(socket.AF_UNIX)
    try:
        connect_unix(sock, rest)  # before there is a time limit: with one, a full backlog would be an error
    except OSError:
        sock.close()
        raise
    return Stream(sock)


class Listener:
    """Be called. directory: where a socket file may go; None: TCP."""

    def __init__(self, directory=None):
        if directory is None:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.address = "tcp|127.0.0.1|%d" % self.socket.getsockname()[1]
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(directory + "/peer")
            self.address = f"uds|{directory}/peer"
        self.socket.settimeout(PATIENCE)
        self.socket.listen()

    def accept(self):
        return Stream(self.socket.accept()[0])

    def close(self):
        self.socket.close()
