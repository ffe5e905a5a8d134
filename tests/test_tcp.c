/* SPDX-License-Identifier: MIT */

/* What is TCP's own. What it has in common with the others is in test_transport.c. */

#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/system.h"

/* The first address that listen takes; one of several may be of a family that this machine does not have. */
static enum tofu_status listen_on(struct tofu_link *listener, const char *rest)
{
	struct tofu_sockaddr at[TOFU_ADDRESSES_MAX];
	enum tofu_status st;
	size_t count;

	st = tofu_tcp()->resolve(tofu_tcp(), rest, TOFU_TO_LISTEN, 1, at, TOFU_ADDRESSES_MAX, &count);
	if (st != TOFU_OK)
		return st;
	for (size_t i = 0; i < count; i++) {
		st = tofu_tcp()->listen(tofu_tcp(), listener, &at[i]);
		if (st == TOFU_OK)
			break;
	}
	return st;
}

static const char *port_of(const struct tofu_link *link)
{
	static char text[256];

	ck_status(tofu_tcp()->local_address(tofu_tcp(), link, text, sizeof text), TOFU_OK);
	return strrchr(text, '|') + 1;
}

static enum tofu_status connect_address(struct tofu_link *link, const struct tofu_sockaddr *to)
{
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st = tofu_tcp()->connect_start(tofu_tcp(), link, "", to, &want);

	while (st == TOFU_WOULD_BLOCK) {
		ck_assert(test_wait(link->handle, want));
		st = tofu_tcp()->connect_finish(tofu_tcp(), link, &want);
	}
	return st;
}

/* To each address that the host has, until one answers. */
static enum tofu_status connect_to(struct tofu_link *link, const char *host, const char *port)
{
	struct tofu_sockaddr to[TOFU_ADDRESSES_MAX];
	enum tofu_status st;
	char rest[128];
	size_t count;

	snprintf(rest, sizeof rest, "%s|%s", host, port);
	st = tofu_tcp()->resolve(tofu_tcp(), rest, TOFU_TO_CONNECT, 1, to, TOFU_ADDRESSES_MAX, &count);
	if (st != TOFU_OK)
		return st;
	for (size_t i = 0; i < count; i++) {
		st = connect_address(link, &to[i]);
		if (st == TOFU_OK)
			break;
		tofu_tcp()->close(tofu_tcp(), link, TOFU_CLOSE_ABORT);
	}
	return st;
}

static void accept_one(struct tofu_link *listener, struct tofu_link *server)
{
	enum tofu_status st;

	do
		ck_assert(test_wait(listener->handle, TOFU_READABLE));
	while ((st = tofu_tcp()->accept(tofu_tcp(), listener, server)) == TOFU_WOULD_BLOCK);
	ck_status(st, TOFU_OK);
}

static void close_link(struct tofu_link *link)
{
	tofu_tcp()->close(tofu_tcp(), link, TOFU_CLOSE_ORDERLY);
}

static bool has_ipv6(void)
{
	struct tofu_link listener = { 0 };
	bool yes = listen_on(&listener, "::1|0") == TOFU_OK;

	close_link(&listener);
	return yes;
}

static void expect_connected(struct tofu_link *listener, const char *host)
{
	struct tofu_link client = { 0 }, server = { 0 };

	ck_status(connect_to(&client, host, port_of(listener)), TOFU_OK);
	accept_one(listener, &server);
	close_link(&client);
	close_link(&server);
}

START_TEST(small_messages_do_not_wait_on_either_end)
{
	struct tofu_link listener = { 0 }, client = { 0 }, server = { 0 };

	ck_status(listen_on(&listener, "127.0.0.1|0"), TOFU_OK);
	ck_status(connect_to(&client, "127.0.0.1", port_of(&listener)), TOFU_OK);
	accept_one(&listener, &server);
	ck_assert(test_nodelay(client.handle));
	ck_assert(test_nodelay(server.handle));
	close_link(&client);
	close_link(&server);
	close_link(&listener);
}
END_TEST

START_TEST(a_name_resolves_only_where_blocking_is_allowed)
{
	struct tofu_sockaddr out[TOFU_ADDRESSES_MAX];
	size_t count = 0;

	ck_status(tofu_tcp()->resolve(tofu_tcp(), "localhost|1", TOFU_TO_CONNECT, 0, out, TOFU_ADDRESSES_MAX, &count),
	          TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(count, 0);
	if (!os_knows_localhost())
		return;
	ck_status(tofu_tcp()->resolve(tofu_tcp(), "localhost|1", TOFU_TO_CONNECT, 1, out, TOFU_ADDRESSES_MAX, &count),
	          TOFU_OK);
	ck_assert_uint_ge(count, 1);
}
END_TEST

START_TEST(a_listener_on_a_name_is_reached_by_it)
{
	struct tofu_link listener = { 0 };

	if (!os_knows_localhost())
		return;
	ck_status(listen_on(&listener, "localhost|0"), TOFU_OK);
	expect_connected(&listener, "localhost");
	close_link(&listener);
}
END_TEST

START_TEST(a_name_that_nobody_has_is_not_found)
{
	struct tofu_sockaddr out;
	size_t count;
	/* ".invalid" is set aside for this (RFC 6761). Without a name server the answer is that none answered. */
	enum tofu_status st =
		tofu_tcp()->resolve(tofu_tcp(), "no-such-host.invalid|1", TOFU_TO_CONNECT, 1, &out, 1, &count);

	ck_assert(st == TOFU_HOST_NOT_FOUND || st == TOFU_COMMUNICATION_FAILED);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(every_interface_means_both_families)
{
	struct tofu_link listener = { 0 };

	ck_status(listen_on(&listener, "|0"), TOFU_OK);
	expect_connected(&listener, "127.0.0.1");
	if (has_ipv6())
		expect_connected(&listener, "::1");
	close_link(&listener);
}
END_TEST

START_TEST(brackets_mean_the_same_address)
{
	struct tofu_link listener = { 0 };

	if (!has_ipv6())
		return;
	ck_status(listen_on(&listener, "[::1]|0"), TOFU_OK);
	expect_connected(&listener, "::1");
	expect_connected(&listener, "[::1]");
	close_link(&listener);
}
END_TEST

START_TEST(port_0_picks_a_port_and_tells_it)
{
	struct tofu_link listener = { 0 };
	char text[64];

	ck_status(listen_on(&listener, "127.0.0.1|0"), TOFU_OK);
	ck_status(tofu_tcp()->local_address(tofu_tcp(), &listener, text, sizeof text), TOFU_OK);
	ck_assert_int_eq(strncmp(text, "tcp|127.0.0.1|", 14), 0);
	ck_assert_str_ne(text, "tcp|127.0.0.1|0");
	close_link(&listener);
}
END_TEST

/* Every interface and one of them are the same port. */
START_TEST(a_port_taken_on_one_interface_is_in_use_on_all)
{
	struct tofu_link listener = { 0 }, second = { 0 };
	char rest[64];

	ck_status(listen_on(&listener, "127.0.0.1|0"), TOFU_OK);
	snprintf(rest, sizeof rest, "|%s", port_of(&listener));
	ck_status(listen_on(&second, rest), TOFU_ADDRESS_IN_USE);
	snprintf(rest, sizeof rest, "127.0.0.1|%s", port_of(&listener));
	ck_status(listen_on(&second, rest), TOFU_ADDRESS_IN_USE);
	close_link(&second);
	close_link(&listener);
}
END_TEST

/* 203.0.113.1, 2001:db8::1: for documentation, nobody's (RFC 5737, RFC 3849). */
START_TEST(an_address_that_is_not_ours_cannot_be_listened_on)
{
	struct tofu_link listener = { 0 };

	ck_status(listen_on(&listener, "203.0.113.1|0"), TOFU_LISTEN_FAILED);
	ck_assert_int_eq(listener.handle, TOFU_NO_SOCKET);
	if (has_ipv6())
		ck_status(listen_on(&listener, "2001:db8::1|0"), TOFU_LISTEN_FAILED);
	close_link(&listener);
}
END_TEST

/* What an abort is for: unread data or not, the peer learns of it while it still wants to send. */
START_TEST(an_abort_drops_what_the_peer_had_not_read)
{
	struct tofu_link listener = { 0 }, client = { 0 }, server = { 0 };
	char byte;
	struct tofu_iov out = { "x", 1 }, in = { &byte, 1 };
	unsigned want = TOFU_WRITABLE;
	size_t done = 0;

	ck_status(listen_on(&listener, "127.0.0.1|0"), TOFU_OK);
	ck_status(connect_to(&client, "127.0.0.1", port_of(&listener)), TOFU_OK);
	accept_one(&listener, &server);
	ck_status(tofu_tcp()->send(tofu_tcp(), &server, &out, 1, &done, &want), TOFU_OK);
	ck_assert(test_wait(client.handle, TOFU_READABLE));
	tofu_tcp()->close(tofu_tcp(), &server, TOFU_CLOSE_ABORT);
	ck_assert(test_wait(client.handle, TOFU_READABLE));
	/* A reset, not an end: the next send fails at once, where after a FIN it would still go out. */
	ck_status(tofu_tcp()->send(tofu_tcp(), &client, &out, 1, &done, &want), TOFU_PEER_DISCONNECTED);
	(void)tofu_tcp()->receive(tofu_tcp(), &client, &in, 1, &done, &want);
	close_link(&client);
	close_link(&listener);
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

static Suite *suite_of_tcp(void)
{
	Suite *s = suite_create("tcp");
	TCase *tc = tcase_create("tcp");

	tcase_add_test(tc, small_messages_do_not_wait_on_either_end);
	tcase_add_test(tc, a_name_resolves_only_where_blocking_is_allowed);
	tcase_add_test(tc, a_listener_on_a_name_is_reached_by_it);
	tcase_add_test(tc, a_name_that_nobody_has_is_not_found);
	tcase_add_test(tc, every_interface_means_both_families);
	tcase_add_test(tc, brackets_mean_the_same_address);
	tcase_add_test(tc, port_0_picks_a_port_and_tells_it);
	tcase_add_test(tc, a_port_taken_on_one_interface_is_in_use_on_all);
	tcase_add_test(tc, an_address_that_is_not_ours_cannot_be_listened_on);
	tcase_add_test(tc, an_abort_drops_what_the_peer_had_not_read);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_tcp());
}
