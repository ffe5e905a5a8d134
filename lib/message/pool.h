/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_POOL_H
#define TOFU_MESSAGE_POOL_H

/*
 * The messages of an engine. Lives as long as its engine or the last message that was taken from it, whichever is later.
 * Any thread may call. A call is a short lock; for one message it is not even that, most of the time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/address.h"
#include "message/message.h"

struct tofu_pool;

/*
 * What one channel holds of a pool: messages that came in on it, wait or are with the application, and are not yet put
 * back or posted. The reactor counts them in the channel's share. A thread that puts or posts one counts it out in the
 * holder, which has a cache line of its own. The reactor looks at that line only when the channel may have had its share.
 *
 * Holders belong to the pool: messages may outlive the channel, and then the holder waits for them.
 */
struct tofu_holder {
	_Alignas(TOFU_CACHE_LINE) struct tofu_pool *pool;
	struct tofu_holder *own;   /* the pool's: it holds what no channel does, and counts nothing */
	_Atomic uint64_t released; /* messages that it held once */
	_Atomic uint64_t wake_at;  /* call refilled when so many are; TOFU_NEVER: no need */
	uint64_t received;         /* by the last channel that had it, and those before: when it ended */
	struct tofu_holder *next;  /* of those that no channel has */
};

/* A part of a channel. All zero: closed, and it holds nothing. */
struct tofu_share {
	struct tofu_holder *holder; /* NULL: closed */
	uint64_t received;          /* by the holder, so far */
	uint64_t seen;              /* of released, when the reactor looked last */
};

#define TOFU_NEVER UINT64_MAX

struct tofu_pool_counts {
	uint64_t hits;   /* gets served by the pool */
	uint64_t misses; /* gets that found it empty */
	uint64_t free;   /* messages in it now */
	uint64_t out;    /* its messages that are not in it now */
};

/**
 * Called, under no lock, when there is again what was waited for with one of the calls that end in _or_wait, and when
 * tofu_pool_freed_much() holds.
 */
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

/** How addresses in its messages are written: as the transports of its engine say. */
struct tofu_address_rules *tofu_pool_rules(struct tofu_pool *pool);
/** The same for a message; NULL if it has no pool. */
const struct tofu_address_rules *tofu_pool_rules_of(const struct tofu_msg *m);

/** As tofu_msg_get(). */
enum tofu_status tofu_pool_get(struct tofu_pool *pool, enum tofu_alloc from, struct tofu_msg **out);
/**
 * From the pool only: up to `most` messages, and never more than a quarter of what is free, for a reader that expects many.
 * Returns how many; if none are to be had, the next put calls refilled, once. The caller puts back what it has not used
 * when its turn ends, the last message first. *left: how many more are to be had.
 *
 * queued is how many messages wait to be sent. They have a bound of their own, and must not count here: if they were all of
 * the pool, and the same at the peer, neither end would ever read again. So as many may be added to the pool as wait.
 */
size_t tofu_pool_get_some_or_wait(struct tofu_pool *pool, size_t queued, struct tofu_msg **out, size_t most,
                                  size_t *left);
void tofu_pool_put_unused(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n);
/** Is one to be had now? If not, the next put calls refilled, once. */
bool tofu_pool_has_or_wait(struct tofu_pool *pool, size_t queued);

/** Was much memory freed since this was last true? Then tofu_pool_trim() may be worth its time. */
bool tofu_pool_freed_much(struct tofu_pool *pool);
/**
 * A burst is over: free the free messages beyond the initial ones, unless somebody waits for messages, and let the system have
 * what the C library keeps of free memory. Takes milliseconds if that is much.
 */
void tofu_pool_trim(struct tofu_pool *pool);

/* Shares. All of these but the two that release are for one thread at a time, the reactor's. */

/** Open a share, which holds nothing. False: no memory. */
bool tofu_share_open(struct tofu_share *s, struct tofu_pool *pool);
/** Its channel has ended. What it holds may come back later. One that is closed is fine. */
void tofu_share_close(struct tofu_share *s);
static inline bool tofu_share_is_open(const struct tofu_share *s)
{
	return s->holder != NULL;
}
/** A message came in: s, which is open, holds it from now on. */
static inline void tofu_share_take(struct tofu_share *s, struct tofu_msg *m)
{
	m->holder = s->holder;
	s->received++;
}
/** How many it held when the reactor looked last; no fewer than it holds now. */
static inline uint64_t tofu_share_held(const struct tofu_share *s)
{
	return s->received - s->seen;
}
/** How many it holds now. It is open. */
static inline uint64_t tofu_share_look(struct tofu_share *s)
{
	s->seen = atomic_load_explicit(&s->holder->released, memory_order_acquire);
	return tofu_share_held(s);
}
/** What decides whether a channel may hold one message more. */
struct tofu_terms {
	size_t queued;
	size_t in_stock; /* taken out of the pool, and as good as free */
	size_t reserved; /* free, but not for those that hold one already */
	uint32_t percent;
};

/**
 * May s hold one more? It is open. It may hold so many percent of what is free then, and one in any case. If it may not, refilled is
 * called in time, on any thread, and may be called before. *left as above.
 *
 * What it holds may go down, what is free may go up, and so may what is queued: all together cannot suffice unless one
 * of them has come a third of the way. So that is what is waited for; the caller looks at the last one, *queued_at, and
 * at what is reserved.
 */
bool tofu_share_may_take_or_wait(struct tofu_share *s, const struct tofu_terms *t, size_t *left, size_t *queued_at);
/** For the next: of a message that a channel holds. */
void tofu_holder_release_held(struct tofu_msg *m);
/** Any thread that owns the message: it is held by nobody from now on. */
static inline void tofu_holder_release(struct tofu_msg *m)
{
	if (m->holder != NULL && m->holder != m->holder->own)
		tofu_holder_release_held(m);
}

/**
 * A message for a notice of the engine: never one of the pool's free messages, so notices work when it is empty. Kept
 * apart when put back, so a warm engine allocates none. NULL: no memory.
 */
struct tofu_msg *tofu_pool_get_notice(struct tofu_pool *pool);

/** Put back one message, of this or another pool, or of none. Resets it. */
void tofu_pool_put(struct tofu_msg *m);
/** Put back a chain of messages linked by next, all of this or other pools. Resets each. */
void tofu_pool_put_all(struct tofu_msg *chain);

void tofu_pool_counts(struct tofu_pool *pool, struct tofu_pool_counts *out);

#endif
