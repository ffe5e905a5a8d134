# SPDX-License-Identifier: MIT
"""tofu moves messages between programs; this is libtofu for Python.

    import tofu

    with tofu.Engine(tofu.Tcp()) as engine, engine.group() as group:
        channel = group.connect("tcp|127.0.0.1|4000")
        for message in group:
            ...

tofu.aio has groups for asyncio. tofu(7) tells what messages are for, and what comes when.
"""

from . import _lib
from .engine import Engine, Group
from .error import Closed, Error, Timeout, WouldBlock
from .message import Message
from .status import IO, ChannelState, LogLevel, Opcode, Poller, Status, Verify
from .transports import Inproc, Tcp, Tls, Unix

__all__ = ["IO", "ChannelState", "Closed", "Engine", "Error", "Group", "Inproc", "LogLevel", "Message", "Opcode", "Poller",
           "Status", "Tcp", "Timeout", "Tls", "Unix", "Verify", "WouldBlock", "next_id", "version"]


def version():
    """That of the library: "0.1.0"."""
    return _lib.core.tofu_version().decode()


def next_id():
    """An id that no other message of this process has."""
    return _lib.core.tofu_next_id()
