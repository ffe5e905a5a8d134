/* SPDX-License-Identifier: MIT */

/*
 * Many connections that talk and end in every way while others go on, and the books of all of them.
 *
 * Each connection has a plan, made before it starts: which request is its last, and what happens then. The client keeps some
 * requests under way on each, the server answers. Per connection and direction: what was posted is what was written, then
 * what came back, in order; what arrived is, in order, the first part of what was written, and all of it unless somebody cut
 * the connection off. Over an engine: what was posted is messages_sent and messages_returned.
 *
 * How many connections: TOFU_STRESS in the environment, or arguments ("test_stress 20 1000").
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/steps.h"

enum { SIZES_MAX = 16, CHANNELS = 65536, WINDOW = 4, LONGEST = 40, OPENING = 100 };

static unsigned sizes[SIZES_MAX] = { 20, 100, 1000, 4000 };
static int sizes_count = 4;

/* Who ends it, and how: with a bye, or cut off. */
enum end { CLIENT_BYE, CLIENT_CUTS, SERVER_BYE, SERVER_CUTS, END_NR };

/* What one side of a connection posted and got. Numbers count from 0. */
struct books {
	uint64_t posted;
	uint64_t first_back, next_back; /* those that came back; equal: none */
	uint64_t got;
	unsigned closed;
};

struct line {
	enum end end;
	uint64_t last; /* the request at which it ends */
	bool over;     /* the client asks no more */
	uint16_t channel;
	struct books client, server;
};

/* One engine, and what it does in all. */
struct party {
	struct side side;
	unsigned *line_of; /* by channel number, plus 1 */
	uint64_t control;  /* frames posted that are no requests and no answers, less those that came back */
	unsigned closed;
};

struct storm {
	unsigned size;
	struct line *lines;
	struct party client, server;
	struct listening at;
	struct tofu_thread thread;
};

/* Not PATIENCE_NS: the more connections there are, the longer some systems think about each (Wine). */
#define LONG_PATIENCE_NS (12 * PATIENCE_NS)

static tofu_msg *next(const struct party *party)
{
	tofu_msg *msg;

	works(tofu_receive(party->side.group, &msg, LONG_PATIENCE_NS));
	return msg;
}

/* The channel may have ended meanwhile; a notice says so. */
static void control_on(struct party *party, uint16_t channel, int opcode, uint64_t id)
{
	enum tofu_status st = try_say(&party->side, channel, opcode, id, NULL);

	must(st == TOFU_OK || st == TOFU_CHANNEL_CLOSED, "opcode %d: post said %s", opcode, tofu_status_name(st));
	if (st == TOFU_OK && opcode != TOFU_BYE_SIGNAL) /* that is never sent */
		party->control++;
}

static void post_number(struct party *party, struct books *b, struct tofu_header to, unsigned line)
{
	tofu_msg *msg = message(&party->side, to.opcode, to.channel, to.id, NULL);
	uint64_t number = b->posted;
	enum tofu_status st;

	number_body(msg, (uint64_t)line << 32 | number,
	            number % 16 == 7 ? 3000 + (size_t)(number % 1000) : 8 + (size_t)(number % 100));
	st = tofu_post(party->side.group, &msg, NULL);
	must(st == TOFU_OK || st == TOFU_CHANNEL_CLOSED, "line %u: post said %s", line, tofu_status_name(st));
	if (st == TOFU_OK)
		b->posted++;
	tofu_msg_put(&msg);
}

static unsigned line_under(const struct party *party, tofu_msg *msg)
{
	unsigned line = party->line_of[tofu_msg_header(msg)->channel];

	must(line != 0, "on no channel of ours: %s", describe(msg));
	return line - 1;
}

/* Of what arrives, and of what comes back, each is the one after the last. */
static void book_number(uint64_t *next, unsigned line, tofu_msg *msg)
{
	uint64_t number = number_of(msg);

	must(number >> 32 == line, "what belongs to %u arrived on %u", (unsigned)(number >> 32), line);
	must((uint32_t)number == *next, "line %u: %u instead of %u: %s", line, (unsigned)(uint32_t)number,
	     (unsigned)*next, describe(msg));
	++*next;
}

static void book_back(struct books *b, unsigned line, tofu_msg *msg)
{
	if (b->first_back == b->next_back)
		b->first_back = b->next_back = (uint32_t)number_of(msg);
	book_number(&b->next_back, line, msg);
}

/* What the engine says to a party. False: it is from the peer. */
static bool book_engine(struct storm *s, struct party *party, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	unsigned line;
	struct books *b;

	if (h->origin == TOFU_ORIGIN_APPLICATION)
		return false;
	if (is_notice(msg, TOFU_POOL_EMPTY) || is_notice(msg, TOFU_SEND_READY))
		return true;
	line = line_under(party, msg);
	b = party == &s->client ? &s->lines[line].client : &s->lines[line].server;
	must(b->closed == 0, "behind the end: %s", describe(msg));
	if (is_closed_notice(msg)) {
		b->closed++;
		party->closed++;
		party->line_of[h->channel] = 0;
	} else if (h->opcode == TOFU_REQUEST || h->opcode == TOFU_RESPONSE) {
		book_back(b, line, msg);
	} else {
		must(h->opcode == TOFU_BYE_REQUEST || h->opcode == TOFU_BYE_RESPONSE, "came back: %s", describe(msg));
		party->control--;
	}
	return true;
}

/* the server */

static void serve_request(struct storm *s, unsigned line, tofu_msg *msg)
{
	struct line *l = &s->lines[line];
	uint16_t channel = tofu_msg_header(msg)->channel;
	bool last = l->server.got == l->last;

	book_number(&l->server.got, line, msg);
	if (last && l->end == SERVER_BYE)
		control_on(&s->server, channel, TOFU_BYE_REQUEST, 0);
	else if (last && l->end == SERVER_CUTS)
		control_on(&s->server, channel, TOFU_BYE_SIGNAL, 0);
	else if (l->server.got <= l->last || l->end == CLIENT_BYE || l->end == CLIENT_CUTS)
		post_number(&s->server, &l->server,
		            (struct tofu_header){
				    .opcode = TOFU_RESPONSE, .channel = channel, .id = tofu_msg_header(msg)->id },
		            line);
}

static void serve_one(struct storm *s, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	unsigned line;

	switch ((enum tofu_opcode)h->opcode) {
	case TOFU_HELLO_REQUEST:
		line = (unsigned)number_of(msg);
		must(line < s->size && s->server.line_of[h->channel] == 0, "a wrong hello: %s", describe(msg));
		s->server.line_of[h->channel] = line + 1;
		control_on(&s->server, h->channel, TOFU_HELLO_RESPONSE, h->id);
		break;
	case TOFU_REQUEST:
		serve_request(s, line_under(&s->server, msg), msg);
		break;
	case TOFU_BYE_REQUEST:
		control_on(&s->server, h->channel, TOFU_BYE_RESPONSE, h->id);
		break;
	case TOFU_BYE_RESPONSE:
		break;
	case TOFU_RESPONSE:
	case TOFU_SIGNAL:
	case TOFU_HELLO_RESPONSE:
	case TOFU_BYE_SIGNAL:
	case TOFU_WELCOME_REQUEST:
	case TOFU_WELCOME_RESPONSE:
		must(false, "the server got %s", describe(msg));
	}
}

static void serve(void *context)
{
	struct storm *s = context;

	while (s->server.closed < s->size) {
		tofu_msg *msg = next(&s->server);

		if (!book_engine(s, &s->server, msg))
			serve_one(s, msg);
		tofu_msg_put(&msg);
	}
}

/* the client */

static void call_next(struct storm *s, unsigned line)
{
	tofu_msg *msg = message(&s->client.side, TOFU_REQUEST, 0, 0, NULL);
	struct tofu_header h;

	number_body(msg, line, 8);
	works(tofu_msg_connect_to(msg, s->at.address));
	h = post(&s->client.side, &msg);
	s->client.control++;
	s->client.line_of[h.channel] = line + 1;
	s->lines[line].channel = h.channel;
}

/* All are open before the first one ends. Some at a time: a system's backlog may be short. */
static void open_all(struct storm *s)
{
	unsigned called = 0;

	for (unsigned met = 0; met < s->size; met++) {
		tofu_msg *msg;

		while (called < s->size && called < met + OPENING)
			call_next(s, called++);
		msg = next(&s->client);
		(void)line_under(&s->client, msg);
		must(tofu_msg_header(msg)->opcode == TOFU_HELLO_RESPONSE && tofu_msg_header(msg)->status == TOFU_OK,
		     "instead of an answer to hello: %s", describe(msg));
		tofu_msg_put(&msg);
	}
}

/* One more request on this line, or its end if the client is to make it. */
static void ask(struct storm *s, unsigned line)
{
	struct line *l = &s->lines[line];

	if (l->over)
		return;
	if (l->client.posted <= l->last) {
		post_number(&s->client, &l->client,
		            (struct tofu_header){ .opcode = TOFU_REQUEST, .channel = l->channel }, line);
	} else if (l->end == CLIENT_BYE) {
		l->over = true;
		control_on(&s->client, l->channel, TOFU_BYE_REQUEST, 0);
	} else if (l->end == CLIENT_CUTS) {
		l->over = true;
		control_on(&s->client, l->channel, TOFU_BYE_SIGNAL, 0);
	}
}

static void hear(struct storm *s, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	unsigned line = line_under(&s->client, msg);
	struct line *l = &s->lines[line];

	if (h->opcode == TOFU_RESPONSE) {
		book_number(&l->client.got, line, msg);
		ask(s, line);
	} else if (h->opcode == TOFU_BYE_REQUEST) {
		l->over = true;
		control_on(&s->client, h->channel, TOFU_BYE_RESPONSE, h->id);
	} else {
		must(h->opcode == TOFU_BYE_RESPONSE, "the client got %s", describe(msg));
	}
}

static void talk(struct storm *s)
{
	for (int turn = 0; turn < WINDOW; turn++)
		for (unsigned line = 0; line < s->size; line++)
			ask(s, line);
	while (s->client.closed < s->size) {
		tofu_msg *msg = next(&s->client);

		if (!book_engine(s, &s->client, msg))
			hear(s, msg);
		tofu_msg_put(&msg);
	}
}

/* the books */

struct sums {
	uint64_t posted, got, back, cut_off;
};

static void add_up(struct sums *sums, unsigned line, bool cut, const struct books *from, const struct books *to)
{
	uint64_t back = from->next_back - from->first_back, written = from->posted - back;

	must(from->closed == 1, "line %u was closed %u times", line, from->closed);
	must(back == 0 || from->next_back == from->posted, "line %u: what came back is not the last of what was posted",
	     line);
	must(to->got <= written, "line %u: %" PRIu64 " arrived, but only %" PRIu64 " were written", line, to->got,
	     written);
	must(cut || to->got == written, "line %u ended with a bye, and %" PRIu64 " of %" PRIu64 " are missing", line,
	     written - to->got, written);
	sums->posted += from->posted;
	sums->got += to->got;
	sums->back += back;
	sums->cut_off += written - to->got;
}

static void balance(struct storm *s, int transport)
{
	struct sums asked = { 0 }, answered = { 0 };
	unsigned ends[END_NR] = { 0 };

	for (unsigned i = 0; i < s->size; i++) {
		const struct line *l = &s->lines[i];
		bool cut = l->end == CLIENT_CUTS || l->end == SERVER_CUTS;

		add_up(&asked, i, cut, &l->client, &l->server);
		add_up(&answered, i, cut, &l->server, &l->client);
		must(l->end != CLIENT_BYE || l->client.got == l->last + 1, "line %u: answers are missing", i);
		ends[l->end]++;
	}
	must(asked.posted == asked.got + asked.back + asked.cut_off, "requests are lost");
	must(answered.posted == answered.got + answered.back + answered.cut_off, "answers are lost");
	ck_assert_uint_eq(stats_of(s->client.side.engine).messages_sent, asked.posted - asked.back + s->client.control);
	ck_assert_uint_eq(stats_of(s->server.side.engine).messages_sent,
	                  answered.posted - answered.back + s->server.control);
	printf("%u over %s: %" PRIu64 " posted = %" PRIu64 " arrived + %" PRIu64 " came back + %" PRIu64
	       " cut off; ended by the client %u + %u cut, by the server %u + %u\n",
	       s->size, over_scheme(transport), asked.posted + answered.posted, asked.got + answered.got,
	       asked.back + answered.back, asked.cut_off + answered.cut_off, ends[CLIENT_BYE], ends[CLIENT_CUTS],
	       ends[SERVER_BYE], ends[SERVER_CUTS]);
}

/* the storm */

static void party_open(struct party *party)
{
	struct tofu_options options = options_with_pool(16 * 1024);

	options.handshake_timeout_ms = LONG_PATIENCE_NS / TOFU_NS_PER_MS;
	party->side = side_in(engine_up(&options));
	party->line_of = calloc(CHANNELS, sizeof *party->line_of);
	must(party->line_of != NULL, "no memory");
}

static void party_close(struct party *party)
{
	eventually(connections_of(party->side.engine) == 0);
	eventually(stats_of(party->side.engine).messages_out == 0);
	expect_silence(&party->side);
	engine_down(party->side.engine);
	free(party->line_of);
}

static void make_plans(struct storm *s, uint64_t *seed)
{
	s->lines = calloc(s->size, sizeof *s->lines);
	must(s->lines != NULL, "no memory");
	for (unsigned i = 0; i < s->size; i++) {
		s->lines[i].end = (enum end)dice(seed, END_NR);
		s->lines[i].last = dice(seed, LONGEST);
	}
}

static void storm(unsigned size, int transport)
{
	struct storm s = { .size = size };
	uint64_t seed = fresh_seed("stress");
	const int descriptors = os_descriptors();

	make_plans(&s, &seed);
	party_open(&s.client);
	party_open(&s.server);
	listen_over(&s.server.side, transport, &s.at);
	works(tofu_thread_start(&s.thread, serve, &s));
	open_all(&s);
	ck_assert_uint_eq(stats_of(s.client.side.engine).channels_open, size);
	talk(&s);
	tofu_thread_join(&s.thread);
	balance(&s, transport);
	party_close(&s.client);
	party_close(&s.server);
	free(s.lines);
	ck_assert_int_eq(os_descriptors(), descriptors);
}

START_TEST(connections_that_end_in_every_way_while_others_talk_lose_no_message)
{
	const unsigned size = rounds(sizes[_i / OVER_NR]);

	if (os_raise_descriptor_limit() < 2 * size + 100) {
		printf("skipped: %u connections need more descriptors than can be had\n", size);
		return;
	}
	storm(size, _i % OVER_NR);
}
END_TEST

static void choose_sizes(int count, char **words)
{
	for (sizes_count = 0; sizes_count < count && sizes_count < SIZES_MAX; sizes_count++) {
		long size = strtol(words[sizes_count], NULL, 10);

		sizes[sizes_count] = size > 0 && size <= 30000 ? (unsigned)size : 1;
	}
}

static void choose_from_environment(void)
{
	static char text[256];
	const char *given = getenv("TOFU_STRESS");
	char *words[SIZES_MAX];
	int count = 0;

	if (given == NULL || *given == '\0')
		return;
	snprintf(text, sizeof text, "%s", given);
	for (char *word = strtok(text, " ,"); word != NULL && count < SIZES_MAX; word = strtok(NULL, " ,"))
		words[count++] = word;
	choose_sizes(count, words);
}

static Suite *suite_of_stress(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = suite_case(suite, "stress", 600);

	over_add(tc, connections_that_end_in_every_way_while_others_talk_lose_no_message, sizes_count);
	return suite;
}

int main(int argc, char **argv)
{
	choose_from_environment();
	if (argc > 1)
		choose_sizes(argc - 1, argv + 1);
	return harness_run(suite_of_stress());
}
