/* SPDX-License-Identifier: MIT */

/*
 * What every transport does, at the level of its operations: each case is written once and runs for TCP over IPv4, TCP
 * over IPv6, Unix sockets and within the process (_i picks). Where the system lacks one of them, its cases pass without looking.
 */

#include <stdlib.h>
#include <string.h>

#include <tofu/inproc.h>
#include <tofu/tcp.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/system.h"

enum { TCP4, TCP6, UDS, INPROC, KINDS };

static const struct kind {
	const struct tofu_transport *(*get)(void);
	const char *listen;      /* an address of its own choice */
	enum tofu_status nobody; /* what a connect to a closed listener's address gives */
	const char *scheme;
	const char *caller; /* how the connecting end's address begins */
	unsigned room;      /* what a full buffer waits for */
} kinds[KINDS] = {
	[TCP4] = { tofu_tcp, "127.0.0.1|0", TOFU_CONNECT_FAILED, "tcp", "tcp|127.0.0.1|", TOFU_WRITABLE },
	[TCP6] = { tofu_tcp, "::1|0", TOFU_CONNECT_FAILED, "tcp", "tcp|::1|", TOFU_WRITABLE },
	[UDS] = { tofu_unix, "", TOFU_UDS_PATH_NOT_FOUND, "uds", "uds|", TOFU_WRITABLE },
	[INPROC] = { tofu_inproc, "", TOFU_CONNECT_FAILED, "inproc", "inproc|", TOFU_READABLE },
};

/* A listener, and the two ends of a connection. Zeroed: none. */
struct ends {
	const struct tofu_transport *t;
	struct tofu_link listener, client, server;
	char text[512]; /* the listener's address, scheme and all */
};

static struct tofu_sockaddr resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose)
{
	struct tofu_sockaddr all[TOFU_ADDRESSES_MAX];
	size_t count = 0;

	ck_status(t->resolve(t, rest, purpose, 0, all, TOFU_ADDRESSES_MAX, &count), TOFU_OK);
	ck_assert_uint_ge(count, 1);
	return all[0];
}

/* Call again for as long as the transport is finding out whether the owner of the address lives. */
static enum tofu_status listen_at(const struct tofu_transport *t, struct tofu_link *listener,
                                  const struct tofu_sockaddr *at)
{
	enum tofu_status st;

	while ((st = t->listen(t, listener, at)) == TOFU_WOULD_BLOCK)
		os_pause();
	return st;
}

/* False: the system does not have this kind. */
static bool start_listening(struct ends *e, int kind)
{
	const struct tofu_transport *t = kinds[kind].get();
	struct tofu_sockaddr at;
	char full[512] = "";
	enum tofu_status st = TOFU_OK;
	size_t count;

	memset(e, 0, sizeof *e);
	e->t = t;
	if (t->complete != NULL)
		st = t->complete(t, kinds[kind].listen, TOFU_TO_LISTEN, full, sizeof full);
	ck_status(st, TOFU_OK);
	st = t->resolve(t, full[0] != '\0' ? full : kinds[kind].listen, TOFU_TO_LISTEN, 0, &at, 1, &count);
	if (st == TOFU_OK)
		st = listen_at(t, &e->listener, &at);
	if (kind != TCP4 && (st == TOFU_NOT_SUPPORTED || (kind == TCP6 && st == TOFU_LISTEN_FAILED)))
		return false;
	ck_status(st, TOFU_OK);
	ck_status(t->local_address(t, &e->listener, e->text, sizeof e->text), TOFU_OK);
	return true;
}

static const char *rest_of(const struct ends *e)
{
	return strchr(e->text, '|') + 1;
}

static enum tofu_status start_connect(struct ends *e, unsigned *want)
{
	struct tofu_sockaddr to = resolve(e->t, rest_of(e), TOFU_TO_CONNECT);

	*want = TOFU_WRITABLE;
	return e->t->connect_start(e->t, &e->client, rest_of(e), &to, want);
}

static enum tofu_status finish_connect(struct ends *e, enum tofu_status st, unsigned want)
{
	while (st == TOFU_WOULD_BLOCK) {
		ck_assert(test_wait(e->client.handle, want));
		st = e->t->connect_finish(e->t, &e->client, &want);
	}
	return st;
}

static enum tofu_status connect_client(struct ends *e)
{
	unsigned want;
	enum tofu_status st = start_connect(e, &want);

	return finish_connect(e, st, want);
}

static void accept_server(struct ends *e)
{
	enum tofu_status st;

	do
		ck_assert(test_wait(e->listener.handle, TOFU_READABLE));
	while ((st = e->t->accept(e->t, &e->listener, &e->server)) == TOFU_WOULD_BLOCK);
	ck_status(st, TOFU_OK);
}

static bool connect_ends(struct ends *e, int kind)
{
	if (!start_listening(e, kind))
		return false;
	ck_status(connect_client(e), TOFU_OK);
	accept_server(e);
	return true;
}

static void end(struct ends *e)
{
	e->t->close(e->t, &e->client, TOFU_CLOSE_ORDERLY);
	e->t->close(e->t, &e->server, TOFU_CLOSE_ORDERLY);
	e->t->close(e->t, &e->listener, TOFU_CLOSE_ORDERLY);
}

/* Send all of it, waiting where that takes a wait. */
static void send_all(struct ends *e, struct tofu_link *from, const char *bytes, size_t len)
{
	while (len > 0) {
		struct tofu_iov iov = { (void *)(uintptr_t)bytes, len };
		unsigned want = TOFU_WRITABLE;
		size_t done = 0;
		enum tofu_status st = e->t->send(e->t, from, &iov, 1, &done, &want);

		if (st == TOFU_WOULD_BLOCK) {
			ck_assert(test_wait(from->handle, want));
			continue;
		}
		ck_status(st, TOFU_OK);
		ck_assert_uint_gt(done, 0);
		bytes += done;
		len -= done;
	}
}

/* Receive up to len bytes; fewer only at the end of the connection. */
static size_t receive_all(struct ends *e, struct tofu_link *to, char *bytes, size_t len)
{
	size_t got = 0;

	while (got < len) {
		struct tofu_iov iov = { bytes + got, len - got };
		unsigned want = TOFU_READABLE;
		size_t done = 0;
		enum tofu_status st = e->t->receive(e->t, to, &iov, 1, &done, &want);

		if (st == TOFU_PEER_DISCONNECTED)
			break;
		if (st == TOFU_WOULD_BLOCK) {
			ck_assert(test_wait(to->handle, want));
			continue;
		}
		ck_status(st, TOFU_OK);
		ck_assert_uint_gt(done, 0);
		got += done;
	}
	return got;
}

static void expect_bytes(struct ends *e, struct tofu_link *to, const char *expected)
{
	char got[64] = "";

	ck_assert_uint_eq(receive_all(e, to, got, strlen(expected)), strlen(expected));
	ck_assert_str_eq(got, expected);
}

static void expect_end(struct ends *e, struct tofu_link *to)
{
	char byte;

	ck_assert_uint_eq(receive_all(e, to, &byte, 1), 0);
}

START_TEST(a_transport_has_every_operation)
{
	const struct tofu_transport *t = kinds[_i].get();

	ck_assert_uint_eq(t->abi, TOFU_TRANSPORT_ABI);
	ck_assert_str_eq(t->scheme, kinds[_i].scheme);
	ck_assert(t->resolve != NULL && t->listen != NULL && t->accept != NULL && t->connect_start != NULL);
	ck_assert(t->connect_finish != NULL && t->send != NULL && t->receive != NULL && t->shutdown != NULL);
	ck_assert(t->close != NULL && t->local_address != NULL && t->peer_address != NULL);
	ck_assert_ptr_eq(t, kinds[_i].get());
}
END_TEST

static const struct form {
	const struct tofu_transport *(*get)(void);
	const char *rest;
	enum tofu_status connect, listen;
} forms[] = {
	/* clang-format off */
	{ tofu_tcp,  "127.0.0.1|80",      TOFU_OK,              TOFU_OK },
	{ tofu_tcp,  "127.0.0.1|1",       TOFU_OK,              TOFU_OK },
	{ tofu_tcp,  "127.0.0.1|65535",   TOFU_OK,              TOFU_OK },
	{ tofu_tcp,  "::1|80",            TOFU_OK,              TOFU_OK },
	{ tofu_tcp,  "[::1]|80",          TOFU_OK,              TOFU_OK },
	{ tofu_tcp,  "[::ffff:1.2.3.4]|80", TOFU_OK,            TOFU_OK },
	{ tofu_tcp,  "127.0.0.1|0",       TOFU_INVALID_ADDRESS, TOFU_OK },
	{ tofu_tcp,  "|80",               TOFU_INVALID_ADDRESS, TOFU_OK },
	{ tofu_tcp,  "|0",                TOFU_INVALID_ADDRESS, TOFU_OK },
	{ tofu_tcp,  "some.name|80",      TOFU_WOULD_BLOCK,     TOFU_WOULD_BLOCK },
	{ tofu_tcp,  "",                  TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1",         TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|",        TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|65536",   TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|99999999999999999999", TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|-1",      TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|+1",      TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1| 1",      TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|80x",     TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|http",    TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|80|",     TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "127.0.0.1|80|90",   TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "[]|80",             TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "[|80",              TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "[::1|80",           TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "::1]|80",           TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "[[::1]]|80",        TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_tcp,  "[127.0.0.1]|80",    TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	{ tofu_unix, "/tmp/x.sock",       TOFU_OK,              TOFU_OK },
	{ tofu_unix, "x.sock",            TOFU_OK,              TOFU_OK },
	{ tofu_unix, "with|bar and space", TOFU_OK,             TOFU_OK },
	{ tofu_unix, "",                  TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS }, /* not completed */
	{ tofu_inproc, "with|bar and space", TOFU_OK,           TOFU_OK },
	{ tofu_inproc, "",                TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS },
	/* clang-format on */
};

static void expect_form(const struct form *f, enum tofu_purpose purpose, enum tofu_status expected)
{
	struct tofu_sockaddr out[TOFU_ADDRESSES_MAX];
	size_t count = 99;
	enum tofu_status st = f->get()->resolve(f->get(), f->rest, purpose, 0, out, TOFU_ADDRESSES_MAX, &count);

	if (st == TOFU_NOT_SUPPORTED)
		return;
	ck_assert_msg(st == expected, "\"%s\" gave %s, not %s", f->rest, tofu_status_name(st),
	              tofu_status_name(expected));
	ck_assert_msg((st == TOFU_OK) == (count > 0) && count <= TOFU_ADDRESSES_MAX, "\"%s\"", f->rest);
}

START_TEST(addresses_are_taken_or_refused_by_their_form)
{
	expect_form(&forms[_i], TOFU_TO_CONNECT, forms[_i].connect);
	expect_form(&forms[_i], TOFU_TO_LISTEN, forms[_i].listen);
}
END_TEST

START_TEST(a_host_over_every_limit_is_refused)
{
	char rest[2000];
	struct tofu_sockaddr out;
	size_t count;

	memset(rest, 'a', sizeof rest);
	strcpy(rest + sizeof rest - 4, "|80");
	ck_status(tofu_tcp()->resolve(tofu_tcp(), rest, TOFU_TO_CONNECT, 0, &out, 1, &count), TOFU_INVALID_ADDRESS);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(no_more_addresses_than_there_is_room_for)
{
	struct tofu_sockaddr out[2];
	size_t count = 0;

	memset(out, 0x5a, sizeof out);
	ck_status(tofu_tcp()->resolve(tofu_tcp(), "|80", TOFU_TO_LISTEN, 0, out, 1, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(out[1].len, 0x5a5a5a5a);
}
END_TEST

START_TEST(accept_before_a_client_would_block)
{
	struct ends e;

	if (!start_listening(&e, _i))
		return;
	ck_status(e.t->accept(e.t, &e.listener, &e.server), TOFU_WOULD_BLOCK);
	ck_assert_int_eq(e.server.handle, TOFU_NO_SOCKET);
	end(&e);
}
END_TEST

START_TEST(connect_and_accept_meet)
{
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	ck_assert_int_ne(e.client.handle, e.server.handle);
	if (_i != INPROC) {
		ck_assert_ptr_null(e.client.state);
		ck_assert_ptr_null(e.server.state);
	}
	ck_status(e.t->accept(e.t, &e.listener, &(struct tofu_link){ 0 }), TOFU_WOULD_BLOCK);
	end(&e);
}
END_TEST

START_TEST(connect_to_a_closed_listener_fails)
{
	struct ends e;

	if (!start_listening(&e, _i))
		return;
	e.t->close(e.t, &e.listener, TOFU_CLOSE_ORDERLY);
	ck_status(connect_client(&e), kinds[_i].nobody);
	end(&e);
}
END_TEST

START_TEST(listen_on_a_live_address_gives_address_in_use_and_harms_nobody)
{
	struct tofu_link second = { 0 };
	struct tofu_sockaddr at;
	struct ends e;

	if (!start_listening(&e, _i))
		return;
	at = resolve(e.t, rest_of(&e), TOFU_TO_LISTEN);
	ck_status(listen_at(e.t, &second, &at), TOFU_ADDRESS_IN_USE);
	ck_assert_int_eq(second.handle, TOFU_NO_SOCKET);
	ck_assert_ptr_null(second.state);
	e.t->close(e.t, &second, TOFU_CLOSE_ORDERLY);
	ck_status(connect_client(&e), TOFU_OK);
	end(&e);
}
END_TEST

START_TEST(an_address_can_be_listened_on_again_after_close)
{
	struct tofu_sockaddr at;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	at = resolve(e.t, rest_of(&e), TOFU_TO_LISTEN);
	end(&e);
	ck_status(listen_at(e.t, &e.listener, &at), TOFU_OK);
	ck_status(connect_client(&e), TOFU_OK);
	end(&e);
}
END_TEST

START_TEST(bytes_arrive_both_ways)
{
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	send_all(&e, &e.client, "there", 5);
	expect_bytes(&e, &e.server, "there");
	send_all(&e, &e.server, "and back", 8);
	expect_bytes(&e, &e.client, "and back");
	end(&e);
}
END_TEST

START_TEST(vectors_are_sent_and_filled_in_order)
{
	char left[4] = "", right[8] = "";
	struct tofu_iov out[] = { { "one", 3 }, { "", 0 }, { "two", 3 } };
	struct tofu_iov in[] = { { left, 2 }, { right, sizeof right } };
	unsigned want = TOFU_WRITABLE;
	size_t done = 0;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	ck_status(e.t->send(e.t, &e.client, out, 3, &done, &want), TOFU_OK);
	ck_assert_uint_eq(done, 6);
	ck_assert(test_wait(e.server.handle, TOFU_READABLE));
	ck_status(e.t->receive(e.t, &e.server, in, 2, &done, &want), TOFU_OK);
	ck_assert_uint_eq(done, 6);
	ck_assert_str_eq(left, "on");
	ck_assert_str_eq(right, "etwo");
	end(&e);
}
END_TEST

START_TEST(receive_with_nothing_there_would_block)
{
	char byte;
	struct tofu_iov iov = { &byte, 1 };
	unsigned want = TOFU_READABLE;
	size_t done = 0;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	ck_status(e.t->receive(e.t, &e.server, &iov, 1, &done, &want), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(want, TOFU_READABLE);
	ck_assert_uint_eq(done, 0);
	end(&e);
}
END_TEST

static char pattern(size_t at)
{
	return (char)(at * 7 % 251);
}

START_TEST(send_into_a_full_buffer_would_block_and_no_byte_is_lost)
{
	static char block[1 << 16], back[1 << 16];
	unsigned want = TOFU_WRITABLE;
	size_t sent = 0, got = 0, done;
	enum tofu_status st = TOFU_OK;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	while (st == TOFU_OK) {
		struct tofu_iov iov = { block, sizeof block };

		for (size_t i = 0; i < sizeof block; i++)
			block[i] = pattern(sent + i);
		done = 0;
		st = e.t->send(e.t, &e.client, &iov, 1, &done, &want);
		sent += done;
	}
	ck_status(st, TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(want, kinds[_i].room);
	ck_assert(!test_ready(e.client.handle, want));
	while (got < sent) {
		size_t part = sent - got < sizeof back ? sent - got : sizeof back;

		ck_assert_uint_eq(receive_all(&e, &e.server, back, part), part);
		for (size_t i = 0; i < part; i++)
			if (back[i] != pattern(got + i))
				ck_abort_msg("byte %zu is wrong", got + i);
		got += part;
	}
	ck_assert(test_wait(e.client.handle, want));
	send_all(&e, &e.client, "on", 2);
	expect_bytes(&e, &e.server, "on");
	end(&e);
}
END_TEST

START_TEST(after_shutdown_the_peer_reads_to_the_end_and_may_still_answer)
{
	unsigned want = TOFU_WRITABLE;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	send_all(&e, &e.client, "last", 4);
	ck_status(e.t->shutdown(e.t, &e.client, &want), TOFU_OK);
	expect_bytes(&e, &e.server, "last");
	expect_end(&e, &e.server);
	send_all(&e, &e.server, "heard", 5);
	expect_bytes(&e, &e.client, "heard");
	end(&e);
}
END_TEST

START_TEST(after_an_orderly_close_all_that_was_sent_arrives)
{
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	send_all(&e, &e.client, "last", 4);
	e.t->close(e.t, &e.client, TOFU_CLOSE_ORDERLY);
	expect_bytes(&e, &e.server, "last");
	expect_end(&e, &e.server);
	end(&e);
}
END_TEST

START_TEST(an_abort_disconnects_the_peer)
{
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	e.t->close(e.t, &e.server, TOFU_CLOSE_ABORT);
	expect_end(&e, &e.client);
	end(&e);
}
END_TEST

START_TEST(sending_to_a_peer_that_is_gone_gives_peer_disconnected_and_no_signal)
{
	struct tofu_iov iov = { "x", 1 };
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st = TOFU_OK;
	size_t done;
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	e.t->close(e.t, &e.server, TOFU_CLOSE_ABORT);
	expect_end(&e, &e.client);
	for (int i = 0; i < 1000 && st == TOFU_OK; i++)
		st = e.t->send(e.t, &e.client, &iov, 1, &done, &want);
	ck_status(st, TOFU_PEER_DISCONNECTED);
	end(&e);
}
END_TEST

START_TEST(a_client_that_left_before_accept_is_no_failure)
{
	enum tofu_status st;
	struct ends e;

	if (!start_listening(&e, _i))
		return;
	ck_status(connect_client(&e), TOFU_OK);
	e.t->close(e.t, &e.client, TOFU_CLOSE_ABORT);
	st = e.t->accept(e.t, &e.listener, &e.server);
	if (st == TOFU_OK)
		expect_end(&e, &e.server);
	else
		ck_status(st, TOFU_WOULD_BLOCK);
	e.t->close(e.t, &e.server, TOFU_CLOSE_ORDERLY);
	ck_status(connect_client(&e), TOFU_OK);
	accept_server(&e);
	end(&e);
}
END_TEST

START_TEST(both_ends_know_the_listeners_address)
{
	char client[512], server[512];
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	ck_status(e.t->peer_address(e.t, &e.client, client, sizeof client), TOFU_OK);
	ck_status(e.t->local_address(e.t, &e.server, server, sizeof server), TOFU_OK);
	ck_assert_str_eq(client, e.text);
	ck_assert_str_eq(server, e.text);
	end(&e);
}
END_TEST

START_TEST(the_accepting_end_knows_the_connecting_one)
{
	char client[512], server[512];
	struct ends e;

	if (!connect_ends(&e, _i))
		return;
	ck_status(e.t->local_address(e.t, &e.client, client, sizeof client), TOFU_OK);
	ck_status(e.t->peer_address(e.t, &e.server, server, sizeof server), TOFU_OK);
	ck_assert_str_eq(client, server);
	ck_assert_int_eq(strncmp(client, kinds[_i].caller, strlen(kinds[_i].caller)), 0);
	if (_i == UDS || _i == INPROC)
		ck_assert_str_eq(client, kinds[_i].caller);
	end(&e);
}
END_TEST

START_TEST(an_address_that_does_not_fit_is_an_error)
{
	char text[512];
	size_t len;
	struct ends e;

	if (!start_listening(&e, _i))
		return;
	len = strlen(e.text);
	for (size_t capacity = 0; capacity <= len; capacity++) {
		text[capacity] = '#';
		ck_status(e.t->local_address(e.t, &e.listener, text, capacity), TOFU_INVALID_ADDRESS);
		ck_assert_int_eq(text[capacity], '#');
	}
	ck_status(e.t->local_address(e.t, &e.listener, text, len + 1), TOFU_OK);
	ck_assert_str_eq(text, e.text);
	end(&e);
}
END_TEST

START_TEST(every_state_can_be_closed_in_every_way_and_nothing_stays_open)
{
	static const enum tofu_close ways[] = { TOFU_CLOSE_ORDERLY, TOFU_CLOSE_ABORT, TOFU_CLOSE_FORGET };
	int before = test_open_descriptors();
	unsigned want;

	for (size_t i = 0; i < 3; i++) {
		struct tofu_sockaddr at;
		struct ends e;

		if (!start_listening(&e, _i))
			return;
		at = resolve(e.t, rest_of(&e), TOFU_TO_LISTEN);
		e.t->close(e.t, &e.client, ways[i]); /* never opened */
		start_connect(&e, &want);
		e.t->close(e.t, &e.client, ways[i]); /* under way, or just there */
		e.t->close(e.t, &e.client, ways[i]); /* closed */
		connect_client(&e);                  /* one that nobody accepts */
		(void)e.t->listen(e.t, &e.server, &at);
		e.t->close(e.t, &e.server, ways[i]); /* a listen that failed, or is under way */
		accept_server(&e);
		e.t->close(e.t, &e.server, ways[i]);
		e.t->close(e.t, &e.listener, ways[i]);
		e.t->close(e.t, &e.client, ways[i]);
		if (_i == UDS &&
		    ways[i] == TOFU_CLOSE_FORGET) { /* the file is still there: take it over to remove it */
			ck_status(listen_at(e.t, &e.listener, &at), TOFU_OK);
			e.t->close(e.t, &e.listener, TOFU_CLOSE_ORDERLY);
		}
		ck_status(connect_client(&e), kinds[_i].nobody);
		e.t->close(e.t, &e.client, ways[i]); /* a connect that failed */
		ck_assert_int_eq(e.client.handle, TOFU_NO_SOCKET);
		ck_assert_ptr_null(e.listener.state);
	}
	ck_assert_int_eq(test_open_descriptors(), before);
}
END_TEST

START_TEST(many_connections_do_not_get_mixed_up)
{
	enum { MANY = 50 };
	struct tofu_link clients[MANY], servers[MANY];
	struct ends e;
	char byte;

	if (!start_listening(&e, _i))
		return;
	for (int i = 0; i < MANY; i++) {
		ck_status(connect_client(&e), TOFU_OK);
		accept_server(&e);
		clients[i] = e.client;
		servers[i] = e.server;
	}
	for (int i = 0; i < MANY; i++) {
		byte = (char)('0' + i);
		send_all(&e, &clients[i], &byte, 1);
	}
	for (int i = MANY - 1; i >= 0; i--) {
		ck_assert_uint_eq(receive_all(&e, &servers[i], &byte, 1), 1);
		ck_assert_int_eq(byte, '0' + i);
		e.t->close(e.t, &clients[i], TOFU_CLOSE_ORDERLY);
		e.t->close(e.t, &servers[i], TOFU_CLOSE_ORDERLY);
	}
	e.t->close(e.t, &e.listener, TOFU_CLOSE_ORDERLY);
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

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(s, tc);
	return tc;
}

static Suite *suite_of_transport(void)
{
	Suite *s = suite_create("transport");
	TCase *tc = add_case(s, "address");

	tcase_add_loop_test(tc, a_transport_has_every_operation, 0, KINDS);
	tcase_add_loop_test(tc, addresses_are_taken_or_refused_by_their_form, 0, (int)(sizeof forms / sizeof forms[0]));
	tcase_add_test(tc, a_host_over_every_limit_is_refused);
	tcase_add_test(tc, no_more_addresses_than_there_is_room_for);
	tcase_add_loop_test(tc, both_ends_know_the_listeners_address, 0, KINDS);
	tcase_add_loop_test(tc, the_accepting_end_knows_the_connecting_one, 0, KINDS);
	tcase_add_loop_test(tc, an_address_that_does_not_fit_is_an_error, 0, KINDS);

	tc = add_case(s, "open");
	tcase_add_loop_test(tc, accept_before_a_client_would_block, 0, KINDS);
	tcase_add_loop_test(tc, connect_and_accept_meet, 0, KINDS);
	tcase_add_loop_test(tc, connect_to_a_closed_listener_fails, 0, KINDS);
	tcase_add_loop_test(tc, listen_on_a_live_address_gives_address_in_use_and_harms_nobody, 0, KINDS);
	tcase_add_loop_test(tc, an_address_can_be_listened_on_again_after_close, 0, KINDS);
	tcase_add_loop_test(tc, a_client_that_left_before_accept_is_no_failure, 0, KINDS);

	tc = add_case(s, "bytes");
	tcase_add_loop_test(tc, bytes_arrive_both_ways, 0, KINDS);
	tcase_add_loop_test(tc, vectors_are_sent_and_filled_in_order, 0, KINDS);
	tcase_add_loop_test(tc, receive_with_nothing_there_would_block, 0, KINDS);
	tcase_add_loop_test(tc, send_into_a_full_buffer_would_block_and_no_byte_is_lost, 0, KINDS);
	tcase_add_loop_test(tc, many_connections_do_not_get_mixed_up, 0, KINDS);

	tc = add_case(s, "end");
	tcase_add_loop_test(tc, after_shutdown_the_peer_reads_to_the_end_and_may_still_answer, 0, KINDS);
	tcase_add_loop_test(tc, after_an_orderly_close_all_that_was_sent_arrives, 0, KINDS);
	tcase_add_loop_test(tc, an_abort_disconnects_the_peer, 0, KINDS);
	tcase_add_loop_test(tc, sending_to_a_peer_that_is_gone_gives_peer_disconnected_and_no_signal, 0, KINDS);
	tcase_add_loop_test(tc, every_state_can_be_closed_in_every_way_and_nothing_stays_open, 0, KINDS);
	return s;
}

int main(void)
{
	return harness_run(suite_of_transport());
}
