/* SPDX-License-Identifier: MIT */

/* What an engine counts, counter by counter, and that what it holds comes back to nothing. */

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "lib/steps.h"
#include "raw.h"

/* A sent message is counted after the peer may have it, so the sender's counters are waited for. */

START_TEST(new_engine_has_counted_nothing)
{
	tofu_engine *engine = engine_up(NULL);
	struct tofu_stats s = stats_of(engine);

	ck_assert_uint_eq(s.messages_sent + s.messages_received + s.bytes_sent + s.bytes_received, 0);
	ck_assert_uint_eq(s.messages_returned + s.frames_refused, 0);
	ck_assert_uint_eq(s.sends + s.receives + s.polls_for_reading, 0);
	ck_assert_uint_eq(s.pool_hits + s.pool_misses, 0);
	ck_assert_uint_eq(s.pool_free, 1024);
	ck_assert_uint_eq(s.messages_out, 0);
	ck_assert_uint_eq(connections_of(engine) + s.channels_listening, 0);
	engine_down(engine);
}
END_TEST

START_TEST(each_frame_and_byte_is_counted_on_both_sides)
{
	struct pair p;
	struct tofu_stats server, client, s;
	struct tofu_header h;
	tofu_msg *msg;

	pair_open_apart(&p, _i, NULL, NULL);
	eventually(stats_of(p.server.engine).messages_sent == 1);
	server = stats_of(p.server.engine);
	client = stats_of(p.client.engine);
	ck_assert_uint_eq(server.messages_received, 1);
	ck_assert_uint_eq(client.messages_received, 1);
	ck_assert_uint_eq(client.messages_sent, 1);
	ck_assert_uint_eq(server.bytes_received, client.bytes_sent);
	ck_assert_uint_eq(client.bytes_received, server.bytes_sent);

	h = say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "twelve bytes");
	msg = expect_on(&p.server, p.server_channel, h.id, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	eventually(stats_of(p.client.engine).messages_sent == 2);
	s = stats_of(p.client.engine);
	ck_assert_uint_eq(s.bytes_sent, client.bytes_sent + 16 + 12);
	ck_assert_uint_eq(s.messages_received, client.messages_received);
	ck_assert_uint_gt(s.sends, client.sends);
	s = stats_of(p.server.engine);
	ck_assert_uint_eq(s.messages_received, 2);
	ck_assert_uint_eq(s.bytes_received, server.bytes_received + 16 + 12);
	ck_assert_uint_gt(s.receives, server.receives);
	ck_assert_uint_gt(s.wakeups, server.wakeups);
	ck_assert_uint_gt(s.polls_for_reading, 0);
	ck_assert_uint_eq(s.messages_returned, 0);
	pair_close(&p);
}
END_TEST

/*
 * A message must not cost a system call at either end, nor a turn of the loop. The messages are all there before the
 * connection is, so how fast this thread posts is no matter; how the stream is cut on its way is the system's.
 */
START_TEST(many_small_messages_share_sends_receives_and_wakeups)
{
	enum { MESSAGES = 500, FEW = MESSAGES / 10 };
	struct side server = side_in(engine_up(NULL)), client = side_in(engine_up(NULL));
	struct tofu_stats s, server_before, client_before;
	struct listening at;
	struct tofu_header h;
	char address[600];
	tofu_msg *msg;

	ck_status(tofu_engine_register(client.engine, fake_slow(_i)), TOFU_OK);
	slow_hold();
	listen_over(&server, _i, &at);
	(void)snprintf(address, sizeof address, "slow|%s", path_of(at.address));
	h = call(&client, address, NULL);
	for (int i = 0; i < MESSAGES; i++)
		say(&client, h.channel, TOFU_SIGNAL, 0, "small");
	server_before = stats_of(server.engine);
	client_before = stats_of(client.engine);
	slow_release();
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	for (int i = 0; i < MESSAGES; i++) {
		msg = expect_peer(&server, TOFU_SIGNAL);
		tofu_msg_put(&msg);
	}
	eventually(stats_of(client.engine).messages_sent == MESSAGES + 1);
	s = stats_of(client.engine);
	must(s.sends < FEW, "%lu sends", (unsigned long)s.sends);
	s.wakeups -= client_before.wakeups;
	must(s.wakeups < FEW, "%lu wake-ups to send", (unsigned long)s.wakeups);
	s = stats_of(server.engine);
	ck_assert_uint_eq(s.messages_received, MESSAGES + 1);
	must(s.receives < FEW, "%lu receives", (unsigned long)s.receives);
	s.wakeups -= server_before.wakeups;
	must(s.wakeups < FEW, "%lu wake-ups to receive", (unsigned long)s.wakeups);
	engine_down(client.engine);
	engine_down(server.engine);
}
END_TEST

START_TEST(channels_are_counted_in_their_state_and_all_come_back_to_none)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct pair p;
	struct tofu_header h;
	tofu_msg *msg;

	pair_between(&p, _i, server, client);
	eventually(stats_of(engine).channels_open == 2);
	ck_assert_uint_eq(stats_of(engine).channels_listening, 1);
	ck_assert_uint_eq(connections_of(engine), 2);

	h = say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&p.server, p.server_channel, h.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	eventually(stats_of(engine).channels_closing == 2); /* one asks, one is asked */
	ck_assert_uint_eq(stats_of(engine).channels_open, 0);
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_peer(&p.client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(&p.client, p.client_channel, p.hello);
	expect_closed(&p.server, p.server_channel, p.hello);
	eventually(connections_of(engine) == 0);
	ck_assert_uint_eq(stats_of(engine).channels_listening, 1);

	say(&p.server, p.at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&p.server, p.at.channel, p.at.id);
	eventually(stats_of(engine).channels_listening == 0);
	eventually(stats_of(engine).messages_out == 0);
	engine_down(engine);
}
END_TEST

START_TEST(connection_without_hello_is_counted_as_accepted)
{
	struct side server = side_in(engine_up(NULL));
	struct listening at;
	struct raw peer;
	tofu_msg *msg;

	listen_over(&server, _i, &at);
	raw_call(&peer, at.address);
	eventually(stats_of(server.engine).channels_accepted == 1);
	ck_assert_uint_eq(stats_of(server.engine).channels_open, 0);
	raw_hello(&peer, 7);
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	eventually(stats_of(server.engine).channels_open == 1);
	ck_assert_uint_eq(stats_of(server.engine).channels_accepted, 0);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	msg = expect(&server, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	eventually(connections_of(server.engine) == 0);
	engine_down(server.engine);
}
END_TEST

START_TEST(channel_that_waits_for_a_name_is_counted_as_resolving)
{
	struct side side = side_in(engine_up(NULL));
	struct tofu_header h;
	tofu_msg *msg;

	ck_status(tofu_engine_register(side.engine, fake_slow(OVER_TCP)), TOFU_OK);
	slow_hold();
	h = call(&side, "slow|127.0.0.1|1", NULL);
	eventually(stats_of(side.engine).channels_resolving == 1);
	say(&side, h.channel, TOFU_BYE_SIGNAL, 0, NULL);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	expect_closed(&side, h.channel, h.id);
	eventually(connections_of(side.engine) == 0);
	ck_assert_uint_eq(stats_of(side.engine).messages_returned,
	                  1); /* the hello; ByeSignal is no message to be sent */
	slow_release();
	engine_down(side.engine);
}
END_TEST

START_TEST(channel_that_waits_for_its_connection_is_counted_as_connecting)
{
	struct side side = side_in(engine_up(NULL));
	struct listening at;
	char address[600];
	struct tofu_header h;
	tofu_msg *msg;

	ck_status(tofu_engine_register(side.engine, fake_stuck(_i)), TOFU_OK);
	listen_over(&side, _i, &at);
	(void)snprintf(address, sizeof address, "stuck|%s", path_of(at.address));
	h = call(&side, address, NULL);
	eventually(stats_of(side.engine).channels_connecting == 1);
	say(&side, h.channel, TOFU_BYE_SIGNAL, 0, NULL);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	expect_closed(&side, h.channel, h.id);
	eventually(stats_of(side.engine).channels_connecting == 0);
	engine_down(side.engine);
}
END_TEST

START_TEST(each_message_that_comes_back_is_counted)
{
	struct pair p;
	struct tofu_header bye;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	bye = say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&p.server, p.server_channel, bye.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	for (uint64_t id = 1001; id <= 1003; id++) /* behind a bye nothing is sent */
		say(&p.client, p.client_channel, TOFU_SIGNAL, id, "late");
	ck_status(tofu_group_drain(p.client.group, 0), TOFU_TIMEOUT);
	ck_assert_uint_eq(stats_of(p.client.engine).messages_returned, 0);
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_peer(&p.client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	for (uint64_t id = 1001; id <= 1003; id++) {
		msg = expect_on(&p.client, p.client_channel, id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
		tofu_msg_put(&msg);
	}
	expect_closed(&p.client, p.client_channel, p.hello);
	ck_assert_uint_eq(stats_of(p.client.engine).messages_returned, 3);
	pair_close(&p);
}
END_TEST

START_TEST(frame_that_is_not_allowed_is_counted_as_refused_and_not_as_received)
{
	struct side server = side_in(engine_up(NULL));
	struct listening at;
	struct raw peer;

	listen_over(&server, _i, &at);
	raw_call(&peer, at.address);
	raw_say(&peer, TOFU_SIGNAL, 1, "not a hello");
	eventually(stats_of(server.engine).frames_refused == 1);
	eventually(connections_of(server.engine) == 0);
	ck_assert_uint_eq(stats_of(server.engine).messages_received, 0);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	expect_silence(&server);
	engine_down(server.engine);
}
END_TEST

START_TEST(pool_counts_hits_misses_and_what_is_out)
{
	struct tofu_options options;
	tofu_engine *engine;
	tofu_msg *msgs[4];
	struct tofu_stats s;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = options.pool_max = 2;
	engine = engine_up(&options);
	for (int i = 0; i < 2; i++)
		ck_status(tofu_msg_get(engine, TOFU_POOL_ONLY, &msgs[i]), TOFU_OK);
	ck_status(tofu_msg_get(engine, TOFU_POOL_ONLY, &msgs[2]), TOFU_POOL_EMPTY);
	ck_status(tofu_msg_get(engine, TOFU_ALWAYS, &msgs[2]), TOFU_OK);
	ck_status(tofu_msg_clone(msgs[2], &msgs[3]), TOFU_OK);
	s = stats_of(engine);
	ck_assert_uint_eq(s.pool_hits, 2);
	ck_assert_uint_ge(s.pool_misses, 2);
	ck_assert_uint_eq(s.pool_free, 0);
	ck_assert_uint_eq(s.messages_out, 4);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&msgs[i]);
	s = stats_of(engine);
	ck_assert_uint_eq(s.pool_free, 2);
	ck_assert_uint_eq(s.messages_out, 0);
	engine_down(engine);
}
END_TEST

START_TEST(after_talk_and_after_the_end_no_message_is_out)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	for (int i = 0; i < 100; i++)
		pair_talk(&p);
	eventually(stats_of(p.client.engine).messages_out == 0); /* farewells, made beforehand, are nobody's yet */
	pair_bye(&p);
	eventually(stats_of(p.client.engine).messages_out == 0);
	say(&p.server, p.at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&p.server, p.at.channel, p.at.id);
	eventually(stats_of(p.client.engine).messages_out == 0);
	pair_close(&p);
}
END_TEST

START_TEST(what_a_destroyed_group_held_is_not_out_any_more)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	for (int i = 0; i < 10; i++)
		say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "never received");
	drain_group(p.client.group);
	side_down(&p.server);
	side_down(&p.client);
	eventually(stats_of(p.client.engine).messages_out == 0);
	ck_assert_uint_eq(connections_of(p.client.engine), 0);
	ck_assert_uint_eq(stats_of(p.client.engine).channels_listening, 0);
	pair_close(&p);
}
END_TEST

START_TEST(idle_engine_does_not_wake)
{
	struct pair p;
	int64_t cpu;

	pair_open(&p, _i, NULL);
	pair_talk(&p);
	eventually(stats_of(p.client.engine).messages_out == 0);
	comes_to_rest(&p.client, 200 * TOFU_NS_PER_MS);
	cpu = os_cpu_ns();
	ck_status(tofu_group_drain(p.client.group, 0), TOFU_OK);
	comes_to_rest(&p.client, 200 * TOFU_NS_PER_MS);
	ck_assert_int_lt(os_cpu_ns() - cpu, 100 * TOFU_NS_PER_MS);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_stats(void)
{
	Suite *suite = suite_create("stats");
	TCase *tc = suite_case(suite, "counters", 60);

	tcase_add_test(tc, new_engine_has_counted_nothing);
	over_add(tc, each_frame_and_byte_is_counted_on_both_sides, 1);
	over_add(tc, many_small_messages_share_sends_receives_and_wakeups, 1);
	over_add(tc, channels_are_counted_in_their_state_and_all_come_back_to_none, 1);
	over_sockets_add(tc, connection_without_hello_is_counted_as_accepted, 1);
	tcase_add_test(tc, channel_that_waits_for_a_name_is_counted_as_resolving);
	over_add(tc, channel_that_waits_for_its_connection_is_counted_as_connecting, 1);
	over_add(tc, each_message_that_comes_back_is_counted, 1);
	over_sockets_add(tc, frame_that_is_not_allowed_is_counted_as_refused_and_not_as_received, 1);
	tcase_add_test(tc, pool_counts_hits_misses_and_what_is_out);
	over_add(tc, after_talk_and_after_the_end_no_message_is_out, 1);
	over_add(tc, what_a_destroyed_group_held_is_not_out_any_more, 1);
	over_add(tc, idle_engine_does_not_wake, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_stats());
}
