/* SPDX-License-Identifier: MIT */

/*
 * The states of a channel, and its end.
 *
 * Every way to die - a bye, an abort, a failure, a violation, a time-out, the end of its group - goes through end(): it
 * closes the link and seals the gate. Messages that were accepted but have not reached the reactor yet are awaited, which
 * takes no longer than it takes their posters to push them. Then farewell_if_due() gives back everything unsent, says
 * channel_closed, and lets the number go. The slot follows at the end of the turn, when the poller, too, is done with it.
 */

#include "reactor/chan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"
#include "reactor/legs.h"
#include "reactor/stranger.h"

#define TO(s) (1u << TOFU_CHAN_##s)

/* clang-format off */
const struct tofu_chan_rule tofu_chan_rules[TOFU_CHAN_STATES] = {
	/*                         name         next                                                      talks  hears  timer */
	[TOFU_CHAN_NEW]        = { "new",        TO(RESOLVING) | TO(ACCEPTED) | TO(CLOSING),              false, false, TOFU_TIMER_NONE },
	[TOFU_CHAN_RESOLVING]  = { "resolving",  TO(CONNECTING) | TO(LISTENING) | TO(CLOSING),            false, false, TOFU_TIMER_HANDSHAKE },
	[TOFU_CHAN_CONNECTING] = { "connecting", TO(OPEN) | TO(CLOSING),                                  false, false, TOFU_TIMER_HANDSHAKE },
	[TOFU_CHAN_LISTENING]  = { "listening",  TO(CLOSING),                                             false, false, TOFU_TIMER_NONE },
	[TOFU_CHAN_ACCEPTED]   = { "accepted",   TO(OPEN) | TO(CLOSING),                                  false, true,  TOFU_TIMER_HANDSHAKE },
	[TOFU_CHAN_OPEN]        = { "open",        TO(LEAVING) | TO(LINGERING) | TO(PARTED) | TO(CLOSING),  true,  true,  TOFU_TIMER_QUIET },
	[TOFU_CHAN_LEAVING]     = { "leaving",     TO(LINGERING) | TO(HALF_CLOSED) | TO(PARTED) | TO(CLOSING),
	                                                                                                  true,  true,  TOFU_TIMER_QUIET },
	[TOFU_CHAN_LINGERING]   = { "lingering",   TO(CLOSING),                                             false, true,  TOFU_TIMER_QUIET },
	[TOFU_CHAN_HALF_CLOSED] = { "half-closed", TO(CLOSING),                                             true,  false, TOFU_TIMER_NONE },
	[TOFU_CHAN_PARTED]      = { "parted",      TO(CLOSING),                                             false, true,  TOFU_TIMER_QUIET },
	[TOFU_CHAN_CLOSING]    = { "closing",    TO(CLOSED),                                              false, false, TOFU_TIMER_NONE },
	[TOFU_CHAN_CLOSED]     = { "closed",     0,                                                       false, false, TOFU_TIMER_NONE },
};
/* clang-format on */

void tofu_chan_start_timer(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind)
{
	int64_t ns = kind == TOFU_TIMER_QUIET && tofu_chan_lingers(c->state) ? TOFU_LINGER_MS * TOFU_NS_PER_MS
	                                                                     : r->timer_ns[kind];

	if (ns != 0)
		tofu_timer_start(r, c, kind, r->now_ns + ns);
}

/* With each one less there is more for the others. */
static void count_connection(struct tofu_reactor *r, bool was, bool is)
{
	if (is && !was)
		r->connections++;
	if (was && !is) {
		r->connections--;
		if (r->queued_at != SIZE_MAX)
			tofu_engine_refilled(r->engine);
	}
}

void tofu_chan_move(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_chan_state next)
{
	enum tofu_chan_state from = c->state;

	tofu_on_reactor(r);
#ifdef TOFU_DEBUG
	assert((tofu_chan_rules[from].next & 1u << next) != 0);
#endif
	c->state = next;
	c->pauses = c->reprieves = 0;
	if (from != TOFU_CHAN_NEW)
		tofu_count(&r->counters.channels[from], (uint64_t)-1);
	tofu_count(&r->counters.channels[next], 1);
	count_connection(r, tofu_chan_rules[from].hears, tofu_chan_rules[next].hears);
	if (tofu_chan_rules[next].timer == tofu_chan_rules[from].timer && !tofu_chan_lingers(next))
		return;
	if (tofu_chan_rules[from].timer != TOFU_TIMER_NONE)
		tofu_timer_stop(r, c, tofu_chan_rules[from].timer);
	if (tofu_chan_rules[next].timer != TOFU_TIMER_NONE)
		tofu_chan_start_timer(r, c, tofu_chan_rules[next].timer);
}

void tofu_chan_touch(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (!tofu_list_linked(&c->dirty))
		tofu_list_append(&r->dirty, &c->dirty);
}

/* When a connection has been silent for too long: both ways, or the peer alone. INT64_MAX: never. */
static int64_t quiet_deadline(const struct tofu_reactor *r, const struct tofu_chan *c)
{
	int64_t last_ns = c->sent_ns > c->received_ns ? c->sent_ns : c->received_ns;
	int64_t idle_ns = r->idle_ns != 0 ? last_ns + r->idle_ns : INT64_MAX;
	int64_t heard_ns = r->receive_ns != 0 ? c->received_ns + r->receive_ns : INT64_MAX;

	return idle_ns < heard_ns ? idle_ns : heard_ns;
}

/* A deadline that is there is not brought forward: it was put off while we did not read, which was not the peer's silence. */
static void put_off_quiet(struct tofu_reactor *r, struct tofu_chan *c)
{
	int64_t deadline_ns = quiet_deadline(r, c);

	if (deadline_ns > tofu_timers_deadline(&c->deadlines, TOFU_TIMER_QUIET))
		tofu_timer_start(r, c, TOFU_TIMER_QUIET, deadline_ns);
}

static void moved(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->state == TOFU_CHAN_PARTED) /* a peer that goes on sending is read on */
		tofu_chan_start_timer(r, c, TOFU_TIMER_QUIET);
	else if (tofu_chan_rules[c->state].timer == TOFU_TIMER_QUIET && c->state != TOFU_CHAN_LINGERING &&
	         r->timer_ns[TOFU_TIMER_QUIET] != 0)
		put_off_quiet(r, c);
}

void tofu_chan_sent(struct tofu_reactor *r, struct tofu_chan *c, uint32_t messages, size_t bytes)
{
	tofu_count(&r->counters.messages_sent, messages);
	tofu_count(&r->counters.bytes_sent, bytes);
	c->messages_sent += messages;
	c->bytes_sent += bytes;
	c->sent_ns = r->now_ns;
	moved(r, c);
}

void tofu_chan_received(struct tofu_reactor *r, struct tofu_chan *c, size_t bytes)
{
	tofu_count(&r->counters.bytes_received, bytes);
	c->bytes_received += bytes;
	c->received_ns = r->now_ns;
	moved(r, c);
}

void tofu_chan_opened(struct tofu_reactor *r, struct tofu_chan *c)
{
	c->opened_ns = c->sent_ns = c->received_ns = r->now_ns;
}

static void run_timer(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind, bool runs)
{
	if (!runs)
		tofu_timer_stop(r, c, kind);
	else if (tofu_timers_deadline(&c->deadlines, kind) == 0)
		tofu_chan_start_timer(r, c, kind);
}

void tofu_chan_bound(struct tofu_reactor *r, struct tofu_chan *c)
{
	enum tofu_due due = tofu_session_due(&c->session);

	run_timer(r, c, TOFU_TIMER_HANDSHAKE, due == TOFU_HELLO_DUE);
	run_timer(r, c, TOFU_TIMER_BYE, due == TOFU_BYE_DUE);
}

static enum tofu_chan_state state_after(const struct tofu_chan *c, enum tofu_next next)
{
	switch (next) {
	case TOFU_GO_ON:
		return c->state == TOFU_CHAN_OPEN && !tofu_session_is_open(&c->session) ? TOFU_CHAN_LEAVING : c->state;
	case TOFU_AWAIT_END:
	case TOFU_SHUT_DOWN:
		return TOFU_CHAN_LINGERING;
	case TOFU_READ_ON:
		return TOFU_CHAN_PARTED;
	case TOFU_WRITE_ON:
		return TOFU_CHAN_HALF_CLOSED;
	case TOFU_END:
		return TOFU_CHAN_CLOSING;
	}
	return c->state;
}

void tofu_chan_follow(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_verdict v)
{
	enum tofu_chan_state next = state_after(c, v.next);

	if (next == TOFU_CHAN_CLOSING) {
		tofu_chan_close(r, c, v.reason);
		return;
	}
	if (next != c->state)
		tofu_chan_move(r, c, next);
	tofu_chan_bound(r, c);
	tofu_chan_touch(r, c); /* what it wants of the poller may be another thing now; our side may be to shut down */
}

static void pause_for(struct tofu_reactor *r, struct tofu_chan *c)
{
	int64_t pause_ms = TOFU_PAUSE_MS << c->pauses;

	if (tofu_timers_deadline(&c->deadlines, TOFU_TIMER_RETRY) != 0)
		return;
	if (pause_ms < TOFU_RETRY_MS)
		c->pauses++;
	else
		pause_ms = TOFU_RETRY_MS;
	tofu_timer_start(r, c, TOFU_TIMER_RETRY, r->now_ns + pause_ms * TOFU_NS_PER_MS);
}

bool tofu_chan_again(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status status, unsigned *want)
{
	bool shortage = status == TOFU_ALLOCATION_FAILED || status == TOFU_LIMIT_REACHED;

	if (status != TOFU_WOULD_BLOCK && !shortage)
		return false;
	if (shortage || *want == 0) {
		*want = TOFU_AFTER_PAUSE;
		pause_for(r, c);
	}
	return true;
}

static unsigned interest(const struct tofu_chan *c)
{
	unsigned want = 0;

	if (c->state == TOFU_CHAN_LISTENING)
		return c->accepting == TOFU_ACCEPTS_NOTHING ? 0 : TOFU_POLL_ACCEPT;
	if (c->state == TOFU_CHAN_CONNECTING)
		return tofu_connect_interest(c->receive_want);
	if (tofu_chan_rules[c->state].hears && !tofu_list_linked(&c->starving))
		want |= c->receive_want;
	want |= c->send_want;
	return ((want & TOFU_READABLE) != 0 ? TOFU_POLL_READ : 0u) |
	       ((want & TOFU_WRITABLE) != 0 ? TOFU_POLL_WRITE : 0u);
}

enum tofu_status tofu_chan_watch(struct tofu_reactor *r, struct tofu_chan *c, uint16_t number)
{
	enum tofu_status status = tofu_poller_add(r->poller, &c->poll, c->link.handle);

	c->watched = status == TOFU_OK;
	if (!c->watched && r->poller->advice != NULL && tofu_reactor_may_complain(r))
		tofu_reactor_log(r, TOFU_LOG_ERROR, "channel %u: %s", number, r->poller->advice);
	return status;
}

void tofu_chan_declare(struct tofu_reactor *r, struct tofu_chan *c)
{
	enum tofu_status status;

	tofu_on_reactor(r);
	if (!c->watched)
		return;
	status = tofu_poller_want(r->poller, &c->poll, interest(c));
	if (status == TOFU_OK && c->state == TOFU_CHAN_LISTENING && c->legs != NULL)
		status = tofu_legs_want(r, c, interest(c));
	if (status != TOFU_OK)
		tofu_chan_close(r, c, status);
}

void tofu_chan_drop_own_link(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how)
{
	if (c->watched)
		tofu_poller_remove(r->poller, &c->poll);
	c->watched = false;
	if (c->link.handle == TOFU_NO_SOCKET && c->link.state == NULL)
		return;
	c->transport->close(c->transport, &c->link, how);
	c->link = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	tofu_dial_resume_all(r);
}

void tofu_chan_drop_link(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how)
{
	if (!c->connected)
		tofu_legs_drop(r, c, how);
	tofu_chan_drop_own_link(r, c, how);
}

static void owes_ready(struct tofu_reactor *r, struct tofu_chan *c, bool owes)
{
	r->owing += owes;
	r->owing -= c->owes_ready;
	c->owes_ready = owes;
}

void tofu_chan_send_ready(struct tofu_reactor *r, struct tofu_chan *c)
{
	owes_ready(r, c,
	           !tofu_reactor_notify(r, tofu_chan_group(c), c->number, c->farewell->header.id, TOFU_SEND_READY));
	if (c->owes_ready)
		tofu_reactor_retry_soon(r);
}

void tofu_chan_settle(struct tofu_reactor *r, struct tofu_chan *c, uint32_t messages, uint32_t bytes)
{
	struct tofu_group *g = tofu_chan_group(c);

	if (messages == 0)
		return;
	if (tofu_gate_leave(&c->gate, messages, bytes, &r->engine->bounds))
		tofu_chan_send_ready(r, c);
	g->batch_settled += messages;
	if (!tofu_list_linked(&g->touched))
		tofu_list_append(&r->touched, &g->touched);
}

/* The answer to a wrong address says what is wrong with it, if there is room and memory for that. */
static void answer(const struct tofu_reactor *r, const struct tofu_chan *c, struct tofu_msg *m, enum tofu_opcode opcode)
{
	const size_t around = sizeof TOFU_DETAIL_HEADER + TOFU_TEXT_HEADER_EXTRA;
	char address[TOFU_ADDRESS_TOO_LONG + 1];
	const char *fault = c->why == TOFU_INVALID_ADDRESS ? tofu_dial_fault(r, c, m, address) : NULL;

	m->header.opcode = (uint8_t)opcode;
	(void)tofu_msg_headers_remove(m, TOFU_DETAIL_HEADER);
	if (fault != NULL && m->headers_len + around + strlen(fault) <= TOFU_HEADERS_MAX)
		(void)tofu_msg_headers_add(m, TOFU_DETAIL_HEADER, fault);
}

void tofu_chan_give_back(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m, enum tofu_status status)
{
	uint32_t bytes = tofu_msg_load(m); /* as it was posted */

	/* Whoever asked for a channel gets an answer, not the question. */
	if (m->header.opcode == TOFU_HELLO_REQUEST)
		answer(r, c, m, TOFU_HELLO_RESPONSE);
	if (m->header.opcode == TOFU_WELCOME_REQUEST)
		answer(r, c, m, TOFU_WELCOME_RESPONSE);
	m->header.channel = c->number;
	m->header.origin = TOFU_ORIGIN_ENGINE;
	m->header.status = (uint8_t)status;
	tofu_count(&r->counters.messages_returned, 1);
	tofu_reactor_give(r, tofu_chan_group(c), m);
	tofu_chan_settle(r, c, 1, bytes);
}

void tofu_chan_queue(struct tofu_reactor *r, struct tofu_msg_queue *q, struct tofu_msg *m)
{
	tofu_msg_queue_push(q, m);
	r->queued++;
	if (r->queued >= r->queued_at) /* what waits to be sent does not count against the pool */
		tofu_engine_refilled(r->engine);
}

struct tofu_msg *tofu_chan_unqueue(struct tofu_reactor *r, struct tofu_msg_queue *q)
{
	struct tofu_msg *m = tofu_msg_queue_pop(q);

	if (m != NULL)
		r->queued--;
	return m;
}

void tofu_chan_keep_hello(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	c->hello = m;
	r->queued++; /* as one that waits to be sent: it must not be the message that its answer waits for */
}

struct tofu_msg *tofu_chan_take_hello(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_msg *m = c->session.called ? NULL : c->hello;

	if (m != NULL)
		c->hello = NULL;
	if (m != NULL)
		r->queued--;
	return m;
}

static void give_back_up_to(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg_queue *q, size_t left)
{
	while (q->count > left)
		tofu_chan_give_back(r, c, tofu_chan_unqueue(r, q), c->why);
}

/* In the order in which they were posted: a ByeResponse is sent before what was posted behind a ByeRequest, and is held. */
static void return_unsent(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->held_before > 0) {
		give_back_up_to(r, c, &c->unsent, 1);
		give_back_up_to(r, c, &c->held, c->held.count - c->held_before);
		c->held_before = 0;
	}
	give_back_up_to(r, c, &c->unsent, 0);
	give_back_up_to(r, c, &c->held, 0);
	c->sent = 0;
}

/* A HelloRequest was written, and nothing answered it: the engine does, so that nobody waits for an answer for ever. */
static void answer_hello(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_msg *m = tofu_chan_take_hello(r, c);

	if (m == NULL)
		return;
	answer(r, c, m, TOFU_HELLO_RESPONSE);
	m->header.channel = c->number;
	m->header.origin = TOFU_ORIGIN_ENGINE;
	m->header.status = (uint8_t)c->why;
	tofu_reactor_give(r, tofu_chan_group(c), m);
}

void tofu_chan_release(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->state == TOFU_CHAN_PARTED && tofu_list_linked(&c->starving))
		return_unsent(r, c);
}

/* Has the application ever heard of it? Not of a connection that has not said hello. */
static bool known(const struct tofu_chan *c)
{
	return tofu_gate_number(atomic_load(&c->gate)) == c->number;
}

/* False: there is nobody to say it to. */
static bool say_closed(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_msg *m = c->farewell;

	c->farewell = NULL;
	if (!known(c) || tofu_chan_group(c)->mute) {
		tofu_msg_put(&m);
		return false;
	}
	m->header = (struct tofu_header){ .id = m->header.id,
		                          .channel = c->number,
		                          .opcode = TOFU_SIGNAL,
		                          .origin = TOFU_ORIGIN_ENGINE,
		                          .status = TOFU_CHANNEL_CLOSED,
		                          .reason = (uint8_t)c->why };
	/* Fits a notice's small store: this allocates nothing and cannot fail. */
	(void)tofu_msg_headers_add(m, "~reason", tofu_status_name(c->why));
	tofu_reactor_give(r, tofu_chan_group(c), m);
	return true;
}

/* The last of a channel that its application sees, once nothing more can be on its way to it. */
static void farewell_if_due(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_group *g = tofu_chan_group(c);
	size_t here = c->unsent.count + c->held.count + (tofu_chan_welcome(c) != NULL);
	bool said;

	if (tofu_gate_messages(atomic_load(&c->gate)) > here)
		return;
	if (tofu_chan_welcome(c) != NULL) {
		tofu_chan_give_back(r, c, c->welcome, c->why);
		c->welcome = NULL;
	}
	answer_hello(r, c);
	return_unsent(r, c);
	said = say_closed(r, c);
	tofu_registry_forget(&r->engine->registry, c, known(c));
	if (!said)
		tofu_engine_release_number(r->engine, c->number);
	tofu_gate_shut(&c->gate);
	tofu_dial_resume_all(r);
	tofu_list_remove(&c->of_group);
	tofu_chan_move(r, c, TOFU_CHAN_CLOSED);
	tofu_list_append(&r->graves, &c->grave);
	tofu_reactor_group_ended(r, g);
}

/* Whoever has sent a frame is a peer, whatever comes next. */
static const char *looks_like(const struct tofu_chan *c)
{
	return (c->session.heard & TOFU_SPOKE) == 0 ? tofu_stranger(c->head, c->head_len) : NULL;
}

/* If there is no memory it is asked again. */
static void note_peer(struct tofu_reactor *r, const struct tofu_chan *c, const char *peer)
{
	size_t size = strlen(peer) + 1;
	char *text = malloc(size);

	if (text != NULL)
		memcpy(text, peer, size);
	r->peer_texts[c->number] = text;
}

void tofu_chan_forget_peer(struct tofu_reactor *r, const struct tofu_chan *c)
{
	if (r->peer_texts == NULL)
		return;
	free(r->peer_texts[c->number]);
	r->peer_texts[c->number] = NULL;
}

static void peer_of(const struct tofu_transport *t, const struct tofu_link *link, char *out, size_t capacity)
{
	if (t->peer_address == NULL || t->peer_address(t, link, out, capacity) != TOFU_OK)
		(void)snprintf(out, capacity, "unknown");
	tofu_log_clean(out); /* the path of a Unix socket is what its process likes */
}

void tofu_chan_peer(const struct tofu_reactor *r, const struct tofu_chan *c, char *out, size_t capacity)
{
	const char *noted = r->peer_texts != NULL ? r->peer_texts[c->number] : NULL;

	if (noted != NULL)
		(void)snprintf(out, capacity, "%s", noted);
	else
		peer_of(c->transport, &c->link, out, capacity);
}

void tofu_chan_tell(struct tofu_reactor *r, const struct tofu_chan *c, const char *what)
{
	char local[TOFU_ADDRESS_MAX + 1];
	char peer[TOFU_ADDRESS_MAX + 1];

	if (r->peer_texts == NULL)
		return;
	if (c->transport->local_address(c->transport, &c->link, local, sizeof local) != TOFU_OK)
		(void)snprintf(local, sizeof local, "unknown");
	tofu_chan_peer(r, c, peer, sizeof peer);
	if (r->peer_texts[c->number] == NULL)
		note_peer(r, c, peer);
	tofu_reactor_log(r, TOFU_LOG_INFO, "channel %u: %s %s, here %s", c->number, what, peer, local);
}

/* link: the channel's, or one that it has beside that while it connects. */
static void complain(struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_link *link, const char *what)
{
	const char *stranger = looks_like(c);
	char peer[TOFU_ADDRESS_MAX + 1];

	if (!tofu_reactor_may_complain(r))
		return;
	if (link == &c->link)
		tofu_chan_peer(r, c, peer, sizeof peer);
	else
		peer_of(c->transport, link, peer, sizeof peer);
	tofu_reactor_log(r, TOFU_LOG_WARNING, "channel %u, %s, peer %s: %s%s%s%s", c->number,
	                 tofu_chan_rules[c->state].name, peer, what, stranger != NULL ? "; it looks like " : "",
	                 stranger != NULL ? stranger : "", stranger != NULL ? ", this is no tofu peer" : "");
}

void tofu_chan_complain(struct tofu_reactor *r, const struct tofu_chan *c, const char *format, ...)
{
	char what[TOFU_LOG_LINE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof what, format, args);
	va_end(args);
	complain(r, c, &c->link, what);
}

void tofu_chan_explain(struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_link *link)
{
	bool is_open = link->handle != TOFU_NO_SOCKET || link->state != NULL;
	const char *text = NULL;

	if (is_open && c->transport->explain != NULL)
		text = c->transport->explain(c->transport, link);
	if (text != NULL)
		complain(r, c, link, text);
}

/* Some say little and hang up: a TLS alert is shorter than the header of a frame. */
static void tell_of_stranger(struct tofu_reactor *r, const struct tofu_chan *c)
{
	if (c->head_len > 0 && c->head_len < TOFU_WIRE_HEADER && looks_like(c) != NULL)
		tofu_chan_complain(r, c, "it ends within the header of a frame");
}

/* Of a connection that the application knew. */
static void tell_of_end(struct tofu_reactor *r, struct tofu_chan *c)
{
	char what[64];

	if (c->opened_ns == 0 || c->state == TOFU_CHAN_ACCEPTED || c->link.handle == TOFU_NO_SOCKET ||
	    c->state == TOFU_CHAN_LISTENING)
		return;
	(void)snprintf(what, sizeof what, "closed, %s:", tofu_status_name(c->why));
	tofu_chan_tell(r, c, what);
}

static void end(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why, enum tofu_close how)
{
	tofu_on_reactor(r);
	if (tofu_chan_gone(c))
		return;
	c->why = tofu_chan_reason(why);
	tell_of_stranger(r, c);
	tofu_chan_explain(r, c, &c->link);
	tell_of_end(r, c);
	tofu_chan_forget_peer(r, c);
	tofu_receive_forget(r, c);
	tofu_admission_leave(r, c);
	tofu_chan_drop_link(r, c, how);
	tofu_dial_stop(r, c);
	tofu_list_remove(&c->dirty);
	owes_ready(r, c, false);
	tofu_chan_move(r, c, TOFU_CHAN_CLOSING);
	tofu_timers_leave(&r->timers, &c->deadlines);
	tofu_gate_seal(&c->gate);
	farewell_if_due(r, c);
}

void tofu_chan_close(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why)
{
	end(r, c, why, TOFU_CLOSE_ORDERLY);
}

void tofu_chan_abort(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why)
{
	end(r, c, why, TOFU_CLOSE_ABORT);
}

void tofu_chan_late(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	if (m->header.opcode == TOFU_BYE_SIGNAL) {
		tofu_chan_settle(r, c, 1, tofu_msg_load(m));
		tofu_msg_put(&m);
	} else {
		tofu_chan_queue(r, &c->held, m);
	}
	farewell_if_due(r, c);
}
