/* SPDX-License-Identifier: MIT */
/*
 * A message: one allocation that holds the struct and two small stores, one for the text headers and one for the body.
 * Contents that do not fit move to memory of their own, which grows at least twofold and stays with the message when it
 * is reset; the pool bounds how much of that is kept.
 *
 * That memory is a block that counts who has it: a body can be shared by several messages, of any thread, each of which only
 * reads it. One that wants to change its body while others have it takes a block of its own first. The one that finds that it is the
 * only one stays that, for only an owner shares.
 *
 * What fails leaves the message as it was: memory is had first, then something changes. Messages come from a pool and
 * go back to it; tofu_msg_destroy() is for the pool, and for a message made without one.
 */

#include "message/message.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "message/pool.h"

/* More than this is a caller's mistake, not a message: 64 KiB travel. Sums of three such lengths fit into 32 bits. */
enum { BUF_MAX = 1 << 30 };

_Static_assert(offsetof(struct tofu_msg, small) - offsetof(struct tofu_msg, next) <= TOFU_CACHE_LINE, "one cache line");
_Static_assert(sizeof(struct tofu_header) == 16, "as the public header says");

struct block {
	atomic_uint owners;
	_Alignas(16) unsigned char bytes[];
};

static struct block *block_of(const struct tofu_store *s)
{
	return (struct block *)(void *)(s->data - offsetof(struct block, bytes));
}

static void store_drop(struct tofu_store *s)
{
	if (s->data != NULL && atomic_fetch_sub_explicit(&block_of(s)->owners, 1, memory_order_acq_rel) == 1)
		free(block_of(s));
	*s = (struct tofu_store){ 0 };
}

static bool store_is_shared(const struct tofu_store *s)
{
	return s->data != NULL && atomic_load_explicit(&block_of(s)->owners, memory_order_acquire) > 1;
}

/* One owner more. */
static struct tofu_store store_share(const struct tofu_store *s)
{
	atomic_fetch_add_explicit(&block_of(s)->owners, 1, memory_order_relaxed);
	return *s;
}

/* More room; what is in it stays. Only for one that is not shared, or empty. */
static enum tofu_status store_grow(struct tofu_store *s, uint32_t cap)
{
	struct block *block = realloc(s->data != NULL ? block_of(s) : NULL, sizeof *block + cap);

	if (block == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (s->data == NULL)
		atomic_init(&block->owners, 1);
	*s = (struct tofu_store){ .data = block->bytes, .cap = cap };
	return TOFU_OK;
}

/* A notice need not begin a cache line. There is one for each channel, so it is kept small. */
struct tofu_msg *tofu_msg_create(struct tofu_holder *holder, uint16_t small_headers_len, uint16_t small_body_len)
{
	/* One byte more: empty small stores are then inside, and no grown buffer can ever begin at their address. */
	size_t size = sizeof(struct tofu_msg) + small_headers_len + small_body_len + 1u;
	size_t line = small_body_len > 0 ? TOFU_CACHE_LINE : 1;
	unsigned char *memory = malloc(size + line - 1);
	struct tofu_msg *m;
	size_t before;

	if (memory == NULL)
		return NULL;
	before = -((uintptr_t)memory + offsetof(struct tofu_msg, next)) % line;
	m = (struct tofu_msg *)(void *)(memory + before);
	memset(m, 0, sizeof *m);
	m->before = (uint8_t)before;
	m->holder = holder;
	m->small_headers = small_headers_len;
	m->small_body = small_body_len;
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

void tofu_msg_shrink(struct tofu_msg *m)
{
	store_drop(&m->grown_headers);
	store_drop(&m->grown_body);
	m->headers_grown = m->body_grown = false;
	m->headers_len = m->body_len = 0;
}

void tofu_msg_let_go(struct tofu_msg *m)
{
	if (store_is_shared(&m->grown_body)) {
		store_drop(&m->grown_body);
		m->body_grown = false;
	}
}

void tofu_msg_reset(tofu_msg *msg)
{
	if (msg != NULL)
		tofu_msg_clear(msg);
}

void tofu_msg_put(tofu_msg **msg)
{
	struct tofu_msg *m = msg != NULL ? *msg : NULL;

	if (m == NULL)
		return;
	*msg = NULL;
	tofu_pool_put(m);
}

static struct tofu_msg *another_like(const struct tofu_msg *m)
{
	struct tofu_msg *copy = NULL;

	if (m->holder == NULL)
		return tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	(void)tofu_pool_get(m->holder->pool, TOFU_ALWAYS, &copy); /* NULL says it all: no memory */
	return copy;
}

static struct tofu_msg *apart_from(const struct tofu_msg *m)
{
	return m->holder != NULL ? tofu_pool_get_notice(m->holder->pool) : another_like(m);
}

static enum tofu_status copy_headers(struct tofu_msg *to, const struct tofu_msg *from)
{
	enum tofu_status st = tofu_msg_headers_resize(to, from->headers_len);

	if (st != TOFU_OK)
		return st;
	memcpy(tofu_msg_headers_data(to), tofu_msg_headers_data(from), from->headers_len);
	to->header = from->header;
	to->user = from->user;
	return TOFU_OK;
}

static enum tofu_status copy_body(struct tofu_msg *to, const struct tofu_msg *from)
{
	enum tofu_status st = tofu_msg_body_resize(to, from->body_len);

	if (st == TOFU_OK)
		memcpy(tofu_msg_body_data(to), tofu_msg_body_data(from), from->body_len);
	return st;
}

/* A small one is copied: that costs less. */
static enum tofu_status share_body(struct tofu_msg *to, const struct tofu_msg *from)
{
	if (!from->body_grown || from->body_len <= to->small_body)
		return copy_body(to, from);
	store_drop(&to->grown_body);
	to->grown_body = store_share(&from->grown_body);
	to->body_grown = true;
	to->body_len = from->body_len;
	return TOFU_OK;
}

typedef struct tofu_msg *make_fn(const struct tofu_msg *like);
typedef enum tofu_status fill_fn(struct tofu_msg *to, const struct tofu_msg *from);

static enum tofu_status another(const tofu_msg *msg, tofu_msg **out, make_fn *make, fill_fn *fill_body)
{
	struct tofu_msg *copy;
	enum tofu_status st;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	copy = make(msg);
	if (copy == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = copy_headers(copy, msg);
	if (st == TOFU_OK)
		st = fill_body(copy, msg);
	if (st != TOFU_OK) {
		tofu_msg_put(&copy);
		return st;
	}
	*out = copy;
	return TOFU_OK;
}

enum tofu_status tofu_msg_clone(const tofu_msg *msg, tofu_msg **out)
{
	return another(msg, out, another_like, copy_body);
}

enum tofu_status tofu_msg_share(tofu_msg *msg, tofu_msg **out)
{
	return another(msg, out, another_like, share_body);
}

enum tofu_status tofu_msg_share_apart(struct tofu_msg *m, struct tofu_msg **out)
{
	return another(m, out, apart_from, share_body);
}

struct tofu_header *tofu_msg_header(tofu_msg *msg)
{
	return msg != NULL ? &msg->header : NULL;
}

void **tofu_msg_user(tofu_msg *msg)
{
	return msg != NULL ? &msg->user : NULL;
}

static uint32_t body_cap(const struct tofu_msg *m)
{
	return m->body_grown ? m->grown_body.cap : m->small_body;
}

static uint32_t grown_cap(uint32_t cap, uint32_t need)
{
	uint32_t twice = cap < BUF_MAX / 2 ? cap * 2 : BUF_MAX;

	return twice > need ? twice : need;
}

/* Room for len bytes in a store of its own; if it had none, the first `used` bytes of the small one move there. */
static enum tofu_status grow(struct tofu_store *store, const unsigned char *small, uint32_t used, uint32_t cap,
                             size_t len)
{
	bool first = store->data == NULL;
	enum tofu_status st = store_grow(store, grown_cap(cap, (uint32_t)len));

	if (st == TOFU_OK && first)
		memcpy(store->data, small, used);
	return st;
}

enum tofu_status tofu_msg_headers_grow(struct tofu_msg *m, size_t len)
{
	uint32_t cap = m->headers_grown ? m->grown_headers.cap : m->small_headers;

	if (len > BUF_MAX)
		return TOFU_INVALID_HEADERS_LEN;
	if (len > cap) {
		enum tofu_status st = grow(&m->grown_headers, m->small + m->small_body, m->headers_len, cap, len);

		if (st != TOFU_OK)
			return st;
		m->headers_grown = true;
	}
	m->headers_len = (uint32_t)len;
	return TOFU_OK;
}

/* Others have the body's block, too, and it is going to be changed: have one of its own with room for len bytes, the first `keep`
 * as they are; or none, if they fit into the message. */
static enum tofu_status part_body(struct tofu_msg *m, size_t len, size_t keep)
{
	struct tofu_store own = { 0 };
	unsigned char *to = m->small;

	if (len > m->small_body) {
		enum tofu_status st = store_grow(&own, (uint32_t)len);

		if (st != TOFU_OK)
			return st;
		to = own.data;
	}
	memcpy(to, m->grown_body.data, keep);
	store_drop(&m->grown_body);
	m->grown_body = own;
	m->body_grown = own.data != NULL;
	return TOFU_OK;
}

enum tofu_status tofu_msg_body_grow(struct tofu_msg *m, size_t len)
{
	uint32_t cap = body_cap(m);

	if (len > BUF_MAX)
		return TOFU_INVALID_BODY_LEN;
	if (m->body_grown && store_is_shared(&m->grown_body)) {
		enum tofu_status st = part_body(m, len, len < m->body_len ? len : m->body_len);

		if (st != TOFU_OK)
			return st;
	} else if (len > cap) {
		enum tofu_status st = grow(&m->grown_body, m->small, m->body_len, cap, len);

		if (st != TOFU_OK)
			return st;
		m->body_grown = true;
	}
	m->body_len = (uint32_t)len;
	return TOFU_OK;
}

/* Where in the body data lies, or -1: a part of the body may be copied within it, though growing moves it. */
static ptrdiff_t offset_in_body(const struct tofu_msg *m, const void *data)
{
	uintptr_t start = (uintptr_t)tofu_msg_body_data(m);
	uintptr_t at = (uintptr_t)data;

	return at >= start && at - start < body_cap(m) ? (ptrdiff_t)(at - start) : -1;
}

/* It has to grow for that, or is not its own. */
static enum tofu_status body_write_anew(struct tofu_msg *m, size_t keep, const void *data, size_t len)
{
	bool shared = m->body_grown && store_is_shared(&m->grown_body);
	ptrdiff_t inside = shared ? -1 : offset_in_body(m, data);
	struct tofu_store old = { 0 };
	enum tofu_status st;

	if (shared)
		old = store_share(&m->grown_body); /* data may lie there, and others may let go of it */
	st = tofu_msg_body_resize(m, keep + len);
	if (st == TOFU_OK && len > 0)
		memmove(tofu_msg_body_data(m) + keep, inside >= 0 ? tofu_msg_body_data(m) + inside : data, len);
	store_drop(&old);
	return st;
}

/* The body becomes its first keep bytes and then len bytes of data. */
static inline enum tofu_status body_write(struct tofu_msg *m, size_t keep, const void *data, size_t len)
{
	if (data == NULL && len > 0)
		return TOFU_NOT_ALLOWED;
	if (len > BUF_MAX)
		return TOFU_INVALID_BODY_LEN;
	if (keep + len > body_cap(m) || (m->body_grown && store_is_shared(&m->grown_body)))
		return body_write_anew(m, keep, data, len);
	if (len > 0)
		memmove(tofu_msg_body_data(m) + keep, data, len);
	m->body_len = (uint32_t)(keep + len);
	return TOFU_OK;
}

enum tofu_status tofu_msg_body_set(tofu_msg *msg, const void *data, size_t len)
{
	return msg != NULL ? body_write(msg, 0, data, len) : TOFU_NULL_MESSAGE;
}

enum tofu_status tofu_msg_body_append(tofu_msg *msg, const void *data, size_t len)
{
	return msg != NULL ? body_write(msg, msg->body_len, data, len) : TOFU_NULL_MESSAGE;
}

enum tofu_status tofu_msg_body_reserve(tofu_msg *msg, size_t len, void **out)
{
	enum tofu_status st = msg != NULL ? tofu_msg_body_resize(msg, len) : TOFU_NULL_MESSAGE;

	if (out != NULL)
		*out = st == TOFU_OK ? tofu_msg_body_data(msg) : NULL;
	return st;
}

const void *tofu_msg_body(const tofu_msg *msg, size_t *len)
{
	if (len != NULL)
		*len = msg != NULL ? msg->body_len : 0;
	return msg != NULL ? tofu_msg_body_data(msg) : NULL;
}
