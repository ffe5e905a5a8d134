/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_WIRE_H
#define TOFU_MESSAGE_WIRE_H

/* The frame's sixteen bytes, big-endian (docs/protocol.md). */

#include <stdbool.h>
#include <stdint.h>

#include <tofu/message.h>

enum { TOFU_WIRE_HEADER = TOFU_FRAME_HEADER };

struct tofu_frame {
	struct tofu_header header;
	uint16_t headers_len;
	uint16_t body_len;
	uint8_t internal; /* bits 6-7 of the proto byte; 0 between well-behaved peers */
};

void tofu_wire_encode(const struct tofu_frame *frame, unsigned char out[TOFU_WIRE_HEADER]);
/** Takes the bytes as they are; tofu_wire_acceptable() judges. */
void tofu_wire_decode(const unsigned char in[TOFU_WIRE_HEADER], struct tofu_frame *out);

/**
 * May a peer send this frame at all, whatever the connection's state? False: an opcode over 9 or one that never travels;
 * origin engine; an internal bit; a status; a response with id 0; more on a message that is not regular.
 */
bool tofu_wire_acceptable(const struct tofu_frame *frame);

#endif
