#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as pedantic C11 and as C++, without a warning; and each of them is installed.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
warnings='-Wall -Wextra -Wpedantic -Wshadow -Werror'
[ "$CXX" != no ] || echo 'no C++ compiler: the headers are tried as C only'

alone() { # header, language, compiler with flags
	printf '#include <tofu/%s>\nextern int not_empty;\n' "$1" >"$tmp/alone"
	# shellcheck disable=SC2086 # several words each
	$3 $warnings -I"$TOP_SRCDIR/include" -fsyntax-only -x "$2" "$tmp/alone" || fail "<tofu/$1> alone, $3"
}

for path in "$TOP_SRCDIR"/include/tofu/*.h; do
	header=${path##*/}
	alone "$header" c "$CC -std=c11 -Wstrict-prototypes"
	[ "$CXX" = no ] || alone "$header" c++ "$CXX -std=c++11 -Wold-style-cast"
	[ "$header" = tls.h ] && [ "$HAVE_TLS" != yes ] && continue
	[ -e "$STAGE$INCLUDEDIR/tofu/$header" ] || fail "<tofu/$header> is not installed"
done
end
