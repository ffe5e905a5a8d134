/* SPDX-License-Identifier: MIT */

/*
 * Writing through: a thread that posts to an idle channel while the engine's thread sleeps writes by itself, and whatever it
 * leaves undone the engine does. Seen by a TCP that notes which thread sends, and that on any thread but the engine's takes
 * little, nothing, or fails.
 *
 * Most of what is in the way of it lasts too short to be met by chance. While the engine's thread sleeps, a test borrows its
 * turn as a poster does, and puts it there. The linker puts functions of this file before tofu_reactor_try_turn(),
 * tofu_reactor_end_turn(), tofu_engine_wake() and tofu_pool_get_notice() (--wrap).
 */

#include <stdatomic.h>
#include <stdio.h>

#include <tofu/tcp.h>

#include "lib/steps.h"
#include "raw.h"
#include "reactor/engine.h"

enum taken { ALL, A_BYTE, NOTHING, FAILURE, TAKEN_NR };

static struct tofu_transport noting;
static const void *_Atomic poster;
static enum taken taken;
static atomic_uint by_poster;

/* The poster's own. */
static bool has_turn;               /* the engine's */
static unsigned turns_tried, wakes; /* calls */
static int64_t posted_ns;           /* when it last did */
static bool woken_meanwhile;        /* the engine's thread, by somebody else, before the turn was had */
static unsigned notices_refused;    /* so many will be: there is no memory */
static const struct side *crowd;    /* who posts to the same channel while it is written */
static uint16_t crowded;

static bool is_poster(void)
{
	return tofu_thread_self() == atomic_load(&poster);
}

bool __real_tofu_reactor_try_turn(struct tofu_reactor *r);
bool __wrap_tofu_reactor_try_turn(struct tofu_reactor *r);
void __real_tofu_reactor_end_turn(struct tofu_reactor *r);
void __wrap_tofu_reactor_end_turn(struct tofu_reactor *r);
void __real_tofu_engine_wake(struct tofu_engine *e);
void __wrap_tofu_engine_wake(struct tofu_engine *e);
struct tofu_msg *__real_tofu_pool_get_notice(struct tofu_pool *pool);
struct tofu_msg *__wrap_tofu_pool_get_notice(struct tofu_pool *pool);

bool __wrap_tofu_reactor_try_turn(struct tofu_reactor *r)
{
	bool got = __real_tofu_reactor_try_turn(r);

	if (is_poster()) {
		turns_tried++;
		has_turn = has_turn || got;
		if (woken_meanwhile)
			(void)tofu_mailbox_nudge(&r->engine->mailbox);
	}
	return got;
}

void __wrap_tofu_reactor_end_turn(struct tofu_reactor *r)
{
	if (is_poster())
		has_turn = false;
	__real_tofu_reactor_end_turn(r);
}

void __wrap_tofu_engine_wake(struct tofu_engine *e)
{
	if (is_poster()) {
		wakes++;
		must(!has_turn || !tofu_mailbox_is_asleep(&e->mailbox), "others would wake it as well");
	}
	__real_tofu_engine_wake(e);
}

struct tofu_msg *__wrap_tofu_pool_get_notice(struct tofu_pool *pool)
{
	if (is_poster() && notices_refused > 0) {
		notices_refused--;
		return NULL;
	}
	return __real_tofu_pool_get_notice(pool);
}

static enum tofu_status noting_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                    size_t count, size_t *done, unsigned *want)
{
	struct tofu_iov one = { iov[0].base, 1 };

	if (!is_poster())
		return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
	atomic_fetch_add(&by_poster, 1);
	if (crowd != NULL)
		ck_status(try_say(crowd, crowded, TOFU_SIGNAL, 0, "no room"), TOFU_WOULD_BLOCK);
	switch (taken) {
	case A_BYTE:
		return tofu_tcp()->send(tofu_tcp(), link, &one, 1, done, want);
	case NOTHING:
		return TOFU_WOULD_BLOCK;
	case FAILURE:
		return TOFU_SEND_FAILED;
	case ALL:
	case TAKEN_NR:
		break;
	}
	return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
}

/* A connection to a peer of ours; nothing is under way on it. */
static struct tofu_header connect_noting(const struct side *side, struct raw *peer)
{
	char real[128], address[160];
	struct tofu_header hello;
	intptr_t listener;

	noting = *tofu_tcp();
	noting.scheme = "noting";
	noting.send = noting_send;
	atomic_store(&poster, NULL);
	atomic_store(&by_poster, 0);
	taken = ALL;
	woken_meanwhile = false;
	notices_refused = 0;
	crowd = NULL;
	ck_status(tofu_engine_register(side->engine, &noting), TOFU_OK);
	listener = raw_listen(OVER_TCP, real, sizeof real);
	(void)snprintf(address, sizeof address, "noting|%s", path_of(real));
	hello = call(side, address, "hello");
	raw_accept(peer, listener);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	raw_expect(peer, TOFU_HELLO_REQUEST);
	drain_group(side->group);
	atomic_store(&poster, tofu_thread_self());
	return hello;
}

static void take_turn(const struct side *side)
{
	eventually(tofu_reactor_try_turn(&side->engine->reactor));
}

/* The engine's turn while its thread sleeps and is not about to wake; nothing was written by a poster lately. */
static void take_turn_at_rest(const struct side *side)
{
	struct tofu_reactor *r = &side->engine->reactor;

	take_turn(side);
	while (!tofu_mailbox_is_asleep(&side->engine->mailbox)) {
		tofu_reactor_end_turn(r);
		eventually(tofu_mailbox_is_asleep(&side->engine->mailbox));
		take_turn(side);
	}
	r->through_ns = 0;
}

/* Post until one is written by this thread: the engine's may wake for a reason of its own. The number of the last one. */
static uint64_t post_until_through(const struct side *side, uint16_t channel, int opcode)
{
	const int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);
	uint64_t id = 0;

	while (atomic_load(&by_poster) == 0) {
		must(tofu_plat_now_ns() < until_ns, "%d posts, and all written by the engine", (int)id);
		take_turn_at_rest(side);
		tofu_reactor_end_turn(&side->engine->reactor);
		wakes = 0;
		posted_ns = tofu_plat_now_ns();
		(void)say(side, channel, opcode, ++id, "by whom?");
	}
	return id;
}

START_TEST(message_to_an_idle_channel_is_written_by_its_poster_and_the_engine_does_the_rest)
{
	struct side side = side_in(engine_up(NULL));
	struct raw peer;
	uint16_t channel = connect_noting(&side, &peer).channel;
	uint64_t last;

	taken = (enum taken)_i;
	last = post_until_through(&side, channel, TOFU_SIGNAL);
	ck_assert_uint_eq(wakes, taken == ALL ? 0 : 1);
	for (uint64_t id = 1; id <= last; id++)
		ck_assert_uint_eq(raw_expect(&peer, TOFU_SIGNAL).id, id);
	drain_group(side.group);
	ck_assert_uint_eq(stats_of(side.engine).messages_sent, last + 1);
	(void)say(&side, channel, TOFU_SIGNAL, last + 1, "and on");
	ck_assert_uint_eq(raw_expect(&peer, TOFU_SIGNAL).id, last + 1);
	expect_silence(&side);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

START_TEST(requests_and_responses_are_written_by_their_poster_too)
{
	static const int opcodes[] = { TOFU_REQUEST, TOFU_RESPONSE };
	struct side side = side_in(engine_up(NULL));
	struct raw peer;
	uint16_t channel = connect_noting(&side, &peer).channel;

	(void)post_until_through(&side, channel, opcodes[_i]);
	raw_expect(&peer, (unsigned)opcodes[_i]);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

START_TEST(poster_whose_writing_fails_gets_the_message_back_like_anybody)
{
	struct side side = side_in(engine_up(NULL));
	struct raw peer;
	struct tofu_header hello = connect_noting(&side, &peer);
	uint64_t last;
	tofu_msg *msg;

	taken = FAILURE;
	last = post_until_through(&side, hello.channel, TOFU_SIGNAL);
	ck_assert_uint_eq(wakes, 1);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY); /* its end is what the engine reads on to */
	msg = expect_on(&side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_SEND_FAILED);
	tofu_msg_put(&msg);
	msg = expect_on(&side, hello.channel, last, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_FAILED);
	tofu_msg_put(&msg);
	expect_end(&side, hello.channel, hello.id, TOFU_SEND_FAILED);
	engine_down(side.engine);
}
END_TEST

/* What was posted before is written before, whoever writes: bursts, and messages after a pause, in turn. */
START_TEST(order_holds_between_messages_that_are_written_through_and_others)
{
	struct side side = side_in(engine_up(NULL));
	struct raw peer;
	uint16_t channel = connect_noting(&side, &peer).channel;
	uint64_t posted = 0, read = 0;

	taken = ALL;
	for (unsigned round = 0; round < rounds(200); round++) {
		for (unsigned burst = round % 7; burst > 0; burst--)
			(void)say(&side, channel, TOFU_SIGNAL, ++posted, "of many");
		(void)say(&side, channel, TOFU_SIGNAL, ++posted, "of one");
		while (read < posted)
			ck_assert_uint_eq(raw_expect(&peer, TOFU_SIGNAL).id, ++read);
		eventually(tofu_mailbox_is_asleep(&side.engine->mailbox));
	}
	ck_assert_uint_gt(atomic_load(&by_poster), 0);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* What is in the way. */
enum obstacle {
	/* the message is none of the ordinary */
	HELLO_REQUEST,
	HELLO_RESPONSE,
	BYE_REQUEST,
	BYE_RESPONSE,
	BYE_SIGNAL,
	WELCOME_REQUEST,
	/* the channel is not idle */
	IN_ANOTHER_STATE,
	LAST_WORD_SAID,
	SOMETHING_UNSENT,
	STUCK,
	DIRTY,
	/* the engine has something to do, or is at it */
	AWAKE,
	WOKEN_MEANWHILE,
	A_MESSAGE_WAITS,
	A_COMMAND_WAITS,
	POOL_REFILLED,
	TURN_TAKEN,
	WRITTEN_JUST_NOW,
	OBSTACLES
};

static int opcode_with(enum obstacle what)
{
	static const int opcodes[] = { TOFU_HELLO_REQUEST, TOFU_HELLO_RESPONSE, TOFU_BYE_REQUEST,
		                       TOFU_BYE_RESPONSE,  TOFU_BYE_SIGNAL,     TOFU_WELCOME_REQUEST };

	return what <= WELCOME_REQUEST ? opcodes[what] : TOFU_SIGNAL;
}

static void put_in_the_way(enum obstacle what, struct tofu_engine *e, struct tofu_chan *c, struct tofu_msg *other)
{
	static struct tofu_command command;

	switch (what) {
	case IN_ANOTHER_STATE:
		c->session.heard |= TOFU_ASKED;
		break;
	case LAST_WORD_SAID:
		c->session.queued |= TOFU_ASKED;
		break;
	case SOMETHING_UNSENT:
		tofu_chan_queue(&e->reactor, &c->unsent, other);
		break;
	case STUCK:
		c->send_want = TOFU_WRITABLE;
		break;
	case DIRTY:
		tofu_chan_touch(&e->reactor, c);
		break;
	case AWAKE:
		tofu_mailbox_awake(&e->mailbox);
		break;
	case WOKEN_MEANWHILE:
		woken_meanwhile = true;
		break;
	case A_MESSAGE_WAITS:
		atomic_store(&e->mailbox.messages, other);
		break;
	case A_COMMAND_WAITS:
		atomic_store(&e->mailbox.commands, &command);
		break;
	case POOL_REFILLED:
		atomic_store(&e->mailbox.refilled, true);
		break;
	case WRITTEN_JUST_NOW:
		e->reactor.through_ns = tofu_plat_deadline(TOFU_NS_PER_S);
		break;
	case TURN_TAKEN: /* by this thread */
	case HELLO_REQUEST:
	case HELLO_RESPONSE:
	case BYE_REQUEST:
	case BYE_RESPONSE:
	case BYE_SIGNAL:
	case WELCOME_REQUEST:
	case OBSTACLES:
		break;
	}
}

/* All as it was. The engine's thread sleeps: it was never woken. */
static void clear_the_way(struct tofu_engine *e, struct tofu_chan *c)
{
	c->session.heard &= TOFU_SPOKE;
	c->session.queued = 0;
	c->send_want = 0;
	(void)tofu_chan_unqueue(&e->reactor, &c->unsent);
	tofu_list_remove(&c->dirty);
	woken_meanwhile = false;
	atomic_store(&e->mailbox.messages, NULL);
	atomic_store(&e->mailbox.commands, NULL);
	atomic_store(&e->mailbox.refilled, false);
	atomic_store(&e->mailbox.sleeping, true);
}

START_TEST(message_with_anything_in_its_way_is_left_to_the_engine)
{
	const enum obstacle what = (enum obstacle)_i;
	struct side side = side_in(engine_up(NULL));
	struct tofu_reactor *r = &side.engine->reactor;
	struct raw peer;
	uint16_t channel = connect_noting(&side, &peer).channel;
	struct tofu_chan *c = tofu_registry_find(&side.engine->registry, channel);
	tofu_msg *msg = message(&side, opcode_with(what), channel, 1, "left");
	tofu_msg *other = message(&side, TOFU_SIGNAL, channel, 2, "in the way");

	take_turn_at_rest(&side);
	put_in_the_way(what, side.engine, c, other);
	if (what != TURN_TAKEN)
		tofu_reactor_end_turn(r);
	turns_tried = 0;
	ck_assert(!tofu_through(r, msg));
	ck_assert_uint_eq(atomic_load(&by_poster), 0);
	ck_assert_uint_eq(turns_tried, what <= WELCOME_REQUEST || what == AWAKE ? 0 : 1);
	if (what != TURN_TAKEN)
		take_turn(&side);
	clear_the_way(side.engine, c);
	tofu_reactor_end_turn(r);
	tofu_msg_put(&other);
	tofu_msg_put(&msg);
	(void)post_until_through(&side, channel, TOFU_SIGNAL); /* it was that, and nothing else */
	raw_expect(&peer, TOFU_SIGNAL);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

START_TEST(message_to_a_listener_comes_back_though_the_engine_slept)
{
	struct side side = side_in(engine_up(NULL));
	struct listening at;
	tofu_msg *msg;

	listen_over(&side, OVER_TCP, &at);
	take_turn_at_rest(&side);
	tofu_reactor_end_turn(&side.engine->reactor);
	(void)say(&side, at.channel, TOFU_SIGNAL, 7, "who listens?");
	msg = expect_on(&side, at.channel, 7, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_NOT_ALLOWED);
	tofu_msg_put(&msg);
	engine_down(side.engine);
}
END_TEST

/* The time is that of the writing, not of the engine's last turn. */
START_TEST(message_that_its_poster_wrote_starts_the_idle_clock_anew)
{
	const int64_t hour_ns = 3600 * TOFU_NS_PER_S;
	struct tofu_options options;
	struct tofu_chan *c;
	struct side side;
	struct raw peer;
	uint16_t channel;

	tofu_options_init(&options, sizeof options);
	options.idle_timeout_ms = 3600 * 1000;
	side = side_in(engine_up(&options));
	channel = connect_noting(&side, &peer).channel;
	(void)post_until_through(&side, channel, TOFU_SIGNAL);
	take_turn(&side);
	c = tofu_registry_find(&side.engine->registry, channel);
	ck_assert_int_ge(tofu_timers_deadline(&c->deadlines, TOFU_TIMER_QUIET), posted_ns + hour_ns);
	ck_assert_int_ge(side.engine->reactor.through_ns, posted_ns);
	tofu_reactor_end_turn(&side.engine->reactor);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* Who was refused while the one message was written has to hear that there is room again. The engine tries later: it must
 * know that there is something to be tried. */
START_TEST(send_ready_for_which_the_poster_has_no_memory_comes_from_the_engine)
{
	struct tofu_options options;
	struct side side;
	struct raw peer;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.send_queue_max = 1;
	side = side_in(engine_up(&options));
	crowded = connect_noting(&side, &peer).channel;
	crowd = &side;
	notices_refused = 1;
	(void)post_until_through(&side, crowded, TOFU_SIGNAL);
	ck_assert_uint_eq(notices_refused, 0);
	ck_assert_uint_eq(wakes, 1);
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_READY);
	ck_assert_uint_eq(tofu_msg_header(msg)->channel, crowded);
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_through(void)
{
	Suite *suite = suite_create("through");
	TCase *tc = suite_case(suite, "writing", 30);

	tcase_add_loop_test(tc, message_to_an_idle_channel_is_written_by_its_poster_and_the_engine_does_the_rest, ALL,
	                    FAILURE);
	tcase_add_loop_test(tc, requests_and_responses_are_written_by_their_poster_too, 0, 2);
	tcase_add_test(tc, poster_whose_writing_fails_gets_the_message_back_like_anybody);
	tcase_add_test(tc, order_holds_between_messages_that_are_written_through_and_others);
	tcase_add_loop_test(tc, message_with_anything_in_its_way_is_left_to_the_engine, 0, OBSTACLES);
	tcase_add_test(tc, message_to_a_listener_comes_back_though_the_engine_slept);
	tcase_add_test(tc, message_that_its_poster_wrote_starts_the_idle_clock_anew);
	tcase_add_test(tc, send_ready_for_which_the_poster_has_no_memory_comes_from_the_engine);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_through());
}
