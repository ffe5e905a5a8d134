#!/bin/sh
# SPDX-License-Identifier: MIT
# What the libraries export is what lib/*.sym says, no name more, none less; every global of the static ones is tofu_*.
# And lib/*.sym is what the headers declare.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
lib=$STAGE$LIBDIR

listed() { # library: the names of its .sym
	sed -n 's/^	\(tofu_[a-z0-9_]*\);$/\1/p' "$TOP_SRCDIR/lib/$1.sym" | sort
}

# The functions that a header declares: a tofu_ name before the first "(" of a statement, typedefs apart.
declared() { # header
	# shellcheck disable=SC2086 # CC may be several words
	printf '#include <tofu/%s.h>\n' "$1" | $CC -I"$TOP_SRCDIR/include" -E -P -x c - >"$tmp/header.i"
	tr '\n' ' ' <"$tmp/header.i" | sed 's/{[^{}]*}//g' | tr ';' '\n' | grep -v typedef |
		sed -n 's/^[^(]*[ *]\(tofu_[a-z0-9_]*\) *(.*/\1/p' | sort -u
}

# NM is libtool's: "nm -B".
dynamic() { # library: names in the .so, without the node
	# shellcheck disable=SC2086
	$NM -D --defined-only "$lib/lib$1.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

strays() { # library: globals of the .a that are not ours; __odr_asan is the sanitizer's
	# shellcheck disable=SC2086
	$NM -g --defined-only "$lib/lib$1.a" | awk 'NF == 3 && $3 !~ /^(tofu_|__odr_asan)/ { print $3 }'
}

check() { # library, file with the names that its headers declare
	listed "$1" >"$tmp/listed"
	same "$2" "$tmp/listed" "lib/$1.sym (+) is not what the headers declare (-)"
	if [ -e "$lib/lib$1.so" ]; then
		dynamic "$1" >"$tmp/dynamic"
		same "$tmp/listed" "$tmp/dynamic" "lib$1.so exports (+) other names than lib/$1.sym lists (-)"
	fi
	if [ -e "$lib/lib$1.a" ]; then
		strays "$1" >"$tmp/strays"
		[ ! -s "$tmp/strays" ] || fail "lib$1.a has globals that are not tofu_*: $(tr '\n' ' ' <"$tmp/strays")"
	fi
}

declared tofu >"$tmp/tofu"
[ -s "$tmp/tofu" ] || fail 'no function found in <tofu/tofu.h>'
check tofu "$tmp/tofu"
for transport in tcp unix; do
	declared "$transport" | comm -13 "$tmp/tofu" - >"$tmp/$transport"
	check "tofu-$transport" "$tmp/$transport"
done
end
