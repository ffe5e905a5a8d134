/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_RAW_H
#define TOFU_TESTS_RAW_H

/*
 * A peer that is not ours: a plain socket, and frames made by hand, so that it can say what no engine would. The bytes are
 * laid out here a second time on purpose: the library's codec is not asked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/tofu.h>

/* The proto byte. */
enum { RAW_ENGINE = 0x10, RAW_MORE = 0x20, RAW_INTERNAL_1 = 0x40, RAW_INTERNAL_2 = 0x80 };

struct raw_frame {
	uint16_t channel;
	uint8_t proto; /* opcode and the bits above */
	uint8_t status;
	uint64_t id;
	uint16_t headers_len;
	uint16_t body_len;
	const void *headers; /* of a frame that is sent; NULL: zeroes */
	const void *body;
};

enum { RAW_HEADER = 16, RAW_FRAME_MAX = RAW_HEADER + 65535 + 65535 };

/** The bytes of a frame; how many. */
size_t raw_encode(const struct raw_frame *frame, unsigned char *out);

struct raw {
	intptr_t socket;
	struct tofu_link tls; /* what the bytes go through, if its state is not NULL */
	char headers[65536];  /* of the frame read last, terminated */
	char body[65536];
};

/** Connect to "tcp|host|port", "uds|path" or "tls|host|port". */
void raw_call(struct raw *peer, const char *address);
/** Make a peer of a plain socket that is connected. */
void raw_take(struct raw *peer, intptr_t connected);
/** A listener of that transport, and its address to call. */
intptr_t raw_listen(int transport, char *address, size_t capacity);
/** The next one that calls it. */
void raw_accept(struct raw *peer, intptr_t listener);
void raw_hang_up(struct raw *peer, enum tofu_close how);
/** Send FIN, go on reading. */
void raw_half_close(struct raw *peer);

void raw_write(struct raw *peer, const void *data, size_t len);
void raw_send(struct raw *peer, const struct raw_frame *frame);
/** A frame with a text as its body. */
void raw_say(struct raw *peer, unsigned proto, uint64_t id, const char *text);
/** A proper HelloRequest. */
void raw_hello(struct raw *peer, uint64_t id);
/** A numbered signal, as number_body(). */
void raw_number(struct raw *peer, uint64_t number, size_t len);

/** The next whole frame; false: the connection ended before it. Ends the test if neither happens in time. */
bool raw_read(struct raw *peer, struct raw_frame *out);
/** The next frame has this proto byte. */
struct raw_frame raw_expect(struct raw *peer, unsigned proto);

#endif
