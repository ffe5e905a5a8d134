#!/bin/sh
# SPDX-License-Identifier: MIT
# Projects that are built with CMake or with Meson find the installed tree, wherever it has been moved to, shared and static;
# their program runs, with TLS where that is installed. And what is not there is not found.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
command -v ninja >/dev/null || skip 'no ninja'
lib=$STAGE$LIBDIR
CFLAGS=$SANITIZER_FLAGS
LDFLAGS=$SANITIZER_FLAGS
export CC CFLAGS LDFLAGS
cross=
# shellcheck disable=SC2086 # CC may be several words
[ -z "$RUNNER" ] || cross=$($CC -dumpmachine)

# The kinds of libraries that are installed.
kinds=
if [ -e "$lib/libtofu.so" ] || [ -e "$lib/libtofu.dll.a" ]; then
	kinds=shared
fi
[ ! -e "$lib/libtofu.a" ] || kinds="$kinds static"

said() { # what, command...
	what=$1
	shift
	"$@" >"$tmp/said" 2>&1 || { fail "$what"; cat "$tmp/said"; return 1; }
}

# The program prints its version; it has the libraries in it or not, as was asked for, and TLS if that is installed.
runs() { # what, kind, directory
	program=$3/consumer$EXEEXT
	# shellcheck disable=SC2086 # RUNNER may be several words
	said "$1, $2: does not run" env "LD_LIBRARY_PATH=$lib" timeout 60 $RUNNER "$program" || return 0
	grep -q '^tofu [0-9]' "$tmp/said" || fail "$1, $2: does not say its version"
	is=static
	! $OBJDUMP -p "$program" | grep -E '(NEEDED|DLL Name:) +libtofu' >/dev/null || is=shared
	[ "$is" = "$2" ] || fail "$1, $2: is $is"
	tls=no
	! grep -q tofu_tls_create "$program" || tls=yes
	[ "$tls" = "$HAVE_TLS" ] || fail "$1, $2: has TLS: $tls"
}

with_cmake() { # kind
	static=OFF
	[ "$1" = shared ] || static=ON
	directory=$tmp/cmake-$1
	said "CMake, $1: not configured" cmake -G Ninja -S "$TOP_SRCDIR/tests/consumers" -B "$directory" \
		"-DCMAKE_PREFIX_PATH=$STAGE${BINDIR%/*}" "-Dtofu_USE_STATIC_LIBS=$static" \
		${cross:+-DCMAKE_SYSTEM_NAME=Windows "-DCMAKE_RC_COMPILER=$cross-windres"} &&
		said "CMake, $1: not built" cmake --build "$directory" && runs CMake "$1" "$directory"
}

with_meson() { # kind
	static=false
	[ "$1" = shared ] || static=true
	directory=$tmp/meson-$1
	said "Meson, $1: not configured" meson setup ${cross:+--cross-file "$tmp/cross"} -Dprefer_static=$static \
		"$directory" "$TOP_SRCDIR/tests/consumers" &&
		said "Meson, $1: not built" ninja -C "$directory" || return 0
	[ -z "$EXEEXT" ] || [ "$1" = static ] || cp "$STAGE$BINDIR"/libtofu*.dll "$directory"
	runs Meson "$1" "$directory"
}

# find_package with these arguments: found or not.
found() { # arguments...
	mkdir -p "$tmp/find"
	printf 'cmake_minimum_required(VERSION 3.19)\nproject(find LANGUAGES NONE)\nfind_package(tofu %s CONFIG REQUIRED)\n' "$1" \
		>"$tmp/find/CMakeLists.txt"
	cmake -S "$tmp/find" -B "$tmp/find/build" "-Dtofu_DIR=$lib/cmake/tofu" >"$tmp/said" 2>&1
}

if command -v cmake >/dev/null; then
	for kind in $kinds; do
		with_cmake "$kind"
	done
	for request in '' 0.1 '0.1.0 EXACT' 0.0.9 0.1...0.2 0.1...0.1.0; do
		found "$request" || { fail "CMake does not find tofu $request"; cat "$tmp/said"; }
	done
	for request in 0.2 1.0 '0.1 EXACT COMPONENTS sctp' '0.0.9 EXACT' '0.0.1...<0.1.0'; do
		! found "$request" || fail "CMake finds tofu $request"
	done
else
	echo 'no cmake: not tried'
fi
if command -v meson >/dev/null && [ "$PKG_CONFIG" != '' ]; then
	# openssl.pc is where the system has it.
	PKG_CONFIG_PATH=$lib/pkgconfig
	[ -z "$cross" ] || PKG_CONFIG_LIBDIR=$PKG_CONFIG_PATH
	PKG_CONFIG_SYSROOT_DIR=$STAGE
	export PKG_CONFIG_PATH ${PKG_CONFIG_LIBDIR+PKG_CONFIG_LIBDIR} PKG_CONFIG_SYSROOT_DIR
	[ -z "$cross" ] || cat >"$tmp/cross" <<-END
		[binaries]
		c = '$CC'
		pkgconfig = '$PKG_CONFIG'
		[properties]
		pkg_config_libdir = '$PKG_CONFIG_LIBDIR'
		sys_root = '$STAGE'
		[host_machine]
		system = 'windows'
		cpu_family = 'x86_64'
		cpu = 'x86_64'
		endian = 'little'
	END
	for kind in $kinds; do
		with_meson "$kind"
	done
else
	echo 'no meson: not tried'
fi
end
