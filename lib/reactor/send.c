/* SPDX-License-Identifier: MIT */

/*
 * Sending: as many messages as fit go into one system call. What is small is copied into the staging buffer, one piece
 * after the other; what is big is sent from where it lies. A frame is made anew from its message whenever it is (still) to be
 * sent, so all there is to remember is how many bytes of the first one are out. A message leaves the queue when its last
 * byte has been taken by the system, and only then.
 */

#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"

enum {
	PIECES = 64,        /* of one system call; any system takes as many */
	BY_REFERENCE = 1024 /* up to here a copy is cheaper than a piece of its own */
};

struct gather {
	struct tofu_iov iov[PIECES];
	size_t count;
	size_t bytes;
	unsigned char *staging;
	size_t staged;
	bool copying; /* the last piece is the end of what is staged */
};

static void refer(struct gather *g, const void *data, size_t len)
{
	if (len == 0)
		return;
	g->iov[g->count++] = (struct tofu_iov){ .base = (void *)(uintptr_t)data, .len = len };
	g->bytes += len;
	g->copying = false;
}

/* Room for a copy in the staging buffer: it prolongs the piece before it if that is such a copy, too. */
static unsigned char *room(struct gather *g, size_t len)
{
	unsigned char *to = g->staging + g->staged;

	g->staged += len;
	if (g->copying) {
		g->iov[g->count - 1].len += len;
		g->bytes += len;
	} else {
		refer(g, to, len);
		g->copying = true;
	}
	return to;
}

static void piece(struct gather *g, const void *data, size_t len)
{
	if (len > BY_REFERENCE) {
		refer(g, data, len);
	} else if (len > 0) {
		memcpy(room(g, len), data, len);
	}
}

static bool has_room(const struct gather *g)
{
	return g->count + 3 <= PIECES && g->staged + TOFU_WIRE_HEADER + 2 * BY_REFERENCE <= TOFU_STAGING &&
	       g->bytes < TOFU_BUDGET;
}

static void gather_frame(struct gather *g, const struct tofu_msg *m)
{
	struct tofu_frame frame = {
		.header = m->header,
		.headers_len = (uint16_t)m->headers_len,
		.body_len = (uint16_t)m->body_len,
	};

	tofu_wire_encode(&frame, room(g, TOFU_WIRE_HEADER));
	piece(g, tofu_msg_headers_data(m), m->headers_len);
	piece(g, tofu_msg_body_data(m), m->body_len);
}

/* What is out already is not sent again. */
static void skip(struct gather *g, size_t sent)
{
	size_t at = 0;

	g->bytes -= sent;
	while (sent >= g->iov[at].len)
		sent -= g->iov[at++].len;
	g->iov[at].base = (unsigned char *)g->iov[at].base + sent;
	g->iov[at].len -= sent;
	g->count -= at;
	memmove(g->iov, g->iov + at, g->count * sizeof g->iov[0]);
}

static void gather_frames(struct gather *g, unsigned char *staging, const struct tofu_chan *c)
{
	g->staging = staging;
	g->count = g->bytes = g->staged = 0;
	g->copying = false;
	for (const struct tofu_msg *m = c->unsent.head; m != NULL && has_room(g); m = m->next)
		gather_frame(g, m);
	skip(g, c->sent);
}

void tofu_send_fin(struct tofu_reactor *r, struct tofu_chan *c)
{
	unsigned want = TOFU_WRITABLE;
	enum tofu_status status;

	if (c->fin_sent || c->state != TOFU_CHAN_LINGERING || !tofu_session_may_shut_down(&c->session))
		return;
	status = c->transport->shutdown(c->transport, &c->link, &want);
	c->send_want = tofu_chan_again(r, c, status, &want) ? (uint8_t)want : 0;
	if (c->send_want != 0)
		return;
	c->fin_sent = true;
	if (status != TOFU_OK) /* the peer is gone already; nothing of ours is left to lose */
		tofu_chan_close(r, c, TOFU_CHANNEL_CLOSED);
}

static void look_later(struct tofu_reactor *r, struct tofu_chan *c)
{
	tofu_timer_start(r, c, TOFU_TIMER_ANSWER, r->now_ns + c->transport->look_ms * TOFU_NS_PER_MS);
}

/* The time is counted in looks, not by the clock: while this process is stopped, the peer is not silent. */
void tofu_send_look(struct tofu_reactor *r, struct tofu_chan *c)
{
	const struct tofu_transport *t = c->transport;
	uint64_t waited_ms;
	int settled = 1;
	enum tofu_status status;

	if (!tofu_chan_rules[c->state].talks)
		return;
	if (c->looks < UINT8_MAX)
		c->looks++;
	waited_ms = (uint64_t)c->looks * t->look_ms;
	status = t->look(t, &c->link, waited_ms < UINT32_MAX ? (uint32_t)waited_ms : UINT32_MAX, &settled);
	if (status != TOFU_OK) {
		tofu_chan_complain(r, c, "does not answer any more");
		tofu_chan_abort(r, c, tofu_chan_reason(status));
	} else if (settled) {
		c->looks = 0;
	} else {
		look_later(r, c);
	}
}

/* A message is out. It goes back to the pool with the turn, except for a hello, which waits for its answer. */
static void release(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	if (m->header.opcode == TOFU_HELLO_REQUEST && (c->session.heard & TOFU_SPOKE) == 0) {
		tofu_chan_keep_hello(r, c, m);
		return;
	}
	m->next = r->sent;
	r->sent = m;
}

static void account(struct tofu_reactor *r, struct tofu_chan *c, size_t done)
{
	struct tofu_verdict verdict = { .next = TOFU_GO_ON };
	bool talks = tofu_session_is_open(&c->session);
	bool asks = (c->session.said & TOFU_ASKED) == 0;
	uint32_t messages = 0;
	uint32_t bytes = 0;
	size_t out = c->sent + done;

	while (c->unsent.head != NULL && out >= tofu_msg_wire_size(c->unsent.head)) {
		struct tofu_msg *m = tofu_chan_unqueue(r, &c->unsent);
		uint32_t size = tofu_msg_wire_size(m);

		out -= size;
		bytes += size;
		messages++;
		if (!talks)
			verdict = tofu_session_wrote(&c->session, m->header.opcode);
		release(r, c, m);
	}
	c->sent = (uint32_t)out;
	tofu_chan_settle(r, c, messages, bytes);
	tofu_chan_sent(r, c, messages, done);
	c->pauses = 0;
	if (c->transport->look_ms > 0 && tofu_timers_deadline(&c->deadlines, TOFU_TIMER_ANSWER) == 0)
		look_later(r, c);
	if (talks)
		return;
	if ((c->session.queued & TOFU_ASKED) != 0 && asks) /* a bye has its time from when it is out */
		tofu_chan_start_timer(r, c, TOFU_TIMER_BYE);
	tofu_chan_follow(r, c, verdict);
}

/* The peer takes nothing any more, and may have sent something before, or go on to. */
static void part(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why)
{
	c->why = tofu_chan_reason(why);
	c->send_want = 0;
	c->reads_on = true;
	tofu_chan_follow(r, c, tofu_session_cut(&c->session, c->why));
	tofu_chan_release(r, c);
}

void tofu_send_now(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct gather g; /* what is in use of it is set below: all of it is a kibibyte */
	size_t budget = TOFU_BUDGET;

	while (tofu_chan_rules[c->state].talks && c->unsent.head != NULL && c->send_want == 0) {
		size_t done = 0;
		unsigned want = TOFU_WRITABLE;
		enum tofu_status status;

		if (budget == 0) {
			tofu_chan_touch(r, c); /* the others first */
			return;
		}
		gather_frames(&g, r->staging, c);
		status = c->transport->send(c->transport, &c->link, g.iov, g.count, &done, &want);
		tofu_count(&r->counters.sends, 1);
		if (status == TOFU_OK) {
			account(r, c, done);
			budget -= done < budget ? done : budget;
			if (done < g.bytes)
				c->send_want = want != 0 ? (uint8_t)want : TOFU_WRITABLE;
		} else if (tofu_chan_again(r, c, status, &want)) {
			c->send_want = (uint8_t)want;
		} else {
			part(r, c, status);
		}
	}
	if (c->state == TOFU_CHAN_LINGERING)
		tofu_send_fin(r, c);
}

/* What the session has to hear of. */
static TOFU_APART void queue_unusual(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	unsigned opcode = m->header.opcode;

	switch (tofu_session_posted(&c->session, opcode)) {
	case TOFU_ABORT:
		tofu_chan_settle(r, c, 1, tofu_msg_load(m));
		tofu_msg_put(&m);
		tofu_chan_abort(r, c, TOFU_CHANNEL_CLOSED);
		return;
	case TOFU_KEEP:
		tofu_chan_queue(r, &c->held, m);
		break;
	case TOFU_SEND:
		if (opcode == TOFU_BYE_RESPONSE)
			c->held_before = (uint32_t)c->held.count;
		tofu_chan_queue(r, &c->unsent, m);
		if (!tofu_opcode_is_regular(opcode) && tofu_chan_rules[c->state].talks)
			tofu_chan_bound(r, c); /* an answer to a bye is due from now on */
		tofu_chan_touch(r, c);
		break;
	}
	tofu_chan_release(r, c);
}

void tofu_send_queue(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	if (!tofu_session_sends_usual(&c->session, m->header.opcode)) {
		queue_unusual(r, c, m);
		return;
	}
	tofu_chan_queue(r, &c->unsent, m);
	tofu_chan_touch(r, c);
	tofu_chan_release(r, c);
}
