/* SPDX-License-Identifier: MIT */

/*
 * Order and fairness under load, over each transport and each poller that this build has.
 *
 * Order: what a channel's poster says arrives in that order, each once, whatever the other channels do, in both directions.
 * Fairness is counted, not timed: how much of a flood the engine still lets pass once it could have served another channel.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/poller.h"
#include "reactor/reactor.h"

/* Cases loop over transports and pollers: _i is one of each. */

static enum tofu_poller_kind pollers[TOFU_POLLER_KINDS];
static int poller_count;

static void find_pollers(void)
{
	for (int kind = TOFU_POLLER_AUTO + 1; kind < TOFU_POLLER_KINDS; kind++)
		if (tofu_poller_backends[kind] != NULL)
			pollers[poller_count++] = (enum tofu_poller_kind)kind;
}

static int transport_of(int i)
{
	return i % OVER_NR;
}

static struct tofu_options options_of(int i, uint32_t pool)
{
	struct tofu_options options = options_with_pool(pool);

	options.poller = pollers[i / OVER_NR];
	return options;
}

/* --- order --- */

enum { CROWD = 3, LANES = 4, STREAMS = CROWD * LANES };

/* A channel of a client: what is posted to it, and what came back. */
struct lane {
	uint16_t channel;
	uint32_t stream;
	uint64_t posted;
	uint64_t heard;
	uint32_t burst; /* still to be posted, as fast as it goes */
};

/* A thread that posts to channels of its own, and takes what comes back. */
struct talker {
	struct side side;
	struct tofu_thread thread;
	struct lane lane[LANES];
	uint64_t each;
	uint64_t seed;
};

/* The server's end of a channel. It owes an answer for each message, and posts it when there is room. */
struct end {
	bool known;
	uint32_t stream;
	uint64_t heard;
	uint64_t answered;
};

struct hall {
	struct side side;
	struct listening at;
	struct end end[65536];
	uint64_t each;
	uint64_t heard, answered;
	int descriptors;
};

/* Whose message it is, and the how manieth. */
static uint64_t label(uint32_t stream, uint64_t number)
{
	return (uint64_t)stream << 32 | number;
}

/* True: it is in the engine's hands. */
static bool push(const struct side *side, uint16_t channel, int opcode, uint64_t number)
{
	tofu_msg *msg = message(side, opcode, channel, 0, NULL);
	enum tofu_status st;

	number_body(msg, number, number_length(number));
	st = tofu_post(side->group, &msg, NULL);
	must(st == TOFU_OK || st == TOFU_WOULD_BLOCK, "post said %s", tofu_status_name(st));
	tofu_msg_put(&msg);
	return st == TOFU_OK;
}

static void check_label(const char *who, const tofu_msg *msg, uint32_t stream, uint64_t due)
{
	uint64_t number = number_of(msg);

	must(number == label(stream, due), "%s: number %" PRIu64 " of stream %u instead of %" PRIu64 " of %u", who,
	     number & 0xffffffffu, (unsigned)(number >> 32), due, stream);
}

/* The server. */

static void answer_what_is_owed(struct hall *h, uint16_t channel)
{
	struct end *e = &h->end[channel];

	while (e->answered < e->heard && push(&h->side, channel, TOFU_SIGNAL, label(e->stream, e->answered))) {
		e->answered++;
		h->answered++;
	}
}

static void hall_hears(struct hall *h, tofu_msg *msg)
{
	uint16_t channel = tofu_msg_header(msg)->channel;
	struct end *e = &h->end[channel];

	if (is_notice(msg, TOFU_POOL_EMPTY))
		return;
	if (!is_notice(msg, TOFU_SEND_READY)) {
		must(tofu_msg_header(msg)->opcode == TOFU_SIGNAL &&
		             tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION,
		     "the server got %s", describe(msg));
		if (!e->known)
			e->stream = (uint32_t)(number_of(msg) >> 32);
		e->known = true;
		check_label("the server", msg, e->stream, e->heard);
		must(e->heard < h->each, "more than was posted");
		e->heard++;
		h->heard++;
	}
	answer_what_is_owed(h, channel);
}

static void hall_serve(struct hall *h)
{
	const uint64_t all = h->each * STREAMS;

	while (h->heard < all || h->answered < all) {
		tofu_msg *msg = take(&h->side);

		hall_hears(h, msg);
		tofu_msg_put(&msg);
	}
}

/* The clients. */

/*
 * Either one message to a channel on which nothing is under way, so that nothing is in the way of writing it at once, or
 * more than its queue takes.
 */
static uint32_t next_burst(struct talker *t)
{
	return dice(&t->seed, 32) > 0 ? 1 : 1 + dice(&t->seed, 3000);
}

static bool lane_talks(struct talker *t, struct lane *l)
{
	bool said = false;

	if (l->burst == 0 && l->heard == l->posted)
		l->burst = next_burst(t);
	while (l->burst > 0 && l->posted < t->each &&
	       push(&t->side, l->channel, TOFU_SIGNAL, label(l->stream, l->posted))) {
		l->posted++;
		l->burst--;
		said = true;
	}
	return said;
}

static struct lane *lane_of(struct talker *t, uint16_t channel)
{
	for (int i = 0; i < LANES; i++)
		if (t->lane[i].channel == channel)
			return &t->lane[i];
	ck_abort_msg("nobody's channel: %u", channel);
	return NULL;
}

static void talker_hears(struct talker *t, tofu_msg *msg)
{
	struct lane *l;

	if (is_notice(msg, TOFU_SEND_READY) || is_notice(msg, TOFU_POOL_EMPTY))
		return;
	must(tofu_msg_header(msg)->opcode == TOFU_SIGNAL && tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION,
	     "a client got %s", describe(msg));
	l = lane_of(t, tofu_msg_header(msg)->channel);
	check_label("a client", msg, l->stream, l->heard);
	l->heard++;
}

static bool talker_done(const struct talker *t)
{
	for (int i = 0; i < LANES; i++)
		if (t->lane[i].heard < t->each)
			return false;
	return true;
}

static void talker_run(void *context)
{
	struct talker *t = context;

	while (!talker_done(t)) {
		bool said = false;
		tofu_msg *msg;

		for (int i = 0; i < LANES; i++)
			said = lane_talks(t, &t->lane[i]) || said;
		if (!said) { /* the queues are full, or an answer is awaited */
			msg = take(&t->side);
			talker_hears(t, msg);
			tofu_msg_put(&msg);
		}
		while (tofu_receive(t->side.group, &msg, 0) == TOFU_OK) {
			talker_hears(t, msg);
			tofu_msg_put(&msg);
		}
	}
}

static void talker_open(struct talker *t, tofu_engine *engine, struct hall *h, unsigned who, uint64_t seed)
{
	t->side = side_in(engine);
	t->each = h->each;
	t->seed = seed + who;
	for (unsigned i = 0; i < LANES; i++) {
		struct pair p = { .server = h->side, .client = t->side, .at = h->at };

		pair_meet(&p);
		t->lane[i] = (struct lane){ .channel = p.client_channel, .stream = who * LANES + i };
	}
}

/* All was heard; had anything been there twice, it would come now. The engine may still have said that there is room. */
static void expect_only_send_ready(const struct side *side)
{
	struct tofu_header h;
	bool answered = false;

	drain_group(side->group);
	h = call(side, "nosuch|transport", NULL);
	for (bool closed = false; !closed;) {
		tofu_msg *msg = take(side);

		if (tofu_msg_header(msg)->id == h.id && tofu_msg_header(msg)->opcode == TOFU_HELLO_RESPONSE)
			answered = true;
		else if (is_closed_notice(msg))
			closed = true;
		else
			must(is_notice(msg, TOFU_SEND_READY) || is_notice(msg, TOFU_POOL_EMPTY), "too much: %s",
			     describe(msg));
		tofu_msg_put(&msg);
	}
	must(answered, "a channel closed");
}

START_TEST(per_channel_order_holds_under_load)
{
	struct tofu_options options = options_of(_i, 2048);
	struct hall *h = calloc(1, sizeof *h);
	struct talker talkers[CROWD];
	uint64_t seed = fresh_seed("order");
	tofu_engine *clients;

	must(h != NULL, "no memory");
	h->descriptors = os_descriptors();
	h->each = rounds(5000);
	h->side = side_in(engine_up(&options));
	listen_over(&h->side, transport_of(_i), &h->at);
	clients = engine_up(&options);
	for (unsigned i = 0; i < CROWD; i++)
		talker_open(&talkers[i], clients, h, i, seed);
	for (unsigned i = 0; i < CROWD; i++)
		works(tofu_thread_start(&talkers[i].thread, talker_run, &talkers[i]));
	hall_serve(h);
	for (unsigned i = 0; i < CROWD; i++)
		tofu_thread_join(&talkers[i].thread);
	expect_only_send_ready(&h->side);
	for (unsigned i = 0; i < CROWD; i++)
		expect_only_send_ready(&talkers[i].side);
	engine_down(clients);
	engine_down(h->side.engine);
	ck_assert_int_eq(os_descriptors(), h->descriptors);
	free(h);
}
END_TEST

/* --- raw peers that are told apart --- */

/*
 * A transport that is the real one under another scheme, so that operations of its own see one channel only. Sending and
 * receiving are the same for all: plain sockets.
 */
static struct tofu_transport *variant(struct tofu_transport *table, int transport, const char *scheme)
{
	*table = *over_transport(transport);
	table->scheme = scheme;
	return table;
}

/* A raw peer says hello to a listener of that scheme. */
static void meet(struct side *side, struct raw *peer, uint16_t *channel, int transport, const char *scheme)
{
	char address[700];
	struct listening at;
	tofu_msg *msg;

	snprintf(address, sizeof address, "%s|%s", scheme, path_of(over_anywhere(transport)));
	listen_at(side, address, &at);
	snprintf(address, sizeof address, "%s|%s", over_scheme(transport), path_of(at.address));
	raw_call(peer, address);
	raw_hello(peer, 1);
	msg = expect_peer(side, TOFU_HELLO_REQUEST);
	*channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
}

/*
 * The engine stands still where it is about to read from the flood, or to write to it: so it is known what it can do next.
 * Whoever writes a message by itself is not held.
 */
static atomic_bool hold;
static atomic_bool standing;
static _Thread_local bool never_held;

static void stand_if_held(void)
{
	while (atomic_load(&hold) && !never_held) {
		atomic_store(&standing, true);
		os_pause();
	}
	atomic_store(&standing, false);
}

static void hold_the_engine(void)
{
	atomic_store(&hold, true);
	eventually(atomic_load(&standing));
}

static void let_go_of_the_engine(void)
{
	atomic_store(&hold, false);
	eventually(!atomic_load(&standing));
}

/* --- a flood that comes in --- */

/*
 * A peer that always has more to say than is read. Its socket is readable at all times, and what comes out of it is made here,
 * so that the engine never finds it empty: nothing but the budget ends its reading.
 */

enum {
	DROP = RAW_HEADER + 8,          /* a frame of the flood */
	AHEAD = 6 * TOFU_BUDGET / DROP, /* so many may be ahead of who takes them: they never empty the pool */
	POOL_FOR_FLOOD = AHEAD + AHEAD / 4
};

/*
 * What may pass between the moment in which the quiet channel's request can be read and that in which it is: the engine may
 * have come back from waiting without it, and in the rest of that turn spend the flood's budget, and once more since the
 * flood was not through; then it waits, finds both ready, and may look at the flood first. Behind each block of a budget
 * there may be the rest of a frame that began in the one before.
 */
enum { GOES = 3, PASSING = GOES * (TOFU_BUDGET / DROP + TOFU_BUDGET / TOFU_BLOCK + 1) };

struct inflow {
	struct side side;
	struct raw flood, quiet;
	uint16_t flood_channel, quiet_channel;
	uint64_t taken; /* by the application, of all messages */
	struct tofu_transport table;
	int descriptors;
};

static atomic_bool flooding;
static _Atomic uint64_t poured;  /* bytes of the flood */
static _Atomic uint64_t drained; /* messages that the application took */

static void pour(const struct tofu_iov *to)
{
	const struct raw_frame frame = { .channel = 1, .proto = TOFU_SIGNAL, .id = 1, .body_len = DROP - RAW_HEADER };
	unsigned char drop[DROP];
	unsigned char *at = to->base;
	uint64_t from = atomic_fetch_add(&poured, to->len);

	(void)raw_encode(&frame, drop);
	for (size_t i = 0; i < to->len; i++)
		at[i] = drop[(from + i) % DROP];
}

static enum tofu_status flood_receive(const struct tofu_transport *t, struct tofu_link *link,
                                      const struct tofu_iov *iov, size_t count, size_t *done, unsigned *want)
{
	if (!atomic_load(&flooding))
		return tofu_tcp()->receive(tofu_tcp(), link, iov, count, done, want);
	stand_if_held();
	if (atomic_load(&poured) / DROP > atomic_load(&drained) + AHEAD) {
		os_pause();
		return TOFU_WOULD_BLOCK;
	}
	for (size_t i = 0; i < count; i++) {
		pour(&iov[i]);
		*done += iov[i].len;
	}
	return TOFU_OK;
}

static void note_taken(struct inflow *f, tofu_msg *msg)
{
	must(tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION, "in the flood: %s", describe(msg));
	f->taken++;
	atomic_fetch_add(&drained, 1);
}

static tofu_msg *inflow_take(struct inflow *f)
{
	tofu_msg *msg = take(&f->side);

	note_taken(f, msg);
	return msg;
}

/* Flood and quiet peer have said hello; nothing has been sent behind it. */
static void inflow_open(struct inflow *f, int transport, const struct tofu_options *options)
{
	memset(f, 0, sizeof *f);
	f->descriptors = os_descriptors();
	f->side = side_in(engine_up(options));
	variant(&f->table, transport, "flood")->receive = flood_receive;
	works(tofu_engine_register(f->side.engine, &f->table));
	meet(&f->side, &f->flood, &f->flood_channel, transport, "flood");
	meet(&f->side, &f->quiet, &f->quiet_channel, transport, over_scheme(transport));
	f->taken = 2;
	atomic_store(&drained, f->taken);
	atomic_store(&poured, 0);
}

static void inflow_close(struct inflow *f)
{
	raw_hang_up(&f->flood, TOFU_CLOSE_ORDERLY);
	raw_hang_up(&f->quiet, TOFU_CLOSE_ORDERLY);
	engine_down(f->side.engine);
	atomic_store(&flooding, false);
	ck_assert_int_eq(os_descriptors(), f->descriptors);
}

/* Hold it, and make room for the flood: no more than a budget of it is under way to the group then. */
static void let_the_flood_come(struct inflow *f)
{
	tofu_msg *msg;

	hold_the_engine();
	for (; tofu_receive(f->side.group, &msg, 0) == TOFU_OK; tofu_msg_put(&msg))
		note_taken(f, msg);
}

/* How much was read first: a group receives in the order in which the engine read, so the question's place says so. */
static uint64_t ask_in_flood(struct inflow *f, uint64_t number)
{
	uint64_t read, place;
	tofu_msg *msg;

	raw_say(&f->quiet, TOFU_REQUEST, number, "a question");
	read = stats_of(f->side.engine).messages_received;
	let_go_of_the_engine();
	while (msg = inflow_take(f), tofu_msg_header(msg)->channel != f->quiet_channel)
		tofu_msg_put(&msg);
	place = f->taken - 1;
	must(tofu_msg_header(msg)->id == number, "another question: %s", describe(msg));
	answer(&f->side, &msg, TOFU_RESPONSE);
	must(raw_expect(&f->quiet, TOFU_RESPONSE).id == number, "the answer to another question");
	return place - read;
}

START_TEST(a_channel_that_floods_delays_another_by_a_turn_and_no_more)
{
	struct tofu_options options = options_of(_i, POOL_FOR_FLOOD);
	struct inflow f;
	uint64_t most = 0;

	options.channel_share_percent = 1000; /* not what this is about */
	inflow_open(&f, transport_of(_i), &options);
	atomic_store(&flooding, true);
	raw_write(&f.flood, "", 1); /* nobody reads it */
	for (uint64_t i = 1; i <= rounds(30); i++) {
		uint64_t passed;

		let_the_flood_come(&f);
		passed = ask_in_flood(&f, i);
		must(passed <= PASSING, "%" PRIu64 " frames of the flood came first, not %d at most", passed, PASSING);
		if (passed > most)
			most = passed;
	}
	printf("at most %" PRIu64 " frames came first, of %d\n", most, PASSING);
	inflow_close(&f);
}
END_TEST

/* Put back one message at a time, each when the one before has come again, until one is of the quiet channel. */
static unsigned frames_before_question(struct inflow *f, tofu_msg **held, unsigned count)
{
	enum { ENOUGH = 20 };
	unsigned before = 0;

	for (unsigned at = 0; before < ENOUGH; at = (at + 1) % count, before++) {
		do {
			tofu_msg_put(&held[at]);
			held[at] = take(&f->side);
		} while (is_notice(held[at], TOFU_POOL_EMPTY));
		if (tofu_msg_header(held[at])->channel == f->quiet_channel)
			break;
	}
	return before;
}

/*
 * The pool is empty, and both channels wait. What is put back is one message at a time, and each has to be taken out of the
 * pool before the next is put: in turns, whoever has more to read.
 */
START_TEST(a_channel_that_floods_leaves_messages_of_an_empty_pool_to_others)
{
	enum { POOL = 8, DROPS = 100, QUESTIONS = 10 };
	struct tofu_options options = options_of(_i, POOL);
	struct inflow f;
	tofu_msg *held[POOL + 1];
	unsigned count = 0, before;

	inflow_open(&f, transport_of(_i), &options);
	for (; count < POOL; count++)
		eventually(tofu_msg_get(f.side.engine, TOFU_POOL_ONLY, &held[count]) == TOFU_OK);
	for (uint64_t i = 0; i < DROPS; i++)
		raw_number(&f.flood, i, DROP - RAW_HEADER);
	held[count] = expect(&f.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&held[count]);
	/* The first question may be in time for the first message; not all are. */
	for (uint64_t i = 1; i <= QUESTIONS; i++) {
		raw_say(&f.quiet, TOFU_REQUEST, i, "a question");
		before = frames_before_question(&f, held, 1);
		must(before <= 2, "%u frames of the flood came first", before);
	}
	for (unsigned i = 0; i < count; i++)
		tofu_msg_put(&held[i]);
	inflow_close(&f);
}
END_TEST

/* --- a flood that goes out --- */

/* A peer that takes whatever is sent: nothing but the budget ends the engine's writing. */

static _Atomic uint64_t flooded; /* bytes of the flood that were sent */
static _Atomic uint64_t seen;    /* as many were when the quiet channel sent last */

static enum tofu_status flood_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                   size_t count, size_t *done, unsigned *want)
{
	(void)link;
	(void)want;
	stand_if_held();
	for (size_t i = 0; i < count; i++)
		*done += iov[i].len;
	atomic_fetch_add(&flooded, *done);
	return TOFU_OK;
}

static enum tofu_status quiet_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                   size_t count, size_t *done, unsigned *want)
{
	atomic_store(&seen, atomic_load(&flooded));
	return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
}

/*
 * What may pass between the moment in which the quiet channel's message is posted and that in which it is sent: the engine
 * may just have taken what was posted before, and then spend the flood's budget; it takes this one in the next turn, where
 * the flood, which was not through, is first once more. The last piece of a budget is as long as the buffer in which small
 * messages are put together.
 */
enum { SENDS = 2, FLOWING = SENDS * (TOFU_BUDGET + TOFU_STAGING) };

struct outflow {
	struct side flood, quiet; /* two groups of one engine */
	struct raw flood_peer, quiet_peer;
	uint16_t flood_channel, quiet_channel;
	struct tofu_thread poster;
	atomic_bool stop, full;
	struct tofu_transport table[2];
	int descriptors;
};

/* Keep the queue full. */
static void flood_out(void *context)
{
	struct outflow *f = context;

	never_held = true;
	while (!atomic_load(&f->stop)) {
		tofu_msg *msg;

		while (!atomic_load(&f->stop) && push(&f->flood, f->flood_channel, TOFU_SIGNAL, 1))
			;
		if (atomic_load(&f->stop)) /* which may be before it is full: the engine may be as fast as we are */
			break;
		atomic_store(&f->full, true);
		msg = take(&f->flood);
		must(is_notice(msg, TOFU_SEND_READY), "instead of send_ready: %s", describe(msg));
		tofu_msg_put(&msg);
		atomic_store(&f->full, false);
	}
}

static void outflow_open(struct outflow *f, int transport, const struct tofu_options *options)
{
	tofu_engine *engine;

	memset(f, 0, sizeof *f);
	f->descriptors = os_descriptors();
	engine = engine_up(options);
	variant(&f->table[0], transport, "flood")->send = flood_send;
	variant(&f->table[1], transport, "quiet")->send = quiet_send;
	for (int i = 0; i < 2; i++)
		works(tofu_engine_register(engine, &f->table[i]));
	f->flood = side_in(engine);
	f->quiet = side_in(engine);
	meet(&f->flood, &f->flood_peer, &f->flood_channel, transport, "flood");
	meet(&f->quiet, &f->quiet_peer, &f->quiet_channel, transport, "quiet");
	works(tofu_thread_start(&f->poster, flood_out, f));
}

static void outflow_close(struct outflow *f)
{
	atomic_store(&f->stop, true);
	tofu_thread_join(&f->poster);
	raw_hang_up(&f->flood_peer, TOFU_CLOSE_ORDERLY);
	raw_hang_up(&f->quiet_peer, TOFU_CLOSE_ORDERLY);
	engine_down(f->flood.engine);
	ck_assert_int_eq(os_descriptors(), f->descriptors);
}

START_TEST(a_full_queue_keeps_another_channels_message_back_by_a_budget_and_no_more)
{
	struct tofu_options options = options_of(_i, 2048);
	struct outflow f;
	int64_t most = 0;

	options.send_queue_max = 32767;
	options.send_queue_max_bytes = 64 * 1024 * 1024;
	outflow_open(&f, transport_of(_i), &options);
	for (uint64_t i = 1; i <= rounds(30); i++) {
		uint64_t posted;
		int64_t passed;

		hold_the_engine();
		eventually(atomic_load(&f.full)); /* or half full by now */
		(void)say(&f.quiet, f.quiet_channel, TOFU_SIGNAL, i, "a word");
		posted = atomic_load(&flooded);
		let_go_of_the_engine();
		must(raw_expect(&f.quiet_peer, TOFU_SIGNAL).id == i, "another word");
		passed = (int64_t)(atomic_load(&seen) - posted);
		must(passed <= FLOWING, "%" PRId64 " bytes of the flood went first, not %d at most", passed, FLOWING);
		if (passed > most)
			most = passed;
	}
	printf("at most %" PRId64 " bytes went first, of %d\n", most, FLOWING);
	outflow_close(&f);
}
END_TEST

static Suite *suite_of_fairness(void)
{
	Suite *suite = suite_create("fairness");
	TCase *order = suite_case(suite, "order", 120), *floods = suite_case(suite, "floods", 120);

	find_pollers();
	over_add(order, per_channel_order_holds_under_load, poller_count);
	over_plain_sockets_add(floods, a_channel_that_floods_delays_another_by_a_turn_and_no_more, poller_count);
	over_plain_sockets_add(floods, a_channel_that_floods_leaves_messages_of_an_empty_pool_to_others, poller_count);
	over_plain_sockets_add(floods, a_full_queue_keeps_another_channels_message_back_by_a_budget_and_no_more,
	                       poller_count);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_fairness());
}
