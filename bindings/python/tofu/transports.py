# SPDX-License-Identifier: MIT
"""What carries the bytes. Each is loaded when it is first asked for, so a program has only those that it uses.

Engine(Tcp(), Unix(mode=0o660)) registers them. Options are those of tofu_tcp_options and its like; 0 and None are the defaults.
"""

import ctypes

from . import _lib
from .error import check
from .message import encode

_loaded = {}


def _library(name):
    if name not in _loaded:
        _loaded[name] = _lib.load(name)
    return _loaded[name]


class Transport:
    """An instance with its options; it lives as long as an engine, or this object, needs it."""

    def __init__(self, library, name, struct, options):
        lib = _library(library)
        create = getattr(lib, f"tofu_{name}_create")
        create.restype, create.argtypes = ctypes.c_int, (ctypes.POINTER(struct), ctypes.POINTER(ctypes.c_void_p))
        initialise = getattr(lib, f"tofu_{name}_options_init")
        initialise.restype, initialise.argtypes = None, (ctypes.POINTER(struct), ctypes.c_size_t)
        filled = struct()
        initialise(ctypes.byref(filled), ctypes.sizeof(filled))
        error = ctypes.create_string_buffer(400)
        if hasattr(filled, "error"):
            filled.error, filled.error_capacity = ctypes.cast(error, ctypes.c_char_p), len(error)
        for option, value in options.items():
            if option not in {field for field, *_ in struct._fields_} - {"size", "error", "error_capacity"}:
                raise TypeError(f"{type(self).__name__} has no option {option!r}")
            self._set(filled, option, value)
        self._pointer = ctypes.c_void_p()
        check(create(ctypes.byref(filled), ctypes.byref(self._pointer)), error.value.decode("utf-8", "replace") or None)

    @staticmethod
    def _set(filled, option, value):
        setattr(filled, option, encode(value) if isinstance(value, str) else value)

    def __del__(self, _destroy=_lib.core.tofu_transport_destroy):
        if getattr(self, "_pointer", None):
            _destroy(self._pointer)


class Tcp(Transport):
    """tofu-tcp(7): "tcp|HOST|PORT"."""

    def __init__(self, **options):
        super().__init__("tofu-tcp", "tcp", _lib.TcpOptions, options)


class Unix(Transport):
    """tofu-unix(7): "uds|PATH". allowed_uids and allowed_gids are sequences of numbers."""

    def __init__(self, **options):
        super().__init__("tofu-unix", "unix", _lib.UnixOptions, options)

    @staticmethod
    def _set(filled, option, value):
        if option in ("allowed_uids", "allowed_gids"):
            numbers = (ctypes.c_uint32 * len(value))(*value)
            setattr(filled, option, numbers)
            setattr(filled, option[:-1] + "_count", len(value))
        else:
            Transport._set(filled, option, value)


class Tls(Transport):
    """tofu-tls(7): "tls|HOST|PORT"."""

    def __init__(self, **options):
        super().__init__("tofu-tls", "tls", _lib.TlsOptions, options)


class Inproc:
    """tofu-inproc(7): "inproc|NAME". It has no options."""

    def __init__(self):
        get = _library("tofu-inproc").tofu_inproc
        get.restype, get.argtypes = ctypes.c_void_p, ()
        self._pointer = ctypes.c_void_p(get())
