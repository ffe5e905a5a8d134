# SPDX-License-Identifier: MIT
"""The tools as processes, of this system or of Windows: where they are, what runs them, and how they are stopped.

The environment is what `make check` sets: EXEEXT is .exe for programs for Windows, RUNNER is what runs those here,
TOP_BUILDDIR is where they are (.). On Windows itself there is no RUNNER, and no signal to stop a program with.
"""

import atexit
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

FOREIGN = bool(os.environ.get("EXEEXT"))  # a program for Windows
RUNNER = os.environ.get("RUNNER", "").split()  # what runs it here
STOP = signal.SIGINT if FOREIGN else signal.SIGTERM  # Wine makes a Ctrl-C of the one, the other ends it
TOP = os.environ.get("TOP_BUILDDIR", ".")

if FOREIGN and not RUNNER:  # so this comes before anything that Windows has not
    print("skipped: the programs are stopped by signals, which Windows has none of")
    sys.exit(77)

import pty


def program(name):
    """tofu-echo: $TOFU_ECHO, or the one that was built."""
    built = pathlib.Path(TOP, "tools", name + os.environ.get("EXEEXT", ""))
    # Of shared libraries libtool's program is one that starts another process.
    inner = built.parent / ".libs" / built.name
    if FOREIGN and inner.exists():
        built = inner
    return os.environ.get(name.upper().replace("-", "_"), str(built))


def command(name):
    """What runs it, as the start of a list of arguments."""
    return [*RUNNER, program(name)]


def innermost(pid):
    """The program that runs in the end, of those that only run another."""
    while children := pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
    return pid


def pid_of(process):
    return innermost(process.pid) if FOREIGN else process.pid


def ask(process, how=STOP):
    """Send the program a signal; what runs it would pass it on twice, or leave the program behind."""
    if process.poll() is not None:
        return
    try:
        os.kill(pid_of(process), how)
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        pass


def kill(process):
    ask(process, signal.SIGKILL)


def keep_wine():
    """Until this script ends. With no program left Wine's server ends, and the next one waits for seconds for a new one.

    What the first program starts inherits its outputs, too: nobody is to wait for the ends of these.
    """
    process = subprocess.Popen([*command("tofu-echo"), "serve", "tcp|127.0.0.1|0"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if line.startswith("skipped"):
        print(line, end="")
        sys.exit(77)

    def end():
        kill(process)
        process.stdout.close()  # not read to its end: Wine's own programs have it, too
        process.wait()

    atexit.register(end)


def find(path):
    """Where the file is that a program calls so, or None."""
    if not path.startswith("C:\\"):
        return pathlib.Path(path) if os.path.lexists(path) else None
    tail = path.removeprefix("C:\\").replace("\\", "/")
    for drive in pathlib.Path(TOP).glob("wine/*/0/drive_c"):  # see tests/cross/wine
        if os.path.lexists(drive / tail):
            return drive / tail
    return None


def connect_unix(one, path):
    """Where Wine has drive C: is a path too long for an address: by way of its directory."""
    if not path.startswith("C:\\"):
        one.connect(path)
        return
    file = find(path)
    if file is None:
        raise FileNotFoundError(path)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        one.connect(f"/proc/self/fd/{directory}/{file.name}")
    finally:
        os.close(directory)


def why_no_unix_sockets():
    """A Wine may know nothing of them. None: it does."""
    if not FOREIGN:
        return None
    # Nobody listens there. A system that knows the sockets says so; one that does not, says that.
    r = subprocess.run([*command("tofu-echo"), "call", "uds|/nonexistent/socket"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=120)
    return "this Wine has no Unix sockets" if "does not support it" in r.stderr else None


if FOREIGN:
    keep_wine()
NO_UNIX = why_no_unix_sockets()


ANYWHERE = "tcp|127.0.0.1|0" if NO_UNIX else "uds|"  # to listen on, where it does not matter


def why_not_over(transport):
    """None: tests over it are not left out."""
    only = os.environ.get("TOFU_TEST_OVER")
    if only and only != transport:
        return "TOFU_TEST_OVER names another"
    return NO_UNIX if transport == "uds" else None


def over(transport):
    """What is decorated with it is left out where its transport is."""
    why_not = why_not_over(transport)
    return unittest.skipIf(why_not is not None, why_not)


def transports(case, *within_one_process):
    """The names of those that there are; what a test leaves out is said."""
    for transport in "tcp", "uds", *within_one_process:
        why_not = why_not_over(transport)
        if why_not is None:
            yield transport
            continue
        with case.subTest(transport=transport):
            case.skipTest(why_not)


def listeners(case):
    """Addresses to listen on, one of each transport."""
    return [{"tcp": "tcp|127.0.0.1|0", "uds": "uds|"}[transport] for transport in transports(case)]


def terminal(case):
    """Both ends of one, ours first."""
    try:
        return pty.openpty()
    except OSError as error:
        case.skipTest(f"no terminal to be had: {error}")


def as_shown(written):
    """What a terminal was written to, as text. Wine's console draws what a program for Windows writes, by moves of the cursor."""
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written.replace(b"\x1b[K\x1b[1C", b" "))


class Runner(unittest.TextTestRunner):
    def run(self, test):
        result = super().run(test)
        for left_out, why in result.skipped:
            print(f"skipped: {left_out.id().removeprefix('__main__.')}: {why}")
        return result


def main(verbosity=1):
    """Run the script's tests, and say of each that is left out, why."""
    unittest.main(testRunner=Runner, verbosity=verbosity)
