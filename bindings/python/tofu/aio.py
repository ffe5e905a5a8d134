# SPDX-License-Identifier: MIT
"""Groups for asyncio.

    async with tofu.aio.Group(engine) as group:
        channel = await group.connect("tcp|127.0.0.1|4000")
        response = await group.call(engine.message("What is tofu?", channel=channel))
        async for message in group:
            ...

The loop reads the group for all tasks. The answer to a call(), connect() or listen() goes to the task that waits for it. All other
messages go to receive() and async for, in order. Use a group from the loop's thread only; interrupt() and update() may be called from
any thread.
"""

import asyncio
import collections
import sys
import threading

from . import engine as _engine
from .error import Error, make
from .status import Opcode, Status

ANSWERS = {Opcode.RESPONSE, Opcode.HELLO_RESPONSE, Opcode.BYE_RESPONSE, Opcode.WELCOME_RESPONSE}


class Group(_engine.Group):
    """A mailbox whose messages come by asyncio. Made where a loop runs. async with closes it."""

    READ_AT_ONCE = 256  # then the loop has its turn

    def __init__(self, engine):
        super().__init__(engine)
        self._loop = asyncio.get_running_loop()
        self._arrived = collections.deque()
        self._receivers = collections.deque()
        self._calls = {}  # (channel, id) to the future of the answer
        self._room = {}  # channel to the futures of tasks that wait for room
        self._ended = None  # what a task that waits for more gets
        self._watch()

    # --- the group's descriptor, or on Windows a thread that waits ---

    def _watch(self):
        self._fd = None
        if sys.platform != "win32":
            self._fd = self.pollable()
            self._loop.add_reader(self._fd, self._read)
            return
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._go_on = threading.Event()
        self._thread.start()

    def _wait(self):
        while True:
            try:
                batch = super().receive_many(self.READ_AT_ONCE)
            except Error as error:
                batch = error
            try:
                self._loop.call_soon_threadsafe(self._take, batch)
            except RuntimeError:  # the loop has ended
                return
            if isinstance(batch, Error) and batch.status == Status.SHUTDOWN_STARTED:
                return

    def _read(self):
        try:
            self._take(super().receive_many(self.READ_AT_ONCE, 0))
        except Error as error:
            self._take(error)

    def _take(self, batch):
        if isinstance(batch, Error):
            if batch.status == Status.SHUTDOWN_STARTED:
                self._end(batch)
            return
        for msg in batch:
            self._dispatch(msg)

    # --- who gets a message ---

    def _dispatch(self, msg):
        key = msg.channel, msg.id
        if msg.is_notice and msg.status == Status.SEND_READY:
            for waiter in self._room.pop(msg.channel, ()):
                resolve(waiter, None)
        if msg.is_last_word:
            self._forget(msg.channel, msg.reason)
        elif key in self._calls and (msg.opcode in ANSWERS or msg.is_notice) and not msg.more:
            resolve(self._calls.pop(key), msg)
            return
        while self._receivers:
            receiver = self._receivers.popleft()
            if not receiver.done():
                receiver.set_result(msg)
                return
        self._arrived.append(msg)

    def _forget(self, channel, reason):
        """The channel has ended: nobody answers there any more."""
        for key in [key for key in self._calls if key[0] == channel]:
            fail(self._calls.pop(key), make(reason if reason else Status.CHANNEL_CLOSED))
        for waiter in self._room.pop(channel, ()):
            fail(waiter, make(Status.CHANNEL_CLOSED))

    def _end(self, error):
        if self._ended is not None:
            return
        self._ended = error
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
        for future in [*self._calls.values(), *self._receivers, *(w for waiters in self._room.values() for w in waiters)]:
            fail(future, error)
        self._calls.clear()
        self._receivers.clear()
        self._room.clear()

    def close(self):
        if getattr(self, "_pointer", None) and hasattr(self, "_calls") and not self._loop.is_closed():
            self._end(make(Status.SHUTDOWN_STARTED))
        super().close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    # --- what a program does ---

    async def receive(self, timeout=None):
        """The next message that answers no call. Raises Timeout, Closed."""
        if self._arrived:
            return self._arrived.popleft()
        if self._ended is not None:
            raise self._ended
        future = self._loop.create_future()
        self._receivers.append(future)
        try:
            return await limited(future, timeout)
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._arrived.appendleft(future.result())  # it came while we were canceled: not lost
            raise

    async def __aiter__(self):
        while True:
            try:
                yield await self.receive()
            except Error as error:
                if error.status != Status.SHUTDOWN_STARTED:
                    raise
                return

    async def post(self, msg):
        """As tofu.Group.post(), and waits while the channel's queue is full."""
        while True:
            try:
                return super().post(msg)
            except Error as error:
                if error.status != Status.WOULD_BLOCK:
                    raise
            future = self._loop.create_future()
            self._room.setdefault(msg.channel, []).append(future)
            await future

    async def call(self, msg, timeout=None):
        """Post a request and wait for the message that answers it, whole. An answer in several messages is not for this: receive()
        them. Raises what status the engine gives a request back with, or what ended the channel."""
        if msg.id == 0:
            msg.id = _engine.core.tofu_next_id()
        future = self._loop.create_future()
        key = msg.channel, msg.id
        if key in self._calls:
            raise make(Status.INVALID_MESSAGE_ID, "a call with that id waits already")
        self._calls[key] = future
        try:
            await self.post(msg)
            answer = await limited(future, timeout)
        finally:
            if self._calls.get(key) is future:
                del self._calls[key]
        if answer.status:
            raise make(answer.status, answer.get("~detail"))
        return answer

    async def _begin(self, msg, timeout):
        """The channel is chosen by the post, and the answer may be here before it returns to us: nothing is read in between."""
        channel, number = super().post(msg)
        future = self._calls[channel, number] = self._loop.create_future()
        try:
            answer = await limited(future, timeout)
        finally:
            self._calls.pop((channel, number), None)
        if answer.status:
            raise make(answer.status, answer.get("~detail"))
        return channel, answer

    async def connect(self, address, headers=(), timeout=None):
        """Say hello, and wait for the answer. Returns the channel."""
        msg = self._engine.message().connect_to(address)
        for name, value in headers:
            msg.add(name, value)
        return (await self._begin(msg, timeout))[0]

    async def listen(self, address, timeout=None):
        """Listen. Returns the channel and the address, with the port or the path that was chosen."""
        channel, answer = await self._begin(self._engine.message().listen_on(address), timeout)
        return channel, answer.get("~listen_on")

    async def bye(self, channel, timeout=None):
        """End a channel when all that was posted on it is sent; returns when the peer has answered."""
        await self.call(self._engine.message(channel=channel, opcode=Opcode.BYE_REQUEST), timeout)

    async def send(self, channel, body, *, opcode=Opcode.REQUEST, id=0, headers=()):
        """Make a message and post it. Returns its id."""
        msg = self._engine.message(body, channel=channel, opcode=opcode, id=id)
        for name, value in headers:
            msg.add(name, value)
        return (await self.post(msg))[1]

    def hang_up(self, channel):
        """End a channel at once."""
        super().post(self._engine.message(channel=channel, opcode=Opcode.BYE_SIGNAL))

    async def drain(self, timeout=None):
        """Wait until all that was posted is sent or given back. A thread of the loop's executor waits."""
        await self._loop.run_in_executor(None, super().drain, timeout)


def resolve(future, result):
    if not future.done():
        future.set_result(result)


def fail(future, error):
    if not future.done():
        future.set_exception(error)


async def limited(future, timeout):
    """The future's result, or Timeout."""
    try:
        return await (future if timeout is None else asyncio.wait_for(future, timeout))
    except asyncio.TimeoutError:
        if future.done() and not future.cancelled() and future.exception() is not None:
            raise
        raise make(Status.TIMEOUT) from None
