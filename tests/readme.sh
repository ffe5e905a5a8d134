#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs in README.md are the files in examples/, to the letter. Each stands in the first C block after a line that
# names its file as [`examples/x.c`](examples/x.c).
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
cd "$TOP_SRCDIR"

block_after() { # file name
	awk -v name="(examples/$1)" '
		/^```/ && inside { exit }
		inside { print }
		index($0, name) { named = 1 }
		/^```c$/ && named { inside = 1 }' README.md
}

for name in first_server.c first_client.c; do
	block_after "$name" >"$tmp/$name"
	[ -s "$tmp/$name" ] || { fail "README.md does not show $name"; continue; }
	same "examples/$name" "$tmp/$name" "README.md (+) is not examples/$name (-)"
done
end
