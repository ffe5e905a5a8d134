/* SPDX-License-Identifier: MIT */

/* The table of a channel's states, walked: it says what the drawing in reactor/chan.h says, and there is no dead end. */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/steps.h"
#include "raw.h"
#include "reactor/chan.h"

static bool leads(enum tofu_chan_state from, enum tofu_chan_state to)
{
	return (tofu_chan_rules[from].next & 1u << to) != 0;
}

/* The states that can follow those in the set, and these themselves. */
static unsigned closure(unsigned set)
{
	unsigned before;

	do {
		before = set;
		for (unsigned s = 0; s < TOFU_CHAN_STATES; s++)
			if ((set & 1u << s) != 0)
				set |= tofu_chan_rules[s].next;
	} while (set != before);
	return set;
}

START_TEST(every_state_has_a_name_of_its_own)
{
	const char *name = tofu_chan_rules[_i].name;

	ck_assert_ptr_nonnull(name);
	ck_assert_uint_gt(strlen(name), 0);
	for (int other = 0; other < _i; other++)
		ck_assert_str_ne(name, tofu_chan_rules[other].name);
}
END_TEST

START_TEST(every_state_is_reached_from_new)
{
	ck_assert_uint_ne(closure(1u << TOFU_CHAN_NEW) & 1u << _i, 0);
}
END_TEST

START_TEST(every_state_but_closed_leads_to_closing)
{
	ck_assert_int_eq(leads((enum tofu_chan_state)_i, TOFU_CHAN_CLOSING),
	                 _i != TOFU_CHAN_CLOSED && _i != TOFU_CHAN_CLOSING);
}
END_TEST

START_TEST(closed_follows_closing_only_and_nothing_follows_closed)
{
	ck_assert_int_eq(leads((enum tofu_chan_state)_i, TOFU_CHAN_CLOSED), _i == TOFU_CHAN_CLOSING);
	ck_assert_uint_eq(tofu_chan_rules[TOFU_CHAN_CLOSED].next, 0);
	ck_assert_uint_eq(tofu_chan_rules[TOFU_CHAN_CLOSING].next, 1u << TOFU_CHAN_CLOSED);
}
END_TEST

START_TEST(no_state_leads_to_itself_or_back_to_new_or_to_no_state)
{
	ck_assert(!leads((enum tofu_chan_state)_i, (enum tofu_chan_state)_i));
	ck_assert(!leads((enum tofu_chan_state)_i, TOFU_CHAN_NEW));
	ck_assert_uint_eq(tofu_chan_rules[_i].next >> TOFU_CHAN_STATES, 0);
}
END_TEST

/* All edges but those to CLOSING: the drawing, and what a bye in each direction makes of it. A row is an edge. */
/* clang-format off */
static const struct {
	enum tofu_chan_state from, to;
} drawing[] = {
	{ TOFU_CHAN_NEW,        TOFU_CHAN_RESOLVING },
	{ TOFU_CHAN_NEW,        TOFU_CHAN_ACCEPTED },
	{ TOFU_CHAN_RESOLVING,  TOFU_CHAN_LISTENING },
	{ TOFU_CHAN_RESOLVING,  TOFU_CHAN_CONNECTING },
	{ TOFU_CHAN_CONNECTING, TOFU_CHAN_OPEN },
	{ TOFU_CHAN_ACCEPTED,   TOFU_CHAN_OPEN },
	{ TOFU_CHAN_OPEN,       TOFU_CHAN_LEAVING },     /* a bye has passed */
	{ TOFU_CHAN_OPEN,       TOFU_CHAN_LINGERING },   /* an answer to nothing has */
	{ TOFU_CHAN_OPEN,       TOFU_CHAN_PARTED },
	{ TOFU_CHAN_LEAVING,    TOFU_CHAN_LINGERING },
	{ TOFU_CHAN_LEAVING,    TOFU_CHAN_HALF_CLOSED },
	{ TOFU_CHAN_LEAVING,    TOFU_CHAN_PARTED },
	{ TOFU_CHAN_CLOSING,    TOFU_CHAN_CLOSED },
};
/* clang-format on */

enum { EDGES = sizeof drawing / sizeof drawing[0] };

START_TEST(edge_of_the_drawing_is_in_the_table)
{
	ck_assert_msg(leads(drawing[_i].from, drawing[_i].to), "%s does not lead to %s",
	              tofu_chan_rules[drawing[_i].from].name, tofu_chan_rules[drawing[_i].to].name);
}
END_TEST

START_TEST(edge_of_the_table_is_in_the_drawing)
{
	unsigned drawn = 0;

	for (size_t i = 0; i < EDGES; i++)
		if (drawing[i].from == (enum tofu_chan_state)_i)
			drawn |= 1u << drawing[i].to;
	ck_assert_uint_eq(tofu_chan_rules[_i].next & ~(1u << TOFU_CHAN_CLOSING), drawn);
}
END_TEST

static unsigned set_of(const enum tofu_chan_state *states, size_t count)
{
	unsigned set = 0;

	for (size_t i = 0; i < count; i++)
		set |= 1u << states[i];
	return set;
}

START_TEST(only_states_in_which_something_can_still_be_said_talk)
{
	static const enum tofu_chan_state talking[] = { TOFU_CHAN_OPEN, TOFU_CHAN_LEAVING, TOFU_CHAN_HALF_CLOSED };

	ck_assert_int_eq(tofu_chan_rules[_i].talks, (set_of(talking, 3) & 1u << _i) != 0);
}
END_TEST

START_TEST(only_states_hear_in_which_the_peer_has_not_ended)
{
	static const enum tofu_chan_state hearing[] = { TOFU_CHAN_ACCEPTED, TOFU_CHAN_OPEN, TOFU_CHAN_LEAVING,
		                                        TOFU_CHAN_LINGERING, TOFU_CHAN_PARTED };

	ck_assert_int_eq(tofu_chan_rules[_i].hears, (set_of(hearing, 5) & 1u << _i) != 0);
}
END_TEST

START_TEST(states_that_wait_for_the_peer_have_a_timer)
{
	/* clang-format off */
	static const enum tofu_timer timer[TOFU_CHAN_STATES] = {
		[TOFU_CHAN_RESOLVING]  = TOFU_TIMER_HANDSHAKE,
		[TOFU_CHAN_CONNECTING] = TOFU_TIMER_HANDSHAKE,
		[TOFU_CHAN_ACCEPTED]   = TOFU_TIMER_HANDSHAKE,
		[TOFU_CHAN_OPEN]       = TOFU_TIMER_QUIET,
		[TOFU_CHAN_LEAVING]    = TOFU_TIMER_QUIET,
		[TOFU_CHAN_LINGERING]  = TOFU_TIMER_QUIET,
		[TOFU_CHAN_PARTED]     = TOFU_TIMER_QUIET,
	};
	/* clang-format on */

	ck_assert_int_eq(tofu_chan_rules[_i].timer, timer[_i]);
}
END_TEST

START_TEST(every_state_can_be_given_up_and_what_is_silenced_stays_silent)
{
	unsigned reach = closure(tofu_chan_rules[_i].next);

	if (_i != TOFU_CHAN_CLOSED)
		ck_assert_uint_ne(reach & 1u << TOFU_CHAN_CLOSED, 0);
	if (!tofu_chan_rules[_i].talks && _i >= TOFU_CHAN_LEAVING)
		for (unsigned s = 0; s < TOFU_CHAN_STATES; s++)
			ck_assert((reach & 1u << s) == 0 || !tofu_chan_rules[s].talks);
}
END_TEST

/* Two states that wait for something of which there is no more, in an engine that has to go on. */

START_TEST(handshake_time_that_runs_out_while_the_pool_is_empty_does_not_stop_the_engine)
{
	struct tofu_options options;
	struct side side;
	struct listening at;
	struct raw peer;
	tofu_msg *held, *msg;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = options.pool_max = 1;
	options.handshake_timeout_ms = 100;
	side = side_in(engine_up(&options));
	listen_over(&side, _i, &at);
	msg = message(&side, TOFU_REQUEST, 0, 0,
	              NULL); /* by now the listener's message is in the pool, or never will be */
	while (tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held) == TOFU_OK)
		*tofu_msg_user(held) = msg, msg = held;
	raw_call(&peer, at.address);
	raw_hello(&peer, 1);
	held = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&held);
	/* The receiver waits as long as the handshake may take, and then some; the engine has to be there afterwards. */
	ck_status(tofu_receive(side.group, &held, 200 * TOFU_NS_PER_MS), TOFU_TIMEOUT);
	expect_silence(&side);
	while (msg != NULL) {
		held = *tofu_msg_user(msg);
		tofu_msg_put(&msg);
		msg = held;
	}
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* TCP whose sending fails at a time when something has arrived, and whose receiving is in order. */

static struct tofu_transport half;
static atomic_bool half_broken, half_sending;

static enum tofu_status half_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                  size_t count, size_t *done, unsigned *want)
{
	if (!atomic_load(&half_broken))
		return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
	atomic_store(&half_sending, true);
	(void)os_wait(link->handle, OS_READABLE, PATIENCE_NS);
	return TOFU_SEND_FAILED;
}

/* And then nothing: neither data nor an end. */
static void say_last(void *context)
{
	eventually(atomic_load(&half_sending)); /* or the engine reads before it sends */
	raw_say(context, TOFU_SIGNAL, 9, "last");
}

START_TEST(channel_whose_sending_failed_ends_when_what_had_arrived_is_read)
{
	struct side side = side_in(engine_up(NULL));
	char real[128], address[160];
	struct raw peer;
	struct tofu_header hello, lost;
	struct tofu_thread talker; /* for it is this thread that sends, if the engine sleeps */
	intptr_t listener;
	tofu_msg *msg;

	half = *tofu_tcp();
	half.scheme = "half";
	half.send = half_send;
	ck_status(tofu_engine_register(side.engine, &half), TOFU_OK);
	listener = raw_listen(OVER_TCP, real, sizeof real);
	(void)snprintf(address, sizeof address, "half|%s", path_of(real));
	hello = call(&side, address, "hello");
	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	eventually(stats_of(side.engine).messages_sent == 1);
	atomic_store(&half_broken, true);
	ck_status(tofu_thread_start(&talker, say_last, &peer), TOFU_OK);
	lost = say(&side, hello.channel, TOFU_SIGNAL, 0, "lost");
	tofu_thread_join(&talker);
	msg = expect_on(&side, hello.channel, 9, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	msg = expect_on(&side, hello.channel, lost.id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_FAILED);
	tofu_msg_put(&msg);
	expect_end(&side, hello.channel, hello.id, TOFU_SEND_FAILED);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_chan_states(void)
{
	Suite *suite = suite_create("chan_states");
	TCase *tc = tcase_create("table");

	tcase_add_loop_test(tc, every_state_has_a_name_of_its_own, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, every_state_is_reached_from_new, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, every_state_but_closed_leads_to_closing, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, closed_follows_closing_only_and_nothing_follows_closed, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, no_state_leads_to_itself_or_back_to_new_or_to_no_state, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, edge_of_the_drawing_is_in_the_table, 0, EDGES);
	tcase_add_loop_test(tc, edge_of_the_table_is_in_the_drawing, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, only_states_in_which_something_can_still_be_said_talk, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, only_states_hear_in_which_the_peer_has_not_ended, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, states_that_wait_for_the_peer_have_a_timer, 0, TOFU_CHAN_STATES);
	tcase_add_loop_test(tc, every_state_can_be_given_up_and_what_is_silenced_stays_silent, 0, TOFU_CHAN_STATES);
	suite_add_tcase(suite, tc);

	tc = suite_case(suite, "engine", 30);
	over_sockets_add(tc, handshake_time_that_runs_out_while_the_pool_is_empty_does_not_stop_the_engine, 1);
	tcase_add_test(tc, channel_whose_sending_failed_ends_when_what_had_arrived_is_read);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_chan_states());
}
