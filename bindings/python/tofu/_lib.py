# SPDX-License-Identifier: MIT
"""libtofu and its transports, as ctypes sees them: the libraries, the structs, and a prototype for each function that is used.

ctypes releases the interpreter's lock while a function runs, so a thread that waits in the library stops no other.
"""

import ctypes
import ctypes.util
import os
import sys
from ctypes import (CFUNCTYPE, POINTER, c_char, c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_uint8, c_uint16, c_uint32,
                    c_uint64, c_void_p)

NAME = "lib{}-0.dll" if sys.platform == "win32" else "lib{}.dylib" if sys.platform == "darwin" else "lib{}.so.0"


def load(name):
    """A library by its name without "lib". TOFU_LIBRARY_PATH, directories as in PATH, comes first. OSError: it is not there."""
    for directory in filter(None, os.environ.get("TOFU_LIBRARY_PATH", "").split(os.pathsep)):
        path = os.path.join(directory, NAME.format(name))
        if os.path.exists(path):
            return ctypes.CDLL(path)
    return ctypes.CDLL(NAME.format(name))


class Header(ctypes.Structure):
    """struct tofu_header"""

    _fields_ = [("id", c_uint64), ("channel", c_uint16), ("opcode", c_uint8), ("origin", c_uint8), ("more", c_uint8),
                ("status", c_uint8), ("reason", c_uint8)]


class TextHeader(ctypes.Structure):
    """struct tofu_text_header"""

    _fields_ = [("name", c_void_p), ("name_len", c_size_t), ("value", c_void_p), ("value_len", c_size_t)]


LogFunction = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class Options(ctypes.Structure):
    """struct tofu_options"""

    _fields_ = [("size", c_size_t), ("pool_initial", c_uint32), ("pool_max", c_uint32), ("max_channels", c_uint32),
                ("send_queue_max", c_uint32), ("send_queue_max_bytes", c_uint64), ("handshake_timeout_ms", c_uint32),
                ("idle_timeout_ms", c_uint32), ("poller", c_int), ("log", LogFunction), ("log_context", c_void_p),
                ("channel_share_percent", c_uint32), ("bye_timeout_ms", c_uint32), ("io", c_int), ("unheard_max", c_uint32),
                ("peer_connections_max", c_uint32), ("receive_timeout_ms", c_uint32)]


class Stats(ctypes.Structure):
    """struct tofu_stats"""

    _fields_ = ([("size", c_size_t)]
                + [(name, c_uint64) for name in (
                    "messages_sent", "messages_received", "bytes_sent", "bytes_received", "messages_returned", "frames_refused",
                    "wakeups", "polls_for_reading", "sends", "receives", "pool_hits", "pool_misses", "pool_free", "messages_out")]
                + [(name, c_uint32) for name in (
                    "channels_resolving", "channels_connecting", "channels_listening", "channels_accepted", "channels_open",
                    "channels_closing")]
                + [(name, c_uint64) for name in ("bytes_kept", "callers_refused", "callers_displaced")])


class ChannelInfo(ctypes.Structure):
    """struct tofu_channel_info"""

    _fields_ = ([("size", c_size_t), ("local", c_char * 520), ("peer", c_char * 520), ("identity", c_char * 256)]
                + [(name, c_int64) for name in ("uid", "gid", "pid")]
                + [(name, c_uint64) for name in (
                    "messages_sent", "messages_received", "bytes_sent", "bytes_received", "messages_queued", "bytes_queued",
                    "messages_held")]
                + [(name, c_int64) for name in ("opened_ago_ns", "sent_ago_ns", "received_ago_ns")]
                + [("state", c_int)])


class TcpOptions(ctypes.Structure):
    """struct tofu_tcp_options"""

    _fields_ = [("size", c_size_t), ("scheme", c_char_p), ("backlog", c_uint32), ("share_port", c_uint32),
                ("only_ipv6", c_uint32), ("dead_after_ms", c_uint32), ("source", c_char_p), ("allow", c_char_p),
                ("interface_name", c_char_p)]


class UnixOptions(ctypes.Structure):
    """struct tofu_unix_options"""

    _fields_ = [("size", c_size_t), ("scheme", c_char_p), ("backlog", c_uint32), ("mode", c_uint32), ("owner", c_char_p),
                ("group", c_char_p), ("allowed_uids", POINTER(c_uint32)), ("allowed_uid_count", c_size_t),
                ("allowed_gids", POINTER(c_uint32)), ("allowed_gid_count", c_size_t)]


class TlsOptions(ctypes.Structure):
    """struct tofu_tls_options"""

    _fields_ = [("size", c_size_t), ("scheme", c_char_p), ("over", c_void_p), ("certificate_file", c_char_p),
                ("certificate", c_char_p), ("key_file", c_char_p), ("key", c_char_p), ("key_password", c_char_p),
                ("ca_file", c_char_p), ("ca_directory", c_char_p), ("ca", c_char_p), ("verify_server", c_uint32),
                ("verify_client", c_uint32), ("name", c_char_p), ("fingerprint", c_char_p), ("tls12", c_uint32),
                ("no_resumption", c_uint32), ("error", c_char_p), ("error_capacity", c_size_t)]


core = load("tofu")

# A pointer is an int or None to ctypes. c_void_p as a result is that already.
MESSAGE = ENGINE = GROUP = TRANSPORT = c_void_p

for name, result, arguments in (
        ("tofu_init", c_int, ()),
        ("tofu_deinit", None, ()),
        ("tofu_version", c_char_p, ()),
        ("tofu_status_name", c_char_p, (c_int,)),
        ("tofu_strerror", c_char_p, (c_int,)),
        ("tofu_opcode_name", c_char_p, (c_int,)),
        ("tofu_options_init", None, (POINTER(Options), c_size_t)),
        ("tofu_engine_create", c_int, (POINTER(Options), POINTER(ENGINE))),
        ("tofu_engine_destroy", None, (ENGINE,)),
        ("tofu_engine_register", c_int, (ENGINE, TRANSPORT)),
        ("tofu_engine_run", c_int, (ENGINE, c_int64)),
        ("tofu_engine_pollable", c_int, (ENGINE, POINTER(c_ssize_t))),
        ("tofu_engine_timeout", c_int64, (ENGINE,)),
        ("tofu_engine_stats", c_int, (ENGINE, POINTER(Stats))),
        ("tofu_address_fault", c_char_p, (ENGINE, c_char_p, c_int)),
        ("tofu_transport_destroy", None, (TRANSPORT,)),
        ("tofu_group_create", c_int, (ENGINE, POINTER(GROUP))),
        ("tofu_group_destroy", c_int, (GROUP,)),
        ("tofu_post", c_int, (GROUP, POINTER(MESSAGE), POINTER(Header))),
        ("tofu_receive", c_int, (GROUP, POINTER(MESSAGE), c_int64)),
        ("tofu_receive_many", c_int, (GROUP, POINTER(MESSAGE), c_size_t, POINTER(c_size_t), c_int64)),
        ("tofu_channel_inspect", c_int, (GROUP, c_uint16, POINTER(ChannelInfo))),
        ("tofu_group_interrupt", c_int, (GROUP,)),
        ("tofu_update_receiver", c_int, (GROUP, POINTER(MESSAGE))),
        ("tofu_group_drain", c_int, (GROUP, c_int64)),
        ("tofu_group_pollable", c_int, (GROUP, POINTER(c_ssize_t))),
        ("tofu_next_id", c_uint64, ()),
        ("tofu_msg_get", c_int, (ENGINE, c_int, POINTER(MESSAGE))),
        ("tofu_msg_put", None, (POINTER(MESSAGE),)),
        ("tofu_msg_clone", c_int, (MESSAGE, POINTER(MESSAGE))),
        ("tofu_msg_share", c_int, (MESSAGE, POINTER(MESSAGE))),
        ("tofu_msg_check", c_int, (MESSAGE,)),
        ("tofu_msg_reset", None, (MESSAGE,)),
        ("tofu_msg_header", POINTER(Header), (MESSAGE,)),
        ("tofu_msg_headers_add", c_int, (MESSAGE, c_char_p, c_char_p)),
        ("tofu_msg_headers_remove", c_size_t, (MESSAGE, c_char_p)),
        ("tofu_msg_headers_clear", None, (MESSAGE,)),
        ("tofu_msg_headers_next", c_size_t, (MESSAGE, c_size_t, POINTER(TextHeader))),
        ("tofu_msg_body_set", c_int, (MESSAGE, c_char_p, c_size_t)),
        ("tofu_msg_body_append", c_int, (MESSAGE, c_char_p, c_size_t)),
        ("tofu_msg_body", c_void_p, (MESSAGE, POINTER(c_size_t))),
        ("tofu_msg_connect_to", c_int, (MESSAGE, c_char_p)),
        ("tofu_msg_listen_on", c_int, (MESSAGE, c_char_p))):
    function = getattr(core, name)
    function.restype, function.argtypes = result, arguments
