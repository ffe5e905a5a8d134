/* SPDX-License-Identifier: MIT */

/*
 * An engine without a thread (TOFU_IO_CALLER): the threads that wait in it do its work. What all engines do is tested
 * elsewhere, and runs in this way as well with TOFU_TEST_IO=caller.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/engine.h"

static struct tofu_options of_callers(void)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.io = TOFU_IO_CALLER;
	return options;
}

static tofu_engine *callers_engine(void)
{
	struct tofu_options options = of_callers();

	return engine_up(&options);
}

/* One engine without a thread, two groups, one connection. */
static void callers_pair(struct pair *p, int transport)
{
	struct tofu_options options = of_callers();

	pair_open(p, transport, &options);
}

/* The client's engine has no thread, the server's has one. */
static void mixed_pair(struct pair *p, int transport)
{
	int before = os_descriptors();
	tofu_engine *server = engine_up(NULL), *client = callers_engine();
	tofu_msg *msg;

	p->server = side_in(server);
	p->client = side_in(client);
	listen_over(&p->server, transport, &p->at);
	p->hello = call(&p->client, p->at.address, NULL).id;
	do /* the server does not answer before we have worked, and we do not wait for an answer that is not asked for */
		(void)tofu_engine_run(client, TOFU_NS_PER_MS);
	while (tofu_receive(p->server.group, &msg, 0) != TOFU_OK);
	p->server_channel = tofu_msg_header(msg)->channel;
	answer(&p->server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&p->client, TOFU_HELLO_RESPONSE);
	p->client_channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	p->descriptors = before;
}

/* --- what a caller drives --- */

START_TEST(an_engine_of_callers_has_no_thread)
{
	int before = os_threads();
	tofu_engine *engine = callers_engine();

	ck_assert_int_eq(os_threads(), before);
	engine_down(engine);
}
END_TEST

START_TEST(two_groups_of_one_thread_meet_talk_and_part)
{
	int before = os_threads();
	struct pair p;

	callers_pair(&p, _i);
	for (int i = 0; i < 100; i++)
		pair_talk(&p);
	pair_bye(&p);
	expect_silence(&p.client);
	expect_silence(&p.server);
	ck_assert_int_eq(os_threads(), before);
	pair_close(&p);
}
END_TEST

START_TEST(a_receive_without_time_looks_once)
{
	struct pair p;
	tofu_msg *msg;

	mixed_pair(&p, _i);
	ck_status(tofu_receive(p.client.group, &msg, 0), TOFU_TIMEOUT);
	say(&p.server, p.server_channel, TOFU_SIGNAL, 7, "are you there?");
	drain_group(p.server.group); /* it is written */
	eventually(tofu_receive(p.client.group, &msg, 0) == TOFU_OK);
	ck_assert(says(msg, "are you there?"));
	tofu_msg_put(&msg);
	pair_close(&p);
}
END_TEST

START_TEST(a_receive_waits_as_long_as_it_is_told)
{
	tofu_engine *engine = callers_engine();
	struct side side = side_in(engine);
	int64_t begin = tofu_plat_now_ns();
	tofu_msg *msg;

	ck_status(tofu_receive(side.group, &msg, 50 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	must(tofu_plat_now_ns() - begin >= 50 * TOFU_NS_PER_MS, "it came back early");
	must(tofu_plat_now_ns() - begin < 5 * TOFU_NS_PER_S, "it came back late");
	engine_down(engine);
}
END_TEST

START_TEST(a_receive_that_waits_makes_no_wake_ups)
{
	struct pair p;

	callers_pair(&p, _i);
	comes_to_rest(&p.client, TOFU_NS_PER_S / 2);
	pair_close(&p);
}
END_TEST

START_TEST(drain_returns_when_all_is_written)
{
	struct pair p;
	uint64_t sent;

	mixed_pair(&p, _i);
	sent = stats_of(p.client.engine).messages_sent;
	for (int i = 0; i < 100; i++)
		say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "one of many");
	drain_group(p.client.group);
	ck_assert_uint_eq(stats_of(p.client.engine).messages_sent - sent, 100);
	for (int i = 0; i < 100; i++) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(a_group_is_destroyed_with_its_channels_while_nobody_calls)
{
	struct pair p;
	tofu_msg *msg;

	mixed_pair(&p, _i);
	side_down(&p.client);
	msg = take(&p.server);
	ck_assert(is_closed_notice(msg));
	ck_assert_uint_eq(tofu_msg_header(msg)->reason, TOFU_PEER_DISCONNECTED);
	tofu_msg_put(&msg);
	ck_assert_uint_eq(connections_of(p.client.engine), 0);
	pair_close(&p);
}
END_TEST

START_TEST(a_channel_whose_time_is_over_ends_while_its_group_is_waited_in)
{
	struct tofu_options options = of_callers();
	tofu_engine *engine;
	struct tofu_header h;
	struct side side;
	char address[600];
	struct raw peer;
	intptr_t listener;
	tofu_msg *msg;

	options.handshake_timeout_ms = 200;
	engine = engine_up(&options);
	listener = raw_listen(_i, address, sizeof address);
	side = side_in(engine);
	h = call(&side, address, "to somebody who does not answer");
	raw_accept(&peer, listener);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_TIMEOUT);
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, TOFU_TIMEOUT);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

/* --- posting --- */

START_TEST(a_lone_message_is_written_by_the_post)
{
	struct pair p;

	mixed_pair(&p, _i);
	for (int i = 0; i < 20; i++) {
		tofu_msg *msg;

		tofu_plat_sleep(TOFU_NS_PER_MS); /* longer than what is gathered */
		say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "nobody calls after this");
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(what_was_gathered_is_written_with_the_next_lone_message)
{
	struct pair p;
	uint64_t next = 0;

	mixed_pair(&p, _i);
	for (int i = 0; i < 20; i++)
		say(&p.client, p.client_channel, TOFU_SIGNAL, (uint64_t)i + 1, NULL);
	tofu_plat_sleep(TOFU_NS_PER_MS);
	say(&p.client, p.client_channel, TOFU_SIGNAL, 21, NULL);
	while (next < 21) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

		ck_assert_uint_eq(tofu_msg_header(msg)->id, ++next);
		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(many_messages_are_written_without_a_call)
{
	enum { MANY = 1000, GATHERED_MOST = 511 };
	struct pair p;

	mixed_pair(&p, OVER_TCP);
	for (int i = 0; i < MANY; i++)
		say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "one of many");
	for (int i = 0; i < MANY - GATHERED_MOST; i++) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

		tofu_msg_put(&msg);
	}
	pair_close(&p);
}
END_TEST

START_TEST(a_peer_that_is_called_by_post_alone_hears_hello)
{
	tofu_engine *engine = callers_engine();
	struct side side = side_in(engine);
	char address[600];
	struct raw peer;
	intptr_t listener = raw_listen(_i, address, sizeof address);

	call(&side, address, "hello");
	raw_accept(&peer, listener); /* connecting needs no call; hello may, where a connect takes its time */
	(void)tofu_engine_run(engine, TOFU_NS_PER_S / 10);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

/* --- run, pollable, timeout --- */

START_TEST(run_says_timeout_when_nothing_happens)
{
	tofu_engine *engine = callers_engine();
	int64_t begin = tofu_plat_now_ns();

	ck_status(tofu_engine_run(engine, 0), TOFU_TIMEOUT);
	ck_status(tofu_engine_run(engine, 50 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	must(tofu_plat_now_ns() - begin >= 50 * TOFU_NS_PER_MS, "it came back early");
	engine_down(engine);
}
END_TEST

START_TEST(run_returns_when_some_group_has_got_something)
{
	struct pair p;
	tofu_msg *msg;

	mixed_pair(&p, _i);
	(void)side_in(p.client.engine); /* another one, that gets nothing */
	say(&p.server, p.server_channel, TOFU_SIGNAL, 0, "for the first");
	do
		ck_status(tofu_engine_run(p.client.engine, PATIENCE_NS), TOFU_OK);
	while (tofu_receive(p.client.group, &msg, 0) != TOFU_OK);
	ck_assert(says(msg, "for the first"));
	tofu_msg_put(&msg);
	pair_close(&p);
}
END_TEST

START_TEST(run_ends_with_an_interrupt)
{
	tofu_engine *engine = callers_engine();
	struct side side = side_in(engine);
	tofu_msg *msg;

	works(tofu_group_interrupt(side.group));
	ck_status(tofu_engine_run(engine, TOFU_FOREVER), TOFU_OK);
	ck_status(tofu_receive(side.group, &msg, TOFU_FOREVER), TOFU_INTERRUPTED);
	engine_down(engine);
}
END_TEST

START_TEST(an_engine_with_a_thread_is_not_to_be_run)
{
	tofu_engine *engine = engine_up(&(struct tofu_options){ .size = sizeof(struct tofu_options) });
	intptr_t pollable = 0;

	ck_status(tofu_engine_run(engine, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_run(NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_pollable(engine, &pollable), TOFU_NOT_ALLOWED);
	ck_assert_int_eq(pollable, TOFU_NO_SOCKET);
	ck_status(tofu_engine_pollable(NULL, &pollable), TOFU_NOT_ALLOWED);
	ck_assert_int_eq(tofu_engine_timeout(engine), -1);
	ck_assert_int_eq(tofu_engine_timeout(NULL), -1);
	engine_down(engine);
}
END_TEST

START_TEST(an_unknown_way_to_do_io_is_refused)
{
	struct tofu_options options = of_callers();
	tofu_engine *engine = (tofu_engine *)&options;

	works(tofu_init());
	memset(&options.io, 0x7f, sizeof options.io);
	ck_status(tofu_engine_create(&options, &engine), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(engine);
	tofu_deinit();
}
END_TEST

/* False: what the engine waits with cannot be waited on. */
static bool pollable_of(tofu_engine *engine, intptr_t *out)
{
	enum tofu_status st = tofu_engine_pollable(engine, out);

	if (st == TOFU_NOT_SUPPORTED) {
		ck_assert_int_eq(*out, TOFU_NO_SOCKET);
		return false;
	}
	works(st);
	while (tofu_engine_run(engine, 0) == TOFU_OK)
		;
	(void)tofu_engine_run(engine, 0); /* the look that it asks for at first */
	return true;
}

START_TEST(a_foreign_loop_is_told_of_a_peers_message)
{
	struct pair p;
	intptr_t pollable;
	tofu_msg *msg;

	mixed_pair(&p, _i);
	if (pollable_of(p.client.engine, &pollable)) {
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, 20 * TOFU_NS_PER_MS), 0);
		say(&p.server, p.server_channel, TOFU_SIGNAL, 0, "wake up");
		do {
			ck_assert_uint_eq(os_wait(pollable, OS_READABLE, PATIENCE_NS), OS_READABLE);
			(void)tofu_engine_run(p.client.engine, 0);
		} while (tofu_receive(p.client.group, &msg, 0) != TOFU_OK);
		ck_assert(says(msg, "wake up"));
		tofu_msg_put(&msg);
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, 20 * TOFU_NS_PER_MS), 0);
	}
	pair_close(&p);
}
END_TEST

/* Ten of them, so quickly that they are gathered: the loop has to be told. */
START_TEST(a_foreign_loop_is_told_of_what_another_thread_posts)
{
	struct pair p;
	struct signaller signaller;
	intptr_t pollable;

	mixed_pair(&p, _i);
	if (pollable_of(p.client.engine, &pollable)) {
		signaller = (struct signaller){ .side = p.client, .channel = p.client_channel, .count = 10 };
		works(tofu_thread_start(&signaller.thread, post_signals, &signaller));
		tofu_thread_join(&signaller.thread);
		while (os_wait(pollable, OS_READABLE, 20 * TOFU_NS_PER_MS) != 0)
			(void)tofu_engine_run(p.client.engine, 0);
		expect_signals(&p.server, 10);
	}
	pair_close(&p);
}
END_TEST

START_TEST(a_foreign_loop_is_told_how_long_it_may_wait)
{
	struct tofu_options options = of_callers();
	tofu_engine *engine;
	struct side side;
	char address[600];
	struct raw peer;
	intptr_t listener;
	int64_t begin = tofu_plat_now_ns();
	tofu_msg *msg = NULL;

	options.handshake_timeout_ms = 300;
	engine = engine_up(&options);
	listener = raw_listen(_i, address, sizeof address);
	side = side_in(engine);
	ck_assert_int_eq(tofu_engine_timeout(engine), -1);
	call(&side, address, "to somebody who does not answer");
	raw_accept(&peer, listener);
	while (tofu_receive(side.group, &msg, 0) == TOFU_TIMEOUT) {
		int64_t timeout_ns = tofu_engine_timeout(engine);

		must(timeout_ns >= 0 && timeout_ns <= 300 * TOFU_NS_PER_MS, "it says %" PRId64, timeout_ns);
		tofu_plat_sleep(timeout_ns);
		must(tofu_plat_now_ns() - begin < PATIENCE_NS, "its time is never over");
	}
	ck_assert_uint_eq(tofu_msg_header(msg)->status, TOFU_TIMEOUT);
	must(tofu_plat_now_ns() - begin >= 300 * TOFU_NS_PER_MS, "it ended early");
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

/* --- several threads --- */

struct waiter {
	struct side side;
	struct tofu_thread thread;
	atomic_llong id;
	atomic_bool done;
	enum tofu_status status;
	tofu_msg *msg;
};

static void wait_once(void *context)
{
	struct waiter *w = context;

	atomic_store(&w->id, os_thread_id());
	do {
		tofu_msg_put(&w->msg);
		w->status = tofu_receive(w->side.group, &w->msg, TOFU_FOREVER);
	} while (w->status == TOFU_OK && is_notice(w->msg, TOFU_SEND_READY)); /* that is for the thread that posts */
	atomic_store(&w->done, true);
}

static void waiter_start(struct waiter *w, struct side side)
{
	memset(w, 0, sizeof *w);
	w->side = side;
	works(tofu_thread_start(&w->thread, wait_once, w));
	eventually(atomic_load(&w->id) != 0);
	must(os_await_sleeping(atomic_load(&w->id)), "the thread does not wait");
}

static void waiter_gets(struct waiter *w, const char *text)
{
	tofu_thread_join(&w->thread);
	works(w->status);
	ck_assert(says(w->msg, text));
	tofu_msg_put(&w->msg);
}

START_TEST(a_thread_that_leads_hears_what_others_post)
{
	struct pair p;
	struct waiter w;
	struct signaller signaller;

	mixed_pair(&p, _i);
	waiter_start(&w, p.client);
	signaller = (struct signaller){ .side = p.client, .channel = p.client_channel, .count = 5000 };
	works(tofu_thread_start(&signaller.thread, post_signals, &signaller));
	expect_signals(&p.server, 5000);
	tofu_thread_join(&signaller.thread);
	say(&p.server, p.server_channel, TOFU_SIGNAL, 0, "the end");
	waiter_gets(&w, "the end");
	pair_close(&p);
}
END_TEST

/* The turn is ours: as if the turn of another thread, which posts, brought this to the group. */
static void hand_to(struct waiter *w)
{
	struct tofu_reactor *r = &w->side.engine->reactor;

	ck_assert(tofu_reactor_notify(r, w->side.group, 0, 1, TOFU_POOL_EMPTY));
	tofu_reactor_deliver(r);
}

static void waiter_is_handed_it(struct waiter *w)
{
	tofu_thread_join(&w->thread);
	works(w->status);
	ck_assert_uint_eq(tofu_msg_header(w->msg)->status, TOFU_POOL_EMPTY);
	tofu_msg_put(&w->msg);
}

START_TEST(what_comes_while_a_leader_waits_for_the_turn_is_not_missed)
{
	tofu_engine *engine = callers_engine();
	struct side side = side_in(engine);
	struct waiter w;

	tofu_reactor_hold_turn(&engine->reactor);
	waiter_start(&w, side);
	eventually(atomic_load(&engine->reactor.lead.taken));
	hand_to(&w);
	tofu_reactor_give_turn_back(&engine->reactor);
	waiter_is_handed_it(&w);
	engine_down(engine);
}
END_TEST

START_TEST(what_another_thread_brings_wakes_a_leader_in_the_poller)
{
	tofu_engine *engine = callers_engine();
	struct waiter w;

	waiter_start(&w, side_in(engine));
	eventually(atomic_load(&engine->reactor.lead.taken) && tofu_mailbox_is_asleep(&engine->mailbox));
	tofu_reactor_hold_turn(&engine->reactor);
	hand_to(&w);
	tofu_reactor_give_turn_back(&engine->reactor);
	waiter_is_handed_it(&w);
	engine_down(engine);
}
END_TEST

START_TEST(a_thread_that_leads_hears_of_an_update)
{
	tofu_engine *engine = callers_engine();
	struct waiter w;

	waiter_start(&w, side_in(engine));
	works(tofu_update_receiver(w.side.group, NULL));
	tofu_thread_join(&w.thread);
	works(w.status);
	ck_assert_uint_eq(tofu_msg_header(w.msg)->status, TOFU_RECEIVER_UPDATE);
	tofu_msg_put(&w.msg);
	engine_down(engine);
}
END_TEST

START_TEST(a_thread_that_leads_hears_of_an_interrupt)
{
	tofu_engine *engine = callers_engine();
	struct waiter w;

	waiter_start(&w, side_in(engine));
	works(tofu_group_interrupt(w.side.group));
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_INTERRUPTED);
	engine_down(engine);
}
END_TEST

START_TEST(a_thread_that_leads_leaves_when_its_group_is_destroyed)
{
	tofu_engine *engine = callers_engine();
	struct waiter w;

	waiter_start(&w, side_in(engine));
	side_down(&w.side);
	tofu_thread_join(&w.thread);
	ck_status(w.status, TOFU_SHUTDOWN_STARTED);
	engine_down(engine);
}
END_TEST

START_TEST(threads_that_lead_and_follow_leave_when_the_engine_is_destroyed)
{
	tofu_engine *engine = callers_engine();
	struct waiter w[4];

	for (size_t i = 0; i < 4; i++)
		waiter_start(&w[i], side_in(engine));
	engine_down(engine);
	for (size_t i = 0; i < 4; i++) {
		tofu_thread_join(&w[i].thread);
		ck_status(w[i].status, TOFU_SHUTDOWN_STARTED);
	}
}
END_TEST

START_TEST(a_group_is_destroyed_while_another_threads_group_leads)
{
	struct pair p;
	struct waiter w;

	callers_pair(&p, _i);
	waiter_start(&w, side_in(p.client.engine));
	side_down(&p.client);
	expect_end(&p.server, p.server_channel, p.hello, TOFU_PEER_DISCONNECTED);
	works(tofu_update_receiver(w.side.group, NULL));
	tofu_thread_join(&w.thread);
	tofu_msg_put(&w.msg);
	pair_close(&p);
}
END_TEST

/* The first to wait leads; it gets its message, and does not come back. The others must not wait for it. */
START_TEST(one_that_follows_leads_when_the_leader_has_gone)
{
	struct pair p[3];
	struct waiter w[3];
	tofu_engine *engine, *server = engine_up(NULL);
	struct side peers = side_in(server);

	engine = callers_engine();
	for (size_t i = 0; i < 3; i++) {
		struct tofu_header h;
		tofu_msg *msg;

		listen_over(&peers, _i, &p[i].at);
		p[i].client = side_in(engine);
		h = call(&p[i].client, p[i].at.address, NULL);
		do
			(void)tofu_engine_run(engine, TOFU_NS_PER_MS);
		while (tofu_receive(peers.group, &msg, 0) != TOFU_OK);
		p[i].server_channel = tofu_msg_header(msg)->channel;
		answer(&peers, &msg, TOFU_HELLO_RESPONSE);
		msg = expect_on(&p[i].client, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
		tofu_msg_put(&msg);
	}
	for (size_t i = 0; i < 3; i++)
		waiter_start(&w[i], p[i].client);
	for (size_t i = 0; i < 3; i++) {
		say(&peers, p[i].server_channel, TOFU_SIGNAL, 0, "your turn");
		waiter_gets(&w[i], "your turn");
	}
	engine_down(engine);
	engine_down(server);
}
END_TEST

/* Each answers the other, on a thread of its own, so that they lead in turn. */
START_TEST(threads_that_lead_in_turn_lose_nothing)
{
	struct pair p;
	struct echo echo;
	struct tofu_options options = of_callers();
	tofu_engine *engine = engine_up(&options);
	uint64_t turns = rounds(20000);

	echo_start(&echo, engine);
	p.client = side_in(engine);
	p.client_channel = call(&p.client, echo.at[_i].address, NULL).channel;
	tofu_msg *msg = expect_peer(&p.client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	for (uint64_t i = 1; i <= turns; i++) {
		say(&p.client, p.client_channel, TOFU_REQUEST, i, "ping");
		msg = expect_peer(&p.client, TOFU_RESPONSE);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, i);
		tofu_msg_put(&msg);
	}
	echo_stop(&echo);
	engine_down(engine);
}
END_TEST

/* A thread that only runs the engine, beside one that receives. */
struct runner {
	struct tofu_thread thread;
	tofu_engine *engine;
	atomic_bool stop;
};

static void run_on(void *context)
{
	struct runner *runner = context;

	while (!atomic_load(&runner->stop))
		(void)tofu_engine_run(runner->engine, TOFU_FOREVER);
}

START_TEST(a_thread_may_run_the_engine_beside_one_that_receives)
{
	struct pair p;
	struct runner runner = { .stop = false };

	callers_pair(&p, _i);
	runner.engine = p.client.engine;
	works(tofu_thread_start(&runner.thread, run_on, &runner));
	for (unsigned i = 0; i < rounds(2000); i++)
		pair_talk(&p);
	atomic_store(&runner.stop, true);
	works(tofu_group_interrupt(p.client.group));
	tofu_thread_join(&runner.thread);
	pair_close(&p);
}
END_TEST

/* --- the log --- */

static void note_thread(void *context, enum tofu_log_level level, const char *text)
{
	(void)level;
	(void)text;
	*(const void **)context = tofu_thread_self();
}

START_TEST(the_log_is_told_by_the_thread_that_receives)
{
	struct tofu_options options = of_callers();
	const void *told_by = NULL;
	struct listening at;
	struct raw peer;
	struct side side;
	tofu_msg *msg;

	options.log = note_thread;
	options.log_context = &told_by;
	side = side_in(engine_up(&options));
	listen_over(&side, _i, &at);
	raw_call(&peer, at.address);
	raw_write(&peer, "GET / HTTP/1.1\r\n\r\n", 18);
	for (int64_t until = tofu_plat_deadline(PATIENCE_NS); told_by == NULL && tofu_plat_now_ns() < until;)
		ck_status(tofu_receive(side.group, &msg, 10 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	ck_assert_ptr_eq(told_by, tofu_thread_self());
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_caller(void)
{
	Suite *suite = suite_create("caller");
	TCase *tc = suite_case(suite, "drives", 30);

	tcase_add_test(tc, an_engine_of_callers_has_no_thread);
	over_add(tc, two_groups_of_one_thread_meet_talk_and_part, 1);
	over_add(tc, a_receive_without_time_looks_once, 1);
	tcase_add_test(tc, a_receive_waits_as_long_as_it_is_told);
	over_add(tc, a_receive_that_waits_makes_no_wake_ups, 1);
	over_add(tc, drain_returns_when_all_is_written, 1);
	over_add(tc, a_group_is_destroyed_with_its_channels_while_nobody_calls, 1);
	over_plain_sockets_add(tc, a_channel_whose_time_is_over_ends_while_its_group_is_waited_in, 1);
	tc = suite_case(suite, "posting", 30);
	over_add(tc, a_lone_message_is_written_by_the_post, 1);
	over_add(tc, what_was_gathered_is_written_with_the_next_lone_message, 1);
	over_need(tc, many_messages_are_written_without_a_call, OVER_TCP); /* which takes that much, read or not */
	over_plain_sockets_add(tc, a_peer_that_is_called_by_post_alone_hears_hello, 1);
	tc = suite_case(suite, "run", 30);
	tcase_add_test(tc, run_says_timeout_when_nothing_happens);
	over_add(tc, run_returns_when_some_group_has_got_something, 1);
	tcase_add_test(tc, run_ends_with_an_interrupt);
	tcase_add_test(tc, an_engine_with_a_thread_is_not_to_be_run);
	tcase_add_test(tc, an_unknown_way_to_do_io_is_refused);
	over_add(tc, a_foreign_loop_is_told_of_a_peers_message, 1);
	over_add(tc, a_foreign_loop_is_told_of_what_another_thread_posts, 1);
	over_plain_sockets_add(tc, a_foreign_loop_is_told_how_long_it_may_wait, 1);
	tc = suite_case(suite, "threads", 60);
	over_add(tc, a_thread_that_leads_hears_what_others_post, 1);
	tcase_add_test(tc, what_comes_while_a_leader_waits_for_the_turn_is_not_missed);
	tcase_add_test(tc, what_another_thread_brings_wakes_a_leader_in_the_poller);
	tcase_add_test(tc, a_thread_that_leads_hears_of_an_update);
	tcase_add_test(tc, a_thread_that_leads_hears_of_an_interrupt);
	tcase_add_test(tc, a_thread_that_leads_leaves_when_its_group_is_destroyed);
	tcase_add_test(tc, threads_that_lead_and_follow_leave_when_the_engine_is_destroyed);
	over_add(tc, a_group_is_destroyed_while_another_threads_group_leads, 1);
	over_add(tc, one_that_follows_leads_when_the_leader_has_gone, 1);
	over_add(tc, threads_that_lead_in_turn_lose_nothing, 1);
	over_add(tc, a_thread_may_run_the_engine_beside_one_that_receives, 1);
	tc = suite_case(suite, "log", 30);
	over_plain_sockets_add(tc, the_log_is_told_by_the_thread_that_receives, 1);
	return suite;
}

int main(void)
{
	os_set_variable("TOFU_TEST_IO", NULL); /* here it is the test that chooses */
	return harness_run(suite_of_caller());
}
