/* SPDX-License-Identifier: MIT */

/*
 * Many: a thousand connections that all talk, a hundred thousand echoes, ten thousand connections one after the other. What
 * is counted at the end is what was counted on the way: each answer once, no descriptor and no memory more than before.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/steps.h"

/* The client's end of many connections to an echo server; channel numbers index what is known of each. */
struct crowd {
	struct echo echo;
	struct side side;
	unsigned size;
	uint16_t *channels;
	uint64_t hello[65536];
	uint64_t due[65536]; /* the number whose answer comes next */
	unsigned closed;
	int descriptors;
};

static struct crowd *crowd_open(unsigned size, int transport)
{
	struct crowd *c = calloc(1, sizeof *c);
	struct tofu_options options = options_with_pool(8 * 1024);

	must(c != NULL, "no memory");
	c->descriptors = os_descriptors();
	c->channels = calloc(size, sizeof *c->channels);
	must(c->channels != NULL, "no memory");
	c->size = size;
	echo_start(&c->echo, engine_up(&options));
	c->side = side_in(engine_up(&options));
	for (unsigned i = 0; i < size; i++) {
		struct tofu_header h = call(&c->side, c->echo.at[transport].address, "hello");

		c->channels[i] = h.channel;
		c->hello[h.channel] = h.id;
	}
	for (unsigned i = 0; i < size; i++) {
		tofu_msg *msg = expect_peer(&c->side, TOFU_HELLO_RESPONSE);
		uint16_t channel = tofu_msg_header(msg)->channel;

		must(c->hello[channel] == tofu_msg_header(msg)->id, "the answer to another's hello: %s", describe(msg));
		tofu_msg_put(&msg);
	}
	return c;
}

static void crowd_close(struct crowd *c)
{
	eventually(connections_of(c->side.engine) == 0);
	eventually(connections_of(c->echo.side.engine) == 0);
	echo_stop(&c->echo);
	engine_down(c->side.engine);
	engine_down(c->echo.side.engine);
	ck_assert_int_eq(os_descriptors(), c->descriptors);
	free(c->channels);
	free(c);
}

static void ask(struct crowd *c, uint16_t channel, uint64_t number)
{
	tofu_msg *msg = message(&c->side, TOFU_REQUEST, channel, 0, NULL);

	number_body(msg, number, 8 + (size_t)(number % 100));
	post(&c->side, &msg);
}

/* The next answer; the channel it came on, 0 for what ends one. */
static uint16_t next_answer(struct crowd *c)
{
	tofu_msg *msg = take(&c->side);
	const struct tofu_header *h = tofu_msg_header(msg);
	uint16_t channel = h->channel;

	if (is_closed_notice(msg)) {
		must(h->id == c->hello[channel], "closed with the wrong id: %s", describe(msg));
		c->hello[channel] = 0; /* no second time */
		c->closed++;
		channel = 0;
	} else if (h->opcode == TOFU_BYE_RESPONSE) {
		channel = 0;
	} else {
		must(h->opcode == TOFU_RESPONSE && h->origin == TOFU_ORIGIN_APPLICATION, "instead of an answer: %s",
		     describe(msg));
		must(number_of(msg) == c->due[channel], "number %" PRIu64 " instead of %" PRIu64 " on %u",
		     number_of(msg), c->due[channel], channel);
		c->due[channel]++;
	}
	tofu_msg_put(&msg);
	return channel;
}

static void shuffle(uint16_t *items, unsigned n, uint64_t *seed)
{
	for (unsigned i = n; i > 1; i--) {
		unsigned j = dice(seed, i);
		uint16_t other = items[j];

		items[j] = items[i - 1];
		items[i - 1] = other;
	}
}

/* Half of them say bye, in random order, while the other half talks; then these, too. */
static void leave_in_random_order(struct crowd *c)
{
	uint64_t seed = fresh_seed("crowd");
	const unsigned half = c->size / 2;

	shuffle(c->channels, c->size, &seed);
	for (unsigned i = 0; i < half; i++) {
		uint16_t stays = c->channels[half + i];

		say(&c->side, c->channels[i], TOFU_BYE_REQUEST, 0, NULL);
		ask(c, stays, c->due[stays]);
	}
	for (unsigned answers = 0; answers < half || c->closed < half;)
		answers += next_answer(c) != 0;
	for (unsigned i = half; i < c->size; i++)
		say(&c->side, c->channels[i], TOFU_BYE_REQUEST, 0, NULL);
	while (c->closed < c->size)
		(void)next_answer(c);
}

START_TEST(a_thousand_connections_talk_at_once)
{
	const unsigned size = rounds(1000), turns = 10;
	struct crowd *c;

	if (os_raise_descriptor_limit() < 2 * size + 100) {
		printf("skipped: %u connections need more descriptors than can be had\n", size);
		return;
	}
	c = crowd_open(size, _i);
	ck_assert_uint_eq(stats_of(c->side.engine).channels_open, size);
	for (unsigned turn = 0; turn < turns; turn++) {
		for (unsigned i = 0; i < size; i++)
			ask(c, c->channels[i], turn);
		for (unsigned i = 0; i < size; i++)
			must(next_answer(c) != 0, "an end in the middle");
	}
	for (unsigned i = 0; i < size; i++)
		must(c->due[c->channels[i]] == turns, "channel %u has %" PRIu64 " answers", c->channels[i],
		     c->due[c->channels[i]]);
	leave_in_random_order(c);
	crowd_close(c);
}
END_TEST

START_TEST(a_hundred_thousand_echoes_lose_nothing)
{
	enum { LINES = 10, WINDOW = 20 };
	const uint64_t each = rounds(100000) / LINES;
	struct crowd *c = crowd_open(LINES, _i);

	for (unsigned i = 0; i < LINES; i++)
		for (uint64_t n = 0; n < WINDOW; n++)
			ask(c, c->channels[i], n);
	for (uint64_t i = 0; i < each * LINES; i++) {
		uint16_t channel = next_answer(c);

		must(channel != 0, "an end in the middle");
		if (c->due[channel] + WINDOW - 1 < each)
			ask(c, channel, c->due[channel] + WINDOW - 1);
	}
	expect_silence(&c->side);
	for (unsigned i = 0; i < LINES; i++)
		ck_assert_uint_eq(c->due[c->channels[i]], each);
	leave_in_random_order(c);
	crowd_close(c);
}
END_TEST

static void come_and_go(struct pair *p, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		pair_meet(p);
		pair_bye(p);
	}
}

START_TEST(ten_thousand_connections_leave_nothing_behind)
{
	struct tofu_options options = options_with_pool(64);
	struct pair p;
	size_t heap, more;
	int descriptors;

	pair_open(&p, _i, &options);
	pair_bye(&p);
	come_and_go(&p, rounds(1000)); /* whatever is allocated once, is now */
	heap = os_heap_in_use();
	descriptors = os_descriptors();
	come_and_go(&p, rounds(10000));
	more = os_heap_in_use() > heap ? os_heap_in_use() - heap : 0;
	/* OpenSSL keeps things by itself, which are more than a channel is. */
	must(more < (_i == OVER_TLS ? 512 : 64) * 1024u, "%zu bytes more", more);
	ck_assert_int_eq(os_descriptors(), descriptors);
	eventually(stats_of(p.server.engine).messages_out == 0);
	ck_assert_uint_eq(connections_of(p.server.engine), 0);
	expect_silence(&p.client);
	expect_silence(&p.server);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_scale(void)
{
	Suite *suite = suite_create("scale");
	TCase *tc = suite_case(suite, "scale", 120);

	over_add(tc, a_thousand_connections_talk_at_once, 1);
	over_add(tc, a_hundred_thousand_echoes_lose_nothing, 1);
	over_add(tc, ten_thousand_connections_leave_nothing_behind, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_scale());
}
