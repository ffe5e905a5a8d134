/* SPDX-License-Identifier: MIT */

/*
 * The side that asks: an engine, a group for each thread, and the lines, shared out among them. The first worker runs
 * on the thread of main() and shows the progress; the others have threads of their own while something is played.
 *
 * A worker goes round the lines that have something to send, a burst each, and looks at what came in between. When
 * every line waits - for room in its queue, for an answer - it sleeps in tofu_receive(). Silence for longer than the
 * timeout is a failure; the first failure is told, stops all workers, and is the end of the program.
 */

#include "perf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "say.h"

enum {
	CONNECTING_MAX = 64, /* connections that are opened at once; listeners have a queue for as many */
	QUEUED_MAX = 65536,  /* messages that wait in all send queues together */
	QUEUE_MOST = 2048,   /* in one */
	QUEUE_LEAST = 16,
	QUEUED_BYTES = 1 << 20, /* in one */
	POOL_SPARE = 2048,      /* written, but not given back yet; arriving; probes */
	POOL_MOST = 1048576,
	LOOK_EVERY = 4096, /* messages between two looks at the clock */
	PROGRESS_WIDTH = 60
};

#define TICK_NS INT64_C(250000000)

static void clear_progress(struct perf_client *c)
{
	if (c->shown)
		(void)fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
	c->shown = false;
}

void tofu_perf_fail(struct perf_client *c, enum tofu_status status, const struct perf_line *line, const char *what)
{
	if (atomic_exchange(&c->failed, true))
		return;
	if (line == NULL)
		tofu_say_wrong(status, "%s", what);
	else
		tofu_say_wrong(status, "connection %u, after %" PRIu64 ": %s", (unsigned)(line - c->lines),
		               line->done > line->steps ? line->done : line->steps, what);
}

void tofu_perf_unreachable(struct perf_client *c, enum tofu_status status)
{
	if (!atomic_exchange(&c->failed, true))
		tofu_say_unreachable(c->end.engine, status, "cannot connect to", c->address, TOFU_HELLO_REQUEST, NULL);
}

/* --- opening --- */

static uint32_t clamp(uint32_t value, uint32_t least, uint32_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Round trips never find a queue full; one-way messages do all the time, and half a queue should last a while. */
static void choose(const struct perf_options *o, uint32_t lines, struct tofu_options *wanted)
{
	bool one_way = o->work == PERF_THROUGHPUT && !o->echo;
	uint32_t queue = one_way ? clamp(QUEUED_MAX / lines, QUEUE_LEAST, QUEUE_MOST) : o->window + 2;
	uint32_t busy = o->work == PERF_CONNECTIONS ? 1 : lines;
	uint64_t pool = (uint64_t)queue * busy + POOL_SPARE;

	tofu_options_init(wanted, sizeof *wanted);
	wanted->send_queue_max = clamp(queue, QUEUE_LEAST, 32767);
	if (one_way) /* what waits is still in the processor's cache when it is written */
		wanted->send_queue_max_bytes = QUEUED_BYTES;
	wanted->pool_initial = pool < POOL_MOST ? (uint32_t)pool : POOL_MOST;
	wanted->pool_max = wanted->pool_initial;
	wanted->poller = o->poller;
	wanted->io = o->io;
	wanted->log = o->verbose ? tofu_say_log : NULL;
	wanted->log_context = wanted;
	if (o->verbose)
		tofu_say_wrong(TOFU_OK,
		               "the client's engine: pool_initial %" PRIu32 ", pool_max %" PRIu32
		               ", send_queue_max %" PRIu32,
		               wanted->pool_initial, wanted->pool_max, wanted->send_queue_max);
}

static bool make_batches(struct perf_client *c)
{
	uint32_t size = c->options->batch;

	if (size == 1)
		return true;
	c->batches = calloc((size_t)size * c->line_count, sizeof(tofu_msg *));
	for (uint32_t i = 0; c->batches != NULL && i < c->line_count; i++)
		c->lines[i].batch = c->batches + (size_t)i * size;
	return c->batches != NULL;
}

/* A ring for each line that may have requests under way. */
static bool make_rings(struct perf_client *c)
{
	uint32_t busy = c->options->work == PERF_CONNECTIONS ? 2 : c->line_count;
	uint32_t size = 1;

	while (size < c->options->window)
		size *= 2;
	c->ring = size - 1;
	c->sent_ns = tofu_perf_resident_zeros((size_t)size * busy, sizeof *c->sent_ns);
	if (c->sent_ns == NULL)
		return false;
	for (uint32_t i = 0; i < busy; i++)
		c->lines[i].sent_ns = c->sent_ns + (size_t)i * size;
	return true;
}

static bool make_groups(struct perf_client *c)
{
	c->workers[0].group = c->end.group;
	for (uint32_t i = 0; i < c->options->threads; i++) {
		enum tofu_status status = TOFU_OK;

		c->workers[i].client = c;
		if (i > 0)
			status = tofu_group_create(c->end.engine, &c->workers[i].group);
		if (status != TOFU_OK) {
			tofu_say_wrong(status, "cannot create a group");
			return false;
		}
	}
	return true;
}

bool tofu_perf_client_open(struct perf_client *c, const struct perf_options *options, const char *address,
                           uint32_t lines)
{
	struct tofu_options wanted;

	c->options = options;
	c->address = address;
	c->line_count = lines + 1;
	c->window = options->window;
	c->watched = tofu_host_is_watched();
	c->lines = tofu_perf_resident_zeros(c->line_count, sizeof *c->lines);
	c->workers = calloc(options->threads, sizeof *c->workers);
	if (c->lines == NULL || c->workers == NULL || !make_rings(c) || !make_batches(c)) {
		tofu_say_wrong(TOFU_ALLOCATION_FAILED, "cannot start");
		return false;
	}
	tofu_host_allow_files((uint64_t)lines + 4096);
	choose(options, lines, &wanted);
	return tofu_end_open(&c->end, &wanted, &options->secure) && make_groups(c);
}

static void drop_unsent(struct perf_line *line)
{
	tofu_msg_put(&line->waiting);
	for (uint32_t i = 0; i < line->batched; i++)
		tofu_msg_put(&line->batch[i]);
}

void tofu_perf_client_close(struct perf_client *c)
{
	for (uint32_t i = 0; c->lines != NULL && i < c->line_count; i++)
		drop_unsent(&c->lines[i]);
	for (uint32_t i = 0; c->workers != NULL && i < c->options->threads; i++) {
		tofu_msg_put(&c->workers[i].shared);
		if (i > 0 && c->workers[i].group != NULL)
			(void)tofu_group_destroy(c->workers[i].group);
	}
	tofu_end_close(&c->end);
	free(c->workers);
	free(c->sent_ns);
	free(c->lines);
	free(c->batches);
}

/* --- messages --- */

tofu_msg *tofu_perf_message(struct perf_worker *w, const struct perf_line *line, enum tofu_opcode opcode, uint64_t id)
{
	struct tofu_header *h;
	tofu_msg *msg;
	enum tofu_status status = tofu_msg_get(w->client->end.engine, TOFU_ALWAYS, &msg);

	if (status != TOFU_OK) {
		tofu_perf_fail(w->client, status, line, "no message to be had");
		return NULL;
	}
	h = tofu_msg_header(msg);
	h->opcode = (uint8_t)opcode;
	h->channel = line->channel;
	h->id = id;
	return msg;
}

bool tofu_perf_post(struct perf_worker *w, struct perf_line *line)
{
	enum tofu_status status = tofu_post(w->group, &line->waiting, NULL);

	if (status != TOFU_OK && status != TOFU_WOULD_BLOCK)
		tofu_perf_fail(w->client, status, line, "cannot send");
	return status == TOFU_OK;
}

void tofu_perf_make_ready(struct perf_worker *w, struct perf_line *line)
{
	if (line->ready)
		return;
	line->ready = true;
	line->next_ready = NULL;
	if (w->first_ready == NULL)
		w->first_ready = line;
	else
		w->last_ready->next_ready = line;
	w->last_ready = line;
}

static struct perf_line *take_ready(struct perf_worker *w)
{
	struct perf_line *line = w->first_ready;

	w->first_ready = line->next_ready;
	line->ready = false;
	return line;
}

/* --- the loop --- */

static void show_progress(struct perf_client *c)
{
	int64_t now_ns = tofu_host_now_ns();
	uint64_t sum = 0;

	if (now_ns - c->shown_ns < TICK_NS || c->expected == 0)
		return;
	c->shown_ns = now_ns;
	for (uint32_t i = 0; i < c->options->threads; i++)
		sum += atomic_load_explicit(&c->workers[i].progress, memory_order_relaxed);
	(void)fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 ", %" PRIu64 "%%", sum, c->expected, sum * 100 / c->expected);
	(void)fflush(stderr);
	c->shown = true;
}

static void dispatch(struct perf_worker *w, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	struct perf_line *line = w->client->line_of[h->channel];

	if (line == NULL) {
		/* pool_empty: what arrived is given back at once, so reading goes on by itself */
	} else if (h->origin == TOFU_ORIGIN_APPLICATION) {
		w->play->peer(w, line, msg);
	} else if (h->opcode == TOFU_REQUEST) {
		tofu_perf_fail(w->client, (enum tofu_status)h->status, line, "a request was not sent");
	} else {
		w->play->notice(w, line, h);
	}
	tofu_msg_put(&msg);
}

static void go_round(struct perf_worker *w)
{
	struct perf_line *last = w->last_ready, *line;

	if (w->first_ready == NULL)
		return;
	do {
		line = take_ready(w);
		w->play->go_on(w, line);
	} while (line != last && !tofu_perf_failed(w->client));
}

/* With --share a round posts one message to each line, so a burst is several rounds. */
static void go_on(struct perf_worker *w)
{
	uint32_t rounds = w->client->options->share ? PERF_BURST / w->line_count + 1 : 1;

	for (; rounds > 0 && !tofu_perf_failed(w->client); rounds--)
		go_round(w);
}

static void run(void *worker)
{
	struct perf_worker *w = worker;
	struct perf_client *c = w->client;
	int64_t patience = c->options->timeout_s * INT64_C(1000000000) / TICK_NS, silence = 0;
	bool shows = c->watched && w == c->workers;
	unsigned look = 0;

	while (w->busy > 0 && !tofu_perf_failed(c)) {
		tofu_msg *msg;
		enum tofu_status status;

		go_on(w);
		status = tofu_receive(w->group, &msg, w->first_ready != NULL ? 0 : TICK_NS);
		while (status == TOFU_OK) {
			silence = 0;
			dispatch(w, msg);
			if (shows && ++look % LOOK_EVERY == 0)
				show_progress(c);
			if (w->busy == 0 || tofu_perf_failed(c))
				return;
			status = tofu_receive(w->group, &msg, w->first_ready != NULL ? 0 : TICK_NS);
		}
		if (status != TOFU_TIMEOUT) {
			tofu_perf_fail(c, status, NULL, "cannot receive");
		} else if (w->first_ready != NULL) {
			if (shows && ++look % 16 == 0)
				show_progress(c);
		} else if (++silence >= patience) {
			tofu_perf_fail(c, TOFU_OK, NULL, "nothing happened for too long");
		} else if (shows) {
			show_progress(c);
		}
	}
}

static bool run_all(struct perf_client *c)
{
	for (uint32_t i = 1; i < c->options->threads; i++) {
		c->workers[i].thread = tofu_host_thread_start(run, &c->workers[i]);
		if (c->workers[i].thread == NULL)
			tofu_perf_fail(c, TOFU_LIMIT_REACHED, NULL, "cannot start a thread");
	}
	run(&c->workers[0]);
	for (uint32_t i = 1; i < c->options->threads; i++) {
		tofu_host_thread_join(c->workers[i].thread);
		c->workers[i].thread = NULL;
	}
	clear_progress(c);
	return !tofu_perf_failed(c);
}

/* The lines from first, shared out as evenly as it goes. */
static void share_out(struct perf_client *c, const struct perf_play *play, uint32_t first, uint32_t count)
{
	uint32_t threads = c->options->threads;

	for (uint32_t i = 0; i < threads; i++) {
		struct perf_worker *w = &c->workers[i];

		w->lines = c->lines + first;
		w->line_count = count / threads + (i < count % threads ? 1 : 0);
		w->busy = w->line_count;
		w->play = play;
		w->first_ready = NULL;
		w->shared_count = 0;
		w->sharers = w->line_count;
		atomic_store(&w->progress, 0);
		first += w->line_count;
	}
}

bool tofu_perf_play(struct perf_client *c, const struct perf_play *play, uint32_t count, uint64_t progress)
{
	c->expected = progress;
	share_out(c, play, 1, count);
	for (uint32_t i = 0; i < c->options->threads; i++) {
		struct perf_worker *w = &c->workers[i];

		for (uint32_t at = 0; at < w->line_count && !tofu_perf_failed(c); at++) {
			w->lines[at].steps = w->lines[at].done = 0;
			w->lines[at].ready = false; /* it may have been, at the end of what was played before */
			play->start(w, &w->lines[at]);
		}
	}
	return run_all(c);
}

/* --- connecting --- */

bool tofu_perf_start_connecting(struct perf_worker *w, struct perf_line *line)
{
	struct perf_client *c = w->client;
	struct tofu_header sent;
	tofu_msg *msg;
	enum tofu_status status = tofu_msg_get(c->end.engine, TOFU_ALWAYS, &msg);

	if (status == TOFU_OK)
		status = tofu_msg_connect_to(msg, c->address);
	if (status == TOFU_OK)
		status = tofu_post(w->group, &msg, &sent);
	tofu_msg_put(&msg);
	if (status != TOFU_OK) {
		tofu_perf_unreachable(c, status);
		return false;
	}
	line->state = PERF_LINE_CONNECTING;
	line->channel = sent.channel;
	c->line_of[sent.channel] = line;
	return true;
}

static void connected(struct perf_worker *w, struct perf_line *line, tofu_msg *msg)
{
	if (tofu_msg_header(msg)->opcode != TOFU_HELLO_RESPONSE || line->state != PERF_LINE_CONNECTING) {
		tofu_perf_fail(w->client, TOFU_OK, line, "this is no tofu-perf --serve");
		return;
	}
	line->state = PERF_LINE_OPEN;
	w->busy--;
}

static void not_connected(struct perf_worker *w, struct perf_line *line, const struct tofu_header *h)
{
	if (h->opcode == TOFU_HELLO_RESPONSE)
		tofu_perf_unreachable(w->client, (enum tofu_status)h->status);
	else
		tofu_perf_fail(w->client, TOFU_OK, line, "the connection was closed");
}

static const struct perf_play connecting = { NULL, NULL, connected, not_connected };

/* A worker's lines, a number of them at a time. */
static bool connect_lines(struct perf_worker *w)
{
	uint32_t all = w->line_count;

	for (uint32_t at = 0; at < all; at += CONNECTING_MAX) {
		uint32_t some = all - at < CONNECTING_MAX ? all - at : CONNECTING_MAX;

		for (uint32_t i = 0; i < some; i++) {
			if (!tofu_perf_start_connecting(w, &w->lines[at + i]))
				return false;
		}
		w->busy = some;
		run(w);
		if (tofu_perf_failed(w->client))
			return false;
	}
	return true;
}

bool tofu_perf_connect(struct perf_client *c, uint32_t count)
{
	uint32_t first = 0;

	c->expected = 0;
	while (first < count && c->lines[first].state != PERF_LINE_NEW)
		first++;
	while (first < count) {
		uint32_t some = first == 0 ? 1 : count - first; /* line 0 is the first worker's */

		share_out(c, &connecting, first, some);
		for (uint32_t i = 0; i < c->options->threads; i++) {
			if (!connect_lines(&c->workers[i]))
				return false;
		}
		first += some;
	}
	return true;
}

/* --- probing --- */

static struct perf_used probed; /* there is one client in a process, and one probe at a time */

static void probe(struct perf_worker *w, struct perf_line *line)
{
	line->waiting = tofu_perf_message(w, line, TOFU_REQUEST, tofu_perf_id(PERF_PROBE, 0));
	if (line->waiting != NULL && !tofu_perf_post(w, line))
		tofu_perf_fail(w->client, TOFU_OK, line, "cannot send a probe");
}

static void probe_answered(struct perf_worker *w, struct perf_line *line, tofu_msg *msg)
{
	if (tofu_perf_take_used(msg, &probed))
		w->busy--;
	else
		tofu_perf_fail(w->client, TOFU_OK, line, "a wrong answer to a probe");
}

static const struct perf_play probing = { NULL, NULL, probe_answered, not_connected };

bool tofu_perf_probe(struct perf_client *c, struct perf_used *out)
{
	c->expected = 0;
	share_out(c, &probing, 0, 1);
	probe(&c->workers[0], &c->lines[0]);
	run(&c->workers[0]);
	clear_progress(c);
	*out = probed;
	return !tofu_perf_failed(c);
}
