/* SPDX-License-Identifier: MIT */

/*
 * Sending. The bodies of a channel take turns, a part each, and leave after their last part. A part that the channel's queue has no
 * room for is kept until send_ready comes.
 *
 * A peer that reads as fast as we post would keep the caller here for a whole long body. So after as many parts as a queue takes
 * the channel pauses, and we put an empty update into the group's own mailbox. When it is received, all channels go on that paused
 * before. An update of ours and an empty one of the application look the same; we keep the first, and the application gets as many
 * as it has asked for.
 *
 * The application hears of the end of a body when all is in order again, for it may post then, or cancel.
 */

#include "parts/parts.h"

#include <stdlib.h>

#include "message/message.h"

enum { PARTS_AT_ONCE = 128 };

/* --- the list of a channel --- */

static void append(struct tofu_parts_channel *c, struct tofu_outgoing *o)
{
	o->next = NULL;
	*c->out_end = o;
	c->out_end = &o->next;
}

static struct tofu_outgoing *remove_at(struct tofu_parts_channel *c, struct tofu_outgoing **at)
{
	struct tofu_outgoing *o = *at;

	if (c->out_end == &o->next)
		c->out_end = at;
	*at = o->next;
	return o;
}

static bool is_of(const struct tofu_outgoing *o, const struct tofu_header *header)
{
	return o->header.id == header->id && o->header.opcode == header->opcode;
}

struct tofu_outgoing **tofu_outgoing_find(struct tofu_parts_channel *c, const struct tofu_header *header)
{
	struct tofu_outgoing **at = &c->out;

	while (*at != NULL && (!is_of(*at, header) || (*at)->kind == TOFU_OUTGOING_CUT_OFF))
		at = &(*at)->next;
	return at;
}

/* --- the end of a body --- */

/* What the application hears of it. */
struct outcome {
	enum tofu_status status;
	struct tofu_header header;
	struct tofu_source source;
	tofu_msg *msg; /* that was posted */
};

/* The body gives it up. */
static struct outcome take_outcome(struct tofu_outgoing *o, enum tofu_status status)
{
	struct outcome e = { .status = status, .header = o->header, .source = o->source };
	tofu_msg **msg = o->kind == TOFU_OUTGOING_ONE ? &o->ready : &o->whole;

	e.msg = *msg;
	*msg = NULL;
	o->source.done = NULL;
	return e;
}

static void tell(const struct tofu_parts *p, struct outcome *e)
{
	if (e->source.done != NULL)
		e->source.done(e->source.context, &e->header, e->status);
	if (e->msg != NULL && e->status != TOFU_OK && p->options.unsent != NULL && !p->ended) {
		struct tofu_header *h = tofu_msg_header(e->msg);

		h->origin = TOFU_ORIGIN_ENGINE;
		h->status = (uint8_t)e->status;
		p->options.unsent(p->options.context, &e->msg);
	}
	tofu_msg_put(&e->msg);
}

/* It is on no list. */
static void drop(struct tofu_parts *p, struct tofu_parts_channel *c, struct tofu_outgoing *o)
{
	tofu_msg_put(&o->like);
	tofu_msg_put(&o->whole);
	tofu_msg_put(&o->ready);
	tofu_msg_put(&o->cut);
	free(o);
	c->waiting--;
	p->waiting--;
}

/* Its last turn will be to tell the peer. */
static void cut_off(struct tofu_outgoing *o)
{
	tofu_msg_put(&o->like);
	tofu_msg_put(&o->ready);
	o->kind = TOFU_OUTGOING_CUT_OFF;
	o->ready = o->cut;
	o->cut = NULL;
}

/* It goes no further, and is on no list. The record of the channel may be gone afterwards. */
static void finish(struct tofu_parts *p, struct tofu_parts_channel *c, struct tofu_outgoing *o, enum tofu_status why)
{
	struct outcome e = take_outcome(o, why);

	if (why != TOFU_OK && o->kind == TOFU_OUTGOING_LONG && o->begun) {
		cut_off(o);
		append(c, o);
	} else {
		drop(p, c, o);
	}
	tell(p, &e);
}

void tofu_outgoing_drop(struct tofu_parts *p, struct tofu_parts_channel *c, enum tofu_status why)
{
	while (c->out != NULL) {
		struct tofu_outgoing *o = remove_at(c, &c->out);
		struct outcome e = take_outcome(o, why);

		drop(p, c, o);
		tell(p, &e);
	}
}

/* --- a part --- */

/* It may wait here for long: replace it by a message outside the pool. Without memory it stays. */
static void keep_apart(tofu_msg **msg)
{
	tofu_msg *apart;

	if (tofu_msg_share_apart(*msg, &apart) != TOFU_OK)
		return;
	tofu_msg_put(msg);
	*msg = apart;
}

static enum tofu_status fill_from_whole(const struct tofu_parts *p, struct tofu_outgoing *o, size_t *len, bool *more)
{
	size_t size;
	const unsigned char *body = tofu_msg_body(o->whole, &size);
	size_t left = size - (size_t)o->made;

	*more = left > p->options.part_size;
	*len = *more ? p->options.part_size : left;
	return tofu_msg_body_set(o->ready, body + o->made, *len);
}

static enum tofu_status fill_from_source(const struct tofu_parts *p, struct tofu_outgoing *o, size_t *len, bool *more)
{
	size_t most = p->options.part_size;
	enum tofu_status st;
	void *room;

	*len = 0;
	st = tofu_msg_body_reserve(o->ready, most, &room);
	if (st == TOFU_OK)
		st = o->source.read(o->source.context, room, most, len);
	if (st == TOFU_OK && *len > most)
		st = TOFU_INVALID_BODY_LEN;
	*more = *len == most;
	return st == TOFU_OK ? tofu_msg_body_reserve(o->ready, *len, &room) : st;
}

/* The user pointer marks parts that come back. The last part has the application's. */
static enum tofu_status make_part(struct tofu_parts *p, struct tofu_outgoing *o)
{
	enum tofu_status st = tofu_msg_clone(o->like, &o->ready);
	size_t len = 0;
	bool more = false;

	if (st == TOFU_OK)
		st = (o->whole != NULL ? fill_from_whole : fill_from_source)(p, o, &len, &more);
	if (st != TOFU_OK) {
		tofu_msg_put(&o->ready);
		return st;
	}
	tofu_msg_header(o->ready)->more = more;
	*tofu_msg_user(o->ready) = more ? p : o->user;
	o->made += len;
	return TOFU_OK;
}

struct turn {
	enum tofu_status status; /* TOFU_OK: a part is out */
	bool waits;              /* the channel's queue is full */
	bool last;
};

static struct turn take_turn(struct tofu_parts *p, struct tofu_outgoing *o)
{
	bool is_new = o->ready == NULL;
	struct turn t = { .status = is_new ? make_part(p, o) : TOFU_OK };

	if (t.status != TOFU_OK)
		return t;
	t.last = !tofu_msg_header(o->ready)->more;
	t.status = tofu_post(p->group, &o->ready, NULL);
	t.waits = t.status == TOFU_WOULD_BLOCK;
	if (t.waits && is_new)
		keep_apart(&o->ready);
	if (t.status != TOFU_OK)
		return t;
	tofu_msg_headers_clear(o->like);
	o->begun = true;
	o->posted = o->made;
	return t;
}

/* --- the turns of a channel --- */

/* Until a reminder comes. False: there is no memory for one. */
static bool pauses(struct tofu_parts *p, struct tofu_parts_channel *c)
{
	if (!p->reminded)
		p->reminded = tofu_update_receiver(p->group, NULL) == TOFU_OK;
	if (p->reminded)
		c->paused = p->round;
	return p->reminded;
}

/* The application hears of those that end, and may post: the channel's record is looked up anew each time. */
void tofu_outgoing_go_on(struct tofu_parts *p, uint16_t channel)
{
	struct tofu_parts_channel *c;

	for (int n = 0; (c = tofu_parts_find(p, channel)) != NULL && c->out != NULL && c->paused == 0; n++) {
		struct tofu_outgoing *o = c->out;
		struct turn t;

		if (n >= PARTS_AT_ONCE && pauses(p, c))
			return;
		t = take_turn(p, o);
		if (t.waits)
			return;
		(void)remove_at(c, &c->out);
		if (t.status == TOFU_OK && !t.last)
			append(c, o);
		else
			finish(p, c, o, t.status);
	}
	tofu_parts_tidy(p, channel);
}

static void resume_page(struct tofu_parts *p, const struct tofu_parts_page *page, uint64_t round)
{
	for (size_t i = 0; i < TOFU_PARTS_PAGE; i++) {
		struct tofu_parts_channel *c = page->of[i];

		if (c == NULL || c->paused == 0 || c->paused > round)
			continue;
		c->paused = 0;
		tofu_outgoing_go_on(p, c->number);
	}
}

/* Those that pause meanwhile do so in the next round. */
void tofu_outgoing_resume(struct tofu_parts *p)
{
	uint64_t round = p->round++;

	p->reminded = false;
	for (size_t i = 0; i < TOFU_PARTS_PAGES; i++)
		if (p->pages[i] != NULL)
			resume_page(p, p->pages[i], round);
}

enum tofu_status tofu_parts_cancel(tofu_parts *p, const struct tofu_header *header)
{
	struct tofu_parts_channel *c;
	struct tofu_outgoing **at;
	uint16_t channel;

	if (p == NULL || header == NULL)
		return TOFU_NOT_ALLOWED;
	channel = header->channel;
	c = tofu_parts_find(p, channel);
	at = c != NULL ? tofu_outgoing_find(c, header) : NULL;
	if (at == NULL || *at == NULL)
		return TOFU_INVALID_MESSAGE_ID;
	finish(p, c, remove_at(c, at), TOFU_INTERRUPTED);
	tofu_outgoing_go_on(p, channel);
	return TOFU_OK;
}

/* --- the beginning --- */

/* Would the peer take it for a part of another body? */
static bool is_mistakable(const struct tofu_parts_channel *c, const struct tofu_header *header)
{
	for (const struct tofu_outgoing *o = c->out; o != NULL; o = o->next)
		if (is_of(o, header) && o->kind != TOFU_OUTGOING_ONE)
			return true;
	return false;
}

static enum tofu_status may_begin(const struct tofu_parts *p, const struct tofu_parts_channel *c,
                                  const struct tofu_header *header)
{
	if (is_mistakable(c, header))
		return TOFU_INVALID_MESSAGE_ID;
	return c->waiting < p->options.waiting_max ? TOFU_OK : TOFU_LIMIT_REACHED;
}

/* One like that message, with an id for all parts. It is on no list yet. */
static enum tofu_status begin(struct tofu_parts *p, struct tofu_parts_channel *c, tofu_msg *msg,
                              struct tofu_outgoing **out)
{
	enum tofu_status st = may_begin(p, c, tofu_msg_header(msg));

	if (st != TOFU_OK)
		return st;
	*out = calloc(1, sizeof **out);
	if (*out == NULL)
		return TOFU_ALLOCATION_FAILED;
	p->waiting++;
	c->waiting++;
	(*out)->header = *tofu_msg_header(msg);
	(*out)->user = *tofu_msg_user(msg);
	if ((*out)->header.id == 0)
		(*out)->header.id = tofu_next_id();
	return TOFU_OK;
}

static enum tofu_status add_one(struct tofu_parts *p, struct tofu_parts_channel *c, tofu_msg **msg,
                                struct tofu_header *out_or_null)
{
	struct tofu_outgoing *o;
	enum tofu_status st = begin(p, c, *msg, &o);

	if (st != TOFU_OK)
		return st;
	o->kind = TOFU_OUTGOING_ONE;
	o->ready = *msg;
	*msg = NULL;
	*tofu_msg_header(o->ready) = o->header;
	keep_apart(&o->ready);
	append(c, o);
	if (out_or_null != NULL)
		*out_or_null = o->header;
	return TOFU_OK;
}

/* It fits into one part. If none is before it, it goes at once, and needs no record. */
static enum tofu_status post_one(struct tofu_parts *p, tofu_msg **msg, struct tofu_header *out_or_null)
{
	uint16_t channel = tofu_msg_header(*msg)->channel;
	struct tofu_parts_channel *c = tofu_parts_find(p, channel);
	enum tofu_status st = tofu_msg_check(*msg);

	if (st == TOFU_OK && (c == NULL || c->out == NULL)) {
		st = tofu_post(p->group, msg, out_or_null);
		if (st != TOFU_WOULD_BLOCK)
			return st;
		st = TOFU_OK;
	}
	if (st != TOFU_OK)
		return st;
	c = tofu_parts_find_or_make(p, channel);
	if (c == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = add_one(p, c, msg, out_or_null);
	tofu_parts_tidy(p, channel);
	return st;
}

/* What parts are made like, and the last one if the body is given up. */
static enum tofu_status prepare(struct tofu_parts *p, struct tofu_outgoing *o, tofu_msg *msg)
{
	enum tofu_status st = tofu_msg_share_apart(msg, &o->like);
	void *none;

	if (st == TOFU_OK)
		st = tofu_msg_body_reserve(o->like, 0, &none);
	if (st != TOFU_OK)
		return st;
	*tofu_msg_header(o->like) = o->header;
	*tofu_msg_user(o->like) = p;
	st = tofu_msg_check(o->like);
	if (st == TOFU_OK)
		st = tofu_msg_share_apart(o->like, &o->cut);
	if (st != TOFU_OK)
		return st;
	tofu_msg_headers_clear(o->cut);
	return tofu_msg_headers_add(o->cut, tofu_parts_mark, tofu_parts_canceled);
}

/* If none is before it, its first part goes at once, and may be refused. */
static enum tofu_status start(struct tofu_parts *p, struct tofu_parts_channel *c, struct tofu_outgoing *o,
                              tofu_msg *msg, struct turn *t)
{
	enum tofu_status st = prepare(p, o, msg);

	*t = (struct turn){ .status = TOFU_WOULD_BLOCK, .waits = true };
	if (st != TOFU_OK)
		return st;
	if (c->out == NULL)
		*t = take_turn(p, o);
	return t->waits ? TOFU_OK : t->status;
}

/* It was accepted. */
static void settle(struct tofu_parts *p, struct tofu_parts_channel *c, struct tofu_outgoing *o, tofu_msg **msg,
                   const struct turn *t)
{
	uint16_t channel = c->number;

	if (o->whole == NULL) {
		tofu_msg_put(msg);
	} else {
		*tofu_msg_header(*msg) = o->header;
		keep_apart(&o->whole);
		*msg = NULL;
	}
	if (!t->waits && t->last)
		finish(p, c, o, TOFU_OK);
	else
		append(c, o);
	if (!t->waits)
		tofu_outgoing_go_on(p, channel);
}

static enum tofu_status add_long(struct tofu_parts *p, struct tofu_parts_channel *c, tofu_msg **msg,
                                 const struct tofu_source *source, struct tofu_header *out_or_null)
{
	struct tofu_outgoing *o;
	enum tofu_status st = begin(p, c, *msg, &o);
	struct turn t;

	if (st != TOFU_OK)
		return st;
	o->kind = TOFU_OUTGOING_LONG;
	if (source != NULL)
		o->source = *source;
	else
		o->whole = *msg;
	st = start(p, c, o, *msg, &t);
	if (st != TOFU_OK) {
		o->whole = NULL;
		drop(p, c, o);
		return st;
	}
	if (out_or_null != NULL)
		*out_or_null = o->header;
	settle(p, c, o, msg, &t);
	return TOFU_OK;
}

static enum tofu_status post_long(struct tofu_parts *p, tofu_msg **msg, const struct tofu_source *source,
                                  struct tofu_header *out_or_null)
{
	uint16_t channel = tofu_msg_header(*msg)->channel;
	struct tofu_parts_channel *c = tofu_parts_find_or_make(p, channel);
	enum tofu_status st;

	if (c == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = add_long(p, c, msg, source, out_or_null);
	tofu_parts_tidy(p, channel);
	return st;
}

static enum tofu_status judge(const struct tofu_parts *p, tofu_msg **msg)
{
	const struct tofu_header *h;

	if (p == NULL || msg == NULL)
		return TOFU_NOT_ALLOWED;
	if (*msg == NULL)
		return TOFU_NULL_MESSAGE;
	h = tofu_msg_header(*msg);
	if (tofu_opcode_type(h->opcode) != TOFU_TYPE_REGULAR)
		return TOFU_INVALID_OP_CODE;
	if (h->opcode == TOFU_RESPONSE && h->id == 0)
		return TOFU_INVALID_MESSAGE_ID;
	if (h->more != 0)
		return TOFU_INVALID_MORE_USAGE;
	return p->ended ? TOFU_SHUTDOWN_STARTED : TOFU_OK;
}

enum tofu_status tofu_parts_post(tofu_parts *p, tofu_msg **msg, struct tofu_header *out_or_null)
{
	enum tofu_status st = judge(p, msg);
	size_t len;

	if (st != TOFU_OK)
		return st;
	(void)tofu_msg_body(*msg, &len);
	return len <= p->options.part_size ? post_one(p, msg, out_or_null) : post_long(p, msg, NULL, out_or_null);
}

enum tofu_status tofu_parts_post_from(tofu_parts *p, tofu_msg **msg, const struct tofu_source *source,
                                      struct tofu_header *out_or_null)
{
	enum tofu_status st = judge(p, msg);
	size_t len;

	if (st != TOFU_OK)
		return st;
	if (source == NULL || source->read == NULL)
		return TOFU_NOT_ALLOWED;
	(void)tofu_msg_body(*msg, &len);
	return len == 0 ? post_long(p, msg, source, out_or_null) : TOFU_INVALID_BODY_LEN;
}
