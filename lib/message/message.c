/* SPDX-License-Identifier: MIT */
/*
 * A message: one allocation that holds the struct and two small stores, one for the text headers and one for the body.
 * Contents that do not fit move to memory of their own, which grows at least twofold and stays with the message when it
 * is reset; the pool bounds how much of that is kept.
 *
 * What fails leaves the message as it was: memory is had first, then something changes. Messages come from a pool and
 * go back to it; tofu_msg_destroy() is for the pool, and for a message made without one.
 */

#include "message/message.h"

#include <stdlib.h>
#include <string.h>

#include "message/pool.h"

/* More than this is a caller's mistake, not a message: 64 KiB travel. Sums of three such lengths fit into 32 bits. */
enum { BUF_MAX = 1 << 30 };

static unsigned char *small_body(const struct tofu_msg *m)
{
	return (unsigned char *)m->small;
}

static unsigned char *small_headers(const struct tofu_msg *m)
{
	return (unsigned char *)m->small + m->small_body;
}

static void use_small_stores(struct tofu_msg *m)
{
	m->headers = (struct tofu_buf){ .data = small_headers(m), .cap = m->small_headers };
	m->body = (struct tofu_buf){ .data = small_body(m), .cap = m->small_body };
}

struct tofu_msg *tofu_msg_create(struct tofu_pool *pool, uint16_t small_headers_len, uint16_t small_body_len)
{
	/* One byte more: empty small stores are then inside, and no grown buffer can ever begin at their address. */
	size_t size = sizeof(struct tofu_msg) + small_headers_len + small_body_len + 1u;
	unsigned char *memory = malloc(size + TOFU_CACHE_LINE - 1);
	struct tofu_msg *m;
	size_t before;

	if (memory == NULL)
		return NULL;
	before = -(uintptr_t)memory % TOFU_CACHE_LINE;
	m = (struct tofu_msg *)(void *)(memory + before);
	memset(m, 0, sizeof *m);
	m->before = (uint8_t)before;
	m->pool = pool;
	m->small_headers = small_headers_len;
	m->small_body = small_body_len;
	use_small_stores(m);
	/* cppcheck-suppress memleak ; m lies in it */
	return m;
}

void tofu_msg_destroy(struct tofu_msg *m)
{
	if (m == NULL)
		return;
	tofu_msg_shrink(m);
	free((unsigned char *)m - m->before);
}

size_t tofu_msg_grown(const struct tofu_msg *m)
{
	size_t grown = 0;

	if (m->headers.data != small_headers(m))
		grown += m->headers.cap;
	if (m->body.data != small_body(m))
		grown += m->body.cap;
	return grown;
}

void tofu_msg_shrink(struct tofu_msg *m)
{
	if (m->headers.data != small_headers(m))
		free(m->headers.data);
	if (m->body.data != small_body(m))
		free(m->body.data);
	use_small_stores(m);
}

void tofu_msg_reset(tofu_msg *msg)
{
	if (msg == NULL)
		return;
	msg->header = (struct tofu_header){ .opcode = TOFU_REQUEST };
	msg->headers.len = 0;
	msg->body.len = 0;
	msg->user = NULL;
}

void tofu_msg_put(tofu_msg **msg)
{
	struct tofu_msg *m = msg != NULL ? *msg : NULL;

	if (m == NULL)
		return;
	*msg = NULL;
	m->next = NULL;
	tofu_pool_put_all(m);
}

static struct tofu_msg *another_like(const struct tofu_msg *m)
{
	struct tofu_msg *copy = NULL;

	if (m->pool == NULL)
		return tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	(void)tofu_pool_get(m->pool, TOFU_ALWAYS, &copy); /* NULL says it all: no memory */
	return copy;
}

static enum tofu_status copy_contents(struct tofu_msg *to, const struct tofu_msg *from)
{
	enum tofu_status st = tofu_msg_headers_resize(to, from->headers.len);

	if (st == TOFU_OK)
		st = tofu_msg_body_resize(to, from->body.len);
	if (st != TOFU_OK)
		return st;
	memcpy(to->headers.data, from->headers.data, from->headers.len);
	memcpy(to->body.data, from->body.data, from->body.len);
	to->header = from->header;
	to->user = from->user;
	return TOFU_OK;
}

enum tofu_status tofu_msg_clone(const tofu_msg *msg, tofu_msg **out)
{
	struct tofu_msg *copy;
	enum tofu_status st;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	copy = another_like(msg);
	if (copy == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = copy_contents(copy, msg);
	if (st != TOFU_OK) {
		tofu_msg_put(&copy);
		return st;
	}
	*out = copy;
	return TOFU_OK;
}

struct tofu_header *tofu_msg_header(tofu_msg *msg)
{
	return msg != NULL ? &msg->header : NULL;
}

void **tofu_msg_user(tofu_msg *msg)
{
	return msg != NULL ? &msg->user : NULL;
}

static uint32_t grown_cap(uint32_t cap, uint32_t need)
{
	uint32_t twice = cap < BUF_MAX / 2 ? cap * 2 : BUF_MAX;

	return twice > need ? twice : need;
}

enum tofu_status tofu_buf_resize(struct tofu_buf *b, const unsigned char *small, size_t len)
{
	bool in_small = b->data == small;
	unsigned char *data;
	uint32_t cap;

	if (len > BUF_MAX)
		return TOFU_LIMIT_REACHED;
	if (len <= b->cap) {
		b->len = (uint32_t)len;
		return TOFU_OK;
	}
	cap = grown_cap(b->cap, (uint32_t)len);
	data = realloc(in_small ? NULL : b->data, cap);
	if (data == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (in_small)
		memcpy(data, b->data, b->len);
	*b = (struct tofu_buf){ .data = data, .len = (uint32_t)len, .cap = cap };
	return TOFU_OK;
}

enum tofu_status tofu_msg_headers_resize(struct tofu_msg *m, size_t len)
{
	enum tofu_status st = tofu_buf_resize(&m->headers, small_headers(m), len);

	return st == TOFU_LIMIT_REACHED ? TOFU_INVALID_HEADERS_LEN : st;
}

enum tofu_status tofu_msg_body_resize(struct tofu_msg *m, size_t len)
{
	enum tofu_status st = tofu_buf_resize(&m->body, small_body(m), len);

	return st == TOFU_LIMIT_REACHED ? TOFU_INVALID_BODY_LEN : st;
}

/* Where in the body data lies, or -1: a part of the body may be copied within it, though growing moves it. */
static ptrdiff_t offset_in_body(const struct tofu_msg *m, const void *data)
{
	uintptr_t start = (uintptr_t)m->body.data;
	uintptr_t at = (uintptr_t)data;

	return at >= start && at - start < m->body.cap ? (ptrdiff_t)(at - start) : -1;
}

/* The body becomes its first keep bytes and then len bytes of data. */
static enum tofu_status body_write(struct tofu_msg *m, size_t keep, const void *data, size_t len)
{
	ptrdiff_t inside = offset_in_body(m, data);
	enum tofu_status st;

	if (data == NULL && len > 0)
		return TOFU_NOT_ALLOWED;
	if (len > BUF_MAX)
		return TOFU_INVALID_BODY_LEN;
	st = tofu_msg_body_resize(m, keep + len);
	if (st != TOFU_OK || len == 0)
		return st;
	memmove(m->body.data + keep, inside >= 0 ? m->body.data + inside : data, len);
	return TOFU_OK;
}

enum tofu_status tofu_msg_body_set(tofu_msg *msg, const void *data, size_t len)
{
	return msg != NULL ? body_write(msg, 0, data, len) : TOFU_NULL_MESSAGE;
}

enum tofu_status tofu_msg_body_append(tofu_msg *msg, const void *data, size_t len)
{
	return msg != NULL ? body_write(msg, msg->body.len, data, len) : TOFU_NULL_MESSAGE;
}

enum tofu_status tofu_msg_body_reserve(tofu_msg *msg, size_t len, void **out)
{
	enum tofu_status st = msg != NULL ? tofu_msg_body_resize(msg, len) : TOFU_NULL_MESSAGE;

	if (out != NULL)
		*out = st == TOFU_OK ? msg->body.data : NULL;
	return st;
}

const void *tofu_msg_body(const tofu_msg *msg, size_t *len)
{
	if (len != NULL)
		*len = msg != NULL ? msg->body.len : 0;
	return msg != NULL ? msg->body.data : NULL;
}
