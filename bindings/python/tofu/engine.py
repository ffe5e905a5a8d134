# SPDX-License-Identifier: MIT
"""Engines and groups."""

import atexit
import ctypes
import threading
import time

from . import _lib
from .error import Error, check, make
from .message import Message, encode
from .status import ChannelState, LogLevel, Opcode, Status

core = _lib.core
check(core.tofu_init())
atexit.register(core.tofu_deinit)

# Python runs a signal's handler on the main thread, between two calls. So that thread waits in pieces of this length.
SLICE_NS = 100_000_000


def nanoseconds(timeout):
    """Of a time in seconds; None: for ever."""
    return -1 if timeout is None else max(0, int(timeout * 1e9))


def waited(function, timeout):
    """function(ns) until it returns another status than TIMEOUT, or until the time is over."""
    total = nanoseconds(timeout)
    if threading.current_thread() is not threading.main_thread() or 0 <= total <= SLICE_NS:
        return function(total)
    end = None if total < 0 else time.monotonic_ns() + total
    while True:
        left = SLICE_NS if end is None else min(SLICE_NS, max(0, end - time.monotonic_ns()))
        status = function(left)
        if status != Status.TIMEOUT or left < SLICE_NS:
            return status


class Handle:
    """What an engine and a group have in common: a pointer of the library, which close(), with, or the last reference ends."""

    _destroy = None  # the library's function

    def __init__(self):
        self._pointer = ctypes.c_void_p()

    def close(self):
        """End it. A second call does nothing."""
        pointer, self._pointer = self._pointer, ctypes.c_void_p()
        if pointer:
            self._destroy(pointer)

    def __del__(self):
        if getattr(self, "_pointer", None):
            self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _live(self):
        if not self._pointer:
            raise make(Status.SHUTDOWN_STARTED)
        return self._pointer


class Engine(Handle):
    """An engine with its transports: Engine(Tcp(), Unix(), pool_max=100).

    Options are those of struct tofu_options: pool_initial, pool_max, max_channels, send_queue_max, send_queue_max_bytes,
    handshake_timeout_ms, idle_timeout_ms, receive_timeout_ms, bye_timeout_ms, channel_share_percent, unheard_max,
    peer_connections_max, poller (Poller), io (IO). log: a function of a LogLevel and a line; it runs on the thread that does the
    engine's work, must return soon, and must not use the engine.

    close() and with end it: its channels close at once, and a thread that waits in one of its groups gets Closed. Any thread may
    use it. Groups and messages may outlive it.
    """

    _destroy = core.tofu_engine_destroy

    def __init__(self, *transports, log=None, **options):
        super().__init__()
        filled = _lib.Options()
        core.tofu_options_init(ctypes.byref(filled), ctypes.sizeof(filled))
        for name, value in options.items():
            if name not in {field for field, *_ in _lib.Options._fields_} - {"size", "log", "log_context"}:
                raise TypeError(f"Engine has no option {name!r}")
            setattr(filled, name, value)
        # The library may call it while the engine lives, so the engine keeps a reference.
        self._log = _lib.LogFunction(lambda _, level, text: log(LogLevel(level), text.decode("utf-8", "replace"))) if log else None
        if self._log:
            filled.log = self._log
        check(core.tofu_engine_create(ctypes.byref(filled), ctypes.byref(self._pointer)))
        self._transports = []
        try:
            for transport in transports:
                self.register(transport)
        except BaseException:
            self.close()
            raise

    def register(self, transport):
        """Let it use another transport."""
        check(core.tofu_engine_register(self._live(), transport._pointer))
        self._transports.append(transport)

    def group(self):
        """A mailbox of this engine."""
        return Group(self)

    def message(self, body=None, *, channel=0, opcode=Opcode.REQUEST, id=0, pool_only=False):
        """An empty message, or one with a body. pool_only: raise POOL_EMPTY rather than allocate one."""
        pointer = ctypes.c_void_p()
        check(core.tofu_msg_get(self._live(), 0 if pool_only else 1, ctypes.byref(pointer)))
        msg = Message(pointer)
        header = msg._header
        header.channel, header.opcode, header.id = channel, opcode, id
        if body is not None:
            msg.body = body
        return msg

    def run(self, timeout=None):
        """Do the work of an engine with io=IO.CALLER until something has happened. False: nothing has, in that time."""
        status = waited(lambda ns: core.tofu_engine_run(self._live(), ns), timeout)
        if status not in (Status.OK, Status.TIMEOUT):
            raise make(status)
        return status == Status.OK

    def pollable(self):
        """A descriptor that is readable when run() has something to do; see tofu_engine_pollable(3)."""
        fd = ctypes.c_ssize_t()
        check(core.tofu_engine_pollable(self._live(), ctypes.byref(fd)))
        return fd.value

    def timeout(self):
        """In how many seconds run() is due whatever comes; None: never."""
        ns = core.tofu_engine_timeout(self._live())
        return None if ns < 0 else ns / 1e9

    def stats(self):
        """Its counters, as a dictionary: those of struct tofu_stats."""
        filled = _lib.Stats(size=ctypes.sizeof(_lib.Stats))
        check(core.tofu_engine_stats(self._live(), ctypes.byref(filled)))
        return {name: getattr(filled, name) for name, _ in _lib.Stats._fields_[1:]}

    def address_fault(self, address, listen=False):
        """What is wrong with an address, for people; None: nothing."""
        opcode = Opcode.WELCOME_REQUEST if listen else Opcode.HELLO_REQUEST
        fault = core.tofu_address_fault(self._live(), encode(address), opcode)
        return fault.decode() if fault else None


class Group(Handle):
    """A mailbox of an engine: post and receive. Any thread may post; one at a time receives.

    close() and with end it: its channels close at once, and what was posted and not sent is lost; drain() first.
    """

    _destroy = core.tofu_group_destroy
    BATCH = 64

    def __init__(self, engine):
        super().__init__()
        self._engine = engine
        check(core.tofu_group_create(engine._live(), ctypes.byref(self._pointer)))

    @property
    def engine(self):
        return self._engine

    # --- out ---

    def post(self, msg):
        """Hand over a message, which is gone then. Returns (channel, id). WouldBlock: the channel's queue is full, and the message is
        still the caller's, as with any Error."""
        header = _lib.Header()
        check(core.tofu_post(self._live(), ctypes.byref(msg._live()), ctypes.byref(header)))
        return header.channel, header.id

    def send(self, channel, body, *, opcode=Opcode.REQUEST, id=0, headers=()):
        """Make a message and post it. Returns its id."""
        msg = self._engine.message(body, channel=channel, opcode=opcode, id=id)
        for name, value in headers:
            msg.add(name, value)
        return self.post(msg)[1]

    def connect(self, address, headers=()):
        """Say hello to an address. Returns the channel; a HelloResponse comes on it, or what went wrong."""
        msg = self._engine.message().connect_to(address)
        for name, value in headers:
            msg.add(name, value)
        return self.post(msg)[0]

    def listen(self, address):
        """Listen on an address. Returns the channel; a WelcomeResponse comes on it, with the text header "~listen_on"."""
        return self.post(self._engine.message().listen_on(address))[0]

    def bye(self, channel):
        """End a channel when all that was posted on it is sent."""
        return self.send(channel, None, opcode=Opcode.BYE_REQUEST)

    def hang_up(self, channel):
        """End a channel at once."""
        return self.send(channel, None, opcode=Opcode.BYE_SIGNAL)

    def drain(self, timeout=None):
        """Wait until all that was posted is sent or given back. Raises Timeout."""
        check(waited(lambda ns: core.tofu_group_drain(self._live(), ns), timeout))

    # --- in ---

    def receive(self, timeout=None):
        """The next message. timeout in seconds; None: for ever. Raises Timeout, Closed, or Error(INTERRUPTED)."""
        pointer = ctypes.c_void_p()
        check(waited(lambda ns: core.tofu_receive(self._live(), ctypes.byref(pointer), ns), timeout))
        return Message(pointer)

    def receive_many(self, most=BATCH, timeout=None):
        """As many messages as there are, up to most; waits for the first only."""
        pointers, count = (ctypes.c_void_p * most)(), ctypes.c_size_t()
        check(waited(lambda ns: core.tofu_receive_many(self._live(), pointers, most, ctypes.byref(count), ns), timeout))
        return [Message(ctypes.c_void_p(pointers[i])) for i in range(count.value)]

    def __iter__(self):
        """All that comes, until the group or its engine is closed."""
        while True:
            try:
                yield self.receive()
            except Error as error:
                if error.status != Status.SHUTDOWN_STARTED:
                    raise
                return

    def interrupt(self):
        """Let the receive() that waits, or the next one, raise Error(INTERRUPTED). Any thread may."""
        check(core.tofu_group_interrupt(self._live()))

    def update(self, msg=None):
        """Put a message into the group's own mailbox, with Status.RECEIVER_UPDATE; without one, an empty notice."""
        check(core.tofu_update_receiver(self._live(), ctypes.byref(msg._live()) if msg is not None else None))

    def pollable(self):
        """A descriptor (Windows: a handle) that is readable as long as receive() would not wait."""
        fd = ctypes.c_ssize_t()
        check(core.tofu_group_pollable(self._live(), ctypes.byref(fd)))
        return fd.value

    def inspect(self, channel):
        """What there is to know of a channel, as a dictionary: struct tofu_channel_info. What is not known is None."""
        info = _lib.ChannelInfo(size=ctypes.sizeof(_lib.ChannelInfo))
        check(core.tofu_channel_inspect(self._live(), channel, ctypes.byref(info)))
        known = {name: getattr(info, name) for name, _ in _lib.ChannelInfo._fields_[1:]}
        for name, value in known.items():
            if isinstance(value, bytes):
                known[name] = value.decode("utf-8", "surrogateescape") or None
            elif value == -1:
                known[name] = None
        known["state"] = ChannelState(info.state)
        return known

