/* SPDX-License-Identifier: MIT */

/*
 * Bodies of any size: what is too long for one message arrives whole, in order, whatever else is under way, and memory stays
 * bounded. Peers send parts by hand, also such that no library would send.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pollers.h"
#include "lib/raw.h"
#include "lib/served.h"
#include "lib/steps.h"
#include "message/message.h"

enum { PART = 1000, MB = 1024 * 1024, GOT_MAX = 4096 };

/* --- bodies that can be recognised --- */

static unsigned char byte_of(unsigned seed, uint64_t at)
{
	return (unsigned char)(at * 31 + (at >> 9) + seed * 7);
}

static void fill_bytes(unsigned char *out, unsigned seed, uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = byte_of(seed, at + i);
}

static bool bytes_are(const unsigned char *bytes, unsigned seed, uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte_of(seed, at + i))
			return false;
	return true;
}

static size_t length_of(const tofu_msg *msg)
{
	size_t len;

	(void)tofu_msg_body(msg, &len);
	return len;
}

static void must_have_body(const tofu_msg *msg, unsigned seed, size_t len)
{
	size_t got;
	const void *body = tofu_msg_body(msg, &got);

	must(got == len, "a body of %zu bytes, not of %zu", got, len);
	must(bytes_are(body, seed, 0, len), "other bytes than were sent");
}

/* --- an application --- */

/* What its sink got. */
struct sunk {
	unsigned seed; /* it expects */
	uint64_t bytes;
	int parts, begun, ended, gave_up;
	int wants; /* parts of a body, then no more; 0: all */
};

/* One group with its parts, and what it received beside them. */
struct end {
	struct side side;
	tofu_parts *parts;
	tofu_msg *got[GOT_MAX]; /* for the application; notices of room are put back */
	size_t count;
	enum tofu_status failed[GOT_MAX]; /* what take said, if not TOFU_OK, with the message in got */
	uint64_t unsent_id[64];
	enum tofu_status unsent[64];
	size_t unsent_count;
	struct sunk sunk;
};

static void keep_unsent(void *context, tofu_msg **msg)
{
	struct end *x = context;
	struct tofu_header *h = tofu_msg_header(*msg);

	must(x->unsent_count < 64, "too many");
	must(h->origin == TOFU_ORIGIN_ENGINE && h->more == 0, "%s", describe(*msg));
	x->unsent_id[x->unsent_count] = h->id;
	x->unsent[x->unsent_count++] = h->status;
}

static enum tofu_status sink(void *context, tofu_msg *part, uint64_t at, void **user)
{
	struct sunk *s = &((struct end *)context)->sunk;
	size_t len;
	const void *body = tofu_msg_body(part, &len);

	if (part == NULL) {
		must(*user == s, "another user pointer");
		s->gave_up++;
		return TOFU_OK;
	}
	if (at == 0) {
		must(*user == NULL, "a user pointer before the first part");
		*user = s;
		s->begun++;
	}
	must(*user == s, "another user pointer");
	must(bytes_are(body, s->seed, at, len), "other bytes than were sent");
	s->parts++;
	s->bytes += len;
	s->ended += !tofu_msg_header(part)->more;
	return s->wants == 0 || s->parts < s->wants ? TOFU_OK : TOFU_NOT_ALLOWED;
}

static struct tofu_parts_options small_parts(void)
{
	struct tofu_parts_options o;

	tofu_parts_options_init(&o, sizeof o);
	o.part_size = PART;
	return o;
}

static struct end *end_up(struct side side, const struct tofu_parts_options *or_null)
{
	struct end *x = calloc(1, sizeof *x);
	struct tofu_parts_options o;

	must(x != NULL, "no memory");
	tofu_parts_options_init(&o, sizeof o);
	if (or_null != NULL)
		o = *or_null;
	o.unsent = keep_unsent;
	o.context = x;
	x->side = side;
	works(tofu_parts_create(side.group, &o, &x->parts));
	return x;
}

static void forget_all(struct end *x)
{
	while (x->count > 0)
		tofu_msg_put(&x->got[--x->count]);
}

static void end_down(struct end *x)
{
	tofu_parts_destroy(x->parts);
	forget_all(x);
	free(x);
}

/* What is kept here holds nothing of the pool. */
static tofu_msg *apart(tofu_msg *msg)
{
	tofu_msg *copy;

	works(tofu_msg_share_apart(msg, &copy));
	tofu_msg_put(&msg);
	return copy;
}

static void take_one(struct end *x, tofu_msg *msg)
{
	enum tofu_status st = tofu_parts_take(x->parts, &msg);

	must(st == TOFU_OK || msg != NULL, "it failed and kept the message");
	if (msg == NULL)
		return;
	if (st == TOFU_OK && (is_notice(msg, TOFU_SEND_READY) || is_notice(msg, TOFU_POOL_EMPTY))) {
		tofu_msg_put(&msg);
		return;
	}
	must(x->count < GOT_MAX, "too many messages");
	x->failed[x->count] = st;
	x->got[x->count++] = apart(msg);
}

/* Take what is there by now. */
static void work(struct end *x)
{
	tofu_msg *msg;

	while (tofu_receive(x->side.group, &msg, 0) == TOFU_OK)
		take_one(x, msg);
}

/* Two applications, and a connection. */
struct ends {
	struct pair pair;
	struct end *server, *client;
};

static void ends_meet(struct ends *e, const struct tofu_parts_options *server, const struct tofu_parts_options *client)
{
	e->server = end_up(e->pair.server, server);
	e->client = end_up(e->pair.client, client);
}

static void ends_open(struct ends *e, int transport, const struct tofu_options *options,
                      const struct tofu_parts_options *parts)
{
	pair_open_apart(&e->pair, transport, options, options);
	ends_meet(e, parts, parts);
}

static void ends_close(struct ends *e)
{
	end_down(e->client);
	end_down(e->server);
	pair_close(&e->pair);
}

static void both_work(struct ends *e)
{
	work(e->client);
	work(e->server);
}

#define both_until(e, condition) eventually((both_work(e), (condition)))

/* --- messages --- */

static tofu_msg *long_message(const struct side *side, uint16_t channel, int opcode, uint64_t id, unsigned seed,
                              size_t len)
{
	tofu_msg *msg = message(side, opcode, channel, id, NULL);
	void *room;

	works(tofu_msg_body_reserve(msg, len, &room));
	fill_bytes(room, seed, 0, len);
	works(tofu_msg_headers_add(msg, "name", "value"));
	return msg;
}

static struct tofu_header post_long(struct end *x, uint16_t channel, int opcode, uint64_t id, unsigned seed, size_t len)
{
	tofu_msg *msg = long_message(&x->side, channel, opcode, id, seed, len);
	struct tofu_header h;

	works(tofu_parts_post(x->parts, &msg, &h));
	must(msg == NULL, "it was kept");
	return h;
}

static void must_be_whole(tofu_msg *msg, const struct tofu_header *sent, unsigned seed, size_t len)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	char value[16];

	must(h->opcode == sent->opcode && h->id == sent->id && h->more == 0 && h->status == TOFU_OK &&
	             h->origin == TOFU_ORIGIN_APPLICATION,
	     "%s", describe(msg));
	ck_assert_str_eq(header_of(msg, "name", value, sizeof value), "value");
	must_have_body(msg, seed, len);
}

/* --- whole bodies --- */

static const size_t lengths[] = {
	0, 1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 10 * PART, 300 * PART + 7
};

START_TEST(a_body_of_any_length_arrives_whole_and_so_does_its_answer)
{
	struct tofu_parts_options o = small_parts();
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct tofu_header h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 3, lengths[i]);
		tofu_msg *msg;

		both_until(&e, e.server->count == 1);
		msg = e.server->got[--e.server->count];
		must_be_whole(msg, &h, 3, lengths[i]);
		tofu_msg_header(msg)->opcode = TOFU_RESPONSE;
		works(tofu_parts_post(e.server->parts, &msg, &h));
		both_until(&e, e.client->count == 1);
		must_be_whole(e.client->got[0], &h, 3, lengths[i]);
		forget_all(e.client);
	}
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	ends_close(&e);
}
END_TEST

START_TEST(a_body_of_many_megabytes_arrives_whole_with_each_poller)
{
	struct tofu_options options;
	struct tofu_parts_options o;
	struct tofu_header h;
	struct ends e;

	tofu_options_init(&options, sizeof options);
	options.poller = pollers[_i / OVER_NR].kind;
	tofu_parts_options_init(&o, sizeof o);
	o.body_max = 64 * MB;
	ends_open(&e, _i % OVER_NR, &options, &o);
	h = post_long(e.client, e.pair.client_channel, TOFU_SIGNAL, 0, 5, rounds(40) * MB + 1);
	both_until(&e, e.server->count == 1);
	must_be_whole(e.server->got[0], &h, 5, rounds(40) * MB + 1);
	ends_close(&e);
}
END_TEST

START_TEST(engines_without_a_thread_send_long_bodies_both_ways)
{
	struct tofu_options options;
	struct tofu_header up, down;
	tofu_engine *engine;
	struct ends e;

	tofu_options_init(&options, sizeof options);
	options.io = TOFU_IO_CALLER;
	e.pair.descriptors = os_descriptors();
	engine = engine_up(&options);
	pair_between(&e.pair, _i, side_in(engine), side_in(engine));
	ends_meet(&e, NULL, NULL);
	up = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 7, 1, 12 * MB);
	down = post_long(e.server, e.pair.server_channel, TOFU_REQUEST, 7, 2, 13 * MB);
	both_until(&e, e.server->count == 1 && e.client->count == 1);
	must_be_whole(e.server->got[0], &up, 1, 12 * MB);
	must_be_whole(e.client->got[0], &down, 2, 13 * MB);
	ends_close(&e);
}
END_TEST

START_TEST(many_bodies_of_several_channels_cross_each_other)
{
	enum { CHANNELS = 3, EACH = 8 };
	struct tofu_options options;
	struct pair pairs[CHANNELS];
	struct ends e;

	tofu_options_init(&options, sizeof options);
	options.send_queue_max = 10; /* they have to wait, and take turns */
	ends_open(&e, _i, &options, NULL);
	pairs[0] = e.pair;
	for (int i = 1; i < CHANNELS; i++)
		pair_between(&pairs[i], _i, e.pair.server, e.pair.client);
	for (unsigned i = 0; i < CHANNELS * EACH; i++) {
		struct pair *p = &pairs[i % CHANNELS];

		/* The same ids in both directions, as those of two processes would be; the length tells which it is. */
		post_long(e.client, p->client_channel, TOFU_REQUEST, 1000 + i, i, 700000 + i);
		post_long(e.server, p->server_channel, TOFU_REQUEST, 1000 + i, i + 100, 600000 + i);
		post_long(e.server, p->server_channel, TOFU_RESPONSE, 1000 + i, i + 200, 500000 + i);
	}
	both_until(&e, e.server->count == CHANNELS * EACH && e.client->count == 2 * CHANNELS * EACH);
	for (size_t n = 0; n < e.server->count; n++) {
		unsigned i = (unsigned)(tofu_msg_header(e.server->got[n])->id - 1000);

		must_have_body(e.server->got[n], i, 700000 + i);
	}
	for (size_t n = 0; n < e.client->count; n++) {
		const struct tofu_header *h = tofu_msg_header(e.client->got[n]);
		unsigned i = (unsigned)(h->id - 1000);
		bool response = h->opcode == TOFU_RESPONSE;

		must_have_body(e.client->got[n], response ? i + 200 : i + 100, (response ? 500000 : 600000) + i);
	}
	ends_close(&e);
}
END_TEST

/* --- order, turns and back pressure --- */

/* A queue that is full at once, and stays so until the peer reads. */
static void open_narrow(struct ends *e, int transport, const struct tofu_parts_options *parts)
{
	struct tofu_options narrow, few = options_with_pool(8);

	tofu_options_init(&narrow, sizeof narrow);
	narrow.send_queue_max = 4;
	pair_open_apart(&e->pair, transport, &few, &narrow);
	ends_meet(e, parts, parts);
}

/* Until the peer reads, nothing more goes out: what there is room for is out already. */
static void come_to_a_stop(struct end *x)
{
	tofu_msg *msg;

	while (tofu_receive(x->side.group, &msg, TOFU_NS_PER_S / 4) == TOFU_OK)
		take_one(x, msg);
}

START_TEST(short_messages_keep_their_order_and_do_not_wait_for_a_long_one)
{
	enum { SHORT = 500 };
	struct tofu_header last;
	struct ends e;

	open_narrow(&e, _i, NULL);
	last = post_long(e.client, e.pair.client_channel, TOFU_SIGNAL, 0, 9, 15 * MB);
	for (uint64_t n = 1; n <= SHORT; n++) {
		tofu_msg *msg = message(&e.client->side, TOFU_SIGNAL, e.pair.client_channel, 0, NULL);

		number_body(msg, n, (size_t)(8 + n));
		works(tofu_parts_post(e.client->parts, &msg, NULL));
	}
	both_until(&e, e.server->count == SHORT + 1);
	for (uint64_t n = 1; n <= SHORT; n++)
		ck_assert_uint_eq(number_of(e.server->got[n - 1]), n);
	must_be_whole(e.server->got[SHORT], &last, 9, 15 * MB);
	ends_close(&e);
}
END_TEST

START_TEST(a_peer_that_does_not_read_holds_up_nobody_else_and_gets_all_in_the_end)
{
	struct tofu_parts_options o;
	struct tofu_header h, other;
	struct ends e;
	struct pair second;
	struct side third;
	struct end *reader;
	uint64_t sent, now;
	tofu_msg *msg;

	tofu_parts_options_init(&o, sizeof o);
	o.waiting_max = 5;
	o.body_max = 40 * MB;
	open_narrow(&e, _i, &o);
	third = side_in(engine_up(NULL));
	pair_between(&second, _i, third, e.pair.client);
	reader = end_up(third, &o);

	h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 30 * MB);
	for (int i = 0; i < 4; i++) { /* each takes a place */
		msg = message(&e.client->side, TOFU_SIGNAL, e.pair.client_channel, 0, "short");
		works(tofu_parts_post(e.client->parts, &msg, NULL));
	}
	msg = message(&e.client->side, TOFU_SIGNAL, e.pair.client_channel, 0, "one too many");
	ck_status(tofu_parts_post(e.client->parts, &msg, NULL), TOFU_LIMIT_REACHED);
	must(says(msg, "one too many"), "it was not left alone");
	tofu_msg_put(&msg);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, e.pair.client_channel), 5);

	other = post_long(e.client, second.client_channel, TOFU_REQUEST, 0, 2, 30 * MB);
	eventually((work(e.client), work(reader), reader->count == 1));
	must_be_whole(reader->got[0], &other, 2, 30 * MB);
	works(tofu_parts_sent(e.client->parts, &h, &sent));
	must(sent < 25 * MB, "%u MB went to a peer that does not read", (unsigned)(sent / MB));

	both_until(&e, e.server->count == 5);
	must_be_whole(e.server->got[4], &h, 1, 30 * MB);
	ck_status(tofu_parts_sent(e.client->parts, &h, &now), TOFU_INVALID_MESSAGE_ID);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	end_down(reader);
	engine_down(third.engine);
	ends_close(&e);
}
END_TEST

/* A thousand parts have room in the queue. */
START_TEST(a_long_body_does_not_keep_the_caller_and_the_updates_of_the_application_stay_as_many)
{
	struct tofu_parts_options o = small_parts();
	struct tofu_header h;
	struct ends e;
	uint64_t sent;
	int updates = 0;

	ends_open(&e, _i, NULL, &o);
	works(tofu_update_receiver(e.client->side.group, NULL));
	h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 900 * PART);
	works(tofu_update_receiver(e.client->side.group, NULL));
	works(tofu_parts_sent(e.client->parts, &h, &sent));
	must(sent > 0 && sent <= 200 * PART, "%u bytes with one call", (unsigned)sent);
	both_until(&e, e.server->count == 1);
	must_be_whole(e.server->got[0], &h, 1, 900 * PART);
	works(tofu_update_receiver(e.client->side.group, NULL));
	both_until(&e, e.client->count >= 3);
	for (size_t i = 0; i < e.client->count; i++)
		updates += is_notice(e.client->got[i], TOFU_RECEIVER_UPDATE);
	ck_assert_int_eq(updates, 3);
	ends_close(&e);
}
END_TEST

/* Each body holds nothing of the pool while it is put together: else nobody could read on. */
START_TEST(a_small_pool_is_enough_for_many_bodies_at_once)
{
	enum { BODIES = 60 };
	struct tofu_options options = options_with_pool(8);
	struct tofu_parts_options o = small_parts();
	struct ends e;

	options.send_queue_max = 4;
	ends_open(&e, _i, &options, &o);
	for (unsigned i = 0; i < BODIES; i++) {
		post_long(e.client, e.pair.client_channel, TOFU_REQUEST, i + 1, i, 20 * PART);
		post_long(e.server, e.pair.server_channel, TOFU_REQUEST, i + 1, i, 20 * PART);
	}
	both_until(&e, e.server->count == BODIES && e.client->count == BODIES);
	for (unsigned i = 0; i < BODIES; i++)
		must_have_body(e.server->got[i], (unsigned)tofu_msg_header(e.server->got[i])->id - 1, 20 * PART);
	ends_close(&e);
}
END_TEST

START_TEST(what_waits_to_be_sent_holds_nothing_of_the_pool)
{
	enum { SHORT = 10 };
	struct tofu_options narrow = options_with_pool(64), few = options_with_pool(8);
	uint64_t before;
	struct ends e;

	narrow.send_queue_max = 4;
	pair_open_apart(&e.pair, _i, &few, &narrow);
	ends_meet(&e, NULL, NULL);
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 15 * MB);
	come_to_a_stop(e.client);
	before = stats_of(e.client->side.engine).pool_free;
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 2, 200000);
	for (int i = 0; i < SHORT; i++)
		post_long(e.client, e.pair.client_channel, TOFU_SIGNAL, 0, 3, 100);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 2 + SHORT);
	must(stats_of(e.client->side.engine).pool_free + SHORT / 2 > before, "they are of the pool");
	both_until(&e, e.server->count == 2 + SHORT);
	ends_close(&e);
}
END_TEST

/* --- sources and sinks --- */

struct spring {
	unsigned seed;
	uint64_t at, len;
	uint64_t fails_at; /* 0: never */
	enum tofu_status failure;
	int done;
	enum tofu_status status;
	uint64_t id;
	struct end *end; /* posts one more when it is done */
	uint16_t channel;
	int more;
	bool posts_long; /* what it posts has two parts */
};

static enum tofu_status draw(void *context, void *out, size_t capacity, size_t *len)
{
	struct spring *s = context;

	must(*len == 0, "a length before it was read");
	must(s->done == 0, "read after it was done");
	if (s->fails_at != 0 && s->at >= s->fails_at)
		return s->failure;
	*len = s->len - s->at < capacity ? (size_t)(s->len - s->at) : capacity;
	fill_bytes(out, s->seed, s->at, *len);
	s->at += *len;
	return TOFU_OK;
}

static struct tofu_header post_spring(struct end *x, uint16_t channel, struct spring *s);

static void drawn(void *context, const struct tofu_header *header, enum tofu_status status)
{
	struct spring *s = context;

	s->done++;
	s->status = status;
	s->id = header->id;
	if (s->more > 0) {
		tofu_msg *msg = message(&s->end->side, TOFU_SIGNAL, s->channel, 0, "done");

		s->more--;
		if (s->posts_long)
			works(tofu_msg_body_reserve(msg, 2 * TOFU_BODY_MAX, NULL));
		if (tofu_parts_post(s->end->parts, &msg, NULL) != TOFU_OK)
			tofu_msg_put(&msg);
	}
}

static enum tofu_status try_spring(struct end *x, uint16_t channel, struct spring *s, struct tofu_header *out)
{
	const struct tofu_source source = { .read = draw, .done = drawn, .context = s };
	tofu_msg *msg = message(&x->side, TOFU_REQUEST, channel, 0, NULL);
	enum tofu_status st;

	s->end = x;
	s->channel = channel;
	works(tofu_msg_headers_add(msg, "name", "value"));
	st = tofu_parts_post_from(x->parts, &msg, &source, out);
	must((st == TOFU_OK) == (msg == NULL), "whose is it?");
	tofu_msg_put(&msg);
	return st;
}

static struct tofu_header post_spring(struct end *x, uint16_t channel, struct spring *s)
{
	struct tofu_header h;

	works(try_spring(x, channel, s, &h));
	return h;
}

static struct tofu_parts_options with_sink(void)
{
	struct tofu_parts_options o = small_parts();

	o.sink = sink;
	return o;
}

START_TEST(a_body_that_is_read_bit_by_bit_goes_into_the_sink)
{
	struct tofu_parts_options o = with_sink();
	struct spring s = { .seed = 4, .len = rounds(20) * MB };
	struct tofu_header h;
	struct ends e;

	o.part_size = 0;
	o.body_max = 1; /* does not count */
	ends_open(&e, _i, NULL, &o);
	e.server->sunk.seed = 4;
	h = post_spring(e.client, e.pair.client_channel, &s);
	both_until(&e, e.server->sunk.ended == 1);
	ck_assert_uint_eq(e.server->sunk.bytes, rounds(20) * MB);
	ck_assert_int_eq(e.server->sunk.begun, 1);
	ck_assert_int_eq(e.server->sunk.gave_up, 0);
	both_until(&e, s.done == 1);
	ck_status(s.status, TOFU_OK);
	ck_assert_uint_eq(s.id, h.id);
	ck_assert_uint_eq(e.server->count, 0);
	ends_close(&e);
	ck_assert_int_eq(s.done, 1);
}
END_TEST

START_TEST(a_source_of_any_length_arrives_whole)
{
	struct tofu_parts_options o = small_parts();
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct spring s = { .seed = 2, .len = lengths[i] };
		struct tofu_header h = post_spring(e.client, e.pair.client_channel, &s);

		both_until(&e, e.server->count == 1 && s.done == 1);
		must_be_whole(e.server->got[0], &h, 2, lengths[i]);
		ck_status(s.status, TOFU_OK);
		forget_all(e.server);
	}
	ends_close(&e);
}
END_TEST

START_TEST(a_source_that_fails_cancels_its_body_and_the_peer_hears_of_it)
{
	static const enum tofu_status failures[] = { TOFU_PROCESSING_FAILED, TOFU_WOULD_BLOCK };
	struct tofu_parts_options o = small_parts();
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		struct spring s = { .len = 100 * PART, .fails_at = 50 * PART, .failure = failures[i] };
		struct tofu_header h = post_spring(e.client, e.pair.client_channel, &s);

		both_until(&e, s.done == 1 && e.server->count == 1);
		ck_status(s.status, failures[i]);
		ck_status(e.server->failed[0], TOFU_INTERRUPTED);
		ck_assert_uint_eq(tofu_msg_header(e.server->got[0])->id, h.id);
		ck_assert_uint_eq(length_of(e.server->got[0]), 0);
		forget_all(e.server);
		ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	}
	ends_close(&e);
}
END_TEST

START_TEST(a_sink_is_told_when_the_peer_cancels)
{
	struct tofu_parts_options o = with_sink();
	struct spring s = { .len = 100 * PART, .fails_at = 50 * PART, .failure = TOFU_RECV_FAILED };
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	post_spring(e.client, e.pair.client_channel, &s);
	both_until(&e, e.server->sunk.gave_up == 1);
	ck_assert_int_eq(e.server->sunk.parts, 50);
	ck_assert_int_eq(e.server->sunk.ended, 0);
	ck_assert_uint_eq(e.server->count, 0);
	tofu_parts_destroy(e.server->parts);
	e.server->parts = NULL;
	ck_assert_int_eq(e.server->sunk.gave_up, 1);
	ends_close(&e);
}
END_TEST

START_TEST(a_source_that_fails_at_once_refuses_the_message)
{
	struct tofu_parts_options o = small_parts();
	struct spring s = { .len = 1, .fails_at = 1, .at = 1, .failure = TOFU_PROCESSING_FAILED };
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	ck_status(try_spring(e.client, e.pair.client_channel, &s, NULL), TOFU_PROCESSING_FAILED);
	ck_assert_int_eq(s.done, 0);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	pair_talk(&e.pair); /* and nothing else was sent */
	ends_close(&e);
}
END_TEST

START_TEST(a_sink_that_wants_no_more_gets_no_more_and_the_next_body_is_another)
{
	struct tofu_parts_options o = with_sink();
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	e.server->sunk.wants = 3;
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 0, 10 * PART);
	post_long(e.client, e.pair.client_channel, TOFU_SIGNAL, 0, 0, PART / 2);
	both_until(&e, e.server->count == 1);
	ck_assert_int_eq(e.server->sunk.parts, 3);
	e.server->sunk = (struct sunk){ 0 };
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 0, 10 * PART);
	both_until(&e, e.server->sunk.ended == 1);
	ck_assert_uint_eq(e.server->sunk.bytes, 10 * PART);
	ends_close(&e);
}
END_TEST

/* done is called while the last of a channel leaves, or is canceled; each time it posts. */
START_TEST(who_is_done_may_post)
{
	struct tofu_parts_options o = small_parts();
	struct spring fine = { .len = 3 * PART, .more = 1 }, bad = fine, cut = fine;
	struct tofu_header h;
	struct ends e;

	bad.fails_at = PART;
	bad.failure = TOFU_PROCESSING_FAILED;
	cut.len = 50 * MB;
	ends_open(&e, _i, NULL, &o);
	post_spring(e.client, e.pair.client_channel, &fine);
	both_until(&e, fine.done == 1 && e.server->count == 2);
	post_spring(e.client, e.pair.client_channel, &bad);
	both_until(&e, bad.done == 1 && e.server->count == 4);
	h = post_spring(e.client, e.pair.client_channel, &cut);
	works(tofu_parts_cancel(e.client->parts, &h));
	ck_assert_int_eq(cut.done, 1);
	both_until(&e, e.server->count == 6);
	ck_status(e.server->failed[4], TOFU_INTERRUPTED);
	must(says(e.server->got[5], "done"), "%s", describe(e.server->got[5]));
	ends_close(&e);
}
END_TEST

START_TEST(who_is_done_because_its_channel_has_ended_may_post_and_is_refused)
{
	struct spring s = { .len = 50 * MB, .more = 100, .posts_long = _i >= OVER_NR };
	struct ends e;

	open_narrow(&e, _i % OVER_NR, NULL);
	post_spring(e.client, e.pair.client_channel, &s);
	come_to_a_stop(e.client);
	say(&e.client->side, e.pair.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
	both_until(&e, s.done == 1);
	ck_assert_int_eq(s.more, 99);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	ends_close(&e);
	ck_assert_int_eq(s.done, 1);
}
END_TEST

/* --- to cancel --- */

START_TEST(what_is_canceled_before_its_first_part_is_not_heard_of)
{
	struct tofu_header filler, h, one;
	tofu_msg *msg;
	struct ends e;

	open_narrow(&e, _i, NULL);
	filler = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 15 * MB);
	come_to_a_stop(e.client);
	h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 2, 1 * MB);
	msg = message(&e.client->side, TOFU_REQUEST, e.pair.client_channel, 0, "short");
	works(tofu_parts_post(e.client->parts, &msg, &one));
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 3);
	works(tofu_parts_cancel(e.client->parts, &h));
	works(tofu_parts_cancel(e.client->parts, &one));
	ck_status(tofu_parts_cancel(e.client->parts, &h), TOFU_INVALID_MESSAGE_ID);
	ck_assert_uint_eq(e.client->unsent_count, 2);
	ck_assert_uint_eq(e.client->unsent_id[0], h.id);
	ck_assert_uint_eq(e.client->unsent_id[1], one.id);
	ck_status(e.client->unsent[0], TOFU_INTERRUPTED);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 1);
	both_until(&e, e.server->count == 1);
	must_be_whole(e.server->got[0], &filler, 1, 15 * MB);
	ends_close(&e);
}
END_TEST

START_TEST(what_is_canceled_after_its_first_part_is_given_up_by_the_peer)
{
	struct tofu_header h;
	uint64_t bytes;
	tofu_msg *msg;
	struct ends e;

	open_narrow(&e, _i, NULL);
	h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 15 * MB);
	come_to_a_stop(e.client);
	works(tofu_parts_cancel(e.client->parts, &h));
	ck_assert_uint_eq(e.client->unsent_count, 1);
	/* The peer is still to be told: no such body, but its id is not free. */
	ck_status(tofu_parts_cancel(e.client->parts, &h), TOFU_INVALID_MESSAGE_ID);
	ck_status(tofu_parts_sent(e.client->parts, &h, &bytes), TOFU_INVALID_MESSAGE_ID);
	msg = message(&e.client->side, TOFU_REQUEST, e.pair.client_channel, h.id, "the same id");
	ck_status(tofu_parts_post(e.client->parts, &msg, NULL), TOFU_INVALID_MESSAGE_ID);
	tofu_msg_put(&msg);
	both_until(&e, e.server->count == 1);
	ck_status(e.server->failed[0], TOFU_INTERRUPTED);
	ck_assert_uint_eq(tofu_msg_header(e.server->got[0])->id, h.id);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	msg = message(&e.client->side, TOFU_REQUEST, e.pair.client_channel, h.id, "the same id");
	works(tofu_parts_post(e.client->parts, &msg, NULL));
	both_until(&e, e.server->count == 2);
	ends_close(&e);
}
END_TEST

/* --- limits --- */

START_TEST(a_body_over_a_limit_is_given_up_and_the_next_one_is_not)
{
	struct tofu_parts_options o = small_parts(), by_body = o, by_all = o;
	struct tofu_header h;
	struct ends e;

	by_body.body_max = 5 * PART;
	by_all.held_max = 5 * PART;
	pair_open(&e.pair, _i % OVER_NR, NULL);
	ends_meet(&e, _i < OVER_NR ? &by_body : &by_all, &o);
	for (int i = 0; i < 3; i++) {
		h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 10 * PART);
		both_until(&e, e.server->count == 1);
		ck_status(e.server->failed[0], TOFU_LIMIT_REACHED);
		ck_assert_uint_eq(tofu_msg_header(e.server->got[0])->id, h.id);
		h = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 4 * PART);
		both_until(&e, e.server->count == 2);
		must_be_whole(e.server->got[1], &h, 1, 4 * PART);
		forget_all(e.server);
	}
	ends_close(&e);
}
END_TEST

/* A part by hand. */
static void say_part(struct raw *peer, unsigned opcode, uint64_t id, bool more, const char *body)
{
	raw_say(peer, opcode | (more ? RAW_MORE : 0u), id, body);
}

static struct end *serve(struct served *s, int transport, const struct tofu_parts_options *or_null)
{
	serve_raw(s, transport, NULL);
	return end_up(s->side, or_null);
}

static void serve_end(struct served *s, struct end *x)
{
	end_down(x);
	served_end(s);
}

START_TEST(a_peer_that_begins_too_many_bodies_is_refused_until_its_channel_ends)
{
	struct tofu_parts_options o;
	struct served s;
	struct end *x;
	tofu_msg *msg;

	tofu_parts_options_init(&o, sizeof o);
	o.begun_max = 3;
	x = serve(&s, _i, &o);
	for (uint64_t id = 1; id <= 4; id++)
		say_part(&s.peer, TOFU_REQUEST, id, true, "begin");
	say_part(&s.peer, TOFU_REQUEST, 4, false, " end"); /* nothing tells that from a message */
	say_part(&s.peer, TOFU_SIGNAL, 9, false, "a message");
	say_part(&s.peer, TOFU_REQUEST, 2, false, " end");
	say_part(&s.peer, TOFU_REQUEST, 5, true, "begin");
	eventually((work(x), x->count == 5));
	ck_status(x->failed[0], TOFU_LIMIT_REACHED);
	ck_status(x->failed[1], TOFU_LIMIT_REACHED);
	ck_status(x->failed[2], TOFU_LIMIT_REACHED);
	ck_status(x->failed[3], TOFU_OK);
	must(says(x->got[3], "begin end"), "%s", describe(x->got[3]));
	ck_status(x->failed[4], TOFU_LIMIT_REACHED);
	raw_hang_up(&s.peer, TOFU_CLOSE_ORDERLY);
	eventually((work(x), is_closed_notice(x->got[x->count - 1])));
	must(x->count == 6, "more than the end");
	msg = message(&s.side, TOFU_SIGNAL, s.channel, 9, "of another channel with that number");
	works(tofu_parts_take(x->parts, &msg));
	must(msg != NULL, "it was kept");
	tofu_msg_put(&msg);
	serve_end(&s, x);
}
END_TEST

/* --- hostile and other peers --- */

START_TEST(a_peer_that_sends_parts_without_end_takes_no_memory_without_end)
{
	struct tofu_parts_options o;
	struct served s;
	struct end *x;

	tofu_parts_options_init(&o, sizeof o);
	o.body_max = 100;
	x = serve(&s, _i, &o);
	for (int i = 0; i < 1000; i++) {
		say_part(&s.peer, TOFU_REQUEST, 1, true, "twenty bytes of them");
		work(x);
	}
	say_part(&s.peer, TOFU_SIGNAL, 2, false, "a message");
	say_part(&s.peer, TOFU_REQUEST, 1, false, "");
	say_part(&s.peer, TOFU_REQUEST, 1, false, "no part");
	eventually((work(x), x->count == 3));
	ck_status(x->failed[0], TOFU_LIMIT_REACHED);
	must(says(x->got[1], "a message"), "%s", describe(x->got[1]));
	must(says(x->got[2], "no part"), "%s", describe(x->got[2]));
	serve_end(&s, x);
}
END_TEST

START_TEST(parts_by_hand_are_put_together_by_opcode_and_id)
{
	struct served s;
	struct end *x = serve(&s, _i, NULL);
	uint64_t bytes;

	say_part(&s.peer, TOFU_REQUEST, 5, true, "a");
	say_part(&s.peer, TOFU_RESPONSE, 5, true, "1");
	say_part(&s.peer, TOFU_REQUEST, 6, true, "");
	say_part(&s.peer, TOFU_REQUEST, 5, true, "b"); /* once more the same id: it is a part */
	say_part(&s.peer, TOFU_SIGNAL, 5, false, "alone");
	eventually((work(x), x->count == 1));
	must(says(x->got[0], "alone"), "%s", describe(x->got[0]));
	works(tofu_parts_arrived(
		x->parts, &(struct tofu_header){ .channel = s.channel, .opcode = TOFU_REQUEST, .id = 5 }, &bytes));
	ck_assert_uint_eq(bytes, 2);
	say_part(&s.peer, TOFU_RESPONSE, 5, false, "2");
	say_part(&s.peer, TOFU_REQUEST, 6, false, "");
	say_part(&s.peer, TOFU_REQUEST, 5, false, "c");
	eventually((work(x), x->count == 4));
	must(says(x->got[1], "12"), "%s", describe(x->got[1]));
	ck_assert_uint_eq(length_of(x->got[2]), 0);
	must(says(x->got[3], "abc"), "%s", describe(x->got[3]));
	ck_status(tofu_parts_arrived(x->parts, tofu_msg_header(x->got[3]), &bytes), TOFU_INVALID_MESSAGE_ID);
	serve_end(&s, x);
}
END_TEST

START_TEST(what_is_put_together_holds_nothing_of_the_pool)
{
	enum { BODIES = 60 };
	struct served s;
	struct end *x = serve(&s, _i, NULL);
	struct tofu_header h = { .channel = s.channel, .opcode = TOFU_REQUEST, .id = BODIES };
	uint64_t free_before = stats_of(s.side.engine).pool_free, bytes;

	for (uint64_t id = 1; id <= BODIES; id++)
		say_part(&s.peer, TOFU_REQUEST, id, true, "begin");
	eventually((work(x), tofu_parts_arrived(x->parts, &h, &bytes) == TOFU_OK));
	eventually(stats_of(s.side.engine).pool_free + BODIES / 2 >
	           free_before); /* the engine may have had some at hand */
	serve_end(&s, x);
}
END_TEST

START_TEST(what_is_sent_is_frames_of_one_opcode_and_id_and_text_headers_once)
{
	static unsigned char together[3 * PART + 10];
	struct tofu_parts_options o = small_parts();
	struct served s;
	struct end *x = serve(&s, _i, &o);
	struct tofu_header h = post_long(x, s.channel, TOFU_SIGNAL, 0, 6, sizeof together);
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		struct raw_frame f = raw_expect(&s.peer, TOFU_SIGNAL | (i < 3 ? RAW_MORE : 0));

		ck_assert_uint_eq(f.id, h.id);
		ck_assert_uint_eq(f.headers_len, i == 0 ? strlen("name: value\r\n") : 0);
		ck_assert_uint_eq(f.body_len, i < 3 ? PART : 10);
		memcpy(together + at, s.peer.body, f.body_len);
		at += f.body_len;
	}
	must(bytes_are(together, 6, 0, at), "other bytes than were sent");
	post_long(x, s.channel, TOFU_SIGNAL, 0, 6, 2 * PART); /* and none that is empty */
	ck_assert_uint_eq(raw_expect(&s.peer, TOFU_SIGNAL | RAW_MORE).body_len, PART);
	ck_assert_uint_eq(raw_expect(&s.peer, TOFU_SIGNAL).body_len, PART);
	serve_end(&s, x);
}
END_TEST

START_TEST(a_cancel_is_a_last_part_without_a_body)
{
	struct tofu_parts_options o = small_parts();
	struct served s;
	struct end *x = serve(&s, _i, &o);
	struct spring spring = { .len = 3 * PART, .fails_at = PART, .failure = TOFU_PROCESSING_FAILED };
	struct tofu_header h = post_spring(x, s.channel, &spring);
	struct raw_frame f;

	(void)raw_expect(&s.peer, TOFU_REQUEST | RAW_MORE);
	f = raw_expect(&s.peer, TOFU_REQUEST);
	ck_assert_uint_eq(f.id, h.id);
	ck_assert_uint_eq(f.body_len, 0);
	ck_assert_str_eq(s.peer.headers, "parts: canceled\r\n");
	serve_end(&s, x);
}
END_TEST

/* --- ends --- */

START_TEST(when_a_channel_ends_each_body_is_told_of_once)
{
	struct tofu_parts_options o = with_sink(), plain = small_parts();
	struct spring s = { .seed = 1, .len = 100 * MB };
	struct tofu_header a, b, c;
	tofu_msg *msg;
	struct ends e;

	plain.part_size = 0;
	plain.unsent = keep_unsent;
	open_narrow(&e, _i, &plain);
	end_down(e.server);
	e.server = end_up(e.pair.server, &o);
	e.server->sunk.seed = 1;
	a = post_spring(e.client, e.pair.client_channel, &s);
	b = post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 1, 20 * MB);
	msg = message(&e.client->side, TOFU_SIGNAL, e.pair.client_channel, 0, "short");
	works(tofu_parts_post(e.client->parts, &msg, &c));
	both_until(&e, e.server->sunk.begun == 2);
	say(&e.server->side, e.pair.server_channel, TOFU_BYE_SIGNAL, 0, NULL);
	both_until(&e, s.done == 1 && e.client->count > 0 && is_closed_notice(e.client->got[e.client->count - 1]) &&
	                       e.server->sunk.gave_up == 2);
	must(s.status != TOFU_OK && s.id == a.id, "done with %s", tofu_status_name(s.status));
	for (size_t i = 0; i < e.client->count; i++)
		must(!tofu_msg_header(e.client->got[i])->more, "a part came back: %s", describe(e.client->got[i]));
	must(e.client->unsent_count >= 1 && e.client->unsent_id[e.client->unsent_count - 1] == b.id, "not b, but %d",
	     (int)e.client->unsent_count);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, 0), 0);
	ck_assert_uint_eq(tofu_parts_waiting(e.client->parts, e.pair.client_channel), 0);
	(void)c;
	ends_close(&e);
	ck_assert_int_eq(s.done, 1);
}
END_TEST

/* The engine had all parts: the last one is what comes back of them. */
START_TEST(of_a_body_that_the_engine_has_whole_the_last_part_comes_back)
{
	struct tofu_options few = options_with_pool(8), wide;
	struct tofu_header h;
	struct ends e;
	int comes_back = 0;
	tofu_msg *msg;

	tofu_options_init(&wide, sizeof wide);
	wide.send_queue_max_bytes = 100 * MB;
	pair_open_apart(&e.pair, _i, &few, &wide);
	ends_meet(&e, NULL, NULL);
	msg = long_message(&e.client->side, e.pair.client_channel, TOFU_REQUEST, 0, 1, 30 * MB);
	*tofu_msg_user(msg) = &e;
	works(tofu_parts_post(e.client->parts, &msg, &h));
	eventually((work(e.client), tofu_parts_waiting(e.client->parts, 0) == 0));
	say(&e.client->side, e.pair.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
	eventually((work(e.client), e.client->count > 0 && is_closed_notice(e.client->got[e.client->count - 1])));
	for (size_t i = 0; i + 1 < e.client->count; i++) {
		comes_back += tofu_msg_header(e.client->got[i])->id == h.id;
		must(*tofu_msg_user(e.client->got[i]) == &e, "not the application's: %s", describe(e.client->got[i]));
	}
	ck_assert_int_eq(comes_back, 1);
	ck_assert_uint_eq(e.client->unsent_count, 0);
	ends_close(&e);
}
END_TEST

START_TEST(to_destroy_gives_up_all_that_is_under_way)
{
	struct tofu_parts_options o = with_sink(), plain;
	struct spring s = { .len = 100 * MB, .more = 100 };
	struct sunk sunk;
	struct ends e;

	tofu_parts_options_init(&plain, sizeof plain);
	open_narrow(&e, _i % OVER_NR, &plain);
	if (_i < OVER_NR) {
		end_down(e.server);
		e.server = end_up(e.pair.server, &o);
	}
	post_spring(e.client, e.pair.client_channel, &s);
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 0, 20 * MB);
	post_long(e.client, e.pair.client_channel, TOFU_REQUEST, 0, 0, 1);
	for (uint64_t bytes = 0; bytes == 0 && e.server->sunk.begun < 2;) {
		both_work(&e);
		(void)tofu_parts_arrived(
			e.server->parts,
			&(struct tofu_header){ .channel = e.pair.server_channel, .opcode = TOFU_REQUEST, .id = s.id },
			&bytes);
		if (_i >= OVER_NR && stats_of(e.server->side.engine).messages_received > 10)
			break;
		pass_time();
	}
	tofu_parts_destroy(e.client->parts);
	e.client->parts = NULL;
	ck_assert_int_eq(s.done, 1);
	ck_status(s.status, TOFU_SHUTDOWN_STARTED);
	ck_assert_int_eq(s.more, 99); /* it could not post */
	ck_assert_uint_eq(e.client->unsent_count, 0);
	tofu_parts_destroy(e.server->parts);
	e.server->parts = NULL;
	sunk = e.server->sunk;
	ck_assert_int_eq(sunk.gave_up, sunk.begun - sunk.ended);
	ends_close(&e);
}
END_TEST

/* --- what is refused --- */

START_TEST(what_is_wrong_is_refused_and_left_alone)
{
	struct tofu_parts_options o = small_parts();
	const struct tofu_source none = { 0 };
	struct spring spring = { .len = 1 };
	const struct tofu_source source = { .read = draw, .context = &spring };
	struct tofu_header h;
	uint64_t bytes = 7;
	tofu_msg *msg = NULL;
	tofu_parts *p = (tofu_parts *)&o;
	struct ends e;

	ends_open(&e, _i, NULL, &o);
	ck_status(tofu_parts_create(NULL, NULL, &p), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(p);
	ck_status(tofu_parts_create(e.client->side.group, NULL, NULL), TOFU_NOT_ALLOWED);
	o.part_size = TOFU_BODY_MAX + 1;
	ck_status(tofu_parts_create(e.client->side.group, &o, &p), TOFU_NOT_ALLOWED);
	o = small_parts();
	o.body_max = (1u << 30) + 1;
	ck_status(tofu_parts_create(e.client->side.group, &o, &p), TOFU_NOT_ALLOWED);
	tofu_parts_destroy(NULL);
	tofu_parts_options_init(NULL, sizeof o);

	p = e.client->parts;
	ck_status(tofu_parts_post(p, NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_parts_post(p, &msg, NULL), TOFU_NULL_MESSAGE);
	ck_status(tofu_parts_take(p, &msg), TOFU_NULL_MESSAGE);
	ck_status(tofu_parts_take(NULL, &msg), TOFU_NOT_ALLOWED);
	msg = message(&e.client->side, TOFU_BYE_REQUEST, e.pair.client_channel, 0, NULL);
	ck_status(tofu_parts_post(p, &msg, NULL), TOFU_INVALID_OP_CODE);
	tofu_msg_header(msg)->opcode = TOFU_RESPONSE;
	ck_status(tofu_parts_post_from(p, &msg, &source, NULL), TOFU_INVALID_MESSAGE_ID);
	tofu_msg_header(msg)->opcode = TOFU_REQUEST;
	tofu_msg_header(msg)->more = 1;
	ck_status(tofu_parts_post(p, &msg, NULL), TOFU_INVALID_MORE_USAGE);
	tofu_msg_header(msg)->more = 0;
	ck_status(tofu_parts_post_from(p, &msg, NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_parts_post_from(p, &msg, &none, NULL), TOFU_NOT_ALLOWED);
	works(tofu_msg_body_set(msg, "x", 1));
	ck_status(tofu_parts_post_from(p, &msg, &source, NULL), TOFU_INVALID_BODY_LEN);
	for (size_t len = 1; len <= 2 * PART + 1; len += 2 * PART) { /* with one part, and with several */
		void *room;

		works(tofu_msg_body_reserve(msg, len, &room));
		memset(room, 0, len);
		tofu_msg_header(msg)->channel = 0;
		ck_status(tofu_parts_post(p, &msg, NULL), TOFU_INVALID_CHANNEL_NUMBER);
		tofu_msg_header(msg)->channel = 60000;
		ck_status(tofu_parts_post(p, &msg, NULL), TOFU_INVALID_CHANNEL_NUMBER);
		must(length_of(msg) == len && tofu_msg_header(msg)->id == 0, "it was not left alone");
	}
	tofu_msg_put(&msg);
	h = (struct tofu_header){ .channel = e.pair.client_channel, .opcode = TOFU_REQUEST, .id = 77 };
	ck_status(tofu_parts_cancel(p, &h), TOFU_INVALID_MESSAGE_ID);
	ck_status(tofu_parts_cancel(p, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_parts_sent(p, &h, &bytes), TOFU_INVALID_MESSAGE_ID);
	ck_assert_uint_eq(bytes, 0);
	ck_status(tofu_parts_arrived(p, &h, &bytes), TOFU_INVALID_MESSAGE_ID);
	ck_assert_uint_eq(tofu_parts_waiting(NULL, 0), 0);
	ck_assert_uint_eq(tofu_parts_waiting(p, 0), 0);
	ends_close(&e);
}
END_TEST

static Suite *suite_of_parts(void)
{
	Suite *suite = suite_create("parts");
	TCase *tc = suite_case(suite, "parts", 120);

	over_add(tc, a_body_of_any_length_arrives_whole_and_so_does_its_answer, 1);
	over_add(tc, a_body_of_many_megabytes_arrives_whole_with_each_poller, pollers_count);
	over_add(tc, engines_without_a_thread_send_long_bodies_both_ways, 1);
	over_add(tc, many_bodies_of_several_channels_cross_each_other, 1);
	over_add(tc, short_messages_keep_their_order_and_do_not_wait_for_a_long_one, 1);
	over_add(tc, a_peer_that_does_not_read_holds_up_nobody_else_and_gets_all_in_the_end, 1);
	over_add(tc, a_long_body_does_not_keep_the_caller_and_the_updates_of_the_application_stay_as_many, 1);
	over_add(tc, a_small_pool_is_enough_for_many_bodies_at_once, 1);
	over_add(tc, what_waits_to_be_sent_holds_nothing_of_the_pool, 1);
	over_add(tc, a_body_that_is_read_bit_by_bit_goes_into_the_sink, 1);
	over_add(tc, a_source_of_any_length_arrives_whole, 1);
	over_add(tc, a_source_that_fails_cancels_its_body_and_the_peer_hears_of_it, 1);
	over_add(tc, a_sink_is_told_when_the_peer_cancels, 1);
	over_add(tc, a_source_that_fails_at_once_refuses_the_message, 1);
	over_add(tc, a_sink_that_wants_no_more_gets_no_more_and_the_next_body_is_another, 1);
	over_add(tc, who_is_done_may_post, 1);
	over_add(tc, who_is_done_because_its_channel_has_ended_may_post_and_is_refused, 2);
	over_add(tc, what_is_canceled_before_its_first_part_is_not_heard_of, 1);
	over_add(tc, what_is_canceled_after_its_first_part_is_given_up_by_the_peer, 1);
	over_add(tc, a_body_over_a_limit_is_given_up_and_the_next_one_is_not, 2);
	over_sockets_add(tc, a_peer_that_begins_too_many_bodies_is_refused_until_its_channel_ends, 1);
	over_sockets_add(tc, a_peer_that_sends_parts_without_end_takes_no_memory_without_end, 1);
	over_sockets_add(tc, parts_by_hand_are_put_together_by_opcode_and_id, 1);
	over_sockets_add(tc, what_is_put_together_holds_nothing_of_the_pool, 1);
	over_sockets_add(tc, what_is_sent_is_frames_of_one_opcode_and_id_and_text_headers_once, 1);
	over_sockets_add(tc, a_cancel_is_a_last_part_without_a_body, 1);
	over_add(tc, when_a_channel_ends_each_body_is_told_of_once, 1);
	over_add(tc, of_a_body_that_the_engine_has_whole_the_last_part_comes_back, 1);
	over_add(tc, to_destroy_gives_up_all_that_is_under_way, 2);
	over_add(tc, what_is_wrong_is_refused_and_left_alone, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_parts());
}
