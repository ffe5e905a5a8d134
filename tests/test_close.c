/* SPDX-License-Identifier: MIT */

/*
 * The ends of a channel: both byes, a ByeSignal, a peer that goes away in one way or another, and an engine that is
 * destroyed, each in every state that a channel can be in. Whatever the way: what was accepted is out or comes back,
 * channel_closed is the last word, once, and no descriptor is left.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/fake.h"
#include "lib/raw.h"
#include "lib/served.h"
#include "lib/steps.h"
#include "message/pool.h"
#include "reactor/engine.h"

/* graceful */

START_TEST(a_bye_of_the_caller_closes_both_ends)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	pair_talk(&p);
	pair_bye(&p);
	expect_silence(&p.client);
	expect_silence(&p.server);
	ck_assert_uint_eq(connections_of(p.client.engine), 0);
	pair_close(&p);
}
END_TEST

START_TEST(a_bye_of_the_called_closes_both_ends)
{
	struct pair p, mirror;

	pair_open(&p, _i, NULL);
	mirror = p;
	mirror.client = p.server;
	mirror.server = p.client;
	mirror.client_channel = p.server_channel;
	mirror.server_channel = p.client_channel;
	pair_talk(&mirror);
	pair_bye(&mirror);
	expect_silence(&p.client);
	expect_silence(&p.server);
	ck_assert_uint_eq(connections_of(p.client.engine), 0);
	pair_close(&p);
}
END_TEST

START_TEST(byes_that_cross_are_both_answered)
{
	struct pair p;
	struct tofu_header ours, theirs;
	tofu_msg *msg;

	pair_open_apart(&p, _i, NULL, NULL);
	ours = say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	theirs = say(&p.server, p.server_channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&p.client, p.client_channel, theirs.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	answer(&p.client, &msg, TOFU_BYE_RESPONSE);
	msg = expect_on(&p.server, p.server_channel, ours.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_on(&p.client, p.client_channel, ours.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	msg = expect_on(&p.server, p.server_channel, theirs.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&p.client, p.client_channel, p.hello);
	expect_closed(&p.server, p.server_channel, p.hello);
	expect_silence(&p.client);
	expect_silence(&p.server);
	pair_close(&p);
}
END_TEST

START_TEST(everything_posted_before_a_bye_arrives)
{
	enum { POSTED = 500 };
	struct tofu_options options = options_with_pool(4 * POSTED);
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, &options);
	for (uint64_t i = 0; i < POSTED; i++) {
		msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, NULL);
		number_body(msg, i, number_length(i));
		post(&p.client, &msg);
	}
	say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	for (uint64_t i = 0; i < POSTED; i++) {
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		must(number_of(msg) == i, "out of order");
		tofu_msg_put(&msg);
	}
	msg = expect_peer(&p.server, TOFU_BYE_REQUEST);
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	expect_closed(&p.server, p.server_channel, p.hello);
	pair_close(&p);
}
END_TEST

START_TEST(what_the_other_side_still_had_to_say_arrives_before_its_bye_response)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_peer(&p.server, TOFU_BYE_REQUEST);
	for (uint64_t i = 1; i <= 50; i++)
		say(&p.server, p.server_channel, TOFU_SIGNAL, i, "last words");
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	for (uint64_t i = 1; i <= 50; i++) {
		msg = expect_on(&p.client, p.client_channel, i, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
		tofu_msg_put(&msg);
	}
	msg = expect_peer(&p.client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(&p.client, p.client_channel, p.hello);
	expect_closed(&p.server, p.server_channel, p.hello);
	pair_close(&p);
}
END_TEST

START_TEST(what_is_posted_after_a_bye_comes_back)
{
	struct pair p;
	tofu_msg *msg;
	uint64_t came_back = 0;
	bool answered = false;

	pair_open_apart(&p, _i, NULL, NULL);
	say(&p.client, p.client_channel, TOFU_BYE_REQUEST, 0, NULL);
	for (uint64_t i = 1; i <= 3; i++)
		say(&p.client, p.client_channel, TOFU_REQUEST, 1000 + i, "too late");
	msg = expect_peer(&p.server, TOFU_BYE_REQUEST);
	answer(&p.server, &msg, TOFU_BYE_RESPONSE);
	while (!is_closed_notice(msg = take(&p.client))) {
		const struct tofu_header *h = tofu_msg_header(msg);

		if (h->opcode == TOFU_BYE_RESPONSE) {
			ck_assert_int_eq(h->origin, TOFU_ORIGIN_APPLICATION);
			answered = true;
		} else {
			must(h->opcode == TOFU_REQUEST && h->origin == TOFU_ORIGIN_ENGINE &&
			             h->status == TOFU_CHANNEL_CLOSED && says(msg, "too late"),
			     "came back as %s", describe(msg));
			ck_assert_uint_eq(h->id, 1000 + ++came_back);
		}
		tofu_msg_put(&msg);
	}
	ck_assert_uint_eq(came_back, 3);
	ck_assert(answered);
	tofu_msg_put(&msg);
	expect_silence(&p.client);
	expect_closed(&p.server, p.server_channel, p.hello);
	pair_close(&p);
}
END_TEST

/* listeners */

START_TEST(a_bye_of_a_listener_is_answered_by_the_engine)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;

	listen_over(&side, _i, &at);
	h = say(&side, at.channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&side, at.channel, h.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&side, at.channel, at.id);
	expect_silence(&side);
	ck_assert_uint_eq(stats_of(engine).channels_listening, 0);
	call_fails(&side, at.address, over_nobody(_i));
	engine_down(engine);
}
END_TEST

START_TEST(a_byesignal_of_a_listener_closes_it)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;

	listen_over(&side, _i, &at);
	say(&side, at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&side, at.channel, at.id);
	expect_silence(&side);
	call_fails(&side, at.address, over_nobody(_i));
	engine_down(engine);
}
END_TEST

START_TEST(accepted_connections_outlive_their_listener)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	say(&p.server, p.at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&p.server, p.at.channel, p.at.id);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

START_TEST(an_address_is_free_again_when_its_listener_is_closed)
{
	struct pair p;
	struct listening again;

	pair_open(&p, _i, NULL);
	pair_bye(&p);
	say(&p.server, p.at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&p.server, p.at.channel, p.at.id);
	listen_at(&p.server, p.at.address, &again);
	ck_assert_str_eq(again.address, p.at.address);
	p.at = again;
	pair_meet(&p);
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

/* abort and disconnect */

START_TEST(a_byesignal_closes_at_once_and_the_peer_sees_a_disconnect)
{
	struct pair p;

	pair_open(&p, _i, NULL);
	say(&p.client, p.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&p.client, p.client_channel, p.hello);
	expect_end(&p.server, p.server_channel, p.hello, over_cut(_i));
	expect_silence(&p.client);
	expect_silence(&p.server);
	pair_close(&p);
}
END_TEST

START_TEST(an_abort_gives_back_what_was_not_sent)
{
	struct served s;
	struct raw_frame frame;
	uint64_t end, first, read = 0;

	serve_raw(&s, _i, NULL);
	end = fill_queue(&s.side, s.channel, 0, 60000);
	say(&s.side, s.channel, TOFU_BYE_SIGNAL, 0, NULL);
	first = expect_tail(&s.side, s.channel, HELLO_ID, end, TOFU_CHANNEL_CLOSED);
	must(first < end, "nothing came back");
	ck_assert_uint_eq(stats_of(s.side.engine).messages_returned, end - first);
	expect_silence(&s.side);
	/* What did not come back was written whole; an abort may still lose it on the way, but not change it. */
	while (raw_read(&s.peer, &frame))
		must(number_in(frame.body, frame.body_len) == read++, "out of order");
	must(read <= first, "%lu frames arrived, of which some came back", (unsigned long)read);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_goes_away_gives_back_what_was_not_sent)
{
	struct served s;
	uint64_t end, first;

	serve_raw(&s, _i, NULL);
	end = fill_queue(&s.side, s.channel, 0, 60000);
	raw_hang_up(&s.peer, TOFU_CLOSE_ABORT);
	first = expect_tail(&s.side, s.channel, HELLO_ID, end, over_cut(_i));
	must(first < end, "nothing came back");
	expect_silence(&s.side);
	ck_assert_uint_eq(connections_of(s.side.engine), 0);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_goes_away_quietly_closes_the_channel)
{
	struct served s;

	serve_raw(&s, _i, NULL);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	expect_end(&s.side, s.channel, HELLO_ID, TOFU_PEER_DISCONNECTED);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_half_closes_is_heard_to_the_end)
{
	struct served s;

	serve_raw(&s, _i, NULL);
	for (uint64_t i = 0; i < 100; i++)
		raw_number(&s.peer, i, number_length(i));
	raw_half_close(&s.peer);
	for (uint64_t i = 0; i < 100; i++) {
		tofu_msg *msg = expect_peer(&s.side, TOFU_SIGNAL);

		must(number_of(msg) == i, "out of order");
		tofu_msg_put(&msg);
	}
	expect_end(&s.side, s.channel, HELLO_ID, TOFU_PEER_DISCONNECTED);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(whole_frames_before_a_cut_one_are_delivered)
{
	static const unsigned char half[20] = { 0, 1, TOFU_SIGNAL, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 10 };
	struct served s;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	raw_say(&s.peer, TOFU_SIGNAL, 8, "whole");
	raw_write(&s.peer, half, sizeof half);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	msg = expect_on(&s.side, s.channel, 8, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	ck_assert(says(msg, "whole"));
	tofu_msg_put(&msg);
	expect_end(&s.side, s.channel, HELLO_ID, TOFU_PEER_DISCONNECTED);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

/* how it ends, as the other side sees it */

/* As soon as all is said, and not only when our patience with the peer's end is over. */
static void expect_fin(struct served *s)
{
	ck_assert_int_eq(os_read_to_end(s->peer.socket, PATIENCE_NS), OS_FIN);
	ck_assert_uint_eq(connections_of(s->side.engine), 1);
}

START_TEST(our_bye_ends_with_fin)
{
	struct served s;
	struct raw_frame bye;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	say(&s.side, s.channel, TOFU_BYE_REQUEST, 0, NULL);
	bye = raw_expect(&s.peer, TOFU_BYE_REQUEST);
	raw_say(&s.peer, TOFU_BYE_RESPONSE, bye.id, "");
	expect_fin(&s);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	msg = expect_on(&s.side, s.channel, bye.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.channel, HELLO_ID);
	served_end(&s);
}
END_TEST

static void raw_says_bye_and_is_answered(struct served *s)
{
	tofu_msg *msg;

	raw_say(&s->peer, TOFU_BYE_REQUEST, 5, "");
	msg = expect_on(&s->side, s->channel, 5, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	answer(&s->side, &msg, TOFU_BYE_RESPONSE);
	ck_assert_uint_eq(raw_expect(&s->peer, TOFU_BYE_RESPONSE).id, 5);
}

/* Right behind the answer a FIN would make some peers throw the answer away: it follows the peer's end. */
START_TEST(our_answer_to_a_bye_ends_with_fin_when_the_peer_has_ended)
{
	struct served s;

	serve_raw(&s, _i, NULL);
	raw_says_bye_and_is_answered(&s);
	expect_silence(&s.side); /* the turn in which it was written is over */
	ck_assert_uint_eq(os_wait(s.peer.socket, OS_READABLE, 0), 0);
	raw_half_close(&s.peer);
	ck_assert_int_eq(os_read_to_end(s.peer.socket, PATIENCE_NS), OS_FIN);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	expect_closed(&s.side, s.channel, HELLO_ID);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(a_large_answer_to_a_bye_arrives_before_the_end)
{
	struct served s;
	struct raw_frame frame;
	uint64_t end;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	end = fill_queue(&s.side, s.channel, 0, 60000);
	raw_say(&s.peer, TOFU_BYE_REQUEST, 5, "");
	msg = expect_peer(&s.side, TOFU_BYE_REQUEST);
	for (uint64_t i = 0; i < end; i++) {
		must(raw_read(&s.peer, &frame), "the connection ended after %lu frames", (unsigned long)i);
		must(number_in(frame.body, frame.body_len) == i, "out of order");
	}
	tofu_msg_put(&msg);
	msg = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_READY);
	tofu_msg_put(&msg);
	msg = message(&s.side, TOFU_BYE_RESPONSE, s.channel, 5, NULL);
	number_body(msg, 1, TOFU_BODY_MAX);
	post(&s.side, &msg);
	frame = raw_expect(&s.peer, TOFU_BYE_RESPONSE);
	ck_assert_uint_eq(number_in(frame.body, frame.body_len), 1);
	ck_assert_int_eq(os_read_to_end(s.peer.socket, PATIENCE_NS), OS_FIN);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	expect_closed(&s.side, s.channel, HELLO_ID);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_answers_our_bye_but_never_closes_holds_us_up_for_a_second)
{
	struct served s;
	struct raw_frame bye;
	int64_t begin;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	say(&s.side, s.channel, TOFU_BYE_REQUEST, 0, NULL);
	bye = raw_expect(&s.peer, TOFU_BYE_REQUEST);
	begin = tofu_plat_now_ns();
	raw_say(&s.peer, TOFU_BYE_RESPONSE, bye.id, "");
	msg = expect_on(&s.side, s.channel, bye.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.channel, HELLO_ID);
	must(tofu_plat_now_ns() - begin < 5 * TOFU_NS_PER_S, "it took more than 5 s");
	expect_silence(&s.side);
	eventually(connections_of(s.side.engine) == 0);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_says_bye_but_never_closes_holds_us_up_for_a_second)
{
	struct served s;
	int64_t begin;

	serve_raw(&s, _i, NULL);
	raw_says_bye_and_is_answered(&s);
	begin = tofu_plat_now_ns();
	expect_closed(&s.side, s.channel, HELLO_ID);
	must(tofu_plat_now_ns() - begin < 5 * TOFU_NS_PER_S, "it took more than 5 s");
	expect_silence(&s.side);
	eventually(connections_of(s.side.engine) == 0);
	served_end(&s);
}
END_TEST

/* Byes of both sides. */

static void raw_crosses_byes(struct served *s, struct tofu_header *ours)
{
	tofu_msg *msg;

	*ours = say(&s->side, s->channel, TOFU_BYE_REQUEST, 0, NULL);
	raw_expect(&s->peer, TOFU_BYE_REQUEST);
	raw_say(&s->peer, TOFU_BYE_REQUEST, 5, "");
	msg = expect_on(&s->side, s->channel, 5, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
}

START_TEST(our_answer_is_written_when_the_answer_and_the_end_of_the_peer_came_first)
{
	struct served s;
	struct tofu_header ours;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	raw_crosses_byes(&s, &ours);
	raw_say(&s.peer, TOFU_BYE_RESPONSE, ours.id, "");
	raw_half_close(&s.peer);
	msg = expect_on(&s.side, s.channel, ours.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_silence(&s.side);
	say(&s.side, s.channel, TOFU_BYE_RESPONSE, 5, NULL);
	ck_assert_uint_eq(raw_expect(&s.peer, TOFU_BYE_RESPONSE).id, 5);
	ck_assert_int_eq(os_read_to_end(s.peer.socket, PATIENCE_NS), OS_FIN);
	expect_closed(&s.side, s.channel, HELLO_ID);
	served_end(&s);
}
END_TEST

START_TEST(the_end_of_a_peer_that_said_bye_counts_as_its_answer)
{
	struct served s;
	struct tofu_header ours;

	serve_raw(&s, _i, NULL);
	raw_crosses_byes(&s, &ours);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	expect_closed(&s.side, s.channel, HELLO_ID);
	served_end(&s);
}
END_TEST

START_TEST(a_second_bye_request_does_not_keep_the_channel)
{
	struct served s;
	struct tofu_header ours;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	raw_crosses_byes(&s, &ours);
	say(&s.side, s.channel, TOFU_BYE_RESPONSE, 5, NULL);
	raw_expect(&s.peer, TOFU_BYE_RESPONSE);
	raw_say(&s.peer, TOFU_BYE_REQUEST, 6, "");
	msg = expect_peer(&s.side, TOFU_BYE_REQUEST);
	answer(&s.side, &msg, TOFU_BYE_RESPONSE);
	raw_say(&s.peer, TOFU_BYE_RESPONSE, ours.id, "");
	msg = expect_peer(&s.side, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	msg = expect_on(&s.side, s.channel, 6, TOFU_BYE_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.channel, HELLO_ID);
	drain_group(s.side.group);
	served_end(&s);
}
END_TEST

START_TEST(an_answer_before_its_bye_does_not_keep_the_channel)
{
	struct served s;
	struct tofu_header ours;
	tofu_msg *msg;

	serve_raw(&s, _i, NULL);
	ours = say(&s.side, s.channel, TOFU_BYE_REQUEST, 0, NULL);
	say(&s.side, s.channel, TOFU_BYE_RESPONSE, 5, NULL);
	raw_expect(&s.peer, TOFU_BYE_REQUEST);
	raw_expect(&s.peer, TOFU_BYE_RESPONSE);
	raw_say(&s.peer, TOFU_BYE_REQUEST, 5, "");
	raw_say(&s.peer, TOFU_BYE_RESPONSE, ours.id, "");
	msg = expect_peer(&s.side, TOFU_BYE_REQUEST);
	tofu_msg_put(&msg);
	msg = expect_peer(&s.side, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.channel, HELLO_ID);
	served_end(&s);
}
END_TEST

/* TCP that takes nothing any more, for now or for ever. */

enum sending { PASSES, BLOCKS, FAILS };

static struct tofu_transport mute_tcp;
static atomic_int sending;

static enum tofu_status mute_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                  size_t count, size_t *done, unsigned *want)
{
	if (atomic_load(&sending) == PASSES)
		return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
	*want = TOFU_READABLE;
	return atomic_load(&sending) == BLOCKS ? TOFU_WOULD_BLOCK : TOFU_PEER_DISCONNECTED;
}

/* It has called a raw peer, which answered. */
struct muted {
	struct side side;
	struct raw peer;
	intptr_t listener;
	struct tofu_header hello;
};

static void mute_open(struct muted *s, enum sending from_now_on, const struct tofu_options *or_null)
{
	char real[128], address[160];
	tofu_msg *msg;

	atomic_store(&sending, PASSES);
	mute_tcp = *tofu_tcp();
	mute_tcp.scheme = "mute";
	mute_tcp.send = mute_send;
	s->side = side_in(engine_up(or_null));
	ck_status(tofu_engine_register(s->side.engine, &mute_tcp), TOFU_OK);
	s->listener = raw_listen(OVER_TCP, real, sizeof real);
	(void)snprintf(address, sizeof address, "mute|%s", path_of(real));
	s->hello = call(&s->side, address, "hello");
	raw_accept(&s->peer, s->listener);
	raw_expect(&s->peer, TOFU_HELLO_REQUEST);
	raw_say(&s->peer, TOFU_HELLO_RESPONSE, s->hello.id, "");
	msg = expect_peer(&s->side, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	atomic_store(&sending, (int)from_now_on);
}

static void mute_close(struct muted *s)
{
	raw_hang_up(&s->peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(s->listener, TOFU_CLOSE_ORDERLY);
	engine_down(s->side.engine);
}

START_TEST(what_comes_back_is_in_order_when_a_bye_lies_between)
{
	static const int opcodes[] = { TOFU_REQUEST, TOFU_BYE_REQUEST, TOFU_REQUEST, TOFU_BYE_RESPONSE, TOFU_SIGNAL };
	struct muted s;
	tofu_msg *msg;

	mute_open(&s, BLOCKS, NULL);
	raw_say(&s.peer, TOFU_BYE_REQUEST, 5, "");
	msg = expect_peer(&s.side, TOFU_BYE_REQUEST);
	tofu_msg_put(&msg);
	for (size_t i = 0; i < 5; i++)
		say(&s.side, s.hello.channel, opcodes[i], 1000 + i, NULL);
	say(&s.side, s.hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
	for (size_t i = 0; i < 5; i++) {
		msg = expect_on(&s.side, s.hello.channel, 1000 + i, opcodes[i], TOFU_ORIGIN_ENGINE,
		                TOFU_CHANNEL_CLOSED);
		tofu_msg_put(&msg);
	}
	expect_closed(&s.side, s.hello.channel, s.hello.id);
	mute_close(&s);
}
END_TEST

START_TEST(a_bye_that_cannot_be_written_ends_by_its_time_out)
{
	struct tofu_options options;
	struct tofu_header bye;
	struct muted s;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.bye_timeout_ms = 100;
	mute_open(&s, BLOCKS, &options);
	bye = say(&s.side, s.hello.channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(&s.side, s.hello.channel, bye.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_ENGINE, TOFU_TIMEOUT);
	tofu_msg_put(&msg);
	expect_end(&s.side, s.hello.channel, s.hello.id, TOFU_TIMEOUT);
	mute_close(&s);
}
END_TEST

START_TEST(a_bye_that_nobody_answers_ends_by_its_time_out)
{
	struct tofu_options options;
	struct served s;

	tofu_options_init(&options, sizeof options);
	options.bye_timeout_ms = 100;
	serve_raw(&s, _i, &options);
	say(&s.side, s.channel, TOFU_BYE_REQUEST, 0, NULL);
	raw_expect(&s.peer, TOFU_BYE_REQUEST);
	expect_end(&s.side, s.channel, HELLO_ID, TOFU_TIMEOUT);
	served_end(&s);
}
END_TEST

START_TEST(a_byesignal_of_the_peer_is_its_end)
{
	struct served s;

	serve_raw(&s, _i, NULL);
	raw_say(&s.peer, TOFU_BYE_SIGNAL, 9, "ignored");
	expect_end(&s.side, s.channel, HELLO_ID, TOFU_PEER_DISCONNECTED);
	ck_assert_uint_eq(stats_of(s.side.engine).frames_refused, 0);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

/* A hello of ours, at a raw peer that answers it with a ByeSignal or with nothing. */
static void hello_fails(int over, const struct tofu_options *options, bool refused, enum tofu_status reason)
{
	struct side side = side_in(engine_up(options));
	char address[300];
	intptr_t listener = raw_listen(over, address, sizeof address);
	struct tofu_header hello = call(&side, address, "hello");
	struct raw peer;
	tofu_msg *msg;

	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	if (refused)
		raw_say(&peer, TOFU_BYE_SIGNAL, 9, "no");
	msg = expect_on(&side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, reason);
	tofu_msg_put(&msg);
	expect_end(&side, hello.channel, hello.id, reason);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (over == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(side.engine);
}

START_TEST(a_hello_that_the_peer_refuses_by_a_byesignal_is_answered)
{
	hello_fails(_i, NULL, true, TOFU_PEER_DISCONNECTED);
}
END_TEST

START_TEST(a_hello_that_the_peer_never_answers_ends_by_the_handshake_time)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.handshake_timeout_ms = 100;
	hello_fails(_i, &options, false, TOFU_TIMEOUT);
}
END_TEST

/* A peer may stop reading and go on sending, as one on a Unix socket that has shut down its receiving side. */
START_TEST(a_peer_that_reads_no_more_is_heard_to_its_end)
{
	struct tofu_header lost;
	struct muted s;
	tofu_msg *msg;

	mute_open(&s, FAILS, NULL);
	lost = say(&s.side, s.hello.channel, TOFU_SIGNAL, 0, "lost");
	for (uint64_t i = 0; i < 10; i++) { /* one after the other: the channel has to wait for each */
		raw_number(&s.peer, i, 1000);
		msg = expect_peer(&s.side, TOFU_SIGNAL);
		ck_assert_uint_eq(number_of(msg), i);
		tofu_msg_put(&msg);
	}
	raw_half_close(&s.peer);
	msg = expect_on(&s.side, s.hello.channel, lost.id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_PEER_DISCONNECTED);
	tofu_msg_put(&msg);
	expect_end(&s.side, s.hello.channel, s.hello.id, TOFU_PEER_DISCONNECTED);
	mute_close(&s);
}
END_TEST

START_TEST(a_channel_that_cannot_send_is_ended_by_a_byesignal)
{
	struct tofu_header lost;
	struct muted s;
	tofu_msg *msg;

	mute_open(&s, FAILS, NULL);
	lost = say(&s.side, s.hello.channel, TOFU_SIGNAL, 0, "lost");
	say(&s.side, s.hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
	msg = expect_on(&s.side, s.hello.channel, lost.id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.hello.channel, s.hello.id);
	mute_close(&s);
}
END_TEST

START_TEST(no_frame_behind_a_bye_response_is_delivered_by_a_channel_that_cannot_send)
{
	struct tofu_header lost;
	struct muted s;
	tofu_msg *msg;

	mute_open(&s, FAILS, NULL);
	lost = say(&s.side, s.hello.channel, TOFU_SIGNAL, 0, "lost");
	raw_say(&s.peer, TOFU_BYE_RESPONSE, 9, "");
	raw_say(&s.peer, TOFU_REQUEST, 10, "too late");
	msg = expect_peer(&s.side, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	msg = expect_on(&s.side, s.hello.channel, lost.id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_PROTOCOL_VIOLATION);
	tofu_msg_put(&msg);
	expect_end(&s.side, s.hello.channel, s.hello.id, TOFU_PROTOCOL_VIOLATION);
	ck_assert_uint_eq(stats_of(s.side.engine).frames_refused, 1);
	mute_close(&s);
}
END_TEST

/* As the Zig library does when it has its answer. */
START_TEST(a_peer_that_resets_after_our_bye_response_is_a_clean_end)
{
	struct served s;

	serve_raw(&s, _i, NULL);
	raw_says_bye_and_is_answered(&s);
	raw_hang_up(&s.peer, TOFU_CLOSE_ABORT);
	expect_closed(&s.side, s.channel, HELLO_ID);
	ck_assert_uint_eq(stats_of(s.side.engine).messages_returned, 0);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_resets_right_behind_its_bye_response_is_a_clean_end)
{
	struct served s;
	struct raw_frame bye;
	tofu_msg *msg;

	serve_raw(&s, OVER_UDS, NULL); /* TCP may drop what was sent before a reset */
	say(&s.side, s.channel, TOFU_BYE_REQUEST, 0, NULL);
	bye = raw_expect(&s.peer, TOFU_BYE_REQUEST);
	raw_say(&s.peer, TOFU_BYE_RESPONSE, bye.id, "");
	raw_hang_up(&s.peer, TOFU_CLOSE_ABORT);
	msg = expect_peer(&s.side, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(&s.side, s.channel, HELLO_ID);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

/* in every state */

enum state { RESOLVING, CONNECTING, CALLED, ACCEPTED, OPEN, ASKING, ASKED, LINGERING, STATE_NR };

/* A channel in that state, its other side a raw peer, if there is one by then. */
struct in_state {
	struct side side;
	struct raw peer;
	intptr_t listener;
	char address[300];
	uint16_t channel;
	uint64_t id;
	bool greeted; /* the peer has spoken: the engine owes no answer to the hello */
	int descriptors;
};

static void call_by(struct in_state *s, const char *scheme)
{
	char address[300];
	struct tofu_header h;

	snprintf(address, sizeof address, "%s|%s", scheme, path_of(s->address));
	h = call(&s->side, address, "hello");
	s->channel = h.channel;
	s->id = h.id;
}

/* The raw peer takes the call and has read the hello. */
static void call_raw(struct in_state *s, int transport)
{
	call_by(s, over_scheme(transport));
	raw_accept(&s->peer, s->listener);
	raw_expect(&s->peer, TOFU_HELLO_REQUEST);
}

static void reach(struct in_state *s, enum state state, int transport)
{
	struct listening at;
	tofu_msg *msg;

	memset(s, 0, sizeof *s);
	s->peer.socket = TOFU_NO_SOCKET;
	s->descriptors = os_descriptors();
	s->side = side_in(engine_up(NULL));
	ck_status(tofu_engine_register(s->side.engine, fake_slow(transport)), TOFU_OK);
	ck_status(tofu_engine_register(s->side.engine, fake_stuck(transport)), TOFU_OK);
	s->listener = raw_listen(transport, s->address, sizeof s->address);
	switch (state) {
	case RESOLVING:
		slow_hold();
		call_by(s, "slow");
		eventually(slow_waiting() > 0 && stats_of(s->side.engine).channels_resolving == 1);
		break;
	case CONNECTING:
		call_by(s, "stuck");
		eventually(stats_of(s->side.engine).channels_connecting == 1);
		break;
	case CALLED: /* connected, no word of the peer yet */
	case OPEN:
		call_raw(s, transport);
		if (state == OPEN) {
			raw_say(&s->peer, TOFU_HELLO_RESPONSE, s->id, "");
			msg = expect_peer(&s->side, TOFU_HELLO_RESPONSE);
			tofu_msg_put(&msg);
			s->greeted = true;
		}
		break;
	case ACCEPTED:
		listen_over(&s->side, transport, &at);
		raw_call(&s->peer, at.address);
		eventually(stats_of(s->side.engine).channels_accepted == 1);
		break;
	case ASKING:
		call_raw(s, transport);
		say(&s->side, s->channel, TOFU_BYE_REQUEST, 0, NULL);
		raw_expect(&s->peer, TOFU_BYE_REQUEST);
		break;
	case ASKED:
	case LINGERING:
		call_raw(s, transport);
		raw_say(&s->peer, TOFU_BYE_REQUEST, 5, "");
		msg = expect_peer(&s->side, TOFU_BYE_REQUEST);
		s->greeted = true;
		if (state == LINGERING) {
			answer(&s->side, &msg, TOFU_BYE_RESPONSE);
			raw_expect(&s->peer, TOFU_BYE_RESPONSE);
		}
		tofu_msg_put(&msg);
		break;
	case STATE_NR:
		break;
	}
}

static void leave(struct in_state *s)
{
	engine_down(s->side.engine);
	slow_release();
	tofu_socket_close(s->listener, TOFU_CLOSE_ORDERLY);
	if (strncmp(s->address, "uds", 3) == 0)
		os_file_remove(path_of(s->address));
	raw_hang_up(&s->peer, TOFU_CLOSE_ORDERLY);
	eventually(slow_waiting() == 0);
	eventually(os_descriptors() == s->descriptors);
}

/* A HelloRequest is answered, by the peer or by the engine. */
static void engine_answers_hello(const struct in_state *s, enum tofu_status reason)
{
	tofu_msg *msg;

	if (s->greeted)
		return;
	msg = expect_on(&s->side, s->channel, s->id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, reason);
	ck_assert(says(msg, "hello"));
	tofu_msg_put(&msg);
}

START_TEST(a_byesignal_in_each_state_gives_one_channel_closed)
{
	const enum state state = (enum state)(_i / OVER_NR);
	struct in_state s;
	enum tofu_status st;

	if (state == ACCEPTED) /* the application does not know its number yet */
		return;
	reach(&s, state, _i % OVER_NR);
	st = try_say(&s.side, s.channel, TOFU_BYE_SIGNAL, 0, NULL);
	/* A lingering one may be gone by now. */
	must(st == TOFU_OK || (state == LINGERING && st == TOFU_CHANNEL_CLOSED), "%s", tofu_status_name(st));
	engine_answers_hello(&s, TOFU_CHANNEL_CLOSED);
	expect_closed(&s.side, s.channel, s.id);
	expect_silence(&s.side);
	eventually(connections_of(s.side.engine) == 0);
	leave(&s);
}
END_TEST

START_TEST(a_peer_that_disconnects_in_each_state_gives_one_channel_closed)
{
	const enum state state = (enum state)(_i / OVER_NR);
	struct in_state s;

	reach(&s, state, _i % OVER_NR);
	if (state == RESOLVING || state == CONNECTING) { /* nobody there yet */
		leave(&s);
		return;
	}
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	if (state == LINGERING) {
		expect_closed(&s.side, s.channel, s.id);
	} else if (state != ACCEPTED) {
		engine_answers_hello(&s, TOFU_PEER_DISCONNECTED);
		expect_end(&s.side, s.channel, s.id, TOFU_PEER_DISCONNECTED);
	}
	eventually(connections_of(s.side.engine) == 0);
	expect_silence(&s.side);
	leave(&s);
}
END_TEST

START_TEST(destroying_an_engine_in_each_state_leaves_nothing)
{
	struct in_state s;
	int64_t begin;

	reach(&s, (enum state)(_i / OVER_NR), _i % OVER_NR);
	begin = tofu_plat_now_ns();
	leave(&s);
	must(tofu_plat_now_ns() - begin < 5 * TOFU_NS_PER_S, "it took more than 5 s");
}
END_TEST

START_TEST(destroying_a_group_in_each_state_leaves_nothing)
{
	struct in_state s;

	reach(&s, (enum state)(_i / OVER_NR), _i % OVER_NR);
	side_down(&s.side);
	slow_release();
	eventually(connections_of(s.side.engine) == 0);
	leave(&s);
}
END_TEST

START_TEST(every_link_that_a_transport_opened_is_closed_once)
{
	struct pair p;
	tofu_engine *engine = engine_up(NULL);
	char address[300], dead[300];
	int turn = 0;

	ck_status(tofu_engine_register(engine, fake_counted(_i)), TOFU_OK);
	p.server = side_in(engine);
	p.client = side_in(engine);
	snprintf(address, sizeof address, "counted|%s", path_of(over_anywhere(_i)));
	listen_at(&p.server, address, &p.at);
	snprintf(address, sizeof address, "counted|%.250s", path_of(p.at.address));
	snprintf(p.at.address, sizeof p.at.address, "%s", address);
	for (; turn < 10; turn++) {
		pair_meet(&p);
		if (turn % 3 == 0) {
			pair_bye(&p);
		} else if (turn % 3 == 1) {
			say(&p.client, p.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
			expect_closed(&p.client, p.client_channel, p.hello);
			expect_end(&p.server, p.server_channel, p.hello, over_cut(_i % OVER_NR));
		}
	}
	vacant_address(_i, dead, sizeof dead);
	snprintf(address, sizeof address, "counted|%.250s", path_of(dead));
	call_fails(&p.client, address, over_nobody(_i));
	must(counted_open() > 0, "nothing was counted");
	engine_down(engine);
	ck_assert_int_eq(counted_open(), 0);
	ck_assert_int_eq(counted_wrong(), 0);
}
END_TEST

/*
 * A message that comes back into a pool that had run empty wakes its engine. Here it comes back while the engine is being
 * destroyed: the linker puts functions of this file before those on the way (--wrap), and who puts it back, about to wake the
 * engine, waits until that one is done with its pool.
 */

static struct {
	const void *_Atomic putter; /* the thread */
	atomic_bool about_to_wake;
	atomic_bool pool_is_to_go;
} late;

bool __real_tofu_mailbox_refilled(struct tofu_mailbox *box);
bool __wrap_tofu_mailbox_refilled(struct tofu_mailbox *box);
void __real_tofu_pool_destroy(struct tofu_pool *pool);
void __wrap_tofu_pool_destroy(struct tofu_pool *pool);
void __real_tofu_poller_destroy(struct tofu_poller *p);
void __wrap_tofu_poller_destroy(struct tofu_poller *p);
void __real_tofu_poller_wake(struct tofu_poller *p);
void __wrap_tofu_poller_wake(struct tofu_poller *p);

static bool is_putter(void)
{
	return tofu_thread_self() == atomic_load(&late.putter);
}

bool __wrap_tofu_mailbox_refilled(struct tofu_mailbox *box)
{
	bool asleep = __real_tofu_mailbox_refilled(box);

	if (!is_putter())
		return asleep;
	atomic_store(&late.about_to_wake, true); /* also if something else just has: once more does no harm */
	eventually(atomic_load(&late.pool_is_to_go));
	return true;
}

void __wrap_tofu_pool_destroy(struct tofu_pool *pool)
{
	atomic_store(&late.pool_is_to_go, true);
	__real_tofu_pool_destroy(pool);
}

void __wrap_tofu_poller_destroy(struct tofu_poller *p)
{
	must(!atomic_load(&late.about_to_wake), "who is about to wake it finds it gone");
	__real_tofu_poller_destroy(p);
}

void __wrap_tofu_poller_wake(struct tofu_poller *p)
{
	__real_tofu_poller_wake(p);
	if (is_putter())
		atomic_store(&late.about_to_wake, false);
}

static void put_late(void *context)
{
	tofu_msg *msg = context;

	atomic_store(&late.putter, tofu_thread_self());
	tofu_msg_put(&msg);
	atomic_store(&late.putter, NULL);
}

START_TEST(a_message_may_come_back_while_its_engine_is_destroyed)
{
	struct tofu_options options = options_with_pool(1);
	tofu_engine *engine = engine_up(&options), *calling = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(calling);
	struct tofu_thread putter;
	struct tofu_header hello;
	struct listening at;
	tofu_msg *held, *notice;

	listen_over(&server, OVER_TCP, &at);
	hello = call(&client, at.address, "the only one");
	held = expect_peer(&server, TOFU_HELLO_REQUEST);
	say(&client, hello.channel, TOFU_SIGNAL, 0, "no room");
	notice = expect(&server, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&notice);
	atomic_store(&late.pool_is_to_go, false);
	ck_status(tofu_thread_start(&putter, put_late, held), TOFU_OK);
	eventually(atomic_load(&late.about_to_wake));
	engine_down(engine);
	tofu_thread_join(&putter);
	engine_down(calling);
}
END_TEST

static Suite *suite_of_close(void)
{
	Suite *suite = suite_create("close");
	TCase *bye = suite_case(suite, "bye", 30), *listener = suite_case(suite, "listener", 30);
	TCase *abrupt = suite_case(suite, "abrupt", 60), *seen = suite_case(suite, "as the peer sees it", 60);
	TCase *crossed = suite_case(suite, "byes of both", 30), *unanswered = suite_case(suite, "unanswered", 30);
	TCase *states = suite_case(suite, "in every state", 60), *late_put = suite_case(suite, "late", 30);

	over_add(bye, a_bye_of_the_caller_closes_both_ends, 1);
	over_add(bye, a_bye_of_the_called_closes_both_ends, 1);
	over_add(bye, byes_that_cross_are_both_answered, 1);
	over_add(bye, everything_posted_before_a_bye_arrives, 1);
	over_add(bye, what_the_other_side_still_had_to_say_arrives_before_its_bye_response, 1);
	over_add(bye, what_is_posted_after_a_bye_comes_back, 1);
	over_add(listener, a_bye_of_a_listener_is_answered_by_the_engine, 1);
	over_add(listener, a_byesignal_of_a_listener_closes_it, 1);
	over_add(listener, accepted_connections_outlive_their_listener, 1);
	over_add(listener, an_address_is_free_again_when_its_listener_is_closed, 1);
	over_add(abrupt, a_byesignal_closes_at_once_and_the_peer_sees_a_disconnect, 1);
	over_sockets_add(abrupt, an_abort_gives_back_what_was_not_sent, 1);
	over_sockets_add(abrupt, a_peer_that_goes_away_gives_back_what_was_not_sent, 1);
	over_sockets_add(abrupt, a_peer_that_goes_away_quietly_closes_the_channel, 1);
	over_sockets_add(abrupt, a_peer_that_half_closes_is_heard_to_the_end, 1);
	over_sockets_add(abrupt, whole_frames_before_a_cut_one_are_delivered, 1);
	over_sockets_add(seen, our_bye_ends_with_fin, 1);
	over_sockets_add(seen, our_answer_to_a_bye_ends_with_fin_when_the_peer_has_ended, 1);
	over_sockets_add(seen, a_large_answer_to_a_bye_arrives_before_the_end, 1);
	over_sockets_add(seen, a_peer_that_answers_our_bye_but_never_closes_holds_us_up_for_a_second, 1);
	over_sockets_add(seen, a_peer_that_says_bye_but_never_closes_holds_us_up_for_a_second, 1);
	over_sockets_add(seen, a_peer_that_resets_after_our_bye_response_is_a_clean_end, 1);
	over_need(seen, a_peer_that_resets_right_behind_its_bye_response_is_a_clean_end, OVER_UDS);
	over_sockets_add(crossed, our_answer_is_written_when_the_answer_and_the_end_of_the_peer_came_first, 1);
	over_sockets_add(crossed, the_end_of_a_peer_that_said_bye_counts_as_its_answer, 1);
	over_sockets_add(crossed, a_second_bye_request_does_not_keep_the_channel, 1);
	over_sockets_add(crossed, an_answer_before_its_bye_does_not_keep_the_channel, 1);
	tcase_add_test(crossed, what_comes_back_is_in_order_when_a_bye_lies_between);
	over_sockets_add(unanswered, a_bye_that_nobody_answers_ends_by_its_time_out, 1);
	tcase_add_test(unanswered, a_bye_that_cannot_be_written_ends_by_its_time_out);
	over_sockets_add(unanswered, a_byesignal_of_the_peer_is_its_end, 1);
	tcase_add_test(unanswered, a_peer_that_reads_no_more_is_heard_to_its_end);
	tcase_add_test(unanswered, a_channel_that_cannot_send_is_ended_by_a_byesignal);
	tcase_add_test(unanswered, no_frame_behind_a_bye_response_is_delivered_by_a_channel_that_cannot_send);
	over_sockets_add(unanswered, a_hello_that_the_peer_refuses_by_a_byesignal_is_answered, 1);
	over_sockets_add(unanswered, a_hello_that_the_peer_never_answers_ends_by_the_handshake_time, 1);
	over_sockets_add(states, a_byesignal_in_each_state_gives_one_channel_closed, STATE_NR);
	over_sockets_add(states, a_peer_that_disconnects_in_each_state_gives_one_channel_closed, STATE_NR);
	over_sockets_add(states, destroying_an_engine_in_each_state_leaves_nothing, STATE_NR);
	over_sockets_add(states, destroying_a_group_in_each_state_leaves_nothing, STATE_NR);
	over_add(states, every_link_that_a_transport_opened_is_closed_once, 1);
	tcase_add_test(late_put, a_message_may_come_back_while_its_engine_is_destroyed);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_close());
}
