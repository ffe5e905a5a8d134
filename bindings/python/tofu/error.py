# SPDX-License-Identifier: MIT
"""A status that is not OK is an exception."""

from . import _lib
from .status import Status


class Error(Exception):
    """A call of the library failed. status says why; detail is what the library adds for people, or None."""

    def __init__(self, status, detail=None):
        self.status = Status(status)
        self.detail = detail
        text = _lib.core.tofu_strerror(self.status).decode()
        super().__init__(f"{text}: {detail}" if detail else text)


class Timeout(Error, TimeoutError):
    """Nothing came in time."""


class WouldBlock(Error, BlockingIOError):
    """The channel's queue is full; a notice with Status.SEND_READY says when there is room."""


class Closed(Error, ConnectionError):
    """The channel, the group or the engine has ended."""


KINDS = {Status.TIMEOUT: Timeout, Status.WOULD_BLOCK: WouldBlock, Status.CHANNEL_CLOSED: Closed, Status.SHUTDOWN_STARTED: Closed,
         Status.PEER_DISCONNECTED: Closed}


def make(status, detail=None):
    return KINDS.get(status, Error)(status, detail)


def check(status, detail=None):
    """Raise what a status stands for, unless it is OK."""
    if status:
        raise make(status, detail)
