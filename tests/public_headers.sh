#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone without a warning, as pedantic C from C99 on and as C++ from C++11 on: with the compiler of
# the build, and with gcc and clang if they are there. And each header is installed.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
warnings='-Wall -Wextra -Wpedantic -Wshadow -Werror'
[ "$CXX" != no ] || echo 'no C++ compiler: the headers are tried as C only'

# All headers in one run of the compiler, each from a file of its own.
alone() { # language, compiler with flags
	echo >"$tmp/empty"
	# shellcheck disable=SC2086 # several words each
	$2 -fsyntax-only -x "$1" "$tmp/empty" 2>/dev/null || return 0 # no such compiler, or it does not know this standard
	# shellcheck disable=SC2086
	$2 $warnings -I"$TOP_SRCDIR/include" -fsyntax-only -x "$1" "$tmp"/alone-* || fail "a header alone, $2"
	tried="$tried ${2##*-std=}"
}

everywhere() { # language, standard, flags, compiler...
	language=$1 standard=$2 flags=$3
	shift 3
	for compiler in "$@"; do
		[ "$compiler" = no ] || alone "$language" "$compiler $flags -std=$standard"
	done
}

tried=
for path in "$TOP_SRCDIR"/include/tofu/*.h; do
	printf '#include <tofu/%s>\nextern int not_empty;\n' "${path##*/}" >"$tmp/alone-${path##*/}"
done
for standard in c99 c11 c17 c2x; do
	everywhere c "$standard" -Wstrict-prototypes "$CC" gcc clang
done
for standard in c++11 c++14 c++17 c++20; do
	everywhere c++ "$standard" -Wold-style-cast "$CXX" g++ clang++
done
case $tried in *c99*c11*) ;; *) fail "no compiler took C99 and C11:$tried" ;; esac

for path in "$TOP_SRCDIR"/include/tofu/*.h; do
	header=${path##*/}
	[ "$header" = tls.h ] && [ "$HAVE_TLS" != yes ] && continue
	[ -e "$STAGE$INCLUDEDIR/tofu/$header" ] || fail "<tofu/$header> is not installed"
done
end
