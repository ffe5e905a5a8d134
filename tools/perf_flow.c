/* SPDX-License-Identifier: MIT */

/*
 * Many messages over connections that are there. One way: BEGIN, the messages, END; a line has finished when END is
 * answered, and what the answer says must be what was sent. Round trips: as many requests as the window allows; every
 * answer must be the next one, by its id and by the number in its body, and its time is taken.
 *
 * A one-way line sends until its queue is full and is ready again at send_ready; in bursts, so that its neighbours and
 * what comes in get their turn.
 *
 * With --batch it posts several at once. With --share the lines of a worker send one body, as a publisher does: a message is
 * made when all have sent the one before.
 */

#include "perf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

static uint64_t steps_of(const struct perf_client *c)
{
	return c->one_way ? c->count + 2 : c->count;
}

static tofu_msg *make_begin(struct perf_worker *w, struct perf_line *line)
{
	const uint64_t numbers[] = { w->client->count, w->client->options->size };
	tofu_msg *msg = tofu_perf_message(w, line, TOFU_SIGNAL, tofu_perf_id(PERF_BEGIN, 0));

	if (msg != NULL && tofu_perf_put_numbers(msg, numbers, 2) != TOFU_OK) {
		tofu_perf_fail(w->client, TOFU_ALLOCATION_FAILED, line, "cannot begin");
		tofu_msg_put(&msg);
	}
	return msg;
}

static tofu_msg *make_data(struct perf_worker *w, struct perf_line *line, enum tofu_opcode opcode, uint64_t number)
{
	tofu_msg *msg = tofu_perf_message(w, line, opcode, tofu_perf_id(PERF_DATA, number));

	if (msg != NULL && tofu_perf_fill(msg, number, w->client->options->size) != TOFU_OK) {
		tofu_perf_fail(w->client, TOFU_ALLOCATION_FAILED, line, "cannot make a message");
		tofu_msg_put(&msg);
	}
	return msg;
}

/* May the line have the message with that number? */
static bool is_shareable(const struct perf_worker *w, uint64_t number)
{
	return number < w->shared_count || w->sharers == w->line_count;
}

static bool make_shared(struct perf_worker *w, struct perf_line *line, uint64_t number)
{
	tofu_msg_put(&w->shared);
	w->shared = make_data(w, line, TOFU_SIGNAL, number);
	w->shared_count = number + 1;
	w->sharers = 0;
	for (uint32_t i = 0; i < w->line_count; i++)
		tofu_perf_make_ready(w, &w->lines[i]);
	return w->shared != NULL;
}

static tofu_msg *share_data(struct perf_worker *w, struct perf_line *line, uint64_t number)
{
	enum tofu_status status;
	tofu_msg *msg;

	if (number == w->shared_count && !make_shared(w, line, number))
		return NULL;
	status = tofu_msg_share(w->shared, &msg);
	if (status != TOFU_OK) {
		tofu_perf_fail(w->client, status, line, "cannot share a message");
		return NULL;
	}
	tofu_msg_header(msg)->channel = line->channel;
	w->sharers++;
	return msg;
}

static tofu_msg *make_step(struct perf_worker *w, struct perf_line *line, uint64_t step)
{
	if (!w->client->one_way)
		return make_data(w, line, TOFU_REQUEST, step);
	if (step == 0)
		return make_begin(w, line);
	if (step <= w->client->count)
		return w->client->options->share ? share_data(w, line, step - 1)
		                                 : make_data(w, line, TOFU_SIGNAL, step - 1);
	return tofu_perf_message(w, line, TOFU_REQUEST, tofu_perf_id(PERF_END, 0));
}

static bool may_send(const struct perf_worker *w, const struct perf_line *line)
{
	const struct perf_client *c = w->client;

	if (line->steps == steps_of(c))
		return false;
	if (!c->one_way)
		return line->steps - line->done < c->window;
	return !c->options->share || line->waiting != NULL || line->steps == 0 || line->steps > c->count ||
	       is_shareable(w, line->steps - 1);
}

/* False: not now. */
static bool send_one(struct perf_worker *w, struct perf_line *line)
{
	struct perf_client *c = w->client;

	if (line->waiting == NULL)
		line->waiting = make_step(w, line, line->steps);
	if (!c->one_way)
		line->sent_ns[line->steps & c->ring] = (uint64_t)tofu_host_now_ns();
	if (line->waiting == NULL || !tofu_perf_post(w, line))
		return false;
	line->steps++;
	if (c->one_way)
		tofu_perf_progress(w, 1);
	return true;
}

static bool fill_batch(struct perf_worker *w, struct perf_line *line)
{
	uint64_t left = steps_of(w->client) - line->steps;
	uint32_t most = left < w->client->options->batch ? (uint32_t)left : w->client->options->batch;

	for (; line->batched < most; line->batched++) {
		tofu_msg *msg = make_step(w, line, line->steps + line->batched);

		if (msg == NULL)
			return false;
		line->batch[line->batched] = msg;
	}
	return true;
}

/* How many; 0: not now. */
static size_t send_batch(struct perf_worker *w, struct perf_line *line)
{
	enum tofu_status status;
	size_t posted = 0;

	if (!fill_batch(w, line))
		return 0;
	status = tofu_post_many(w->group, line->batch, line->batched, &posted);
	line->batched -= (uint32_t)posted;
	memmove(line->batch, line->batch + posted, line->batched * sizeof(tofu_msg *));
	line->steps += posted;
	tofu_perf_progress(w, posted);
	if (status == TOFU_OK)
		return posted;
	if (status != TOFU_WOULD_BLOCK)
		tofu_perf_fail(w->client, status, line, "cannot send");
	return 0;
}

static void go_on_in_batches(struct perf_worker *w, struct perf_line *line)
{
	size_t posted;

	for (size_t sum = 0; line->steps < steps_of(w->client); sum += posted) {
		if (sum >= PERF_BURST) {
			tofu_perf_make_ready(w, line);
			return;
		}
		posted = send_batch(w, line);
		if (posted == 0)
			return;
	}
}

static void go_on(struct perf_worker *w, struct perf_line *line)
{
	if (w->client->one_way && line->batch != NULL) {
		go_on_in_batches(w, line);
		return;
	}
	for (unsigned i = 0; may_send(w, line); i++) {
		if (i == PERF_BURST) {
			tofu_perf_make_ready(w, line);
			return;
		}
		if (!send_one(w, line))
			return;
	}
}

static void answered(struct perf_worker *w, struct perf_line *line, const tofu_msg *msg, uint64_t id)
{
	struct perf_client *c = w->client;

	if (id != tofu_perf_id(PERF_DATA, line->done) || line->done == line->steps ||
	    !tofu_perf_is_filled(msg, line->done, c->options->size)) {
		tofu_perf_fail(c, TOFU_OK, line, "a wrong answer");
		return;
	}
	tofu_histogram_add(&w->times, (uint64_t)tofu_host_now_ns() - line->sent_ns[line->done & c->ring]);
	tofu_perf_progress(w, 1);
	if (++line->done == c->count)
		w->busy--;
	else
		go_on(w, line);
}

static void arrived(struct perf_worker *w, struct perf_line *line, const tofu_msg *msg)
{
	char what[128];

	if (!tofu_perf_take_arrived(msg, &line->arrived)) {
		tofu_perf_fail(w->client, TOFU_OK, line, "a wrong answer at the end");
	} else if (line->arrived.count != w->client->count || line->arrived.wrong != 0) {
		(void)snprintf(what, sizeof what,
		               "%" PRIu64 " of %" PRIu64 " messages arrived, %" PRIu64 " of them wrong",
		               line->arrived.count, w->client->count, line->arrived.wrong);
		tofu_perf_fail(w->client, TOFU_OK, line, what);
	} else {
		w->busy--;
	}
}

static void peer(struct perf_worker *w, struct perf_line *line, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->opcode == TOFU_RESPONSE && !w->client->one_way)
		answered(w, line, msg, h->id);
	else if (h->opcode == TOFU_RESPONSE && tofu_perf_kind(h->id) == PERF_END)
		arrived(w, line, msg);
	else
		tofu_perf_fail(w->client, TOFU_OK, line, "a message that nobody asked for");
}

static void notice(struct perf_worker *w, struct perf_line *line, const struct tofu_header *h)
{
	if (h->status == TOFU_SEND_READY)
		tofu_perf_make_ready(w, line);
	else
		tofu_perf_fail(w->client, TOFU_OK, line, "the connection was closed");
}

const struct perf_play tofu_perf_flow = { tofu_perf_make_ready, go_on, peer, notice };

bool tofu_perf_flow_arrived(struct perf_client *c, uint32_t lines, double *seconds)
{
	uint64_t first_ns = UINT64_MAX, last_ns = 0;

	for (uint32_t i = 1; i <= lines; i++) {
		const struct perf_arrived *a = &c->lines[i].arrived;

		first_ns = a->first_ns < first_ns ? a->first_ns : first_ns;
		last_ns = a->last_ns > last_ns ? a->last_ns : last_ns;
	}
	*seconds = last_ns > first_ns ? (double)(last_ns - first_ns) / 1e9 : 0;
	return !tofu_perf_failed(c);
}
