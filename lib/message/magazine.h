/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_MAGAZINE_H
#define TOFU_MESSAGE_MAGAZINE_H

/*
 * Free messages that a thread has at hand, so that it needs the pool's lock once for many of them. A thread finds its magazine
 * by its number; threads may share one, and find it taken now and then. What is in a magazine is free like what is in the stack:
 * the pool counts it, and fetches it when the stack has too few.
 */

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "message/message.h"
#include "platform/platform.h"

enum { TOFU_MAGAZINES = 16, TOFU_MAGAZINE_MAX = 32 };

struct tofu_magazine {
	struct tofu_visit_lock lock; /* all below; the counts are also read without */
	_Atomic uint32_t count;
	_Atomic uint64_t hits; /* gets */
	struct tofu_msg *msgs[TOFU_MAGAZINE_MAX];
	unsigned char apart[TOFU_CACHE_LINE];
};

static inline uint32_t tofu_magazine_count(const struct tofu_magazine *z)
{
	return atomic_load_explicit(&z->count, memory_order_relaxed);
}

/* After the message is in, or before it is out: a thread that the end of a process stops in between leaves no message twice. */
static inline void tofu_magazine_set_count(struct tofu_magazine *z, uint32_t count)
{
	atomic_store_explicit(&z->count, count, memory_order_release);
}

/** With the lock. NULL: it is empty. */
static inline struct tofu_msg *tofu_magazine_pop(struct tofu_magazine *z)
{
	uint32_t count = tofu_magazine_count(z);

	if (count == 0)
		return NULL;
	count--;
	tofu_magazine_set_count(z, count);
	atomic_store_explicit(&z->hits, atomic_load_explicit(&z->hits, memory_order_relaxed) + 1, memory_order_relaxed);
	if (count > 0)
		tofu_msg_claim(z->msgs[count - 1]); /* the next one out */
	return z->msgs[count];
}

/** With the lock; there is room. */
static inline void tofu_magazine_push(struct tofu_magazine *z, struct tofu_msg *m)
{
	uint32_t count = tofu_magazine_count(z);

	z->msgs[count] = m;
	tofu_magazine_set_count(z, count + 1);
}

/** With the lock: take out the n that were put in last. */
static inline void tofu_magazine_take(struct tofu_magazine *z, struct tofu_msg **out, uint32_t n)
{
	uint32_t left = tofu_magazine_count(z) - n;

	tofu_magazine_set_count(z, left);
	memcpy(out, z->msgs + left, n * sizeof out[0]);
}

#endif
