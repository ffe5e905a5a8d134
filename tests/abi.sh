#!/bin/sh
# SPDX-License-Identifier: MIT
# The gate in abi/ takes additions to a library's interface, and nothing else: a small library is changed in every way that
# programs would notice, and in some that they would not.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ -z "$SANITIZER_FLAGS" ] || skip 'a library with a sanitizer in it is no better'
[ -z "$EXEEXT" ] || skip 'no DWARF that abidw reads'
command -v python3 >/dev/null || skip 'no python3'
ABI_ANY_COMPILER=yes
export ABI_ANY_COMPILER

mkdir -p "$tmp/was/include/tofu" "$tmp/recorded"
cat >"$tmp/was/include/tofu/thing.h" <<'END'
#include <stddef.h>
#include <stdint.h>
typedef struct tofu_thing tofu_thing;
typedef struct tofu_other tofu_other;
enum tofu_color { TOFU_RED = 0, TOFU_BLUE = 1 };
enum { TOFU_UNUSED = 7 };
#define TOFU_WORD "word"
struct tofu_pair {
	uint32_t first;
	uint32_t second;
};
struct tofu_options {
	size_t size;
	uint32_t depth;
	enum tofu_color color;
};
struct tofu_table {
	void (*call)(tofu_thing *thing, size_t len);
};
int tofu_thing_create(const struct tofu_options *options, const struct tofu_table *table, tofu_thing **out);
void tofu_thing_pair(tofu_thing *thing, uint32_t index, struct tofu_pair *out);
void tofu_thing_destroy(tofu_thing *thing);
END
# The name of a public header, as lib/reactor/engine.h has it.
cat >"$tmp/was/thing.h" <<'END'
struct tofu_inner {
	int x;
};
struct tofu_thing {
	struct tofu_inner inner;
};
struct tofu_other {
	int x;
};
END
cat >"$tmp/was/thing.c" <<'END'
#include <tofu/thing.h>
#include "thing.h"
int tofu_thing_create(const struct tofu_options *options, const struct tofu_table *table, tofu_thing **out)
{
	return 0;
}
void tofu_thing_pair(tofu_thing *thing, uint32_t index, struct tofu_pair *out)
{
}
void tofu_thing_destroy(tofu_thing *thing)
{
}
END
cat >"$tmp/was/thing.sym" <<'END'
TOFU_0.1 {
global:
	tofu_thing_create;
	tofu_thing_destroy;
	tofu_thing_pair;
local:
	*;
};
END

build() { # directory
	# shellcheck disable=SC2086 # CC may be several words
	(cd "$1" && $CC -std=c11 -w -O0 -g -fPIC -shared -Iinclude thing.c -o libtofu.so -Wl,--version-script=thing.sym)
}

gate() { # record or check, directory
	"$TOP_SRCDIR/abi/gate" "$1" --abi "$tmp/recorded" --include "$2/include" "$2/libtofu.so"
}

# Change the library by a script for sed, and leave what the gate says of it in $tmp/says.
change() { # sed script
	rm -rf "$tmp/is"
	cp -R "$tmp/was" "$tmp/is"
	sed -i "$1" "$tmp/is/include/tofu/thing.h" "$tmp/is/thing.h" "$tmp/is/thing.c" "$tmp/is/thing.sym"
	! diff -r "$tmp/was" "$tmp/is" >/dev/null || fail "nothing was changed by $1"
	build "$tmp/is" || fail "does not build: $1"
	status=0
	gate check "$tmp/is" >"$tmp/says" 2>&1 || status=$?
}

breaks() { # what, sed script
	change "$2"
	if [ "$status" -ne 1 ] || ! grep -q '^FAIL' "$tmp/says"; then
		fail "the gate takes $1"
		cat "$tmp/says"
	fi
}

passes() { # what, sed script, what it is called ("": nothing is said)
	change "$2"
	[ "$status" -eq 0 ] || { fail "the gate does not take $1"; cat "$tmp/says"; }
	printf '%s' "${3:+$3
}" >"$tmp/expected"
	same "$tmp/expected" "$tmp/says" "of $1 something else is said (+)"
}

build "$tmp/was"
status=0
gate record "$tmp/was" >"$tmp/says" || status=$?
[ "$status" -ne 77 ] || skip "$(sed 's/^skipped: //' "$tmp/says")"
[ "$status" -eq 0 ] || { fail 'nothing could be recorded'; cat "$tmp/says"; }

passes 'a member in an opaque struct' 's/int x;/int x; long y;/' ''
passes 'a function' 's/^void tofu_thing_pair.*;/&void tofu_more(void);/
	s/^void tofu_thing_pair.*)$/void tofu_more(void) {}&/; s/tofu_thing_pair;/&tofu_more;/' \
	'libtofu: added: tofu_more'
passes 'an enumerator' 's/TOFU_BLUE = 1/&, TOFU_GREEN = 2/' 'constants: added: TOFU_GREEN'
passes 'a member at the end of a struct with a size' 's/enum tofu_color color;/&\n\tchar *name;/' \
	'libtofu: added: struct tofu_options: name'

breaks 'a function less' '/^	tofu_thing_pair;/d'
breaks 'a function of another version' 's/^TOFU_0.1/TOFU_0.2/'
breaks 'another type of a parameter' 's/uint32_t index/uint64_t index/'
breaks 'another sign of a parameter' 's/uint32_t index/int32_t index/'
breaks 'a parameter more' 's/tofu_thing_destroy(tofu_thing \*thing/&, int now/'
breaks 'a pointer to another opaque struct' 's/tofu_thing_destroy(tofu_thing /tofu_thing_destroy(tofu_other /'
breaks 'another return type' 's/^void tofu_thing_destroy/int tofu_thing_destroy/'
breaks 'another parameter of a function in a struct' 's/size_t len/int len/'
breaks 'a member in the middle of a struct' 's/uint32_t second/int x; &/'
breaks 'a member at the end of a struct without a size' 's/uint32_t second;/& int x;/'
breaks 'members that changed places' 's/first;/x;/; s/second;/first;/; s/x;/second;/'
breaks 'a member by another name' 's/second;/other;/'
breaks 'a member in the middle of a struct with a size' 's/enum tofu_color color/int x; &/'
breaks 'a member at the end, and another one that is wider' 's/depth;/depth[2];/; s/enum tofu_color color;/& int x;/'
breaks 'a member at the end, and another type of an old one' 's/uint32_t depth;/float depth;/; s/enum tofu_color color;/& int x;/'
breaks 'a member at the end, and one less' 's/enum tofu_color color;/int x; int y;/'
breaks 'another value of an enumerator' 's/TOFU_BLUE = 1/TOFU_BLUE = 2/'
breaks 'another value of an enumerator that no function has' 's/TOFU_UNUSED = 7/TOFU_UNUSED = 8/'
breaks 'an enumerator less' 's/, TOFU_BLUE = 1//'
breaks 'an enumerator by another name' 's/TOFU_BLUE/TOFU_NAVY/'
breaks 'a macro of another value' 's/"word"/"words"/'
breaks 'a struct by another name' 's/struct tofu_pair/struct tofu_duo/'
# What abidiff would not see: nothing is known of the parameters any more.
breaks 'two functions that are one' 's/^void tofu_thing_destroy.*)$/__typeof__(tofu_thing_destroy) tofu_thing_destroy \
	__attribute__((alias("tofu_thing_pair"))); static void unused(void)/'
end
