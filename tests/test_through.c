/* SPDX-License-Identifier: MIT */

/*
 * Writing through: a thread that posts to an idle channel while the engine's thread sleeps writes by itself, and whatever it
 * leaves undone the engine does. Seen by a TCP that notes which thread sends, and that on any thread but the engine's takes
 * little, nothing, or fails.
 */

#include <stdatomic.h>
#include <stdio.h>

#include <tofu/tcp.h>

#include "lib/steps.h"
#include "raw.h"
#include "reactor/engine.h"

enum taken { ALL, A_BYTE, NOTHING, FAILURE, TAKEN_NR };

static struct tofu_transport noting;
static const void *poster;
static enum taken taken;
static atomic_uint by_poster;

static enum tofu_status noting_send(struct tofu_link *link, const struct tofu_iov *iov, size_t count, size_t *done,
                                    unsigned *want)
{
	struct tofu_iov one = { iov[0].base, 1 };

	if (tofu_thread_self() != poster)
		return tofu_tcp()->send(link, iov, count, done, want);
	atomic_fetch_add(&by_poster, 1);
	switch (taken) {
	case A_BYTE:
		return tofu_tcp()->send(link, &one, 1, done, want);
	case NOTHING:
		return TOFU_WOULD_BLOCK;
	case FAILURE:
		return TOFU_SEND_FAILED;
	case ALL:
	case TAKEN_NR:
		break;
	}
	return tofu_tcp()->send(link, iov, count, done, want);
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
	poster = NULL;
	atomic_store(&by_poster, 0);
	ck_status(tofu_engine_register(side->engine, &noting), TOFU_OK);
	listener = raw_listen(OVER_TCP, real, sizeof real);
	(void)snprintf(address, sizeof address, "noting|%s", path_of(real));
	hello = call(side, address, "hello");
	raw_accept(peer, listener);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	raw_expect(peer, TOFU_HELLO_REQUEST);
	ck_status(tofu_group_drain(side->group, PATIENCE_NS), TOFU_OK);
	poster = tofu_thread_self();
	return hello;
}

/* Post until one is written by this thread: the engine's may just have been about to sleep. The number of the last one. */
static uint64_t post_until_through(const struct side *side, uint16_t channel)
{
	uint64_t id = 0;

	while (atomic_load(&by_poster) == 0) {
		eventually(tofu_mailbox_is_asleep(&side->engine->mailbox));
		(void)say(side, channel, TOFU_SIGNAL, ++id, "by whom?");
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
	last = post_until_through(&side, channel);
	for (uint64_t id = 1; id <= last; id++)
		ck_assert_uint_eq(raw_expect(&peer, TOFU_SIGNAL).id, id);
	ck_status(tofu_group_drain(side.group, PATIENCE_NS), TOFU_OK);
	ck_assert_uint_eq(stats_of(side.engine).messages_sent, last + 1);
	(void)say(&side, channel, TOFU_SIGNAL, last + 1, "and on");
	ck_assert_uint_eq(raw_expect(&peer, TOFU_SIGNAL).id, last + 1);
	expect_silence(&side);
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
	last = post_until_through(&side, hello.channel);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY); /* its end is what the engine reads on to */
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

static Suite *suite_of_through(void)
{
	Suite *suite = suite_create("through");
	TCase *tc = suite_case(suite, "writing", 30);

	tcase_add_loop_test(tc, message_to_an_idle_channel_is_written_by_its_poster_and_the_engine_does_the_rest, ALL,
	                    FAILURE);
	tcase_add_test(tc, poster_whose_writing_fails_gets_the_message_back_like_anybody);
	tcase_add_test(tc, order_holds_between_messages_that_are_written_through_and_others);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_through());
}
