/* SPDX-License-Identifier: MIT */

/*
 * libzmq: PUSH to PULL one way, REQ to REP for round trips, DEALERs to a ROUTER for many at once. Everything is the
 * library's default (one I/O thread, TCP_NODELAY, batching) but for the high-water marks, which hold 64 MiB. PUSH
 * waits when they are reached; nothing is dropped. What is still queued when a socket is closed goes out before the
 * context ends.
 *
 * Idle connections: one ROUTER that connects as often as asked, since a DEALER connects to one endpoint once. Its
 * monitor says when a handshake is done; at most 64 are under way at a time.
 */

#include "lib.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { OPENING = 64 };

static void *context;
static unsigned char buffer[65536];

static int checked(int result, const char *what)
{
	if (result < 0)
		tofu_bench_die("%s: %s", what, zmq_strerror(errno));
	return result;
}

static void *open_socket(const struct bench_options *o, int type)
{
	int mark = 64 * 1024 * 1024 / (int)o->size;
	int backlog = 4096;
	void *s = NULL;

	if (context == NULL)
		context = zmq_ctx_new();
	s = zmq_socket(context, type);
	if (s == NULL)
		tofu_bench_die("zmq_socket: %s", zmq_strerror(errno));
	mark = mark > 100000 ? 100000 : mark;
	(void)checked(zmq_setsockopt(s, ZMQ_SNDHWM, &mark, sizeof mark), "ZMQ_SNDHWM");
	(void)checked(zmq_setsockopt(s, ZMQ_RCVHWM, &mark, sizeof mark), "ZMQ_RCVHWM");
	(void)checked(zmq_setsockopt(s, ZMQ_BACKLOG, &backlog, sizeof backlog), "ZMQ_BACKLOG");
	return s;
}

static void *listen_on(const struct bench_options *o, int type)
{
	void *s = open_socket(o, type);
	char text[128];
	size_t length = sizeof text;

	if (o->transport == BENCH_TLS)
		tofu_bench_die("libzmq has no TLS");
	(void)snprintf(text, sizeof text, "ipc://%s", o->path);
	(void)checked(zmq_bind(s, o->transport == BENCH_TCP ? "tcp://127.0.0.1:*" : text), "zmq_bind");
	(void)checked(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, text, &length), "ZMQ_LAST_ENDPOINT");
	tofu_bench_listening(text);
	return s;
}

static void *connect_to(const struct bench_options *o, int type)
{
	void *s = open_socket(o, type);

	(void)checked(zmq_connect(s, o->to), "zmq_connect");
	return s;
}

/* Waits until all that was sent is out. */
static void finish(void *s)
{
	(void)checked(zmq_close(s), "zmq_close");
	(void)checked(zmq_ctx_term(context), "zmq_ctx_term");
}

static void send_body(const struct bench_options *o, void *s, const void *body)
{
	(void)checked(zmq_send(s, body, o->size, 0), "zmq_send");
}

static void receive_body(const struct bench_options *o, void *s)
{
	int got = checked(zmq_recv(s, buffer, sizeof buffer, 0), "zmq_recv");

	if (got != (int)o->size)
		tofu_bench_die("a message of %d bytes", got);
}

/* throughput */

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	void *s = listen_on(o, ZMQ_PULL);
	zmq_msg_t m;

	(void)zmq_msg_init(&m);
	for (uint64_t i = 0; i < o->count; i++) {
		if (checked(zmq_msg_recv(&m, s, 0), "zmq_msg_recv") != (int)o->size)
			tofu_bench_die("a message of %zu bytes", zmq_msg_size(&m));
		if (i == 0)
			tofu_bench_begin(r);
	}
	tofu_bench_end(r, o->count - 1);
	if (zmq_msg_recv(&m, s, ZMQ_DONTWAIT) >= 0)
		tofu_bench_die("more came than was sent");
	(void)zmq_msg_close(&m);
	finish(s);
}

static void call_throughput(struct bench_options *o, struct bench_result *r)
{
	void *s = connect_to(o, ZMQ_PUSH);
	const void *body = tofu_bench_body();

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++)
		send_body(o, s, body);
	finish(s);
	tofu_bench_end(r, o->count - 1);
}

/* latency */

static void echo(const struct bench_options *o, void *s)
{
	zmq_msg_t m;

	(void)zmq_msg_init(&m);
	if (checked(zmq_msg_recv(&m, s, 0), "zmq_msg_recv") != (int)o->size)
		tofu_bench_die("a message of %zu bytes", zmq_msg_size(&m));
	(void)checked(zmq_msg_send(&m, s, 0), "zmq_msg_send");
}

static void serve_rep(struct bench_options *o, struct bench_result *r)
{
	void *s = listen_on(o, ZMQ_REP);

	for (uint64_t i = 0; i < o->count; i++) {
		echo(o, s);
		if (i == 0)
			tofu_bench_begin(r);
	}
	tofu_bench_end(r, o->count - 1);
	finish(s);
}

static void round_trip(const struct bench_options *o, void *s, const void *body)
{
	send_body(o, s, body);
	receive_body(o, s);
}

static void time_round_trips(const struct bench_options *o, struct bench_result *r, void *s)
{
	const void *body = tofu_bench_body();

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();

		round_trip(o, s, body);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static void call_latency(struct bench_options *o, struct bench_result *r)
{
	time_round_trips(o, r, connect_to(o, ZMQ_REQ));
}

/* parallel */

/* Who it came from, what came; and both back. */
static void route_back(const struct bench_options *o, void *s)
{
	zmq_msg_t from;

	(void)zmq_msg_init(&from);
	(void)checked(zmq_msg_recv(&from, s, 0), "zmq_msg_recv");
	receive_body(o, s);
	(void)checked(zmq_msg_send(&from, s, ZMQ_SNDMORE), "zmq_msg_send");
	send_body(o, s, buffer);
}

static void serve_parallel(struct bench_options *o, struct bench_result *r)
{
	void *s = listen_on(o, ZMQ_ROUTER);

	for (uint64_t i = 0; i < o->channels; i++)
		route_back(o, s);
	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++)
		route_back(o, s);
	tofu_bench_end(r, o->count);
	finish(s);
}

static void call_parallel(struct bench_options *o, struct bench_result *r)
{
	zmq_pollitem_t *items = calloc(o->channels, sizeof *items);
	int64_t *sent = calloc(o->channels, sizeof *sent);
	const void *body = tofu_bench_body();
	uint64_t posted = 0;
	uint64_t answered = 0;

	if (items == NULL || sent == NULL)
		tofu_bench_die("no memory");
	for (uint32_t i = 0; i < o->channels; i++) {
		items[i].socket = connect_to(o, ZMQ_DEALER);
		items[i].events = ZMQ_POLLIN;
		round_trip(o, items[i].socket, body);
	}
	tofu_bench_begin(r);
	for (uint32_t i = 0; i < o->channels && posted < o->count; i++, posted++) {
		sent[i] = tofu_bench_now_ns();
		send_body(o, items[i].socket, body);
	}
	while (answered < o->count) {
		(void)checked(zmq_poll(items, (int)o->channels, -1), "zmq_poll");
		for (uint32_t i = 0; i < o->channels; i++) {
			if ((items[i].revents & ZMQ_POLLIN) == 0)
				continue;
			receive_body(o, items[i].socket);
			tofu_bench_add(r, tofu_bench_now_ns() - sent[i]);
			answered++;
			if (posted < o->count) {
				posted++;
				sent[i] = tofu_bench_now_ns();
				send_body(o, items[i].socket, body);
			}
		}
	}
	tofu_bench_end(r, o->count);
}

/* connections */

static void serve_connections(struct bench_options *o, struct bench_result *r)
{
	void *s = listen_on(o, ZMQ_ROUTER);

	for (uint64_t i = 1; i <= o->count + BENCH_MARKS; i++) {
		route_back(o, s);
		tofu_bench_served(o, r, i);
	}
	finish(s);
}

/* Wait for the end of one handshake; others of its news are of no interest, and not asked for. */
static void handshake(void *monitor)
{
	int more = 1;

	while (more) {
		size_t length = sizeof more;

		(void)checked(zmq_recv(monitor, buffer, sizeof buffer, 0), "zmq_recv");
		(void)checked(zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &length), "ZMQ_RCVMORE");
	}
}

static void open_idle(const struct bench_options *o)
{
	void *s = open_socket(o, ZMQ_ROUTER);
	void *monitor = NULL;
	uint32_t done = 0;

	(void)checked(zmq_socket_monitor(s, "inproc://idle", ZMQ_EVENT_HANDSHAKE_SUCCEEDED), "zmq_socket_monitor");
	monitor = open_socket(o, ZMQ_PAIR);
	(void)checked(zmq_connect(monitor, "inproc://idle"), "zmq_connect");
	for (uint32_t i = 0; i < o->channels; i++) {
		(void)checked(zmq_connect(s, o->to), "zmq_connect");
		if (i - done >= OPENING) {
			handshake(monitor);
			done++;
		}
	}
	for (; done < o->channels; done++)
		handshake(monitor);
}

static void call_connections(struct bench_options *o, struct bench_result *r)
{
	void *s = connect_to(o, ZMQ_DEALER);

	round_trip(o, s, tofu_bench_body());
	tofu_bench_resident_before(r);
	open_idle(o);
	round_trip(o, s, tofu_bench_body());
	tofu_bench_resident_after(r, o->channels);
	time_round_trips(o, r, s);
}

/* churn */

static void call_churn(struct bench_options *o, struct bench_result *r)
{
	const void *body = tofu_bench_body();

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();
		void *s = connect_to(o, ZMQ_REQ);

		round_trip(o, s, body);
		(void)checked(zmq_close(s), "zmq_close");
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static const char *version(void)
{
	static char text[32];
	int major = 0;
	int minor = 0;
	int patch = 0;

	zmq_version(&major, &minor, &patch);
	(void)snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
	return text;
}

int main(int argc, char **argv)
{
	static const struct bench_peer peer = {
		.program = "zmq",
		.version = version,
		.serve = { serve_throughput, serve_rep, serve_parallel, serve_connections, serve_rep },
		.call = { call_throughput, call_latency, call_parallel, call_connections, call_churn },
	};

	return tofu_bench_main(argc, argv, &peer);
}
