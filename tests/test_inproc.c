/* SPDX-License-Identifier: MIT */

/*
 * What is special about connections within the process, at the level of the transport's operations: names, the queue of a
 * listener, and when the handle of an end is readable. The rest is in test_transport.c and in all tests that run over
 * every transport. connection.c is a part of this program, so that it can be interrupted.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/inproc.h>

#include "transport_inproc/system.h"

/*
 * Between any two steps of one end, the other end may do something. Here it does so before a flag is looked at or set, or
 * a signal cleared.
 */
static void *moment;
static char a_clear; /* stands for it */
static void (*in_that_moment)(void);

static void now_at(const volatile void *flag)
{
	if (flag != moment)
		return;
	moment = NULL;
	in_that_moment();
}

#undef atomic_load
#undef atomic_store
#define atomic_load(at) (now_at(at), atomic_load_explicit(at, memory_order_seq_cst))
#define atomic_store(at, value) (now_at(at), atomic_store_explicit(at, value, memory_order_seq_cst))
#define tofu_inproc_signal_clear(signal) (now_at(&a_clear), (tofu_inproc_signal_clear)(signal))
#include "transport_inproc/connection.c" /* before the steps, of which one is called take, too */

#include "lib/steps.h"
#include "lib/system.h"

enum { BACKLOG = 256, MUCH = 300 * 1024 };

/* A listener, and the two ends of a connection. */
struct two {
	const struct tofu_transport *t;
	struct tofu_link listener, caller, accepted;
	char address[256];
};

static unsigned char much[MUCH], heard[MUCH];

static struct tofu_sockaddr at(const char *name)
{
	struct tofu_sockaddr out;
	size_t count;

	ck_status(tofu_inproc()->resolve(tofu_inproc(), name, TOFU_TO_LISTEN, 0, &out, 1, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	return out;
}

static enum tofu_status listen_on(struct tofu_link *listener, const char *name)
{
	struct tofu_sockaddr to = at(name);

	*listener = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	return tofu_inproc()->listen(tofu_inproc(), listener, &to);
}

static enum tofu_status call_to(struct tofu_link *caller, const char *name)
{
	struct tofu_sockaddr to = at(name);
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st;

	*caller = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	st = tofu_inproc()->connect_start(tofu_inproc(), caller, name, &to, &want);
	if (st == TOFU_WOULD_BLOCK)
		ck_assert_uint_eq(want, 0);
	return st;
}

static void close_link(struct tofu_link *link, enum tofu_close how)
{
	tofu_inproc()->close(tofu_inproc(), link, how);
	ck_assert_int_eq(link->handle, TOFU_NO_SOCKET);
	ck_assert_ptr_null(link->state);
}

static void meet(struct two *w)
{
	w->t = tofu_inproc();
	w->accepted = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	ck_status(listen_on(&w->listener, "a name"), TOFU_OK);
	ck_status(call_to(&w->caller, "a name"), TOFU_OK);
	ck_status(w->t->accept(w->t, &w->listener, &w->accepted), TOFU_OK);
}

static void part(struct two *w)
{
	close_link(&w->caller, TOFU_CLOSE_ORDERLY);
	close_link(&w->accepted, TOFU_CLOSE_ORDERLY);
	close_link(&w->listener, TOFU_CLOSE_ORDERLY);
}

/* At once; *done: how much. */
static enum tofu_status send_some(struct tofu_link *from, const void *bytes, size_t len, size_t *done)
{
	struct tofu_iov iov = { (void *)(uintptr_t)bytes, len };
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st = tofu_inproc()->send(tofu_inproc(), from, &iov, 1, done, &want);

	if (st == TOFU_OK || st == TOFU_WOULD_BLOCK)
		ck_assert_uint_eq(want, *done < len ? TOFU_READABLE : TOFU_WRITABLE);
	return st;
}

static enum tofu_status receive_some(struct tofu_link *to, void *bytes, size_t len, size_t *done)
{
	struct tofu_iov iov = { bytes, len };
	unsigned want = TOFU_READABLE;
	enum tofu_status st = tofu_inproc()->receive(tofu_inproc(), to, &iov, 1, done, &want);

	ck_assert_uint_eq(want, TOFU_READABLE);
	return st;
}

static void send_text(struct tofu_link *from, const char *text)
{
	size_t done;

	ck_status(send_some(from, text, strlen(text), &done), TOFU_OK);
	ck_assert_uint_eq(done, strlen(text));
}

static void expect_text(struct tofu_link *to, const char *text)
{
	char got[64] = "";
	size_t done;

	ck_status(receive_some(to, got, sizeof got - 1, &done), TOFU_OK);
	ck_assert_str_eq(got, text);
}

static void expect_status(struct tofu_link *to, enum tofu_status status)
{
	size_t done;

	ck_status(receive_some(to, heard, sizeof heard, &done), status);
	ck_assert_uint_eq(done, 0);
}

static bool is_readable(const struct tofu_link *link)
{
	return test_ready(link->handle, TOFU_READABLE);
}

/* When it has been told, which may take the system a moment. */
static bool gets_readable(const struct tofu_link *link)
{
	return test_wait(link->handle, TOFU_READABLE);
}

/* Until nothing more fits; how much that was. */
static size_t fill(struct tofu_link *from)
{
	size_t all = 0, done;

	while (send_some(from, much, sizeof much, &done) == TOFU_OK)
		all += done;
	return all;
}

static size_t empty(struct tofu_link *to)
{
	size_t all = 0, done;

	while (receive_some(to, heard, sizeof heard, &done) == TOFU_OK)
		all += done;
	return all;
}

/* --- names --- */

START_TEST(nobody_listens_gives_connect_failed)
{
	struct tofu_link link;

	ck_status(call_to(&link, "nobody"), TOFU_CONNECT_FAILED);
	ck_assert_int_eq(link.handle, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(a_name_has_one_listener_at_a_time)
{
	struct tofu_link one, two;

	ck_status(listen_on(&one, "a name"), TOFU_OK);
	ck_status(listen_on(&two, "a name"), TOFU_ADDRESS_IN_USE);
	ck_status(listen_on(&two, "another name"), TOFU_OK);
	close_link(&one, TOFU_CLOSE_ORDERLY);
	ck_status(listen_on(&one, "a name"), TOFU_OK);
	close_link(&one, TOFU_CLOSE_ORDERLY);
	close_link(&two, TOFU_CLOSE_ORDERLY);
}
END_TEST

START_TEST(many_listeners_are_told_apart)
{
	static struct tofu_link listeners[300];
	struct tofu_link caller, accepted = { 0 };
	char name[32];

	for (size_t i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "number %zu", i);
		ck_status(listen_on(&listeners[i], name), TOFU_OK);
	}
	for (size_t i = 0; i < 300; i += 2)
		close_link(&listeners[i], TOFU_CLOSE_ORDERLY);
	for (size_t i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "number %zu", i);
		ck_status(call_to(&caller, name), i % 2 == 0 ? TOFU_CONNECT_FAILED : TOFU_OK);
		if (i % 2 == 0)
			continue;
		ck_status(tofu_inproc()->accept(tofu_inproc(), &listeners[i], &accepted), TOFU_OK);
		close_link(&caller, TOFU_CLOSE_ORDERLY);
		close_link(&accepted, TOFU_CLOSE_ORDERLY);
		close_link(&listeners[i], TOFU_CLOSE_ORDERLY);
	}
}
END_TEST

START_TEST(an_empty_name_to_listen_becomes_a_new_one)
{
	const struct tofu_transport *t = tofu_inproc();
	char one[256], two[256], none[256] = "x";

	ck_status(t->complete(t, "", TOFU_TO_LISTEN, one, sizeof one), TOFU_OK);
	ck_status(t->complete(t, "", TOFU_TO_LISTEN, two, sizeof two), TOFU_OK);
	ck_assert(one[0] != '\0' && strcmp(one, two) != 0);
	ck_status(t->complete(t, "given", TOFU_TO_LISTEN, none, sizeof none), TOFU_OK);
	ck_assert_str_eq(none, "");
	ck_status(t->complete(t, "", TOFU_TO_CONNECT, none, sizeof none), TOFU_OK);
	ck_assert_str_eq(none, "");
}
END_TEST

START_TEST(a_name_has_127_bytes_at_most)
{
	const struct tofu_transport *t = tofu_inproc();
	struct tofu_sockaddr out;
	char name[129];
	struct tofu_link link;
	size_t count;

	memset(name, 'n', sizeof name);
	name[128] = '\0';
	ck_status(t->resolve(t, name, TOFU_TO_LISTEN, 0, &out, 1, &count), TOFU_PATH_TOO_LONG);
	ck_assert_uint_eq(count, 0);
	name[127] = '\0';
	ck_status(listen_on(&link, name), TOFU_OK);
	close_link(&link, TOFU_CLOSE_ORDERLY);
}
END_TEST

START_TEST(the_peer_is_this_process)
{
	struct tofu_identity caller = { .pid = -1 }, accepted = { .pid = -2 };
	struct two w;

	meet(&w);
	w.t->identify(w.t, &w.caller, &caller);
	w.t->identify(w.t, &w.accepted, &accepted);
	ck_assert_int_gt(caller.pid, 0);
	ck_assert_int_eq(caller.pid, accepted.pid);
	ck_assert_str_eq(caller.text, "");
	part(&w);
}
END_TEST

/* --- the queue of a listener --- */

START_TEST(a_full_queue_is_waited_for)
{
	static struct tofu_link callers[BACKLOG + 1];
	struct tofu_link listener, accepted = { 0 };

	must(os_raise_descriptor_limit() >= 2 * BACKLOG + 20, "too few descriptors");
	ck_status(listen_on(&listener, "a name"), TOFU_OK);
	for (size_t i = 0; i < BACKLOG; i++)
		ck_status(call_to(&callers[i], "a name"), TOFU_OK);
	ck_status(call_to(&callers[BACKLOG], "a name"), TOFU_WOULD_BLOCK);
	ck_assert_int_eq(callers[BACKLOG].handle, TOFU_NO_SOCKET);
	ck_status(tofu_inproc()->accept(tofu_inproc(), &listener, &accepted), TOFU_OK);
	ck_status(call_to(&callers[BACKLOG], "a name"), TOFU_OK);
	close_link(&listener, TOFU_CLOSE_ORDERLY);
	close_link(&accepted, TOFU_CLOSE_ORDERLY);
	for (size_t i = 0; i <= BACKLOG; i++) {
		expect_status(&callers[i], TOFU_PEER_DISCONNECTED);
		close_link(&callers[i], TOFU_CLOSE_ORDERLY);
	}
}
END_TEST

START_TEST(a_listener_is_readable_while_somebody_waits)
{
	struct tofu_link listener, callers[2], accepted = { 0 };

	ck_status(listen_on(&listener, "a name"), TOFU_OK);
	ck_assert(!is_readable(&listener));
	for (size_t i = 0; i < 2; i++)
		ck_status(call_to(&callers[i], "a name"), TOFU_OK);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(gets_readable(&listener));
		ck_status(tofu_inproc()->accept(tofu_inproc(), &listener, &accepted), TOFU_OK);
		close_link(&accepted, TOFU_CLOSE_ORDERLY);
		close_link(&callers[i], TOFU_CLOSE_ORDERLY);
	}
	ck_assert(!is_readable(&listener));
	close_link(&listener, TOFU_CLOSE_ORDERLY);
}
END_TEST

START_TEST(a_caller_may_speak_before_it_is_accepted)
{
	struct tofu_link listener, caller, accepted = { 0 };

	ck_status(listen_on(&listener, "a name"), TOFU_OK);
	ck_status(call_to(&caller, "a name"), TOFU_OK);
	send_text(&caller, "early");
	close_link(&caller, TOFU_CLOSE_ORDERLY);
	ck_status(tofu_inproc()->accept(tofu_inproc(), &listener, &accepted), TOFU_OK);
	ck_assert(gets_readable(&accepted));
	expect_text(&accepted, "early");
	expect_status(&accepted, TOFU_PEER_DISCONNECTED);
	close_link(&accepted, TOFU_CLOSE_ORDERLY);
	close_link(&listener, TOFU_CLOSE_ORDERLY);
}
END_TEST

/* --- when a handle is readable --- */

START_TEST(an_end_is_readable_until_all_is_read)
{
	char byte;
	size_t done;
	struct two w;

	meet(&w);
	ck_assert(!is_readable(&w.accepted));
	send_text(&w.caller, "ab");
	for (int i = 0; i < 2; i++) {
		ck_assert(gets_readable(&w.accepted));
		ck_status(receive_some(&w.accepted, &byte, 1, &done), TOFU_OK);
		ck_assert_int_eq(byte, "ab"[i]);
	}
	expect_status(&w.accepted, TOFU_WOULD_BLOCK);
	ck_assert(!is_readable(&w.accepted));
	send_text(&w.caller, "c");
	ck_assert(gets_readable(&w.accepted));
	expect_text(&w.accepted, "c");
	ck_assert(!is_readable(&w.accepted));
	part(&w);
}
END_TEST

START_TEST(the_buffer_is_bounded_and_room_wakes_the_sender)
{
	size_t all;
	struct two w;

	meet(&w);
	all = fill(&w.caller);
	ck_assert_uint_ge(all, 64 * 1024);
	ck_assert_uint_le(all, MUCH);
	ck_assert(!is_readable(&w.caller));
	ck_assert_uint_eq(empty(&w.accepted), all);
	ck_assert(gets_readable(&w.caller));
	send_text(&w.caller, "on");
	ck_assert(!is_readable(&w.caller));
	expect_text(&w.accepted, "on");
	part(&w);
}
END_TEST

/* An engine receives first, when its handle is readable. */
START_TEST(a_look_for_bytes_does_not_cost_the_wake_up_for_room)
{
	struct two w;

	meet(&w);
	(void)fill(&w.caller);
	(void)empty(&w.accepted);
	expect_status(&w.caller, TOFU_WOULD_BLOCK);
	ck_assert(gets_readable(&w.caller));
	send_text(&w.caller, "on");
	ck_assert(!is_readable(&w.caller));
	part(&w);
}
END_TEST

START_TEST(a_look_for_room_does_not_cost_the_wake_up_for_bytes)
{
	size_t done;
	struct two w;

	meet(&w);
	send_text(&w.accepted, "for you");
	(void)fill(&w.caller);
	ck_assert(gets_readable(&w.caller));
	expect_text(&w.caller, "for you");
	ck_assert(!is_readable(&w.caller));
	ck_status(send_some(&w.caller, "x", 1, &done), TOFU_WOULD_BLOCK);
	send_text(&w.accepted, "again");
	ck_assert(gets_readable(&w.caller));
	part(&w);
}
END_TEST

START_TEST(one_that_sends_and_does_not_read_is_not_woken_for_what_it_does_not_read)
{
	size_t done;
	struct two w;

	meet(&w);
	send_text(&w.accepted, "later");
	(void)fill(&w.caller);
	for (int i = 0; is_readable(&w.caller); i++) {
		ck_assert_int_lt(i, 4);
		ck_status(send_some(&w.caller, "x", 1, &done), TOFU_WOULD_BLOCK);
	}
	(void)empty(&w.accepted);
	ck_assert(gets_readable(&w.caller));
	send_text(&w.caller, "x");
	expect_text(&w.caller, "later");
	ck_assert(!is_readable(&w.caller));
	part(&w);
}
END_TEST

START_TEST(the_end_is_told_and_then_keeps_nobody_awake)
{
	unsigned want = 0;
	struct two w;

	meet(&w);
	send_text(&w.caller, "last");
	ck_status(w.t->shutdown(w.t, &w.caller, &want), TOFU_OK);
	ck_assert(gets_readable(&w.accepted));
	expect_text(&w.accepted, "last");
	ck_assert(gets_readable(&w.accepted));
	expect_status(&w.accepted, TOFU_PEER_DISCONNECTED);
	ck_assert(!is_readable(&w.accepted));
	expect_status(&w.accepted, TOFU_PEER_DISCONNECTED);
	send_text(&w.accepted, "heard");
	expect_text(&w.caller, "heard");
	part(&w);
}
END_TEST

START_TEST(a_sender_that_waits_is_woken_when_its_peer_goes)
{
	const enum tofu_close how = _i == 0 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_ABORT;
	size_t done;
	struct two w;

	meet(&w);
	(void)fill(&w.caller);
	send_text(&w.accepted, "last");
	expect_text(&w.caller, "last");
	ck_assert(!is_readable(&w.caller));
	close_link(&w.accepted, how);
	ck_assert(gets_readable(&w.caller));
	expect_status(&w.caller, TOFU_PEER_DISCONNECTED);
	ck_assert(gets_readable(&w.caller)); /* the sender has not looked yet */
	ck_status(send_some(&w.caller, "x", 1, &done), TOFU_PEER_DISCONNECTED);
	ck_assert(!is_readable(&w.caller));
	part(&w);
}
END_TEST

START_TEST(what_was_sent_before_a_close_is_read)
{
	const enum tofu_close how = _i == 0 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_ABORT;
	size_t all;
	struct two w;

	meet(&w);
	all = fill(&w.accepted);
	close_link(&w.accepted, how);
	ck_assert_uint_eq(empty(&w.caller), all);
	expect_status(&w.caller, TOFU_PEER_DISCONNECTED);
	part(&w);
}
END_TEST

/* --- what happens in between --- */

static struct two between;

static struct tofu_inproc_ring *ring_from(const struct tofu_link *link)
{
	return ((const struct tofu_inproc_end *)link->state)->out;
}

static void wait_for_moment(void *flag, void (*what)(void))
{
	moment = flag;
	in_that_moment = what;
}

static void moment_has_been(void)
{
	ck_assert_msg(moment == NULL, "the flag was not touched");
}

static void more_is_sent(void)
{
	send_text(&between.caller, "b");
}

START_TEST(bytes_that_come_while_the_reader_goes_to_sleep_wake_it)
{
	char got[8];
	size_t done;

	meet(&between);
	send_text(&between.caller, "a");
	wait_for_moment(&ring_from(&between.caller)->bytes_awaited, more_is_sent);
	ck_status(receive_some(&between.accepted, got, sizeof got, &done), TOFU_OK);
	moment_has_been();
	ck_assert(done == 2 || gets_readable(&between.accepted));
	part(&between);
}
END_TEST

START_TEST(bytes_behind_a_full_vector_keep_the_reader_awake)
{
	char got[2];
	size_t done;

	meet(&between);
	send_text(&between.caller, "a");
	wait_for_moment(&ring_from(&between.caller)->bytes_awaited, more_is_sent);
	ck_status(receive_some(&between.accepted, got, 2, &done), TOFU_OK);
	ck_assert_uint_eq(done, 2);
	ck_assert(gets_readable(&between.accepted)); /* whatever is there or not, it is to look */
	part(&between);
}
END_TEST

static void it_ends(void)
{
	unsigned want;

	ck_status(between.t->shutdown(between.t, &between.caller, &want), TOFU_OK);
}

START_TEST(an_end_that_comes_while_the_reader_goes_to_sleep_wakes_it)
{
	meet(&between);
	send_text(&between.caller, "a");
	wait_for_moment(&ring_from(&between.caller)->bytes_awaited, it_ends);
	expect_text(&between.accepted, "a");
	moment_has_been();
	ck_assert(gets_readable(&between.accepted));
	expect_status(&between.accepted, TOFU_PEER_DISCONNECTED);
	part(&between);
}
END_TEST

static void it_is_sent_and_ends(void)
{
	more_is_sent();
	it_ends();
}

START_TEST(an_end_right_behind_a_byte_is_not_told_first)
{
	meet(&between);
	wait_for_moment(&ring_from(&between.caller)->ended, it_is_sent_and_ends);
	expect_text(&between.accepted, "b");
	moment_has_been();
	expect_status(&between.accepted, TOFU_PEER_DISCONNECTED);
	part(&between);
}
END_TEST

static void all_is_read(void)
{
	(void)empty(&between.accepted);
}

START_TEST(room_that_comes_while_the_sender_goes_to_sleep_wakes_it)
{
	size_t done;

	meet(&between);
	wait_for_moment(&ring_from(&between.caller)->room_awaited, all_is_read);
	ck_status(send_some(&between.caller, much, sizeof much, &done), TOFU_OK);
	moment_has_been();
	ck_assert(done == sizeof much || gets_readable(&between.caller));
	part(&between);
}
END_TEST

START_TEST(room_that_comes_while_the_signal_is_cleared_wakes_the_sender)
{
	meet(&between);
	(void)fill(&between.caller);
	wait_for_moment(&a_clear, all_is_read);
	expect_status(&between.caller, TOFU_WOULD_BLOCK);
	moment_has_been();
	ck_assert(gets_readable(&between.caller));
	send_text(&between.caller, "on");
	part(&between);
}
END_TEST

static void the_reader_goes(void)
{
	close_link(&between.accepted, TOFU_CLOSE_ORDERLY);
}

START_TEST(a_reader_that_goes_while_the_sender_goes_to_sleep_wakes_it)
{
	enum tofu_status st;
	size_t done;

	meet(&between);
	wait_for_moment(&ring_from(&between.caller)->room_awaited, the_reader_goes);
	st = send_some(&between.caller, much, sizeof much, &done);
	moment_has_been();
	ck_assert(st == TOFU_PEER_DISCONNECTED || gets_readable(&between.caller));
	part(&between);
}
END_TEST

/* --- memory --- */

static bool is_settled(struct tofu_link *link)
{
	int settled = -1;

	ck_status(tofu_inproc()->look(tofu_inproc(), link, 0, &settled), TOFU_OK);
	return settled != 0;
}

START_TEST(a_connection_that_rests_gives_its_memory_back)
{
	struct two w;

	meet(&w);
	send_text(&w.caller, "small talk");
	expect_text(&w.accepted, "small talk");
	ck_assert(!is_settled(&w.caller)); /* used since the last look */
	ck_assert(is_settled(&w.caller));
	send_text(&w.caller, "more of it");
	ck_assert(!is_settled(&w.caller));
	ck_assert(!is_settled(&w.caller)); /* not read yet */
	expect_text(&w.accepted, "more of it");
	ck_assert(is_settled(&w.caller));
	part(&w);
}
END_TEST

/* --- both at once --- */

enum { PIECE = 6000 };

struct flow {
	struct tofu_link *link;
	uint64_t seed;
	size_t total;
	struct tofu_thread thread;
};

static unsigned char byte_at(size_t position)
{
	return (unsigned char)(position * 7 % 251);
}

static size_t send_piece(struct flow *f, size_t sent)
{
	unsigned char piece[PIECE];
	size_t len = 1 + dice(&f->seed, dice(&f->seed, 2) == 0 ? 40 : PIECE), done = 0;
	enum tofu_status st;

	if (len > f->total - sent)
		len = f->total - sent;
	for (size_t i = 0; i < len; i++)
		piece[i] = byte_at(sent + i);
	st = send_some(f->link, piece, len, &done);
	must(st == TOFU_OK || st == TOFU_WOULD_BLOCK, "sending gave %s", tofu_status_name(st));
	return done;
}

static size_t receive_piece(struct flow *f, size_t got)
{
	unsigned char piece[PIECE];
	size_t len = 1 + dice(&f->seed, PIECE), done = 0;
	enum tofu_status st = receive_some(f->link, piece, len, &done);

	must(st == TOFU_OK || st == TOFU_WOULD_BLOCK, "receiving gave %s", tofu_status_name(st));
	for (size_t i = 0; i < done; i++)
		must(piece[i] == byte_at(got + i), "byte %zu is wrong", got + i);
	return done;
}

/* Both directions, and a wait whenever neither has anything to do: one wake-up that is lost is the last. */
static void flow(void *context)
{
	struct flow *f = context;
	size_t sent = 0, got = 0;

	while (sent < f->total || got < f->total) {
		size_t in = receive_piece(f, got);
		size_t out = sent < f->total ? send_piece(f, sent) : 0;

		got += in;
		sent += out;
		if (in == 0 && out == 0)
			must(test_wait(f->link->handle, TOFU_READABLE), "asleep at %zu in, %zu out", got, sent);
	}
}

START_TEST(no_wake_up_is_lost_between_two_threads)
{
	uint64_t seed = fresh_seed("flows");
	struct flow one, two;
	struct two w;

	meet(&w);
	for (unsigned i = 0; i < rounds(20); i++) {
		one = (struct flow){ .link = &w.caller, .seed = seed + 2 * i, .total = 4 * 1024 * 1024 };
		two = (struct flow){ .link = &w.accepted, .seed = seed + 2 * i + 1, .total = one.total };
		works(tofu_thread_start(&one.thread, flow, &one));
		flow(&two);
		tofu_thread_join(&one.thread);
	}
	part(&w);
}
END_TEST

/* A byte to and fro: both wait all the time. */
static void ping(void *context)
{
	struct flow *f = context;
	unsigned char byte = 0;
	size_t done = 0;

	for (size_t i = 0; i < f->total; i++) {
		if (f->seed == 0)
			works(send_some(f->link, &byte, 1, &done));
		while (receive_some(f->link, &byte, 1, &done) == TOFU_WOULD_BLOCK)
			must(test_wait(f->link->handle, TOFU_READABLE), "asleep in round %zu", i);
		if (f->seed != 0)
			works(send_some(f->link, &byte, 1, &done));
	}
}

START_TEST(no_wake_up_is_lost_in_a_dialogue)
{
	struct flow one, two;
	struct two w;

	meet(&w);
	one = (struct flow){ .link = &w.caller, .seed = 0, .total = rounds(50000) };
	two = (struct flow){ .link = &w.accepted, .seed = 1, .total = one.total };
	works(tofu_thread_start(&one.thread, ping, &one));
	ping(&two);
	tofu_thread_join(&one.thread);
	part(&w);
}
END_TEST

static atomic_bool closing;

static void call_again_and_again(void *context)
{
	struct tofu_link link;

	while (!atomic_load(&closing)) {
		size_t done;

		if (call_to(&link, "a name") != TOFU_OK)
			continue;
		(void)send_some(&link, "x", 1, &done);
		close_link(&link, TOFU_CLOSE_ORDERLY);
	}
}

START_TEST(a_listener_may_close_while_others_call_it)
{
	int before = os_descriptors();
	struct tofu_link listener, accepted = { 0 };
	struct tofu_thread thread;

	atomic_store(&closing, false);
	works(tofu_thread_start(&thread, call_again_and_again, NULL));
	for (unsigned i = 0; i < rounds(2000); i++) {
		ck_status(listen_on(&listener, "a name"), TOFU_OK);
		if (tofu_inproc()->accept(tofu_inproc(), &listener, &accepted) == TOFU_OK)
			close_link(&accepted, TOFU_CLOSE_ABORT);
		close_link(&listener, TOFU_CLOSE_ORDERLY);
	}
	atomic_store(&closing, true);
	tofu_thread_join(&thread);
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

static void set_up(void)
{
	ck_status(tofu_init(), TOFU_OK);
}

static void tear_down(void)
{
	tofu_deinit();
}

static void add_twice(TCase *tc, const TTest *test)
{
	if (over_here(OVER_INPROC))
		tcase_add_loop_test(tc, test, 0, 2);
}

static Suite *suite_of_inproc(void)
{
	Suite *suite = suite_create("inproc");
	TCase *names = suite_case(suite, "names", 30), *queue = suite_case(suite, "queue", 30);
	TCase *handles = suite_case(suite, "handles", 30), *threads = suite_case(suite, "threads", 60);

	tcase_add_checked_fixture(names, set_up, tear_down);
	tcase_add_checked_fixture(queue, set_up, tear_down);
	tcase_add_checked_fixture(handles, set_up, tear_down);
	tcase_add_checked_fixture(threads, set_up, tear_down);
	over_need(names, nobody_listens_gives_connect_failed, OVER_INPROC);
	over_need(names, a_name_has_one_listener_at_a_time, OVER_INPROC);
	over_need(names, many_listeners_are_told_apart, OVER_INPROC);
	over_need(names, an_empty_name_to_listen_becomes_a_new_one, OVER_INPROC);
	over_need(names, a_name_has_127_bytes_at_most, OVER_INPROC);
	over_need(names, the_peer_is_this_process, OVER_INPROC);
	over_need(queue, a_full_queue_is_waited_for, OVER_INPROC);
	over_need(queue, a_listener_is_readable_while_somebody_waits, OVER_INPROC);
	over_need(queue, a_caller_may_speak_before_it_is_accepted, OVER_INPROC);
	over_need(handles, an_end_is_readable_until_all_is_read, OVER_INPROC);
	over_need(handles, the_buffer_is_bounded_and_room_wakes_the_sender, OVER_INPROC);
	over_need(handles, room_that_comes_while_the_signal_is_cleared_wakes_the_sender, OVER_INPROC);
	over_need(handles, a_look_for_bytes_does_not_cost_the_wake_up_for_room, OVER_INPROC);
	over_need(handles, a_look_for_room_does_not_cost_the_wake_up_for_bytes, OVER_INPROC);
	over_need(handles, one_that_sends_and_does_not_read_is_not_woken_for_what_it_does_not_read, OVER_INPROC);
	over_need(handles, the_end_is_told_and_then_keeps_nobody_awake, OVER_INPROC);
	add_twice(handles, a_sender_that_waits_is_woken_when_its_peer_goes);
	add_twice(handles, what_was_sent_before_a_close_is_read);
	over_need(handles, bytes_that_come_while_the_reader_goes_to_sleep_wake_it, OVER_INPROC);
	over_need(handles, bytes_behind_a_full_vector_keep_the_reader_awake, OVER_INPROC);
	over_need(handles, an_end_that_comes_while_the_reader_goes_to_sleep_wakes_it, OVER_INPROC);
	over_need(handles, an_end_right_behind_a_byte_is_not_told_first, OVER_INPROC);
	over_need(handles, room_that_comes_while_the_sender_goes_to_sleep_wakes_it, OVER_INPROC);
	over_need(handles, a_reader_that_goes_while_the_sender_goes_to_sleep_wakes_it, OVER_INPROC);
	over_need(handles, a_connection_that_rests_gives_its_memory_back, OVER_INPROC);
	over_need(threads, no_wake_up_is_lost_between_two_threads, OVER_INPROC);
	over_need(threads, no_wake_up_is_lost_in_a_dialogue, OVER_INPROC);
	over_need(threads, a_listener_may_close_while_others_call_it, OVER_INPROC);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_inproc());
}
