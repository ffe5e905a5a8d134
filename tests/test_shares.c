/* SPDX-License-Identifier: MIT */

/*
 * Shares of the pool: however many messages of one channel the application holds, the others go on. All is counted, not timed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fake.h"
#include "lib/raw.h"
#include "lib/served.h"
#include "lib/steps.h"

enum { POOL = 64, FLOOD = 200, HELD_MAX = 4096 };

/* A server that puts nothing back before it is told to. */
struct hoard {
	struct side side;
	struct listening at;
	tofu_msg *held[HELD_MAX];
	size_t count;
	size_t of[65536];     /* of these, how many of each channel */
	uint64_t next[65536]; /* the number that is due on it */
	int descriptors;
};

static void hoard_open(struct hoard *h, int transport, const struct tofu_options *options)
{
	memset(h, 0, sizeof *h);
	h->descriptors = os_descriptors();
	h->side = side_in(engine_up(options));
	listen_over(&h->side, transport, &h->at);
}

static struct hoard *hoard_new(int transport, const struct tofu_options *options)
{
	struct hoard *h = malloc(sizeof *h);

	must(h != NULL, "no memory");
	hoard_open(h, transport, options);
	return h;
}

static void put_one(struct hoard *h, size_t at)
{
	h->of[tofu_msg_header(h->held[at])->channel]--;
	tofu_msg_put(&h->held[at]);
	h->held[at] = h->held[--h->count];
}

static void hoard_end(struct hoard *h)
{
	while (h->count > 0)
		put_one(h, h->count - 1);
	engine_down(h->side.engine);
	ck_assert_int_eq(os_descriptors(), h->descriptors);
	free(h);
}

/* A peer whose hello is put back at once: its channel. */
static uint16_t meet(struct hoard *h, struct raw *peer)
{
	uint16_t channel;
	tofu_msg *msg;

	raw_call(peer, h->at.address);
	raw_hello(peer, HELLO_ID);
	msg = expect_peer(&h->side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	h->next[channel] = 1;
	tofu_msg_put(&msg);
	return channel;
}

static void flood(struct raw *peer, unsigned frames)
{
	unsigned char *all = malloc((size_t)frames * RAW_HEADER);

	must(all != NULL, "no memory");
	for (unsigned n = 0; n < frames; n++) {
		const struct raw_frame frame = { .channel = 1, .proto = TOFU_REQUEST, .id = n + 1 };

		(void)raw_encode(&frame, all + (size_t)n * RAW_HEADER);
	}
	raw_write(peer, all, (size_t)frames * RAW_HEADER);
	free(all);
}

static void keep(struct hoard *h, tofu_msg *msg)
{
	const struct tofu_header *head = tofu_msg_header(msg);

	must(head->origin == TOFU_ORIGIN_APPLICATION && head->opcode == TOFU_REQUEST, "%s", describe(msg));
	must(head->id == h->next[head->channel]++, "not in order: %s", describe(msg));
	must(h->count < HELD_MAX, "too many");
	h->of[head->channel]++;
	h->held[h->count++] = msg;
}

/* Has the engine wait, and read what is there. */
static void turn(const struct hoard *h)
{
	tofu_group *group;

	works(tofu_group_create(h->side.engine, &group));
	works(tofu_group_destroy(group));
}

/* Whatever the engine can read now, it has read when it has turned a few times. */
static size_t settle(struct hoard *h)
{
	size_t before = h->count, seen;
	tofu_msg *msg;

	do {
		seen = h->count;
		for (int i = 0; i < 8; i++)
			turn(h);
		while (tofu_receive(h->side.group, &msg, 0) == TOFU_OK)
			keep(h, msg);
	} while (h->count > seen);
	return h->count - before;
}

START_TEST(a_channel_that_is_not_answered_holds_half_of_the_pool_and_the_pool_is_not_empty)
{
	struct tofu_options options = options_with_pool(POOL);
	struct hoard *h = hoard_new(_i, &options);
	struct raw peer;
	struct tofu_stats before, after;

	(void)meet(h, &peer);
	flood(&peer, FLOOD);
	eventually(stats_of(h->side.engine).messages_received == 1 + POOL / 2);
	ck_assert_uint_eq(settle(h), POOL / 2); /* and no pool_empty among them */
	ck_assert_uint_eq(stats_of(h->side.engine).pool_free, POOL / 2);
	before = stats_of(h->side.engine);
	(void)settle(h);
	after = stats_of(h->side.engine);
	ck_assert_uint_eq(after.receives, before.receives);
	ck_assert_uint_eq(after.polls_for_reading, before.polls_for_reading);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	hoard_end(h);
}
END_TEST

START_TEST(each_message_that_is_put_back_lets_one_more_in_and_nothing_is_lost)
{
	struct tofu_options options = options_with_pool(POOL);
	struct hoard *h = hoard_new(_i, &options);
	struct raw peer;
	uint16_t channel = meet(h, &peer);

	flood(&peer, FLOOD);
	eventually(stats_of(h->side.engine).pool_free == POOL / 2);
	(void)settle(h);
	while (h->next[channel] <= FLOOD) {
		put_one(h, 0);
		keep(h, take(&h->side));
		ck_assert_uint_eq(h->count, POOL / 2);
	}
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	hoard_end(h);
}
END_TEST

/* A peer that asks, beside others whose requests are not answered. */
static void quiet_beside_greedy(int transport, unsigned greedy, unsigned frames)
{
	struct hoard *h = hoard_new(transport, NULL);
	struct raw *peer = calloc(greedy + 1, sizeof *peer);
	uint16_t *channel = calloc(greedy + 1, sizeof *channel);
	size_t held;

	must(peer != NULL && channel != NULL, "no memory");
	for (unsigned i = 0; i <= greedy; i++)
		channel[i] = meet(h, &peer[i]);
	for (unsigned i = 0; i < greedy; i++)
		flood(&peer[i], frames);
	for (unsigned i = 0; i < greedy; i++)
		eventually((settle(h), h->of[channel[i]] > 0)); /* each has got one at least */
	(void)settle(h);
	held = h->count;
	must(held < 1024, "all of the pool");
	for (uint64_t i = 1; i <= 100; i++) {
		tofu_msg *msg;

		raw_say(&peer[greedy], TOFU_REQUEST, i, "a question");
		msg = expect_peer(&h->side, TOFU_REQUEST);
		must(tofu_msg_header(msg)->channel == channel[greedy], "of another one: %s", describe(msg));
		answer(&h->side, &msg, TOFU_RESPONSE);
		must(raw_expect(&peer[greedy], TOFU_RESPONSE).id == i, "another answer");
	}
	/* A late one is let in, too. */
	raw_hang_up(&peer[greedy], TOFU_CLOSE_ORDERLY);
	expect_end(&h->side, channel[greedy], HELLO_ID, TOFU_PEER_DISCONNECTED);
	(void)settle(h); /* with one less, there is more for the others */
	(void)meet(h, &peer[greedy]);
	for (unsigned i = 0; i <= greedy; i++)
		raw_hang_up(&peer[i], TOFU_CLOSE_ORDERLY);
	free(channel);
	free(peer);
	hoard_end(h);
}

START_TEST(a_quiet_peer_is_heard_at_once_beside_1_greedy_one)
{
	quiet_beside_greedy(_i, 1, 5000);
}
END_TEST

START_TEST(a_quiet_peer_is_heard_at_once_beside_8_greedy_ones)
{
	quiet_beside_greedy(_i, 8, 1100);
}
END_TEST

START_TEST(a_quiet_peer_is_heard_at_once_beside_200_greedy_ones)
{
	quiet_beside_greedy(_i, 200, 1100);
}
END_TEST

/* What others put back makes its share larger, and nothing of its own has to change for that. */
START_TEST(a_channel_beyond_its_share_reads_on_when_others_put_back)
{
	struct tofu_options options = options_with_pool(POOL);
	struct hoard *h = hoard_new(_i, &options);
	tofu_msg *taken[POOL / 2];
	struct raw peer;

	(void)meet(h, &peer);
	for (int i = 0; i < POOL / 2; i++)
		works(tofu_msg_get(h->side.engine, TOFU_POOL_ONLY, &taken[i]));
	flood(&peer, FLOOD);
	eventually(stats_of(h->side.engine).pool_free == POOL / 4);
	ck_assert_uint_eq(settle(h), POOL / 4);
	for (int i = 0; i < POOL / 2; i++)
		tofu_msg_put(&taken[i]);
	eventually(stats_of(h->side.engine).pool_free == POOL / 2);
	ck_assert_uint_eq(settle(h), POOL / 4);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	hoard_end(h);
}
END_TEST

/* A message that is posted is no longer held, though it may wait to be sent for long, and by another engine. */
START_TEST(a_channel_beyond_its_share_reads_on_when_its_messages_are_posted)
{
	struct tofu_options options = options_with_pool(POOL);
	struct hoard *h = hoard_new(_i, &options);
	struct side other = side_in(engine_up(&options));
	char address[300], slow[310];
	struct tofu_header out;
	struct raw peer;

	works(tofu_engine_register(other.engine, fake_slow(_i)));
	vacant_address(_i, address, sizeof address);
	snprintf(slow, sizeof slow, "slow|%s", path_of(address));
	slow_hold();
	out = call(&other, slow, NULL);
	(void)meet(h, &peer);
	flood(&peer, FLOOD);
	eventually(stats_of(h->side.engine).pool_free == POOL / 2);
	(void)settle(h);
	for (int i = 0; i < POOL / 4; i++) {
		tofu_msg *msg = h->held[--h->count];

		tofu_msg_header(msg)->channel = out.channel;
		post(&other, &msg);
	}
	eventually(stats_of(h->side.engine).pool_free == (POOL - POOL / 4) / 2);
	ck_assert_uint_eq(settle(h), (POOL / 4) / 2);
	slow_release();
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(other.engine);
	hoard_end(h);
}
END_TEST

START_TEST(a_share_is_so_many_percent_of_what_is_free)
{
	static const struct {
		uint32_t percent;
		size_t held; /* of 64 */
	} cases[] = { { 50, 21 }, { 100, 32 }, { 300, 48 }, { 100000, 63 }, { 1, 1 } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tofu_options options = options_with_pool(POOL);
		struct raw peer;
		struct hoard *h;

		options.channel_share_percent = cases[i].percent;
		h = hoard_new(_i, &options);
		(void)meet(h, &peer);
		flood(&peer, FLOOD);
		eventually(stats_of(h->side.engine).messages_received == 1 + cases[i].held);
		ck_assert_uint_eq(settle(h), cases[i].held);
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
		hoard_end(h);
	}
}
END_TEST

/* Its messages are put back when it is gone, when others have its place, and when the engine has ended. */
START_TEST(messages_outlive_the_channel_that_held_them)
{
	enum { CHANNELS = 200, EACH = 3 };
	struct tofu_options options = options_with_pool(CHANNELS * EACH * 4);
	struct hoard *h = hoard_new(_i, &options);
	tofu_msg *last[EACH];
	size_t kept = 0;

	for (int i = 0; i < CHANNELS; i++) {
		struct raw peer;
		uint16_t channel = meet(h, &peer);

		flood(&peer, EACH);
		for (int k = 0; k < EACH; k++)
			keep(h, take(&h->side));
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
		expect_end(&h->side, channel, HELLO_ID, TOFU_PEER_DISCONNECTED);
		if (i % 2 == 0) /* half of them at once, the others in the end */
			for (int k = 0; k < EACH; k++)
				put_one(h, h->count - 1);
	}
	for (; kept < EACH; kept++)
		last[kept] = h->held[--h->count];
	hoard_end(h);
	for (size_t i = 0; i < EACH; i++)
		tofu_msg_put(&last[i]);
}
END_TEST

START_TEST(a_share_out_of_range_is_refused)
{
	struct tofu_options options = options_with_pool(POOL);
	tofu_engine *engine;

	works(tofu_init());
	options.channel_share_percent = 100001;
	ck_status(tofu_engine_create(&options, &engine), TOFU_NOT_ALLOWED);
	tofu_deinit();
}
END_TEST

static Suite *suite_of_shares(void)
{
	Suite *suite = suite_create("shares");
	TCase *tc = suite_case(suite, "shares", 120);

	over_sockets_add(tc, a_channel_that_is_not_answered_holds_half_of_the_pool_and_the_pool_is_not_empty, 1);
	over_sockets_add(tc, each_message_that_is_put_back_lets_one_more_in_and_nothing_is_lost, 1);
	over_sockets_add(tc, a_quiet_peer_is_heard_at_once_beside_1_greedy_one, 1);
	over_sockets_add(tc, a_quiet_peer_is_heard_at_once_beside_8_greedy_ones, 1);
	over_sockets_add(tc, a_quiet_peer_is_heard_at_once_beside_200_greedy_ones, 1);
	over_sockets_add(tc, a_channel_beyond_its_share_reads_on_when_others_put_back, 1);
	over_sockets_add(tc, a_channel_beyond_its_share_reads_on_when_its_messages_are_posted, 1);
	over_sockets_add(tc, a_share_is_so_many_percent_of_what_is_free, 1);
	over_sockets_add(tc, messages_outlive_the_channel_that_held_them, 1);
	tcase_add_test(tc, a_share_out_of_range_is_refused);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_shares());
}
