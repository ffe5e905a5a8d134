/* SPDX-License-Identifier: MIT */

/*
 * Connections that come and go. A life: connect, hello, a request and its answer, bye, closed; then the next begins on
 * the same line, with a new channel. The time of each is taken, from the connect to channel_closed.
 */

#include "perf.h"

#include "host.h"

static void live(struct perf_worker *w, struct perf_line *line)
{
	line->started_ns = (uint64_t)tofu_host_now_ns();
	(void)tofu_perf_start_connecting(w, line);
}

static void send(struct perf_worker *w, struct perf_line *line, tofu_msg *msg)
{
	line->waiting = msg;
	if (msg != NULL && !tofu_perf_post(w, line))
		tofu_perf_fail(w->client, TOFU_OK, line, "an empty queue is full");
}

static void hello(struct perf_worker *w, struct perf_line *line)
{
	tofu_msg *msg = tofu_perf_message(w, line, TOFU_REQUEST, tofu_perf_id(PERF_DATA, line->done));

	line->state = PERF_LINE_OPEN;
	if (msg != NULL && tofu_perf_fill(msg, line->done, w->client->options->size) != TOFU_OK) {
		tofu_perf_fail(w->client, TOFU_ALLOCATION_FAILED, line, "cannot make a message");
		tofu_msg_put(&msg);
	}
	send(w, line, msg);
}

static void leave(struct perf_worker *w, struct perf_line *line)
{
	line->state = PERF_LINE_LEAVING;
	send(w, line, tofu_perf_message(w, line, TOFU_BYE_REQUEST, 0));
}

static void closed(struct perf_worker *w, struct perf_line *line)
{
	w->client->line_of[line->channel] = NULL;
	line->state = PERF_LINE_NEW;
	tofu_histogram_add(&w->times, (uint64_t)tofu_host_now_ns() - line->started_ns);
	tofu_perf_progress(w, 1);
	if (++line->done == w->client->count)
		w->busy--;
	else
		live(w, line);
}

static bool is_answer(const struct perf_worker *w, const struct perf_line *line, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	return h->opcode == TOFU_RESPONSE && h->id == tofu_perf_id(PERF_DATA, line->done) &&
	       tofu_perf_is_filled(msg, line->done, w->client->options->size);
}

static void peer(struct perf_worker *w, struct perf_line *line, tofu_msg *msg)
{
	unsigned opcode = tofu_msg_header(msg)->opcode;

	if (line->state == PERF_LINE_CONNECTING && opcode == TOFU_HELLO_RESPONSE)
		hello(w, line);
	else if (line->state == PERF_LINE_OPEN && is_answer(w, line, msg))
		leave(w, line);
	else if (line->state != PERF_LINE_LEAVING || opcode != TOFU_BYE_RESPONSE)
		tofu_perf_fail(w->client, TOFU_OK, line, "a wrong answer");
}

static void notice(struct perf_worker *w, struct perf_line *line, const struct tofu_header *h)
{
	if (h->opcode == TOFU_HELLO_RESPONSE)
		tofu_perf_unreachable(w->client, (enum tofu_status)h->status);
	else if (h->status != TOFU_CHANNEL_CLOSED)
		tofu_perf_fail(w->client, (enum tofu_status)h->status, line, "something unexpected");
	else if (line->state == PERF_LINE_LEAVING)
		closed(w, line);
	else
		tofu_perf_fail(w->client, TOFU_OK, line, "the connection was closed");
}

const struct perf_play tofu_perf_churn = { live, NULL, peer, notice };
