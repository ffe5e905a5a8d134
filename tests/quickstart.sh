#!/bin/sh
# SPDX-License-Identifier: MIT
# quickstart on systems that this one is not: an os-release of theirs, and a PATH with programs that only say that they are there.
# It names the packages of that system; a step that fails gives its reason in ten lines; the demo ends with what to read.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ -z "$EXEEXT" ] || [ -n "$RUNNER" ] || skip 'no program of Windows can be put in the place of another here'

mkdir "$tmp/tree" "$tmp/bare" "$tmp/full"
cp "$TOP_SRCDIR/quickstart" "$tmp/tree"
for command in awk cat cut dirname grep head id mkdir rm sed sh tail touch tr wc; do
	ln -s "$(command -v "$command")" "$tmp/bare/$command"
	ln -s "$(command -v "$command")" "$tmp/full/$command"
done

# Where all is there. What does nothing has succeeded.
program() { # name, what it does
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/full/$1"
	chmod +x "$tmp/full/$1"
}
for command in autoreconf automake cc libtoolize make mandoc pkg-config python3; do
	program "$command" :
done

quickstart() { # directory of programs, command
	rm -rf "$tmp/tree/build"
	status=0
	TOFU_OS_RELEASE=$tmp/os-release PATH=$tmp/$1 "$tmp/$1/sh" "$tmp/tree/quickstart" "$2" >"$tmp/out" 2>&1 || status=$?
}

names() { # what os-release says, the last line
	printf '%b' "$1" >"$tmp/os-release"
	quickstart bare check
	[ "$status" -eq 1 ] || fail "nothing is there, and the exit status is $status: $1"
	echo "    $2" >"$tmp/expected"
	tail -n 1 "$tmp/out" >"$tmp/last"
	same "$tmp/expected" "$tmp/last" "packages of $1"
}

debian='autoconf automake gcc libtool make mandoc pkg-config python3 libc6-dev check libssl-dev'
fedora='autoconf automake gcc libtool make mandoc pkgconf-pkg-config python3 glibc-devel check-devel openssl-devel'
alpine='autoconf automake gcc libtool make mandoc pkgconf python3 musl-dev check-dev openssl-dev'
arch='autoconf automake gcc libtool make pkgconf python glibc check openssl'
names 'NAME="Fedora Linux"\nID=fedora\n' "dnf install $fedora"
names 'ID="rocky"\nID_LIKE="rhel centos fedora"\n' "dnf install $fedora"
names 'ID=alpine\n' "apk add $alpine"
names 'ID=arch\n' "pacman -S --needed $arch"
names "ID='manjaro'\nID_LIKE=arch\n" "pacman -S --needed $arch"
names 'ID_LIKE="ubuntu debian"\nID=linuxmint\n' "$debian"
names 'ID=unheard-of\n' "$debian"
grep -q "Debian's names" "$tmp/out" || fail 'a system that is not known is not told whose names it gets'
rm "$tmp/os-release"
quickstart bare check
grep -q "^    $debian\$" "$tmp/out" || fail 'without os-release no packages are named'

# Only what is missing.
echo ID=alpine >"$tmp/os-release"
rm "$tmp/full/make"
quickstart full check
[ "$(tail -n 1 "$tmp/out")" = '    apk add make' ] || fail "only make is missing: $(cat "$tmp/out")"

short() { # the reason that has to be there
	[ "$status" -ne 0 ] || fail 'a step fails, and quickstart does not'
	[ "$(grep -vc '^== \|^quickstart: ' "$tmp/out")" -le 10 ] || fail "more than ten lines: $(cat "$tmp/out")"
	grep -qF "$1" "$tmp/out" || fail "no reason: $(cat "$tmp/out")"
	grep -q '^quickstart: failed: .*build/quickstart.log' "$tmp/out" || fail 'it is not said where all of it is'
}

# The reason stands in the middle of much else; or nothing looks like one.
program make :
# shellcheck disable=SC2016 # it is the program that expands them
talk='i=0; while [ $i -lt 40 ]; do echo "line $i"; [ $i -ne 20 ] || echo "$REASON"; i=$((i + 1)); done; exit 1'
program autoreconf "REASON='configure.ac:24: error: possibly undefined macro'; $talk"
quickstart full demo
short 'possibly undefined macro'
program autoreconf "REASON=; $talk"
quickstart full demo
short 'line 39'

# All goes well: configure, make and the demo do what they do for quickstart.
program autoreconf "printf '#!/bin/sh\\ntouch Makefile\\n' >configure; chmod +x configure"
ln -s "$(command -v chmod)" "$tmp/full/chmod"
program make "printf '#!/bin/sh\\necho demonstrated\\n' >build/demo; chmod +x build/demo"
quickstart full demo
[ "$status" -eq 0 ] || fail "the demo: exit status $status: $(cat "$tmp/out")"
sed -n '/^demonstrated$/,$p' "$tmp/out" | sed '1,/^== read on$/d' >"$tmp/read"
[ -s "$tmp/read" ] || fail "the demo does not say what to read: $(cat "$tmp/out")"
sed 's/  .*//; s/^man //' "$tmp/read" | while read -r file; do
	[ -e "$TOP_SRCDIR/$file" ] || [ -e "$TOP_SRCDIR/$file.c" ] || echo "$file"
done >"$tmp/dead"
[ ! -s "$tmp/dead" ] || fail "what the demo says to read is not there: $(cat "$tmp/dead")"
end
