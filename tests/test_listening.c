/* SPDX-License-Identifier: MIT */

/*
 * One owner per port. A name may stand for several addresses: its listener has them all, with the same port, or none; and every
 * interface is taken if one of them is. "many|A,B" is a name that stands for A and B.
 */

#include <stdio.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/steps.h"

static struct {
	tofu_engine *engine;
	struct side server, client;
	int descriptors;
} t;

static bool start(const struct tofu_options *or_null)
{
	works(tofu_init());
	t.descriptors = os_descriptors();
	t.engine = engine_up(or_null);
	works(tofu_engine_register(t.engine, fake_many(OVER_TCP)));
	t.server = side_in(t.engine);
	t.client = side_in(t.engine);
	return ipv6_here();
}

static void stop(void)
{
	engine_down(t.engine);
	ck_assert_int_eq(os_descriptors(), t.descriptors);
	tofu_deinit();
}

static const char *port_of(const struct listening *at)
{
	return strrchr(at->address, '|') + 1;
}

/* "tcp|127.0.0.1|4000", or, with several hosts, "many|127.0.0.1|4000,::1|4000". Static text, one for each call in a line. */
static const char *at_port(const char *hosts, const char *port)
{
	static char text[8][200];
	static unsigned next;
	char *out = text[next++ % 8];
	size_t len = 0;

	len += (size_t)snprintf(out, sizeof text[0], strchr(hosts, ',') != NULL ? "many|" : "tcp|");
	for (const char *host = hosts;; host++) {
		size_t n = strcspn(host, ",");

		len += (size_t)snprintf(out + len, sizeof text[0] - len, "%.*s|%s", (int)n, host, port);
		host += n;
		if (*host == '\0')
			return out;
		out[len++] = ',';
	}
}

static void expect_reached(const char *address)
{
	tofu_msg *msg;

	(void)call(&t.client, address, "hello");
	msg = expect_peer(&t.server, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
}

static void expect_free(const char *address)
{
	struct listening at;

	listen_at(&t.server, address, &at);
	(void)say(&t.server, at.channel, TOFU_BYE_SIGNAL, 0, "");
	expect_closed(&t.server, at.channel, at.id);
}

static const char both[] = "127.0.0.1,::1";

START_TEST(a_name_of_two_addresses_is_listened_on_at_both_with_one_port)
{
	struct listening at;

	if (start(NULL)) {
		listen_at(&t.server, at_port(both, "0"), &at);
		expect_reached(at.address);
		expect_reached(at_port("127.0.0.1", port_of(&at)));
		expect_reached(at_port("::1", port_of(&at)));
		expect_reached(at_port("::1,127.0.0.1", port_of(&at)));
		ck_assert_uint_eq(stats_of(t.engine).channels_listening, 1);
	}
	stop();
}
END_TEST

START_TEST(an_address_that_a_name_gives_twice_is_one)
{
	struct listening at;

	if (!os_knows_localhost())
		return;
	(void)start(NULL);
	listen_at(&t.server, "tcp|localhost|0", &at);
	expect_reached(at.address);
	expect_reached(at_port("localhost", port_of(&at)));
	listen_fails(&t.client, at_port("localhost", port_of(&at)), TOFU_ADDRESS_IN_USE);
	stop();
}
END_TEST

static const struct {
	const char *first, *second;
} overlaps[] = {
	{ both, both },
	{ both, "::1,127.0.0.1" },
	{ both, "127.0.0.1" },
	{ both, "::1" },
	{ both, "" },
	{ "::1", both },
	{ "127.0.0.1", both },
	{ "", both },
	{ "", "" },
	{ "", "::1" },
	{ "", "127.0.0.1" },
	{ "", "::" },
	{ "", "0.0.0.0" },
	{ "::1", "" },
	{ "127.0.0.1", "" },
	{ "0.0.0.0", "" },
	{ "::", "" },
	{ "127.0.0.1", "::ffff:127.0.0.1" },
	{ "::ffff:127.0.0.1", "127.0.0.1" },
};

START_TEST(who_comes_second_to_a_port_finds_it_in_use_and_harms_nobody)
{
	struct listening at;

	if (start(NULL)) {
		listen_at(&t.server, at_port(overlaps[_i].first, "0"), &at);
		listen_fails(&t.client, at_port(overlaps[_i].second, port_of(&at)), TOFU_ADDRESS_IN_USE);
		expect_reached(at.address);
		(void)say(&t.server, at.channel, TOFU_BYE_SIGNAL, 0, "");
	}
	stop();
}
END_TEST

START_TEST(a_name_that_cannot_be_had_whole_leaves_nothing_behind)
{
	struct listening at;

	if (start(NULL)) {
		listen_at(&t.server, "tcp|::1|0", &at);
		listen_fails(&t.client, at_port(both, port_of(&at)), TOFU_ADDRESS_IN_USE);
		expect_free(at_port("127.0.0.1", port_of(&at)));
	}
	stop();
}
END_TEST

/* 203.0.113.1, 2001:db8::1: for documentation, nobody's (RFC 5737, RFC 3849). */
START_TEST(an_address_of_a_name_that_is_not_of_this_host_is_left_out)
{
	struct listening at;

	(void)start(NULL);
	listen_at(&t.server, at_port("203.0.113.1,127.0.0.1,203.0.113.2", "0"), &at);
	ck_assert_int_eq(strncmp(at.address, "many|127.0.0.1|", 15), 0);
	expect_reached(at.address);
	listen_fails(&t.client, at_port("203.0.113.1,203.0.113.2", port_of(&at)), TOFU_LISTEN_FAILED);
	stop();
}
END_TEST

START_TEST(a_listener_closes_all_its_sockets_at_once_and_its_connections_live_on)
{
	struct tofu_header h;
	struct listening at;
	tofu_msg *msg;

	if (start(NULL)) {
		listen_at(&t.server, at_port(both, "0"), &at);
		h = call(&t.client, at_port("::1", port_of(&at)), "hello");
		msg = expect_peer(&t.server, TOFU_HELLO_REQUEST);
		answer(&t.server, &msg, TOFU_HELLO_RESPONSE);
		msg = expect_peer(&t.client, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
		(void)say(&t.server, at.channel, TOFU_BYE_REQUEST, 7, "");
		msg = expect_on(&t.server, at.channel, 7, TOFU_BYE_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_OK);
		tofu_msg_put(&msg);
		expect_closed(&t.server, at.channel, at.id);
		call_fails(&t.client, at_port("127.0.0.1", port_of(&at)), TOFU_CONNECT_FAILED);
		call_fails(&t.client, at_port("::1", port_of(&at)), TOFU_CONNECT_FAILED);
		(void)say(&t.client, h.channel, TOFU_REQUEST, 8, "still there?");
		msg = expect_peer(&t.server, TOFU_REQUEST);
		tofu_msg_put(&msg);
	}
	stop();
}
END_TEST

START_TEST(a_listener_that_cannot_accept_goes_on_at_all_its_sockets)
{
	struct tofu_options options;
	struct listening at;
	static struct raw one, other;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.max_channels = 2;
	if (start(&options)) {
		listen_at(&t.server, at_port(both, "0"), &at);
		raw_call(&one, at_port("127.0.0.1", port_of(&at)));
		raw_hello(&one, 1);
		msg = expect_peer(&t.server, TOFU_HELLO_REQUEST);
		tofu_msg_put(&msg);
		for (int i = 0; i < 4; i++) {
			raw_call(&other, at_port(i % 2 == 0 ? "::1" : "127.0.0.1", port_of(&at)));
			raw_hello(&other, 2);
			raw_hang_up(&one, TOFU_CLOSE_ORDERLY);
			while ((msg = take(&t.server)), tofu_msg_header(msg)->opcode != TOFU_HELLO_REQUEST)
				tofu_msg_put(&msg);
			tofu_msg_put(&msg);
			one = other;
		}
		raw_hang_up(&one, TOFU_CLOSE_ORDERLY);
	}
	stop();
}
END_TEST

static Suite *suite_of_listening(void)
{
	Suite *s = suite_create("listening");
	TCase *tc = suite_case(s, "one owner", 60);

	tcase_add_test(tc, a_name_of_two_addresses_is_listened_on_at_both_with_one_port);
	tcase_add_test(tc, an_address_that_a_name_gives_twice_is_one);
	tcase_add_loop_test(tc, who_comes_second_to_a_port_finds_it_in_use_and_harms_nobody, 0,
	                    (int)(sizeof overlaps / sizeof overlaps[0]));
	tcase_add_test(tc, a_name_that_cannot_be_had_whole_leaves_nothing_behind);
	tcase_add_test(tc, an_address_of_a_name_that_is_not_of_this_host_is_left_out);
	tcase_add_test(tc, a_listener_closes_all_its_sockets_at_once_and_its_connections_live_on);
	tcase_add_test(tc, a_listener_that_cannot_accept_goes_on_at_all_its_sockets);
	return s;
}

int main(void)
{
	return harness_run(suite_of_listening());
}
