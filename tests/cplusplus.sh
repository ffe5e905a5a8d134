#!/bin/sh
# SPDX-License-Identifier: MIT
# <tofu/tofu.hpp> compiles as C++17 and C++20 without a warning against the installed tree, and its program does what it says.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ "$CXX" != no ] || skip 'no C++ compiler'
[ -z "$RUNNER" ] || skip 'the C++ compiler is not one for the system of this build'
[ "$PKG_CONFIG" != '' ] || skip 'no pkg-config'
lib=$STAGE$LIBDIR
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
static=--static
[ ! -e "$lib/libtofu.so" ] || static=

PKG_CONFIG_LIBDIR=$lib/pkgconfig
PKG_CONFIG_PATH=
PKG_CONFIG_SYSROOT_DIR=$STAGE
export PKG_CONFIG_LIBDIR PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

# shellcheck disable=SC2046,SC2086 # several words each
for standard in c++17 c++20; do
	$CXX -std=$standard $warnings $SANITIZER_FLAGS $($PKG_CONFIG $static --cflags tofu-tcp) -pthread \
		"$TOP_SRCDIR/tests/tofu_hpp.cpp" -o "$tmp/hpp" $($PKG_CONFIG $static --libs tofu-tcp) ||
		fail "it does not compile as $standard"
done
[ ! -e "$tmp/hpp" ] || LD_LIBRARY_PATH=$lib timeout 60 "$tmp/hpp" || fail 'what it promises'
end
