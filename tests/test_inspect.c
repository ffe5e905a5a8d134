/* SPDX-License-Identifier: MIT */

/* What one can ask about a channel: where its ends are, what it has done, what it holds, and whether it is still that channel. */

#include <stdatomic.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "platform/platform.h"

static enum tofu_status ask(const struct side *side, uint16_t channel, struct tofu_channel_info *info)
{
	memset(info, 0, sizeof *info);
	info->size = sizeof *info;
	return tofu_channel_inspect(side->group, channel, info);
}

static struct tofu_channel_info asked(const struct side *side, uint16_t channel)
{
	struct tofu_channel_info info;

	works(ask(side, channel, &info));
	ck_assert_uint_eq(info.size, sizeof info);
	return info;
}

START_TEST(both_ends_of_a_connection_know_each_other)
{
	struct tofu_channel_info client, server;
	struct pair p;

	pair_open(&p, _i, NULL);
	client = asked(&p.client, p.client_channel);
	server = asked(&p.server, p.server_channel);
	ck_assert_int_eq(client.state, TOFU_CHANNEL_OPEN);
	ck_assert_int_eq(server.state, TOFU_CHANNEL_OPEN);
	ck_assert_str_eq(client.peer, p.at.address);
	ck_assert_str_eq(server.local, p.at.address);
	ck_assert_str_eq(client.local, server.peer);
	if (_i == OVER_TLS)
		ck_assert_ptr_nonnull(strstr(client.identity, "subject=CN=tests"));
	else
		ck_assert_str_eq(client.identity, "");
	ck_assert_int_ge(client.opened_ago_ns, client.sent_ago_ns);
	ck_assert_int_ge(server.received_ago_ns, 0);
	pair_close(&p);
}
END_TEST

START_TEST(what_went_over_a_connection_is_counted)
{
	struct tofu_channel_info before, client, server;
	struct pair p;

	pair_open(&p, _i, NULL);
	before = asked(&p.client, p.client_channel);
	for (int i = 0; i < 10; i++)
		pair_talk(&p);
	client = asked(&p.client, p.client_channel);
	server = asked(&p.server, p.server_channel);
	ck_assert_uint_eq(client.messages_sent, before.messages_sent + 10);
	ck_assert_uint_eq(client.messages_received, before.messages_received + 10);
	ck_assert_uint_eq(client.messages_sent, server.messages_received);
	ck_assert_uint_eq(client.bytes_sent, server.bytes_received);
	ck_assert_uint_eq(client.bytes_received, server.bytes_sent);
	ck_assert_uint_gt(client.bytes_sent, client.messages_sent * TOFU_FRAME_HEADER);
	ck_assert_uint_eq(client.messages_queued, 0);
	ck_assert_uint_eq(client.bytes_queued, 0);
	pair_close(&p);
}
END_TEST

START_TEST(what_the_application_has_not_put_back_is_held)
{
	enum { KEPT = 5 };
	tofu_msg *kept[KEPT];
	struct pair p;

	pair_open(&p, _i, NULL);
	for (int i = 0; i < KEPT; i++) {
		say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "keep");
		kept[i] = expect_peer(&p.server, TOFU_SIGNAL);
	}
	ck_assert_uint_eq(asked(&p.server, p.server_channel).messages_held, KEPT);
	for (int i = 0; i < KEPT; i++)
		tofu_msg_put(&kept[i]);
	ck_assert_uint_eq(asked(&p.server, p.server_channel).messages_held, 0);
	pair_close(&p);
}
END_TEST

START_TEST(what_a_peer_does_not_read_is_queued)
{
	struct tofu_channel_info info;
	struct listening at;
	struct raw peer;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	uint64_t posted;
	uint16_t channel;
	tofu_msg *msg;

	listen_over(&side, _i, &at);
	raw_call(&peer, at.address);
	raw_hello(&peer, 1);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	posted = fill_queue(&side, channel, 0, 100);
	info = asked(&side, channel);
	ck_assert_uint_gt(info.messages_queued, 0);
	ck_assert_uint_gt(info.bytes_queued, 0);
	ck_assert_uint_ge(info.messages_sent + info.messages_queued, posted);
	raw_hang_up(&peer, TOFU_CLOSE_ABORT);
	engine_down(engine);
}
END_TEST

START_TEST(a_listener_says_where_it_listens)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_channel_info info;
	struct listening at;

	listen_over(&side, _i, &at);
	info = asked(&side, at.channel);
	ck_assert_int_eq(info.state, TOFU_CHANNEL_LISTENING);
	ck_assert_str_eq(info.local, at.address);
	ck_assert_str_eq(info.peer, "");
	ck_assert_int_eq(info.uid, -1);
	ck_assert_int_ge(info.opened_ago_ns, 0);
	ck_assert_int_eq(info.sent_ago_ns, -1);
	ck_assert_int_eq(info.received_ago_ns, -1);
	ck_assert_uint_eq(info.messages_sent, 0);
	ck_assert_uint_eq(info.bytes_sent, 0);
	engine_down(engine);
}
END_TEST

START_TEST(a_channel_that_is_not_open_yet_says_so)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_channel_info info;
	struct tofu_header hello;

	works(tofu_engine_register(engine, fake_slow(OVER_TCP)));
	slow_hold();
	hello = call(&side, "slow|127.0.0.1|9", NULL);
	info = asked(&side, hello.channel);
	ck_assert_int_eq(info.state, TOFU_CHANNEL_RESOLVING);
	ck_assert_str_eq(info.local, "");
	ck_assert_str_eq(info.peer, "");
	ck_assert_int_eq(info.opened_ago_ns, -1);
	ck_assert_uint_eq(info.messages_queued, 1);
	ck_assert_uint_eq(info.messages_sent, 0);
	ck_assert_uint_eq(info.bytes_received, 0);
	slow_release();
	engine_down(engine);
}
END_TEST

START_TEST(a_channel_that_has_ended_is_closed_and_one_that_never_was_is_none)
{
	struct tofu_channel_info info;
	struct side other;
	struct pair p;

	pair_open(&p, _i, NULL);
	other = side_in(p.client.engine);
	ck_status(ask(&p.client, 0, &info), TOFU_INVALID_CHANNEL_NUMBER);
	ck_status(ask(&p.client, 60000, &info), TOFU_INVALID_CHANNEL_NUMBER);
	ck_status(ask(&p.client, UINT16_MAX, &info), TOFU_INVALID_CHANNEL_NUMBER);
	ck_status(ask(&other, p.client_channel, &info), TOFU_INVALID_MCHN_GROUP);
	say(&p.client, p.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_end(&p.client, p.client_channel, p.hello, TOFU_CHANNEL_CLOSED);
	ck_status(ask(&p.client, p.client_channel, &info), TOFU_CHANNEL_CLOSED);
	pair_close(&p);
}
END_TEST

START_TEST(a_shorter_struct_is_filled_as_far_as_it_goes)
{
	struct tofu_channel_info info;
	struct pair p;

	pair_open(&p, _i, NULL);
	memset(&info, 'x', sizeof info);
	info.size = offsetof(struct tofu_channel_info, peer);
	works(tofu_channel_inspect(p.client.group, p.client_channel, &info));
	ck_assert_uint_eq(info.size, offsetof(struct tofu_channel_info, peer));
	ck_assert_int_ne(info.local[0], 'x');
	ck_assert_int_eq(info.peer[0], 'x');
	info.size = 0;
	ck_status(tofu_channel_inspect(p.client.group, p.client_channel, &info), TOFU_NOT_ALLOWED);
	ck_status(tofu_channel_inspect(p.client.group, p.client_channel, NULL), TOFU_NOT_ALLOWED);
	info.size = sizeof info;
	ck_status(tofu_channel_inspect(NULL, p.client_channel, &info), TOFU_NOT_ALLOWED);
	pair_close(&p);
}
END_TEST

START_TEST(a_group_without_an_engine_knows_no_channels)
{
	tofu_engine *engine;
	tofu_group *group;
	struct tofu_channel_info info = { .size = sizeof info };

	works(tofu_init());
	works(tofu_engine_create(NULL, &engine));
	works(tofu_group_create(engine, &group));
	tofu_engine_destroy(engine);
	ck_status(tofu_channel_inspect(group, 1, &info), TOFU_SHUTDOWN_STARTED);
	works(tofu_group_destroy(group));
	tofu_deinit();
}
END_TEST

/* --- lives of a number --- */

struct asker {
	struct tofu_thread thread;
	struct side side;
	atomic_bool stop;
	uint64_t seen; /* that a number was somebody's */
};

/* Each life has a body of its own length both ways, so what belongs to two lives does not fit together. */
static void keep_asking(void *context)
{
	struct asker *a = context;
	struct tofu_channel_info info;

	while (!atomic_load(&a->stop)) {
		for (uint16_t number = 1; number <= 4; number++) {
			enum tofu_status status = ask(&a->side, number, &info);

			if (status == TOFU_CHANNEL_CLOSED || status == TOFU_INVALID_CHANNEL_NUMBER)
				continue;
			works(status);
			a->seen++;
			if (info.state == TOFU_CHANNEL_LISTENING)
				continue;
			must(info.bytes_received >= info.messages_received * TOFU_FRAME_HEADER, "number %u", number);
			must(info.bytes_sent >= info.messages_sent * TOFU_FRAME_HEADER, "number %u", number);
			must(info.messages_sent <= 4 && info.messages_received <= 4, "number %u", number);
			must(info.state != TOFU_CHANNEL_OPEN || info.peer[0] != '\0', "number %u", number);
		}
	}
}

START_TEST(two_lives_of_a_number_are_never_mixed_up)
{
	struct asker askers[2] = { { .seen = 0 }, { .seen = 0 } };
	struct tofu_options options = options_with_pool(64);
	tofu_engine *engine;
	struct side side;
	struct listening at;
	tofu_msg *msg;

	options.max_channels = 4;
	engine = engine_up(&options);
	side = side_in(engine);
	listen_over(&side, _i, &at);
	for (int i = 0; i < 2; i++) {
		askers[i].side = side;
		works(tofu_thread_start(&askers[i].thread, keep_asking, &askers[i]));
	}
	for (unsigned life = 0; life < rounds(500); life++) {
		struct tofu_header hello = call(&side, at.address, "hello");
		struct tofu_header heard;

		msg = expect_peer(&side, TOFU_HELLO_REQUEST);
		heard = answer(&side, &msg, TOFU_HELLO_RESPONSE);
		msg = expect_peer(&side, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
		say(&side, hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
		for (int ends = 0; ends < 2;) {
			msg = take(&side);
			ends += is_closed_notice(msg);
			tofu_msg_put(&msg);
		}
		ck_assert_uint_ne(heard.channel, hello.channel);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&askers[i].stop, true);
		tofu_thread_join(&askers[i].thread);
		ck_assert_uint_gt(askers[i].seen, 0);
	}
	engine_down(engine);
}
END_TEST

static Suite *suite_of_inspect(void)
{
	Suite *suite = suite_create("inspect");
	TCase *facts = suite_case(suite, "facts", 30);
	TCase *wrong = suite_case(suite, "wrong", 30);
	TCase *lives = suite_case(suite, "lives", 30);

	over_add(facts, both_ends_of_a_connection_know_each_other, 1);
	over_add(facts, what_went_over_a_connection_is_counted, 1);
	over_add(facts, what_the_application_has_not_put_back_is_held, 1);
	over_sockets_add(facts, what_a_peer_does_not_read_is_queued, 1);
	over_add(facts, a_listener_says_where_it_listens, 1);
	tcase_add_test(facts, a_channel_that_is_not_open_yet_says_so);
	over_add(wrong, a_channel_that_has_ended_is_closed_and_one_that_never_was_is_none, 1);
	over_add(wrong, a_shorter_struct_is_filled_as_far_as_it_goes, 1);
	tcase_add_test(wrong, a_group_without_an_engine_knows_no_channels);
	over_add(lives, two_lives_of_a_number_are_never_mixed_up, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_inspect());
}
