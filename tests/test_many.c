/* SPDX-License-Identifier: MIT */

/* Posting and receiving several messages with one call. */

#include <inttypes.h>
#include <string.h>

#include "lib/steps.h"
#include "reactor/engine.h"

/* Numbered signals from `first` on. */
static void make(const struct side *side, uint16_t channel, uint64_t first, size_t count, tofu_msg *msgs[])
{
	for (size_t i = 0; i < count; i++) {
		msgs[i] = message(side, TOFU_SIGNAL, channel, 0, NULL);
		number_body(msgs[i], first + i, number_length(first + i));
	}
}

static void put_all(tofu_msg *msgs[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		tofu_msg_put(&msgs[i]);
}

/* So many are gone, the others are there. */
static void check_taken(tofu_msg *const msgs[], size_t count, size_t taken)
{
	for (size_t i = 0; i < count; i++)
		must((msgs[i] == NULL) == (i < taken), "of %zu posted ones, number %zu is %s", taken, i,
		     msgs[i] == NULL ? "gone" : "still there");
}

static void expect_numbers(const struct side *side, uint64_t first, uint64_t end)
{
	for (uint64_t n = first; n < end; n++) {
		tofu_msg *msg = expect_peer(side, TOFU_SIGNAL);

		ck_assert_uint_eq(number_of(msg), n);
		tofu_msg_put(&msg);
	}
}

/* --- posting --- */

START_TEST(what_is_posted_together_arrives_in_order)
{
	static const size_t sizes[] = { 1, 2, 3, 255, 256, 257, 600 };
	struct pair p;
	tofu_msg *msgs[600];
	uint64_t first = 1;
	size_t posted;

	pair_open(&p, _i, NULL);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		make(&p.client, p.client_channel, first, sizes[s], msgs);
		ck_status(tofu_post_many(p.client.group, msgs, sizes[s], &posted), TOFU_OK);
		ck_assert_uint_eq(posted, sizes[s]);
		check_taken(msgs, sizes[s], sizes[s]);
		expect_numbers(&p.server, first, first + sizes[s]);
		first += sizes[s];
	}
	pair_close(&p);
}
END_TEST

START_TEST(each_gets_an_id_of_its_own_and_keeps_one_that_it_has)
{
	struct pair p;
	tofu_msg *msgs[3];
	uint64_t before = tofu_next_id();

	pair_open(&p, _i, NULL);
	make(&p.client, p.client_channel, 0, 3, msgs);
	tofu_msg_header(msgs[1])->id = 77;
	ck_status(tofu_post_many(p.client.group, msgs, 3, NULL), TOFU_OK);
	for (int i = 0; i < 3; i++) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);
		uint64_t id = tofu_msg_header(msg)->id;

		must(i == 1 ? id == 77 : id > before, "number %d has the id %" PRIu64, i, id);
		before = i == 1 ? before : id;
		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(the_first_that_is_refused_stops_it)
{
	static const struct {
		enum tofu_status status;
		uint8_t opcode;
		uint16_t channel; /* 0: the right one */
		bool none;
	} wrong[] = {
		{ TOFU_INVALID_OP_CODE, 200, 0, false },
		{ TOFU_INVALID_CHANNEL_NUMBER, TOFU_SIGNAL, 65000, false },
		{ TOFU_NULL_MESSAGE, TOFU_SIGNAL, 0, true },
	};
	struct pair p;

	pair_open(&p, _i, NULL);
	for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
		tofu_msg *msgs[5];
		size_t posted = 99;

		make(&p.client, p.client_channel, 10 * w, 5, msgs);
		if (wrong[w].none) {
			tofu_msg_put(&msgs[3]);
		} else {
			tofu_msg_header(msgs[3])->opcode = wrong[w].opcode;
			if (wrong[w].channel != 0)
				tofu_msg_header(msgs[3])->channel = wrong[w].channel;
		}
		ck_status(tofu_post_many(p.client.group, msgs, 5, &posted), wrong[w].status);
		ck_assert_uint_eq(posted, 3);
		ck_assert_ptr_null(msgs[0]);
		ck_assert_ptr_null(msgs[2]);
		ck_assert(wrong[w].none == (msgs[3] == NULL));
		ck_assert_ptr_nonnull(msgs[4]);
		put_all(msgs, 5);
		expect_numbers(&p.server, 10 * w, 10 * w + 3);
	}
	expect_silence(&p.server);
	pair_close(&p);
}
END_TEST

/* With the turn in our hands, nothing leaves the queue. */
START_TEST(as_many_are_let_in_as_there_is_room_for)
{
	struct tofu_options options;
	struct pair p;
	struct tofu_reactor *r;
	tofu_msg *msgs[25], *notice;
	size_t posted;

	tofu_options_init(&options, sizeof options);
	options.send_queue_max = 10;
	pair_open(&p, _i, &options);
	r = &p.client.engine->reactor;
	make(&p.client, p.client_channel, 0, 25, msgs);
	eventually(tofu_reactor_try_turn(r));
	ck_status(tofu_post_many(p.client.group, msgs, 25, &posted), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(posted, 10);
	check_taken(msgs, 25, 10);
	ck_status(tofu_post_many(p.client.group, msgs + 10, 15, &posted), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(posted, 0);
	check_taken(msgs, 25, 10);
	tofu_reactor_end_turn(r);
	notice = expect(&p.client, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_READY);
	tofu_msg_put(&notice);
	expect_numbers(&p.server, 0, 10);
	ck_status(tofu_post_many(p.client.group, msgs + 10, 5, &posted), TOFU_OK);
	expect_numbers(&p.server, 10, 15);
	put_all(msgs + 15, 10);
	pair_close(&p);
}
END_TEST

START_TEST(a_bye_signal_among_others_needs_no_room)
{
	struct tofu_options options;
	struct pair p;
	struct tofu_reactor *r;
	tofu_msg *msgs[11];
	size_t posted;

	tofu_options_init(&options, sizeof options);
	options.send_queue_max = 10;
	pair_open(&p, _i, &options);
	r = &p.client.engine->reactor;
	make(&p.client, p.client_channel, 0, 11, msgs);
	tofu_msg_header(msgs[10])->opcode = TOFU_BYE_SIGNAL;
	eventually(tofu_reactor_try_turn(r));
	ck_status(tofu_post_many(p.client.group, msgs, 11, &posted), TOFU_OK);
	ck_assert_uint_eq(posted, 11);
	tofu_reactor_end_turn(r);
	while (!is_closed_notice(msgs[0] = take(&p.client)))
		tofu_msg_put(&msgs[0]);
	tofu_msg_put(&msgs[0]);
	pair_close(&p);
}
END_TEST

START_TEST(messages_of_several_channels_go_each_its_way)
{
	enum { CHANNELS = 3, EACH = 20 };
	struct pair p[CHANNELS];
	tofu_msg *msgs[CHANNELS * EACH];
	tofu_engine *engine;
	size_t posted;

	pair_open(&p[0], _i, NULL);
	engine = p[0].client.engine;
	for (int c = 1; c < CHANNELS; c++)
		pair_between(&p[c], _i, side_in(engine), p[0].client);
	for (uint64_t i = 0; i < CHANNELS * EACH; i++)
		make(&p[0].client, p[i % CHANNELS].client_channel, i / CHANNELS, 1, &msgs[i]);
	ck_status(tofu_post_many(p[0].client.group, msgs, CHANNELS * EACH, &posted), TOFU_OK);
	ck_assert_uint_eq(posted, CHANNELS * EACH);
	for (int c = 0; c < CHANNELS; c++)
		expect_numbers(&p[c].server, 0, EACH);
	pair_close(&p[0]);
}
END_TEST

START_TEST(channels_can_be_opened_together)
{
	struct pair p;
	tofu_msg *msgs[4];
	size_t posted;

	pair_open(&p, _i, NULL);
	for (int i = 0; i < 4; i++) {
		msgs[i] = message(&p.client, TOFU_REQUEST, 0, 0, NULL);
		works(tofu_msg_connect_to(msgs[i], p.at.address));
	}
	ck_status(tofu_post_many(p.client.group, msgs, 4, &posted), TOFU_OK);
	ck_assert_uint_eq(posted, 4);
	for (int i = 0; i < 4; i++) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_HELLO_REQUEST);

		answer(&p.server, &msg, TOFU_HELLO_RESPONSE);
	}
	for (int i = 0; i < 4; i++) {
		tofu_msg *msg = expect_peer(&p.client, TOFU_HELLO_RESPONSE);

		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(nothing_posted_is_nothing_wrong)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = NULL;
	size_t posted = 99;

	ck_status(tofu_post_many(side.group, &msg, 0, &posted), TOFU_OK);
	ck_assert_uint_eq(posted, 0);
	ck_status(tofu_post_many(side.group, NULL, 0, &posted), TOFU_NOT_ALLOWED);
	ck_status(tofu_post_many(NULL, &msg, 1, &posted), TOFU_NOT_ALLOWED);
	tofu_engine_destroy(engine);
	posted = 99;
	ck_status(tofu_post_many(side.group, &msg, 1, &posted), TOFU_SHUTDOWN_STARTED);
	ck_assert_uint_eq(posted, 0);
	side_down(&side);
	tofu_deinit();
}
END_TEST

/* --- receiving --- */

/* So many updates wait, with ids from 1 on. */
static struct side with_updates(tofu_engine *engine, uint64_t count)
{
	struct side side = side_in(engine);

	for (uint64_t id = 1; id <= count; id++) {
		tofu_msg *msg = message(&side, TOFU_SIGNAL, 0, id, NULL);

		works(tofu_update_receiver(side.group, &msg));
	}
	return side;
}

static void check_ids(tofu_msg *const msgs[], size_t count, uint64_t first)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(tofu_msg_header(msgs[i])->id, first + i);
}

START_TEST(as_many_are_received_as_there_are_and_fit)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = with_updates(engine, 10);
	tofu_msg *msgs[8];
	size_t count;

	ck_status(tofu_receive_many(side.group, msgs, 1, &count, 0), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	check_ids(msgs, 1, 1);
	put_all(msgs, 1);
	ck_status(tofu_receive_many(side.group, msgs, 8, &count, 0), TOFU_OK);
	ck_assert_uint_eq(count, 8);
	check_ids(msgs, 8, 2);
	put_all(msgs, 8);
	ck_status(tofu_receive_many(side.group, msgs, 8, &count, 0), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	check_ids(msgs, 1, 10);
	put_all(msgs, 1);
	ck_status(tofu_receive_many(side.group, msgs, 8, &count, 0), TOFU_TIMEOUT);
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(msgs[0]);
	engine_down(engine);
}
END_TEST

START_TEST(an_interrupt_comes_before_what_there_is_to_receive)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = with_updates(engine, 2);
	tofu_msg *msgs[2];
	size_t count;

	works(tofu_group_interrupt(side.group));
	ck_status(tofu_receive_many(side.group, msgs, 2, &count, TOFU_FOREVER), TOFU_INTERRUPTED);
	ck_assert_uint_eq(count, 0);
	ck_status(tofu_receive_many(side.group, msgs, 2, &count, TOFU_FOREVER), TOFU_OK);
	ck_assert_uint_eq(count, 2);
	put_all(msgs, 2);
	engine_down(engine);
}
END_TEST

START_TEST(the_pollable_is_clear_when_the_last_is_received)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = with_updates(engine, 5);
	tofu_msg *msgs[5];
	intptr_t pollable;
	size_t count;

	works(tofu_group_pollable(side.group, &pollable));
	works(tofu_receive_many(side.group, msgs, 4, &count, 0));
	put_all(msgs, count);
	ck_assert_uint_eq(os_wait(pollable, OS_READABLE, 0), OS_READABLE);
	works(tofu_receive_many(side.group, msgs, 4, &count, 0));
	ck_assert_uint_eq(count, 1);
	put_all(msgs, count);
	ck_assert_uint_eq(os_wait(pollable, OS_READABLE, 0), 0);
	engine_down(engine);
}
END_TEST

START_TEST(nowhere_to_put_them_is_not_allowed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = with_updates(engine, 1);
	tofu_msg *msg;
	size_t count = 99;

	ck_status(tofu_receive_many(side.group, &msg, 0, &count, 0), TOFU_NOT_ALLOWED);
	ck_assert_uint_eq(count, 0);
	ck_status(tofu_receive_many(side.group, NULL, 1, &count, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_receive_many(side.group, &msg, 1, NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_receive_many(NULL, &msg, 1, &count, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_receive_many(side.group, &msg, 1, &count, 0), TOFU_OK);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_many(void)
{
	Suite *suite = suite_create("many");
	TCase *tc = suite_case(suite, "post", 30);

	over_add(tc, what_is_posted_together_arrives_in_order, 1);
	over_add(tc, each_gets_an_id_of_its_own_and_keeps_one_that_it_has, 1);
	over_add(tc, the_first_that_is_refused_stops_it, 1);
	over_add(tc, as_many_are_let_in_as_there_is_room_for, 1);
	over_add(tc, a_bye_signal_among_others_needs_no_room, 1);
	over_add(tc, messages_of_several_channels_go_each_its_way, 1);
	over_add(tc, channels_can_be_opened_together, 1);
	tcase_add_test(tc, nothing_posted_is_nothing_wrong);
	tc = suite_case(suite, "receive", 30);
	tcase_add_test(tc, as_many_are_received_as_there_are_and_fit);
	tcase_add_test(tc, an_interrupt_comes_before_what_there_is_to_receive);
	tcase_add_test(tc, the_pollable_is_clear_when_the_last_is_received);
	tcase_add_test(tc, nowhere_to_put_them_is_not_allowed);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_many());
}
