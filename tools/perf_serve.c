/* SPDX-License-Identifier: MIT */

/*
 * The side that answers: one listener, one group, one thread. It knows nothing of what is measured, only what each
 * connection asks for, so one server does for any number of clients, one after the other or at once.
 *
 * An answer is the request itself, turned round in place. When the send queue of its channel is full it waits in the
 * channel's backlog. Notices that the pool is empty want nothing done: what is received here is given back at once.
 */

#include "perf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "say.h"
#include "stop.h"

enum {
	CHANNELS = 65536,
	SERVER_POOL = 8192, /* a block that is read holds some 1600 messages of 64 bytes */
	SERVER_POOL_MAX = 65536,
	LISTEN_PATIENCE_S = 30
};

struct perf_server_channel {
	uint64_t flow; /* messages in the flow, from BEGIN */
	uint32_t size; /* of each body */
	struct perf_arrived arrived;
	struct tofu_backlog backlog;
	struct tofu_traffic traffic; /* for a person who watches */
};

static struct perf_server_channel *channel_of(struct perf_server *s, tofu_msg *msg)
{
	return &s->channels[tofu_msg_header(msg)->channel];
}

/* A flow of Signals. The clock is read at its first and its last. */
static void counted(struct perf_server *s, tofu_msg *msg, uint64_t id)
{
	struct perf_server_channel *c = channel_of(s, msg);
	struct perf_arrived *a = &c->arrived;

	if (id != tofu_perf_id(PERF_DATA, a->count) || !tofu_perf_is_filled(msg, a->count, c->size))
		a->wrong++;
	if (a->count == 0)
		a->first_ns = (uint64_t)tofu_host_now_ns();
	if (++a->count == c->flow)
		a->last_ns = (uint64_t)tofu_host_now_ns();
}

static void begin(struct perf_server *s, tofu_msg *msg)
{
	struct perf_server_channel *c = channel_of(s, msg);
	uint64_t numbers[2];

	c->arrived = (struct perf_arrived){ 0 };
	if (!tofu_perf_take_numbers(msg, numbers, 2)) {
		c->arrived.wrong++;
		return;
	}
	c->flow = numbers[0];
	c->size = (uint32_t)numbers[1];
}

static void respond(struct perf_server *s, tofu_msg *msg, enum tofu_opcode opcode)
{
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_backlog_send(&channel_of(s, msg)->backlog, s->end.group, msg);
}

static void answer(struct perf_server *s, tofu_msg *msg)
{
	unsigned kind = tofu_perf_kind(tofu_msg_header(msg)->id);
	enum tofu_status status = TOFU_OK;
	struct perf_used used;

	if (kind == PERF_END) {
		status = tofu_perf_put_arrived(msg, &channel_of(s, msg)->arrived);
	} else if (kind == PERF_PROBE) {
		tofu_perf_used(s->end.engine, &used);
		status = tofu_perf_put_used(msg, &used);
	}
	if (status != TOFU_OK) /* the client finds that numbers are missing */
		tofu_say_wrong(status, "cannot answer");
	respond(s, msg, TOFU_RESPONSE);
}

static void watch(struct perf_server *s, tofu_msg *msg)
{
	struct perf_server_channel *c = channel_of(s, msg);

	if (tofu_msg_header(msg)->opcode == TOFU_HELLO_REQUEST) {
		c->backlog.traffic = &c->traffic;
		tofu_say_peer(s->end.group, tofu_msg_header(msg)->channel);
	}
	tofu_traffic_received(&c->traffic, msg);
}

static void peer(struct perf_server *s, tofu_msg *msg)
{
	uint64_t id = tofu_msg_header(msg)->id;

	if (s->verbose)
		watch(s, msg);
	switch ((enum tofu_opcode)tofu_msg_header(msg)->opcode) {
	case TOFU_SIGNAL:
		if (tofu_perf_kind(id) == PERF_BEGIN)
			begin(s, msg);
		else
			counted(s, msg, id);
		break;
	case TOFU_REQUEST:
		answer(s, msg);
		return;
	case TOFU_HELLO_REQUEST:
		respond(s, msg, TOFU_HELLO_RESPONSE);
		return;
	case TOFU_BYE_REQUEST:
		respond(s, msg, TOFU_BYE_RESPONSE);
		return;
	case TOFU_RESPONSE:
	case TOFU_HELLO_RESPONSE:
	case TOFU_BYE_RESPONSE:
	case TOFU_BYE_SIGNAL:
	case TOFU_WELCOME_REQUEST:
	case TOFU_WELCOME_RESPONSE:
		break;
	}
	tofu_msg_put(&msg);
}

/* Answers that come back unsent end here, too: their channel is gone. */
static void notice(struct perf_server *s, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	struct perf_server_channel *c = channel_of(s, msg);

	if (h->opcode == TOFU_SIGNAL && h->status == TOFU_SEND_READY) {
		tofu_backlog_resume(&c->backlog, s->end.group);
	} else if (h->reason != TOFU_OK) {
		if (s->verbose)
			tofu_traffic_say(h->channel, h->reason, &c->traffic);
		tofu_backlog_drop(&c->backlog);
		c->traffic = (struct tofu_traffic){ 0 };
		c->arrived = (struct perf_arrived){ 0 };
	} else if (s->verbose) {
		tofu_traffic_unsent(&c->traffic, msg);
	}
	tofu_msg_put(&msg);
}

void tofu_perf_server_run(void *server)
{
	struct perf_server *s = server;

	while (!s->failed && !atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
		tofu_msg *msg;
		enum tofu_status status = tofu_receive(s->end.group, &msg, -1);

		if (status != TOFU_OK) {
			tofu_say_wrong(status, "the server cannot receive");
			s->failed = true;
		} else if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE) {
			notice(s, msg);
		} else {
			peer(s, msg);
		}
	}
}

void tofu_perf_server_stop(void *server)
{
	struct perf_server *s = server;
	enum tofu_status status;

	atomic_store(&s->stopping, true);
	status = tofu_update_receiver(s->end.group, NULL);
	if (status != TOFU_OK)
		tofu_say_wrong(status, "cannot stop the server");
}

/* The engine's answer: the listener is open, or why not. */
static enum tofu_status await_listening(struct perf_server *s)
{
	tofu_msg *msg;
	enum tofu_status status = tofu_receive(s->end.group, &msg, LISTEN_PATIENCE_S * INT64_C(1000000000));
	const char *address;
	size_t len;

	if (status != TOFU_OK)
		return status;
	status = (enum tofu_status)tofu_msg_header(msg)->status;
	address = tofu_msg_headers_find(msg, "~listen_on", &len);
	if (status == TOFU_OK && address != NULL)
		(void)snprintf(s->address, sizeof s->address, "%.*s", (int)len, address);
	tofu_msg_put(&msg);
	return status;
}

static bool listen_on(struct perf_server *s, const char *address)
{
	tofu_msg *msg;
	enum tofu_status status = tofu_msg_get(s->end.engine, TOFU_ALWAYS, &msg);

	if (status == TOFU_OK)
		status = tofu_msg_listen_on(msg, address);
	if (status == TOFU_OK)
		status = tofu_post(s->end.group, &msg, NULL);
	tofu_msg_put(&msg);
	if (status == TOFU_OK)
		status = await_listening(s);
	if (status != TOFU_OK)
		tofu_say_unreachable(s->end.engine, status, "cannot listen on", address, TOFU_WELCOME_REQUEST, NULL);
	return status == TOFU_OK;
}

bool tofu_perf_server_open(struct perf_server *s, const struct perf_options *options, const char *address)
{
	struct tofu_options wanted;

	tofu_options_init(&wanted, sizeof wanted);
	wanted.pool_initial = SERVER_POOL;
	wanted.pool_max = SERVER_POOL_MAX;
	wanted.poller = options->poller;
	wanted.io = options->io;
	wanted.log = options->verbose ? tofu_say_log : NULL;
	wanted.log_context = &wanted;
	if (options->verbose)
		tofu_say_wrong(TOFU_OK, "the server's engine: pool_initial %d, pool_max %d, send_queue_max default",
		               SERVER_POOL, SERVER_POOL_MAX);
	s->verbose = options->verbose;
	tofu_host_allow_files(CHANNELS);
	s->channels = tofu_perf_resident_zeros(CHANNELS, sizeof *s->channels);
	if (s->channels == NULL) {
		tofu_say_wrong(TOFU_ALLOCATION_FAILED, "cannot start the server");
		return false;
	}
	return tofu_end_open(&s->end, &wanted, &options->secure) && listen_on(s, address);
}

void tofu_perf_server_close(struct perf_server *s)
{
	for (size_t i = 0; s->channels != NULL && i < CHANNELS; i++)
		tofu_backlog_drop(&s->channels[i].backlog);
	tofu_end_close(&s->end);
	free(s->channels);
	s->channels = NULL;
}

int tofu_perf_serve(const struct perf_options *options, const char *address)
{
	struct perf_server s = { .failed = false };
	int exit_status = PERF_FAILED;

	if (tofu_perf_server_open(&s, options, address)) {
		if (!tofu_stop_open(tofu_perf_server_stop, &s)) {
			tofu_say_wrong(TOFU_OK, "cannot watch for signals");
		} else {
			if (printf("listening %s\n", s.address) > 0 && tofu_say_flush())
				tofu_perf_server_run(&s);
			else
				s.failed = true;
			exit_status = s.failed ? PERF_FAILED : PERF_RIGHT;
			tofu_stop_close();
		}
	}
	tofu_perf_server_close(&s);
	return exit_status;
}
