/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_WIRE_H
#define TOFU_MESSAGE_WIRE_H

/* The frame's sixteen bytes, big-endian (docs/protocol.md), at any address. Inline, since this is done for each message. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "message/message.h"

enum { TOFU_WIRE_HEADER = TOFU_FRAME_HEADER };

/** The proto byte: opcode in bits 0-3, then origin, more, and two internal bits, which are 0 between well-behaved peers. */
enum { TOFU_ORIGIN_SHIFT = 4, TOFU_MORE_SHIFT = 5, TOFU_INTERNAL_SHIFT = 6, TOFU_OPCODE_MASK = 0x0f };

struct tofu_frame {
	struct tofu_header header;
	uint16_t headers_len;
	uint16_t body_len;
	uint8_t internal;
};

/** The same bytes in the other order where the machine has the lowest first. */
static inline uint32_t tofu_wire_order32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(value);
#else
	return value;
#endif
}

static inline uint64_t tofu_wire_order64(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(value);
#else
	return value;
#endif
}

static inline void tofu_wire_store32(unsigned char *out, uint32_t value)
{
	value = tofu_wire_order32(value);
	memcpy(out, &value, sizeof value);
}

static inline void tofu_wire_store64(unsigned char *out, uint64_t value)
{
	value = tofu_wire_order64(value);
	memcpy(out, &value, sizeof value);
}

static inline uint32_t tofu_wire_load32(const unsigned char *in)
{
	uint32_t value;

	memcpy(&value, in, sizeof value);
	return tofu_wire_order32(value);
}

static inline uint64_t tofu_wire_load64(const unsigned char *in)
{
	uint64_t value;

	memcpy(&value, in, sizeof value);
	return tofu_wire_order64(value);
}

static inline void tofu_wire_encode(const struct tofu_frame *frame, unsigned char out[TOFU_WIRE_HEADER])
{
	const struct tofu_header *h = &frame->header;
	uint32_t proto = (h->opcode & TOFU_OPCODE_MASK) | (h->origin & 1u) << TOFU_ORIGIN_SHIFT |
	                 (h->more & 1u) << TOFU_MORE_SHIFT | (frame->internal & 3u) << TOFU_INTERNAL_SHIFT;

	tofu_wire_store32(out, (uint32_t)h->channel << 16 | proto << 8 | h->status);
	tofu_wire_store64(out + 4, h->id);
	tofu_wire_store32(out + 12, (uint32_t)frame->headers_len << 16 | frame->body_len);
}

/** Takes the bytes as they are; tofu_wire_acceptable() judges. */
static inline void tofu_wire_decode(const unsigned char in[TOFU_WIRE_HEADER], struct tofu_frame *out)
{
	uint32_t first = tofu_wire_load32(in);
	uint32_t lengths = tofu_wire_load32(in + 12);

	out->header.channel = (uint16_t)(first >> 16);
	out->header.opcode = in[2] & TOFU_OPCODE_MASK;
	out->header.origin = in[2] >> TOFU_ORIGIN_SHIFT & 1;
	out->header.more = in[2] >> TOFU_MORE_SHIFT & 1;
	out->internal = in[2] >> TOFU_INTERNAL_SHIFT & 3;
	out->header.status = in[3];
	out->header.reason = TOFU_OK;
	out->header.id = tofu_wire_load64(in + 4);
	out->headers_len = (uint16_t)(lengths >> 16);
	out->body_len = (uint16_t)(lengths & 0xffff);
}

/**
 * May a peer send this frame at all, whatever the connection's state? False: an opcode over 9 or one that never travels;
 * origin engine; an internal bit; a status; a response with id 0; more on a message that is not regular.
 */
static inline bool tofu_wire_acceptable(const struct tofu_frame *frame)
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

#endif
