/* SPDX-License-Identifier: MIT */

/*
 * From a WelcomeRequest to a listener, from a HelloRequest to two peers, and every way in which that can fail: the response
 * with the failure, then channel_closed with the same id, then no more of that channel.
 *
 * Run with the argument "serve" this program is an echo server in a process of its own.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/fake.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/log.h"

/* listen */

START_TEST(listen_gives_a_welcome_response_with_the_actual_address)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at; /* listen_over() has seen channel, id, origin and status */
	struct raw peer;

	listen_over(&side, _i, &at);
	ck_assert_int_eq(strncmp(at.address, over_scheme(_i), 3), 0);
	ck_assert_str_ne(at.address, over_anywhere(_i));
	raw_call(&peer, at.address);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(listen_on_every_interface_takes_calls_on_any)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "::1" };
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	char address[128];

	listen_at(&side, "tcp||0", &at);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct side client = side_in(engine);
		tofu_msg *msg;

		if (strcmp(hosts[i], "localhost") == 0 && !os_knows_localhost())
			continue;
		snprintf(address, sizeof address, "tcp|%s|%s", hosts[i], strrchr(at.address, '|') + 1);
		call(&client, address, "hello");
		msg = expect_peer(&side, TOFU_HELLO_REQUEST);
		answer(&side, &msg, TOFU_HELLO_RESPONSE);
		msg = expect_peer(&client, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
	}
	engine_down(engine);
}
END_TEST

START_TEST(listen_keeps_the_address_that_was_asked_for)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	char address[256];

	vacant_address(_i, address, sizeof address);
	listen_at(&side, address, &at);
	ck_assert_str_eq(at.address, address);
	engine_down(engine);
}
END_TEST

/* A HelloRequest or WelcomeRequest with an address that tofu_msg_connect_to() and tofu_msg_listen_on() may refuse to write. */
static void fails_as_written(int opcode, const char *address, enum tofu_status status)
{
	const bool listens = opcode == TOFU_WELCOME_REQUEST;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, opcode, 0, 0, NULL);
	struct tofu_header h;

	works(tofu_msg_headers_add(msg, listens ? "~listen_on" : "~connect_to", address));
	h = post(&side, &msg);
	msg = expect_on(&side, h.channel, h.id, listens ? TOFU_WELCOME_RESPONSE : TOFU_HELLO_RESPONSE,
	                TOFU_ORIGIN_ENGINE, status);
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, status);
	expect_silence(&side);
	engine_down(engine);
}

static void fails_in_an_engine_of_its_own(const char *address, enum tofu_status status)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);

	listen_fails(&side, address, status);
	engine_down(engine);
}

START_TEST(listen_on_an_unknown_scheme_gives_invalid_address)
{
	fails_in_an_engine_of_its_own("nosuch|whatever", TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(listen_on_a_malformed_address_gives_invalid_address)
{
	static const char *const wrong[] = { "tcp|127.0.0.1", "tcp|127.0.0.1|", "tcp|127.0.0.1|65536",
		                             "tcp|127.0.0.1|http", "tcp|127.0.0.1|-1" };

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		fails_as_written(TOFU_WELCOME_REQUEST, wrong[i], TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(listen_on_an_address_not_ours_gives_listen_failed)
{
	fails_in_an_engine_of_its_own("tcp|192.0.2.1|0", TOFU_LISTEN_FAILED);
}
END_TEST

START_TEST(listen_in_a_missing_directory_gives_uds_path_not_found)
{
	fails_in_an_engine_of_its_own("uds|/nosuch/directory/socket", TOFU_UDS_PATH_NOT_FOUND);
}
END_TEST

START_TEST(a_path_that_is_too_long_gives_path_too_long)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[300] = "uds|/tmp/";

	memset(address + strlen(address), 'x', 200);
	listen_fails(&side, address, TOFU_PATH_TOO_LONG);
	call_fails(&side, address, TOFU_PATH_TOO_LONG);
	engine_down(engine);
}
END_TEST

START_TEST(listen_on_an_address_in_use_gives_address_in_use)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine), client = side_in(engine);
	struct listening at;
	struct pair p = { .server = side, .client = client };

	listen_over(&side, _i, &at);
	listen_fails(&side, at.address, TOFU_ADDRESS_IN_USE);
	/* The first one is as it was. */
	p.at = at;
	pair_meet(&p);
	pair_talk(&p);
	engine_down(engine);
}
END_TEST

START_TEST(a_socket_file_is_private_and_goes_with_its_listener)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;

	listen_over(&side, OVER_UDS, &at);
	ck_assert(os_file_is_private(path_of(at.address)));
	engine_down(engine);
	ck_assert(!os_file_exists(path_of(at.address)));
}
END_TEST

START_TEST(a_stale_socket_file_is_replaced)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	char address[256];
	intptr_t dead = raw_listen(OVER_UDS, address, sizeof address);

	tofu_socket_close(dead, TOFU_CLOSE_FORGET);
	ck_assert(os_file_exists(path_of(address)));
	listen_at(&side, address, &at);
	engine_down(engine);
	ck_assert(!os_file_exists(path_of(address)));
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char path[200], address[256];
	FILE *f;

	os_fresh_path(path, sizeof path);
	f = fopen(path, "w");
	must(f != NULL, "no file could be made");
	fclose(f);
	snprintf(address, sizeof address, "uds|%s", path);
	listen_fails(&side, address, TOFU_ADDRESS_IN_USE);
	ck_assert(os_file_exists(path));
	os_file_remove(path);
	engine_down(engine);
}
END_TEST

/* connect and accept */

START_TEST(connect_brings_a_hello_request_on_a_new_channel)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;
	uint16_t accepted;
	char text[600];

	listen_over(&server, _i, &at);
	h = call(&client, at.address, "who I am");
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	accepted = tofu_msg_header(msg)->channel;
	ck_assert_uint_eq(tofu_msg_header(msg)->id, h.id);
	ck_assert_uint_ne(accepted, at.channel);
	ck_assert_uint_ne(accepted, h.channel); /* both are of one engine */
	ck_assert(says(msg, "who I am"));
	ck_assert_str_eq(header_of(msg, "~connect_to", text, sizeof text), at.address);
	ck_status(tofu_msg_body_set(msg, "who you are", 11), TOFU_OK);
	answer(&server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_on(&client, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	ck_assert(says(msg, "who you are"));
	tofu_msg_put(&msg);
	expect_silence(&client);
	expect_silence(&server);
	engine_down(engine);
}
END_TEST

START_TEST(what_was_posted_before_the_connection_stood_follows_the_hello_in_order)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;

	listen_over(&server, _i, &at);
	h = call(&client, at.address, "hello");
	for (uint64_t i = 1; i <= 100; i++)
		say(&client, h.channel, TOFU_SIGNAL, i, "early");
	say(&client, h.channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	for (uint64_t i = 1; i <= 100; i++) {
		msg = expect_peer(&server, TOFU_SIGNAL);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, i);
		tofu_msg_put(&msg);
	}
	msg = expect_peer(&server, TOFU_BYE_REQUEST);
	answer(&server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_peer(&client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(&client, h.channel, h.id);
	engine_down(engine);
}
END_TEST

START_TEST(a_byesignal_refuses_a_caller)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;
	uint16_t accepted;

	listen_over(&server, _i, &at);
	h = call(&client, at.address, NULL);
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	accepted = tofu_msg_header(msg)->channel;
	answer(&server, &msg, TOFU_BYE_SIGNAL);
	expect_closed(&server, accepted, h.id);
	msg = expect_on(&client, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, over_cut(_i));
	tofu_msg_put(&msg);
	expect_end(&client, h.channel, h.id, over_cut(_i));
	expect_silence(&client);
	expect_silence(&server);
	engine_down(engine);
}
END_TEST

START_TEST(a_peer_may_skip_the_hello_response)
{
	tofu_engine *engine = engine_up(NULL);
	struct pair p = { .server = side_in(engine), .client = side_in(engine) };
	struct tofu_header h;
	tofu_msg *msg;

	listen_over(&p.server, _i, &p.at);
	h = call(&p.client, p.at.address, NULL);
	msg = expect_peer(&p.server, TOFU_HELLO_REQUEST);
	p.client_channel = h.channel;
	p.server_channel = tofu_msg_header(msg)->channel;
	answer(&p.server, &msg, TOFU_SIGNAL);
	msg = expect_on(&p.client, h.channel, h.id, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	pair_talk(&p);
	engine_down(engine);
}
END_TEST

/* what is wrong with an address */

static struct {
	atomic_uint lines;
	char text[TOFU_LOG_LINE];
} told;

static void note(void *context, enum tofu_log_level level, const char *text)
{
	(void)context;
	(void)level;
	(void)snprintf(told.text, sizeof told.text, "%s", text);
	atomic_fetch_add(&told.lines, 1);
}

struct fault {
	enum tofu_opcode opcode;
	const char *address; /* as it is written into the message */
	const char *detail;
};

/* The last two are refused by their transport only, at once and on a thread that looks names up. */
static const struct fault faults[] = {
	{ TOFU_HELLO_REQUEST, "tpc|127.0.0.1|80", "no transport of that name is registered" },
	{ TOFU_WELCOME_REQUEST, "tpc|127.0.0.1|80", "no transport of that name is registered" },
	{ TOFU_HELLO_REQUEST, "tcp|127.0.0.1", "the port is missing" },
	{ TOFU_WELCOME_REQUEST, "tcp|127.0.0.1", "the port is missing" },
	{ TOFU_HELLO_REQUEST, "tcp|127.0.0.1|99999", "the port is not a number from 0 to 65535" },
	{ TOFU_HELLO_REQUEST, "tcp||80", "the host is missing" },
	{ TOFU_HELLO_REQUEST, "tcp|127.0.0.1|0", "nobody can be called at port 0" },
	{ TOFU_HELLO_REQUEST, "uds|", "the path is missing" },
	{ TOFU_WELCOME_REQUEST, "nonsense",
	  "the address does not begin with a transport and a bar, like TRANSPORT|REST" },
	{ TOFU_HELLO_REQUEST, "a\tb|c", "the address contains a control character" },
	{ TOFU_HELLO_REQUEST, "http://127.0.0.1:80",
	  "the address does not begin with a transport and a bar, like TRANSPORT|REST" },
	{ TOFU_HELLO_REQUEST, "tcp|[::1|80", "the transport does not know this form of address" },
	{ TOFU_HELLO_REQUEST, "picky|x", "the transport does not know this form of address" },
};
enum { FAULTS_NR = sizeof faults / sizeof faults[0] };

static enum tofu_status pick_nothing(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	(void)rest;
	(void)purpose;
	(void)out;
	(void)capacity;
	*count = 0;
	return may_block ? TOFU_INVALID_ADDRESS : TOFU_WOULD_BLOCK;
}

static bool has_header(const tofu_msg *msg, const char *name, const char *value)
{
	size_t len;
	const char *found = tofu_msg_headers_find(msg, name, &len);

	return found != NULL && len == strlen(value) && memcmp(found, value, len) == 0;
}

START_TEST(what_is_wrong_with_an_address_is_in_the_answer_and_in_the_log)
{
	static struct tofu_transport picky;
	const struct fault *f = &faults[_i];
	const bool listens = f->opcode == TOFU_WELCOME_REQUEST;
	struct tofu_options options = options_with_pool(16);
	tofu_engine *engine;
	struct side side;
	struct tofu_header h;
	tofu_msg *msg;

	picky = *tofu_tcp();
	picky.scheme = "picky";
	picky.form = TOFU_FORM_TEXT;
	picky.resolve = pick_nothing;
	options.log = note;
	atomic_store(&told.lines, 0); /* of the last turn of the loop, where Check does not fork */
	engine = engine_up(&options);
	works(tofu_engine_register(engine, &picky));
	side = side_in(engine);
	msg = message(&side, (int)f->opcode, 0, 0, "body");
	works(tofu_msg_headers_add(msg, listens ? "~listen_on" : "~connect_to", f->address));
	works(tofu_msg_headers_add(msg, "~detail", "of an earlier failure"));
	works(tofu_msg_headers_add(msg, "mine", "kept"));
	h = post(&side, &msg);
	msg = expect_on(&side, h.channel, h.id, listens ? TOFU_WELCOME_RESPONSE : TOFU_HELLO_RESPONSE,
	                TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);
	must(has_header(msg, "~detail", f->detail), "%s", describe(msg));
	must(has_header(msg, "mine", "kept") && says(msg, "body"), "%s", describe(msg));
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, TOFU_INVALID_ADDRESS);
	drain_group(side.group);
	eventually(atomic_load(&told.lines) == 1);
	must(strstr(told.text, f->detail) != NULL, "%s", told.text);
	must(strstr(told.text, strchr(f->address, '\t') != NULL ? "a?b|c" : f->address) != NULL, "%s", told.text);
	engine_down(engine);
}
END_TEST

START_TEST(an_answer_that_has_no_room_for_what_is_wrong_goes_without)
{
	static char filling[TOFU_HEADERS_MAX - 100];
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, TOFU_HELLO_REQUEST, 0, 0, NULL);
	struct tofu_header h;
	size_t len;

	memset(filling, 'x', sizeof filling - 1);
	works(tofu_msg_connect_to(msg, "nosuch|whatever"));
	works(tofu_msg_headers_add(msg, "filling", filling));
	memset(filling, 'y', 30);
	filling[30] = '\0';
	works(tofu_msg_headers_add(msg, "more", filling));
	h = post(&side, &msg);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);
	ck_assert_ptr_null(tofu_msg_headers_find(msg, "~detail", &len));
	ck_assert_ptr_nonnull(tofu_msg_headers_find(msg, "filling", &len));
	ck_status(tofu_msg_check(msg), TOFU_OK);
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, TOFU_INVALID_ADDRESS);
	engine_down(engine);
}
END_TEST

/* What was called, as the peer sees it: an address, never a URL. */
static void expect_caller_of(const struct side *side, const struct listening *at)
{
	tofu_msg *msg = expect_peer(side, TOFU_HELLO_REQUEST);

	must(has_header(msg, "~connect_to", at->address), "%s", describe(msg));
	tofu_msg_put(&msg);
}

START_TEST(a_url_becomes_an_address_when_it_is_given_or_else_when_it_is_posted)
{
	tofu_engine *engine = engine_up(NULL), *late;
	struct side side = side_in(engine), late_side = { 0 };
	struct listening at;
	tofu_msg *msg = message(&side, TOFU_HELLO_REQUEST, 0, 0, NULL), *early;
	char url[sizeof at.address];

	listen_over(&side, OVER_TCP, &at);
	(void)snprintf(url, sizeof url, "tcp://127.0.0.1%s", strrchr(at.address, '|'));
	*strrchr(url, '|') = ':';
	works(tofu_msg_headers_add(msg, "~connect_to", url)); /* by hand */
	(void)post(&side, &msg);
	expect_caller_of(&side, &at);

	works(tofu_engine_create(NULL, &late));
	late_side.engine = late;
	works(tofu_group_create(late, &late_side.group));
	early = message(&late_side, TOFU_SIGNAL, 0, 0, NULL);
	works(tofu_msg_connect_to(early, url)); /* before any transport is registered */
	must(has_header(early, "~connect_to", url), "%s", describe(early));
	works(tofu_engine_register(late, tofu_tcp()));
	msg = message(&late_side, TOFU_SIGNAL, 0, 0, NULL);
	works(tofu_msg_connect_to(msg, url));
	must(has_header(msg, "~connect_to", at.address), "%s", describe(msg));
	tofu_msg_put(&msg);
	(void)post(&late_side, &early);
	expect_caller_of(&side, &at);
	ck_assert_ptr_null(tofu_address_fault(NULL, "tcp|h", TOFU_HELLO_REQUEST));
	ck_assert_ptr_nonnull(tofu_address_fault(NULL, "h", TOFU_HELLO_REQUEST));
	ck_assert_str_eq(tofu_address_fault(late, "tcp|h", TOFU_HELLO_REQUEST), "the port is missing");
	works(tofu_group_destroy(late_side.group));
	tofu_engine_destroy(late);
	engine_down(engine);
}
END_TEST

/* failures to connect */

START_TEST(connect_by_an_unknown_scheme_gives_invalid_address)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);

	call_fails(&side, "nosuch|whatever", TOFU_INVALID_ADDRESS);
	engine_down(engine);
}
END_TEST

START_TEST(connect_to_a_malformed_address_gives_invalid_address)
{
	static const char *const wrong[] = { "tcp|127.0.0.1", "tcp|127.0.0.1|",  "tcp|127.0.0.1|65536",
		                             "tcp||80",       "tcp|127.0.0.1|0", "uds|" };

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		fails_as_written(TOFU_HELLO_REQUEST, wrong[i], TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(connect_to_a_name_that_does_not_exist_gives_host_not_found)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);

	call_fails(&side, "tcp|no-such-host.invalid|4000", TOFU_HOST_NOT_FOUND);
	engine_down(engine);
}
END_TEST

START_TEST(connect_to_nobody_gives_connect_failed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[256];

	if (_i == OVER_TCP)
		vacant_address(_i, address, sizeof address);
	else /* its socket file stays */
		tofu_socket_close(raw_listen(_i, address, sizeof address), TOFU_CLOSE_FORGET);
	call_fails(&side, address, TOFU_CONNECT_FAILED);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(engine);
}
END_TEST

START_TEST(connect_to_a_missing_path_gives_uds_path_not_found)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[256];

	vacant_address(OVER_UDS, address, sizeof address);
	call_fails(&side, address, TOFU_UDS_PATH_NOT_FOUND);
	engine_down(engine);
}
END_TEST

START_TEST(what_was_posted_behind_a_hello_that_fails_comes_back_in_order)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[256];
	struct tofu_header h;
	tofu_msg *msg;

	ck_status(tofu_engine_register(engine, fake_slow(_i)), TOFU_OK);
	vacant_address(_i, address, sizeof address);
	memmove(address + 5, path_of(address), strlen(path_of(address)) + 1);
	memcpy(address, "slow|", 5);
	slow_hold();
	h = call(&side, address, "hello");
	for (uint64_t i = 1; i <= 10; i++)
		say(&side, h.channel, TOFU_REQUEST, i, "early");
	slow_release();
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, over_nobody(_i));
	tofu_msg_put(&msg);
	for (uint64_t i = 1; i <= 10; i++) {
		msg = expect_on(&side, h.channel, i, TOFU_REQUEST, TOFU_ORIGIN_ENGINE, over_nobody(_i));
		ck_assert(says(msg, "early"));
		tofu_msg_put(&msg);
	}
	expect_end(&side, h.channel, h.id, over_nobody(_i));
	expect_silence(&side);
	ck_assert_uint_eq(connections_of(engine), 0);
	engine_down(engine);
}
END_TEST

START_TEST(a_connect_that_never_ends_gives_timeout)
{
	struct tofu_options options = options_with_pool(16);
	tofu_engine *engine;
	struct side side;
	char address[256], stuck[300];
	intptr_t listener;

	options.handshake_timeout_ms = 100;
	engine = engine_up(&options);
	listener = raw_listen(_i, address, sizeof address);
	side = side_in(engine);
	ck_status(tofu_engine_register(engine, fake_stuck(_i)), TOFU_OK);
	snprintf(stuck, sizeof stuck, "stuck|%s", path_of(address));
	call_fails(&side, stuck, TOFU_TIMEOUT);
	engine_down(engine);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
}
END_TEST

START_TEST(a_name_that_is_never_found_gives_timeout)
{
	struct tofu_options options = options_with_pool(16);
	tofu_engine *engine;
	struct side side;

	options.handshake_timeout_ms = 100;
	engine = engine_up(&options);
	side = side_in(engine);
	ck_status(tofu_engine_register(engine, fake_slow(OVER_TCP)), TOFU_OK);
	slow_hold();
	call_fails(&side, "slow|127.0.0.1|9", TOFU_TIMEOUT);
	slow_release();
	engine_down(engine);
}
END_TEST

START_TEST(every_address_of_a_name_is_tried)
{
	struct pair p;
	tofu_engine *engine = engine_up(NULL);
	char dead[3][256], live[600];

	ck_status(tofu_engine_register(engine, fake_many(_i)), TOFU_OK);
	p.server = side_in(engine);
	p.client = side_in(engine);
	listen_over(&p.server, _i, &p.at);
	snprintf(live, sizeof live, "%s", path_of(p.at.address));
	for (int i = 0; i < 3; i++)
		vacant_address(_i, dead[i], sizeof dead[i]);
	for (int before = 0; before <= 3; before++) {
		snprintf(p.at.address, sizeof p.at.address, "many|");
		for (int i = 0; i < before; i++)
			snprintf(p.at.address + strlen(p.at.address), sizeof p.at.address - strlen(p.at.address), "%s,",
			         path_of(dead[i]));
		snprintf(p.at.address + strlen(p.at.address), sizeof p.at.address - strlen(p.at.address), "%.300s",
		         live);
		pair_meet(&p);
		pair_talk(&p);
	}
	engine_down(engine);
}
END_TEST

START_TEST(a_name_of_dead_addresses_fails_once)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char one[200], two[200], both[512];

	ck_status(tofu_engine_register(engine, fake_many(_i)), TOFU_OK);
	vacant_address(_i, one, sizeof one);
	vacant_address(_i, two, sizeof two);
	snprintf(both, sizeof both, "many|%s,%s", path_of(one), path_of(two));
	call_fails(&side, both, over_nobody(_i));
	engine_down(engine);
}
END_TEST

/* who is where */

START_TEST(server_and_client_may_share_a_group)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct tofu_header h;
	uint16_t server = 0;
	int closed = 0;

	listen_over(&side, _i, &at);
	h = call(&side, at.address, "hello");
	/* One mailbox, two conversations: each message tells by its channel whose it is. */
	while (closed < 2) {
		tofu_msg *msg = take(&side);
		struct tofu_header *got = tofu_msg_header(msg);

		if (is_closed_notice(msg)) {
			ck_assert(got->channel == h.channel || got->channel == server);
			ck_assert_uint_eq(got->id, h.id);
			closed++;
		} else if (got->channel == h.channel) {
			if (got->opcode == TOFU_HELLO_RESPONSE) {
				say(&side, h.channel, TOFU_REQUEST, 0, "a question");
			} else if (got->opcode == TOFU_RESPONSE) {
				ck_assert(says(msg, "a question"));
				say(&side, h.channel, TOFU_BYE_REQUEST, 0, NULL);
			} else {
				ck_assert_int_eq(got->opcode, TOFU_BYE_RESPONSE);
			}
		} else if (got->opcode == TOFU_HELLO_REQUEST) {
			server = got->channel;
			answer(&side, &msg, TOFU_HELLO_RESPONSE);
		} else {
			ck_assert_uint_eq(got->channel, server);
			answer(&side, &msg, got->opcode == TOFU_REQUEST ? TOFU_RESPONSE : TOFU_BYE_RESPONSE);
		}
		tofu_msg_put(&msg);
	}
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(server_and_client_in_two_groups)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

START_TEST(server_and_client_in_two_engines)
{
	struct pair p;

	pair_open_apart(&p, _i, NULL, NULL);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

START_TEST(server_and_client_in_two_processes)
{
	struct os_process server;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[600];
	struct tofu_header hello, h;
	tofu_msg *msg;

	must(os_spawn_self(&server, "serve", over_scheme(_i)), "no process");
	must(os_read_line(&server, address, sizeof address, PATIENCE_NS), "the server says nothing");
	hello = call(&side, address, "hello");
	msg = expect_on(&side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	h = say(&side, hello.channel, TOFU_REQUEST, 0, "a question");
	msg = expect_on(&side, hello.channel, h.id, TOFU_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	ck_assert(says(msg, "a question"));
	tofu_msg_put(&msg);
	h = say(&side, hello.channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&side, hello.channel, h.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&side, hello.channel, hello.id);
	ck_assert_int_eq(os_reap(&server), 0);
	engine_down(engine);
}
END_TEST

/* A pair of which both sides are on the fake. */
static void fake_pair(struct pair *p, const struct tofu_transport *fake, int transport)
{
	tofu_engine *engine = engine_up(NULL);
	char path[300];

	ck_status(tofu_engine_register(engine, fake), TOFU_OK);
	p->server = side_in(engine);
	p->client = side_in(engine);
	snprintf(p->at.address, sizeof p->at.address, "%s|%s", fake->scheme, path_of(over_anywhere(transport)));
	listen_at(&p->server, p->at.address, &p->at);
	snprintf(path, sizeof path, "%s", path_of(p->at.address));
	snprintf(p->at.address, sizeof p->at.address, "%s|%s", fake->scheme, path);
	pair_meet(p);
}

START_TEST(a_transport_that_moves_a_byte_at_a_time_will_do)
{
	struct pair p;
	tofu_msg *msg;

	fake_pair(&p, fake_tiny(_i), _i);
	for (uint64_t i = 0; i < 5; i++) {
		msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, NULL);
		ck_status(tofu_msg_headers_add(msg, "name", "value"), TOFU_OK);
		number_body(msg, i, 1000);
		post(&p.client, &msg);
	}
	for (uint64_t i = 0; i < 5; i++) {
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		ck_assert_uint_eq(number_of(msg), i);
		tofu_msg_put(&msg);
	}
	pair_talk(&p);
	pair_bye(&p);
	engine_down(p.client.engine);
}
END_TEST

START_TEST(a_transport_that_once_waits_for_writability_to_receive_is_heard_on)
{
	struct pair p;

	fake_pair(&p, fake_turned(_i), _i);
	for (int i = 0; i < 5; i++) {
		turned_receives(1);
		pair_talk(&p);
	}
	/* Nobody waits for writability any more: that would be reported without end. */
	comes_to_rest(&p.client, TOFU_NS_PER_S / 5);
	pair_bye(&p);
	engine_down(p.client.engine);
}
END_TEST

static Suite *suite_of_handshake(void)
{
	Suite *suite = suite_create("handshake");
	TCase *listen = suite_case(suite, "listen", 30), *connect = suite_case(suite, "connect", 30);
	TCase *failed = suite_case(suite, "connect fails", 60), *where = suite_case(suite, "who is where", 30);

	over_sockets_add(listen, listen_gives_a_welcome_response_with_the_actual_address, 1);
	tcase_add_test(listen, listen_on_every_interface_takes_calls_on_any);
	over_add(listen, listen_keeps_the_address_that_was_asked_for, 1);
	tcase_add_test(listen, listen_on_an_unknown_scheme_gives_invalid_address);
	tcase_add_test(listen, listen_on_a_malformed_address_gives_invalid_address);
	tcase_add_test(listen, listen_on_an_address_not_ours_gives_listen_failed);
	over_need(listen, listen_in_a_missing_directory_gives_uds_path_not_found, OVER_UDS);
	tcase_add_test(listen, a_path_that_is_too_long_gives_path_too_long);
	over_add(listen, listen_on_an_address_in_use_gives_address_in_use, 1);
	over_need(listen, a_socket_file_is_private_and_goes_with_its_listener, OVER_UDS);
	over_need(listen, a_stale_socket_file_is_replaced, OVER_UDS);
	over_need(listen, a_file_that_is_no_socket_is_left_alone, OVER_UDS);
	over_add(connect, connect_brings_a_hello_request_on_a_new_channel, 1);
	over_add(connect, what_was_posted_before_the_connection_stood_follows_the_hello_in_order, 1);
	over_add(connect, a_byesignal_refuses_a_caller, 1);
	over_add(connect, a_peer_may_skip_the_hello_response, 1);
	tcase_add_test(connect, a_url_becomes_an_address_when_it_is_given_or_else_when_it_is_posted);
	tcase_add_test(failed, connect_by_an_unknown_scheme_gives_invalid_address);
	tcase_add_test(failed, connect_to_a_malformed_address_gives_invalid_address);
	tcase_add_loop_test(failed, what_is_wrong_with_an_address_is_in_the_answer_and_in_the_log, 0, FAULTS_NR);
	tcase_add_test(failed, an_answer_that_has_no_room_for_what_is_wrong_goes_without);
	tcase_add_test(failed, connect_to_a_name_that_does_not_exist_gives_host_not_found);
	over_sockets_add(failed, connect_to_nobody_gives_connect_failed, 1);
	over_need(failed, connect_to_a_missing_path_gives_uds_path_not_found, OVER_UDS);
	over_add(failed, what_was_posted_behind_a_hello_that_fails_comes_back_in_order, 1);
	over_sockets_add(failed, a_connect_that_never_ends_gives_timeout, 1);
	tcase_add_test(failed, a_name_that_is_never_found_gives_timeout);
	over_add(failed, every_address_of_a_name_is_tried, 1);
	over_add(failed, a_name_of_dead_addresses_fails_once, 1);
	over_add(where, server_and_client_may_share_a_group, 1);
	over_add(where, server_and_client_in_two_groups, 1);
	over_add(where, server_and_client_in_two_engines, 1);
	over_plain_sockets_add(where, server_and_client_in_two_processes, 1);
	over_add_plain(where, a_transport_that_moves_a_byte_at_a_time_will_do, 1);
	over_add(where, a_transport_that_once_waits_for_writability_to_receive_is_heard_on, 1);
	return suite;
}

/* An echo server for one caller, until that one has said bye. */
static int serve(const char *scheme)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	tofu_msg *msg;

	listen_over(&side, over_of(scheme), &at);
	printf("%s\n", at.address);
	fflush(stdout);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	answer(&side, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&side, TOFU_REQUEST);
	answer(&side, &msg, TOFU_RESPONSE);
	msg = expect_peer(&side, TOFU_BYE_REQUEST);
	answer(&side, &msg, TOFU_BYE_RESPONSE);
	msg = take(&side);
	must(is_closed_notice(msg), "instead of the end: %s", describe(msg));
	tofu_msg_put(&msg);
	engine_down(engine);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	return harness_run(suite_of_handshake());
}
