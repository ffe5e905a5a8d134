/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_POOL_H
#define TOFU_MESSAGE_POOL_H

/*
 * The messages of an engine. Lives as long as its engine or the last message that was taken from it, whichever is later.
 * Any thread may call; each call is a short lock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/message.h"

struct tofu_pool;

struct tofu_pool_counts {
	uint64_t hits;   /* gets served by the pool */
	uint64_t misses; /* gets that found it empty */
	uint64_t free;   /* messages in it now */
	uint64_t out;    /* its messages that are not in it now */
};

/** Called, under no lock, when a message was put into a pool that had run empty under tofu_pool_get_or_wait(). */
typedef void tofu_pool_refilled_fn(void *context);

/** initial messages are allocated now; up to max are kept when put back (max < initial: as initial; at least 1). */
enum tofu_status tofu_pool_create(size_t initial, size_t max, tofu_pool_refilled_fn *refilled, void *context,
                                  struct tofu_pool **out);
/**
 * The engine is done with it: no more refilled calls; waits for one that is under way on another thread, so never call
 * it from there. Freed with the last message. NULL is fine.
 */
void tofu_pool_destroy(struct tofu_pool *pool);

/** Around a fork(), on the forking thread: nothing changes in between. */
void tofu_pool_hold(struct tofu_pool *pool);
void tofu_pool_go_on(struct tofu_pool *pool);

/** As tofu_msg_get(). */
enum tofu_status tofu_pool_get(struct tofu_pool *pool, enum tofu_alloc from, struct tofu_msg **out);
/**
 * From the pool only; NULL if it is empty, and then the next put calls refilled, once.
 *
 * queued is how many messages wait to be sent. They have a bound of their own, and must not count here: if they were all of
 * the pool, and the same at the peer, neither end would ever read again. So as many may be added to the pool as wait.
 */
struct tofu_msg *tofu_pool_get_or_wait(struct tofu_pool *pool, size_t queued);
/**
 * The same, but up to `most` messages, and never more than a quarter of what is free: for a reader that expects many. Returns
 * how many. What it has not used when its turn ends it puts back, the last one first.
 */
size_t tofu_pool_get_some_or_wait(struct tofu_pool *pool, size_t queued, struct tofu_msg **out, size_t most);
void tofu_pool_put_unused(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n);
/** Is one to be had now? If not, the next put calls refilled, once. */
bool tofu_pool_has_or_wait(struct tofu_pool *pool, size_t queued);
/**
 * A message for a notice of the engine: never one of the pool's free messages, so notices work when it is empty. Kept
 * apart when put back, so a warm engine allocates none. NULL: no memory.
 */
struct tofu_msg *tofu_pool_get_notice(struct tofu_pool *pool);

/** Put back a chain of messages linked by next, all of this or other pools. Resets each. */
void tofu_pool_put_all(struct tofu_msg *chain);

void tofu_pool_counts(struct tofu_pool *pool, struct tofu_pool_counts *out);

#endif
