/* SPDX-License-Identifier: MIT */

/* Whole messages as bytes and back, for applications. */

#include "message/wire.h"

#include <string.h>

/* Does each field fit into its bits? */
static enum tofu_status fits(const struct tofu_msg *m)
{
	const struct tofu_header *h = &m->header;

	if (h->opcode > TOFU_OPCODE_MASK)
		return TOFU_INVALID_OP_CODE;
	if (h->more > 1)
		return TOFU_INVALID_MORE_USAGE;
	if (h->origin > 1)
		return TOFU_INVALID_MESSAGE;
	if (m->headers_len > TOFU_HEADERS_MAX)
		return TOFU_INVALID_HEADERS_LEN;
	return m->body_len <= TOFU_BODY_MAX ? TOFU_OK : TOFU_INVALID_BODY_LEN;
}

enum tofu_status tofu_msg_encode(const tofu_msg *msg, void *out, size_t capacity, size_t *len)
{
	unsigned char *to = out;
	struct tofu_frame frame = { 0 };
	enum tofu_status st;

	if (len == NULL)
		return TOFU_NOT_ALLOWED;
	*len = 0;
	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	if (out == NULL && capacity > 0)
		return TOFU_NOT_ALLOWED;
	st = fits(msg);
	if (st != TOFU_OK)
		return st;
	*len = (size_t)TOFU_WIRE_HEADER + msg->headers_len + msg->body_len;
	if (*len > capacity)
		return TOFU_LIMIT_REACHED;
	frame.header = msg->header;
	frame.headers_len = (uint16_t)msg->headers_len;
	frame.body_len = (uint16_t)msg->body_len;
	tofu_wire_encode(&frame, to);
	memcpy(to + TOFU_WIRE_HEADER, tofu_msg_headers_data(msg), msg->headers_len);
	memcpy(to + TOFU_WIRE_HEADER + msg->headers_len, tofu_msg_body_data(msg), msg->body_len);
	return TOFU_OK;
}

/* Room first; after that nothing fails. */
static enum tofu_status fill(struct tofu_msg *m, const struct tofu_frame *frame, const unsigned char *rest)
{
	uint32_t old = m->headers_len;
	enum tofu_status st = tofu_msg_headers_resize(m, frame->headers_len);

	if (st == TOFU_OK) {
		st = tofu_msg_body_resize(m, frame->body_len);
		if (st != TOFU_OK)
			m->headers_len = old;
	}
	if (st != TOFU_OK)
		return st;
	m->header = frame->header;
	memcpy(tofu_msg_headers_data(m), rest, frame->headers_len);
	memcpy(tofu_msg_body_data(m), rest + frame->headers_len, frame->body_len);
	return TOFU_OK;
}

enum tofu_status tofu_msg_decode(tofu_msg *msg, const void *data, size_t len, size_t *used)
{
	const unsigned char *from = data;
	struct tofu_frame frame = { 0 };
	enum tofu_status st;
	size_t whole;

	if (used == NULL)
		return TOFU_NOT_ALLOWED;
	*used = 0;
	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	if (data == NULL && len > 0)
		return TOFU_NOT_ALLOWED;
	if (len < TOFU_WIRE_HEADER) {
		*used = TOFU_WIRE_HEADER;
		return TOFU_WOULD_BLOCK;
	}
	tofu_wire_decode(from, &frame);
	if (frame.internal != 0)
		return TOFU_PROTOCOL_VIOLATION;
	whole = (size_t)TOFU_WIRE_HEADER + frame.headers_len + frame.body_len;
	if (len < whole) {
		*used = whole;
		return TOFU_WOULD_BLOCK;
	}
	st = fill(msg, &frame, from + TOFU_WIRE_HEADER);
	if (st == TOFU_OK)
		*used = whole;
	return st;
}
