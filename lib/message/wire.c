/* SPDX-License-Identifier: MIT */
/*
 * The sixteen bytes before every frame, big-endian, byte by byte: no alignment, no host order; written so that compilers see
 * one load or store and a byte swap in it. Decoding cannot fail;
 * whether a peer may send what was decoded is a question of its own.
 */

#include "message/wire.h"

#include <string.h>

#include "message/message.h"

/* The proto byte: opcode in bits 0-3, then origin, more, and two internal bits. */
enum { ORIGIN_SHIFT = 4, MORE_SHIFT = 5, INTERNAL_SHIFT = 6, OPCODE_MASK = 0x0f };

static void store16(unsigned char *out, uint16_t value)
{
	out[0] = (unsigned char)(value >> 8);
	out[1] = (unsigned char)(value & 0xff);
}

static uint16_t load16(const unsigned char *in)
{
	return (uint16_t)((unsigned)in[0] << 8 | in[1]);
}

static void store32(unsigned char *out, uint32_t value)
{
	out[0] = (unsigned char)(value >> 24);
	out[1] = (unsigned char)(value >> 16 & 0xff);
	out[2] = (unsigned char)(value >> 8 & 0xff);
	out[3] = (unsigned char)(value & 0xff);
}

static uint32_t load32(const unsigned char *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static unsigned char proto_byte(const struct tofu_frame *frame)
{
	const struct tofu_header *h = &frame->header;

	return (unsigned char)((h->opcode & OPCODE_MASK) | (h->origin & 1) << ORIGIN_SHIFT |
	                       (h->more & 1) << MORE_SHIFT | (frame->internal & 3) << INTERNAL_SHIFT);
}

void tofu_wire_encode(const struct tofu_frame *frame, unsigned char out[TOFU_WIRE_HEADER])
{
	store16(out, frame->header.channel);
	out[2] = proto_byte(frame);
	out[3] = frame->header.status;
	store32(out + 4, (uint32_t)(frame->header.id >> 32));
	store32(out + 8, (uint32_t)(frame->header.id & 0xffffffff));
	store16(out + 12, frame->headers_len);
	store16(out + 14, frame->body_len);
}

void tofu_wire_decode(const unsigned char in[TOFU_WIRE_HEADER], struct tofu_frame *out)
{
	out->header.channel = load16(in);
	out->header.opcode = in[2] & OPCODE_MASK;
	out->header.origin = in[2] >> ORIGIN_SHIFT & 1;
	out->header.more = in[2] >> MORE_SHIFT & 1;
	out->internal = in[2] >> INTERNAL_SHIFT & 3;
	out->header.status = in[3];
	out->header.reason = TOFU_OK;
	out->header.id = (uint64_t)load32(in + 4) << 32 | load32(in + 8);
	out->headers_len = load16(in + 12);
	out->body_len = load16(in + 14);
}

bool tofu_wire_acceptable(const struct tofu_frame *frame)
{
	const struct tofu_header *h = &frame->header;
	const struct tofu_opcode_rule *rule = tofu_opcode_rule(h->opcode);

	if (rule == NULL || !rule->travels)
		return false;
	if (h->origin != TOFU_ORIGIN_APPLICATION || frame->internal != 0 || h->status != TOFU_OK)
		return false;
	if (rule->role == TOFU_ROLE_RESPONSE && h->id == 0)
		return false;
	return h->more == 0 || rule->type == TOFU_TYPE_REGULAR;
}

/* Does each field fit into its bits? */
static enum tofu_status fits(const struct tofu_msg *m)
{
	const struct tofu_header *h = &m->header;

	if (h->opcode > OPCODE_MASK)
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
