# SPDX-License-Identifier: MIT
"""What is in every man page: each public type has a page that names all of it, each page its sections, the version of
configure.ac and references that lead somewhere, and each example compiles."""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

from man import TOP, examples, pages, read, section

SECTIONS = {
    "1": ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO", "HISTORY", "BUGS"],
    "3": ["NAME", "LIBRARY", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "EXAMPLES", "ERRORS", "SEE ALSO", "HISTORY", "BUGS"],
    "7": ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "DIAGNOSTICS", "SEE ALSO", "HISTORY", "BUGS"],
}
# What examples use without saying where it comes from.
PRELUDE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tofu/inproc.h>
#include <tofu/tcp.h>
#include <tofu/tls.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>
int example(tofu_engine *engine, tofu_group *group, tofu_msg *msg, uint16_t channel);
int example(tofu_engine *engine, tofu_group *group, tofu_msg *msg, uint16_t channel)
{{
	{{
{}
	}}
	return 0;
}}
"""

failures = []


def fail(what):
    print(f"FAIL: {what}")
    failures.append(what)


def page_of(name):
    """The file that "man 3 NAME" shows, or None."""
    try:
        led = re.match(r"\.so man[37]/(\S+)$", read(f"man/{name}.3").rstrip())
    except FileNotFoundError:
        return None
    return led.group(1) if led else f"{name}.3"


def code_of(header):
    return re.sub(r"/\*.*?\*/", " ", read(header), flags=re.S)


def types():
    """(how the synopsis writes it, its name, its members) of each type in the public headers."""
    code = "\n".join(code_of(path) for path in headers())
    for kind, name, body in re.findall(r"\b(struct|enum)\s+(tofu_\w+)\s*\{(.*?)\n?\};", code, re.S):
        members = re.findall(r"\bTOFU_\w+(?=\s*=)", body) if kind == "enum" else fields_of(body)
        yield f"{kind} {name}", name, members
    for what, name in sorted(set(re.findall(r"^typedef (struct (\w+)) \2;", code, re.M))):
        yield f"typedef {what} {name}", name, []
    for result, name, arguments in re.findall(r"^typedef ([\w ]+?) (\w+)\(([^;]*)\);", code, re.M):
        yield f"typedef {result} {name}({' '.join(arguments.split())})", name, []


def what_of(written):
    """How the description names a type."""
    return re.sub(r"^typedef .*?(\w+)\(.*", r"\1", written)


def fields_of(body):
    functions = re.findall(r"\(\*(\w+)\)\(", body)
    body = re.sub(r"\(\*\w+\)\s*\([^;]*\);", "", body)
    others = re.findall(r"(\w+)(?:\[\w+\])?\s*[,;]", body)
    return functions + others


def headers():
    return sorted(os.path.relpath(path, TOP) for path in glob.glob(os.path.join(TOP, "include/tofu/*.h")))


def constants():
    for path in headers():
        yield from re.findall(r"\b(TOFU_\w+)(?=\s*=|[ \t]+\")", code_of(path))


def judge_types(texts):
    found = 0
    for written, name, members in types():
        found += 1
        page = page_of(name)
        if page is None:
            fail(f"{written} has no page")
            continue
        text = texts.get(page, "")
        if not re.search(rf"^\.Nm {name}( ,)?$", section(text, "NAME"), re.M):
            fail(f"{page} does not name {name}")
        shown = [line.replace('"', "") for line in re.findall(r"^\.Vt (.*) ;$", section(text, "SYNOPSIS"), re.M)]
        if written not in shown:
            fail(f"{page} has no '.Vt {written} ;' in its synopsis")
        if page != f"{name}.3" and not re.search(rf"\bVt \"?{what_of(written)}\b", section(text, "DESCRIPTION")):
            fail(f"{page} describes {written} without naming it")
        for member in members:
            if name != "tofu_status" and not re.search(rf"(?<!\w){member}(?!\w)", section(text, "DESCRIPTION")):
                fail(f"{page} has no word about {member} of {written}")
    if found < 33:
        fail(f"only {found} types found in the headers: does this script read them still?")
    everything = "".join(texts.values())
    for name in constants():
        if not re.search(rf"(?<!\w){name}(?!\w)", everything):
            fail(f"no page says what {name} is")


def judge_sections(page, text):
    have = re.findall(r"^\.Sh (.*)$", text, re.M)
    for name in SECTIONS[page[-1]]:
        if name not in have:
            fail(f"{page} has no section {name}")


def judge_names(page, text):
    names = re.findall(r"^\.Nm (\S+)", section(text, "NAME"), re.M)
    for name in sorted({name for name in names if names.count(name) > 1}):
        fail(f"{page} names {name} twice")


def judge_version(page, text, version):
    if not re.search(rf"^\.Os tofu {re.escape(version)}$", text, re.M):
        fail(f"{page} is not of tofu {version}, which configure.ac says")
    if not re.search(r"\btofu \d+\.\d+\.\d+", section(text, "HISTORY")):
        fail(f"{page} does not say in HISTORY since when there is what it describes")


def judge_library(page, text):
    own = re.match(r"tofu-\w+(?=\.7$)", page)
    want = f"pkg-config --cflags --libs {own.group(0) if own else 'tofu'}"
    if page[-1] != "1" and want not in text:
        fail(f"{page} does not say '{want}'")


def judge_references(page, text):
    for name, number in re.findall(r"^\.Xr (tofu\S*) (\d)", text, re.M):
        target = f"{name}.{number}"
        if not os.path.exists(os.path.join(TOP, "man", target)):
            fail(f"{page} refers to {name}({number}), which is no page")
        elif target == page:
            fail(f"{page} refers to itself")


def judge_start(texts):
    """Who starts at tofu(7) finds all others at its end."""
    told = re.findall(r"^\.Xr (\S+) (\d)", section(texts["tofu.7"], "SEE ALSO"), re.M)
    for page in sorted(texts.keys() - {"tofu.7"} - {f"{name}.{number}" for name, number in told}):
        fail(f"tofu.7 does not lead to {page}")


def judge_history(texts):
    """A function of a later node of lib/*.sym says since when it is there."""
    for path in glob.glob(os.path.join(TOP, "lib/*.sym")):
        for release, body in re.findall(r"^\w+_(\d+\.\d+) \{(.*?)^\}", read(path), re.S | re.M):
            for name in re.findall(r"^\t(tofu_\w+);", body, re.M):
                history = section(texts.get(page_of(name), ""), "HISTORY")
                since = re.search(rf"\btofu {release}\.\d", history)
                if since is None or release != "0.1" and name not in history:
                    fail(f"{page_of(name)}: HISTORY does not say that {name} is there since tofu {release}")


def judge_examples(page, text):
    compiler = shlex.split(os.environ.get("CC", "cc"))
    for number, (left, block) in enumerate(examples(text), 1):
        whole = "#include" in block
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write(block if whole else PRELUDE.format(block))
            file.flush()
            result = subprocess.run(
                [*compiler, "-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fsyntax-only",
                 f"-I{os.path.join(TOP, 'include')}", file.name],
                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            fail(f"{page}: example {number} does not compile:\n{result.stderr}")
        if any(left + len(line.expandtabs()) > 80 for line in block.splitlines()):
            fail(f"{page}: example {number} is wider than 80 columns")


def judge_reports(texts):
    """tofu(7) has the address for reports that configure.ac has, or none."""
    package = re.search(r"^AC_INIT\((.*?)\)$", read("configure.ac"), re.M | re.S).group(1)
    arguments = re.findall(r"\[(.*?)\]", package)
    want = [address for address in arguments[2:3] if address]
    told = re.findall(r"^\.(?:Mt|Lk) (\S+)", section(texts["tofu.7"], "BUGS"), re.M)
    if told != want:
        fail(f"tofu.7 has {told} for reports, configure.ac {want}")
    return arguments[1]


def judge_makefile():
    listed = set(re.findall(r"^\t(man/\S+) \\$", read("Makefile.am"), re.M))
    there = {os.path.relpath(path, TOP) for path in glob.glob(os.path.join(TOP, "man/*.[137]"))}
    for path in sorted(there ^ listed):
        fail(f"{path} is in one of man/ and Makefile.am only")


def main():
    texts = pages()
    version = judge_reports(texts)
    judge_types(texts)
    judge_start(texts)
    judge_history(texts)
    judge_makefile()
    for page, text in texts.items():
        judge_names(page, text)
        judge_sections(page, text)
        judge_version(page, text, version)
        judge_library(page, text)
        judge_references(page, text)
        judge_examples(page, text)
    return 1 if failures else 0


sys.exit(main())
