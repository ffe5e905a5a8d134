#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs every example as a reader would, in the build directory that tests are run in; the demonstration is one step
# above the others. WRAPPER, if set, is put before each program (valgrind -q --error-exitcode=99 ...); else RUNNER, which is
# what programs for another system need, and then their lines may end with a carriage return.

set -u
dir=examples
wrapper=${WRAPPER-${RUNNER-}}
exe=${EXEEXT-}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/examples.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

bad()
{
	echo "FAIL: $*"
	failed=1
}

# Of a program that has run: no carriage returns.
plain()
{
	tr -d '\r' <"$tmp/out" >"$tmp/plain" && mv "$tmp/plain" "$tmp/out"
}

# run NAME LINE [ARGUMENT]: succeeds, prints that line, and nothing on the standard error output.
run()
{
	name=$1 line=$2
	shift 2
	# shellcheck disable=SC2086 # a program and its options
	timeout 120 $wrapper "$dir/$name$exe" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	plain
	if test $status -ne 0 && test -n "$exe" && grep -q 'this system or this build does not support it' "$tmp/out" "$tmp/err"; then
		echo "skipped: $name: this system has no Unix sockets"
		return
	fi
	if test $status -ne 0; then
		bad "$name: exit status $status"
	elif test -s "$tmp/err"; then
		bad "$name: complained"
	elif ! grep -qx -e "$line" "$tmp/out"; then
		bad "$name: no line '$line'"
	else
		echo "ok: $name"
		return
	fi
	cat "$tmp/out" "$tmp/err"
}

# The first two are a pair: the server says where it listens, the client is told. The server is ended by a signal, so a
# checker of leaks would have nothing to say about it. Its first line is the shell that becomes it. By a pipe, for not every
# shell on Windows has a fifo that programs can write to.
first_two()
{
	# shellcheck disable=SC2016,SC2086 # not here; nothing, or a program and its options
	sh -c 'echo $$; exec "$@"' sh ${RUNNER-} "$dir/first_server$exe" 'tcp|127.0.0.1|0' 2>"$tmp/server_err" |
		call_first_server || failed=1
}

call_first_server()
{
	read -r server
	read -r line
	address=$(printf '%s' "${line#listening on }" | tr -d '\r')
	run first_client 'What is tofu?' "$address"
	run first_client 'What is tofu?' "$address"
	# shellcheck disable=SC2086
	${RUNNER-} "$dir/first_talk$exe" "$address" | {
		read -r _
		read -r _
		kill "$server" || bad 'first_server: gone'
		cat
	} >"$tmp/out"
	plain
	grep -qx 'Signal of the engine: channel_closed, by peer_disconnected' "$tmp/out" ||
		{ bad 'first_talk: not told that the server has gone' && cat "$tmp/out"; }
	cat # until it has ended
	test -s "$tmp/server_err" && bad 'first_server: complained' && cat "$tmp/server_err"
	run first_talk 'HelloResponse of the engine: connect_failed' "$address"
	# shellcheck disable=SC2086
	if timeout 60 ${RUNNER-} "$dir/first_client$exe" "$address" >"$tmp/out" 2>"$tmp/err"; then
		bad 'first_client: success with no server'
	elif ! grep -q 'first_client: tcp|127.0.0.1|[0-9]*: .' "$tmp/err"; then
		bad 'first_client: does not say why it failed' && cat "$tmp/err"
	fi
	return $failed
}

# A boss in a process of its own. Its first worker is killed in the middle of a job, the second one does everything.
worker_pool()
{
	# shellcheck disable=SC2086
	timeout 120 ${RUNNER-} "$dir/worker_pool$exe" boss 'tcp|127.0.0.1|0' 2>"$tmp/boss_err" | call_boss || failed=1
}

call_boss()
{
	read -r line
	address=$(printf '%s' "${line#listening on }" | tr -d '\r')
	# shellcheck disable=SC2016,SC2086
	sh -c 'echo $$; exec "$@"' sh ${RUNNER-} "$dir/worker_pool$exe" hang "$address" | {
		read -r worker
		read -r job
		kill "$worker"
		cat
		test "$(printf '%s' "$job" | tr -d '\r')" = 'job 1'
	} || bad "worker_pool: the first worker has no job"
	run worker_pool 'job 1' work "$address"
	cat >"$tmp/out"
	plain
	for line in 'a worker has gone, job 1 waits again' 'all jobs are done, the sum of their results is 196'; do
		grep -qx "$line" "$tmp/out" || bad "worker_pool: the boss says no '$line'"
	done
	test -s "$tmp/boss_err" && bad 'worker_pool: the boss complained' && cat "$tmp/boss_err"
	return $failed
}

first_two
worker_pool
run correlation 'answer .*: the square of 11 is 121'
run streaming 'the same bytes, turned around twice'
run file_transfer '200000000 bytes, in two pieces, and the same'
run deadlines '5 answered, 1 given up'
run heartbeat 'the server hung, and the client is free again'
run restart 'all 8 questions were answered'
run fan_out 'subscriber 3, weather: got [1-9][0-9]*, missed [1-9][0-9]*'
run shards '2 shards counted 16 keys, each 25 times'
run threads '4 threads asked, the sum of 400 squares is 21413400'
run full_pool '100 messages through a pool of 8, in order'
run progress 'sum: 12500002500000'
run several_listeners 'an answer came through uds|.*'
run reconnect 'client: connected'
run transport 'loopback|[0-9]*: Is anybody there?'
run foreign_loop 'answer: smoked'
run ../demo '  all right: every byte was compared'
exit $failed
