# SPDX-License-Identifier: MIT
"""What README.md and docs/ show is so.

A block of C is one of three things: a part of a program in examples/, to the letter; a whole program, which compiles; or a fragment,
which compiles in the frame below. If the paragraph before it links to a program, it is a part of that one. A block of shell has the
syntax of one, and what it names of this tree is there: files, packages for pkg-config, targets of make, options of configure and of
our programs. Each fence says what it holds, and each link leads to a file that is there, and to a heading that it has. A page of
the guide opens with whom it is for and what they can do after it, and each example is on one of them.
"""

import glob
import os
import re
import shlex
import subprocess
import sys

TOP = os.environ.get("TOP_SRCDIR", ".")
CC = shlex.split(os.environ.get("CC", "cc"))
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(TOP, "include"), "-fsyntax-only", "-x", "c", "-"]
README_MAX = 160
LANGUAGES = ("c", "sh", "text")

# What a fragment may take for granted.
FRAME = """
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tofu/inproc.h>
#include <tofu/tcp.h>
#include <tofu/tls.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>
void must(enum tofu_status status, const char *what);
void fragment(tofu_engine *engine, tofu_group *group, tofu_msg *msg, uint16_t channel, const char *address);
void fragment(tofu_engine *engine, tofu_group *group, tofu_msg *msg, uint16_t channel, const char *address)
{
	(void)engine, (void)group, (void)msg, (void)channel, (void)address;
#line %d "%s"
%s}
"""

failures = 0


def fail(where, what):
    global failures
    failures += 1
    print(f"FAIL: {where}: {what}")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def names(pattern):
    return sorted(os.path.relpath(path, TOP) for path in glob.glob(os.path.join(TOP, pattern), recursive=True))


def split(path):
    """The fenced blocks, as (line number of the first line, language, paragraph before, text); and the text without them."""
    blocks, prose, block = [], [], None
    for number, line in enumerate(read(path).splitlines(keepends=True), 1):
        fence = re.match(r"\s*```+\s*(\S*)\s*$", line)
        if fence and block is None:
            before = "".join(prose).rstrip().rsplit("\n\n", 1)[-1]
            block = [number + 1, fence.group(1), before, ""]
        elif fence:
            blocks.append(tuple(block))
            block = None
        elif block is not None:
            block[3] += line
            prose.append("\n")
        else:
            prose.append(line)
    if block is not None:
        fail(f"{path}:{block[0] - 1}", "this block has no end")
    return blocks, "".join(prose)


def stands_in(text, program):
    """Whole lines, as they are or all moved to the left by as many tabs."""
    wanted = text.splitlines()
    lines = read(program).splitlines()
    for at in range(len(lines) - len(wanted) + 1):
        for tabs in range(3):
            moved = ["\t" * tabs + line if line else "" for line in wanted]
            if lines[at : at + len(wanted)] == moved:
                return True
    return False


def compiles(text, where):
    done = subprocess.run(CC + FLAGS, input=text, text=True, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        fail(where, "this C does not compile\n" + done.stderr)


def check_c(path, number, before, text):
    where = f"{path}:{number}"
    named = re.findall(r"\((?:\.\./)*(examples/\w+\.c)\)", before)
    if named:
        if not is_there(named[-1]) or not stands_in(text, named[-1]):
            fail(where, f"this is no part of {named[-1]}")
    elif any(stands_in(text, program) for program in names("examples/*.c")):
        pass
    elif re.search(r"^int main\(", text, re.M):
        compiles(f'#line {number} "{path}"\n{text}', where)
    else:
        compiles(FRAME % (number, path, text), where)


def is_there(path):
    """A file of the tree; a program that is built from one; or what the tree makes."""
    return any(os.path.exists(os.path.join(TOP, name)) for name in (path, path + ".c", path + ".ac"))


def check_sh(path, number, text):
    where = f"{path}:{number}"
    done = subprocess.run(["sh", "-n"], input=text, text=True, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        fail(where, "this is no shell\n" + done.stderr)
    for name in re.findall(r"(?<![\w/.])(?:\./)?((?:examples|tests|tools|bench|packaging|docs|man)/[\w./-]+)", text):
        if not is_there(name):
            fail(where, f"there is no {name}")
    for name in re.findall(r"(?<![\w.])\./([\w-]+)", text):
        if not is_there(name) and not is_there(f"examples/{name}") and f"-o {name} " not in text:
            fail(where, f"there is no ./{name}")
    for line in re.findall(r"pkg-config[^)\n]*", text):
        for name in re.findall(r"(?<=[ ])tofu[\w-]*", line):
            if not is_there(f"lib/{name}.pc.in"):
                fail(where, f"there is no package {name}")
    makefile = read("Makefile.am")
    for target in re.findall(r"\bmake(?: +-\S+)* +([a-z][\w-]*)(?= *(?:$|[&;#]))", text, re.M):
        if target not in ("check", "install", "dist") and not re.search(rf"^{target}:", makefile, re.M):
            fail(where, f"there is no make {target}")
    configure = "".join(read(name) for name in ["configure.ac"] + names("m4/*.m4"))
    for option in re.findall(r"configure\b[^&\n]*", text):
        for name in re.findall(r" --(?:enable|disable|with|without)-(\w+)", option):
            if f"[{name}]" not in configure and name not in ("shared", "static"):
                fail(where, f"configure has no option for {name}")
    for program, arguments in re.findall(r"\b(tofu-echo|tofu-perf)\b([^|&\n]*)", text):
        for name in re.findall(r" --([a-z-]+)", arguments):
            if not re.search(rf"\bFl Fl {name}\b", read(f"man/{program}.1")):
                fail(where, f"{program} has no --{name}")


def anchors(path):
    """What one can link to in a file: its headings, as they are spelled in addresses."""
    heads = re.findall(r"^#+ +(.*)$", split(path)[1], re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def check_links(path, prose):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(os.path.join(TOP, to)):
            fail(path, f"the link to {target} leads nowhere")
        elif anchor and to.endswith(".md") and anchor not in anchors(to):
            fail(path, f"the link to {target} finds no such heading")


def check_guide():
    pages = {path: read(path) for path in names("docs/guide/*.md")}
    for path, text in pages.items():
        if not re.match(r"# [^\n]+\n\nFor (?:.+\n)*?.*\bAfter\b", text):
            fail(path, "it does not open with whom it is for, and what they know after it")
    for program in names("examples/*.c"):
        if not any(f"(../../{program})" in text for text in pages.values()):
            fail(program, "no page of the guide leads to it")


def main():
    seen = {language: 0 for language in LANGUAGES}
    pages = ["README.md"] + names("docs/**/*.md")
    for path in pages:
        blocks, prose = split(path)
        for number, language, before, text in blocks:
            if language not in LANGUAGES:
                fail(f"{path}:{number - 1}", f"this block is '{language}', not one of {', '.join(LANGUAGES)}")
                continue
            seen[language] += 1
            if language == "c":
                check_c(path, number, before, text)
            elif language == "sh":
                check_sh(path, number, text)
        for line in re.findall(r"^ {4}.*\b\w+\(.*\);$", prose, re.M):
            fail(path, f"C that is in no block of C: {line}")
        check_links(path, prose)
    check_guide()
    lines = read("README.md").count("\n")
    if lines > README_MAX:
        fail("README.md", f"{lines} lines, more than {README_MAX}")
    if seen["c"] < 2 or seen["sh"] < 1:
        fail("README.md and docs/", f"only {seen}: does this script read them still?")
    print(f"{len(pages)} pages, {seen['c']} blocks of C, {seen['sh']} of shell")
    return 1 if failures else 0


sys.exit(main())
