/* SPDX-License-Identifier: MIT */

/*
 * Both bounds. Without a free message the engine asks for nothing to be read, says pool_empty once, sleeps, and goes on where
 * it stopped when a message is put back. With a full send queue post says would_block, and send_ready follows once.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fake.h"
#include "lib/raw.h"
#include "lib/served.h"
#include "lib/steps.h"
#include "reactor/reactor.h"

enum { POOL = 4, FRAMES = 60 };

/* A server with a small pool, all of whose messages the test holds on to, and raw peers that have sent more than fits. */
struct drought {
	struct side side;
	struct listening at;
	struct raw peer[2];
	uint16_t channel[2];
	uint64_t next[2]; /* the number that is due from each */
	tofu_msg *held[256];
	unsigned count;
	unsigned notices; /* of pool_empty */
	int descriptors;
};

static void hold(struct drought *d, tofu_msg *msg)
{
	must(d->count < sizeof d->held / sizeof *d->held, "more messages than the pool has");
	d->held[d->count++] = msg;
}

static void put_back(struct drought *d, unsigned n)
{
	for (; n > 0 && d->count > 0; n--)
		tofu_msg_put(&d->held[--d->count]);
}

static void note_frame(struct drought *d, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	must(h->origin == TOFU_ORIGIN_APPLICATION, "in a drought: %s", describe(msg));
	for (int i = 0; i < 2; i++) {
		if (d->channel[i] != h->channel)
			continue;
		must(h->opcode == TOFU_SIGNAL && number_of(msg) == d->next[i], "number %lu instead of %lu",
		     (unsigned long)number_of(msg), (unsigned long)d->next[i]);
		d->next[i]++;
		return;
	}
	must(h->opcode == TOFU_HELLO_REQUEST, "from nobody: %s", describe(msg));
	d->channel[h->id - HELLO_ID] = h->channel;
}

/* Take what comes and keep it, until the engine says that the pool is empty. */
static void until_empty(struct drought *d)
{
	for (;;) {
		tofu_msg *msg = take(&d->side);

		if (is_notice(msg, TOFU_POOL_EMPTY)) {
			tofu_msg_put(&msg);
			d->notices++;
			break;
		}
		note_frame(d, msg);
		hold(d, msg);
	}
	/* What had been read before may still be in the mailbox. */
	for (tofu_msg *msg; tofu_receive(d->side.group, &msg, 0) == TOFU_OK;) {
		note_frame(d, msg);
		hold(d, msg);
	}
}

/* The next frame, let go at once. */
static void pass_frame(struct drought *d)
{
	tofu_msg *msg = take(&d->side);

	if (!is_notice(msg, TOFU_POOL_EMPTY))
		note_frame(d, msg);
	tofu_msg_put(&msg);
}

static void drought_open_with(struct drought *d, int transport, int peers, const struct tofu_options *options)
{
	memset(d, 0, sizeof *d);
	d->descriptors = os_descriptors();
	d->side = side_in(engine_up(options));
	listen_over(&d->side, transport, &d->at);
	for (int i = 0; i < peers; i++) {
		tofu_msg *msg;

		raw_call(&d->peer[i], d->at.address);
		raw_hello(&d->peer[i], HELLO_ID + (uint64_t)i);
		msg = take(&d->side);
		note_frame(d, msg);
		tofu_msg_put(&msg);
	}
	while (d->count < options->pool_initial) {
		tofu_msg *msg;

		eventually(tofu_msg_get(d->side.engine, TOFU_POOL_ONLY, &msg) == TOFU_OK);
		hold(d, msg);
	}
	/* All that fits into the socket's buffers; nothing more comes later. */
	for (int i = 0; i < peers; i++)
		for (uint64_t n = 0; n < FRAMES; n++)
			raw_number(&d->peer[i], n, 8 + (size_t)n * 10);
	until_empty(d);
	ck_assert_uint_eq(stats_of(d->side.engine).pool_free, 0);
}

static void drought_open(struct drought *d, int transport, int peers)
{
	struct tofu_options options = options_with_pool(POOL);

	drought_open_with(d, transport, peers, &options);
}

static void drought_close(struct drought *d, int peers)
{
	put_back(d, d->count);
	for (int i = 0; i < peers; i++)
		raw_hang_up(&d->peer[i], TOFU_CLOSE_ORDERLY);
	engine_down(d->side.engine);
	ck_assert_int_eq(os_descriptors(), d->descriptors);
}

START_TEST(an_empty_pool_stops_reading_and_costs_nothing)
{
	struct drought d;
	struct tofu_stats before, after;
	int64_t cpu;

	drought_open(&d, _i, 1);
	before = stats_of(d.side.engine);
	/* Not a second notice, not one frame more. */
	comes_to_rest(&d.side, TOFU_NS_PER_S / 5); /* the turn that found the pool empty may still have been on */
	cpu = os_cpu_ns();
	comes_to_rest(&d.side, TOFU_NS_PER_S);
	cpu = os_cpu_ns() - cpu;
	after = stats_of(d.side.engine);
	ck_assert_uint_eq(after.polls_for_reading, before.polls_for_reading);
	ck_assert_uint_eq(after.receives, before.receives);
	must(cpu < TOFU_NS_PER_S / 5, "%ld us of processor time", (long)(cpu / 1000));
	ck_assert_uint_eq(d.notices, 1);
	drought_close(&d, 1);
}
END_TEST

/* Makes the engine wake up, without a message that could end the drought. */
static void wake_engine(struct drought *d, unsigned times)
{
	for (; times > 0; times--) {
		struct side side = side_in(d->side.engine);

		side_down(&side);
	}
}

START_TEST(an_empty_pool_asks_for_no_reading_whatever_else_goes_on)
{
	struct drought d;
	struct tofu_stats before, after;
	struct raw late[3];

	drought_open(&d, _i, 1);
	for (int i = 0; i < 3; i++) {
		raw_call(&late[i], d.at.address);
		raw_say(&late[i], TOFU_HELLO_REQUEST, 1000, "one more");
	}
	eventually(stats_of(d.side.engine).channels_accepted == 3);
	wake_engine(&d, 3); /* that these need a message is found out when they can be read from */
	before = stats_of(d.side.engine);
	wake_engine(&d, 10);
	after = stats_of(d.side.engine);
	must(after.wakeups >= before.wakeups + 10, "the engine slept");
	ck_assert_uint_eq(after.polls_for_reading, before.polls_for_reading);
	ck_assert_uint_eq(after.receives, before.receives);
	for (int i = 0; i < 3; i++)
		raw_hang_up(&late[i], TOFU_CLOSE_ORDERLY);
	drought_close(&d, 1);
}
END_TEST

START_TEST(every_byte_arrives_when_messages_are_put_back)
{
	const int peers = _i / OVER_NR + 1;
	struct drought d;
	unsigned puts = 0;

	drought_open(&d, _i % OVER_NR, peers);
	/* One at a time: reading goes on for one message, and stops again. */
	for (; puts < 20; puts++) {
		put_back(&d, 1);
		until_empty(&d);
	}
	must(d.notices == puts + 1, "%u notices in %u droughts", d.notices, puts + 1);
	/* And then as they come. */
	put_back(&d, d.count);
	for (int i = 0; i < peers; i++)
		while (d.next[i] < FRAMES)
			pass_frame(&d);
	/* The connections are as they were. */
	for (int i = 0; i < peers; i++) {
		raw_number(&d.peer[i], FRAMES, 50000);
		while (d.next[i] <= FRAMES)
			pass_frame(&d);
	}
	expect_silence(&d.side);
	drought_close(&d, peers);
}
END_TEST

START_TEST(a_drought_is_told_once_to_a_group_however_many_channels_wait)
{
	struct drought d;
	tofu_msg *msg;

	drought_open(&d, _i, 2);
	ck_status(tofu_receive(d.side.group, &msg, TOFU_NS_PER_S / 4), TOFU_TIMEOUT);
	ck_assert_uint_eq(d.notices, 1);
	drought_close(&d, 2);
}
END_TEST

START_TEST(a_drought_is_told_to_every_group_that_waits)
{
	struct tofu_options options = options_with_pool(2);
	tofu_engine *engine = engine_up(&options);
	struct side side[2] = { side_in(engine), side_in(engine) };
	struct listening at[2];
	struct raw peer[2];
	tofu_msg *held[2], *msg;

	for (int i = 0; i < 2; i++) {
		listen_over(&side[i], _i, &at[i]);
		raw_call(&peer[i], at[i].address);
		raw_hello(&peer[i], HELLO_ID);
		held[i] = expect_peer(&side[i], TOFU_HELLO_REQUEST);
	}
	for (int i = 0; i < 2; i++)
		raw_number(&peer[i], 1, 100);
	for (int i = 0; i < 2; i++) {
		msg = expect(&side[i], TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < 2; i++)
		tofu_msg_put(&held[i]);
	for (int i = 0; i < 2; i++) {
		/* The first message that was put back served one of them: a second drought for the other. */
		while (is_notice(msg = take(&side[i]), TOFU_POOL_EMPTY))
			tofu_msg_put(&msg);
		ck_assert_uint_eq(number_of(msg), 1);
		tofu_msg_put(&msg);
		raw_hang_up(&peer[i], TOFU_CLOSE_ORDERLY);
	}
	engine_down(engine);
}
END_TEST

START_TEST(a_channel_may_be_closed_in_a_drought)
{
	struct drought d;
	tofu_msg *msg;

	drought_open(&d, _i, 1);
	/* A notice needs no message of the pool, but our ByeSignal is one: made with new memory. */
	say(&d.side, d.channel[0], TOFU_BYE_SIGNAL, 0, NULL);
	/* Where it went to lets one more frame in, or not, before it acts. */
	while (!is_closed_notice(msg = take(&d.side))) {
		if (!is_notice(msg, TOFU_POOL_EMPTY))
			note_frame(&d, msg);
		tofu_msg_put(&msg);
	}
	tofu_msg_put(&msg);
	expect_silence(&d.side);
	ck_assert_uint_eq(connections_of(d.side.engine), 0);
	drought_close(&d, 1);
}
END_TEST

START_TEST(a_peer_that_leaves_in_a_drought_is_heard_to_the_end)
{
	struct drought d;
	tofu_msg *msg;

	drought_open(&d, _i, 1);
	raw_hang_up(&d.peer[0], TOFU_CLOSE_ORDERLY);
	put_back(&d, d.count);
	while (!is_closed_notice(msg = take(&d.side))) {
		if (!is_notice(msg, TOFU_POOL_EMPTY))
			note_frame(&d, msg);
		tofu_msg_put(&msg);
	}
	tofu_msg_put(&msg);
	ck_assert_uint_eq(d.next[0], FRAMES);
	expect_silence(&d.side);
	drought_close(&d, 0);
}
END_TEST

/* Until both have been heard: the one that was there, and the late one. */
static void all_is_heard(struct drought *d)
{
	put_back(d, d->count);
	while (d->next[0] < FRAMES || d->channel[1] == 0)
		pass_frame(d);
}

/* It is not the caller who is late with its hello. */
START_TEST(a_drought_longer_than_the_handshake_time_closes_nobody)
{
	struct tofu_options options = options_with_pool(POOL);
	struct drought d;
	struct raw late;
	tofu_msg *msg;

	options.handshake_timeout_ms = 300;
	drought_open_with(&d, _i, 1, &options);
	raw_call(&late, d.at.address);
	raw_hello(&late, HELLO_ID + 1);
	ck_status(tofu_receive(d.side.group, &msg, TOFU_NS_PER_S), TOFU_TIMEOUT);
	wake_engine(&d, 1); /* it answers */
	all_is_heard(&d);
	raw_hang_up(&late, TOFU_CLOSE_ORDERLY);
	drought_close(&d, 1);
}
END_TEST

START_TEST(a_drought_longer_than_the_idle_time_closes_nobody)
{
	struct tofu_options options = options_with_pool(POOL);
	struct drought d;
	uint64_t before;
	tofu_msg *msg;

	options.idle_timeout_ms = 200;
	drought_open_with(&d, _i, 1, &options);
	before = stats_of(d.side.engine).wakeups;
	ck_status(tofu_receive(d.side.group, &msg, TOFU_NS_PER_S), TOFU_TIMEOUT);
	must(stats_of(d.side.engine).wakeups - before < 50, "the engine spins");
	put_back(&d, d.count);
	while (d.next[0] < FRAMES)
		pass_frame(&d);
	drought_close(&d, 1);
}
END_TEST

/* The drought is of the application's own making: all messages wait to be sent to one that reads no more. */
START_TEST(a_peer_that_dies_gives_back_the_messages_that_were_the_whole_pool)
{
	struct tofu_options options = options_with_pool(16);
	tofu_engine *engine = engine_up(&options);
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;
	uint64_t end;
	tofu_msg *msg;
	uint16_t channel;

	listen_over(&side, _i, &at);
	raw_call(&peer, at.address);
	raw_hello(&peer, HELLO_ID);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	for (end = 0; stats_of(engine).pool_free > 0 || end < 100; end++) {
		msg = message(&side, TOFU_REQUEST, channel, 0, NULL);
		number_body(msg, end, 60000);
		post(&side, &msg);
	}
	/* The engine may have found out that there is nothing to read into, or not. */
	if (tofu_receive(side.group, &msg, TOFU_NS_PER_S / 4) == TOFU_OK) {
		must(is_notice(msg, TOFU_POOL_EMPTY), "%s", describe(msg));
		tofu_msg_put(&msg);
	}
	raw_hang_up(&peer, TOFU_CLOSE_ABORT);
	for (uint64_t next = 0;;) {
		uint64_t number;

		msg = take(&side);
		if (is_notice(msg, TOFU_POOL_EMPTY)) {
			tofu_msg_put(&msg);
			continue;
		}
		if (is_closed_notice(msg)) {
			ck_assert_uint_eq(next, end);
			tofu_msg_put(&msg);
			break;
		}
		must(tofu_msg_header(msg)->status == over_cut(_i), "%s", describe(msg));
		number = number_of(msg);
		must(next == 0 || number == next, "%lu came back instead of %lu", (unsigned long)number,
		     (unsigned long)next);
		next = number + 1;
		tofu_msg_put(&msg);
	}
	engine_down(engine);
}
END_TEST

/* Take one, if there is one now; the number that is due then. */
static uint64_t hear(const struct side *side, uint64_t next)
{
	tofu_msg *msg;

	if (tofu_receive(side->group, &msg, TOFU_NS_PER_MS) != TOFU_OK)
		return next;
	if (!is_notice(msg, TOFU_POOL_EMPTY) && !is_notice(msg, TOFU_SEND_READY)) {
		must(tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION && number_of(msg) == next,
		     "instead of number %lu: %s", (unsigned long)next, describe(msg));
		next++;
	}
	tofu_msg_put(&msg);
	return next;
}

/* Each gets a message now and then, and must not have a whole block read for it. */
START_TEST(many_who_flood_an_empty_pool_do_not_fill_our_memory)
{
	enum { PEERS = 8, FLOOD = 60, LEN = 1000 };
	struct tofu_options options = options_with_pool(POOL);
	struct side side = side_in(engine_up(&options));
	struct listening at;
	struct raw peer[PEERS];
	tofu_msg *held[POOL], *msg;
	uint64_t before;

	listen_over(&side, _i, &at);
	for (int i = 0; i < PEERS; i++) {
		raw_call(&peer[i], at.address);
		raw_hello(&peer[i], HELLO_ID);
		msg = expect_peer(&side, TOFU_HELLO_REQUEST);
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < POOL; i++)
		eventually(tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	before = stats_of(side.engine).bytes_received;
	for (int i = 0; i < PEERS; i++)
		for (uint64_t n = 0; n < FLOOD; n++)
			raw_number(&peer[i], n, LEN);
	for (int i = 0; i < 3 * PEERS; i++) { /* all of them have had their turn by then */
		tofu_msg_put(&held[0]);
		while (is_notice(held[0] = take(&side), TOFU_POOL_EMPTY))
			tofu_msg_put(&held[0]);
	}
	ck_assert_uint_lt(stats_of(side.engine).bytes_received - before, PEERS * FLOOD * LEN / 4);
	for (int i = 0; i < POOL; i++)
		tofu_msg_put(&held[i]);
	for (int i = 3 * PEERS; i < PEERS * FLOOD; i++) {
		while (is_notice(msg = take(&side), TOFU_POOL_EMPTY))
			tofu_msg_put(&msg);
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < PEERS; i++)
		raw_hang_up(&peer[i], TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* Says hello without a word more, and is heard. */
static void arrive(struct raw *peer, const struct listening *at, const struct side *side)
{
	tofu_msg *msg;

	raw_call(peer, at->address);
	raw_hello(peer, HELLO_ID);
	msg = expect_peer(side, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
}

/* The next message that is not about the pool. */
static tofu_msg *take_frame(const struct side *side)
{
	tofu_msg *msg;

	while (is_notice(msg = take(side), TOFU_POOL_EMPTY))
		tofu_msg_put(&msg);
	return msg;
}

/* More peers than what all of them may keep has room for, if each keeps what is read at once from one. */
START_TEST(what_starving_channels_keep_has_one_bound_and_nothing_of_it_is_lost)
{
	enum { PEERS = TOFU_KEPT_MAX / TOFU_SIP + 60, FRAMES_EACH = 2 * TOFU_SIP / (RAW_HEADER + 8) };
	struct tofu_options options = options_with_pool(POOL);
	struct side side = side_in(engine_up(&options));
	struct raw *peer = calloc(PEERS, sizeof *peer);
	uint64_t *next = calloc(65536, sizeof *next);
	unsigned char *flood = malloc(FRAMES_EACH * (RAW_HEADER + 8));
	size_t len = 0;
	uint64_t most = 0;
	struct listening at;
	tofu_msg *held[POOL], *msg;

	must(peer != NULL && next != NULL && flood != NULL, "no memory");
	(void)os_raise_descriptor_limit();
	listen_over(&side, _i, &at);
	for (int i = 0; i < PEERS; i++)
		arrive(&peer[i], &at, &side);
	for (int i = 0; i < POOL; i++)
		eventually(tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	for (uint64_t n = 0; n < FRAMES_EACH; n++) {
		unsigned char body[8] = { 0 };
		struct raw_frame frame = {
			.channel = 1, .proto = TOFU_SIGNAL, .id = n + 1, .body_len = 8, .body = body
		};

		len += raw_encode(&frame, flood + len);
	}
	for (int i = 0; i < PEERS; i++)
		raw_write(&peer[i], flood, len);
	for (int i = 0; i < PEERS * FRAMES_EACH; i++) {
		uint64_t kept;

		/* One at a time, until all have had their turn and the bound was reached. */
		for (int k = 0; k < (i < 3 * PEERS ? 1 : POOL); k++)
			tofu_msg_put(&held[k]);
		msg = take_frame(&side);
		must(tofu_msg_header(msg)->id == ++next[tofu_msg_header(msg)->channel], "%s", describe(msg));
		kept = stats_of(side.engine).bytes_kept;
		must(kept <= TOFU_KEPT_MAX, "%lu bytes are kept", (unsigned long)kept);
		most = kept > most ? kept : most;
		if (i < 3 * PEERS)
			held[0] = msg;
		else
			tofu_msg_put(&msg);
	}
	must(most > TOFU_KEPT_MAX / 2, "no more than %lu bytes were kept", (unsigned long)most);
	ck_assert_uint_eq(stats_of(side.engine).bytes_kept, 0);
	for (int i = 0; i < PEERS; i++)
		raw_hang_up(&peer[i], TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
	free(flood);
	free(next);
	free(peer);
}
END_TEST

/* A frame that has begun takes a message, and gives it back when its peer goes: none has reached the group. */
START_TEST(a_drought_is_told_once_although_peers_that_begin_a_frame_come_and_go)
{
	struct tofu_options options = options_with_pool(1);
	struct side side = side_in(engine_up(&options));
	const struct raw_frame hello = { .channel = 1, .proto = TOFU_HELLO_REQUEST, .id = 1, .headers_len = 60000 };
	static unsigned char frame[RAW_FRAME_MAX];
	struct raw peer[6];
	struct listening at;
	unsigned notices = 0;
	tofu_msg *msg;

	listen_over(&side, _i, &at);
	(void)raw_encode(&hello, frame);
	for (int i = 0; i < 6; i++) {
		raw_call(&peer[i], at.address);
		raw_write(&peer[i], frame, 20);
		eventually(stats_of(side.engine).channels_accepted == (i == 0 ? 1 : 2));
		if (i == 0)
			eventually(stats_of(side.engine).pool_free == 0);
		if (i == 1) {
			msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
			tofu_msg_put(&msg);
			notices++;
		}
		if (i > 0) {
			raw_hang_up(&peer[i - 1], TOFU_CLOSE_ORDERLY);
			eventually(stats_of(side.engine).channels_accepted == 1 &&
			           stats_of(side.engine).pool_free == 0);
		}
	}
	while (tofu_receive(side.group, &msg, 0) == TOFU_OK) {
		must(is_notice(msg, TOFU_POOL_EMPTY), "%s", describe(msg));
		notices++;
		tofu_msg_put(&msg);
	}
	ck_assert_uint_eq(notices, 1);
	raw_hang_up(&peer[5], TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* Far more than both sockets hold: if what cannot be sent kept either from reading, neither would ever go on. */
START_TEST(two_that_both_speak_before_they_listen_hear_each_other)
{
	enum { POSTED = 400 };
	struct tofu_options options = options_with_pool(16);
	uint64_t client = 0, server = 0;
	int64_t deadline;
	struct pair p;

	options.send_queue_max_bytes = 64 * 1024 * 1024;
	pair_open_apart(&p, _i, &options, &options);
	for (uint64_t i = 0; i < POSTED; i++) {
		tofu_msg *to = message(&p.client, TOFU_REQUEST, p.client_channel, 0, NULL);
		tofu_msg *fro = message(&p.server, TOFU_REQUEST, p.server_channel, 0, NULL);

		number_body(to, i, 60000);
		number_body(fro, i, 60000);
		post(&p.client, &to);
		post(&p.server, &fro);
	}
	deadline = tofu_plat_deadline(2 * PATIENCE_NS);
	while (client < POSTED || server < POSTED) {
		client = hear(&p.client, client);
		server = hear(&p.server, server);
		must(tofu_plat_now_ns() < deadline, "they stopped at %lu and %lu", (unsigned long)client,
		     (unsigned long)server);
	}
	pair_close(&p);
}
END_TEST

START_TEST(the_pool_as_the_application_sees_it)
{
	struct tofu_options options = options_with_pool(3);
	tofu_engine *engine = engine_up(&options);
	tofu_msg *msg[4], *none;

	for (int i = 0; i < 3; i++)
		ck_status(tofu_msg_get(engine, TOFU_POOL_ONLY, &msg[i]), TOFU_OK);
	ck_status(tofu_msg_get(engine, TOFU_POOL_ONLY, &none), TOFU_POOL_EMPTY);
	ck_assert_ptr_null(none);
	ck_status(tofu_msg_get(engine, TOFU_ALWAYS, &msg[3]), TOFU_OK);
	ck_assert_uint_eq(stats_of(engine).messages_out, 4);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&msg[i]);
	ck_assert_uint_eq(stats_of(engine).messages_out, 0);
	ck_assert_uint_eq(stats_of(engine).pool_free, 3);
	engine_down(engine);
}
END_TEST

/* the sending side */

static void read_numbers(struct raw *peer, uint64_t from, uint64_t end)
{
	for (uint64_t i = from; i < end; i++) {
		struct raw_frame frame = raw_expect(peer, TOFU_REQUEST);

		must(number_in(frame.body, frame.body_len) == i, "out of order");
	}
}

static struct tofu_options few_messages(void)
{
	struct tofu_options options = options_with_pool(64);

	options.send_queue_max = 8;
	return options;
}

static struct tofu_options few_bytes(void)
{
	struct tofu_options options = options_with_pool(64);

	options.send_queue_max_bytes = 100000;
	return options;
}

START_TEST(a_full_queue_says_would_block_then_send_ready_once)
{
	struct tofu_options options = _i / OVER_NR == 0 ? few_messages() : few_bytes();
	struct served s;
	uint64_t end, more;
	tofu_msg *msg;

	serve_raw(&s, _i % OVER_NR, &options);
	end = fill_queue(&s.side, s.channel, 0, 10000);
	/* Refused again and again: still one send_ready. Little by little the system may take one more. */
	for (int i = 0; i < 10; i++) {
		enum tofu_status st;

		msg = message(&s.side, TOFU_REQUEST, s.channel, 0, NULL);
		number_body(msg, end, 10000);
		st = tofu_post(s.side.group, &msg, NULL);
		must(st == TOFU_WOULD_BLOCK || st == TOFU_OK, "%s", tofu_status_name(st));
		end += st == TOFU_OK;
		tofu_msg_put(&msg);
	}
	read_numbers(&s.peer, 0, end);
	msg = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_READY);
	ck_assert_uint_eq(tofu_msg_header(msg)->channel, s.channel);
	tofu_msg_put(&msg);
	for (int i = 0; i < 3; i++, end++) { /* nobody waits any more */
		msg = message(&s.side, TOFU_REQUEST, s.channel, 0, NULL);
		number_body(msg, end, 100);
		post(&s.side, &msg);
		read_numbers(&s.peer, end, end + 1);
	}
	expect_silence(&s.side);
	/* And once more. */
	more = fill_queue(&s.side, s.channel, end, 10000);
	must(more > end, "no room after send_ready");
	read_numbers(&s.peer, end, more);
	msg = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_SEND_READY);
	tofu_msg_put(&msg);
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(a_queue_that_was_never_full_says_nothing)
{
	struct tofu_options options = few_messages();
	struct served s;

	serve_raw(&s, _i, &options);
	for (uint64_t i = 0; i < 100; i++) {
		tofu_msg *msg = message(&s.side, TOFU_REQUEST, s.channel, 0, NULL);

		number_body(msg, i, 1000);
		post(&s.side, &msg);
		read_numbers(&s.peer, i, i + 1);
	}
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

START_TEST(a_byesignal_passes_a_full_queue)
{
	struct tofu_options options = few_messages();
	struct served s;
	uint64_t end, first;

	serve_raw(&s, _i, &options);
	end = fill_queue(&s.side, s.channel, 0, 60000);
	say(&s.side, s.channel, TOFU_BYE_SIGNAL, 0, NULL);
	first = expect_tail(&s.side, s.channel, HELLO_ID, end, TOFU_CHANNEL_CLOSED);
	must(first < end && end - first <= 8, "%lu came back of a queue of 8", (unsigned long)(end - first));
	expect_silence(&s.side);
	served_end(&s);
}
END_TEST

/* Nothing can be sent while a name is looked up, so what was accepted is what fits: the hello, and then. */
START_TEST(a_queue_holds_as_much_as_was_asked_for)
{
	const bool by_count = _i / OVER_NR == 0;
	struct tofu_options options = by_count ? few_messages() : few_bytes();
	tofu_engine *engine = engine_up(&options);
	struct side side = side_in(engine);
	char address[300], slow[310];
	struct tofu_header h;
	uint64_t end;

	ck_status(tofu_engine_register(engine, fake_slow(_i % OVER_NR)), TOFU_OK);
	vacant_address(_i % OVER_NR, address, sizeof address);
	snprintf(slow, sizeof slow, "slow|%s", path_of(address));
	slow_hold();
	h = call(&side, slow, NULL);
	end = fill_queue(&side, h.channel, 0, 10000);
	/* 100000 bytes: the hello, which is short, and 9 of 10016 */
	ck_assert_uint_eq(end, by_count ? 7 : 9);
	slow_release();
	{
		tofu_msg *msg = expect(&side, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, over_nobody(_i % OVER_NR));

		tofu_msg_put(&msg);
	}
	ck_assert_uint_eq(expect_tail(&side, h.channel, h.id, end, over_nobody(_i % OVER_NR)), 0);
	engine_down(engine);
}
END_TEST

START_TEST(a_message_bigger_than_the_bound_fits_an_empty_queue)
{
	struct tofu_options options = options_with_pool(64);
	struct served s;
	tofu_msg *msg;

	options.send_queue_max_bytes = 1000;
	serve_raw(&s, _i, &options);
	for (uint64_t i = 0; i < 5; i++) {
		msg = message(&s.side, TOFU_REQUEST, s.channel, 0, NULL);
		number_body(msg, i, 60000);
		post(&s.side, &msg);
		read_numbers(&s.peer, i, i + 1);
		drain_group(s.side.group);
	}
	served_end(&s);
}
END_TEST

START_TEST(a_peer_that_does_not_read_holds_up_nobody_else)
{
	struct tofu_options options = few_messages();
	struct served s;
	struct pair p;

	serve_raw(&s, _i, &options);
	(void)fill_queue(&s.side, s.channel, 0, 60000);
	pair_between(&p, _i, side_in(s.side.engine), side_in(s.side.engine));
	for (int i = 0; i < 1000; i++)
		pair_talk(&p);
	pair_bye(&p);
	/* Nor does it wake the engine. */
	comes_to_rest(&s.side, TOFU_NS_PER_S / 2);
	served_end(&s);
}
END_TEST

static Suite *suite_of_backpressure(void)
{
	Suite *suite = suite_create("backpressure");
	TCase *pool = suite_case(suite, "pool", 60), *queue = suite_case(suite, "send queue", 60);

	over_sockets_add(pool, an_empty_pool_stops_reading_and_costs_nothing, 1);
	over_sockets_add(pool, an_empty_pool_asks_for_no_reading_whatever_else_goes_on, 1);
	over_sockets_add(pool, every_byte_arrives_when_messages_are_put_back, 2);
	over_sockets_add(pool, a_drought_is_told_once_to_a_group_however_many_channels_wait, 1);
	over_sockets_add(pool, a_drought_is_told_to_every_group_that_waits, 1);
	over_sockets_add(pool, a_channel_may_be_closed_in_a_drought, 1);
	over_sockets_add(pool, a_peer_that_leaves_in_a_drought_is_heard_to_the_end, 1);
	over_sockets_add(pool, a_drought_longer_than_the_handshake_time_closes_nobody, 1);
	over_sockets_add(pool, a_drought_longer_than_the_idle_time_closes_nobody, 1);
	over_sockets_add(pool, a_peer_that_dies_gives_back_the_messages_that_were_the_whole_pool, 1);
	over_sockets_add(pool, many_who_flood_an_empty_pool_do_not_fill_our_memory, 1);
	over_sockets_add(pool, what_starving_channels_keep_has_one_bound_and_nothing_of_it_is_lost, 1);
	over_sockets_add(pool, a_drought_is_told_once_although_peers_that_begin_a_frame_come_and_go, 1);
	over_add(pool, two_that_both_speak_before_they_listen_hear_each_other, 1);
	tcase_add_test(pool, the_pool_as_the_application_sees_it);
	over_sockets_add(queue, a_full_queue_says_would_block_then_send_ready_once, 2);
	over_sockets_add(queue, a_queue_that_was_never_full_says_nothing, 1);
	over_sockets_add(queue, a_byesignal_passes_a_full_queue, 1);
	over_add(queue, a_queue_holds_as_much_as_was_asked_for, 2);
	over_sockets_add(queue, a_message_bigger_than_the_bound_fits_an_empty_queue, 1);
	over_sockets_add(queue, a_peer_that_does_not_read_holds_up_nobody_else, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_backpressure());
}
