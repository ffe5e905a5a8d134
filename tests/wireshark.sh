#!/bin/sh
# SPDX-License-Identifier: MIT
# The dissector for Wireshark, by tshark, on captures made here: frames in pieces and several in one, streams, what answers what, and
# what no peer may send.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
command -v tshark >/dev/null || skip 'no tshark'
[ "${PYTHON3#sh }" = "$PYTHON3" ] || skip 'no Python'

$PYTHON3 "$TOP_SRCDIR/tests/lib/tofu_pcap.py" "$tmp/talk.pcap"

shark() { # arguments of tshark
	tshark -2 -X "lua_script:$TOP_SRCDIR/packaging/wireshark/tofu.lua" -r "$tmp/talk.pcap" "$@" 2>"$tmp/said" ||
		{ fail 'tshark'; cat "$tmp/said"; }
	! grep -i 'lua.*error' "$tmp/said" || fail 'the dissector'
}

shark -T fields -E 'separator=|' -e frame.number -e tofu.opcode -e tofu.id -e tofu.more -e tofu.header.value -e tofu.response_in \
	-e tofu.response_to >"$tmp/got"
cat >"$tmp/expected" <<'END'
1|3|7|0|tcp|127.0.0.1|4000|2|
2|4|7|0|||1
3||||||
4|0,2,2|8,9,9|0,1,0|1,en|5|
5|1|8|0|||4
6|5|10|0||7|
7|6|10|0|||6
8|0|11|0|||
9|12|11|0|||
10|2|12|0|||
END
same "$tmp/expected" "$tmp/got" 'what was seen'

shark -T fields -e _ws.col.Info >"$tmp/got"
grep -qx 'Request id=8 body=5; Signal id=9 more body=2; Signal id=9 body=1' "$tmp/got" || { fail 'the summary'; cat "$tmp/got"; }

number_of() { # filter
	shark -Y "$1" -T fields -e frame.number | tr '\n' ' '
}
check() { # filter, packets
	got=$(number_of "$1")
	[ "$got" = "$2" ] || fail "packets with $1: $got, and not $2"
}
check 'tofu.header.name == "~connect_to"' '1 '
check 'tofu.more' '1 2 4 5 6 7 8 9 10 '
check 'tofu.more == 1' '4 '
check 'tofu.time > 0.001' '2 5 7 '
check 'tofu.bad_bits' '8 '
check 'tofu.bad_opcode' '9 '
check 'tofu.bad_header' '9 '
check 'tofu.body contains "Tofu"' '5 '
end
