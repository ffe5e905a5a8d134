/* SPDX-License-Identifier: MIT */

/*
 * nng: PUSH to PULL one way, REQ to REP for round trips, a context with an aio for each of many at once. TCP_NODELAY as
 * nng sets it (on). The buffers hold as many messages as they can: 8192.
 *
 * One way, several aios are under way at each end, and each starts the next message in its callback; that is the
 * fastest of the documented ways. Round trips one after the other use nng_sendmsg and nng_recvmsg.
 *
 * nng throws away what is queued when a socket is closed. So whoever may still have something to send waits until the
 * other side has hung up.
 */

#include "lib.h"

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <nng/transport/tls/tls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 8192, UNDER_WAY = 64 };

/* The world of callbacks: one lock, one condition; what they count. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t pipes_added;
	uint64_t pipes_gone;
	uint64_t started;
	uint64_t done;
	uint64_t wanted;
	const struct bench_options *options;
	struct bench_result *result;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void checked(int result, const char *what)
{
	if (result != 0)
		tofu_bench_die("%s: %s", what, nng_strerror(result));
}

/* pipes come and go */

static void pipe_changed(nng_pipe pipe, nng_pipe_ev event, void *context)
{
	(void)pipe;
	(void)context;
	(void)pthread_mutex_lock(&all.lock);
	if (event == NNG_PIPE_EV_ADD_POST)
		all.pipes_added++;
	else
		all.pipes_gone++;
	(void)pthread_cond_broadcast(&all.changed);
	(void)pthread_mutex_unlock(&all.lock);
}

static void wait_for(const uint64_t *counter, uint64_t wanted)
{
	(void)pthread_mutex_lock(&all.lock);
	while (*counter < wanted)
		(void)pthread_cond_wait(&all.changed, &all.lock);
	(void)pthread_mutex_unlock(&all.lock);
}

/* sockets */

static void prepare(nng_socket s)
{
	checked(nng_pipe_notify(s, NNG_PIPE_EV_ADD_POST, pipe_changed, NULL), "nng_pipe_notify");
	checked(nng_pipe_notify(s, NNG_PIPE_EV_REM_POST, pipe_changed, NULL), "nng_pipe_notify");
}

/* A text in memory of its own. */
static char *content_of(const char *path)
{
	enum { MOST = 65536 };
	char *text = calloc(MOST, 1);
	FILE *file = fopen(path, "r");

	if (text == NULL || file == NULL || fread(text, 1, MOST - 1, file) == 0)
		tofu_bench_die("cannot read %s", path);
	(void)fclose(file);
	return text;
}

/* The client judges the server's certificate; NULL: not TLS. */
static nng_tls_config *secure(const struct bench_options *o)
{
	nng_tls_config *config;

	if (o->transport != BENCH_TLS)
		return NULL;
	checked(nng_tls_register(), "nng_tls_register");
	checked(nng_tls_config_alloc(&config, o->serve ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT), "TLS");
	if (o->serve) {
		checked(nng_tls_config_own_cert(config, content_of(o->cert), content_of(o->key), NULL), o->cert);
	} else {
		checked(nng_tls_config_ca_chain(config, content_of(o->ca), NULL), o->ca);
		checked(nng_tls_config_server_name(config, "localhost"), "name");
		checked(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), "TLS");
	}
	return config;
}

static void listen_on(const struct bench_options *o, nng_socket s)
{
	static const char *const schemes[] = { [BENCH_TCP] = "tcp", [BENCH_TLS] = "tls+tcp" };
	nng_tls_config *config = secure(o);
	nng_listener listener;
	char text[128];
	int port = 0;

	prepare(s);
	if (o->transport == BENCH_UDS)
		(void)snprintf(text, sizeof text, "ipc://%s", o->path);
	else
		(void)snprintf(text, sizeof text, "%s://127.0.0.1:0", schemes[o->transport]);
	checked(nng_listener_create(&listener, s, text), "nng_listener_create");
	if (config != NULL)
		checked(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config), "NNG_OPT_TLS_CONFIG");
	checked(nng_listener_start(listener, 0), "nng_listener_start");
	if (o->transport != BENCH_UDS) {
		checked(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "NNG_OPT_TCP_BOUND_PORT");
		(void)snprintf(text, sizeof text, "%s://127.0.0.1:%d", schemes[o->transport], port);
	}
	tofu_bench_listening(text);
}

static nng_socket open_push(void)
{
	nng_socket s;

	checked(nng_push0_open(&s), "nng_push0_open");
	checked(nng_socket_set_int(s, NNG_OPT_SENDBUF, BUFFER), "NNG_OPT_SENDBUF");
	prepare(s);
	return s;
}

static nng_socket open_req(void)
{
	nng_socket s;

	checked(nng_req0_open(&s), "nng_req0_open");
	prepare(s);
	return s;
}

static nng_socket listen_pull(const struct bench_options *o)
{
	nng_socket s;

	checked(nng_pull0_open(&s), "nng_pull0_open");
	listen_on(o, s);
	return s;
}

static nng_socket listen_rep(const struct bench_options *o)
{
	nng_socket s;

	checked(nng_rep0_open(&s), "nng_rep0_open");
	listen_on(o, s);
	return s;
}

static void connect_to(const struct bench_options *o, nng_socket s)
{
	static nng_tls_config *config;
	nng_dialer dialer;

	if (config == NULL)
		config = secure(o);
	checked(nng_dialer_create(&dialer, s, o->to), "nng_dialer_create");
	if (config != NULL)
		checked(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), "NNG_OPT_TLS_CONFIG");
	checked(nng_dialer_start(dialer, 0), "nng_dialer_start");
}

static nng_msg *message(const struct bench_options *o)
{
	nng_msg *m = NULL;

	checked(nng_msg_alloc(&m, o->size), "nng_msg_alloc");
	memcpy(nng_msg_body(m), tofu_bench_body(), o->size);
	return m;
}

static void check_size(const struct bench_options *o, nng_msg *m)
{
	if (nng_msg_len(m) != o->size)
		tofu_bench_die("a message of %zu bytes", nng_msg_len(m));
}

static void round_trip(const struct bench_options *o, nng_socket s)
{
	nng_msg *m = message(o);

	checked(nng_sendmsg(s, m, 0), "nng_sendmsg");
	checked(nng_recvmsg(s, &m, 0), "nng_recvmsg");
	check_size(o, m);
	nng_msg_free(m);
}

/* A call that is made again and again: a socket or a context, its aio, and when it was sent. */
struct flight {
	nng_socket socket;
	nng_ctx context;
	nng_aio *aio;
	int64_t sent_ns;
	bool answering; /* the message is on its way out; else one is awaited */
};

/* May one more be started? Counts it, if so. */
static bool start(void)
{
	bool may = false;

	(void)pthread_mutex_lock(&all.lock);
	may = all.started < all.wanted;
	if (may)
		all.started++;
	(void)pthread_mutex_unlock(&all.lock);
	return may;
}

/* throughput */

static void received(void *context)
{
	struct flight *f = context;
	nng_msg *m = nng_aio_get_msg(f->aio);

	if (nng_aio_result(f->aio) != 0)
		return; /* the end */
	check_size(all.options, m);
	nng_msg_free(m);
	(void)pthread_mutex_lock(&all.lock);
	if (++all.done == 1)
		tofu_bench_begin(all.result);
	if (all.done == all.wanted) {
		tofu_bench_end(all.result, all.done - 1);
		(void)pthread_cond_broadcast(&all.changed);
	}
	(void)pthread_mutex_unlock(&all.lock);
	nng_recv_aio(f->socket, f->aio);
}

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	static struct flight flights[UNDER_WAY];
	nng_socket s;

	all.options = o;
	all.result = r;
	all.wanted = o->count;
	s = listen_pull(o);
	for (size_t i = 0; i < UNDER_WAY; i++) {
		flights[i].socket = s;
		checked(nng_aio_alloc(&flights[i].aio, received, &flights[i]), "nng_aio_alloc");
		nng_recv_aio(s, flights[i].aio);
	}
	wait_for(&all.done, o->count);
	(void)nng_close(s);
}

static void send_next(struct flight *f)
{
	if (!start())
		return;
	nng_aio_set_msg(f->aio, message(all.options));
	nng_send_aio(f->socket, f->aio);
}

static void sent(void *context)
{
	struct flight *f = context;

	checked(nng_aio_result(f->aio), "nng_send_aio");
	send_next(f);
}

static void call_throughput(struct bench_options *o, struct bench_result *r)
{
	static struct flight flights[UNDER_WAY];
	nng_socket s = open_push();

	all.options = o;
	all.wanted = o->count;
	connect_to(o, s);
	tofu_bench_begin(r);
	for (size_t i = 0; i < UNDER_WAY; i++) {
		flights[i].socket = s;
		checked(nng_aio_alloc(&flights[i].aio, sent, &flights[i]), "nng_aio_alloc");
		send_next(&flights[i]);
	}
	wait_for(&all.pipes_gone, 1);
	tofu_bench_end(r, o->count - 1);
}

/* latency */

static void echo(const struct bench_options *o, nng_socket s)
{
	nng_msg *m = NULL;

	checked(nng_recvmsg(s, &m, 0), "nng_recvmsg");
	check_size(o, m);
	checked(nng_sendmsg(s, m, 0), "nng_sendmsg");
}

static void serve_rep(struct bench_options *o, struct bench_result *r)
{
	nng_socket s = listen_rep(o);

	for (uint64_t i = 0; i < o->count; i++) {
		echo(o, s);
		if (i == 0)
			tofu_bench_begin(r);
	}
	tofu_bench_end(r, o->count - 1);
	wait_for(&all.pipes_gone, o->work == BENCH_CHURN ? o->count : 1);
}

static void time_round_trips(const struct bench_options *o, struct bench_result *r, nng_socket s)
{
	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();

		round_trip(o, s);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static void call_latency(struct bench_options *o, struct bench_result *r)
{
	nng_socket s = open_req();

	connect_to(o, s);
	time_round_trips(o, r, s);
	(void)nng_close(s);
}

/* parallel: a context for each request under way, at both ends */

static void served(void *context)
{
	struct flight *f = context;

	if (nng_aio_result(f->aio) != 0)
		return; /* the end */
	if (f->answering) {
		f->answering = false;
		nng_ctx_recv(f->context, f->aio);
		return;
	}
	check_size(all.options, nng_aio_get_msg(f->aio));
	(void)pthread_mutex_lock(&all.lock);
	if (++all.done == all.options->channels)
		tofu_bench_begin(all.result);
	if (all.done == all.wanted)
		tofu_bench_end(all.result, all.options->count);
	(void)pthread_mutex_unlock(&all.lock);
	f->answering = true;
	nng_ctx_send(f->context, f->aio); /* the aio still holds the message */
}

static struct flight *flights_create(uint32_t n, nng_socket s, void (*called)(void *))
{
	struct flight *flights = calloc(n, sizeof *flights);

	if (flights == NULL)
		tofu_bench_die("no memory");
	for (uint32_t i = 0; i < n; i++) {
		checked(nng_ctx_open(&flights[i].context, s), "nng_ctx_open");
		checked(nng_aio_alloc(&flights[i].aio, called, &flights[i]), "nng_aio_alloc");
	}
	return flights;
}

static void serve_parallel(struct bench_options *o, struct bench_result *r)
{
	struct flight *flights = NULL;
	nng_socket s;

	all.options = o;
	all.result = r;
	all.wanted = o->channels + o->count;
	checked(nng_rep0_open(&s), "nng_rep0_open");
	flights = flights_create(o->channels, s, served);
	for (uint32_t i = 0; i < o->channels; i++)
		nng_ctx_recv(flights[i].context, flights[i].aio);
	listen_on(o, s);
	wait_for(&all.pipes_gone, o->channels);
}

static void ask(struct flight *f)
{
	if (!start())
		return;
	f->answering = false;
	f->sent_ns = tofu_bench_now_ns();
	nng_aio_set_msg(f->aio, message(all.options));
	nng_ctx_send(f->context, f->aio);
}

static void asked(void *context)
{
	struct flight *f = context;
	nng_msg *m = NULL;

	checked(nng_aio_result(f->aio), "request");
	if (!f->answering) {
		f->answering = true;
		nng_ctx_recv(f->context, f->aio);
		return;
	}
	m = nng_aio_get_msg(f->aio);
	check_size(all.options, m);
	nng_msg_free(m);
	(void)pthread_mutex_lock(&all.lock);
	if (all.result != NULL)
		tofu_bench_add(all.result, tofu_bench_now_ns() - f->sent_ns);
	all.done++;
	if (all.done == all.wanted)
		(void)pthread_cond_broadcast(&all.changed);
	(void)pthread_mutex_unlock(&all.lock);
	ask(f);
}

static void call_parallel(struct bench_options *o, struct bench_result *r)
{
	nng_socket s = open_req();
	struct flight *flights = flights_create(o->channels, s, asked);

	for (uint32_t i = 0; i < o->channels; i++)
		connect_to(o, s);
	wait_for(&all.pipes_added, o->channels);
	all.options = o;
	(void)pthread_mutex_lock(&all.lock);
	all.wanted = o->channels;
	(void)pthread_mutex_unlock(&all.lock);
	for (uint32_t i = 0; i < o->channels; i++)
		ask(&flights[i]);
	wait_for(&all.done, o->channels);
	for (uint32_t i = 0; i < o->channels; i++)
		nng_aio_wait(flights[i].aio);
	tofu_bench_begin(r);
	(void)pthread_mutex_lock(&all.lock);
	all.result = r;
	all.wanted = o->channels + o->count;
	(void)pthread_mutex_unlock(&all.lock);
	for (uint32_t i = 0; i < o->channels; i++)
		ask(&flights[i]);
	wait_for(&all.done, o->channels + o->count);
	tofu_bench_end(r, o->count);
	(void)nng_close(s);
}

/* connections */

static void serve_connections(struct bench_options *o, struct bench_result *r)
{
	nng_socket s = listen_rep(o);

	for (uint64_t i = 1; i <= o->count + BENCH_MARKS; i++) {
		echo(o, s);
		tofu_bench_served(o, r, i);
	}
	wait_for(&all.pipes_gone, 1);
}

static void call_connections(struct bench_options *o, struct bench_result *r)
{
	nng_socket s = open_req();
	nng_socket idle;

	connect_to(o, s);
	round_trip(o, s);
	tofu_bench_resident_before(r);
	idle = open_req();
	for (uint32_t i = 0; i < o->channels; i++)
		connect_to(o, idle);
	wait_for(&all.pipes_added, o->channels + 1);
	round_trip(o, s);
	tofu_bench_resident_after(r, o->channels);
	time_round_trips(o, r, s);
}

/* churn */

static void call_churn(struct bench_options *o, struct bench_result *r)
{
	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();
		nng_socket s = open_req();

		connect_to(o, s);
		round_trip(o, s);
		(void)nng_close(s);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

int main(int argc, char **argv)
{
	static const struct bench_peer peer = {
		.program = "nng",
		.version = nng_version,
		.serve = { serve_throughput, serve_rep, serve_parallel, serve_connections, serve_rep },
		.call = { call_throughput, call_latency, call_parallel, call_connections, call_churn },
	};

	return tofu_bench_main(argc, argv, &peer);
}
