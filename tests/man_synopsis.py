# SPDX-License-Identifier: MIT
"""The synopses of the man pages are the prototypes of the headers, names of parameters included."""

import glob
import os
import re
import sys

TOP = os.environ.get("TOP_SRCDIR", ".")


def plain(text):
    """One spelling of a prototype: single blanks, none beside punctuation."""
    return re.sub(r"\s*([*,()])\s*", r"\1", " ".join(text.split()))


def declared():
    """name -> prototype, of every function in the public headers."""
    found = {}
    for path in glob.glob(os.path.join(TOP, "include/tofu/*.h")):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/|^\s*#[^\n]*", "", file.read(), flags=re.S | re.M)
        for prototype in re.findall(r"^([a-z][\w *]*\btofu_\w+\([^;{}]*\));", text, re.M):
            if not prototype.startswith("typedef"):
                found[re.search(r"(tofu_\w+)\(", prototype).group(1)] = plain(prototype)
    return found


def described():
    """name -> prototype, of every .Ft with the .Fn or .Fo after it."""
    found = {}
    for path in glob.glob(os.path.join(TOP, "man/*.[37]")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for kind, name, same_line, lines in re.findall(
            r"^\.Ft (.*)\n\.F[no] (\w+)(.*)\n((?:\.Fa .*\n)*)", text, re.M
        ):
            arguments = re.findall(r'"([^"]*)"', same_line + lines) or same_line.split()
            found[name] = plain(f"{kind} {name}({', '.join(arguments)})")
    return found


def main():
    want, got = declared(), described()
    if len(want) < 49:
        print(f"FAIL: only {len(want)} functions found in the headers: does this script read them still?")
        return 1
    wrong = [name for name in sorted(want.keys() | got.keys()) if want.get(name) != got.get(name)]
    for name in wrong:
        print(f"FAIL: {name}\n  header:   {want.get(name, 'none')}\n  man page: {got.get(name, 'none')}")
    return 1 if wrong else 0


sys.exit(main())
