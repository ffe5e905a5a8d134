/* SPDX-License-Identifier: MIT */

/*
 * One measurement from its beginning to its end: the server, if it is to be in this process, on a thread of its own;
 * the client; connections; a warm-up; what both sides have used so far; the flow; what both sides have used now.
 */

#include "perf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "say.h"

struct run {
	const struct perf_options *options;
	struct perf_server server;
	struct tofu_host_thread *server_thread;
	struct perf_client *client;
	struct perf_result result;
};

static void collect_times(struct perf_client *c, struct perf_result *out)
{
	memset(&out->times, 0, sizeof out->times);
	for (uint32_t i = 0; i < c->options->threads; i++)
		tofu_histogram_merge(&out->times, &c->workers[i].times);
	out->has_times = out->times.count > 0;
}

static bool flow(struct perf_client *c, const struct perf_play *play, uint32_t lines, uint64_t count, double *seconds)
{
	int64_t started_ns = tofu_host_now_ns();

	c->count = count;
	for (uint32_t i = 0; i < c->options->threads; i++)
		memset(&c->workers[i].times, 0, sizeof c->workers[i].times);
	if (!tofu_perf_play(c, play, lines, (count + (c->one_way ? 2 : 0)) * lines))
		return false;
	*seconds = (double)(tofu_host_now_ns() - started_ns) / 1e9;
	return !c->one_way || tofu_perf_flow_arrived(c, lines, seconds);
}

static double part(uint64_t before, uint64_t after, double of)
{
	return of > 0 ? (double)(after - before) / of : 0;
}

/* What happened between the two looks, on both sides. In one process its cpu time is that of both. */
static void compare(const struct perf_used own[2], const struct perf_used peer[2], bool apart, struct perf_result *out)
{
	double messages =
		((double)(own[1].messages - own[0].messages) + (double)(peer[1].messages - peer[0].messages)) / 2;

	out->cpu_seconds = part(own[0].cpu_ns, own[1].cpu_ns, 1e9);
	out->cpu_ns_per_message = part(own[0].cpu_ns, own[1].cpu_ns, messages);
	if (apart) {
		out->peer_cpu_seconds = part(peer[0].cpu_ns, peer[1].cpu_ns, 1e9);
		out->cpu_ns_per_message += part(peer[0].cpu_ns, peer[1].cpu_ns, messages);
	}
	out->sends_per_message = part(own[0].sends + peer[0].sends, own[1].sends + peer[1].sends, messages);
	out->receives_per_message =
		part(own[0].receives + peer[0].receives, own[1].receives + peer[1].receives, messages);
	out->wakeups_per_message = part(own[0].wakeups + peer[0].wakeups, own[1].wakeups + peer[1].wakeups, messages);
}

/* Between n arrivals there are n - 1 intervals; round trips and lives are timed whole. */
static double rate(const struct perf_client *c, uint32_t lines, double seconds)
{
	double total = (double)c->count * lines - (c->one_way ? 1 : 0);

	return seconds > 0 ? total / seconds : 0;
}

bool tofu_perf_measure(struct perf_client *c, const struct perf_play *play, uint32_t lines, struct perf_result *out)
{
	const struct perf_options *o = c->options;
	struct perf_used own[2], peer[2];
	double seconds;

	out->peer_cpu_seconds = out->resident_bytes_per_connection = out->peer_resident_bytes_per_connection = NAN;
	out->alone_cpu_ns_per_message = NAN;
	if (o->warmup > 0 && !flow(c, play, lines, o->warmup, &seconds))
		return false;
	if (!tofu_perf_probe(c, &peer[0]))
		return false;
	tofu_perf_used(c->end.engine, &own[0]);
	if (!flow(c, play, lines, o->count, &seconds))
		return false;
	tofu_perf_used(c->end.engine, &own[1]);
	if (!tofu_perf_probe(c, &peer[1]))
		return false;
	compare(own, peer, o->to != NULL, out);
	collect_times(c, out);
	out->seconds = seconds;
	out->messages_per_s = rate(c, lines, seconds);
	out->bytes_per_s = out->messages_per_s * o->size;
	return true;
}

static bool work(struct perf_client *c, struct perf_result *out)
{
	uint32_t channels = c->options->channels;

	switch (c->options->work) {
	case PERF_THROUGHPUT:
	case PERF_LATENCY:
		return tofu_perf_connect(c, 1 + channels) && tofu_perf_measure(c, &tofu_perf_flow, channels, out);
	case PERF_CONNECTIONS:
		return tofu_perf_connections(c, out);
	case PERF_CHURN:
		return tofu_perf_connect(c, 1) && tofu_perf_measure(c, &tofu_perf_churn, channels, out);
	case PERF_WORKS:
		break;
	}
	return false;
}

static bool start_server(struct run *r)
{
	if (r->options->to != NULL)
		return true;
	if (!tofu_perf_server_open(&r->server, r->options, tofu_perf_anywhere(r->options->transport)))
		return false;
	r->server_thread = tofu_host_thread_start(tofu_perf_server_run, &r->server);
	if (r->server_thread == NULL)
		tofu_say_wrong(TOFU_LIMIT_REACHED, "cannot start the server's thread");
	return r->server_thread != NULL;
}

static void stop_server(struct run *r)
{
	if (r->server_thread != NULL)
		tofu_perf_server_stop(&r->server);
	tofu_host_thread_join(r->server_thread);
	tofu_perf_server_close(&r->server);
}

static bool measure(struct run *r)
{
	const struct perf_options *o = r->options;
	const char *address = o->to != NULL ? o->to : r->server.address;
	uint32_t lines = o->channels + (o->work == PERF_CONNECTIONS ? 1 : 0);

	r->client->one_way = o->work == PERF_THROUGHPUT && !o->echo;
	return tofu_perf_client_open(r->client, o, address, lines) && work(r->client, &r->result);
}

int tofu_perf_run(const struct perf_options *options)
{
	struct run *r = calloc(1, sizeof *r);
	bool right = false;

	if (r != NULL) {
		r->options = options;
		r->client = calloc(1, sizeof *r->client);
	}
	if (r == NULL || r->client == NULL) {
		tofu_say_wrong(TOFU_ALLOCATION_FAILED, "cannot start");
	} else {
		if (start_server(r)) {
			right = measure(r);
			tofu_perf_client_close(r->client);
		}
		stop_server(r);
		right = right && tofu_perf_report(options, &r->result);
	}
	if (r != NULL)
		free(r->client);
	free(r);
	return right ? PERF_RIGHT : PERF_FAILED;
}
