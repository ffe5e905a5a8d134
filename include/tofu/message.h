/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_H
#define TOFU_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A message: a header, text headers, a body, and a pointer for the application. One thread at a time may use it. */
typedef struct tofu_msg tofu_msg;

/** An engine: an I/O thread, unless the callers do its work; a message pool; up to 65534 channels. See <tofu/engine.h>. */
typedef struct tofu_engine tofu_engine;

/** What a message is for. The numbers are those on the wire. */
enum tofu_opcode {
	TOFU_REQUEST = 0,
	TOFU_RESPONSE = 1,
	TOFU_SIGNAL = 2,
	TOFU_HELLO_REQUEST = 3,
	TOFU_HELLO_RESPONSE = 4,
	TOFU_BYE_REQUEST = 5,
	TOFU_BYE_RESPONSE = 6,
	TOFU_BYE_SIGNAL = 7,
	TOFU_WELCOME_REQUEST = 8,
	TOFU_WELCOME_RESPONSE = 9
};

/** What an opcode belongs to, and which part it plays in it. */
enum tofu_opcode_type { TOFU_TYPE_REGULAR = 0, TOFU_TYPE_WELCOME = 1, TOFU_TYPE_HELLO = 2, TOFU_TYPE_BYE = 3 };
enum tofu_opcode_role { TOFU_ROLE_REQUEST = 0, TOFU_ROLE_RESPONSE = 1, TOFU_ROLE_SIGNAL = 2 };

/**
 * What is true of an opcode: its name, for logs and tests ("HelloRequest"; "unknown_opcode" for a number that is none; static
 * text, never freed, never NULL); its enum tofu_opcode_type and enum tofu_opcode_role, -1 for a number that is none; and the
 * opcode that answers it, -1 if there is none: a request's response, and a Signal for a Signal.
 * Threads: any. Blocks: no.
 */
const char *tofu_opcode_name(int opcode);
int tofu_opcode_type(int opcode);
int tofu_opcode_role(int opcode);
int tofu_opcode_echo(int opcode);

/** Who made a message: a peer's or this process's application, or the engine (a notice; its status says what happened). */
enum tofu_origin { TOFU_ORIGIN_APPLICATION = 0, TOFU_ORIGIN_ENGINE = 1 };

/** Where tofu_msg_get() may take a message from. */
enum tofu_alloc {
	TOFU_POOL_ONLY = 0, /* the engine's pool, or TOFU_POOL_EMPTY */
	TOFU_ALWAYS = 1     /* the pool, or else new memory */
};

/** The most bytes that the text headers of a message may have, and the most that its body may have. tofu_post() checks. */
enum tofu_limits { TOFU_HEADERS_MAX = 65535, TOFU_BODY_MAX = 65535 };

/** The binary header. Sixteen bytes; the two lengths of the wire are not in it, they follow from the contents. */
struct tofu_header {
	uint64_t id;      /* correlation id; 0: tofu_post() assigns the next one of the process */
	uint16_t channel; /* 1..65534; 0: not assigned yet */
	uint8_t opcode;   /* enum tofu_opcode */
	uint8_t origin;   /* enum tofu_origin; set by the engine */
	uint8_t more;     /* 0 or 1: others of the same id follow; regular messages only */
	uint8_t status;   /* enum tofu_status; set by the engine */
	uint8_t reason; /* enum tofu_status: in the last word on a channel what ended it, 0 in all others; set by the engine */
};

/** One text header, as views into the message: not terminated, valid until the message's headers change. */
struct tofu_text_header {
	const char *name;
	size_t name_len;
	const char *value;
	size_t value_len;
};

/**
 * Take a message out of an engine's pool: an empty Request.
 * Ownership: the caller's, until tofu_msg_put() or a successful tofu_post() or tofu_update_receiver(). It may outlive
 *            its engine. On failure *out is NULL.
 * Threads:   any. Blocks: no (a short lock on the pool).
 * Errors:    TOFU_POOL_EMPTY (TOFU_POOL_ONLY), TOFU_ALLOCATION_FAILED (TOFU_ALWAYS), TOFU_NOT_ALLOWED (NULL argument, or
 *            in a child after fork()).
 */
enum tofu_status tofu_msg_get(tofu_engine *engine, enum tofu_alloc from, tofu_msg **out);

/**
 * Give a message back: to its pool, or to the system when the pool is full. Sets *msg to NULL; NULL and a pointer to
 * NULL are fine.
 * Threads: any. Blocks: no. May wake an engine that waited for a message to receive into.
 */
void tofu_msg_put(tofu_msg **msg);

/**
 * A copy: header, text headers, body and user pointer. The source stays as it is.
 * Ownership: the copy is the caller's; on failure *out is NULL.
 * Threads:   any, one at a time for the source. Blocks: no.
 * Errors:    TOFU_ALLOCATION_FAILED, TOFU_NULL_MESSAGE, TOFU_NOT_ALLOWED (out NULL).
 */
enum tofu_status tofu_msg_clone(const tofu_msg *msg, tofu_msg **out);

/**
 * A copy that shares the body with its source, without copying it: for one body to many channels. A message that changes a shared
 * body gets a copy of its own first. Do not write any more through a pointer that tofu_msg_body_reserve() gave before. A body
 * of up to 256 bytes is copied at once.
 * Ownership, threads, errors: as tofu_msg_clone(). The messages may then be used by different threads.
 */
enum tofu_status tofu_msg_share(tofu_msg *msg, tofu_msg **out);

/**
 * Would tofu_post() take it? All that can be said of a message without an engine; whether its channel is open, and has room, is not
 * in it.
 * Threads: any, one at a time for the message. Blocks: no.
 * Errors:  TOFU_NULL_MESSAGE; those of tofu_post() about opcode, id, more, channel 0, address header and lengths.
 */
enum tofu_status tofu_msg_check(const tofu_msg *msg);

/** The bytes of a frame on the wire: its binary header, and the most that a whole one has. */
enum tofu_frame_len { TOFU_FRAME_HEADER = 16, TOFU_FRAME_MAX = TOFU_FRAME_HEADER + TOFU_HEADERS_MAX + TOFU_BODY_MAX };

/**
 * Write a message as the frame that travels (docs/protocol.md), for tools and tests: as it is, whether it may be sent or not.
 * Units:  capacity bytes at out, which may be NULL if that is 0. *len: the bytes that the frame has, also when they do not fit; 0
 *         on other failures.
 * Errors: TOFU_LIMIT_REACHED (more than capacity: nothing was written); TOFU_INVALID_OP_CODE (over 15), TOFU_INVALID_MORE_USAGE
 *         (over 1), TOFU_INVALID_MESSAGE (origin over 1): they do not fit into a frame; TOFU_INVALID_HEADERS_LEN,
 *         TOFU_INVALID_BODY_LEN, TOFU_NULL_MESSAGE, TOFU_NOT_ALLOWED (len NULL, or out NULL and capacity not 0).
 */
enum tofu_status tofu_msg_encode(const tofu_msg *msg, void *out, size_t capacity, size_t *len);

/**
 * Make it what the frame at data says, for tools and tests: header, text headers and body; the user pointer stays. Whether a peer
 * may send it is not judged; tofu_msg_check() says most of that.
 * Units:  len bytes are there, perhaps of several frames. *used: the bytes of this one. If they are not all there: as many as
 *         are needed to go on, 16 at first. 0 on other failures. data must not lie in the message.
 * Errors: TOFU_WOULD_BLOCK (not all there yet), TOFU_PROTOCOL_VIOLATION (a bit is set that no message can have),
 *         TOFU_ALLOCATION_FAILED, TOFU_NULL_MESSAGE, TOFU_NOT_ALLOWED (used NULL, or data NULL and len not 0). The message is
 *         unchanged then.
 */
enum tofu_status tofu_msg_decode(tofu_msg *msg, const void *data, size_t len, size_t *used);

/**
 * An id for a message that is still to be posted: the next one of the process, as tofu_post() assigns it where the id is 0. Never
 * 0, and no other call nor post of this process gets the same; a child after fork() goes on where its parent was.
 * Threads: any, at the same time. Blocks: no.
 */
uint64_t tofu_next_id(void);

/** The binary header, to read and to write. Valid as long as the message; NULL only for NULL. */
struct tofu_header *tofu_msg_header(tofu_msg *msg);

/**
 * Append the text header "name: value". Spaces and tabs around either are cut off.
 * Units:  both are terminated strings of any encoding without CR and LF.
 * Errors: TOFU_INVALID_MESSAGE (an empty name or value, CR or LF in either, ':' in the name), TOFU_INVALID_HEADERS_LEN (more
 *         than 1 GiB in all), TOFU_ALLOCATION_FAILED, TOFU_NULL_MESSAGE. The message is unchanged then. Text headers over
 *         TOFU_HEADERS_MAX can be built, but not posted.
 */
enum tofu_status tofu_msg_headers_add(tofu_msg *msg, const char *name, const char *value);

/**
 * Append text headers as they lie on the wire: lines "name: value" ended by CR LF, which may be missing after the last. They are
 * copied byte by byte, and checked: what tofu_msg_headers_add() would refuse is refused here; empty lines are fine.
 * Units:  len bytes, not terminated; lines may be NULL when len is 0. They may lie in the message.
 * Errors: as tofu_msg_headers_add(), and TOFU_NOT_ALLOWED (lines NULL, len not 0). The message is unchanged then.
 */
enum tofu_status tofu_msg_headers_append(tofu_msg *msg, const char *lines, size_t len);

/**
 * Append all text headers of another message, as they are, also what a peer sent that tofu_msg_headers_append() would refuse. The
 * other one stays as it is, and may be msg itself.
 * Threads: one at a time for each of the two. Blocks: no.
 * Errors:  TOFU_ALLOCATION_FAILED, TOFU_INVALID_HEADERS_LEN (more than 1 GiB in all), TOFU_NULL_MESSAGE. Unchanged then.
 */
enum tofu_status tofu_msg_headers_copy(tofu_msg *msg, const tofu_msg *from);

/** Cut out every text header of that name (exact match); all others stay as they are. Returns how many there were. */
size_t tofu_msg_headers_remove(tofu_msg *msg, const char *name);

/** Cut out all text headers. Keeps the memory. NULL is fine. */
void tofu_msg_headers_clear(tofu_msg *msg);

/**
 * The value of the first text header of that name (exact match).
 * Returns a view, not terminated, valid until the headers change, its length in *value_len; NULL (and 0) if there is none.
 */
const char *tofu_msg_headers_find(const tofu_msg *msg, const char *name, size_t *value_len);

/**
 * Walk the text headers: pass 0 first, then what the last call returned, until it returns 0.
 *
 *     for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &h)) != 0;)
 *
 * Lines that are no header (no name) are skipped: what a peer sent is walked, not judged.
 */
size_t tofu_msg_headers_next(const tofu_msg *msg, size_t at, struct tofu_text_header *out);

/**
 * Replace the body by a copy of len bytes (data may be NULL when len is 0). tofu_msg_body_append() adds to it instead.
 * Errors: TOFU_ALLOCATION_FAILED (the body is unchanged), TOFU_NULL_MESSAGE, TOFU_INVALID_BODY_LEN (more than
 *         1 GiB), TOFU_NOT_ALLOWED (data NULL, len not 0). A body over TOFU_BODY_MAX can be built, but not posted.
 */
enum tofu_status tofu_msg_body_set(tofu_msg *msg, const void *data, size_t len);
enum tofu_status tofu_msg_body_append(tofu_msg *msg, const void *data, size_t len);

/**
 * Make the body len bytes long and give a pointer to fill them in place. What was there stays, as far as it fits; the rest
 * is undefined until written. The pointer is valid until the body changes or is shared. tofu_msg_body_reserve(msg, 0, NULL) clears.
 * Errors: as tofu_msg_body_set(); *out is NULL then.
 */
enum tofu_status tofu_msg_body_reserve(tofu_msg *msg, size_t len, void **out);

/** The body: a view of *len bytes, valid until it changes. Not NULL, even if empty, unless msg is NULL. */
const void *tofu_msg_body(const tofu_msg *msg, size_t *len);

/** Make it as tofu_msg_get() gave it: an empty Request, user pointer NULL. Keeps the memory. */
void tofu_msg_reset(tofu_msg *msg);

/** A pointer's worth of room for the application. It does not travel and is never followed. */
void **tofu_msg_user(tofu_msg *msg);

/**
 * Make it a HelloRequest to that address / a WelcomeRequest for that address, on channel 0, by the text header
 * "~connect_to" / "~listen_on". Other text headers and the body stay; an earlier address is replaced, and "~detail" goes,
 * which said what was wrong with it.
 * Units:  "tcp|HOST|PORT", "uds|PATH", any other "scheme|rest", or a URL: "tcp://HOST:PORT", "tcp://[::1]:PORT",
 *         "unix:///PATH", "unix:PATH" (PATH may be relative). To listen, an empty HOST means every interface, PORT 0 any
 *         free port, an empty PATH a new socket file in the temporary directory. At most 512 bytes. The forms are those of the
 *         transports that are registered in the message's engine by now. While there are none, tofu_post() judges the form.
 * Errors: TOFU_INVALID_ADDRESS (none of these forms, too long; to connect, an empty HOST or PATH, or PORT 0),
 *         TOFU_INVALID_HEADERS_LEN, TOFU_ALLOCATION_FAILED, TOFU_NULL_MESSAGE. The message is unchanged then.
 */
enum tofu_status tofu_msg_connect_to(tofu_msg *msg, const char *address);
enum tofu_status tofu_msg_listen_on(tofu_msg *msg, const char *address);

#ifdef __cplusplus
}
#endif

#endif
