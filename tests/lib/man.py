# SPDX-License-Identifier: MIT
"""What is in the man pages: their texts, sections and examples."""

import glob
import os
import re

TOP = os.environ.get("TOP_SRCDIR", ".")
# Roff that stands for one character.
ESCAPES = {"\\e": "\\", "\\-": "-", "\\&": "", "\\(aq": "'", "\\(ga": "`", "\\(ha": "^", "\\(ti": "~"}


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def pages():
    """file name -> text, of every page that is more than the name of another."""
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(TOP, "man/*.[137]")))
    texts = {name: read(f"man/{name}") for name in names}
    return {name: text for name, text in texts.items() if not text.startswith(".so ")}


def section(text, name):
    found = re.search(rf"^\.Sh {name}$(.*?)(?=^\.Sh |\Z)", text, re.S | re.M)
    return found.group(1) if found else ""


def examples(text):
    """(columns to its left, text) of each C example of a page, as it is shown."""
    for offset, block in re.findall(r"^\.Bd -literal(.*?)\n(.*?)^\.Ed$", section(text, "EXAMPLES"), re.S | re.M):
        block = re.sub(r"\\\(..|\\.", lambda found: ESCAPES[found.group(0)], block)
        if not re.match(r"[$\[]", block):
            yield 11 if offset else 5, block
