/* SPDX-License-Identifier: MIT */

/*
 * The client of the echo service: connects everything first, then starts the clock, keeps a window of requests under way on
 * each connection, and compares every answer with what must have been sent: the id, and the body byte for byte. Both follow
 * from the connection and the sequence number, so nothing is remembered but two counters per connection. Answers come in
 * order, since a channel keeps it. When a connection has all its answers it says bye and waits for channel_closed.
 *
 * The first thing that is wrong is reported, and ends the program; so does silence for longer than the timeout.
 *
 * The pool holds as many messages as there can be requests under way: every one of them is in one place only, so answers
 * can always be received, however the peer's reading and writing interlock.
 */

#include "echo.h"
#include "end.h"
#include "host.h"
#include "say.h"
#include "traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection's life; each state only goes to the next. */
enum line_state { LINE_CONNECTING, LINE_CONNECTED, LINE_TALKING, LINE_LEAVING, LINE_CLOSED };

struct line {
	enum line_state state;
	uint16_t channel;
	uint64_t sent;
	uint64_t right;
	tofu_msg *waiting;           /* a request that found the send queue full; goes first at send_ready */
	struct tofu_traffic traffic; /* for a person who watches */
};

enum { PROGRESS_WIDTH = 60, CHANNELS = 65536, POOL_MOST = 1048576, POOL_SPARE = 64 };

#define TICK_NS INT64_C(250000000)

struct call {
	struct tofu_end end;
	const struct echo_options *options;
	uint32_t window;
	struct line *lines;
	struct line **line_of; /* by channel number; NULL: none of ours */
	uint32_t connected;
	uint32_t closed;
	uint64_t right; /* of all lines */
	int64_t started_ns;
	int64_t ended_ns;
	unsigned char expected[TOFU_BODY_MAX + 8]; /* scratch; filled by eight */
	bool shown;                                /* there is a line of progress on the terminal */
	bool failed;
};

static unsigned index_of(const struct call *c, const struct line *line)
{
	return (unsigned)(line - c->lines) + 1;
}

/* what is sent */

static uint64_t id_of(const struct call *c, const struct line *line, uint64_t sequence)
{
	return (uint64_t)index_of(c, line) << 40 | (sequence + 1);
}

/* The body of a request: numbers that differ from place to place and from request to request (splitmix64). */
static void expect_body(struct call *c, uint64_t id)
{
	for (size_t at = 0; at < c->options->size; at += sizeof id) {
		uint64_t z = id * UINT64_C(0x9e3779b97f4a7c15) + at;

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
		memcpy(c->expected + at, &z, sizeof z);
	}
}

static void clear_progress(struct call *c)
{
	if (c->shown)
		(void)fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
	c->shown = false;
}

/* Only the first failure is told; what follows it is its consequence. */
static bool is_first_failure(struct call *c)
{
	bool first = !c->failed;

	clear_progress(c);
	c->failed = true;
	return first;
}

static void fail(struct call *c, enum tofu_status st, const struct line *line, const char *what)
{
	if (!is_first_failure(c))
		return;
	tofu_say_wrong(st, "connection %u, after %" PRIu64 " of %" PRIu64 " echoes: %s", index_of(c, line), line->right,
	               c->options->count, what);
}

/* answer: the engine's, or NULL. */
static void fail_to_connect(struct call *c, enum tofu_status st, const tofu_msg *answer)
{
	if (is_first_failure(c))
		tofu_say_unreachable(c->end.engine, st, "cannot connect to", c->options->addresses[0],
		                     TOFU_HELLO_REQUEST, answer);
}

/* Where its traffic is counted, if somebody wants to know. */
static struct tofu_traffic *watched(const struct call *c, struct line *line)
{
	return c->options->verbose ? &line->traffic : NULL;
}

/* True: gone. False: to be kept for send_ready, or it failed. */
static bool post(struct call *c, struct line *line, tofu_msg **msg)
{
	enum tofu_status st = tofu_traffic_post(watched(c, line), c->end.group, msg, NULL);

	if (st != TOFU_OK && st != TOFU_WOULD_BLOCK)
		fail(c, st, line, "cannot send");
	return st == TOFU_OK;
}

static tofu_msg *make(struct call *c, struct line *line, enum tofu_opcode opcode)
{
	tofu_msg *msg;
	enum tofu_status st = tofu_msg_get(c->end.engine, TOFU_ALWAYS, &msg);

	if (st != TOFU_OK) {
		fail(c, st, line, "no message to be had");
		return NULL;
	}
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_msg_header(msg)->channel = line->channel;
	return msg;
}

static tofu_msg *make_request(struct call *c, struct line *line)
{
	tofu_msg *msg = make(c, line, TOFU_REQUEST);
	uint64_t id = id_of(c, line, line->sent);
	enum tofu_status st;

	if (msg == NULL)
		return NULL;
	tofu_msg_header(msg)->id = id;
	expect_body(c, id);
	st = tofu_msg_body_set(msg, c->expected, c->options->size);
	if (st == TOFU_OK)
		return msg;
	fail(c, st, line, "cannot make a request");
	tofu_msg_put(&msg);
	return NULL;
}

/* Send until the window, the count or the send queue is full. */
static void send_more(struct call *c, struct line *line)
{
	if (line->state != LINE_TALKING)
		return;
	while (!c->failed && line->sent < c->options->count && line->sent - line->right < c->window) {
		if (line->waiting == NULL)
			line->waiting = make_request(c, line);
		if (line->waiting == NULL || !post(c, line, &line->waiting))
			return;
		line->sent++;
	}
}

static void start_talking(struct call *c)
{
	c->started_ns = tofu_host_now_ns();
	for (uint32_t i = 0; i < c->options->connections; i++) {
		c->lines[i].state = LINE_TALKING;
		send_more(c, &c->lines[i]);
	}
}

static void say_bye(struct call *c, struct line *line)
{
	tofu_msg *msg = make(c, line, TOFU_BYE_REQUEST);

	line->state = LINE_LEAVING;
	if (msg != NULL && !post(c, line, &msg))
		fail(c, TOFU_OK, line, "cannot say bye");
	tofu_msg_put(&msg);
}

static bool connect_one(struct call *c, struct line *line)
{
	tofu_msg *msg;
	struct tofu_header sent;
	enum tofu_status st = tofu_msg_get(c->end.engine, TOFU_ALWAYS, &msg);

	if (st == TOFU_OK)
		st = tofu_msg_connect_to(msg, c->options->addresses[0]);
	if (st == TOFU_OK)
		st = tofu_traffic_post(watched(c, line), c->end.group, &msg, &sent);
	if (st != TOFU_OK) {
		fail_to_connect(c, st, NULL);
		tofu_msg_put(&msg);
		return false;
	}
	line->channel = sent.channel;
	c->line_of[sent.channel] = line;
	return true;
}

/* what comes back */

static void hello(struct call *c, struct line *line, tofu_msg *msg)
{
	enum tofu_status st = tofu_msg_header(msg)->status;

	if (st != TOFU_OK) {
		fail_to_connect(c, st, msg);
		return;
	}
	if (line->state != LINE_CONNECTING)
		return;
	if (c->options->verbose)
		tofu_say_peer(c->end.group, line->channel);
	line->state = LINE_CONNECTED;
	if (++c->connected == c->options->connections)
		start_talking(c);
}

static size_t first_difference(const unsigned char *a, const unsigned char *b)
{
	size_t at = 0;

	while (a[at] == b[at])
		at++;
	return at;
}

static void echoed(struct call *c, struct line *line, tofu_msg *msg)
{
	uint64_t id = id_of(c, line, line->right);
	size_t len;
	const unsigned char *body = tofu_msg_body(msg, &len);
	char what[96];

	if (line->state != LINE_TALKING || line->right == line->sent) {
		fail(c, TOFU_OK, line, "an answer that nobody asked for");
		return;
	}
	expect_body(c, id);
	if (tofu_msg_header(msg)->id != id) {
		(void)snprintf(what, sizeof what, "the id is %" PRIx64 ", not %" PRIx64, tofu_msg_header(msg)->id, id);
	} else if (len != c->options->size) {
		(void)snprintf(what, sizeof what, "the body has %zu bytes, not %" PRIu32, len, c->options->size);
	} else if (memcmp(body, c->expected, len) != 0) {
		(void)snprintf(what, sizeof what, "the body differs at byte %zu", first_difference(body, c->expected));
	} else {
		line->right++;
		c->right++;
		if (c->right == c->options->count * c->options->connections)
			c->ended_ns = tofu_host_now_ns();
		if (line->right == c->options->count)
			say_bye(c, line);
		else
			send_more(c, line);
		return;
	}
	fail(c, TOFU_OK, line, what);
}

static void closed(struct call *c, struct line *line, enum tofu_status reason)
{
	bool by_bye = reason == TOFU_CHANNEL_CLOSED;

	if (c->options->verbose)
		tofu_traffic_say(line->channel, reason, &line->traffic);
	if (line->state == LINE_LEAVING) {
		line->state = LINE_CLOSED;
		c->closed++;
	} else if (line->state == LINE_CONNECTING) {
		fail_to_connect(c, by_bye ? TOFU_PEER_DISCONNECTED : reason, NULL);
	} else if (line->state != LINE_CLOSED) {
		fail(c, by_bye ? TOFU_OK : reason, line, "the connection was closed");
	}
}

static void notice(struct call *c, struct line *line, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->opcode == TOFU_HELLO_RESPONSE)
		hello(c, line, msg);
	else if (h->reason != TOFU_OK)
		closed(c, line, h->reason);
	else if (h->opcode == TOFU_SIGNAL && h->status == TOFU_SEND_READY)
		send_more(c, line);
	else if (h->opcode == TOFU_REQUEST) { /* it comes back unsent */
		tofu_traffic_unsent(&line->traffic, msg);
		fail(c, h->status, line, "a request was not sent");
	}
}

/* While we say it, too, it is answered; otherwise the service leaves us in the middle. */
static void peer_leaves(struct call *c, struct line *line, tofu_msg **msg)
{
	if (line->state != LINE_LEAVING) {
		fail(c, TOFU_OK, line, "the service said bye");
		return;
	}
	tofu_msg_header(*msg)->opcode = TOFU_BYE_RESPONSE;
	/* Refused if the connection has ended: nobody waits for it then. */
	(void)tofu_traffic_post(watched(c, line), c->end.group, msg, NULL);
}

/* Takes the message only if it sets it to NULL. */
static void peer(struct call *c, struct line *line, tofu_msg **msg)
{
	switch ((enum tofu_opcode)tofu_msg_header(*msg)->opcode) {
	case TOFU_HELLO_RESPONSE:
		hello(c, line, *msg);
		break;
	case TOFU_RESPONSE:
		echoed(c, line, *msg);
		break;
	case TOFU_BYE_REQUEST:
		peer_leaves(c, line, msg);
		break;
	case TOFU_BYE_RESPONSE:
		break;
	case TOFU_REQUEST:
	case TOFU_SIGNAL:
	case TOFU_HELLO_REQUEST:
	case TOFU_BYE_SIGNAL:
	case TOFU_WELCOME_REQUEST:
	case TOFU_WELCOME_RESPONSE:
		fail(c, TOFU_OK, line, "this is no echo service: it sent something of its own");
		break;
	}
}

static void hear(struct call *c, struct line *line, tofu_msg **msg)
{
	if (c->options->verbose)
		tofu_traffic_received(&line->traffic, *msg);
	peer(c, line, msg);
}

/* Notices on no line of ours, pool_empty for one, want nothing done. */
static void dispatch(struct call *c, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	struct line *line = c->line_of[h->channel];

	if (c->options->verbose)
		tofu_say_message("received", msg);
	if (line != NULL && h->origin == TOFU_ORIGIN_ENGINE)
		notice(c, line, msg);
	else if (line != NULL)
		hear(c, line, &msg);
	tofu_msg_put(&msg);
}

/* the person who watches */

static void show_progress(struct call *c)
{
	uint64_t total = c->options->count * c->options->connections;

	(void)fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " echoes, %" PRIu64 "%%", c->right, total,
	              c->right * 100 / total);
	(void)fflush(stderr);
	c->shown = true;
}

static void fail_of_silence(struct call *c)
{
	if (is_first_failure(c))
		tofu_say_wrong(TOFU_OK, "nothing came from %s for %" PRIu32 " s, after %" PRIu64 " echoes",
		               c->options->addresses[0], c->options->timeout_s, c->right);
}

static void receive(struct call *c)
{
	bool watched = tofu_host_is_watched();
	int64_t heard_ns = tofu_host_now_ns(), shown_ns = heard_ns;

	while (!c->failed && c->closed < c->options->connections) {
		tofu_msg *msg;
		enum tofu_status st = tofu_receive(c->end.group, &msg, TICK_NS);
		int64_t now_ns = tofu_host_now_ns();

		if (watched && now_ns - shown_ns >= TICK_NS) {
			show_progress(c);
			shown_ns = now_ns;
		}
		if (st == TOFU_OK) {
			heard_ns = now_ns;
			dispatch(c, msg);
		} else if (st != TOFU_TIMEOUT) {
			if (is_first_failure(c))
				tofu_say_wrong(st, "cannot receive");
		} else if (now_ns - heard_ns >= c->options->timeout_s * INT64_C(1000000000)) {
			fail_of_silence(c);
		}
	}
	clear_progress(c);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static int summarize(const struct call *c)
{
	const struct echo_options *o = c->options;
	uint64_t total = o->count * o->connections;
	double seconds = (double)(c->ended_ns - c->started_ns) / 1e9;
	double rate = seconds > 0 ? (double)total / seconds : 0;

	if (printf("%" PRIu64 " echo%s of %" PRIu32 " byte%s on %" PRIu32
	           " connection%s in %.3f s, %.0f/s, all right\n",
	           total, total == 1 ? "" : "es", o->size, plural(o->size), o->connections, plural(o->connections),
	           seconds, rate) > 0 &&
	    tofu_say_flush())
		return ECHO_RIGHT;
	tofu_say_wrong(TOFU_OK, "cannot write the summary");
	return ECHO_FAILED;
}

/* All the window asks for, but no more than there are requests, nor than a pool can hold messages for. */
static uint32_t window_for(const struct echo_options *o)
{
	uint32_t most = (POOL_MOST - POOL_SPARE) / o->connections - 1;
	uint32_t window = o->window < most ? o->window : most;

	return o->count < window ? (uint32_t)o->count : window;
}

static int call(struct call *c)
{
	struct tofu_options wanted;

	tofu_options_init(&wanted, sizeof wanted);
	wanted.pool_initial = (c->window + 1) * c->options->connections + POOL_SPARE;
	wanted.poller = c->options->poller;
	wanted.log = tofu_say_log; /* that this is no peer of ours, for instance */
	wanted.log_context = c->options->verbose ? &wanted : NULL;
	if (!tofu_end_open(&c->end, &wanted, &c->options->secure))
		return ECHO_FAILED;
	for (uint32_t i = 0; i < c->options->connections; i++) {
		if (!connect_one(c, &c->lines[i]))
			return ECHO_FAILED;
	}
	receive(c);
	return c->failed ? ECHO_FAILED : summarize(c);
}

int tofu_echo_call(const struct echo_options *options)
{
	struct call *c = calloc(1, sizeof *c);
	int exit_status = ECHO_FAILED;

	if (c != NULL) {
		c->options = options;
		c->window = window_for(options);
		c->lines = calloc(options->connections, sizeof *c->lines);
		c->line_of = calloc(CHANNELS, sizeof(struct line *));
	}
	if (c == NULL || c->lines == NULL || c->line_of == NULL)
		tofu_say_wrong(TOFU_ALLOCATION_FAILED, "cannot start");
	else
		exit_status = call(c);
	if (c != NULL) {
		for (uint32_t i = 0; c->lines != NULL && i < options->connections; i++)
			tofu_msg_put(&c->lines[i].waiting);
		tofu_end_close(&c->end);
		free(c->line_of);
		free(c->lines);
	}
	free(c);
	return exit_status;
}
