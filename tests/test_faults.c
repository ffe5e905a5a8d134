/* SPDX-License-Identifier: MIT */

/*
 * What the world does to a process: no descriptor to be had, SIGPIPE, a library that was not initialized or is
 * deinitialized early; and that an engine with nothing to do does nothing.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"

/* no descriptors */

START_TEST(a_listener_pauses_while_no_descriptor_is_to_be_had)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct tofu_stats before, after;
	struct raw peer;
	int64_t cpu;
	tofu_msg *msg;

	listen_over(&side, _i, &at);
	os_exhaust_descriptors(1); /* the caller's end, not ours */
	raw_call(&peer, at.address);
	raw_hello(&peer, 7);
	before = stats_of(engine);
	cpu = os_cpu_ns();
	ck_status(tofu_receive(side.group, &msg, TOFU_NS_PER_S), TOFU_TIMEOUT);
	cpu = os_cpu_ns() - cpu;
	after = stats_of(engine);
	os_free_descriptors();
	/* It looks again now and then, it does not spin. */
	must(after.wakeups - before.wakeups <= 50, "%lu wake-ups in a second",
	     (unsigned long)(after.wakeups - before.wakeups));
	must(cpu < TOFU_NS_PER_S / 5, "%ld us of processor time", (long)(cpu / 1000));
	ck_assert_uint_eq(after.channels_listening, 1);
	/* And goes on when there are some. */
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(a_listener_pauses_while_no_channel_is_left)
{
	struct tofu_options options = options_with_pool(16);
	tofu_engine *engine;
	struct side side;
	struct listening at;
	struct raw peer[2];
	struct tofu_stats before, after;
	uint16_t channel;
	tofu_msg *msg;

	options.max_channels = 2;
	engine = engine_up(&options);
	side = side_in(engine);
	listen_over(&side, _i, &at);
	for (int i = 0; i < 2; i++) {
		raw_call(&peer[i], at.address);
		raw_hello(&peer[i], 7);
	}
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	before = stats_of(engine);
	ck_status(tofu_receive(side.group, &msg, TOFU_NS_PER_S / 2), TOFU_TIMEOUT);
	after = stats_of(engine);
	must(after.wakeups - before.wakeups <= 50, "%lu wake-ups in half a second",
	     (unsigned long)(after.wakeups - before.wakeups));
	say(&side, channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&side, channel, 7);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	for (int i = 0; i < 2; i++)
		raw_hang_up(&peer[i], TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(a_call_without_a_descriptor_gives_limit_reached)
{
	tofu_engine *engine = engine_up(NULL);
	struct pair p = { .server = side_in(engine), .client = side_in(engine) };

	listen_over(&p.server, _i, &p.at);
	os_exhaust_descriptors(0);
	call_fails(&p.client, p.at.address, TOFU_LIMIT_REACHED);
	listen_fails(&p.client, over_anywhere(_i), TOFU_LIMIT_REACHED);
	os_free_descriptors();
	pair_meet(&p);
	pair_talk(&p);
	engine_down(engine);
}
END_TEST

START_TEST(an_engine_without_a_descriptor_gives_limit_reached)
{
	int before = os_descriptors();
	tofu_engine *engine = (tofu_engine *)&before;

	ck_status(tofu_init(), TOFU_OK);
	os_exhaust_descriptors(0);
	ck_status(tofu_engine_create(NULL, &engine), TOFU_LIMIT_REACHED);
	ck_assert_ptr_null(engine);
	os_free_descriptors();
	tofu_deinit();
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

START_TEST(a_pollable_without_a_descriptor_gives_limit_reached)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	intptr_t pollable;
	enum tofu_status st;

	os_exhaust_descriptors(0);
	st = tofu_group_pollable(side.group, &pollable);
	os_free_descriptors();
	/* A group may have made it when it was created. */
	must(st == TOFU_LIMIT_REACHED || st == TOFU_OK, "%s", tofu_status_name(st));
	ck_status(tofu_group_pollable(side.group, &pollable), TOFU_OK);
	engine_down(engine);
}
END_TEST

/* SIGPIPE */

static void talk_to_those_who_have_gone(int transport)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;

	listen_over(&side, transport, &at);
	for (unsigned i = 0; i < 20; i++) {
		struct raw peer;
		uint16_t channel;
		tofu_msg *msg;

		raw_call(&peer, at.address);
		raw_hello(&peer, 7);
		msg = expect_peer(&side, TOFU_HELLO_REQUEST);
		channel = tofu_msg_header(msg)->channel;
		tofu_msg_put(&msg);
		raw_hang_up(&peer, i % 2 == 0 ? TOFU_CLOSE_ABORT : TOFU_CLOSE_ORDERLY);
		while (try_say(&side, channel, TOFU_SIGNAL, 0, "anybody there?") == TOFU_OK)
			;
		while (!is_closed_notice(msg = take(&side)))
			tofu_msg_put(&msg);
		tofu_msg_put(&msg);
	}
	engine_down(engine);
}

START_TEST(sigpipe_is_left_as_it_was)
{
	ck_assert(os_sigpipe_untouched());
	talk_to_those_who_have_gone(_i); /* or this process is no more */
	ck_assert(os_sigpipe_untouched());
}
END_TEST

START_TEST(sigpipe_never_reaches_the_application)
{
	os_sigpipe_count();
	talk_to_those_who_have_gone(_i);
	ck_assert_int_eq(os_sigpipe_counted(), 0);
}
END_TEST

/* init and deinit */

START_TEST(an_engine_without_init_gives_not_initialized)
{
	tofu_engine *engine = (tofu_engine *)&engine;

	ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_INITIALIZED);
	ck_assert_ptr_null(engine);
}
END_TEST

START_TEST(init_counts)
{
	tofu_engine *engine;

	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_init(), TOFU_OK);
	tofu_deinit();
	ck_status(tofu_engine_create(NULL, &engine), TOFU_OK);
	tofu_engine_destroy(engine);
	tofu_deinit();
	ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_INITIALIZED);
	/* And once more from the beginning. */
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_engine_create(NULL, &engine), TOFU_OK);
	tofu_engine_destroy(engine);
	tofu_deinit();
	ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_INITIALIZED);
}
END_TEST

START_TEST(deinit_with_an_engine_alive_waits_for_its_end)
{
	struct pair p;
	tofu_engine *engine;

	pair_open(&p, _i, NULL);
	tofu_deinit();
	pair_talk(&p);
	pair_bye(&p);
	pair_meet(&p);
	tofu_engine_destroy(p.client.engine);
	side_down(&p.client);
	side_down(&p.server);
	ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_INITIALIZED);
	ck_assert_int_eq(os_descriptors(), p.descriptors);
}
END_TEST

struct starter {
	struct tofu_thread thread;
	enum tofu_status worst;
};

static void start_and_stop(void *context)
{
	struct starter *s = context;

	for (unsigned i = 0; i < rounds(200); i++) {
		tofu_engine *engine = NULL;
		enum tofu_status st = tofu_init();

		if (st != TOFU_OK) {
			s->worst = st;
			return;
		}
		if (i % 20 == 0)
			st = tofu_engine_create(NULL, &engine);
		tofu_engine_destroy(engine);
		tofu_deinit();
		if (st != TOFU_OK)
			s->worst = st;
	}
}

START_TEST(init_and_deinit_from_many_threads)
{
	struct starter starters[4] = { { .worst = TOFU_OK } };
	tofu_engine *engine;

	for (int i = 0; i < 4; i++)
		ck_status(tofu_thread_start(&starters[i].thread, start_and_stop, &starters[i]), TOFU_OK);
	for (int i = 0; i < 4; i++) {
		tofu_thread_join(&starters[i].thread);
		ck_status(starters[i].worst, TOFU_OK);
	}
	ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_INITIALIZED);
}
END_TEST

/* nothing to do */

START_TEST(an_idle_engine_does_not_wake_up)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	pair_talk(&p);
	comes_to_rest(&p.client, TOFU_NS_PER_S / 5);
	comes_to_rest(&p.client, 5 * TOFU_NS_PER_S);
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_faults(void)
{
	Suite *suite = suite_create("faults");
	TCase *descriptors = suite_case(suite, "descriptors", 30);
	TCase *pipes = suite_case(suite, "SIGPIPE", 30), *init = suite_case(suite, "init", 30);
	TCase *idle = suite_case(suite, "idle", 30);

	if (os_exhaustion_is_real())
		over_plain_sockets_add(descriptors, a_listener_pauses_while_no_descriptor_is_to_be_had, 1);
	over_plain_sockets_add(descriptors, a_listener_pauses_while_no_channel_is_left, 1);
	over_add(descriptors, a_call_without_a_descriptor_gives_limit_reached, 1);
	tcase_add_test(descriptors, an_engine_without_a_descriptor_gives_limit_reached);
	tcase_add_test(descriptors, a_pollable_without_a_descriptor_gives_limit_reached);
	over_sockets_add(pipes, sigpipe_is_left_as_it_was, 1);
	over_sockets_add(pipes, sigpipe_never_reaches_the_application, 1);
	tcase_add_test(init, an_engine_without_init_gives_not_initialized);
	tcase_add_test(init, init_counts);
	over_add(init, deinit_with_an_engine_alive_waits_for_its_end, 1);
	tcase_add_test(init, init_and_deinit_from_many_threads);
	tcase_add_test(idle, an_idle_engine_does_not_wake_up);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_faults());
}
