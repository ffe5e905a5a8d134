# SPDX-License-Identifier: MIT
"""The numbers of the library, as enumerations; tests/test_numbers.py compares them with the headers."""

import enum


class Status(enum.IntEnum):
    """What a call returned, or what became of a message or a channel: enum tofu_status."""

    OK = 0
    NOT_IMPLEMENTED_YET = 1
    WRONG_ADDRESS = 2
    NOT_ALLOWED = 3
    NULL_MESSAGE = 4
    INVALID_MESSAGE = 5
    INVALID_OP_CODE = 6
    INVALID_HEADERS_LEN = 7
    INVALID_BODY_LEN = 8
    INVALID_MORE_USAGE = 9
    INVALID_CHANNEL_NUMBER = 10
    INVALID_MCHN_GROUP = 11
    INVALID_MESSAGE_ID = 12
    INVALID_ADDRESS = 13
    UDS_PATH_NOT_FOUND = 14
    NOTIFICATION_DISABLED = 15
    NOTIFICATION_FAILED = 16
    PEER_DISCONNECTED = 17
    COMMUNICATION_FAILED = 18
    POOL_EMPTY = 19
    ALLOCATION_FAILED = 20
    RECEIVER_UPDATE = 21
    CHANNEL_CLOSED = 22
    SHUTDOWN_STARTED = 23
    CONNECT_FAILED = 24
    LISTEN_FAILED = 25
    ACCEPT_FAILED = 26
    SEND_FAILED = 27
    RECV_FAILED = 28
    SETSOCKOPT_FAILED = 29
    PROCESSING_FAILED = 30
    UNKNOWN_ERROR = 31
    TIMEOUT = 32
    NOT_INITIALIZED = 33
    WOULD_BLOCK = 34
    SEND_READY = 35
    PROTOCOL_VIOLATION = 36
    ADDRESS_IN_USE = 37
    HOST_NOT_FOUND = 38
    PATH_TOO_LONG = 39
    NOT_SUPPORTED = 40
    PERMISSION_DENIED = 41
    LIMIT_REACHED = 42
    INTERRUPTED = 43

    @classmethod
    def _missing_(cls, value):
        """A newer library may know more: a number that has no name here."""
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"STATUS_{value}"
        member._value_ = value
        return member


class Opcode(enum.IntEnum):
    """What a message is for: enum tofu_opcode."""

    REQUEST = 0
    RESPONSE = 1
    SIGNAL = 2
    HELLO_REQUEST = 3
    HELLO_RESPONSE = 4
    BYE_REQUEST = 5
    BYE_RESPONSE = 6
    BYE_SIGNAL = 7
    WELCOME_REQUEST = 8
    WELCOME_RESPONSE = 9


class ChannelState(enum.IntEnum):
    """What a channel is doing: enum tofu_channel_state."""

    RESOLVING = 0
    CONNECTING = 1
    LISTENING = 2
    OPEN = 3
    CLOSING = 4


class Poller(enum.IntEnum):
    """What an engine waits with: enum tofu_poller_kind."""

    AUTO = 0
    POLL = 1
    EPOLL = 2
    AFD = 3


class IO(enum.IntEnum):
    """Who does the I/O of an engine: enum tofu_io."""

    THREAD = 0
    CALLER = 1
    THREAD_ONLY = 2


class LogLevel(enum.IntEnum):
    """enum tofu_log_level"""

    ERROR = 0
    WARNING = 1
    INFO = 2


class Verify(enum.IntEnum):
    """Whose certificate has to be good: enum tofu_tls_verify."""

    DEFAULT = 0
    NONE = 1
    OPTIONAL = 2
    REQUIRED = 3
