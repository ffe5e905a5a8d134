/* SPDX-License-Identifier: MIT */

/* Who is let in before it has said hello: bounds for those that say nothing, and for one peer; what refusing costs. */

#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/raw.h"
#include "lib/steps.h"

enum { BOUND = 4 };

struct house {
	tofu_engine *engine;
	struct side side;
	struct listening at;
	struct raw callers[BOUND];
};

static void house_open(struct house *h, int transport, const struct tofu_options *options)
{
	h->engine = engine_up(options);
	h->side = side_in(h->engine);
	listen_over(&h->side, transport, &h->at);
}

static void house_close(struct house *h)
{
	for (int i = 0; i < BOUND; i++)
		raw_hang_up(&h->callers[i], TOFU_CLOSE_ABORT);
	engine_down(h->engine);
}

static void let_in(struct house *h, uint32_t count)
{
	eventually(stats_of(h->engine).channels_accepted == count);
}

static void fill(struct house *h)
{
	for (int i = 0; i < BOUND; i++) {
		raw_call(&h->callers[i], h->at.address);
		let_in(h, (uint32_t)i + 1);
	}
}

/* An honest caller says hello, and the application hears it. */
static uint16_t expect_heard(struct house *h, struct raw *caller)
{
	tofu_msg *msg;
	uint16_t channel;

	raw_hello(caller, 1);
	msg = expect_peer(&h->side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	return channel;
}

static void expect_shut(struct raw *caller)
{
	struct raw_frame frame;

	ck_assert(!raw_read(caller, &frame));
}

/* --- callers that say nothing --- */

static void oldest_makes_room(int transport, const struct tofu_options *options)
{
	static struct house h;
	struct raw honest;

	house_open(&h, transport, options);
	fill(&h);
	raw_call(&honest, h.at.address);
	(void)expect_heard(&h, &honest);
	expect_shut(&h.callers[0]);
	ck_assert_uint_eq(stats_of(h.engine).callers_displaced, 1);
	ck_assert_uint_eq(stats_of(h.engine).channels_accepted, BOUND - 1);
	(void)expect_heard(&h, &h.callers[1]); /* the others may say hello yet */
	raw_hang_up(&honest, TOFU_CLOSE_ORDERLY);
	house_close(&h);
}

START_TEST(at_their_bound_the_one_that_was_silent_for_longest_makes_room)
{
	struct tofu_options options = options_with_pool(64);

	options.unheard_max = BOUND;
	oldest_makes_room(_i, &options);
}
END_TEST

START_TEST(when_channels_run_out_the_one_that_was_silent_for_longest_makes_room)
{
	struct tofu_options options = options_with_pool(64);

	options.max_channels = 1 + BOUND;
	oldest_makes_room(_i, &options);
}
END_TEST

/* Nobody is closed within its first second: an honest one needs a moment for its hello. */
START_TEST(one_that_has_just_come_is_left_its_moment)
{
	struct tofu_options options = options_with_pool(64);
	static struct house h;
	struct raw late;

	options.unheard_max = BOUND;
	house_open(&h, _i, &options);
	fill(&h);
	raw_call(&late, h.at.address);
	for (int i = 0; i < BOUND; i++)
		(void)expect_heard(&h, &h.callers[i]);
	let_in(&h, 1);
	(void)expect_heard(&h, &late);
	ck_assert_uint_eq(stats_of(h.engine).callers_displaced, 0);
	raw_hang_up(&late, TOFU_CLOSE_ORDERLY);
	house_close(&h);
}
END_TEST

START_TEST(one_that_has_said_hello_never_makes_room)
{
	struct tofu_options options = options_with_pool(64);
	static struct house h;
	struct raw late;
	tofu_msg *msg;

	options.max_channels = 1 + BOUND;
	options.handshake_timeout_ms = 500;
	house_open(&h, _i, &options);
	fill(&h);
	for (int i = 0; i < BOUND; i++)
		(void)expect_heard(&h, &h.callers[i]);
	raw_call(&late, h.at.address);
	ck_status(tofu_receive(h.side.group, &msg, 1500 * INT64_C(1000000)), TOFU_TIMEOUT);
	ck_assert_uint_eq(stats_of(h.engine).callers_displaced, 0);
	ck_assert_uint_eq(stats_of(h.engine).channels_open, BOUND);
	raw_hang_up(&late, TOFU_CLOSE_ABORT);
	house_close(&h);
}
END_TEST

/* --- the connections of one peer --- */

/* It learns it from the answer to its hello, or from its connect already. */
static void is_refused(const struct side *client, const char *address)
{
	struct tofu_header hello = call(client, address, "let me in");
	tofu_msg *msg = take(client);
	const struct tofu_header *h = tofu_msg_header(msg);

	must(h->opcode == TOFU_HELLO_RESPONSE && h->origin == TOFU_ORIGIN_ENGINE && h->status != TOFU_OK, "%s",
	     describe(msg));
	tofu_msg_put(&msg);
	msg = take(client);
	must(is_closed_notice(msg) && tofu_msg_header(msg)->channel == hello.channel, "%s", describe(msg));
	tofu_msg_put(&msg);
}

START_TEST(a_peer_beyond_its_bound_is_refused_until_one_of_its_connections_ends)
{
	struct tofu_options options = options_with_pool(64);
	tofu_engine *engine = engine_up(NULL);
	struct side client = side_in(engine);
	static struct house h;

	options.peer_connections_max = BOUND;
	house_open(&h, _i, &options);
	fill(&h);
	is_refused(&client, h.at.address);
	ck_assert_uint_eq(stats_of(h.engine).callers_refused, 1);
	(void)expect_heard(&h, &h.callers[0]); /* it counts on after its hello */
	is_refused(&client, h.at.address);
	ck_assert_uint_eq(stats_of(h.engine).callers_refused, 2);
	raw_hang_up(&h.callers[1], TOFU_CLOSE_ABORT);
	let_in(&h, BOUND - 2);
	raw_call(&h.callers[1], h.at.address);
	(void)expect_heard(&h, &h.callers[1]);
	ck_assert_uint_eq(stats_of(h.engine).callers_refused, 2);
	house_close(&h);
	engine_down(engine);
}
END_TEST

/* --- who may call --- */

static unsigned told_of;

static void note(void *context, enum tofu_log_level level, const char *text)
{
	(void)context;
	if (level == TOFU_LOG_WARNING && strstr(text, "callers are refused, choosy|127.0.0.1|") != NULL)
		told_of++;
}

static enum tofu_status allow(const char *networks, struct tofu_transport **out)
{
	struct tofu_tcp_options o;

	tofu_tcp_options_init(&o, sizeof o);
	o.scheme = "choosy";
	o.allow = networks;
	return tofu_tcp_create(&o, out);
}

static void house_open_to(struct house *h, const char *networks)
{
	struct tofu_options options = options_with_pool(64);
	struct tofu_transport *t;

	options.log = note;
	h->engine = engine_up(&options);
	h->side = side_in(h->engine);
	works(allow(networks, &t));
	works(tofu_engine_register(h->engine, t));
	tofu_transport_destroy(t);
	listen_at(&h->side, "choosy|127.0.0.1|0", &h->at);
	memmove(h->at.address, "tcp|", 4); /* the others have plain TCP */
	memmove(h->at.address + 4, h->at.address + strlen("choosy|"), strlen(h->at.address + strlen("choosy|")) + 1);
}

START_TEST(a_caller_from_elsewhere_is_refused_and_told_of_once)
{
	tofu_engine *engine = engine_up(NULL);
	struct side client = side_in(engine);
	static struct house h;

	told_of = 0;
	house_open_to(&h, "10.0.0.0/8, 127.0.0.2 ::1");
	for (unsigned i = 1; i <= 5; i++) {
		is_refused(&client, h.at.address);
		ck_assert_uint_eq(stats_of(h.engine).callers_refused, i);
	}
	ck_assert_uint_eq(stats_of(h.engine).channels_accepted, 0);
	engine_down(h.engine);
	ck_assert_uint_eq(told_of, 1);
	engine_down(engine);
}
END_TEST

START_TEST(a_caller_from_a_network_that_may_call_is_let_in)
{
	static const char *const networks[] = { "127.0.0.1", "127.0.0.0/8", "10.0.0.0/8,126.0.0.0/7", "0.0.0.0/0" };
	static struct house h;
	struct raw caller;

	house_open_to(&h, networks[_i]);
	raw_call(&caller, h.at.address);
	(void)expect_heard(&h, &caller);
	raw_hang_up(&caller, TOFU_CLOSE_ORDERLY);
	engine_down(h.engine);
}
END_TEST

START_TEST(what_is_no_network_is_refused)
{
	static const char *const wrong[] = {
		"",           " ,",      "localhost",   "10.0.0.0/33",  "10.0.0.0/", "10.1.0.0/8",
		"10.0.0.0/x", "::1/129", "10.0.0.0/8;", "10.0.0.0/08x", "/8",        "127.0.0.1 everybody"
	};
	struct tofu_transport *t;

	works(tofu_init());
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		must(allow(wrong[i], &t) == TOFU_INVALID_ADDRESS, "%s", wrong[i]);
		ck_assert_ptr_null(t);
	}
	tofu_deinit();
}
END_TEST

static Suite *suite_of_admission(void)
{
	Suite *suite = suite_create("admission");
	TCase *silent = suite_case(suite, "silent", 60), *peers = suite_case(suite, "peers", 60);
	TCase *networks = suite_case(suite, "networks", 30);

	over_sockets_add(silent, at_their_bound_the_one_that_was_silent_for_longest_makes_room, 1);
	over_sockets_add(silent, when_channels_run_out_the_one_that_was_silent_for_longest_makes_room, 1);
	over_sockets_add(silent, one_that_has_just_come_is_left_its_moment, 1);
	over_sockets_add(silent, one_that_has_said_hello_never_makes_room, 1);
	if (os_has_users())
		over_sockets_add(peers, a_peer_beyond_its_bound_is_refused_until_one_of_its_connections_ends, 1);
	else
		over_need(peers, a_peer_beyond_its_bound_is_refused_until_one_of_its_connections_ends, OVER_TCP);
	tcase_add_test(networks, a_caller_from_elsewhere_is_refused_and_told_of_once);
	tcase_add_loop_test(networks, a_caller_from_a_network_that_may_call_is_let_in, 0, 4);
	tcase_add_test(networks, what_is_no_network_is_refused);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_admission());
}
