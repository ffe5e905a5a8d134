/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_MESSAGE_H
#define TOFU_MESSAGE_MESSAGE_H

/*
 * Floor 2: messages, text headers, the wire codec, the pool. No I/O, no threads of its own.
 * This header is what the reactor sees of a message.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/message.h>

struct tofu_pool;
struct tofu_holder; /* pool.h */

/** Where text headers or a body went that did not fit into the message. All zero: they did. data lies in a block (message.c). */
struct tofu_store {
	unsigned char *data;
	uint32_t cap;
};

/** What most messages fit into without a second allocation; of a notice, the text header that says why a channel has ended. */
enum { TOFU_MSG_SMALL_HEADERS = 64, TOFU_MSG_SMALL_BODY = 256, TOFU_NOTICE_SMALL_HEADERS = 38 };

/** What the processor moves between cores at once; where it is another, nothing but speed depends on it. */
enum { TOFU_CACHE_LINE = 64 };

/*
 * All that is looked at on the way of a small message is one cache line, and the first 64 bytes of its body are the next: two
 * lines go from the core that fills a message to the one that empties it, and back. What is seldom needed lies before them.
 */
struct tofu_msg {
	struct tofu_store grown_headers;
	struct tofu_store grown_body;

	_Alignas(uint64_t) struct tofu_msg *next; /* whoever owns the message links it: pool, mailbox, send queue */
	struct tofu_holder *holder; /* its pool's own, or of the channel that it came in on; NULL: it has no pool */
	struct tofu_header header;
	void *user;
	const struct tofu_msg
		*ahead; /* TOFU_AHEAD places after it in a group's batch: to be expected, never followed */
	uint32_t headers_len;
	uint32_t body_len;
	bool headers_grown; /* they are in grown_headers */
	bool body_grown;
	uint16_t small_headers; /* sizes of the small stores that follow; 0 body in a notice */
	uint16_t small_body;
	uint8_t before; /* bytes of its allocation that lie before it, so that next begins a cache line */

	_Alignas(16) unsigned char small[]; /* body, then text headers: a body filled in place is aligned */
};

/** One allocation. holder is only noted; the pool does the counting. NULL: no memory. */
struct tofu_msg *tofu_msg_create(struct tofu_holder *holder, uint16_t small_headers, uint16_t small_body);
void tofu_msg_destroy(struct tofu_msg *m);
/** Bytes that it holds outside of its small stores / give them up, with what is in them. */
static inline size_t tofu_msg_grown(const struct tofu_msg *m)
{
	return (m->headers_grown ? m->grown_headers.cap : 0u) + (size_t)(m->body_grown ? m->grown_body.cap : 0u);
}
void tofu_msg_shrink(struct tofu_msg *m);
/**
 * As tofu_msg_share(), but the copy is never one of those that its pool has free, as a notice is none: for what
 * is kept for long.
 */
enum tofu_status tofu_msg_share_apart(struct tofu_msg *m, struct tofu_msg **out);
/** If other messages have its body, too: let go of it. */
void tofu_msg_let_go(struct tofu_msg *m);

/** As tofu_msg_reset(). What it grew stays with it. */
static inline void tofu_msg_clear(struct tofu_msg *m)
{
	m->header = (struct tofu_header){ .opcode = TOFU_REQUEST };
	m->headers_len = 0;
	m->body_len = 0;
	m->user = NULL;
	if (m->body_grown)
		tofu_msg_let_go(m);
}

/** Views of what it has; valid until it is resized. Never NULL. */
static inline unsigned char *tofu_msg_body_data(const struct tofu_msg *m)
{
	return m->body_grown ? m->grown_body.data : (unsigned char *)m->small;
}

static inline unsigned char *tofu_msg_headers_data(const struct tofu_msg *m)
{
	return m->headers_grown ? m->grown_headers.data : (unsigned char *)m->small + m->small_body;
}

/** Where the first of its two lines is, as a number: with NULL, or a message that is there no more, an offset would be undefined. */
static inline uintptr_t tofu_msg_line(const struct tofu_msg *m)
{
	return (uintptr_t)m + offsetof(struct tofu_msg, next);
}

/**
 * Another core has written it, and it will be looked at soon: all of a message with a body of up to 64 bytes. NULL is fine, and
 * so is a message that is there no more: nothing is read.
 */
static inline void tofu_msg_expect(const struct tofu_msg *m)
{
	uintptr_t line = tofu_msg_line(m);

	__builtin_prefetch((const void *)line);
	__builtin_prefetch((const void *)(line + TOFU_CACHE_LINE));
}

/** How many messages may be on their way between cores at once: enough to hide how long one of them takes. */
enum { TOFU_AHEAD = 8 };

/** The same for who will write it: the other cores give up their copies now, and not when it is written. */
static inline void tofu_msg_claim(const struct tofu_msg *m)
{
	uintptr_t line = tofu_msg_line(m);

	__builtin_prefetch((const void *)line, 1);
	__builtin_prefetch((const void *)(line + TOFU_CACHE_LINE), 1);
}

/** A queue of messages, linked by next. All zero is the empty queue. It owns what is in it. */
struct tofu_msg_queue {
	struct tofu_msg *head;
	struct tofu_msg *tail;
	size_t count;
};

static inline void tofu_msg_queue_push(struct tofu_msg_queue *q, struct tofu_msg *m)
{
	m->next = NULL;
	if (q->tail == NULL)
		q->head = m;
	else
		q->tail->next = m;
	q->tail = m;
	q->count++;
}

static inline struct tofu_msg *tofu_msg_queue_pop(struct tofu_msg_queue *q)
{
	struct tofu_msg *m = q->head;

	if (m == NULL)
		return NULL;
	q->head = m->next;
	if (q->head == NULL)
		q->tail = NULL;
	q->count--;
	m->next = NULL;
	return m;
}

/** Move all of from to the end of to. */
void tofu_msg_queue_append(struct tofu_msg_queue *to, struct tofu_msg_queue *from);
/** Put every message of the queue back. */
void tofu_msg_queue_put(struct tofu_msg_queue *q);

/**
 * Make room for len bytes and set the length to it. The contents so far stay. On failure nothing changed: no memory, or
 * more than any message needs (TOFU_INVALID_HEADERS_LEN, TOFU_INVALID_BODY_LEN).
 */
enum tofu_status tofu_msg_headers_grow(struct tofu_msg *m,
                                       size_t len); /* these two for what did, or does, not fit into it */
enum tofu_status tofu_msg_body_grow(struct tofu_msg *m, size_t len);

static inline enum tofu_status tofu_msg_headers_resize(struct tofu_msg *m, size_t len)
{
	if (m->headers_grown || len > m->small_headers)
		return tofu_msg_headers_grow(m, len);
	m->headers_len = (uint32_t)len;
	return TOFU_OK;
}

static inline enum tofu_status tofu_msg_body_resize(struct tofu_msg *m, size_t len)
{
	if (m->body_grown || len > m->small_body)
		return tofu_msg_body_grow(m, len);
	m->body_len = (uint32_t)len;
	return TOFU_OK;
}

/* text headers as bytes, whoever sent them: text_headers.c */

/** As tofu_msg_headers_next(). Pure; reads nothing outside of data[0..len). */
size_t tofu_text_headers_next(const unsigned char *data, size_t len, size_t at, struct tofu_text_header *out);
/** Cut out every header of that name; all other lines stay as they are. Returns the length that is left. */
size_t tofu_text_headers_remove(unsigned char *data, size_t len, const char *name);
/**
 * Append "name: value" CR LF as it is, after a CR LF that the last line may lack. There is room for both. Returns the
 * new length.
 */
size_t tofu_text_headers_append(unsigned char *data, size_t len, const char *name, size_t name_len, const char *value,
                                size_t value_len);
/** The most bytes that appending adds. */
enum { TOFU_TEXT_HEADER_EXTRA = 6 };

/* opcodes: one table, opcode.c */

struct tofu_opcode_rule {
	const char *name; /* "HelloRequest" */
	enum tofu_opcode_type type;
	enum tofu_opcode_role role;
	bool travels; /* peer to peer, on the wire */
	bool posted;  /* by applications */
	int8_t echo;  /* the opcode that answers it, -1: none */
};

enum { TOFU_OPCODES = TOFU_WELCOME_RESPONSE + 1 };

extern const struct tofu_opcode_rule tofu_opcode_rules[TOFU_OPCODES];

/** NULL for a number that is no opcode. */
static inline const struct tofu_opcode_rule *tofu_opcode_rule(unsigned opcode)
{
	return opcode < TOFU_OPCODES ? &tofu_opcode_rules[opcode] : NULL;
}

#endif
