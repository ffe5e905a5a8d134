/* SPDX-License-Identifier: MIT */

/*
 * Receiving. The first part begins a message of our own; the bodies of the others are appended to it.
 *
 * A body that is given up keeps its record until its last part, so that what still comes of it is not taken for a beginning. A peer
 * cannot make us keep any number of records. Beyond begun_max, or without memory, one body has none, and nothing tells its parts from
 * other messages of the channel. So the channel is refused: what belongs to no record is given back with a status, until it ends.
 */

#include "parts/parts.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"

struct tofu_incoming **tofu_incoming_find(struct tofu_parts_channel *c, const struct tofu_header *header)
{
	struct tofu_incoming **at = &c->begun;

	while (*at != NULL && ((*at)->id != header->id || (*at)->opcode != header->opcode))
		at = &(*at)->next;
	return at;
}

/* --- what is kept of a body --- */

static void let_go(struct tofu_parts *p, struct tofu_incoming *in)
{
	p->held -= in->held;
	in->held = 0;
	tofu_msg_put(&in->whole);
}

/* No more of it is wanted, or will come. */
static void give_up(struct tofu_parts *p, struct tofu_incoming *in)
{
	if (in->given_up)
		return;
	in->given_up = true;
	let_go(p, in);
	if (p->options.sink != NULL)
		(void)p->options.sink(p->options.context, NULL, in->at, &in->user);
}

static void forget(struct tofu_parts_channel *c, struct tofu_incoming **at)
{
	struct tofu_incoming *in = *at;

	*at = in->next;
	c->begun_count--;
	free(in);
}

void tofu_incoming_drop(struct tofu_parts *p, struct tofu_parts_channel *c)
{
	while (c->begun != NULL) {
		give_up(p, c->begun);
		forget(c, &c->begun);
	}
}

/* --- channels that are refused --- */

static bool is_refused(const struct tofu_parts *p, uint16_t channel)
{
	return (p->refused[channel / 64] >> channel % 64 & 1) != 0;
}

static void refuse(struct tofu_parts *p, uint16_t channel)
{
	p->refused[channel / 64] |= UINT64_C(1) << channel % 64;
}

void tofu_incoming_admit(struct tofu_parts *p, uint16_t channel)
{
	p->refused[channel / 64] &= ~(UINT64_C(1) << channel % 64);
}

/* --- a part --- */

static bool is_canceled(const tofu_msg *msg)
{
	size_t len;
	const char *value = tofu_msg_headers_find(msg, tofu_parts_mark, &len);

	return value != NULL && len == strlen(tofu_parts_canceled) && memcmp(value, tofu_parts_canceled, len) == 0;
}

static enum tofu_status begin(struct tofu_parts *p, const struct tofu_header *h)
{
	struct tofu_parts_channel *c = tofu_parts_find_or_make(p, h->channel);
	struct tofu_incoming *in;

	if (c == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (c->begun_count >= p->options.begun_max)
		return TOFU_LIMIT_REACHED;
	in = calloc(1, sizeof *in);
	if (in == NULL)
		return TOFU_ALLOCATION_FAILED;
	in->id = h->id;
	in->opcode = h->opcode;
	in->next = c->begun;
	c->begun = in;
	c->begun_count++;
	return TOFU_OK;
}

/* The message is gone if that went well. */
static enum tofu_status put_together(struct tofu_parts *p, struct tofu_incoming *in, tofu_msg **msg)
{
	size_t len;
	const void *body = tofu_msg_body(*msg, &len);
	size_t more = len + (in->whole == NULL ? (*msg)->headers_len : 0);
	enum tofu_status st;

	if (in->at + len > p->options.body_max || p->held + more > p->options.held_max)
		return TOFU_LIMIT_REACHED;
	if (in->whole == NULL)
		st = tofu_msg_share_apart(*msg, &in->whole);
	else
		st = tofu_msg_body_append(in->whole, body, len);
	if (st != TOFU_OK)
		return st;
	in->at += len;
	in->held += more;
	p->held += more;
	tofu_msg_put(msg);
	return TOFU_OK;
}

static enum tofu_status pass_on(const struct tofu_parts *p, struct tofu_incoming *in, tofu_msg **msg)
{
	size_t len;

	(void)tofu_msg_body(*msg, &len);
	in->given_up = p->options.sink(p->options.context, *msg, in->at, &in->user) != TOFU_OK;
	in->at += len;
	tofu_msg_put(msg);
	return TOFU_OK;
}

static enum tofu_status add(struct tofu_parts *p, struct tofu_incoming *in, tofu_msg **msg)
{
	bool has_sink = p->options.sink != NULL;
	enum tofu_status st;

	if (in->given_up) {
		tofu_msg_put(msg);
		return TOFU_OK;
	}
	if (!tofu_msg_header(*msg)->more && is_canceled(*msg))
		st = TOFU_INTERRUPTED;
	else
		st = has_sink ? pass_on(p, in, msg) : put_together(p, in, msg);
	if (st == TOFU_OK)
		return st;
	give_up(p, in);
	if (has_sink) { /* which has been told */
		tofu_msg_put(msg);
		return TOFU_OK;
	}
	return st;
}

/* The last part was added: *msg is the whole message, if there is one. */
static void finish(struct tofu_parts *p, struct tofu_parts_channel *c, struct tofu_incoming **at, tofu_msg **msg)
{
	struct tofu_incoming *in = *at;

	if (in->whole != NULL) {
		*msg = in->whole;
		in->whole = NULL;
		tofu_msg_header(*msg)->more = 0;
	}
	let_go(p, in);
	forget(c, at);
}

static enum tofu_status take_part(struct tofu_parts *p, struct tofu_parts_channel *c, tofu_msg **msg)
{
	const struct tofu_header h = *tofu_msg_header(*msg);
	enum tofu_status st = add(p, *tofu_incoming_find(c, &h), msg);

	if (!h.more)
		finish(p, c, tofu_incoming_find(c, &h), msg);
	return st;
}

static bool is_begun(const struct tofu_parts *p, const struct tofu_header *h)
{
	struct tofu_parts_channel *c = tofu_parts_find(p, h->channel);

	return c != NULL && *tofu_incoming_find(c, h) != NULL;
}

enum tofu_status tofu_incoming_take(struct tofu_parts *p, tofu_msg **msg)
{
	const struct tofu_header *h = tofu_msg_header(*msg);
	uint16_t number = h->channel;
	bool begun = is_begun(p, h);
	enum tofu_status st = TOFU_OK;

	if (!begun && is_refused(p, number))
		return TOFU_LIMIT_REACHED;
	if (!begun && !h->more)
		return TOFU_OK;
	if (!begun)
		st = begin(p, h);
	if (st == TOFU_OK)
		st = take_part(p, tofu_parts_find(p, number), msg);
	else
		refuse(p, number);
	tofu_parts_tidy(p, number);
	return st;
}
