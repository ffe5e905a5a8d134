/* SPDX-License-Identifier: MIT */

/* The whole: options, the records of channels, and what is asked of both directions. */

#include "parts/parts.h"

#include <stdlib.h>

#include <tofu/transport.h>

enum { BODY_MOST = 1 << 30 }; /* that the body of a message may have */

const char tofu_parts_mark[] = "parts";
const char tofu_parts_canceled[] = "canceled";

/* --- options --- */

void tofu_parts_options_init(struct tofu_parts_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

static bool fill_in(uint32_t *field, uint32_t otherwise, uint32_t most)
{
	if (*field == 0)
		*field = otherwise;
	return *field <= most;
}

static enum tofu_status effective(const struct tofu_parts_options *from, struct tofu_parts_options *o)
{
	enum tofu_status st = tofu_options_take(from, o, sizeof *o);
	bool valid;

	if (st != TOFU_OK)
		return st;
	valid = fill_in(&o->part_size, TOFU_BODY_MAX, TOFU_BODY_MAX);
	valid = fill_in(&o->waiting_max, 1024, UINT32_MAX) && valid;
	valid = fill_in(&o->begun_max, 64, UINT32_MAX) && valid;
	valid = fill_in(&o->body_max, 16 << 20, BODY_MOST) && valid;
	if (o->held_max == 0)
		o->held_max = 256 << 20;
	return valid ? TOFU_OK : TOFU_NOT_ALLOWED;
}

enum tofu_status tofu_parts_create(tofu_group *group, const struct tofu_parts_options *options_or_null,
                                   tofu_parts **out)
{
	struct tofu_parts_options options;
	enum tofu_status st;
	struct tofu_parts *p;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	if (group == NULL)
		return TOFU_NOT_ALLOWED;
	st = effective(options_or_null, &options);
	if (st != TOFU_OK)
		return st;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return TOFU_ALLOCATION_FAILED;
	p->group = group;
	p->options = options;
	p->round = 1;
	*out = p;
	return TOFU_OK;
}

/* --- the records of channels --- */

struct tofu_parts_channel *tofu_parts_find(const struct tofu_parts *p, uint16_t number)
{
	const struct tofu_parts_page *page = p->pages[number / TOFU_PARTS_PAGE];

	return page != NULL ? page->of[number % TOFU_PARTS_PAGE] : NULL;
}

struct tofu_parts_channel *tofu_parts_find_or_make(struct tofu_parts *p, uint16_t number)
{
	struct tofu_parts_channel *c = tofu_parts_find(p, number);
	struct tofu_parts_page **page = &p->pages[number / TOFU_PARTS_PAGE];

	if (c != NULL)
		return c;
	if (*page == NULL)
		*page = calloc(1, sizeof **page);
	if (*page != NULL)
		c = (*page)->of[number % TOFU_PARTS_PAGE] = calloc(1, sizeof *c);
	if (c != NULL) {
		c->number = number;
		c->out_end = &c->out;
	}
	return c;
}

static void unlink_record(struct tofu_parts *p, const struct tofu_parts_channel *c)
{
	p->pages[c->number / TOFU_PARTS_PAGE]->of[c->number % TOFU_PARTS_PAGE] = NULL;
}

void tofu_parts_tidy(struct tofu_parts *p, uint16_t number)
{
	struct tofu_parts_channel *c = tofu_parts_find(p, number);

	if (c == NULL || c->out != NULL || c->begun != NULL)
		return;
	unlink_record(p, c);
	free(c);
}

/* The application hears of each body, and may post. So the record leaves the table first. */
static void drop_channel(struct tofu_parts *p, struct tofu_parts_channel *c, enum tofu_status why)
{
	unlink_record(p, c);
	tofu_incoming_drop(p, c);
	tofu_outgoing_drop(p, c, why);
	free(c);
}

static void drop_page(struct tofu_parts *p, struct tofu_parts_page *page)
{
	for (size_t i = 0; i < TOFU_PARTS_PAGE; i++)
		if (page->of[i] != NULL)
			drop_channel(p, page->of[i], TOFU_SHUTDOWN_STARTED);
	free(page);
}

void tofu_parts_destroy(tofu_parts *p)
{
	if (p == NULL)
		return;
	p->ended = true; /* nothing is posted any more */
	for (size_t i = 0; i < TOFU_PARTS_PAGES; i++)
		if (p->pages[i] != NULL)
			drop_page(p, p->pages[i]);
	free(p);
}

/* --- what was received --- */

static void take_last_word(struct tofu_parts *p, const struct tofu_header *h)
{
	struct tofu_parts_channel *c = tofu_parts_find(p, h->channel);

	tofu_incoming_admit(p, h->channel);
	if (c != NULL)
		drop_channel(p, c, (enum tofu_status)h->reason);
}

/* Is it one of many parts that comes back? Then the application hears of the body by the last one, or as of one unsent. */
static bool comes_back(const struct tofu_parts *p, tofu_msg *msg)
{
	return tofu_opcode_type(tofu_msg_header(msg)->opcode) == TOFU_TYPE_REGULAR && *tofu_msg_user(msg) == p;
}

static void take_notice(struct tofu_parts *p, tofu_msg **msg)
{
	const struct tofu_header *h = tofu_msg_header(*msg);

	if (h->reason != TOFU_OK) {
		take_last_word(p, h);
	} else if (h->status == TOFU_SEND_READY) {
		tofu_outgoing_go_on(p, h->channel);
	} else if (h->status == TOFU_RECEIVER_UPDATE && p->reminded) {
		tofu_msg_put(msg);
		tofu_outgoing_resume(p);
	} else if (comes_back(p, *msg)) {
		tofu_msg_put(msg);
	}
}

enum tofu_status tofu_parts_take(tofu_parts *p, tofu_msg **msg)
{
	const struct tofu_header *h;

	if (p == NULL || msg == NULL)
		return TOFU_NOT_ALLOWED;
	if (*msg == NULL)
		return TOFU_NULL_MESSAGE;
	h = tofu_msg_header(*msg);
	if (h->origin == TOFU_ORIGIN_ENGINE)
		take_notice(p, msg);
	else if (h->status == TOFU_OK && tofu_opcode_type(h->opcode) == TOFU_TYPE_REGULAR)
		return tofu_incoming_take(p, msg);
	return TOFU_OK;
}

/* --- what is asked --- */

enum tofu_status tofu_parts_sent(const tofu_parts *p, const struct tofu_header *header, uint64_t *bytes)
{
	struct tofu_parts_channel *c;
	const struct tofu_outgoing *o;

	if (bytes != NULL)
		*bytes = 0;
	if (p == NULL || header == NULL || bytes == NULL)
		return TOFU_NOT_ALLOWED;
	c = tofu_parts_find(p, header->channel);
	o = c != NULL ? *tofu_outgoing_find(c, header) : NULL;
	if (o == NULL)
		return TOFU_INVALID_MESSAGE_ID;
	*bytes = o->posted;
	return TOFU_OK;
}

enum tofu_status tofu_parts_arrived(const tofu_parts *p, const struct tofu_header *header, uint64_t *bytes)
{
	struct tofu_parts_channel *c;
	const struct tofu_incoming *in;

	if (bytes != NULL)
		*bytes = 0;
	if (p == NULL || header == NULL || bytes == NULL)
		return TOFU_NOT_ALLOWED;
	c = tofu_parts_find(p, header->channel);
	in = c != NULL ? *tofu_incoming_find(c, header) : NULL;
	if (in == NULL || in->given_up)
		return TOFU_INVALID_MESSAGE_ID;
	*bytes = in->at;
	return TOFU_OK;
}

size_t tofu_parts_waiting(const tofu_parts *p, uint16_t channel)
{
	const struct tofu_parts_channel *c;

	if (p == NULL || channel == 0)
		return p != NULL ? p->waiting : 0;
	c = tofu_parts_find(p, channel);
	return c != NULL ? c->waiting : 0;
}
