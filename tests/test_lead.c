/* SPDX-License-Identifier: MIT */

/*
 * The engine's thread lends the lead to the only thread that waits for messages (reactor/drive.h): that one then does the
 * engine's work, and nothing that others do may depend on which of the two it is.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/engine.h"

/* An engine whose client side a thread of its own receives from; the server is another engine's. */
struct leader {
	struct pair p;
	struct tofu_thread thread;
	atomic_bool done;
	enum tofu_status status;
	tofu_msg *msg;
};

static struct tofu_lead *lead_of(tofu_engine *engine)
{
	return &engine->reactor.lead;
}

/* Another thread leads, and the engine's stands by. */
static bool is_lent(tofu_engine *engine)
{
	struct tofu_lead *l = lead_of(engine);
	bool lent;

	tofu_mutex_lock(&l->lock);
	lent = l->lent && atomic_load(&l->taken);
	tofu_mutex_unlock(&l->lock);
	return lent;
}

/* One of the lead's counters. */
static uint64_t counted(struct tofu_lead *l, const uint64_t *counter)
{
	uint64_t count;

	tofu_mutex_lock(&l->lock);
	count = *counter;
	tofu_mutex_unlock(&l->lock);
	return count;
}

static uint64_t times_led(tofu_engine *engine)
{
	return counted(lead_of(engine), &lead_of(engine)->times);
}

/* Receives until something other than "more" comes; that there is room again concerns the thread that posts. */
static void receive_on(void *context)
{
	struct leader *l = context;

	for (;;) {
		l->status = tofu_receive(l->p.client.group, &l->msg, TOFU_FOREVER);
		if (l->status != TOFU_OK || (!says(l->msg, "more") && !is_notice(l->msg, TOFU_SEND_READY)))
			break;
		tofu_msg_put(&l->msg);
	}
	atomic_store(&l->done, true);
}

static void say_more(struct leader *l, const char *text)
{
	say(&l->p.server, l->p.server_channel, TOFU_SIGNAL, 0, text);
}

/* When it returns, the thread leads, and sleeps in the poller. */
static void leader_begin(struct leader *l)
{
	works(tofu_thread_start(&l->thread, receive_on, l));
	for (int64_t until_ns = tofu_plat_deadline(PATIENCE_NS); !is_lent(l->p.client.engine);) {
		must(tofu_plat_now_ns() < until_ns, "it never leads");
		say_more(l, "more");
		os_pause();
	}
}

static void leader_start(struct leader *l, int transport)
{
	memset(l, 0, sizeof *l);
	pair_open_apart(&l->p, transport, NULL, NULL);
	leader_begin(l);
}

static void leader_gets(struct leader *l, const char *text)
{
	tofu_thread_join(&l->thread);
	works(l->status);
	ck_assert(says(l->msg, text));
	tofu_msg_put(&l->msg);
}

START_TEST(one_that_receives_and_comes_back_leads)
{
	enum { TIMES = 200 };
	struct leader l;

	leader_start(&l, _i);
	for (int i = 0; i < TIMES; i++) {
		uint64_t before = times_led(l.p.client.engine);

		for (int64_t until_ns = tofu_plat_deadline(PATIENCE_NS); times_led(l.p.client.engine) == before;) {
			must(tofu_plat_now_ns() < until_ns, "it led %d times", i);
			say_more(&l, "more");
			os_pause();
		}
	}
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	pair_close(&l.p);
}
END_TEST

START_TEST(with_the_engines_thread_only_nobody_else_leads)
{
	struct tofu_options options;
	struct pair p;

	tofu_options_init(&options, sizeof options);
	options.io = TOFU_IO_THREAD_ONLY;
	pair_open(&p, _i, &options);
	for (int i = 0; i < 1000; i++)
		pair_talk(&p);
	ck_assert_uint_eq(times_led(p.client.engine), 0);
	pair_close(&p);
}
END_TEST

START_TEST(the_environment_says_whether_the_lead_is_lent)
{
	struct pair p;

	os_set_variable("TOFU_LEND", "no");
	pair_open(&p, _i, NULL);
	for (int i = 0; i < 1000; i++)
		pair_talk(&p);
	ck_assert_uint_eq(times_led(p.client.engine), 0);
	pair_close(&p);
	os_set_variable("TOFU_LEND", NULL);
}
END_TEST

/* Wait until half a second passes without a wake-up. The first waits may see the end of earlier work. */
static void nothing_wakes(tofu_engine *engine)
{
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS), cpu_ns;
	uint64_t before, woken;

	do {
		before = stats_of(engine).wakeups;
		cpu_ns = os_cpu_ns();
		tofu_plat_sleep(TOFU_NS_PER_S / 2);
		cpu_ns = os_cpu_ns() - cpu_ns;
		woken = stats_of(engine).wakeups - before;
		must(woken == 0 || tofu_plat_now_ns() < until_ns, "it woke %" PRIu64 " times", woken);
	} while (woken > 0);
	must(cpu_ns < TOFU_NS_PER_S / 20, "idle, it took %" PRId64 " us", cpu_ns / 1000);
}

START_TEST(an_idle_engine_makes_no_wake_ups_whoever_leads)
{
	struct leader l;

	leader_start(&l, _i);
	nothing_wakes(l.p.client.engine);
	ck_assert(is_lent(l.p.client.engine));
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	nothing_wakes(l.p.client.engine);
	pair_close(&l.p);
}
END_TEST

/* What the others get meanwhile is seen by their pollable: nobody waits for it in tofu_receive(). */
START_TEST(others_are_served_while_one_that_led_is_away)
{
	struct leader l;
	struct side other;
	struct listening at;
	struct raw peer;
	intptr_t pollable;
	tofu_msg *msg;

	leader_start(&l, _i);
	other = side_in(l.p.client.engine);
	works(tofu_group_pollable(other.group, &pollable));
	{
		/* The listener's welcome is received by a thread that does not lead. */
		tofu_msg *welcome = message(&other, TOFU_REQUEST, 0, 0, NULL);

		works(tofu_msg_listen_on(welcome, over_anywhere(_i)));
		post(&other, &welcome);
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, PATIENCE_NS), OS_READABLE);
		works(tofu_receive(other.group, &msg, 0));
		header_of(msg, "~listen_on", at.address, sizeof at.address);
		tofu_msg_put(&msg);
	}
	say_more(&l, "the end"); /* it is away from now on */
	leader_gets(&l, "the end");
	for (int i = 0; i < 100; i++) {
		raw_call(&peer, at.address);
		raw_hello(&peer, 1);
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, PATIENCE_NS), OS_READABLE);
		works(tofu_receive(other.group, &msg, 0));
		ck_assert_uint_eq(tofu_msg_header(msg)->opcode, TOFU_HELLO_REQUEST);
		tofu_msg_put(&msg);
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, PATIENCE_NS), OS_READABLE);
		works(tofu_receive(other.group, &msg, 0));
		ck_assert(is_closed_notice(msg));
		tofu_msg_put(&msg);
	}
	pair_close(&l.p);
}
END_TEST

/* Bursts of it go out although it does not come back. */
START_TEST(what_one_that_led_posts_before_it_is_away_is_sent)
{
	struct pair p;
	uint64_t id = 0;

	pair_open_apart(&p, _i, NULL, NULL);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 20; i++)
			pair_talk(&p);
		for (int i = 0; i < 30; i++)
			say(&p.client, p.client_channel, TOFU_SIGNAL, ++id, "of many");
		for (int i = 29; i >= 0; i--) {
			tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

			ck_assert_uint_eq(tofu_msg_header(msg)->id, id - (uint64_t)i);
			tofu_msg_put(&msg);
		}
	}
	pair_close(&p);
}
END_TEST

static uint64_t loans_of(tofu_engine *engine)
{
	return counted(lead_of(engine), &lead_of(engine)->loans);
}

struct saying {
	struct leader *l;
	int64_t to; /* the thread that waits for it */
};

static void say_when_it_waits(void *context)
{
	const struct saying *s = context;

	works(os_await_sleeping(s->to) ? TOFU_OK : TOFU_TIMEOUT);
	say_more(s->l, "it waits for this");
}

/* Each time it is away, and the engine's thread has to come forward. One that comes back to stay leads before long. */
START_TEST(the_lead_is_seldom_lent_to_one_that_does_not_come_back)
{
	enum { ROUNDS = 500 };
	struct leader l = { .done = false };
	struct saying saying = { &l, os_thread_id() };
	intptr_t pollable;
	uint64_t loans;

	pair_open_apart(&l.p, _i, NULL, NULL);
	works(tofu_group_pollable(l.p.client.group, &pollable));
	for (int i = 0; i < ROUNDS; i++) {
		struct tofu_thread thread;
		tofu_msg *msg;

		works(tofu_thread_start(&thread, say_when_it_waits, &saying));
		msg = expect_peer(&l.p.client, TOFU_SIGNAL);
		tofu_msg_put(&msg);
		tofu_thread_join(&thread);
		say_more(&l, "it does not wait for this");
		ck_assert_uint_eq(os_wait(pollable, OS_READABLE, PATIENCE_NS), OS_READABLE);
		msg = expect_peer(&l.p.client, TOFU_SIGNAL);
		tofu_msg_put(&msg);
	}
	loans = loans_of(l.p.client.engine);
	must(loans < ROUNDS / 10, "%" PRIu64 " loans in %d rounds", loans, ROUNDS);
	leader_begin(&l);
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	pair_close(&l.p);
}
END_TEST

START_TEST(one_that_leads_hears_what_others_post)
{
	struct leader l;
	struct signaller signaller;

	leader_start(&l, _i);
	signaller = (struct signaller){ .side = l.p.client, .channel = l.p.client_channel, .count = rounds(5000) };
	works(tofu_thread_start(&signaller.thread, post_signals, &signaller));
	expect_signals(&l.p.server, signaller.count);
	tofu_thread_join(&signaller.thread);
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	pair_close(&l.p);
}
END_TEST

START_TEST(one_that_leads_hears_of_an_update)
{
	struct leader l;

	leader_start(&l, _i);
	works(tofu_update_receiver(l.p.client.group, NULL));
	leader_gets(&l, "");
	pair_close(&l.p);
}
END_TEST

START_TEST(one_that_leads_hears_of_an_interrupt)
{
	struct leader l;

	leader_start(&l, _i);
	works(tofu_group_interrupt(l.p.client.group));
	tofu_thread_join(&l.thread);
	ck_status(l.status, TOFU_INTERRUPTED);
	pair_close(&l.p);
}
END_TEST

START_TEST(one_that_leads_leaves_when_its_group_is_destroyed)
{
	struct leader l;

	leader_start(&l, _i);
	side_down(&l.p.client);
	tofu_thread_join(&l.thread);
	ck_status(l.status, TOFU_SHUTDOWN_STARTED);
	pair_close(&l.p);
}
END_TEST

START_TEST(one_that_leads_leaves_when_the_engine_is_destroyed)
{
	struct leader l;

	leader_start(&l, _i);
	tofu_engine_destroy(l.p.client.engine);
	tofu_thread_join(&l.thread);
	ck_status(l.status, TOFU_SHUTDOWN_STARTED);
	side_down(&l.p.client);
	tofu_deinit();
	engine_down(l.p.server.engine);
	ck_assert_int_eq(os_descriptors(), l.p.descriptors);
}
END_TEST

START_TEST(groups_are_made_and_destroyed_beside_one_that_leads)
{
	struct leader l;

	leader_start(&l, _i);
	for (int i = 0; i < 100; i++) {
		struct side side = side_in(l.p.client.engine);

		side_down(&side);
	}
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	pair_close(&l.p);
}
END_TEST

/* Several threads that wait: each gets its own, whoever leads. */
START_TEST(many_that_receive_lose_nothing)
{
	enum { ECHOES = 3 };
	struct echo echo[ECHOES];
	struct side side;
	uint16_t channel[ECHOES];
	tofu_engine *engine = engine_up(NULL), *others = engine_up(NULL);
	tofu_msg *msg;

	side = side_in(others);
	for (int i = 0; i < ECHOES; i++) {
		echo_start(&echo[i], engine);
		channel[i] = call(&side, echo[i].at[_i].address, NULL).channel;
		msg = expect_peer(&side, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
	}
	for (uint64_t turn = 1; turn <= rounds(3000); turn++) {
		unsigned asked = (unsigned)(turn % ECHOES) + 1; /* one alone, now and then */

		for (unsigned i = 0; i < asked; i++)
			say(&side, channel[i], TOFU_REQUEST, turn, "ping");
		for (unsigned i = 0; i < asked; i++) {
			msg = expect_peer(&side, TOFU_RESPONSE);
			ck_assert_uint_eq(tofu_msg_header(msg)->id, turn);
			tofu_msg_put(&msg);
		}
	}
	for (int i = 0; i < ECHOES; i++)
		echo_stop(&echo[i]);
	engine_down(others);
	engine_down(engine);
}
END_TEST

/* The leader sees to it; the engine's thread, which stood by until then, does not wake again and again after that. */
START_TEST(a_timer_that_ends_while_another_thread_leads_is_not_the_engines_threads_affair)
{
	struct leader l;
	struct listening at;
	struct raw stranger;
	struct side other;
	struct tofu_lead *lead;
	int64_t stands_ns = 0, over_ns;
	tofu_msg *msg;

	memset(&l, 0, sizeof l);
	{
		struct tofu_options options;

		tofu_options_init(&options, sizeof options);
		options.handshake_timeout_ms = 200;
		pair_open_apart(&l.p, _i, NULL, &options);
	}
	other = side_in(l.p.client.engine);
	listen_over(&other, _i, &at);
	raw_call(&stranger, at.address);
	works(tofu_thread_start(&l.thread, receive_on, &l));
	lead = lead_of(l.p.client.engine);
	eventually(stats_of(l.p.client.engine).channels_accepted == 1);
	while (stats_of(l.p.client.engine).channels_accepted == 1 || !is_lent(l.p.client.engine)) {
		say_more(&l, "more");
		os_pause();
	}
	/* The engine's thread leads again if an event met nobody who led; then it lends again. */
	over_ns = tofu_plat_now_ns();
	for (int64_t end_ns = tofu_plat_deadline(PATIENCE_NS); stands_ns <= over_ns;) {
		must(tofu_plat_now_ns() < end_ns, "at %" PRId64 " it stood by until %" PRId64, over_ns, stands_ns);
		tofu_mutex_lock(&lead->lock);
		stands_ns = lead->lent ? lead->until_ns : 0;
		tofu_mutex_unlock(&lead->lock);
		if (stands_ns == 0)
			say_more(&l, "more");
		os_pause();
	}
	raw_hang_up(&stranger, TOFU_CLOSE_ORDERLY);
	say_more(&l, "the end");
	leader_gets(&l, "the end");
	ck_status(tofu_receive(other.group, &msg, 0), TOFU_TIMEOUT);
	pair_close(&l.p);
}
END_TEST

/* Nobody can stand by beside poll(2), and on Windows nobody does yet. */
static bool is_ever_lent(void)
{
	tofu_engine *engine = engine_up(NULL);
	bool lends = engine->reactor.lends;

	engine_down(engine);
	return lends;
}

static Suite *suite_of_lead(void)
{
	Suite *suite = suite_create("lead");
	TCase *tc = suite_case(suite, "lending", 60);

	if (!is_ever_lent()) {
		printf("The engine's thread lends nothing here.\n");
		over_add(tc, many_that_receive_lose_nothing, 1);
		over_add(tc, what_one_that_led_posts_before_it_is_away_is_sent, 1);
		return suite;
	}
	over_add(tc, one_that_receives_and_comes_back_leads, 1);
	over_add(tc, with_the_engines_thread_only_nobody_else_leads, 1);
	over_add(tc, the_environment_says_whether_the_lead_is_lent, 1);
	over_add(tc, the_lead_is_seldom_lent_to_one_that_does_not_come_back, 1);
	over_add(tc, an_idle_engine_makes_no_wake_ups_whoever_leads, 1);
	over_sockets_add(tc, a_timer_that_ends_while_another_thread_leads_is_not_the_engines_threads_affair, 1);
	tc = suite_case(suite, "others", 60);
	over_sockets_add(tc, others_are_served_while_one_that_led_is_away, 1);
	over_add(tc, what_one_that_led_posts_before_it_is_away_is_sent, 1);
	over_add(tc, one_that_leads_hears_what_others_post, 1);
	over_add(tc, one_that_leads_hears_of_an_update, 1);
	over_add(tc, one_that_leads_hears_of_an_interrupt, 1);
	over_add(tc, one_that_leads_leaves_when_its_group_is_destroyed, 1);
	over_add(tc, one_that_leads_leaves_when_the_engine_is_destroyed, 1);
	over_add(tc, groups_are_made_and_destroyed_beside_one_that_leads, 1);
	over_add(tc, many_that_receive_lose_nothing, 1);
	return suite;
}

int main(void)
{
	os_set_variable("TOFU_TEST_IO", NULL); /* here it is the test that chooses */
	os_set_variable("TOFU_LEND", NULL);
	return harness_run(suite_of_lead());
}
