# SPDX-License-Identifier: MIT
"""What is written down here a second time is what the headers say: numbers of enums, and fields of structs."""

import os
import pathlib
import re
import unittest

from common import tofu
from tofu import _lib

HEADERS = pathlib.Path(os.environ.get("TOFU_HEADERS", pathlib.Path(__file__).resolve().parents[3] / "include/tofu"))


def text_of(name):
    return re.sub(r"/\*.*?\*/", "", (HEADERS / name).read_text(encoding="utf-8"), flags=re.S)


def enum_of(header, name):
    body = re.search(r"enum %s \{(.*?)\}" % name, text_of(header), re.S).group(1)
    return {key: int(value) for key, value in re.findall(r"(TOFU_\w+)\s*=\s*(\d+)", body)}


def fields_of(header, name):
    body = re.search(r"struct %s \{(.*?)\};" % name, text_of(header), re.S).group(1)
    return [field for line in body.split(";") for field in re.findall(r"(\w+)(?:\[\w+\])?\s*(?:,|$)", line.strip())]


class Numbers(unittest.TestCase):
    def test_enums(self):
        for ours, header, theirs, prefix in (
                (tofu.Status, "status.h", "tofu_status", "TOFU_"), (tofu.Opcode, "message.h", "tofu_opcode", "TOFU_"),
                (tofu.ChannelState, "engine.h", "tofu_channel_state", "TOFU_CHANNEL_"),
                (tofu.Poller, "engine.h", "tofu_poller_kind", "TOFU_POLLER_"), (tofu.IO, "engine.h", "tofu_io", "TOFU_IO_"),
                (tofu.LogLevel, "engine.h", "tofu_log_level", "TOFU_LOG_"),
                (tofu.Verify, "tls.h", "tofu_tls_verify", "TOFU_TLS_VERIFY_")):
            with self.subTest(theirs):
                self.assertEqual({prefix + member.name: member.value for member in ours}, enum_of(header, theirs))

    def test_structs(self):
        for ours, header, theirs in (
                (_lib.Header, "message.h", "tofu_header"), (_lib.TextHeader, "message.h", "tofu_text_header"),
                (_lib.Options, "engine.h", "tofu_options"), (_lib.Stats, "engine.h", "tofu_stats"),
                (_lib.ChannelInfo, "engine.h", "tofu_channel_info"), (_lib.TcpOptions, "tcp.h", "tofu_tcp_options"),
                (_lib.UnixOptions, "unix.h", "tofu_unix_options"), (_lib.TlsOptions, "tls.h", "tofu_tls_options")):
            with self.subTest(theirs):
                self.assertEqual([name for name, *_ in ours._fields_], fields_of(header, theirs))

    def test_a_status_of_a_newer_library_is_a_number(self):
        status = tofu.Status(200)
        self.assertEqual((status, status.name), (200, "STATUS_200"))


if __name__ == "__main__":
    unittest.main()
