/* SPDX-License-Identifier: MIT */
/*
 * Sockets of every family through the same cases: listen, connect, accept, bytes, the ways to end. Port 0, fresh paths, real
 * peers in this process; what takes time is waited for by readiness. A family that the machine has not got is passed over.
 */

#include <stdlib.h>
#include <string.h>

#include <tofu/engine.h>
#include <tofu/transport.h>

#include "harness.h"
#include "os.h"
#include "platform/platform.h"
#include "platform/socket.h"

enum family { IPV4, IPV6, UNIX_FILE, FAMILY_NR };

enum { CHUNK = 4096 };

static const int64_t long_enough = 10 * TOFU_NS_PER_S;

/* A listener, and the two ends of a connection to it. What is open at the end, teardown closes. */
static struct {
	enum family family;
	struct tofu_sockaddr at; /* asked for */
	struct tofu_sockaddr to; /* what to connect to: with the port that the system picked */
	char path[108];
	intptr_t listener;
	intptr_t client;
	intptr_t server;
} t;

/* steps */

static void setup(void)
{
	memset(&t, 0, sizeof t);
	ck_status(tofu_init(), TOFU_OK);
}

static void teardown(void)
{
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.listener, TOFU_CLOSE_ORDERLY);
	if (t.path[0] != '\0')
		os_file_remove(t.path);
	tofu_deinit();
}

static void choose_address(enum family family)
{
	const char *host = family == IPV6 ? "::1" : "127.0.0.1";
	size_t count;

	t.family = family;
	if (family == UNIX_FILE) {
		os_fresh_path(t.path, sizeof t.path);
		ck_status(tofu_sockaddr_unix(t.path, &t.at), TOFU_OK);
	} else {
		ck_status(tofu_sockaddr_inet(host, 0, 0, &t.at, 1, &count), TOFU_OK);
	}
	t.to = t.at;
}

/* False: there is no such family here. */
static bool listening(int family)
{
	enum tofu_status st;

	choose_address((enum family)family);
	st = tofu_socket_listen(&t.at, &t.listener);
	if (family != IPV4 && (st == TOFU_NOT_SUPPORTED || (family == IPV6 && st == TOFU_LISTEN_FAILED))) {
		ck_assert_int_eq(t.listener, TOFU_NO_SOCKET);
		return false;
	}
	ck_status(st, TOFU_OK);
	ck_status(tofu_socket_local(t.listener, &t.to), TOFU_OK);
	return true;
}

static void wait_for(intptr_t socket, unsigned bits)
{
	ck_assert_uint_ne(os_wait(socket, bits, long_enough), 0);
}

static enum tofu_status connect_to_the_end(intptr_t *out)
{
	enum tofu_status st = tofu_socket_connect(&t.to, out);

	while (st == TOFU_WOULD_BLOCK) {
		wait_for(*out, OS_WRITABLE);
		st = tofu_socket_connect_result(*out);
	}
	return st;
}

static intptr_t accept_one(void)
{
	intptr_t out = TOFU_NO_SOCKET;

	wait_for(t.listener, OS_READABLE);
	ck_status(tofu_socket_accept(t.listener, &out), TOFU_OK);
	ck_assert_int_gt(out, 0);
	return out;
}

static bool connected(int family)
{
	if (!listening(family))
		return false;
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	t.server = accept_one();
	return true;
}

static enum tofu_status send_some(intptr_t socket, const void *bytes, size_t len, size_t *done)
{
	/* The iov is one for both directions; sending does not write to it. */
	const struct tofu_iov iov = { (void *)(uintptr_t)bytes, len };

	return tofu_socket_send(socket, &iov, 1, done);
}

static enum tofu_status receive_some(intptr_t socket, void *out, size_t capacity, size_t *done)
{
	const struct tofu_iov iov = { out, capacity };

	return tofu_socket_receive(socket, &iov, 1, done);
}

static void send_all(intptr_t socket, const char *text)
{
	size_t done;

	ck_status(send_some(socket, text, strlen(text), &done), TOFU_OK);
	ck_assert_uint_eq(done, strlen(text));
}

/* Wait, then receive: how it went. */
static enum tofu_status receive_next(intptr_t socket, char *out, size_t capacity, size_t *done)
{
	enum tofu_status st = receive_some(socket, out, capacity, done);

	while (st == TOFU_WOULD_BLOCK) {
		wait_for(socket, OS_READABLE);
		st = receive_some(socket, out, capacity, done);
	}
	return st;
}

static void expect_text(intptr_t socket, const char *text)
{
	char got[64] = "";
	size_t at = 0;

	while (at < strlen(text)) {
		size_t done;

		ck_status(receive_next(socket, got + at, strlen(text) - at, &done), TOFU_OK);
		at += done;
	}
	ck_assert_str_eq(got, text);
}

static void expect_end(intptr_t socket)
{
	char byte;
	size_t done = 99;

	ck_status(receive_next(socket, &byte, 1, &done), TOFU_PEER_DISCONNECTED);
	ck_assert_uint_eq(done, 0);
}

/* listen, accept, connect */

START_TEST(accept_before_a_client_gives_would_block)
{
	intptr_t out = 5;

	if (!listening(_i))
		return;
	ck_status(tofu_socket_accept(t.listener, &out), TOFU_WOULD_BLOCK);
	ck_assert_int_eq(out, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(connect_is_done_or_pending_then_done)
{
	enum tofu_status st;

	if (!listening(_i))
		return;
	st = tofu_socket_connect(&t.to, &t.client);
	ck_assert_int_gt(t.client, 0);
	if (st == TOFU_WOULD_BLOCK) {
		wait_for(t.client, OS_WRITABLE);
		st = tofu_socket_connect_result(t.client);
	}
	ck_status(st, TOFU_OK);
	ck_status(tofu_socket_connect_result(t.client), TOFU_OK);
	t.server = accept_one();
}
END_TEST

START_TEST(connect_to_nobody_listening_gives_connect_failed)
{
	intptr_t out = 5;

	if (!listening(_i))
		return;
	tofu_socket_close(t.listener, TOFU_CLOSE_ORDERLY); /* leaves a Unix socket's file where it is */
	t.listener = TOFU_NO_SOCKET;
	ck_status(connect_to_the_end(&out), TOFU_CONNECT_FAILED);
	if (out > 0) /* it was under way, and the failure stays one */
		ck_status(tofu_socket_connect_result(out), TOFU_CONNECT_FAILED);
	tofu_socket_close(out, TOFU_CLOSE_ORDERLY);
}
END_TEST

/* Windows says that an address is in use when it has no port to call from. That is not an error of the address asked for. */
START_TEST(connect_for_which_no_port_is_left_has_reached_a_limit)
{
	ck_status(tofu_socket_connect_status(TOFU_ADDRESS_IN_USE), TOFU_LIMIT_REACHED);
}
END_TEST

START_TEST(connect_to_a_missing_path_gives_uds_path_not_found)
{
	choose_address(UNIX_FILE);
	if (tofu_socket_connect(&t.to, &t.client) == TOFU_NOT_SUPPORTED)
		return;
	ck_status(tofu_socket_connect(&t.to, &t.client), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(t.client, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(listen_in_a_missing_directory_gives_uds_path_not_found)
{
	char path[128];

	if (!listening(UNIX_FILE))
		return;
	os_fresh_path(path, 90);
	(void)strcat(path, "/socket");
	ck_status(tofu_sockaddr_unix(path, &t.at), TOFU_OK);
	ck_status(tofu_socket_listen(&t.at, &t.client), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(t.client, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(second_listener_on_a_live_address_gives_address_in_use)
{
	intptr_t second = 5;

	if (!listening(_i))
		return;
	ck_status(tofu_socket_listen(&t.to, &second), TOFU_ADDRESS_IN_USE);
	ck_assert_int_eq(second, TOFU_NO_SOCKET);
	ck_status(connect_to_the_end(&t.client), TOFU_OK); /* the first one is unharmed */
}
END_TEST

START_TEST(port_can_be_listened_on_again_at_once)
{
	if (!connected(_i))
		return;
	/* The listening side closes first: that is where TIME_WAIT stays. */
	tofu_socket_close(t.listener, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
	t.server = TOFU_NO_SOCKET;
	expect_end(t.client);
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
	t.client = TOFU_NO_SOCKET;
	ck_status(tofu_socket_listen(&t.to, &t.listener), TOFU_OK);
}
END_TEST

START_TEST(listen_on_an_address_that_is_not_ours_gives_listen_failed)
{
	size_t count;

	/* From the block that is reserved for documentation. */
	ck_status(tofu_sockaddr_inet("192.0.2.1", 0, 0, &t.at, 1, &count), TOFU_OK);
	ck_status(tofu_socket_listen(&t.at, &t.listener), TOFU_LISTEN_FAILED);
	ck_assert_int_eq(t.listener, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(listener_on_every_interface_takes_both_protocols)
{
	static const char *const hosts[] = { "127.0.0.1", "::1" };
	struct tofu_sockaddr every[2];
	char host[64];
	uint16_t port;
	size_t count;
	size_t protocols; /* 1: there is no IPv6 here */

	ck_status(tofu_sockaddr_inet(NULL, 0, 0, every, 2, &protocols), TOFU_OK);
	ck_status(tofu_socket_listen(&every[0], &t.listener), TOFU_OK);
	ck_status(tofu_socket_local(t.listener, &t.at), TOFU_OK);
	ck_status(tofu_sockaddr_inet_text(&t.at, host, sizeof host, &port), TOFU_OK);
	for (size_t i = 0; i < protocols; i++) {
		ck_status(tofu_sockaddr_inet(hosts[i], port, 0, &t.to, 1, &count), TOFU_OK);
		ck_status(connect_to_the_end(&t.client), TOFU_OK);
		t.server = accept_one();
		tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
		tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
		t.client = t.server = TOFU_NO_SOCKET;
	}
}
END_TEST

/* Not every system knows by itself that this is the host that calls. */
START_TEST(every_interface_can_be_called)
{
	static const char *const hosts[] = { "0.0.0.0", "::", "::ffff:0.0.0.0" };
	char host[64];
	uint16_t port;
	size_t count;

	if (!listening(_i == 1 ? IPV6 : IPV4))
		return;
	ck_status(tofu_sockaddr_inet_text(&t.to, host, sizeof host, &port), TOFU_OK);
	ck_status(tofu_sockaddr_inet(hosts[_i], port, 0, &t.to, 1, &count), TOFU_OK);
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	t.server = accept_one();
}
END_TEST

/* where a connect calls from */

static struct tofu_connect_options calls_from(const char *host)
{
	static struct tofu_sockaddr source;
	struct tofu_connect_options o;
	size_t count;

	tofu_connect_options_init(&o, sizeof o);
	if (host != NULL)
		ck_status(tofu_sockaddr_inet(host, 0, 0, &source, 1, &count), TOFU_OK);
	o.source = host != NULL ? &source : NULL;
	return o;
}

static enum tofu_status connect_from(const struct tofu_connect_options *o)
{
	enum tofu_status st = tofu_socket_connect_with(&t.to, o, &t.client);

	if (st != TOFU_WOULD_BLOCK)
		return st;
	wait_for(t.client, OS_WRITABLE);
	return tofu_socket_connect_result(t.client);
}

START_TEST(connect_from_a_source_is_seen_as_that_by_the_listener)
{
	const struct tofu_connect_options o = calls_from("127.0.0.2");
	struct tofu_sockaddr peer;
	char host[64];
	uint16_t port;

	(void)listening(IPV4);
	ck_status(connect_from(&o), TOFU_OK);
	t.server = accept_one();
	ck_status(tofu_socket_peer(t.server, &peer), TOFU_OK);
	ck_status(tofu_sockaddr_inet_text(&peer, host, sizeof host, &port), TOFU_OK);
	ck_assert_str_eq(host, "127.0.0.2");
	ck_assert_uint_ne(port, 0);
}
END_TEST

/* 192.0.2.1: for documentation, nobody's. */
static const char *const wrong_sources[] = { "::1", "192.0.2.1" };

START_TEST(connect_from_a_source_of_another_family_or_host_fails)
{
	const struct tofu_connect_options o = calls_from(wrong_sources[_i]);

	(void)listening(IPV4);
	ck_status(connect_from(&o), TOFU_CONNECT_FAILED);
	ck_assert_int_eq(t.client, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(connect_from_a_source_that_is_none_is_refused)
{
	struct tofu_sockaddr sources[3] = { { 0 }, { 0 }, { 0 } };
	struct tofu_connect_options o = calls_from(NULL);
	size_t count;

	(void)listening(IPV4);
	ck_status(tofu_sockaddr_unix("path", &sources[1]), TOFU_OK);
	ck_status(tofu_sockaddr_inet("127.0.0.1", 0, 0, &sources[2], 1, &count), TOFU_OK);
	sources[2].len = 1000;
	for (int i = 0; i < 3; i++) {
		o.source = &sources[i];
		ck_status(connect_from(&o), TOFU_INVALID_ADDRESS);
		ck_assert_int_eq(t.client, TOFU_NO_SOCKET);
	}
}
END_TEST

/* Any system has the loopback interface, and names it as it likes. */
static bool has_interfaces(void)
{
	struct tofu_connect_options o = calls_from(NULL);

	o.interface_name = "lo";
	return connect_from(&o) != TOFU_NOT_SUPPORTED;
}

START_TEST(interface_that_is_there_is_used_and_one_that_is_missing_fails)
{
	struct tofu_connect_options o = calls_from(NULL);
	struct tofu_listen_options l;

	(void)listening(IPV4);
	tofu_listen_options_init(&l, sizeof l);
	if (!has_interfaces()) {
		l.interface_name = "lo";
		ck_status(tofu_socket_listen_with(&t.at, &l, &t.server), TOFU_NOT_SUPPORTED);
		return;
	}
	t.server = accept_one();
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
	o.interface_name = l.interface_name = "none-such";
	ck_status(connect_from(&o), TOFU_CONNECT_FAILED);
	ck_status(tofu_socket_listen_with(&t.at, &l, &t.server), TOFU_LISTEN_FAILED);
	o.interface_name = l.interface_name = "longer-than-any-interface-is";
	ck_status(connect_from(&o), TOFU_NOT_ALLOWED);
	ck_status(tofu_socket_listen_with(&t.at, &l, &t.server), TOFU_NOT_ALLOWED);
	o.interface_name = "";
	ck_status(connect_from(&o), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(unix_socket_calls_from_nowhere)
{
	const struct tofu_connect_options o = calls_from("192.0.2.1");

	if (!listening(UNIX_FILE))
		return;
	ck_status(connect_from(&o), TOFU_OK);
}
END_TEST

START_TEST(socket_that_is_connected_to_itself_has_been_refused)
{
	if (_i == IPV6 && !listening(IPV6))
		return;
	t.client = os_connected_to_itself(_i == IPV6 ? "::1" : "127.0.0.1");
	ck_status(tofu_socket_connect_result(t.client), TOFU_CONNECT_FAILED);
	ck_status(tofu_socket_connect_result(t.client), TOFU_CONNECT_FAILED);
}
END_TEST

START_TEST(address_that_is_none_is_refused)
{
	struct tofu_sockaddr zeroed = { 0 };
	struct tofu_sockaddr too_long = { .len = 1000 };
	intptr_t out;

	ck_status(tofu_socket_listen(&zeroed, &out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_socket_connect(&zeroed, &out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_socket_listen(&too_long, &out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_socket_connect(&too_long, &out), TOFU_INVALID_ADDRESS);
	ck_assert_int_eq(out, TOFU_NO_SOCKET);
}
END_TEST

/* addresses of sockets */

START_TEST(listener_knows_the_port_that_was_picked)
{
	char host[64];
	uint16_t port = 0;

	if (!listening(_i))
		return;
	if (t.family == UNIX_FILE) {
		ck_assert_str_eq(tofu_sockaddr_unix_path(&t.to), t.path);
	} else {
		ck_status(tofu_sockaddr_inet_text(&t.to, host, sizeof host, &port), TOFU_OK);
		ck_assert_str_eq(host, t.family == IPV4 ? "127.0.0.1" : "::1");
		ck_assert_uint_ne(port, 0);
	}
}
END_TEST

START_TEST(each_end_knows_the_other)
{
	struct tofu_sockaddr local;
	struct tofu_sockaddr peer;

	if (!connected(_i))
		return;
	ck_status(tofu_socket_peer(t.client, &peer), TOFU_OK);
	ck_status(tofu_socket_local(t.server, &local), TOFU_OK);
	ck_assert_mem_eq(&peer, &local, sizeof peer);
	ck_status(tofu_socket_peer(t.server, &peer), TOFU_OK);
	ck_status(tofu_socket_local(t.client, &local), TOFU_OK);
	ck_assert_mem_eq(&peer, &local, sizeof peer);
	if (t.family == UNIX_FILE)
		ck_assert_str_eq(tofu_sockaddr_unix_path(&peer), "");
}
END_TEST

START_TEST(listener_has_no_peer)
{
	struct tofu_sockaddr peer;

	if (!listening(_i))
		return;
	ck_status(tofu_socket_peer(t.listener, &peer), TOFU_PEER_DISCONNECTED);
}
END_TEST

/* bytes */

START_TEST(bytes_make_the_round_trip)
{
	if (!connected(_i))
		return;
	send_all(t.client, "question");
	expect_text(t.server, "question");
	send_all(t.server, "answer");
	expect_text(t.client, "answer");
}
END_TEST

START_TEST(vectors_are_sent_and_received_in_order)
{
	char one[] = "one", two[] = "", three[] = "three";
	const struct tofu_iov out[] = { { one, 3 }, { two, 0 }, { three, 5 } };
	char first[2];
	char rest[6];
	const struct tofu_iov in[] = { { first, sizeof first }, { NULL, 0 }, { rest, sizeof rest } };
	size_t done;

	if (!connected(_i))
		return;
	ck_status(tofu_socket_send(t.client, out, 3, &done), TOFU_OK);
	ck_assert_uint_eq(done, 8);
	wait_for(t.server, OS_READABLE);
	ck_status(tofu_socket_receive(t.server, in, 3, &done), TOFU_OK);
	ck_assert_uint_eq(done, 8);
	ck_assert_mem_eq(first, "on", 2);
	ck_assert_mem_eq(rest, "ethree", 6);
}
END_TEST

START_TEST(vector_longer_than_the_system_takes_is_sent_in_part)
{
	enum { PIECES = 5000 };
	static struct tofu_iov iov[PIECES];
	static char byte[] = "x";
	size_t done;

	if (!connected(_i))
		return;
	for (size_t i = 0; i < PIECES; i++)
		iov[i] = (struct tofu_iov){ byte, 1 };
	ck_status(tofu_socket_send(t.client, iov, PIECES, &done), TOFU_OK);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_le(done, PIECES);
}
END_TEST

START_TEST(receive_with_no_data_gives_would_block)
{
	char byte;
	size_t done = 99;

	if (!connected(_i))
		return;
	ck_status(receive_some(t.server, &byte, 1, &done), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(nothing_asked_for_is_no_end)
{
	size_t done = 99;

	if (!connected(_i))
		return;
	ck_status(tofu_socket_receive(t.server, NULL, 0, &done), TOFU_OK);
	ck_status(receive_some(t.server, NULL, 0, &done), TOFU_OK);
	ck_status(send_some(t.server, NULL, 0, &done), TOFU_OK);
	ck_assert_uint_eq(done, 0);
	send_all(t.client, "still there");
	expect_text(t.server, "still there");
}
END_TEST

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 31 + at / 251);
}

/* Send until the system takes no more: how many bytes it took. */
static size_t fill_up(intptr_t socket)
{
	unsigned char chunk[CHUNK];
	size_t total = 0;

	for (;;) {
		enum tofu_status st;
		size_t done;

		for (size_t i = 0; i < sizeof chunk; i++)
			chunk[i] = pattern(total + i);
		st = send_some(socket, chunk, sizeof chunk, &done);
		if (st == TOFU_WOULD_BLOCK) {
			ck_assert_uint_eq(done, 0);
			return total;
		}
		ck_status(st, TOFU_OK);
		ck_assert_uint_gt(done, 0);
		total += done;
	}
}

static size_t check_pattern(const unsigned char *bytes, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != pattern(at + i))
			ck_abort_msg("byte %zu is wrong", at + i);
	return at + len;
}

START_TEST(full_buffer_gives_would_block_and_drains_byte_for_byte)
{
	unsigned char chunk[CHUNK];
	size_t sent;
	size_t got = 0;

	if (!connected(_i))
		return;
	sent = fill_up(t.client);
	ck_assert_uint_gt(sent, 0);
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY); /* what is under way still arrives */
	t.client = TOFU_NO_SOCKET;
	for (;;) {
		size_t done;
		enum tofu_status st = receive_next(t.server, (char *)chunk, sizeof chunk, &done);

		if (st == TOFU_PEER_DISCONNECTED)
			break;
		ck_status(st, TOFU_OK);
		got = check_pattern(chunk, done, got);
	}
	ck_assert_uint_eq(got, sent);
}
END_TEST

START_TEST(full_buffer_is_writable_again_once_it_was_read)
{
	char chunk[CHUNK];
	size_t sent;
	size_t got = 0;

	if (!connected(_i))
		return;
	sent = fill_up(t.client);
	ck_assert_uint_eq(os_wait(t.client, OS_WRITABLE, 0), 0);
	while (got < sent) {
		size_t done;

		ck_status(receive_next(t.server, chunk, sizeof chunk, &done), TOFU_OK);
		got += done;
	}
	wait_for(t.client, OS_WRITABLE);
	send_all(t.client, "more");
	expect_text(t.server, "more");
}
END_TEST

START_TEST(nodelay_is_for_tcp)
{
	if (!connected(_i))
		return;
	if (t.family == UNIX_FILE)
		ck_assert_int_ne(tofu_socket_nodelay(t.client), TOFU_OK);
	else
		ck_status(tofu_socket_nodelay(t.client), TOFU_OK);
}
END_TEST

/* the end */

START_TEST(all_that_was_sent_arrives_before_the_end)
{
	if (!connected(_i))
		return;
	send_all(t.client, "last words");
	ck_status(tofu_socket_shutdown(t.client), TOFU_OK);
	expect_text(t.server, "last words");
	expect_end(t.server);
	expect_end(t.server); /* and stays the end */
	send_all(t.server, "the other way is open");
	expect_text(t.client, "the other way is open");
}
END_TEST

START_TEST(orderly_close_after_sending_loses_nothing)
{
	if (!connected(_i))
		return;
	send_all(t.client, "last words");
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
	t.client = TOFU_NO_SOCKET;
	expect_text(t.server, "last words");
	expect_end(t.server);
}
END_TEST

START_TEST(abort_is_seen_as_disconnect)
{
	if (!connected(_i))
		return;
	tofu_socket_close(t.client, TOFU_CLOSE_ABORT);
	t.client = TOFU_NO_SOCKET;
	expect_end(t.server);
}
END_TEST

START_TEST(abort_resets_a_tcp_connection)
{
	enum os_end end;

	if (!connected(_i))
		return;
	tofu_socket_close(t.client, TOFU_CLOSE_ABORT);
	t.client = TOFU_NO_SOCKET;
	end = os_read_to_end(t.server, long_enough);
	if (t.family == UNIX_FILE) /* some systems reset these, too */
		ck_assert_int_ne(end, OS_NOT_THE_END);
	else
		ck_assert_int_eq(end, OS_RESET);
}
END_TEST

START_TEST(sending_to_a_peer_that_left_gives_peer_disconnected_and_no_signal)
{
	enum tofu_status st;
	size_t done;

	if (!connected(_i))
		return;
	tofu_socket_close(t.server, TOFU_CLOSE_ABORT);
	t.server = TOFU_NO_SOCKET;
	os_sigpipe_count();
	do { /* the news may still be on its way; the second failure is EPIPE */
		st = send_some(t.client, "x", 1, &done);
	} while (st == TOFU_OK || st == TOFU_WOULD_BLOCK);
	ck_status(st, TOFU_PEER_DISCONNECTED);
	ck_status(send_some(t.client, "x", 1, &done), TOFU_PEER_DISCONNECTED);
	ck_assert_int_eq(os_sigpipe_counted(), 0);
}
END_TEST

START_TEST(client_that_left_before_accept_is_no_failure)
{
	enum tofu_status st;

	if (!listening(_i))
		return;
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	tofu_socket_close(t.client, TOFU_CLOSE_ABORT);
	t.client = TOFU_NO_SOCKET;
	st = tofu_socket_accept(t.listener, &t.server);
	if (st == TOFU_OK) /* Linux gives it out all the same */
		expect_end(t.server);
	else
		ck_status(st, TOFU_WOULD_BLOCK);
	tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	t.server = accept_one();
}
END_TEST

START_TEST(no_socket_is_safe_everywhere)
{
	static const intptr_t none[] = { TOFU_NO_SOCKET, 0 }; /* closed, and zeroed */
	struct tofu_sockaddr address;
	intptr_t out = 5;
	size_t done = 99;
	char byte = 'x';

	tofu_socket_close(none[_i], TOFU_CLOSE_ORDERLY);
	tofu_socket_close(none[_i], TOFU_CLOSE_ABORT);
	tofu_socket_close(none[_i], TOFU_CLOSE_FORGET);
	ck_status(tofu_socket_accept(none[_i], &out), TOFU_ACCEPT_FAILED);
	ck_assert_int_eq(out, TOFU_NO_SOCKET);
	ck_status(tofu_socket_connect_result(none[_i]), TOFU_CONNECT_FAILED);
	ck_status(send_some(none[_i], &byte, 1, &done), TOFU_SEND_FAILED);
	ck_status(receive_some(none[_i], &byte, 1, &done), TOFU_RECV_FAILED);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_ne(tofu_socket_nodelay(none[_i]), TOFU_OK);
	ck_assert_int_ne(tofu_socket_shutdown(none[_i]), TOFU_OK);
	ck_assert_int_ne(tofu_socket_local(none[_i], &address), TOFU_OK);
	ck_assert_int_ne(tofu_socket_peer(none[_i], &address), TOFU_OK);
}
END_TEST

/* no descriptor left */

START_TEST(shortage_of_descriptors_gives_limit_reached)
{
	intptr_t out = 5;
	struct tofu_event event;
	struct tofu_sockaddr at;

	if (!listening(_i))
		return;
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	wait_for(t.listener, OS_READABLE);
	at = t.to;
	os_exhaust_descriptors(0);
	ck_status(tofu_socket_accept(t.listener, &out), TOFU_LIMIT_REACHED);
	ck_assert_int_eq(out, TOFU_NO_SOCKET);
	ck_status(tofu_socket_connect(&at, &out), TOFU_LIMIT_REACHED);
	ck_status(tofu_socket_listen(&at, &out), TOFU_LIMIT_REACHED);
	ck_assert_int_eq(out, TOFU_NO_SOCKET);
	ck_status(tofu_event_init(&event), TOFU_LIMIT_REACHED);
	tofu_event_fini(&event);
	os_free_descriptors();
	if (os_wait(t.listener, OS_READABLE, 0) != 0) /* valgrind plays the shortage by closing what it accepted */
		t.server = accept_one();
	tofu_socket_close(t.client, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.server, TOFU_CLOSE_ORDERLY);
	ck_status(connect_to_the_end(&t.client), TOFU_OK);
	t.server = accept_one(); /* all as before */
}
END_TEST

static void every_family(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, FAMILY_NR);
}

static Suite *suite_of_socket(void)
{
	Suite *suite = suite_create("socket");
	TCase *begin = tcase_create("begin");
	TCase *names = tcase_create("names");
	TCase *bytes = tcase_create("bytes");
	TCase *end = tcase_create("end");

	tcase_add_checked_fixture(begin, setup, teardown);
	every_family(begin, accept_before_a_client_gives_would_block);
	every_family(begin, connect_is_done_or_pending_then_done);
	every_family(begin, connect_to_nobody_listening_gives_connect_failed);
	tcase_add_test(begin, connect_for_which_no_port_is_left_has_reached_a_limit);
	tcase_add_test(begin, connect_to_a_missing_path_gives_uds_path_not_found);
	tcase_add_test(begin, listen_in_a_missing_directory_gives_uds_path_not_found);
	every_family(begin, second_listener_on_a_live_address_gives_address_in_use);
	tcase_add_loop_test(begin, port_can_be_listened_on_again_at_once, 0, UNIX_FILE);
	tcase_add_test(begin, listen_on_an_address_that_is_not_ours_gives_listen_failed);
	tcase_add_test(begin, listener_on_every_interface_takes_both_protocols);
	tcase_add_loop_test(begin, every_interface_can_be_called, 0, 3);
	tcase_add_test(begin, connect_from_a_source_is_seen_as_that_by_the_listener);
	tcase_add_loop_test(begin, connect_from_a_source_of_another_family_or_host_fails, 0, 2);
	tcase_add_test(begin, connect_from_a_source_that_is_none_is_refused);
	tcase_add_test(begin, interface_that_is_there_is_used_and_one_that_is_missing_fails);
	tcase_add_test(begin, unix_socket_calls_from_nowhere);
	tcase_add_loop_test(begin, socket_that_is_connected_to_itself_has_been_refused, 0, UNIX_FILE);
	tcase_add_test(begin, address_that_is_none_is_refused);
	every_family(begin, shortage_of_descriptors_gives_limit_reached);
	suite_add_tcase(suite, begin);

	tcase_add_checked_fixture(names, setup, teardown);
	every_family(names, listener_knows_the_port_that_was_picked);
	every_family(names, each_end_knows_the_other);
	every_family(names, listener_has_no_peer);
	suite_add_tcase(suite, names);

	tcase_add_checked_fixture(bytes, setup, teardown);
	every_family(bytes, bytes_make_the_round_trip);
	every_family(bytes, vectors_are_sent_and_received_in_order);
	every_family(bytes, vector_longer_than_the_system_takes_is_sent_in_part);
	every_family(bytes, receive_with_no_data_gives_would_block);
	every_family(bytes, nothing_asked_for_is_no_end);
	every_family(bytes, full_buffer_gives_would_block_and_drains_byte_for_byte);
	every_family(bytes, full_buffer_is_writable_again_once_it_was_read);
	every_family(bytes, nodelay_is_for_tcp);
	suite_add_tcase(suite, bytes);

	tcase_add_checked_fixture(end, setup, teardown);
	every_family(end, all_that_was_sent_arrives_before_the_end);
	every_family(end, orderly_close_after_sending_loses_nothing);
	every_family(end, abort_is_seen_as_disconnect);
	every_family(end, abort_resets_a_tcp_connection);
	every_family(end, sending_to_a_peer_that_left_gives_peer_disconnected_and_no_signal);
	every_family(end, client_that_left_before_accept_is_no_failure);
	tcase_add_loop_test(end, no_socket_is_safe_everywhere, 0, 2);
	suite_add_tcase(suite, end);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_socket());
}
