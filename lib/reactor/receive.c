/* SPDX-License-Identifier: MIT */

/*
 * Receiving: a block at a time is read into the reactor's buffer and cut into messages of the pool. A frame that is not
 * whole yet waits in its channel: up to sixteen bytes of its header, or a message that is partly filled, whose rest is then
 * read straight into it. Behind a long rest just the next header is read, for what follows is likely as long: so big bodies
 * go from the system into their messages, and are not copied on the way.
 *
 * When the pool is empty the channel asks for nothing until there is something in it again. What had been read by then
 * is kept in the channel, so that nothing is lost. The same happens, with a look every now and then, when there is no memory.
 * When the pool is nearly empty little is read at a time, or each of many peers that flood us would get a whole block filled
 * for one message; and what all channels keep together has a bound.
 *
 * The peer is not trusted: each header is judged before anything of its frame is taken.
 */

#include <stdlib.h>
#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"

/* What became of a piece of the stream. */
enum cut {
	CUT_ALL,  /* used up */
	CUT_WAIT, /* no message for the next frame; the channel starves */
	CUT_ENDED /* nothing more is heard of the peer */
};

/* Bytes of a stream that are still to be cut. */
struct piece {
	const unsigned char *at;
	size_t left;
};

struct tofu_block *tofu_block_new(size_t size)
{
	struct tofu_block *b = malloc(sizeof *b + size);

	if (b == NULL)
		return NULL;
	b->size = (uint32_t)size;
	b->at = b->len = 0;
	return b;
}

static struct tofu_block *take_block(struct tofu_reactor *r)
{
	struct tofu_block *b = r->block;

	if (b == NULL)
		return tofu_block_new(TOFU_BLOCK);
	r->block = NULL;
	b->at = b->len = 0;
	return b;
}

static void give_block(struct tofu_reactor *r, struct tofu_block *b)
{
	if (b != NULL && r->block == NULL && b->size == TOFU_BLOCK)
		r->block = b;
	else
		free(b);
}

/*
 * What is left of it waits in the channel, in no more than twice the memory that it needs. No memory to copy it to: then it
 * stays where it is.
 */
static void keep(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_block *b)
{
	size_t left = b->len - b->at;
	struct tofu_block *fitting = NULL;

	if (left > 0 && (b->size == TOFU_BLOCK || left < b->size / 2))
		fitting = tofu_block_new(left);
	if (fitting != NULL) {
		memcpy(fitting->bytes, b->bytes + b->at, left);
		fitting->len = (uint32_t)left;
	}
	if (fitting != NULL || left == 0) {
		give_block(r, b);
		b = fitting;
	}
	c->kept = b;
	tofu_count(&r->counters.bytes_kept, b != NULL ? b->size : 0);
}

static struct tofu_block *take_kept(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_block *b = c->kept;

	c->kept = NULL;
	tofu_count(&r->counters.bytes_kept, (uint64_t)0 - (b != NULL ? b->size : 0));
	return b;
}

/*
 * Out of the pool: the group is told once, until a message reaches it again, and the put that ends the drought wakes
 * us. Out of its share (TOFU_WOULD_BLOCK): that is its own affair. Out of memory: we look again.
 */
static void starve(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why)
{
	struct tofu_group *g = tofu_chan_group(c);

	if (!tofu_list_linked(&c->starving))
		tofu_list_append(&r->starving, &c->starving);
	tofu_chan_touch(r, c);
	tofu_chan_release(r, c);
	if (why == TOFU_WOULD_BLOCK)
		return;
	if (why != TOFU_POOL_EMPTY) {
		tofu_reactor_retry_soon(r);
		return;
	}
	r->drought = true;
	r->queued_at = 0;
	if (g->drought)
		return;
	g->drought = tofu_reactor_notify(r, g, 0, 0, TOFU_POOL_EMPTY);
	if (!g->drought) /* no memory: when it starves again, it is said again */
		tofu_reactor_retry_soon(r);
}

/* A caller is to be known by its hello, also while the pool is empty: the header has its place in the channel. */
static bool needs_message(const struct tofu_chan *c)
{
	bool has_said_hello = c->state != TOFU_CHAN_ACCEPTED || c->head_len == TOFU_WIRE_HEADER;

	return c->partial == NULL && has_said_hello;
}

void tofu_receive_spare(struct tofu_reactor *r, struct tofu_chan *c)
{
	bool hears = tofu_chan_rules[c->state].hears;

	if (r->drought && hears && needs_message(c) && !tofu_list_linked(&c->starving))
		starve(r, c, TOFU_POOL_EMPTY);
}

void tofu_receive_forget(struct tofu_reactor *r, struct tofu_chan *c)
{
	tofu_list_remove(&c->starving);
	tofu_list_remove(&c->arriving);
	tofu_msg_put(&c->partial);
	give_block(r, take_kept(r, c));
	tofu_share_close(&c->share);
}

/* What it may never say, the codec knows; what it may say now, the session. */
static enum tofu_incoming judge(const struct tofu_chan *c, const struct tofu_frame *f)
{
	if (!tofu_wire_acceptable(f))
		return TOFU_REFUSE;
	if (tofu_session_usual(&c->session, f->header.opcode))
		return TOFU_DELIVER;
	return tofu_session_judge(&c->session, f->header.opcode);
}

static void refuse(struct tofu_reactor *r, struct tofu_chan *c, const struct tofu_frame *f)
{
	tofu_count(&r->counters.frames_refused, 1);
	tofu_chan_complain(r, c, "a frame that is not allowed: opcode %u, status %u", f->header.opcode,
	                   f->header.status);
	tofu_chan_close(r, c, TOFU_PROTOCOL_VIOLATION);
}

/* The first frame: it opens the channel of a caller, and answers a hello of ours. */
static void greeted(struct tofu_reactor *r, struct tofu_chan *c, const struct tofu_msg *m)
{
	struct tofu_msg *hello = tofu_chan_take_hello(r, c);

	if (hello != NULL) {
		hello->next = r->sent;
		r->sent = hello;
	}
	if (c->state == TOFU_CHAN_ACCEPTED) {
		c->farewell->header.id = m->header.id;
		tofu_gate_open(&c->gate, c->number, 0, 0);
		tofu_admission_heard(c);
		tofu_chan_opened(r, c);
		tofu_chan_move(r, c, TOFU_CHAN_OPEN);
		tofu_chan_tell(r, c, "accepted from");
	}
}

/* A frame is here whole. */
static void heard(struct tofu_reactor *r, struct tofu_chan *c, const struct tofu_msg *m)
{
	if (tofu_session_usual(&c->session, m->header.opcode))
		return;
	if ((c->session.heard & TOFU_SPOKE) == 0)
		greeted(r, c, m);
	tofu_chan_follow(r, c, tofu_session_heard(&c->session, m->header.opcode));
}

static void frame_done(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_msg *m = c->partial;

	c->partial = NULL;
	c->partial_len = 0;
	tofu_list_remove(&c->arriving);
	tofu_share_take(&c->share, m);
	heard(r, c, m);
	m->header.channel = c->number;
	tofu_count(&r->counters.messages_received, 1);
	c->messages_received++;
	tofu_chan_group(c)->drought = false;
	tofu_reactor_give(r, tofu_chan_group(c), m);
}

/*
 * Every connection may have one message, so one for each other one is kept for that; but never more than half of the
 * pool, or many that are idle would keep all others from it.
 */
static size_t reserved(const struct tofu_reactor *r)
{
	size_t half = r->engine->options.pool_initial / 2;
	size_t others = r->connections > 0 ? r->connections - 1 : 0;

	return others < half ? others : half;
}

/* What a channel may hold at least, when so many are left beside the stock. */
static size_t share_of(const struct tofu_reactor *r, size_t left)
{
	size_t kept = reserved(r);

	return left > kept ? (size_t)((uint64_t)(left - kept) * r->engine->options.channel_share_percent / 100) : 0;
}

/* More may be free than was known. If that does not suffice either, we learn when it does. */
static bool has_share(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_terms terms;
	size_t left = 0, queued_at = 0;
	bool may;

	if (tofu_share_look(&c->share) < r->share)
		return true;
	terms = (struct tofu_terms){ r->queued, r->stocked, reserved(r), r->engine->options.channel_share_percent };
	may = tofu_share_may_take_or_wait(&c->share, &terms, &left, &queued_at);
	r->share = share_of(r, left);
	if (!may && queued_at < r->queued_at)
		r->queued_at = queued_at;
	return may;
}

/* May it have one message more? */
static bool within_share(struct tofu_reactor *r, struct tofu_chan *c)
{
	return !tofu_share_is_open(&c->share) || tofu_share_held(&c->share) < r->share || has_share(r, c);
}

static enum tofu_status stock_up(struct tofu_reactor *r)
{
	struct tofu_pool *pool = r->engine->pool;
	size_t left;

	if (r->stocked > 0)
		return TOFU_OK;
	r->stocked = tofu_pool_get_some_or_wait(pool, r->queued, r->stock, r->stock_next, &left);
	r->share = share_of(r, left);
	r->scarce = r->stocked < TOFU_STOCK_FIRST;
	r->stock_next = TOFU_STOCK;
	if (r->stocked > 0)
		return TOFU_OK;
	return tofu_pool_has_or_wait(pool, r->queued) ? TOFU_ALLOCATION_FAILED : TOFU_POOL_EMPTY;
}

/* A message of the right size for the frame whose header is in c->head. */
static enum tofu_status begin_message(struct tofu_reactor *r, struct tofu_chan *c, const struct tofu_frame *f)
{
	enum tofu_status status = stock_up(r);
	struct tofu_msg *m;

	if (status != TOFU_OK)
		return status;
	if (!within_share(r, c))
		return TOFU_WOULD_BLOCK;
	if (!tofu_share_is_open(&c->share) && !tofu_share_open(&c->share, r->engine->pool))
		return TOFU_ALLOCATION_FAILED;
	m = r->stock[--r->stocked];
	m->header = f->header;
	status = tofu_msg_headers_resize(m, f->headers_len);
	if (status == TOFU_OK)
		status = tofu_msg_body_resize(m, f->body_len);
	if (status != TOFU_OK) {
		tofu_msg_put(&m);
		return status;
	}
	c->partial = m;
	c->partial_len = 0;
	return TOFU_OK;
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The next len bytes of text headers and body have arrived. */
static void fill(struct tofu_chan *c, const unsigned char *from, size_t len)
{
	struct tofu_msg *m = c->partial;
	size_t headers = 0;

	if (c->partial_len < m->headers_len) {
		headers = min(len, m->headers_len - c->partial_len);
		memcpy(tofu_msg_headers_data(m) + c->partial_len, from, headers);
		c->partial_len += (uint32_t)headers;
	}
	if (len > headers) {
		memcpy(tofu_msg_body_data(m) + (c->partial_len - m->headers_len), from + headers, len - headers);
		c->partial_len += (uint32_t)(len - headers);
	}
}

static size_t missing(const struct tofu_msg *m, uint32_t have)
{
	return (size_t)m->headers_len + m->body_len - have;
}

static void advance(struct piece *p, size_t n)
{
	p->at += n;
	p->left -= n;
}

/* The header of the next frame, where it lies, or in the channel if it comes in parts; NULL: some of it is still to come. */
static const unsigned char *next_head(struct tofu_chan *c, struct piece *p)
{
	const unsigned char *head = c->head;
	size_t n = min(TOFU_WIRE_HEADER - c->head_len, p->left);

	if (n == TOFU_WIRE_HEADER) {
		head = p->at;
	} else {
		memcpy(c->head + c->head_len, p->at, n);
		c->head_len = (uint8_t)(c->head_len + n);
		if (c->head_len < TOFU_WIRE_HEADER)
			head = NULL;
	}
	advance(p, n);
	return head;
}

/* It is looked at again: when there is a message for it, or to say what was refused. */
static void keep_head(struct tofu_chan *c, const unsigned char *head)
{
	if (head != c->head)
		memcpy(c->head, head, TOFU_WIRE_HEADER);
	c->head_len = TOFU_WIRE_HEADER;
}

static enum cut cut(struct tofu_reactor *r, struct tofu_chan *c, struct piece *p)
{
	while (p->left > 0 || c->head_len == TOFU_WIRE_HEADER) {
		if (c->partial == NULL) {
			const unsigned char *head = next_head(c, p);
			struct tofu_frame frame;
			enum tofu_status status;

			if (head == NULL)
				return CUT_ALL;
			tofu_wire_decode(head, &frame);
			switch (judge(c, &frame)) {
			case TOFU_REFUSE:
				keep_head(c, head);
				refuse(r, c, &frame);
				return CUT_ENDED;
			case TOFU_HANG_UP:
				tofu_receive_ended(r, c, TOFU_PEER_DISCONNECTED);
				return CUT_ENDED;
			case TOFU_DELIVER:
				break;
			}
			status = begin_message(r, c, &frame);
			if (status != TOFU_OK) {
				keep_head(c, head);
				starve(r, c, status);
				return CUT_WAIT;
			}
			c->head_len = 0;
		} else {
			size_t n = min(missing(c->partial, c->partial_len), p->left);

			fill(c, p->at, n);
			advance(p, n);
		}
		if (missing(c->partial, c->partial_len) == 0)
			frame_done(r, c);
	}
	return CUT_ALL;
}

/* The rest of a frame is awaited from now on. */
static void await_rest(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->partial == NULL || tofu_list_linked(&c->arriving))
		return;
	c->partial_since_ns = r->now_ns;
	tofu_list_append(&r->arriving, &c->arriving);
}

int64_t tofu_receive_deadline(const struct tofu_reactor *r)
{
	const struct tofu_chan *c = TOFU_LIST_OWNER(r->arriving.next, struct tofu_chan, arriving);

	if (!r->drought || tofu_list_empty(&r->arriving))
		return INT64_MAX;
	return c->partial_since_ns + r->timer_ns[TOFU_TIMER_HANDSHAKE];
}

void tofu_receive_overdue(struct tofu_reactor *r, int64_t until_ns)
{
	while (tofu_receive_deadline(r) <= until_ns) {
		struct tofu_chan *c = TOFU_LIST_OWNER(r->arriving.next, struct tofu_chan, arriving);

		if (c->receive_want == TOFU_AFTER_PAUSE) { /* it is we who do not read */
			tofu_list_remove(&c->arriving);
			await_rest(r, c);
		} else {
			tofu_receive_ended(r, c, TOFU_TIMEOUT);
		}
	}
}

/* Cut it and see who keeps it; NULL: there is but the header of a frame. True: go on reading. */
static bool cut_block(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_block *b)
{
	struct piece p = { c->head, 0 };
	enum cut what;

	if (b != NULL)
		p = (struct piece){ b->bytes + b->at, b->len - b->at };
	what = cut(r, c, &p);
	if (what == CUT_ALL)
		await_rest(r, c);
	if (what == CUT_WAIT && b != NULL) {
		b->at = b->len - (uint32_t)p.left;
		keep(r, c, b);
	} else {
		give_block(r, b);
	}
	return what == CUT_ALL;
}

void tofu_receive_ended(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status status)
{
	tofu_chan_follow(r, c, tofu_session_ended(&c->session, status));
}

static bool is_near_its_share(const struct tofu_reactor *r, struct tofu_chan *c)
{
	return tofu_share_is_open(&c->share) && tofu_share_held(&c->share) + TOFU_STOCK_FIRST > r->share &&
	       tofu_share_look(&c->share) + TOFU_STOCK_FIRST > r->share;
}

/*
 * How much to read behind the frame that has begun. All that channels may keep is kept: then no more than a header, which has
 * its place in the channel, so that whoever may have a message goes on, frame by frame.
 */
static size_t behind_frame(const struct tofu_reactor *r, struct tofu_chan *c)
{
	uint64_t kept = atomic_load_explicit(&r->counters.bytes_kept, memory_order_relaxed);
	size_t most = r->scarce || is_near_its_share(r, c) ? TOFU_SIP : TOFU_BLOCK;

	if (kept + most <= TOFU_KEPT_MAX)
		return most;
	return TOFU_WIRE_HEADER - c->head_len;
}

/* One system call: the rest of the message that is being filled, then a block. *want: what the transport waits for; *room: what
 * could have come, but did not; *got: what came. */
static enum tofu_status read_into(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_block *b, unsigned *want,
                                  size_t *room, size_t *got)
{
	struct tofu_iov iov[3];
	size_t count = 0;
	size_t direct = 0;
	size_t behind = behind_frame(r, c);
	size_t done = 0;
	struct tofu_msg *m = c->partial;
	enum tofu_status status;

	if (r->drought && m == NULL && !needs_message(c))
		behind = TOFU_WIRE_HEADER - c->head_len;
	if (m != NULL) {
		uint32_t in_headers = c->partial_len < m->headers_len ? c->partial_len : m->headers_len;
		uint32_t in_body = c->partial_len - in_headers;

		if (in_headers < m->headers_len)
			iov[count++] =
				(struct tofu_iov){ tofu_msg_headers_data(m) + in_headers, m->headers_len - in_headers };
		if (in_body < m->body_len)
			iov[count++] = (struct tofu_iov){ tofu_msg_body_data(m) + in_body, m->body_len - in_body };
		direct = missing(m, c->partial_len);
		if (direct >= TOFU_DIRECT)
			behind = TOFU_WIRE_HEADER;
	}
	iov[count++] = (struct tofu_iov){ b->bytes, behind };
	*room = direct + behind;
	status = c->transport->receive(c->transport, &c->link, iov, count, &done, want);
	tofu_count(&r->counters.receives, 1);
	if (status != TOFU_OK)
		return status;
	if (*want == 0)
		*want = TOFU_READABLE;
	c->pauses = 0;
	tofu_chan_received(r, c, done);
	*room -= done;
	*got = done;
	if (m != NULL) {
		c->partial_len += (uint32_t)min(done, direct);
		if (done >= direct)
			frame_done(r, c);
	}
	b->len = (uint32_t)(done > direct ? done - direct : 0);
	return TOFU_OK;
}

/*
 * Nothing more is there, and the rest of a frame is awaited. A peer that writes a frame in pieces, with Nagle's algorithm on,
 * sends the next piece when the last one is acknowledged, which takes 40 ms unless the system is asked to. Such a piece is small,
 * or ends where the body begins. In the middle of bulk a read hardly ever ends so, and nothing is paid for it.
 */
static void ask_on(struct tofu_chan *c, size_t got)
{
	const struct tofu_msg *m = c->partial;
	bool before_body = m != NULL && (c->partial_len == 0 || c->partial_len == m->headers_len);

	if ((m == NULL && c->head_len == 0) || c->transport->acknowledge == NULL)
		return;
	if (before_body || got < TOFU_SEGMENT)
		c->transport->acknowledge(c->transport, &c->link);
}

/* Read once, and cut. True: all came that there was room for, and there may be more. */
static bool read_once(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_block *b = take_block(r);
	unsigned want = TOFU_READABLE;
	enum tofu_status status;
	size_t room, got;
	bool again;

	if (b == NULL) {
		starve(r, c, TOFU_ALLOCATION_FAILED);
		return false;
	}
	status = read_into(r, c, b, &want, &room, &got);
	again = status == TOFU_OK || tofu_chan_again(r, c, status, &want);
	if (c->receive_want != want) { /* also on the way back to the usual one */
		c->receive_want = (uint8_t)want;
		tofu_chan_touch(r, c);
	}
	if (status == TOFU_OK) {
		if (!cut_block(r, c, b))
			return false;
		if (room == 0)
			return true;
		ask_on(c, got);
		return false;
	}
	give_block(r, b);
	if (!again)
		tofu_receive_ended(r, c, status);
	else
		ask_on(c, SIZE_MAX);
	return false;
}

/* May the next frame have a message? It is not read if not, except for the header of a hello. */
static bool provided(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->partial != NULL)
		return true;
	if (r->stocked > 0 || tofu_pool_has_or_wait(r->engine->pool, r->queued)) {
		if (within_share(r, c))
			return true;
		starve(r, c, TOFU_WOULD_BLOCK);
		return false;
	}
	r->drought = true;
	r->queued_at = 0;
	if (!needs_message(c))
		return true;
	starve(r, c, TOFU_POOL_EMPTY);
	return false;
}

void tofu_receive_now(struct tofu_reactor *r, struct tofu_chan *c)
{
	uint64_t start = atomic_load_explicit(&r->counters.bytes_received, memory_order_relaxed);
	bool more = true;

	tofu_on_reactor(r);
	if (c->kept != NULL || c->head_len == TOFU_WIRE_HEADER) /* what was read when the pool was empty comes first */
		more = cut_block(r, c, take_kept(r, c));
	while (more && provided(r, c) && read_once(r, c)) {
		if (atomic_load_explicit(&r->counters.bytes_received, memory_order_relaxed) - start >= TOFU_BUDGET) {
			c->reads_on = true; /* the others first */
			tofu_chan_touch(r, c);
			more = false;
		}
	}
}

void tofu_receive_on(struct tofu_reactor *r, struct tofu_chan *c)
{
	bool on = c->reads_on && tofu_chan_rules[c->state].hears && !tofu_list_linked(&c->starving);

	c->reads_on = false;
	if (on)
		tofu_receive_now(r, c);
}
