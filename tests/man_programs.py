# SPDX-License-Identifier: MIT
"""The two programs of tofu(7) build against the installed tree and do what the page says. Over a Unix socket: a port may be
somebody else's."""

import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from man import examples, pages

STAGE = os.environ["STAGE"]
LIB = STAGE + os.environ["LIBDIR"]
TOLD = {**os.environ, "PKG_CONFIG_LIBDIR": f"{LIB}/pkgconfig", "PKG_CONFIG_PATH": "", "PKG_CONFIG_SYSROOT_DIR": STAGE,
        "LD_LIBRARY_PATH": LIB}

if os.environ.get("EXEEXT"):
    print("skipped: the programs are stopped by a signal and call a Unix socket, which Windows has not")
    sys.exit(77)
if not os.environ.get("PKG_CONFIG"):
    print("skipped: no pkg-config")
    sys.exit(77)


def build(code, program):
    """As the page says, but for the address."""
    flags = subprocess.run([os.environ["PKG_CONFIG"], "--static", "--cflags", "--libs", "tofu-unix"], env=TOLD, check=True,
                           capture_output=True, text=True).stdout
    source = program.with_suffix(".c")
    address = f"uds|{program.parent}/socket"
    for page, here in (("tcp|127.0.0.1|7099", address), ("tofu/tcp.h", "tofu/unix.h"), ("tofu_tcp()", "tofu_unix()")):
        assert page in code, f"no {page} in {program.name}"
        code = code.replace(page, here)
    source.write_text(code, encoding="utf-8")
    subprocess.run([*shlex.split(os.environ["CC"]), *shlex.split(os.environ.get("SANITIZER_FLAGS", "")), "-o", program, source,
                    *shlex.split(flags)], check=True)


def listens(path):
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


class Programs(unittest.TestCase):
    def test_that_one_asks_and_the_other_answers_until_it_is_interrupted(self):
        answer, ask = [code for _, code in examples(pages()["tofu.7"]) if "#include" in code]
        with tempfile.TemporaryDirectory() as directory:
            at = pathlib.Path(directory)
            build(answer, at / "answer")
            build(ask, at / "ask")
            with subprocess.Popen([at / "answer"], env=TOLD, stderr=subprocess.PIPE) as server:
                try:
                    end = time.monotonic() + 60
                    while not listens(at / "socket") and server.poll() is None and time.monotonic() < end:
                        time.sleep(0.01)
                    for _ in range(2):
                        client = subprocess.run([at / "ask"], env=TOLD, timeout=60, check=False, capture_output=True)
                        self.assertEqual((client.returncode, client.stdout, client.stderr), (0, b"What is tofu?\n", b""))
                    server.send_signal(signal.SIGINT)
                    said = server.communicate(timeout=60)[1]
                    self.assertEqual((server.returncode, said), (0, b""))
                finally:
                    server.kill()


unittest.main()
