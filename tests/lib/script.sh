# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the test scripts share. Sourced. Failures are collected; end tells.

LC_ALL=C
export LC_ALL

failures=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

skip() { # why
	echo "skipped: $1"
	exit 77
}

fail() { # what
	echo "FAIL: $1"
	failures=$((failures + 1))
}

# Two files are the same, or fail with the difference.
same() { # expected, got, what
	if ! diff -u "$1" "$2" >"$tmp/difference"; then
		fail "$3"
		grep '^[-+][^-+]' "$tmp/difference"
	fi
}

end() {
	[ "$failures" -eq 0 ] || exit 1
}
