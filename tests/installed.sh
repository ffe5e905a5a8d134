#!/bin/sh
# SPDX-License-Identifier: MIT
# The installed tree is enough: programs from outside build with pkg-config against it, shared and static, and run.
# tests/installed.c is one; the files of tests/outside are another, with a transport of its own. The examples are installed, and
# compile there, and what is installed to be read leads to what is installed.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ "$PKG_CONFIG" != '' ] || skip 'no pkg-config'
lib=$STAGE$LIBDIR

PKG_CONFIG_LIBDIR=$lib/pkgconfig
PKG_CONFIG_PATH=
PKG_CONFIG_SYSROOT_DIR=$STAGE
export PKG_CONFIG_LIBDIR PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
modules='tofu-inproc tofu-tcp tofu-unix'

build() { # program, pkg-config options, other flags, source...
	program=$1 options=$2 flags=$3
	shift 3
	# shellcheck disable=SC2046,SC2086 # several words each
	$CC -std=c11 $SANITIZER_FLAGS $($PKG_CONFIG $options --cflags $modules) "$@" -o "$program" \
		$flags $($PKG_CONFIG $options --libs $modules)
}

# RUNNER: what programs for another system need.
run() { # what, program
	# shellcheck disable=SC2086
	timeout 60 $RUNNER "$2" || fail "$1: exit status $?"
}

try_shared() { # name, source...
	name=$1
	shift
	build "$tmp/shared/$name$EXEEXT" '' '' "$@" || { fail "$name, shared: does not build"; return; }
	LD_LIBRARY_PATH=$lib run "$name, shared" "$tmp/shared/$name$EXEEXT"
}

# No shared library is in the way here, and every private dependency has to be told.
try_static() { # name, source...
	name=$1
	shift
	build "$tmp/$name$EXEEXT" --static "-L$tmp/static" "$@" || { fail "$name, static: does not build"; return; }
	run "$name, static" "$tmp/$name$EXEEXT"
}

# Libraries that were configured --with-pic make a shared object of somebody else's, all of them in one.
try_pic() {
	# shellcheck disable=SC2046,SC2086 # several words each
	$CC $SANITIZER_FLAGS -shared -Wl,-z,text -o "$tmp/all.so" -Wl,--whole-archive \
		"$tmp/static/libtofu.a" "$tmp/static/libtofu-inproc.a" "$tmp/static/libtofu-tcp.a" "$tmp/static/libtofu-unix.a" \
		-Wl,--no-whole-archive $($PKG_CONFIG --static --libs-only-l --libs-only-other tofu | sed 's/-ltofu\>//') ||
		fail 'the static libraries are configured --with-pic, and make no shared object'
}

try() { # name, source...
	if [ -e "$lib/libtofu.so" ] || [ -e "$lib/libtofu.dll.a" ]; then
		try_shared "$@"
	fi
	[ ! -e "$tmp/static/libtofu.a" ] || try_static "$@"
}

mkdir "$tmp/shared" "$tmp/static"
# Windows looks for a DLL where the program is.
cp "$STAGE$BINDIR"/libtofu*.dll "$tmp/shared" 2>/dev/null || :
cp "$lib"/libtofu*.a "$tmp/static" 2>/dev/null && rm -f "$tmp"/static/*.dll.a || echo 'no static libraries: not tried'

for module in tofu $modules; do
	$PKG_CONFIG --exists --print-errors "$module" || fail "pkg-config does not take $module.pc"
done

try installed "$TOP_SRCDIR/tests/installed.c"
try outside "$TOP_SRCDIR"/tests/outside/*.c

# Links between files: [text](path), with an #anchor or without.
cd "$STAGE$DOCDIR"
find . -name '*.md' | sort | while read -r file; do
	grep -o ']([^)#:]*[)#]' "$file" | sed 's/^](//; s/.$//' | sort -u | while read -r target; do
		[ -e "$(dirname "$file")/$target" ] || echo "$file -> $target"
	done
done >"$tmp/dead"
[ ! -s "$tmp/dead" ] || fail "dead links in what is installed: $(cat "$tmp/dead")"

for example in "$TOP_SRCDIR"/examples/*.c; do
	example=examples/${example##*/}
	[ -e "$example" ] || { fail "$example is not installed"; continue; }
	case $example in
	*_win32.c) [ -n "$EXEEXT" ] || continue ;;
	*/foreign_loop.c) [ -z "$EXEEXT" ] || continue ;; # of Linux; the other one is of Windows
	esac
	$CC -std=c11 -I"$STAGE$INCLUDEDIR" -fsyntax-only "$example" || fail "$example does not compile where it is installed"
done

if [ "$PIC_MODE" = yes ] && [ -z "$EXEEXT" ] && [ -e "$tmp/static/libtofu.a" ]; then
	try_pic
fi
end
