/* SPDX-License-Identifier: MIT */

/*
 * Not one message may be lost without a word. Per channel the numbers that were accepted are those that were written whole,
 * then those that came back, in order, with nothing between; then channel_closed, once. Over the engine, what was accepted is
 * messages_sent plus what came back. Without an accident every number arrives exactly once, in order.
 *
 * Run with the argument "serve" this program is a server that reads until it is killed.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/steps.h"

enum { SENDERS = 4, POSTED = 5000 };

/* without accidents */

struct sender {
	struct side side;
	uint16_t channel;
	struct tofu_thread thread;
	unsigned number;
	bool shared; /* the channel and the group: others receive */
	enum tofu_status status;
};

static void wait_for_room(struct sender *s)
{
	tofu_msg *msg;

	if (s->shared) {
		os_pause();
		return;
	}
	s->status = tofu_receive(s->side.group, &msg, PATIENCE_NS);
	tofu_msg_put(&msg);
}

static void send_many(void *context)
{
	struct sender *s = context;

	for (uint64_t i = 0; i < rounds(POSTED) && s->status == TOFU_OK; i++) {
		tofu_msg *msg = message(&s->side, TOFU_SIGNAL, s->channel, 0, NULL);

		number_body(msg, (uint64_t)s->number << 32 | i, number_length(i));
		while ((s->status = tofu_post(s->side.group, &msg, NULL)) == TOFU_WOULD_BLOCK)
			wait_for_room(s);
		tofu_msg_put(&msg);
	}
}

static void all_arrive_once_in_order(const struct side *server, struct sender *senders)
{
	uint64_t next[SENDERS] = { 0 };

	for (unsigned left = SENDERS * rounds(POSTED); left > 0; left--) {
		tofu_msg *msg = take(server);
		uint64_t number;

		if (is_notice(msg, TOFU_POOL_EMPTY)) {
			tofu_msg_put(&msg);
			left++;
			continue;
		}
		must(tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION, "%s", describe(msg));
		number = number_of(msg);
		must(number >> 32 < SENDERS, "a number of nobody");
		must((number & UINT32_MAX) == next[number >> 32], "sender %u: number %u instead of %u",
		     (unsigned)(number >> 32), (unsigned)number, (unsigned)next[number >> 32]);
		next[number >> 32]++;
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < SENDERS; i++) {
		tofu_thread_join(&senders[i].thread);
		ck_status(senders[i].status, TOFU_OK);
		ck_assert_uint_eq(next[i], rounds(POSTED));
	}
}

START_TEST(many_senders_on_channels_of_their_own_lose_nothing)
{
	struct sender senders[SENDERS] = { { .number = 0 } };
	struct tofu_options options = options_with_pool(SENDERS * POSTED + 1024);
	tofu_engine *to = engine_up(&options), *from = engine_up(NULL); /* no drought at the one that reads */
	struct pair p;

	p.server = side_in(to);
	listen_over(&p.server, _i, &p.at);
	for (unsigned i = 0; i < SENDERS; i++) {
		p.client = side_in(from);
		pair_meet(&p);
		senders[i].side = p.client;
		senders[i].channel = p.client_channel;
		senders[i].number = i;
	}
	for (int i = 0; i < SENDERS; i++)
		ck_status(tofu_thread_start(&senders[i].thread, send_many, &senders[i]), TOFU_OK);
	all_arrive_once_in_order(&p.server, senders);
	expect_silence(&p.server);
	ck_assert_uint_eq(stats_of(from).messages_returned, 0);
	engine_down(from);
	engine_down(to);
}
END_TEST

START_TEST(many_senders_on_one_channel_lose_nothing)
{
	struct sender senders[SENDERS] = { { .number = 0 } };
	struct pair p;

	pair_open_apart(&p, _i, NULL, NULL);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] =
			(struct sender){ .side = p.client, .channel = p.client_channel, .number = i, .shared = true };
		ck_status(tofu_thread_start(&senders[i].thread, send_many, &senders[i]), TOFU_OK);
	}
	all_arrive_once_in_order(&p.server, senders);
	ck_assert_uint_eq(stats_of(p.client.engine).messages_returned, 0);
	pair_close(&p);
}
END_TEST

/* with accidents */

enum accident { PROCESS_IS_KILLED, CHANNEL_IS_ABORTED, ACCIDENT_NR };

/* A thread that posts until its channel is gone, and keeps the books. */
struct victim {
	struct side side;
	uint16_t channel;
	uint64_t hello;
	struct tofu_thread thread;
	uint64_t seed;
	uint64_t accepted;     /* numbers 0..accepted-1 */
	uint64_t first_back;   /* the first that came back */
	uint64_t next_back;    /* the one that has to come back next */
	uint64_t abort_at;     /* abort the channel before this number */
	enum tofu_status why;  /* with which they come back ... */
	enum tofu_status also; /* ... or with this, where it is a send that fails */
	atomic_ullong *posted; /* of all victims */
	bool any_back;
	unsigned closed;
	char wrong[160]; /* what went wrong first */
};

static void book(struct victim *v, tofu_msg **msg)
{
	const struct tofu_header *h = tofu_msg_header(*msg);
	char *const wrong = v->wrong[0] == '\0' ? v->wrong : NULL;

	if (is_notice(*msg, TOFU_SEND_READY) || is_notice(*msg, TOFU_POOL_EMPTY)) {
		;
	} else if (h->channel != v->channel || v->closed > 0) {
		if (wrong != NULL)
			snprintf(wrong, sizeof v->wrong, "not expected: %s", describe(*msg));
	} else if (is_closed_notice(*msg) && h->id == v->hello) {
		v->closed++;
	} else if (h->opcode == TOFU_REQUEST && h->origin == TOFU_ORIGIN_ENGINE &&
	           (h->status == v->why || h->status == v->also)) {
		uint64_t number = number_of(*msg);

		if (!v->any_back)
			v->first_back = v->next_back = number;
		v->any_back = true;
		if (number != v->next_back++ && wrong != NULL)
			snprintf(wrong, sizeof v->wrong, "%" PRIu64 " came back instead of %" PRIu64, number,
			         v->next_back - 1);
	} else if (wrong != NULL) {
		snprintf(wrong, sizeof v->wrong, "not expected: %s", describe(*msg));
	}
	tofu_msg_put(msg);
}

/* False: the channel is gone, and nothing can be posted any more. */
static bool post_one(struct victim *v)
{
	tofu_msg *msg = message(&v->side, TOFU_REQUEST, v->channel, 0, NULL), *got;
	enum tofu_status st;

	number_body(msg, v->accepted, number_length(dice(&v->seed, 1000)));
	while ((st = tofu_post(v->side.group, &msg, NULL)) == TOFU_WOULD_BLOCK) {
		if (tofu_receive(v->side.group, &got, PATIENCE_NS) != TOFU_OK)
			break;
		book(v, &got);
	}
	tofu_msg_put(&msg);
	if (st != TOFU_OK && st != TOFU_CHANNEL_CLOSED && v->wrong[0] == '\0')
		snprintf(v->wrong, sizeof v->wrong, "post said %s", tofu_status_name(st));
	if (st != TOFU_OK)
		return false;
	v->accepted++;
	atomic_fetch_add(v->posted, 1);
	return true;
}

static void suffer(void *context)
{
	struct victim *v = context;
	tofu_msg *msg;

	do {
		if (v->accepted == v->abort_at && v->why == TOFU_CHANNEL_CLOSED)
			(void)try_say(&v->side, v->channel, TOFU_BYE_SIGNAL, 0, NULL);
		while (dice(&v->seed, 8) == 0 && tofu_receive(v->side.group, &msg, 0) == TOFU_OK)
			book(v, &msg);
	} while (post_one(v));
	while (v->closed == 0 && tofu_receive(v->side.group, &msg, PATIENCE_NS) == TOFU_OK)
		book(v, &msg);
}

static void check_books(struct victim *v)
{
	must(v->wrong[0] == '\0', "channel %u: %s", v->channel, v->wrong);
	must(v->closed == 1, "channel %u was not closed", v->channel);
	if (!v->any_back)
		v->first_back = v->next_back = v->accepted;
	must(v->next_back == v->accepted,
	     "channel %u: of %" PRIu64 " accepted, those from %" PRIu64 " to %" PRIu64 " came back, and no more",
	     v->channel, v->accepted, v->first_back, v->next_back);
}

static void meet_server(struct victim *v, const char *address)
{
	struct tofu_header h = call(&v->side, address, "hello");
	tofu_msg *msg = expect_on(&v->side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);

	tofu_msg_put(&msg);
	v->channel = h.channel;
	v->hello = h.id;
}

static void have_an_accident(enum accident accident, int transport, uint64_t *seed)
{
	struct victim victims[SENDERS] = { { .closed = 0 } };
	tofu_engine *engine = engine_up(NULL);
	struct os_process server;
	atomic_ullong posted = 0;
	const uint64_t kill_at = 1 + dice(seed, dice(seed, 2) == 0 ? 50 : 8000);
	uint64_t written = 0, back = 0;
	struct tofu_stats stats;
	char address[600];

	must(os_spawn_self(&server, "serve", over_scheme(transport)), "no process");
	must(os_read_line(&server, address, sizeof address, PATIENCE_NS), "the server says nothing");
	for (int i = 0; i < SENDERS; i++) {
		struct victim *v = &victims[i];

		v->side = side_in(engine);
		v->seed = *seed + (uint64_t)i;
		v->posted = &posted;
		v->why = accident == PROCESS_IS_KILLED ? over_cut(transport) : TOFU_CHANNEL_CLOSED;
		v->also = accident == PROCESS_IS_KILLED ? TOFU_PEER_DISCONNECTED : v->why;
		v->abort_at = dice(seed, 2000);
		meet_server(v, address);
	}
	for (int i = 0; i < SENDERS; i++)
		ck_status(tofu_thread_start(&victims[i].thread, suffer, &victims[i]), TOFU_OK);
	if (accident == PROCESS_IS_KILLED) {
		eventually(atomic_load(&posted) >= kill_at);
		os_kill(&server);
	}
	for (int i = 0; i < SENDERS; i++)
		tofu_thread_join(&victims[i].thread);
	os_kill(&server);
	os_reap(&server);
	if (transport == OVER_UDS)
		os_file_remove(path_of(address)); /* the killed one could not */
	for (int i = 0; i < SENDERS; i++) {
		check_books(&victims[i]);
		written += victims[i].first_back;
		back += victims[i].accepted - victims[i].first_back;
	}
	eventually(stats_of(engine).messages_out == 0);
	stats = stats_of(engine);
	must(stats.messages_sent == written + SENDERS, "%" PRIu64 " were written, and %" PRIu64 " did not come back",
	     stats.messages_sent - SENDERS, written);
	ck_assert_uint_eq(stats.messages_returned, back);
	ck_assert_uint_eq(connections_of(engine), 0);
	for (int i = 0; i < SENDERS; i++)
		expect_silence(&victims[i].side);
	engine_down(engine);
}

START_TEST(after_an_accident_the_books_balance)
{
	const enum accident accident = (enum accident)(_i / OVER_NR);
	uint64_t seed = fresh_seed("accidents");
	const unsigned times = rounds(20);
	int before = os_descriptors();

	if (accident == PROCESS_IS_KILLED && !os_kill_ends_connections()) {
		printf("skipped: after_an_accident_the_books_balance:%d: this Wine keeps a killed process's "
		       "connections\n",
		       _i);
		return;
	}
	for (unsigned i = 0; i < times; i++)
		have_an_accident(accident, _i % OVER_NR, &seed);
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

static Suite *suite_of_accounting(void)
{
	Suite *suite = suite_create("accounting");
	TCase *calm = suite_case(suite, "without accidents", 60), *rough = suite_case(suite, "with accidents", 120);

	over_add(calm, many_senders_on_channels_of_their_own_lose_nothing, 1);
	over_add(calm, many_senders_on_one_channel_lose_nothing, 1);
	over_plain_sockets_add(rough, after_an_accident_the_books_balance, ACCIDENT_NR);
	return suite;
}

/* Reads what comes and drops it. Ends by itself when its parent forgot it. */
static int serve(const char *scheme)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	tofu_msg *msg;

	listen_over(&side, over_of(scheme), &at);
	printf("%s\n", at.address);
	fflush(stdout);
	while (tofu_receive(side.group, &msg, 2 * PATIENCE_NS) == TOFU_OK) {
		if (tofu_msg_header(msg)->opcode == TOFU_HELLO_REQUEST)
			answer(&side, &msg, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
	}
	engine_down(engine);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	return harness_run(suite_of_accounting());
}
