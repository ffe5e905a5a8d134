/* SPDX-License-Identifier: MIT */

/*
 * A name with several addresses: each attempt has a head start, then the next address is tried beside it, and the first that
 * connects wins. The plan of a race is in its address, "racing|PLAN:REST" (lib/fake.h). Peers are plain sockets: what they get, and in
 * which order they were called, is what was done.
 */

#include <stdio.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/pollers.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/race.h"

enum { PEERS = 3 };

static struct {
	tofu_engine *engine;
	struct side side;
	intptr_t listener;
	char at[128]; /* REST */
	struct raw peers[PEERS];
	struct tofu_header hello;
	int64_t began_ns;
	int descriptors;
} t;

static void start(int poller, uint32_t handshake_timeout_ms)
{
	struct tofu_options options;
	char address[128];

	works(tofu_init());
	racing_anew();
	t.descriptors = os_descriptors();
	tofu_options_init(&options, sizeof options);
	options.poller = pollers[poller].kind;
	options.handshake_timeout_ms = handshake_timeout_ms;
	t.engine = engine_up(&options);
	works(tofu_engine_register(t.engine, fake_racing()));
	t.side = side_in(t.engine);
	t.listener = raw_listen(OVER_TCP, address, sizeof address);
	(void)snprintf(t.at, sizeof t.at, "%s", path_of(address));
	for (int i = 0; i < PEERS; i++)
		t.peers[i].socket = TOFU_NO_SOCKET;
}

/* Every link was closed once, and nothing is left. */
static void stop(void)
{
	if (t.engine != NULL)
		engine_down(t.engine);
	for (int i = 0; i < PEERS; i++)
		tofu_socket_close(t.peers[i].socket, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(t.listener, TOFU_CLOSE_ORDERLY);
	ck_assert_int_eq(os_descriptors(), t.descriptors);
	tofu_deinit();
}

static const char *by(const char *plan)
{
	static char address[400];

	(void)snprintf(address, sizeof address, "racing|%s:%s", plan, t.at);
	return address;
}

static void race(const char *plan)
{
	t.began_ns = tofu_plat_now_ns();
	t.hello = call(&t.side, by(plan), "hello");
}

static int64_t took_ms(void)
{
	return (tofu_plat_now_ns() - t.began_ns) / TOFU_NS_PER_MS;
}

/* The next attempt is here. */
static void meet(int peer)
{
	raw_accept(&t.peers[peer], t.listener);
}

static void give_word(int peer)
{
	raw_write(&t.peers[peer], "!", 1);
}

/* It gets the hello, and the channel works. */
static void expect_winner(int peer)
{
	tofu_msg *msg;

	raw_expect(&t.peers[peer], TOFU_HELLO_REQUEST);
	raw_say(&t.peers[peer], TOFU_HELLO_RESPONSE, t.hello.id, "");
	msg = expect_peer(&t.side, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	say(&t.side, t.hello.channel, TOFU_SIGNAL, 7, "well?");
	raw_expect(&t.peers[peer], TOFU_SIGNAL);
	raw_say(&t.peers[peer], TOFU_SIGNAL, 8, "well!");
	msg = expect_peer(&t.side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
}

/* Its end comes, and nothing before. */
static void expect_end_of(int peer)
{
	struct raw_frame frame;

	ck_assert(!raw_read(&t.peers[peer], &frame));
}

static void expect_answer(enum tofu_status status)
{
	tofu_msg *msg =
		expect_on(&t.side, t.hello.channel, t.hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, status);

	tofu_msg_put(&msg);
	expect_end(&t.side, t.hello.channel, t.hello.id, status);
}

START_TEST(an_address_that_does_not_answer_delays_by_its_head_start)
{
	start(_i, 60000);
	race("sa");
	meet(0);
	meet(1);
	ck_assert_int_ge(took_ms(), TOFU_HEAD_START_MS);
	ck_assert_int_lt(took_ms(), 10000); /* its share of the time would be 30 s */
	expect_winner(1);
	expect_end_of(0);
	ck_assert_str_eq(racing_order(), "sa");
	ck_assert_int_eq(racing_closed(), 1);
	stop();
}
END_TEST

/* Whichever it is, its link is the channel's then. */
static const struct {
	const char *plan;
	int winner;
} races[] = {
	{ "h", 0 }, { "hs", 0 }, { "sh", 1 }, { "hss", 0 }, { "shs", 1 }, { "ssh", 2 }, { "szs", 1 }, { "zss", 0 }
};

enum { RACES = sizeof races / sizeof races[0] };

START_TEST(the_first_that_connects_wins_and_the_others_are_closed)
{
	const char *plan = races[_i % RACES].plan;
	const int winner = races[_i % RACES].winner, count = (int)strlen(plan);

	start(_i / RACES, 60000);
	race(plan);
	for (int i = 0; i < count; i++)
		meet(i);
	give_word(winner);
	expect_winner(winner);
	for (int i = 0; i < count; i++)
		if (i != winner)
			expect_end_of(i);
	ck_assert_str_eq(racing_order(), plan);
	ck_assert_int_eq(racing_closed(), count - 1);
	stop();
}
END_TEST

START_TEST(what_fails_makes_room_for_the_next_at_once)
{
	enum { FAILURES = 40 };
	char plan[FAILURES + 2];

	start(_i, 60000);
	memset(plan, _i % 2 == 0 ? 'r' : 'f', FAILURES);
	memcpy(plan + FAILURES, "h", 2);
	race(plan);
	for (int i = 0; i < FAILURES && plan[i] == 'f'; i++) {
		meet(0);
		give_word(0);
		expect_end_of(0);
		raw_hang_up(&t.peers[0], TOFU_CLOSE_ORDERLY);
	}
	meet(1);
	ck_assert_int_lt(took_ms(), FAILURES * TOFU_HEAD_START_MS);
	give_word(1);
	expect_winner(1);
	ck_assert_str_eq(racing_order(), plan);
	stop();
}
END_TEST

/* Not that of the last address. */
START_TEST(when_all_have_failed_the_last_failure_is_the_answer)
{
	start(_i, 60000);
	race("fg");
	meet(0);
	meet(1);
	give_word(1);
	expect_end_of(1);
	expect_silence(&t.side);
	give_word(0);
	expect_answer(TOFU_PERMISSION_DENIED);
	expect_end_of(0);
	ck_assert_int_eq(racing_closed(), 2);
	stop();
}
END_TEST

/* The oldest first, as there is no place; those that are left at the end go then. */
static void expect_few_at_once(void)
{
	ck_assert_int_eq(racing_closed(), racing_started());
	ck_assert_int_eq(racing_most(), TOFU_RACERS);
	for (int i = 0; i < racing_started() - TOFU_RACERS; i++)
		ck_assert_int_eq(racing_close(i), i);
}

static const char *silent(int count)
{
	static char plan[TOFU_ADDRESSES_MAX + 1];

	memset(plan, 's', (size_t)count);
	plan[count] = '\0';
	return plan;
}

/* A head start of 250 ms for each would take twice the time. */
START_TEST(of_many_that_do_not_answer_each_is_tried_within_the_handshake_time)
{
	start(_i, 3000);
	race(silent(24));
	expect_answer(TOFU_TIMEOUT);
	ck_assert_int_ge(took_ms(), 3000);
	ck_assert_int_eq(racing_started(), 24);
	expect_few_at_once();
	stop();
}
END_TEST

START_TEST(however_many_do_not_answer_the_handshake_time_bounds_all)
{
	start(_i, 1000);
	race(silent(TOFU_ADDRESSES_MAX));
	expect_answer(TOFU_TIMEOUT);
	ck_assert_int_ge(took_ms(), 1000);
	ck_assert_int_lt(took_ms(), TOFU_ADDRESSES_MAX * TOFU_HEAD_START_MS);
	expect_few_at_once();
	stop();
}
END_TEST

static const struct {
	const char *plan;
	int order[8];
} families[] = {
	{ "66644", { 0, 3, 1, 4, 2 } }, { "44466", { 0, 3, 1, 4, 2 } }, { "64", { 0, 1 } },
	{ "666", { 0, 1, 2 } },         { "6444", { 0, 1, 2, 3 } },     { "4646", { 0, 1, 2, 3 } },
};

START_TEST(families_take_turns_and_each_keeps_its_order)
{
	start(0, 60000);
	race(families[_i].plan);
	expect_answer(TOFU_CONNECT_FAILED);
	ck_assert_int_eq(racing_started(), (int)strlen(families[_i].plan));
	for (int i = 0; i < racing_started(); i++)
		ck_assert_int_eq(racing_start(i), families[_i].order[i]);
	stop();
}
END_TEST

static const char *const pauses[] = { "p", "sp", "wp", "wwp" };

enum { PAUSES = sizeof pauses / sizeof pauses[0] };

START_TEST(an_attempt_that_asks_for_a_pause_is_started_again_and_delays_no_other)
{
	const char *plan = pauses[_i % PAUSES];
	int peer = 0;

	start(_i / PAUSES, 60000);
	race(plan);
	if (plan[0] == 's')
		meet(peer++);
	meet(peer);
	expect_winner(peer);
	stop();
}
END_TEST

/* It has its turn when there is a descriptor, and the one that goes on is not given up for it. */
START_TEST(for_want_of_descriptors_an_address_waits_while_another_attempt_goes_on)
{
	start(_i, 60000);
	race("sl");
	meet(0);
	meet(1);
	expect_winner(1);
	expect_end_of(0);
	ck_assert_str_eq(racing_order(), "sllll");
	stop();
}
END_TEST

START_TEST(for_want_of_descriptors_a_lone_attempt_fails)
{
	start(_i, 60000);
	race("l");
	expect_answer(TOFU_LIMIT_REACHED);
	stop();
}
END_TEST

enum { BY_BYE, BY_GROUP, BY_ENGINE, ENDS };

START_TEST(a_race_that_is_ended_leaves_nothing)
{
	start(_i / ENDS, 60000);
	race("sss");
	for (int i = 0; i < PEERS; i++)
		meet(i);
	switch (_i % ENDS) {
	case BY_BYE:
		say(&t.side, t.hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
		expect_answer(TOFU_CHANNEL_CLOSED);
		break;
	case BY_GROUP:
		side_down(&t.side);
		break;
	default:
		engine_down(t.engine);
		t.engine = NULL;
	}
	for (int i = 0; i < PEERS; i++)
		expect_end_of(i);
	ck_assert_int_eq(racing_closed(), 3);
	stop();
}
END_TEST

/* What a link that lost had in the poller is over when its slot has another. */
START_TEST(races_follow_each_other)
{
	start(_i, 60000);
	for (unsigned i = 0; i < rounds(20); i++) {
		race(i % 2 == 0 ? "sh" : "hs");
		meet(0);
		meet(1);
		give_word(i % 2 == 0);
		expect_winner(i % 2 == 0);
		expect_end_of(i % 2 == 1);
		say(&t.side, t.hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
		expect_end_of(i % 2 == 0);
		raw_hang_up(&t.peers[0], TOFU_CLOSE_ORDERLY);
		raw_hang_up(&t.peers[1], TOFU_CLOSE_ORDERLY);
		expect_closed(&t.side, t.hello.channel, t.hello.id);
		racing_anew();
	}
	stop();
}
END_TEST

static Suite *suite_of_race(void)
{
	Suite *s = suite_create("race");
	TCase *tc = suite_case(s, "addresses", 60);

	tcase_add_loop_test(tc, an_address_that_does_not_answer_delays_by_its_head_start, 0, pollers_count);
	tcase_add_loop_test(tc, the_first_that_connects_wins_and_the_others_are_closed, 0, pollers_count * RACES);
	tcase_add_loop_test(tc, what_fails_makes_room_for_the_next_at_once, 0, pollers_count);
	tcase_add_loop_test(tc, when_all_have_failed_the_last_failure_is_the_answer, 0, pollers_count);
	tcase_add_loop_test(tc, of_many_that_do_not_answer_each_is_tried_within_the_handshake_time, 0, pollers_count);
	tcase_add_loop_test(tc, however_many_do_not_answer_the_handshake_time_bounds_all, 0, pollers_count);
	tcase_add_loop_test(tc, families_take_turns_and_each_keeps_its_order, 0, sizeof families / sizeof families[0]);
	tcase_add_loop_test(tc, an_attempt_that_asks_for_a_pause_is_started_again_and_delays_no_other, 0,
	                    pollers_count * PAUSES);
	tcase_add_loop_test(tc, for_want_of_descriptors_an_address_waits_while_another_attempt_goes_on, 0,
	                    pollers_count);
	tcase_add_loop_test(tc, for_want_of_descriptors_a_lone_attempt_fails, 0, pollers_count);
	tcase_add_loop_test(tc, a_race_that_is_ended_leaves_nothing, 0, pollers_count * ENDS);
	tcase_add_loop_test(tc, races_follow_each_other, 0, pollers_count);
	return s;
}

int main(void)
{
	return harness_run(suite_of_race());
}
