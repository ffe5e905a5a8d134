# SPDX-License-Identifier: MIT
"""A message: a header, text headers and a body."""

import ctypes

from . import _lib
from .error import check, make
from .status import Opcode, Status

core = _lib.core
LIMIT = 1 << 30  # what a message holds at most, and more than travels


class Message:
    """One message. engine.message() makes an empty one, group.receive() gives one that has come.

    Once it is posted, it is empty, and every use raises Error(NULL_MESSAGE). A message that is not posted goes back to its pool at
    put(), or when the last reference to it goes. It may outlive its engine. One thread at a time may use it.
    """

    __slots__ = ("_pointer", "_header")

    def __init__(self, pointer):
        self._pointer = pointer  # ctypes.c_void_p; its value is None once the message has gone
        self._header = core.tofu_msg_header(pointer).contents

    def put(self):
        """Give it back now. A second call does nothing."""
        if self._pointer:
            core.tofu_msg_put(ctypes.byref(self._pointer))

    # The function is bound here: at the end of the interpreter names of modules may be gone.
    def __del__(self, _put=core.tofu_msg_put, _byref=ctypes.byref):
        if self._pointer:
            _put(_byref(self._pointer))

    def __bool__(self):
        """False once it has been posted or put back."""
        return bool(self._pointer)

    def _live(self):
        if not self._pointer:
            raise make(Status.NULL_MESSAGE)
        return self._pointer

    @property
    def header(self):
        self._live()
        return self._header

    # --- the header ---

    @property
    def opcode(self):
        """An Opcode, or the number if it is none."""
        number = self.header.opcode
        return Opcode(number) if number in Opcode._value2member_map_ else number

    @opcode.setter
    def opcode(self, value):
        self.header.opcode = value

    @property
    def id(self):
        """What a response has in common with its request. 0: post() chooses one."""
        return self.header.id

    @id.setter
    def id(self, value):
        self.header.id = value

    @property
    def channel(self):
        """The connection or the listener."""
        return self.header.channel

    @channel.setter
    def channel(self, value):
        self.header.channel = value

    @property
    def more(self):
        """Others of the same id follow."""
        return bool(self.header.more)

    @more.setter
    def more(self, value):
        self.header.more = bool(value)

    @property
    def status(self):
        """Status.OK from a peer; from the engine, what happened."""
        return Status(self.header.status)

    @property
    def reason(self):
        """In the last word on a channel what ended it, else Status.OK."""
        return Status(self.header.reason)

    @property
    def is_notice(self):
        """The engine made it, or gives it back."""
        return self.header.origin == 1

    @property
    def is_last_word(self):
        """Nothing more comes on its channel."""
        return self.header.reason != 0

    # --- text headers ---

    @property
    def headers(self):
        """All text headers, as a list of pairs of str: as they came, in their order. Bytes that are no UTF-8 are surrogate escapes."""
        found, at, h = [], 0, _lib.TextHeader()
        pointer = self._live()
        while at := core.tofu_msg_headers_next(pointer, at, ctypes.byref(h)):
            found.append(tuple(ctypes.string_at(text, size).decode("utf-8", "surrogateescape")
                               for text, size in ((h.name, h.name_len), (h.value, h.value_len))))
        return found

    def get(self, name, default=None):
        """The value of the first text header of that name."""
        return next((value for known, value in self.headers if known == name), default)

    def add(self, name, value):
        """Append a text header. Returns the message."""
        check(core.tofu_msg_headers_add(self._live(), encode(name), encode(value)), name)
        return self

    def remove(self, name):
        """Cut out each text header of that name; how many there were."""
        return core.tofu_msg_headers_remove(self._live(), encode(name))

    def clear_headers(self):
        core.tofu_msg_headers_clear(self._live())

    # --- the body ---

    @property
    def body(self):
        """A copy, as bytes."""
        size = ctypes.c_size_t()
        return ctypes.string_at(core.tofu_msg_body(self._live(), ctypes.byref(size)), size.value)

    @body.setter
    def body(self, data):
        data = as_bytes(data)
        check(core.tofu_msg_body_set(self._live(), data, len(data)))

    def __len__(self):
        """The bytes of the body."""
        size = ctypes.c_size_t()
        core.tofu_msg_body(self._live(), ctypes.byref(size))
        return size.value

    def append(self, data):
        """Add to the body."""
        data = as_bytes(data)
        check(core.tofu_msg_body_append(self._live(), data, len(data)))

    # --- the whole ---

    def connect_to(self, address):
        """Make it a HelloRequest to that address. Returns the message."""
        check(core.tofu_msg_connect_to(self._live(), encode(address)), address)
        return self

    def listen_on(self, address):
        """Make it a WelcomeRequest for that address. Returns the message."""
        check(core.tofu_msg_listen_on(self._live(), encode(address)), address)
        return self

    def check(self):
        """Raise Error if post() would refuse it whatever its channel is."""
        check(core.tofu_msg_check(self._live()))

    def clone(self):
        """A copy of all of it."""
        return self._another(core.tofu_msg_clone)

    def share(self):
        """A copy that shares the body, without copying it."""
        return self._another(core.tofu_msg_share)

    def _another(self, function):
        pointer = ctypes.c_void_p()
        check(function(self._live(), ctypes.byref(pointer)))
        return Message(pointer)

    def reset(self):
        """An empty Request again."""
        core.tofu_msg_reset(self._live())
        return self

    def answer(self, body=None):
        """Turn a request into its response: of any kind, on its channel, with its id. Text headers stay. Returns the message."""
        if self.opcode not in ANSWERS:
            raise make(Status.INVALID_OP_CODE, "it is no request")
        self.header.opcode = ANSWERS[self.opcode]
        if body is not None:
            self.body = body
        return self

    def __repr__(self):
        if not self._pointer:
            return "<Message: gone>"
        h = self._header
        name = core.tofu_opcode_name(h.opcode).decode()
        status = f" {Status(h.status).name.lower()}" if h.status else ""
        return f"<Message {name} channel={h.channel} id={h.id}{status} body={len(self)} bytes>"


ANSWERS = {Opcode.REQUEST: Opcode.RESPONSE, Opcode.HELLO_REQUEST: Opcode.HELLO_RESPONSE, Opcode.BYE_REQUEST: Opcode.BYE_RESPONSE}


def encode(text):
    """A str, or bytes, without a zero byte, for a C function."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("a zero byte in a text")
    return data


def as_bytes(data):
    return data.encode() if isinstance(data, str) else bytes(data)
