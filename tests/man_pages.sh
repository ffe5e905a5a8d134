#!/bin/sh
# SPDX-License-Identifier: MIT
# The man pages say what the headers say: every function has a page that names it and shows its synopsis, every status a row in
# tofu.7 (and a place in docs/protocol.md), and no page is left over. The longest example is compiled. And they are mdoc without
# a warning; without mandoc that half is skipped.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
cd "$TOP_SRCDIR"

# The functions that a header declares: comments, typedefs and members that are function pointers left out.
functions_of() { # header
	tr '\n\t' '  ' <"$1" | sed 's,\*/,\
,g' | sed 's,/\*.*,,' | tr '\n' ' ' | sed 's/[;{}]/\
/g' | grep -v -e typedef -e '(\*' | sed -n 's/.*[ *]\(tofu_[a-z0-9_]*\)(.*/\1/p'
}

# What "man 3 NAME" shows, as a file of the tree: the page itself, or what it leads to.
page_of() { # function
	[ -e "man/$1.3" ] || return 1
	target=$(sed -n 's,^\.so man[37]/,,p' "man/$1.3")
	[ -e "man/${target:=$1.3}" ] && echo "man/$target"
}

count=0
for header in include/tofu/*.h; do
	for name in $(functions_of "$header"); do
		count=$((count + 1))
		page=$(page_of "$name") || { fail "$name ($header) has no page"; continue; }
		grep -q "^\.Nm $name\( ,\)\{0,1\}\$" "$page" || fail "$page does not name $name"
		grep -q "^\.F[no] $name\( .*\)\{0,1\}\$" "$page" || fail "$page has no synopsis of $name"
	done
done
[ "$count" -ge 49 ] || fail "only $count functions found in the headers: does this script read them still?"

for page in man/*.3; do
	! grep -q '^\.so ' "$page" || cat include/tofu/*.h | grep -q "[ *]$(basename "$page" .3)\((\| {$\| { \)" ||
		fail "$page is about nothing in the headers"
done

sed -n 's/^	TOFU_\([A-Z_]*\) = \([0-9]*\),\{0,1\}$/.It \2 Ta Dv TOFU_\1 Ta/p' include/tofu/status.h >"$tmp/rows"
[ "$(wc -l <"$tmp/rows")" -ge 43 ] || fail 'too few statuses found in status.h: does this script read it still?'
while read -r row; do
	grep -qF "$row" man/tofu.7 || fail "man/tofu.7 has no row '$row'"
	entry=$(echo "$row" | sed 's/^.It \([0-9]*\) Ta Dv TOFU_\(.*\) Ta$/| \1 \2 |/; s/ OK / success /')
	grep -qiF "$entry" docs/protocol.md || fail "docs/protocol.md has no '$entry'"
done <"$tmp/rows"

# The example of tofu_transport(3) is a part of examples/transport.c, to the letter, in roff that prints these letters and no
# others that look better; and that part compiles by itself.
awk '/ends --- \*\/$/ { inside = 0 } inside { print } /begins --- \*\/$/ { inside = 1 }' examples/transport.c >"$tmp/part.c"
[ -s "$tmp/part.c" ] || fail 'examples/transport.c has no marks: does this script read it still?'
sed "s/\\\\/\\\\e/g; s/-/\\\\-/g; s/'/\\\\(aq/g; s/\`/\\\\(ga/g; s/\\^/\\\\(ha/g; s/~/\\\\(ti/g" "$tmp/part.c" >"$tmp/part.roff"
awk '/^\.Ed$/ { inside = 0 } inside { print } /^\.Sh / { examples = $2 == "EXAMPLES" }
	/^\.Bd -literal/ { inside = examples }' man/tofu_transport.3 >"$tmp/shown.roff"
same "$tmp/part.roff" "$tmp/shown.roff" 'man/tofu_transport.3 (+) does not show examples/transport.c (-)'
$CC -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -Iinclude -fsyntax-only "$tmp/part.c" ||
	fail 'what man/tofu_transport.3 shows does not compile by itself'

# The other program that shows pages has another opinion of what fits.
if command -v groff >/dev/null; then
	for page in man/*.[137]; do
		grep -q '^\.so ' "$page" && continue
		said=$(groff -mandoc -Tutf8 -ww -z "$page" 2>&1 || echo 'failed')
		[ -z "$said" ] || fail "groff about $page: $said"
	done
fi

if [ "$MANDOC" != no ]; then
	for page in man/*.[137]; do # where a .so leads has a turn of its own
		grep -q '^\.so ' "$page" || "$MANDOC" -T lint -W warning "$page" || fail "mandoc has something to say about $page"
	done
fi
end
[ "$MANDOC" != no ] || skip 'the lint: no mandoc'
