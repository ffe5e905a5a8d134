#!/bin/sh
# SPDX-License-Identifier: MIT
# What the libraries export is what lib/*.sym says, no name more, none less; every global of the static ones is tofu_*.
# And lib/*.sym is what the headers declare, and what Debian's packages are said to export. Windows: nothing but what belongs
# to it has to be there beside the DLLs.
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

# OBJDUMP -p: "[Ordinal/Name Pointer] Table", then "	[   0] name" a line.
dll() { # DLL
	$OBJDUMP -p "$1" | tr -d '\r' | awk '/^\[Ordinal\/Name Pointer\]/ { inside = 1; next } inside && NF == 0 { exit }
		inside { print $NF }' | sort
}

# The DLLs and programs that are installed, and what they ask for that is neither ours nor Windows'. OpenSSL is for one alone.
foreign() {
	for file in "$STAGE$BINDIR"/*.dll "$STAGE$BINDIR"/*.exe; do
		case $file in
		*/libtofu-tls-*) openssl='lib(crypto|ssl)-[0-9]+(-[a-z0-9]+)?\.dll' ;;
		*) openssl=none ;;
		esac
		$OBJDUMP -p "$file" | sed -n 's/^	DLL Name: //p' | tr -d '\r' | tr '[:upper:]' '[:lower:]' |
			grep -vxE "$openssl|libtofu(-inproc|-tcp|-tls|-unix)?-[0-9]+\.dll|(kernel32|ntdll|ws2_32|advapi32|bcrypt|crypt32|shell32|user32|msvcrt|ucrtbase|psapi)\.dll|api-ms-win-.*" |
			sed "s,^,${file##*/}: ,"
	done
}

# __odr_asan is the sanitizer's; .refptr.x is how code for Windows comes by a global x; __x86.get_pc_thunk.x, how code that may lie
# anywhere comes by its own address on i386.
strays() { # library: globals of the .a that are not ours
	# shellcheck disable=SC2086
	$NM -g --defined-only "$lib/lib$1.a" | awk 'NF == 3 && $3 !~ /^(\.refptr\.)?(tofu_|__odr_asan|__x86\.get_pc_thunk\.)/ { print $3 }'
}

check() { # library, file with the names that its headers declare
	listed "$1" >"$tmp/listed"
	same "$2" "$tmp/listed" "lib/$1.sym (+) is not what the headers declare (-)"
	sed -n 's/^ \(tofu_[a-z0-9_]*\)@.*/\1/p' "$TOP_SRCDIR/packaging/debian/lib$1"[0-9]*.symbols | sort >"$tmp/packaged"
	same "$tmp/listed" "$tmp/packaged" "packaging/debian/lib$1*.symbols lists (+) other names than lib/$1.sym (-)"
	if [ -e "$lib/lib$1.so" ]; then
		dynamic "$1" >"$tmp/dynamic"
		same "$tmp/listed" "$tmp/dynamic" "lib$1.so exports (+) other names than lib/$1.sym lists (-)"
	fi
	for file in "$STAGE$BINDIR/lib$1"-[0-9]*.dll; do
		[ -e "$file" ] || continue
		dll "$file" >"$tmp/dynamic"
		same "$tmp/listed" "$tmp/dynamic" "${file##*/} exports (+) other names than lib/$1.sym lists (-)"
	done
	if [ -e "$lib/lib$1.a" ]; then
		strays "$1" >"$tmp/strays"
		[ ! -s "$tmp/strays" ] || fail "lib$1.a has globals that are not tofu_*: $(tr '\n' ' ' <"$tmp/strays")"
	fi
}

# What a program of these libraries loads: none may bring OpenSSL, which is for those who use TLS.
for library in tofu tofu-tcp tofu-unix; do
	[ -e "$lib/lib$library.so" ] || continue
	# shellcheck disable=SC2086
	! $OBJDUMP -p "$lib/lib$library.so" | grep -E 'NEEDED +lib(ssl|crypto|tofu-tls)' ||
		fail "lib$library.so asks for OpenSSL"
done

declared tofu >"$tmp/tofu"
[ -s "$tmp/tofu" ] || fail 'no function found in <tofu/tofu.h>'
check tofu "$tmp/tofu"
transports='inproc tcp unix'
[ "$HAVE_TLS" != yes ] || transports="$transports tls"
for transport in $transports; do
	declared "$transport" | comm -13 "$tmp/tofu" - >"$tmp/$transport"
	check "tofu-$transport" "$tmp/$transport"
done
if [ -n "$EXEEXT" ]; then
	foreign >"$tmp/foreign"
	[ ! -s "$tmp/foreign" ] || fail "asks for what Windows does not bring: $(tr '\n' ' ' <"$tmp/foreign")"
fi
end
