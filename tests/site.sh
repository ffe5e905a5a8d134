#!/bin/sh
# SPDX-License-Identifier: MIT
# The site of the manual, as `make html` makes it: each reference in it leads somewhere, and each page can be reached. And the check
# of references sees one that leads nowhere.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ "$MANDOC" != no ] || skip 'no mandoc'
[ "$CMARK" != no ] || skip 'no cmark-gfm'
[ "${PYTHON3#sh }" = "$PYTHON3" ] || skip 'no Python'

site=$tmp/site
$PYTHON3 "$TOP_SRCDIR/docs/site/make-site" "$TOP_SRCDIR" "$site" || fail 'the site cannot be made'
$PYTHON3 "$TOP_SRCDIR/docs/site/check-links" "$site" || fail 'the site is not in one piece'

for page in index.html README.html docs/protocol.html man/tofu.7.html man/tofu-tcp.7.html man/tofu_group.3.html; do
	[ -s "$site/$page" ] || fail "the site has no $page"
done
# A function leads to its place on its page, a status to its row, in text as in programs.
for link in man/tofu_msg.3.html#tofu_header man/tofu_group.3.html#tofu_post man/tofu.7.html#TOFU_OK; do
	grep -q "[\"/]$link\"" "$site/README.html" "$site/docs/guide/first-steps.html" || fail "nothing leads to $link"
done

wrong() { # text of a page, what is said of it
	echo "$1" >"$site/man/wrong.html"
	echo '<a href="man/wrong.html">wrong</a>' >>"$site/index.html"
	! $PYTHON3 "$TOP_SRCDIR/docs/site/check-links" "$site" >"$tmp/said" || fail "check-links takes '$1'"
	grep -qF "$2" "$tmp/said" || fail "check-links does not say '$2'"
}
wrong '<a href="nowhere.html">x</a>' 'man/wrong.html: nowhere.html is no file'
wrong '<a href="tofu.7.html#nowhere">x</a>' 'man/wrong.html: tofu.7.html#nowhere has no such anchor'
wrong '<i id="x"></i><i id="x"></i>' 'man/wrong.html: the anchor x is there twice'
wrong '<a href="tofu.7.html">x<a href="tofu.7.html">y</a></a>' 'man/wrong.html: 1 links within links'
echo lost >"$site/lost.html"
wrong '' 'lost.html cannot be reached'
end
