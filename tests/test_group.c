/* SPDX-License-Identifier: MIT */

/*
 * Groups: what other threads may do to one, what it can be waited on by, and what is left when a group or its engine is
 * destroyed in the middle of things.
 */

#include <stdatomic.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"

/* A thread that receives once, and what came of it. */
struct waiter {
	struct side side;
	struct tofu_thread thread;
	atomic_llong id;
	int64_t timeout_ns;
	enum tofu_status status;
	tofu_msg *msg;
	bool drains; /* instead of receiving */
};

static void wait_once(void *context)
{
	struct waiter *w = context;

	atomic_store(&w->id, os_thread_id());
	if (w->drains)
		w->status = tofu_group_drain(w->side.group, w->timeout_ns);
	else
		w->status = tofu_receive(w->side.group, &w->msg, w->timeout_ns);
}

/* Returns once it waits, so that what follows finds it waiting. */
static void waiter_start(struct waiter *w, struct side side, bool drains)
{
	memset(w, 0, sizeof *w);
	w->side = side;
	w->drains = drains;
	w->timeout_ns = TOFU_FOREVER;
	ck_status(tofu_thread_start(&w->thread, wait_once, w), TOFU_OK);
	eventually(atomic_load(&w->id) != 0);
	must(os_await_sleeping(atomic_load(&w->id)), "the thread does not wait");
}

/* receive */

START_TEST(receive_gives_timeout_when_nothing_comes)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = (tofu_msg *)&side;
	int64_t begin;

	ck_status(tofu_receive(side.group, &msg, 0), TOFU_TIMEOUT);
	ck_assert_ptr_null(msg);
	begin = tofu_plat_now_ns();
	ck_status(tofu_receive(side.group, &msg, 50 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	must(tofu_plat_now_ns() - begin >= 50 * TOFU_NS_PER_MS, "it came back early");
	must(tofu_plat_now_ns() - begin < 5 * TOFU_NS_PER_S, "it came back late");
	engine_down(engine);
}
END_TEST

START_TEST(a_message_wakes_a_thread_that_waits_for_ever)
{
	struct pair p;
	struct waiter w;

	pair_open(&p, _i, NULL);
	waiter_start(&w, p.server, false);
	say(&p.client, p.client_channel, TOFU_SIGNAL, 5, "wake up");
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_OK);
	ck_assert(says(w.msg, "wake up"));
	tofu_msg_put(&w.msg);
	pair_close(&p);
}
END_TEST

/* update_receiver */

START_TEST(an_update_without_a_message_is_an_empty_signal)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = NULL;
	size_t len;

	ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
	ck_status(tofu_update_receiver(side.group, &msg), TOFU_OK);
	for (int i = 0; i < 2; i++) {
		msg = take(&side);
		ck_assert_uint_eq(tofu_msg_header(msg)->opcode, TOFU_SIGNAL);
		ck_assert_uint_eq(tofu_msg_header(msg)->status, TOFU_RECEIVER_UPDATE);
		tofu_msg_body(msg, &len);
		ck_assert_uint_eq(len, 0);
		tofu_msg_put(&msg);
	}
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(an_update_with_a_message_keeps_all_but_its_status)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, TOFU_RESPONSE, 123, 456, "for you");
	char value[16];

	*tofu_msg_user(msg) = &side;
	ck_status(tofu_msg_headers_add(msg, "name", "value"), TOFU_OK);
	ck_status(tofu_update_receiver(side.group, &msg), TOFU_OK);
	ck_assert_ptr_null(msg);
	msg = take(&side);
	ck_assert_uint_eq(tofu_msg_header(msg)->opcode, TOFU_RESPONSE);
	ck_assert_uint_eq(tofu_msg_header(msg)->channel, 123);
	ck_assert_uint_eq(tofu_msg_header(msg)->id, 456);
	ck_assert_uint_eq(tofu_msg_header(msg)->status, TOFU_RECEIVER_UPDATE);
	ck_assert(says(msg, "for you"));
	ck_assert_str_eq(header_of(msg, "name", value, sizeof value), "value");
	ck_assert_ptr_eq(*tofu_msg_user(msg), &side);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

enum { UPDATERS = 4, UPDATES = 2000 };

struct updater {
	struct side side;
	struct tofu_thread thread;
	uint64_t number;
	int failures;
};

static void update_many(void *context)
{
	struct updater *u = context;

	for (uint64_t i = 1; i <= UPDATES; i++) {
		tofu_msg *msg = message(&u->side, TOFU_SIGNAL, (uint16_t)u->number, i, NULL);

		u->failures += tofu_update_receiver(u->side.group, &msg) != TOFU_OK;
		tofu_msg_put(&msg);
	}
}

START_TEST(updates_of_many_threads_all_arrive_each_threads_in_order)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct updater updaters[UPDATERS] = { { .failures = 0 } };
	uint64_t last[UPDATERS] = { 0 };

	for (int i = 0; i < UPDATERS; i++) {
		updaters[i].side = side;
		updaters[i].number = (uint64_t)i;
		ck_status(tofu_thread_start(&updaters[i].thread, update_many, &updaters[i]), TOFU_OK);
	}
	for (int i = 0; i < UPDATERS * UPDATES; i++) {
		tofu_msg *msg = take(&side);
		const struct tofu_header *h = tofu_msg_header(msg);

		must(h->status == TOFU_RECEIVER_UPDATE && h->channel < UPDATERS, "instead of an update: %s",
		     describe(msg));
		must(h->id == ++last[h->channel], "out of order: %s", describe(msg));
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < UPDATERS; i++) {
		tofu_thread_join(&updaters[i].thread);
		ck_assert_int_eq(updaters[i].failures, 0);
	}
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(an_update_wakes_a_thread_that_waits_for_ever)
{
	tofu_engine *engine = engine_up(NULL);
	struct waiter w;

	waiter_start(&w, side_in(engine), false);
	ck_status(tofu_update_receiver(w.side.group, NULL), TOFU_OK);
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_OK);
	tofu_msg_put(&w.msg);
	engine_down(engine);
}
END_TEST

/* Ping-pong between two threads, each waiting for the other: one wake-up lost and it stops. */
struct player {
	struct side own, other;
	struct tofu_thread thread;
	unsigned turns;
	enum tofu_status status;
};

static void play(void *context)
{
	struct player *player = context;

	for (unsigned i = 0; i < player->turns && player->status == TOFU_OK; i++) {
		tofu_msg *msg;

		player->status = tofu_receive(player->own.group, &msg, PATIENCE_NS);
		if (player->status == TOFU_OK)
			player->status = tofu_update_receiver(player->other.group, &msg);
		tofu_msg_put(&msg);
	}
}

START_TEST(no_wake_up_is_lost_between_threads)
{
	tofu_engine *engine = engine_up(NULL);
	struct player a = { .own = side_in(engine), .other = side_in(engine), .turns = rounds(20000) };
	struct player b = { .own = a.other, .other = a.own, .turns = a.turns };

	ck_status(tofu_thread_start(&a.thread, play, &a), TOFU_OK);
	ck_status(tofu_thread_start(&b.thread, play, &b), TOFU_OK);
	ck_status(tofu_update_receiver(a.own.group, NULL), TOFU_OK);
	tofu_thread_join(&a.thread);
	tofu_thread_join(&b.thread);
	ck_status(a.status, TOFU_OK);
	ck_status(b.status, TOFU_OK);
	engine_down(engine);
}
END_TEST

/* pollable */

static bool is_raised(const struct side *side)
{
	intptr_t pollable;

	ck_status(tofu_group_pollable(side->group, &pollable), TOFU_OK);
	return os_wait(pollable, OS_READABLE, 0) != 0;
}

START_TEST(a_pollable_is_raised_as_long_as_messages_wait)
{
	struct pair p;
	intptr_t pollable;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	ck_status(tofu_group_pollable(p.server.group, &pollable), TOFU_OK);
	ck_assert(!is_raised(&p.server));
	say(&p.client, p.client_channel, TOFU_SIGNAL, 1, NULL);
	say(&p.client, p.client_channel, TOFU_SIGNAL, 2, NULL);
	ck_assert_uint_ne(os_wait(pollable, OS_READABLE, PATIENCE_NS), 0);
	ck_assert(is_raised(&p.server)); /* looking does not change it */
	msg = expect_peer(&p.server, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	ck_assert_uint_ne(os_wait(pollable, OS_READABLE, PATIENCE_NS), 0);
	msg = expect_peer(&p.server, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	ck_assert(!is_raised(&p.server));
	pair_talk(&p);
	ck_assert(!is_raised(&p.server));
	pair_close(&p);
}
END_TEST

START_TEST(a_pollable_is_raised_by_updates)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg;

	ck_assert(!is_raised(&side));
	for (int i = 0; i < 3; i++) {
		ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
		ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
		ck_assert(is_raised(&side));
		msg = take(&side);
		tofu_msg_put(&msg);
		ck_assert(is_raised(&side));
		msg = take(&side);
		tofu_msg_put(&msg);
		ck_assert(!is_raised(&side));
	}
	engine_down(engine);
}
END_TEST

START_TEST(a_pollable_asked_for_late_is_raised_at_once)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	intptr_t one, two;

	ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
	ck_assert(is_raised(&side));
	ck_status(tofu_group_pollable(side.group, &one), TOFU_OK);
	ck_status(tofu_group_pollable(side.group, &two), TOFU_OK);
	ck_assert_int_eq(one, two);
	engine_down(engine);
}
END_TEST

START_TEST(a_foreign_loop_on_pollables_misses_nothing)
{
	struct pair p;
	intptr_t server, client;
	unsigned answered = 0, asked = rounds(2000);

	pair_open(&p, _i, NULL);
	ck_status(tofu_group_pollable(p.server.group, &server), TOFU_OK);
	ck_status(tofu_group_pollable(p.client.group, &client), TOFU_OK);
	say(&p.client, p.client_channel, TOFU_REQUEST, 0, "a question");
	while (answered < asked) {
		tofu_msg *msg;

		must(os_wait(server, OS_READABLE, PATIENCE_NS) != 0, "the server's pollable stays low");
		while (tofu_receive(p.server.group, &msg, 0) == TOFU_OK)
			answer(&p.server, &msg, TOFU_RESPONSE);
		must(os_wait(client, OS_READABLE, PATIENCE_NS) != 0, "the client's pollable stays low");
		while (tofu_receive(p.client.group, &msg, 0) == TOFU_OK) {
			answered++;
			answer(&p.client, &msg, TOFU_REQUEST);
		}
	}
	pair_close(&p);
}
END_TEST

/* interrupt */

static const int64_t patience[] = { 0, PATIENCE_NS, TOFU_FOREVER };

START_TEST(an_interrupt_ends_a_receive_that_waits_for_ever)
{
	tofu_engine *engine = engine_up(NULL);
	struct waiter w;

	waiter_start(&w, side_in(engine), false);
	ck_status(tofu_group_interrupt(w.side.group), TOFU_OK);
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_INTERRUPTED);
	ck_assert_ptr_null(w.msg);
	expect_silence(&w.side);
	engine_down(engine);
}
END_TEST

START_TEST(an_interrupt_while_nobody_receives_ends_the_next_one_and_only_that)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine), other = side_in(engine);
	tofu_msg *msg;

	for (int i = 0; i < 3; i++)
		ck_status(tofu_group_interrupt(side.group), TOFU_OK);
	ck_status(tofu_receive(other.group, &msg, 0), TOFU_TIMEOUT);
	ck_status(tofu_receive(side.group, &msg, patience[_i]), TOFU_INTERRUPTED);
	ck_assert_ptr_null(msg);
	ck_status(tofu_receive(side.group, &msg, 0), TOFU_TIMEOUT);
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(an_interrupt_comes_before_messages_and_takes_none_away)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg;

	for (int i = 0; i < 5; i++)
		ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
	for (int i = 0; i < 5; i++) {
		ck_status(tofu_group_interrupt(side.group), TOFU_OK);
		ck_status(tofu_receive(side.group, &msg, 0), TOFU_INTERRUPTED);
		ck_status(tofu_receive(side.group, &msg, 0), TOFU_OK);
		tofu_msg_put(&msg);
	}
	ck_status(tofu_receive(side.group, &msg, 0), TOFU_TIMEOUT);
	engine_down(engine);
}
END_TEST

START_TEST(a_pollable_is_raised_as_long_as_an_interrupt_is_pending)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	intptr_t pollable;
	tofu_msg *msg;

	if (_i == 0) /* it is asked for before, or after */
		ck_assert(!is_raised(&side));
	for (int i = 0; i < 3; i++) {
		ck_status(tofu_group_interrupt(side.group), TOFU_OK);
		ck_status(tofu_group_pollable(side.group, &pollable), TOFU_OK);
		ck_assert_uint_ne(os_wait(pollable, OS_READABLE, PATIENCE_NS), 0);
		ck_status(tofu_receive(side.group, &msg, 0), TOFU_INTERRUPTED);
		ck_assert(!is_raised(&side));
		ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
		ck_status(tofu_group_interrupt(side.group), TOFU_OK);
		ck_status(tofu_receive(side.group, &msg, 0), TOFU_INTERRUPTED);
		ck_assert(is_raised(&side)); /* by the update still */
		msg = take(&side);
		tofu_msg_put(&msg);
		ck_assert(!is_raised(&side));
	}
	engine_down(engine);
}
END_TEST

static atomic_bool enough;

static void interrupt_until_enough(void *context)
{
	const struct side *side = context;

	while (!atomic_load(&enough)) {
		ck_status(tofu_group_interrupt(side->group), TOFU_OK);
		os_pause();
	}
}

START_TEST(interrupts_under_load_cost_no_message_and_none_is_missed)
{
	struct pair p;
	struct tofu_thread thread;
	unsigned talked = rounds(2000), interrupted = 0;
	tofu_msg *msg;
	enum tofu_status st;

	pair_open(&p, _i, NULL);
	atomic_store(&enough, false);
	ck_status(tofu_thread_start(&thread, interrupt_until_enough, &p.server), TOFU_OK);
	for (unsigned i = 0; i < talked; i++) {
		say(&p.client, p.client_channel, TOFU_SIGNAL, i + 1, NULL);
		while ((st = tofu_receive(p.server.group, &msg, PATIENCE_NS)) == TOFU_INTERRUPTED)
			interrupted++;
		ck_status(st, TOFU_OK);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, i + 1);
		tofu_msg_put(&msg);
	}
	while (tofu_receive(p.server.group, &msg, PATIENCE_NS) != TOFU_INTERRUPTED)
		ck_abort_msg("no interrupt, though they do not end");
	atomic_store(&enough, true);
	tofu_thread_join(&thread);
	(void)tofu_receive(p.server.group, &msg, 0); /* the last one, perhaps */
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(an_interrupt_does_not_end_a_drain)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct raw peer;
	struct tofu_header h;
	struct waiter w;
	tofu_msg *msg;
	intptr_t listener;
	char address[600];

	listener = raw_listen(_i, address, sizeof address);
	h = call(&side, address, NULL);
	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	(void)fill_queue(&side, h.channel, 0, 60000);
	waiter_start(&w, side, true);
	ck_status(tofu_group_interrupt(side.group), TOFU_OK);
	ck_status(tofu_receive(side.group, &msg, TOFU_FOREVER), TOFU_INTERRUPTED);
	must(os_await_sleeping(atomic_load(&w.id)), "the drain does not wait any more");
	raw_hang_up(&peer, TOFU_CLOSE_ABORT); /* given back is drained, too */
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_OK);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(engine);
}
END_TEST

START_TEST(an_interrupt_of_no_group_or_of_a_shell_is_refused)
{
	tofu_engine *engine = engine_up(NULL);
	tofu_group *group;
	tofu_msg *msg;

	ck_status(tofu_group_interrupt(NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_create(engine, &group), TOFU_OK);
	ck_status(tofu_group_interrupt(group), TOFU_OK);
	engine_down(engine);
	ck_status(tofu_group_interrupt(group), TOFU_SHUTDOWN_STARTED);
	ck_status(tofu_receive(group, &msg, TOFU_FOREVER), TOFU_SHUTDOWN_STARTED);
	ck_status(tofu_group_destroy(group), TOFU_OK);
}
END_TEST

/* drain */

START_TEST(drain_of_nothing_is_done_at_once)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);

	ck_status(tofu_group_drain(side.group, 0), TOFU_OK);
	ck_status(tofu_group_drain(side.group, TOFU_FOREVER), TOFU_OK);
	engine_down(engine);
}
END_TEST

/* Nothing is lost to a peer when a group is destroyed right after it was drained. */
START_TEST(what_was_drained_arrives)
{
	enum { POSTED = 300 };
	struct tofu_options options = options_with_pool(1024);
	struct pair p;
	tofu_msg *msg;

	pair_open_apart(&p, _i, &options, &options);
	for (uint64_t i = 0; i < POSTED; i++) {
		msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, NULL);
		number_body(msg, i, number_length(i));
		post(&p.client, &msg);
	}
	drain_group(p.client.group);
	ck_assert_uint_ge(stats_of(p.client.engine).messages_sent, POSTED + 1);
	side_down(&p.client);
	for (uint64_t i = 0; i < POSTED; i++) {
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		must(number_of(msg) == i, "out of order");
		tofu_msg_put(&msg);
	}
	expect_end(&p.server, p.server_channel, p.hello, TOFU_PEER_DISCONNECTED);
	pair_close(&p);
}
END_TEST

/* Written is not arrived: what the system still holds goes out when the group is gone. */
START_TEST(what_was_drained_arrives_at_one_that_reads_later)
{
	enum { POSTED = 5 };
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[300];
	intptr_t listener = raw_listen(_i, address, sizeof address);
	struct raw_frame frame;
	struct raw peer;
	struct tofu_header h = call(&side, address, NULL);

	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	for (uint64_t i = 0; i < POSTED; i++) {
		tofu_msg *msg = message(&side, TOFU_REQUEST, h.channel, 0, NULL);

		number_body(msg, i, _i == OVER_TCP ? 60000 : 20000);
		post(&side, &msg);
	}
	drain_group(side.group);
	side_down(&side);
	for (uint64_t i = 0; i < POSTED; i++) {
		frame = raw_expect(&peer, TOFU_REQUEST);
		ck_assert_uint_eq(number_in(frame.body, frame.body_len), i);
	}
	ck_assert_int_eq(os_read_to_end(peer.socket, PATIENCE_NS), OS_FIN);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(engine);
}
END_TEST

/* Whichever thread has the turn by then. */
START_TEST(a_drain_ends_when_the_last_message_is_written)
{
	enum { ROUNDS = 200 };
	struct pair p;
	tofu_msg *msg;

	pair_open_apart(&p, _i, NULL, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i <= round % 5; i++)
			say(&p.client, p.client_channel, TOFU_SIGNAL, 0, NULL);
		drain_group(p.client.group);
		for (int i = 0; i <= round % 5; i++) {
			msg = expect_peer(&p.server, TOFU_SIGNAL);
			tofu_msg_put(&msg);
		}
	}
	pair_close(&p);
}
END_TEST

START_TEST(drain_gives_timeout_while_the_peer_does_not_read)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[300];
	intptr_t listener = raw_listen(_i, address, sizeof address);
	struct raw peer;
	struct tofu_header h = call(&side, address, NULL);
	uint64_t end;
	tofu_msg *msg;

	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	end = fill_queue(&side, h.channel, 0, 60000);
	ck_status(tofu_group_drain(side.group, 0), TOFU_TIMEOUT);
	ck_status(tofu_group_drain(side.group, 50 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	/* Given back is drained, too. */
	raw_hang_up(&peer, TOFU_CLOSE_ABORT);
	drain_group(side.group);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, over_cut(_i));
	tofu_msg_put(&msg);
	must(expect_tail(&side, h.channel, h.id, end, over_cut(_i)) < end, "nothing came back");
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(engine);
}
END_TEST

START_TEST(drain_of_a_group_does_not_wait_for_another)
{
	struct pair p;
	struct side other;
	uint64_t end;
	struct raw peer;
	struct tofu_header h;
	char address[300];
	intptr_t listener;

	pair_open(&p, _i, NULL);
	listener = raw_listen(_i, address, sizeof address);
	other = side_in(p.server.engine);
	h = call(&other, address, NULL);
	raw_accept(&peer, listener);
	end = fill_queue(&other, h.channel, 0, 60000);
	ck_assert_uint_gt(end, 0);
	pair_talk(&p);
	drain_group(p.client.group);
	drain_group(p.server.group);
	ck_status(tofu_group_drain(other.group, 0), TOFU_TIMEOUT);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
	pair_close(&p);
}
END_TEST

/* several */

START_TEST(groups_of_one_engine_do_not_mix)
{
	enum { PAIRS = 8 };
	struct pair pairs[PAIRS];
	tofu_engine *engine = engine_up(NULL);

	for (int i = 0; i < PAIRS; i++)
		pair_between(&pairs[i], over_some(i), side_in(engine), side_in(engine));
	for (int n = 0; n < 20; n++)
		for (int i = 0; i < PAIRS; i++)
			pair_talk(&pairs[(i * 5 + n) % PAIRS]);
	for (int i = 0; i < PAIRS; i++)
		pair_bye(&pairs[i]);
	for (int i = 0; i < PAIRS; i++) {
		expect_silence(&pairs[i].client);
		expect_silence(&pairs[i].server);
	}
	engine_down(engine);
}
END_TEST

START_TEST(several_engines_live_in_one_process)
{
	enum { ENGINES = 4 };
	tofu_engine *engines[ENGINES];
	struct pair pairs[ENGINES];
	int before = os_descriptors();

	for (int i = 0; i < ENGINES; i++)
		engines[i] = engine_up(NULL);
	for (int i = 0; i < ENGINES; i++)
		pair_between(&pairs[i], over_some(i), side_in(engines[i]), side_in(engines[(i + 1) % ENGINES]));
	for (int n = 0; n < 20; n++)
		for (int i = 0; i < ENGINES; i++)
			pair_talk(&pairs[i]);
	/* One less: its peers hear of it, the others go on. */
	engine_down(engines[0]);
	expect_end(&pairs[ENGINES - 1].server, pairs[ENGINES - 1].server_channel, pairs[ENGINES - 1].hello,
	           TOFU_PEER_DISCONNECTED);
	expect_end(&pairs[0].client, pairs[0].client_channel, pairs[0].hello, TOFU_PEER_DISCONNECTED);
	pair_talk(&pairs[1]);
	pair_talk(&pairs[2]);
	for (int i = 1; i < ENGINES; i++)
		engine_down(engines[i]);
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

/* destroying */

START_TEST(null_arguments_give_not_allowed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_group *group = side.group;
	tofu_msg *msg;
	intptr_t pollable;

	ck_status(tofu_group_create(NULL, &group), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_create(engine, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_destroy(NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_receive(NULL, &msg, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_receive(side.group, NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_update_receiver(NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_drain(NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_pollable(NULL, &pollable), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_pollable(side.group, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_create(NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_stats(engine, NULL), TOFU_NOT_ALLOWED);
	tofu_engine_destroy(NULL);
	engine_down(engine);
}
END_TEST

START_TEST(destroying_a_group_closes_its_channels_without_notices)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	/* In flight: one that nobody received, one that nobody will. */
	say(&p.server, p.server_channel, TOFU_SIGNAL, 0, NULL);
	say(&p.client, p.client_channel, TOFU_SIGNAL, 0, NULL);
	side_down(&p.server);
	while (!is_closed_notice(msg = take(&p.client)))
		tofu_msg_put(&msg);
	ck_assert_uint_eq(tofu_msg_header(msg)->channel, p.client_channel);
	tofu_msg_put(&msg);
	expect_silence(&p.client);
	/* Its numbers and its address went with it. */
	ck_status(try_say(&p.client, p.server_channel, TOFU_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	ck_status(try_say(&p.client, p.at.channel, TOFU_BYE_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	call_fails(&p.client, p.at.address, over_nobody(_i));
	eventually(stats_of(p.client.engine).messages_out == 0);
	pair_close(&p);
}
END_TEST

START_TEST(a_receive_that_waits_in_a_group_being_destroyed_gives_shutdown_started)
{
	tofu_engine *engine = engine_up(NULL);
	struct waiter w;

	waiter_start(&w, side_in(engine), false);
	side_down(&w.side);
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_SHUTDOWN_STARTED);
	ck_assert_ptr_null(w.msg);
	engine_down(engine);
}
END_TEST

START_TEST(a_receive_that_waits_in_an_engine_being_destroyed_gives_shutdown_started)
{
	tofu_engine *engine = engine_up(NULL);
	struct waiter w[3];

	for (int i = 0; i < 3; i++)
		waiter_start(&w[i], side_in(engine), false);
	engine_down(engine);
	for (int i = 0; i < 3; i++) {
		tofu_thread_join(&w[i].thread);
		ck_status(w[i].status, TOFU_SHUTDOWN_STARTED);
	}
}
END_TEST

START_TEST(a_drain_that_waits_in_an_engine_being_destroyed_gives_shutdown_started)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[300];
	intptr_t listener = raw_listen(_i, address, sizeof address);
	struct tofu_header h = call(&side, address, NULL);
	struct waiter w;

	(void)fill_queue(&side, h.channel, 0, 60000);
	waiter_start(&w, side, true);
	engine_down(engine);
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_SHUTDOWN_STARTED);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (_i == OVER_UDS)
		os_file_remove(path_of(address));
}
END_TEST

START_TEST(an_engine_is_destroyed_with_everything_in_flight)
{
	struct pair p;

	pair_open_apart(&p, _i, NULL, NULL);
	for (int turn = 0; turn < 200; turn++) {
		tofu_msg *msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, NULL);

		number_body(msg, (uint64_t)turn, number_length((uint64_t)turn));
		if (tofu_post(p.client.group, &msg, NULL) != TOFU_OK)
			tofu_msg_put(&msg);
	}
	ck_status(tofu_update_receiver(p.client.group, NULL), TOFU_OK);
	pair_close(&p); /* the client's first, then the server's, in which messages wait */
}
END_TEST

START_TEST(an_engine_with_nothing_in_it_is_created_and_destroyed_a_hundred_times)
{
	int before = os_descriptors();

	for (unsigned i = 0; i < rounds(100); i++) {
		tofu_engine *engine = engine_up(NULL);

		if (i % 2 == 0)
			(void)side_in(engine);
		engine_down(engine);
	}
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

/* One that waits as a foreign loop does. */
struct watcher {
	struct tofu_thread thread;
	intptr_t pollable;
	atomic_llong id;
	unsigned ready;
};

static void watch_once(void *context)
{
	struct watcher *w = context;

	atomic_store(&w->id, os_thread_id());
	w->ready = os_wait(w->pollable, OS_READABLE, PATIENCE_NS);
}

START_TEST(a_wait_on_a_pollable_ends_when_the_engine_is_destroyed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct watcher w = { .ready = 0 };

	ck_status(tofu_group_pollable(side.group, &w.pollable), TOFU_OK);
	ck_status(tofu_thread_start(&w.thread, watch_once, &w), TOFU_OK);
	eventually(atomic_load(&w.id) != 0);
	must(os_await_sleeping(atomic_load(&w.id)), "the thread does not wait");
	tofu_engine_destroy(engine);
	tofu_thread_join(&w.thread);
	ck_assert_uint_ne(w.ready, 0);
	side_down(&side);
	tofu_deinit();
}
END_TEST

static void expect_shell(tofu_group *group, tofu_msg **own)
{
	tofu_msg *msg = (tofu_msg *)&msg;
	intptr_t handle = 1;

	ck_status(tofu_receive(group, &msg, TOFU_FOREVER), TOFU_SHUTDOWN_STARTED);
	ck_assert_ptr_null(msg);
	ck_status(tofu_receive(group, &msg, 0), TOFU_SHUTDOWN_STARTED);
	ck_status(tofu_post(group, own, NULL), TOFU_SHUTDOWN_STARTED);
	ck_assert_ptr_nonnull(*own);
	ck_status(tofu_update_receiver(group, NULL), TOFU_SHUTDOWN_STARTED);
	ck_status(tofu_update_receiver(group, own), TOFU_SHUTDOWN_STARTED);
	ck_assert_ptr_nonnull(*own);
	ck_status(tofu_group_drain(group, TOFU_FOREVER), TOFU_SHUTDOWN_STARTED);
	ck_status(tofu_group_pollable(group, &handle), TOFU_SHUTDOWN_STARTED);
	ck_assert_int_eq(handle, TOFU_NO_SOCKET);
	ck_status(tofu_receive(group, NULL, 0), TOFU_NOT_ALLOWED);
}

/* Whether nobody had received yet (1), something was left of what was fetched (2), or nothing had come (0). */
START_TEST(a_group_outlives_its_engine_as_a_shell)
{
	int before = os_descriptors();
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine), other = side_in(engine);
	tofu_msg *own = message(&other, TOFU_REQUEST, 1, 1, "mine");
	intptr_t pollable;

	ck_status(tofu_group_pollable(side.group, &pollable), TOFU_OK);
	for (int i = 0; _i > 0 && i < 3; i++)
		ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
	if (_i == 2) {
		tofu_msg *first = take(&side);

		tofu_msg_put(&first);
	}
	tofu_engine_destroy(engine);
	expect_shell(side.group, &own);
	expect_shell(other.group, &own);
	ck_assert_uint_ne(os_wait(pollable, OS_READABLE, 0), 0);
	side_down(&other);
	side_down(&side);
	tofu_msg_put(&own);
	tofu_deinit();
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

static void take_down(void *context)
{
	side_down(context);
}

/* As finalizers of other languages do, each on some thread. */
START_TEST(an_engine_and_its_groups_are_destroyed_by_several_threads_at_once)
{
	enum { GROUPS = 4 };
	int before = os_descriptors();

	for (unsigned i = 0; i < rounds(200); i++) {
		struct tofu_thread threads[GROUPS];
		struct side sides[GROUPS];
		tofu_engine *engine = engine_up(NULL);

		for (int n = 0; n < GROUPS; n++)
			sides[n] = side_in(engine);
		for (int n = 0; n < GROUPS; n++)
			ck_status(tofu_thread_start(&threads[n], take_down, &sides[n]), TOFU_OK);
		tofu_engine_destroy(engine);
		for (int n = 0; n < GROUPS; n++)
			tofu_thread_join(&threads[n]);
		tofu_deinit();
	}
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

START_TEST(messages_outlive_their_engine)
{
	struct pair p;
	tofu_msg *fresh, *received, *copy;
	struct tofu_header h;

	pair_open(&p, _i, NULL);
	fresh = message(&p.client, TOFU_REQUEST, 1, 1, "fresh");
	h = say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "received");
	received = expect_on(&p.server, p.server_channel, h.id, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	pair_close(&p);
	ck_assert(says(fresh, "fresh"));
	ck_assert(says(received, "received"));
	ck_status(tofu_msg_clone(received, &copy), TOFU_OK);
	ck_status(tofu_msg_headers_add(fresh, "still", "usable"), TOFU_OK);
	number_body(fresh, 1, 10000);
	tofu_msg_put(&received);
	ck_assert(says(copy, "received"));
	tofu_msg_put(&fresh);
	tofu_msg_put(&copy);
}
END_TEST

START_TEST(messages_of_one_engine_may_be_posted_in_another)
{
	struct pair p;
	tofu_engine *other = engine_up(NULL);
	struct side elsewhere = side_in(other);
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	msg = message(&elsewhere, TOFU_SIGNAL, p.client_channel, 0, "a stranger");
	post(&p.client, &msg);
	msg = expect_peer(&p.server, TOFU_SIGNAL);
	ck_assert(says(msg, "a stranger"));
	tofu_msg_put(&msg);
	eventually(stats_of(other).messages_out == 0);
	engine_down(p.client.engine);
	engine_down(other);
}
END_TEST

static Suite *suite_of_group(void)
{
	Suite *suite = suite_create("group");
	TCase *receive = suite_case(suite, "receive", 30), *update = suite_case(suite, "update", 30);
	TCase *interrupt = suite_case(suite, "interrupt", 30);
	TCase *pollable = suite_case(suite, "pollable", 30), *drain = suite_case(suite, "drain", 30);
	TCase *several = suite_case(suite, "several", 30), *destroy = suite_case(suite, "destroy", 60);

	tcase_add_test(receive, receive_gives_timeout_when_nothing_comes);
	over_add(receive, a_message_wakes_a_thread_that_waits_for_ever, 1);
	tcase_add_test(update, an_update_without_a_message_is_an_empty_signal);
	tcase_add_test(update, an_update_with_a_message_keeps_all_but_its_status);
	tcase_add_test(update, updates_of_many_threads_all_arrive_each_threads_in_order);
	tcase_add_test(update, an_update_wakes_a_thread_that_waits_for_ever);
	tcase_add_test(update, no_wake_up_is_lost_between_threads);
	over_add(pollable, a_pollable_is_raised_as_long_as_messages_wait, 1);
	tcase_add_test(pollable, a_pollable_is_raised_by_updates);
	tcase_add_test(pollable, a_pollable_asked_for_late_is_raised_at_once);
	over_add(pollable, a_foreign_loop_on_pollables_misses_nothing, 1);
	tcase_add_test(interrupt, an_interrupt_ends_a_receive_that_waits_for_ever);
	tcase_add_loop_test(interrupt, an_interrupt_while_nobody_receives_ends_the_next_one_and_only_that, 0, 3);
	tcase_add_test(interrupt, an_interrupt_comes_before_messages_and_takes_none_away);
	tcase_add_loop_test(interrupt, a_pollable_is_raised_as_long_as_an_interrupt_is_pending, 0, 2);
	over_add(interrupt, interrupts_under_load_cost_no_message_and_none_is_missed, 1);
	over_sockets_add(interrupt, an_interrupt_does_not_end_a_drain, 1);
	tcase_add_test(interrupt, an_interrupt_of_no_group_or_of_a_shell_is_refused);
	tcase_add_test(drain, drain_of_nothing_is_done_at_once);
	over_add(drain, what_was_drained_arrives, 1);
	over_sockets_add(drain, what_was_drained_arrives_at_one_that_reads_later, 1);
	over_add(drain, a_drain_ends_when_the_last_message_is_written, 1);
	over_sockets_add(drain, drain_gives_timeout_while_the_peer_does_not_read, 1);
	over_sockets_add(drain, drain_of_a_group_does_not_wait_for_another, 1);
	tcase_add_test(several, groups_of_one_engine_do_not_mix);
	tcase_add_test(several, several_engines_live_in_one_process);
	tcase_add_test(destroy, null_arguments_give_not_allowed);
	over_add(destroy, destroying_a_group_closes_its_channels_without_notices, 1);
	tcase_add_test(destroy, a_receive_that_waits_in_a_group_being_destroyed_gives_shutdown_started);
	tcase_add_test(destroy, a_receive_that_waits_in_an_engine_being_destroyed_gives_shutdown_started);
	over_sockets_add(destroy, a_drain_that_waits_in_an_engine_being_destroyed_gives_shutdown_started, 1);
	over_add(destroy, an_engine_is_destroyed_with_everything_in_flight, 1);
	tcase_add_test(destroy, an_engine_with_nothing_in_it_is_created_and_destroyed_a_hundred_times);
	tcase_add_test(destroy, a_wait_on_a_pollable_ends_when_the_engine_is_destroyed);
	tcase_add_loop_test(destroy, a_group_outlives_its_engine_as_a_shell, 0, 3);
	tcase_add_test(destroy, an_engine_and_its_groups_are_destroyed_by_several_threads_at_once);
	over_add(destroy, messages_outlive_their_engine, 1);
	over_add(destroy, messages_of_one_engine_may_be_posted_in_another, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_group());
}
