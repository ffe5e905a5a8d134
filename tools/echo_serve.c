/* SPDX-License-Identifier: MIT */

/*
 * The echo service: all listeners and all connections in one group, on the thread of main().
 *
 * The listeners are opened one after the other, so that their lines come out in the order of the command line; what
 * arrives on the first of them meanwhile is served already. Then: a HelloRequest, Request, Signal or ByeRequest is
 * turned into its answer in place and posted; that message is never copied.
 *
 * When a channel's send queue is full, its answers wait in the channel's slot, in order, until the engine says
 * send_ready. That is bounded: a waiting answer is a message of the pool, and when those are used up the engine reads
 * no more.
 *
 * A stop (the user asked) says bye on every channel and waits for the last channel_closed, at most STOP_NS; asked
 * twice, it waits no longer. A listener that fails is reported and ends the program.
 */

#include "backlog.h"
#include "echo.h"
#include "end.h"
#include "host.h"
#include "say.h"
#include "stop.h"
#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Starting -> serving -> stopping -> stopped; a failure goes to stopped from wherever it was. */
enum phase { STARTING, SERVING, STOPPING, STOPPED };

enum slot_kind { SLOT_FREE, SLOT_LISTENER, SLOT_CONNECTION };

/* What is known of a channel. */
struct slot {
	enum slot_kind kind;
	struct tofu_backlog waiting;
	struct tofu_traffic traffic; /* for a person who watches */
};

enum { SLOTS = 65536 };

#define STOP_NS INT64_C(3000000000)

struct server {
	struct tofu_end end;
	const struct echo_options *options;
	enum phase phase;
	int exit_status;
	int listening;       /* addresses that are listened on */
	size_t open;         /* slots that are not free */
	int64_t deadline_ns; /* when stopping */
	struct slot *slots;  /* by channel number; freed by main's path, after the engine */
};

static void fail(struct server *s)
{
	s->exit_status = ECHO_FAILED;
	s->phase = STOPPED;
}

/* slots */

static struct slot *slot_of(struct server *s, tofu_msg *msg)
{
	return &s->slots[tofu_msg_header(msg)->channel];
}

static void slot_take(struct server *s, struct slot *slot, enum slot_kind kind)
{
	if (slot->kind == SLOT_FREE)
		s->open++;
	slot->kind = kind;
}

/* Harmless when done twice. */
static void slot_free(struct server *s, struct slot *slot)
{
	tofu_backlog_drop(&slot->waiting);
	if (slot->kind != SLOT_FREE)
		s->open--;
	slot->kind = SLOT_FREE;
	if (s->phase == STOPPING && s->open == 0)
		s->phase = STOPPED;
}

static void send_in_order(struct server *s, tofu_msg *msg)
{
	tofu_backlog_send(&slot_of(s, msg)->waiting, s->end.group, msg);
}

/* starting */

static void listen_on(struct server *s, const char *address)
{
	tofu_msg *msg = NULL;
	struct tofu_header sent;
	enum tofu_status st = tofu_msg_get(s->end.engine, TOFU_ALWAYS, &msg);

	if (st == TOFU_OK)
		st = tofu_msg_listen_on(msg, address);
	if (st == TOFU_OK)
		st = tofu_post(s->end.group, &msg, &sent);
	if (st == TOFU_OK) {
		slot_take(s, &s->slots[sent.channel], SLOT_LISTENER);
		return;
	}
	tofu_say_unreachable(s->end.engine, st, "cannot listen on", address, TOFU_WELCOME_REQUEST, NULL);
	tofu_msg_put(&msg);
	fail(s);
}

static bool print_listening(const tofu_msg *msg)
{
	size_t len;
	const char *address = tofu_msg_headers_find(msg, "~listen_on", &len);

	if (address != NULL && printf("listening %.*s\n", (int)len, address) > 0 && tofu_say_flush())
		return true;
	tofu_say_wrong(TOFU_OK, "cannot write: %s", strerror(errno));
	return false;
}

/* The engine's answer to the listener that was asked for last. */
static void listening(struct server *s, tofu_msg *msg)
{
	enum tofu_status st = tofu_msg_header(msg)->status;

	if (st != TOFU_OK) {
		tofu_say_unreachable(s->end.engine, st, "cannot listen on", s->options->addresses[s->listening],
		                     TOFU_WELCOME_REQUEST, msg);
		fail(s);
	} else if (!print_listening(msg)) {
		fail(s);
	} else if (++s->listening == s->options->address_count) {
		if (s->phase == STARTING)
			s->phase = SERVING;
	} else if (s->phase == STARTING) {
		listen_on(s, s->options->addresses[s->listening]);
	}
}

/* stopping */

static void ask_to_stop(void *context)
{
	enum tofu_status st = tofu_update_receiver(((struct server *)context)->end.group, NULL);

	if (st != TOFU_OK)
		tofu_say_wrong(st, "cannot stop");
}

/* A bye takes its turn behind the answers that wait. */
static void say_bye(struct server *s, uint16_t channel)
{
	tofu_msg *msg;
	enum tofu_status st = tofu_msg_get(s->end.engine, TOFU_ALWAYS, &msg);

	if (st != TOFU_OK) {
		tofu_say_wrong(st, "cannot say bye");
		return;
	}
	tofu_msg_header(msg)->opcode = TOFU_BYE_REQUEST;
	tofu_msg_header(msg)->channel = channel;
	send_in_order(s, msg);
}

static void stop(struct server *s)
{
	if (s->phase == STOPPING || s->open == 0) {
		s->phase = STOPPED;
		return;
	}
	s->phase = STOPPING;
	s->deadline_ns = tofu_host_now_ns() + STOP_NS;
	for (uint32_t channel = 1; channel < SLOTS; channel++) {
		if (s->slots[channel].kind != SLOT_FREE)
			say_bye(s, (uint16_t)channel);
	}
}

/* receiving */

static void came_in(struct server *s, uint16_t channel)
{
	struct slot *slot = &s->slots[channel];

	slot_take(s, slot, SLOT_CONNECTION);
	slot->traffic = (struct tofu_traffic){ 0 };
	if (!s->options->verbose)
		return;
	slot->waiting.traffic = &slot->traffic;
	tofu_say_peer(s->end.group, channel);
}

static void ended(struct server *s, const struct tofu_header *last_word)
{
	struct slot *slot = &s->slots[last_word->channel];

	if (s->options->verbose && slot->kind == SLOT_CONNECTION)
		tofu_traffic_say(last_word->channel, last_word->reason, &slot->traffic);
	slot_free(s, slot);
}

/* Messages that come back unsent end here, too: their channel is gone. */
static void notice(struct server *s, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->opcode == TOFU_WELCOME_RESPONSE)
		listening(s, msg);
	else if (h->reason != TOFU_OK)
		ended(s, h);
	else if (h->opcode == TOFU_SIGNAL && h->status == TOFU_SEND_READY)
		tofu_backlog_resume(&slot_of(s, msg)->waiting, s->end.group);
	else if (s->options->verbose && slot_of(s, msg)->kind == SLOT_CONNECTION)
		tofu_traffic_unsent(&slot_of(s, msg)->traffic, msg);
	tofu_msg_put(&msg);
}

/* What answers a peer's message; ByeSignal for what is refused, -1 for what needs no answer. */
static int answer_to(const struct server *s, enum tofu_opcode opcode)
{
	switch (opcode) {
	case TOFU_HELLO_REQUEST:
		return s->phase == STOPPING ? TOFU_BYE_SIGNAL : TOFU_HELLO_RESPONSE;
	case TOFU_REQUEST:
		return TOFU_RESPONSE;
	case TOFU_SIGNAL:
		return TOFU_SIGNAL;
	case TOFU_BYE_REQUEST:
		return TOFU_BYE_RESPONSE;
	case TOFU_RESPONSE:
	case TOFU_HELLO_RESPONSE:
	case TOFU_BYE_RESPONSE:
	case TOFU_BYE_SIGNAL:
	case TOFU_WELCOME_REQUEST:
	case TOFU_WELCOME_RESPONSE:
		break;
	}
	return -1;
}

static void echo(struct server *s, tofu_msg *msg)
{
	struct tofu_header *h = tofu_msg_header(msg);
	int answer = answer_to(s, (enum tofu_opcode)h->opcode);

	if (h->opcode == TOFU_HELLO_REQUEST)
		came_in(s, h->channel);
	if (s->options->verbose)
		tofu_traffic_received(&slot_of(s, msg)->traffic, msg);
	if (answer < 0) {
		tofu_msg_put(&msg);
		return;
	}
	h->opcode = (uint8_t)answer;
	send_in_order(s, msg);
}

static void dispatch(struct server *s, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (s->options->verbose)
		tofu_say_message("received", msg);
	if (h->status == TOFU_RECEIVER_UPDATE) {
		tofu_msg_put(&msg);
		stop(s);
	} else if (h->origin == TOFU_ORIGIN_ENGINE) {
		notice(s, msg);
	} else {
		echo(s, msg);
	}
}

/* For ever, or as long as stopping may still take. */
static int64_t patience(const struct server *s)
{
	int64_t left;

	if (s->phase != STOPPING)
		return -1;
	left = s->deadline_ns - tofu_host_now_ns();
	return left > 0 ? left : 0;
}

static void serve(struct server *s)
{
	listen_on(s, s->options->addresses[0]);
	while (s->phase != STOPPED) {
		tofu_msg *msg;
		enum tofu_status st = tofu_receive(s->end.group, &msg, patience(s));

		if (st == TOFU_OK) {
			dispatch(s, msg);
		} else if (st == TOFU_TIMEOUT) {
			s->phase = STOPPED; /* some peer does not answer bye */
		} else {
			tofu_say_wrong(st, "cannot receive");
			fail(s);
		}
	}
}

int tofu_echo_serve(const struct echo_options *options)
{
	struct server s = { .options = options, .phase = STARTING, .exit_status = ECHO_RIGHT };
	struct tofu_options wanted;

	s.slots = calloc(SLOTS, sizeof *s.slots);
	if (s.slots == NULL) {
		tofu_say_wrong(TOFU_ALLOCATION_FAILED, "cannot start");
		return ECHO_FAILED;
	}
	tofu_options_init(&wanted, sizeof wanted);
	wanted.poller = options->poller;
	wanted.log = tofu_say_log;
	wanted.log_context = options->verbose ? &wanted : NULL;
	if (!tofu_end_open(&s.end, &wanted, &options->secure)) {
		s.exit_status = ECHO_FAILED;
	} else if (!tofu_stop_open(ask_to_stop, &s)) {
		tofu_say_wrong(TOFU_OK, "cannot watch for signals");
		s.exit_status = ECHO_FAILED;
	} else {
		serve(&s);
		tofu_stop_close();
	}
	for (size_t i = 0; i < SLOTS; i++)
		slot_free(&s, &s.slots[i]);
	tofu_end_close(&s.end);
	free(s.slots);
	return s.exit_status;
}
