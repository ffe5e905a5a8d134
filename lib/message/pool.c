/* SPDX-License-Identifier: MIT */
/*
 * The pool: a stack of free messages under a lock, the one used last on top since its memory is warm. Notices have a
 * stack of their own. The lock is held for a few instructions; memory is allocated, freed and reset outside of it.
 *
 * Who frees: refs counts the engine and every message that is out. tofu_pool_destroy() frees the free messages and
 * gives up the engine's reference; from then on a message that comes back is freed. Whoever gives up the last
 * reference, on whatever thread, frees the pool.
 *
 * In a child of fork() the lock may be held by a thread that is not there. A pool from before the fork is therefore
 * never locked again: messages come from the system and go back to it.
 */

#include "message/pool.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "platform/platform.h"

/*
 * What the free messages of a pool may hold together beyond their small stores. Enough that 256 bodies of full size
 * need no new memory each; little enough that one burst of them is not paid for ever. Beyond it a message gives up what
 * it grew.
 */
enum { GROWN_MAX = 16 * 1024 * 1024 };

/* Free notices that are kept. A notice is about 160 bytes. */
enum { NOTICES_MAX = 1024 };

struct stack {
	struct tofu_msg *top;
	size_t count;
	size_t max;
};

struct tofu_pool {
	struct tofu_mutex lock;
	struct tofu_cond calls_ended; /* destroy waits here for refilled calls under way */
	unsigned generation;          /* of fork, in which it was made */
	atomic_size_t refs;           /* the engine's, and one of each message that is out */
	atomic_size_t made;           /* messages, free or out; notices are not counted */
	atomic_size_t grown;          /* bytes grown in free messages, never over GROWN_MAX */

	/* under the lock */
	struct stack messages;
	struct stack notices;
	size_t initial;
	uint64_t hits;
	uint64_t misses;
	size_t calls; /* of refilled, under way now */
	bool wanted;  /* somebody waits: the next put calls refilled */
	bool closed;  /* tofu_pool_destroy() was called */

	tofu_pool_refilled_fn *refilled;
	void *context;
};

static void push(struct stack *s, struct tofu_msg *m)
{
	m->next = s->top;
	s->top = m;
	s->count++;
}

static struct tofu_msg *pop(struct stack *s)
{
	struct tofu_msg *m = s->top;

	if (m == NULL)
		return NULL;
	s->top = m->next;
	s->count--;
	m->next = NULL;
	return m;
}

static void destroy_chain(struct tofu_msg *chain)
{
	struct tofu_msg *next;

	for (; chain != NULL; chain = next) {
		next = chain->next;
		tofu_msg_destroy(chain);
	}
}

static bool is_notice(const struct tofu_msg *m)
{
	return m->small_body == 0;
}

static bool is_inherited(const struct tofu_pool *pool)
{
	return pool->generation != tofu_plat_fork_generation();
}

static void pool_free(struct tofu_pool *pool)
{
	destroy_chain(pool->messages.top);
	destroy_chain(pool->notices.top);
	tofu_cond_fini(&pool->calls_ended);
	tofu_mutex_fini(&pool->lock);
	free(pool);
}

static void release(struct tofu_pool *pool, size_t refs)
{
	if (atomic_fetch_sub_explicit(&pool->refs, refs, memory_order_acq_rel) == refs)
		pool_free(pool);
}

static enum tofu_status fill(struct tofu_pool *pool, size_t initial)
{
	struct tofu_msg *m;

	while (pool->messages.count < initial) {
		m = tofu_msg_create(pool, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
		if (m == NULL)
			return TOFU_ALLOCATION_FAILED;
		push(&pool->messages, m);
		atomic_fetch_add_explicit(&pool->made, 1, memory_order_relaxed);
	}
	return TOFU_OK;
}

static size_t max_of(size_t initial, size_t max)
{
	if (max < initial)
		max = initial;
	return max > 0 ? max : 1; /* with 0 none would ever be free, and who waits for one waits for ever */
}

enum tofu_status tofu_pool_create(size_t initial, size_t max, tofu_pool_refilled_fn *refilled, void *context,
                                  struct tofu_pool **out)
{
	struct tofu_pool *pool = calloc(1, sizeof *pool);
	enum tofu_status st;

	*out = NULL;
	if (pool == NULL)
		return TOFU_ALLOCATION_FAILED;
	atomic_init(&pool->refs, 1);
	atomic_init(&pool->grown, 0);
	atomic_init(&pool->made, 0);
	pool->initial = initial;
	pool->generation = tofu_plat_fork_generation();
	pool->messages.max = max_of(initial, max);
	pool->notices.max = NOTICES_MAX;
	pool->refilled = refilled;
	pool->context = context;
	st = tofu_mutex_init(&pool->lock);
	if (st == TOFU_OK)
		st = tofu_cond_init(&pool->calls_ended);
	if (st == TOFU_OK)
		st = fill(pool, initial);
	if (st != TOFU_OK) {
		pool_free(pool);
		return st;
	}
	*out = pool;
	return TOFU_OK;
}

/* No refilled call begins after this, and none is under way. */
static void close_pool(struct tofu_pool *pool)
{
	struct tofu_msg *messages;
	struct tofu_msg *notices;

	tofu_mutex_lock(&pool->lock);
	pool->closed = true;
	while (pool->calls > 0)
		(void)tofu_cond_wait_until(&pool->calls_ended, &pool->lock, TOFU_FOREVER);
	messages = pool->messages.top;
	notices = pool->notices.top;
	pool->messages = (struct stack){ 0 };
	pool->notices = (struct stack){ 0 };
	tofu_mutex_unlock(&pool->lock);
	destroy_chain(messages);
	destroy_chain(notices);
}

void tofu_pool_destroy(struct tofu_pool *pool)
{
	if (pool == NULL)
		return;
	if (!is_inherited(pool))
		close_pool(pool);
	release(pool, 1);
}

void tofu_pool_hold(struct tofu_pool *pool)
{
	tofu_mutex_lock(&pool->lock);
}

void tofu_pool_go_on(struct tofu_pool *pool)
{
	tofu_mutex_unlock(&pool->lock);
}

/* Under the lock; whether it was a hit is the caller's to count. */
static struct tofu_msg *take(struct tofu_pool *pool, struct stack *from)
{
	struct tofu_msg *m = pop(from);

	if (m != NULL)
		atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
	return m;
}

/* On its way out: what it grew is no longer the pool's to bound. */
static struct tofu_msg *leave(struct tofu_pool *pool, struct tofu_msg *m)
{
	size_t grown = m != NULL ? tofu_msg_grown(m) : 0;

	if (grown > 0)
		atomic_fetch_sub_explicit(&pool->grown, grown, memory_order_relaxed);
	return m;
}

/* Under the lock: of the messages that are out, do so many wait to be sent that the pool may have one more? */
static bool may_grow(const struct tofu_pool *pool, size_t queued)
{
	size_t out = atomic_load_explicit(&pool->made, memory_order_relaxed) - pool->messages.count;

	return out < pool->initial + queued;
}

static struct tofu_msg *allocate(struct tofu_pool *pool, uint16_t small_body)
{
	struct tofu_msg *m = tofu_msg_create(pool, TOFU_MSG_SMALL_HEADERS, small_body);

	if (m == NULL)
		return NULL;
	atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
	if (!is_notice(m))
		atomic_fetch_add_explicit(&pool->made, 1, memory_order_relaxed);
	return m;
}

/* Under the lock. */
static struct tofu_msg *take_counted(struct tofu_pool *pool)
{
	struct tofu_msg *m = take(pool, &pool->messages);

	if (m != NULL)
		pool->hits++;
	else
		pool->misses++;
	return m;
}

enum tofu_status tofu_pool_get(struct tofu_pool *pool, enum tofu_alloc from, struct tofu_msg **out)
{
	*out = NULL;
	if (!is_inherited(pool)) {
		tofu_mutex_lock(&pool->lock);
		*out = take_counted(pool);
		tofu_mutex_unlock(&pool->lock);
	}
	if (leave(pool, *out) != NULL)
		return TOFU_OK;
	if (from != TOFU_ALWAYS)
		return TOFU_POOL_EMPTY;
	*out = allocate(pool, TOFU_MSG_SMALL_BODY);
	return *out != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

struct tofu_msg *tofu_pool_get_or_wait(struct tofu_pool *pool, size_t queued)
{
	return tofu_pool_get_some_or_wait(pool, queued, 1);
}

/* Under the lock: more to go with the first. */
static void take_more(struct tofu_pool *pool, struct tofu_msg *first, size_t most)
{
	size_t some = pool->messages.count / 4;
	struct tofu_msg *last = first;

	for (size_t n = 1; n < most && n < some; n++, last = last->next)
		last->next = take_counted(pool);
}

struct tofu_msg *tofu_pool_get_some_or_wait(struct tofu_pool *pool, size_t queued, size_t most)
{
	struct tofu_msg *first;
	bool grow;

	if (is_inherited(pool))
		return NULL;
	tofu_mutex_lock(&pool->lock);
	first = take_counted(pool);
	grow = first == NULL && may_grow(pool, queued);
	if (first == NULL && !grow)
		pool->wanted = true;
	if (first != NULL)
		take_more(pool, first, most);
	tofu_mutex_unlock(&pool->lock);
	for (struct tofu_msg *m = first; m != NULL; m = m->next)
		(void)leave(pool, m);
	return grow ? allocate(pool, TOFU_MSG_SMALL_BODY) : first;
}

bool tofu_pool_has_or_wait(struct tofu_pool *pool, size_t queued)
{
	bool has;

	if (is_inherited(pool))
		return false;
	tofu_mutex_lock(&pool->lock);
	has = pool->messages.count > 0 || may_grow(pool, queued);
	if (!has)
		pool->wanted = true;
	tofu_mutex_unlock(&pool->lock);
	return has;
}

struct tofu_msg *tofu_pool_get_notice(struct tofu_pool *pool)
{
	struct tofu_msg *m = NULL;

	if (!is_inherited(pool)) {
		tofu_mutex_lock(&pool->lock);
		m = take(pool, &pool->notices);
		tofu_mutex_unlock(&pool->lock);
	}
	return m != NULL ? leave(pool, m) : allocate(pool, 0);
}

/* Make it fit to be kept: empty, and what it grew is within the bound or given up. */
static void enter(struct tofu_pool *pool, struct tofu_msg *m)
{
	size_t grown = tofu_msg_grown(m);

	tofu_msg_reset(m);
	if (grown == 0)
		return;
	if (grown <= GROWN_MAX &&
	    atomic_fetch_add_explicit(&pool->grown, grown, memory_order_relaxed) + grown <= GROWN_MAX)
		return;
	if (grown <= GROWN_MAX)
		atomic_fetch_sub_explicit(&pool->grown, grown, memory_order_relaxed);
	tofu_msg_shrink(m);
}

/*
 * Under the lock: keep what there is room for. Returns the rest; *kept says whether a message, not a notice, was kept.
 */
static struct tofu_msg *keep(struct tofu_pool *pool, struct tofu_msg *run, bool *kept)
{
	struct stack surplus = { 0 };
	struct tofu_msg *next;
	struct stack *to;

	*kept = false;
	for (; run != NULL; run = next) {
		next = run->next;
		to = is_notice(run) ? &pool->notices : &pool->messages;
		if (to->count >= to->max) { /* 0 once it is closed */
			if (to == &pool->messages)
				atomic_fetch_sub_explicit(&pool->made, 1, memory_order_relaxed);
			to = &surplus;
		}
		push(to, run);
		if (to == &pool->messages)
			*kept = true;
	}
	return surplus.top;
}

static void call_refilled(struct tofu_pool *pool)
{
	pool->refilled(pool->context);
	tofu_mutex_lock(&pool->lock);
	pool->calls--;
	if (pool->calls == 0)
		tofu_cond_broadcast(&pool->calls_ended);
	tofu_mutex_unlock(&pool->lock);
}

/* Put back count messages of one pool, which lives at least until their references are released at the end. */
static void put_run(struct tofu_pool *pool, struct tofu_msg *run, size_t count)
{
	struct tofu_msg *surplus;
	struct tofu_msg *m;
	bool call;

	for (m = run; m != NULL; m = m->next)
		enter(pool, m);
	tofu_mutex_lock(&pool->lock);
	surplus = keep(pool, run, &call);
	call = call && pool->wanted && !pool->closed && pool->refilled != NULL;
	if (call) {
		pool->wanted = false;
		pool->calls++;
	}
	tofu_mutex_unlock(&pool->lock);
	for (m = surplus; m != NULL; m = m->next)
		(void)leave(pool, m);
	destroy_chain(surplus);
	if (call)
		call_refilled(pool);
	release(pool, count);
}

/* Cut the messages of the first one's pool off the chain's front. */
static struct tofu_msg *cut_run(struct tofu_msg **chain, size_t *count)
{
	struct tofu_msg *run = *chain;
	struct tofu_msg *last = run;

	for (*count = 1; last->next != NULL && last->next->pool == run->pool; last = last->next)
		++*count;
	*chain = last->next;
	last->next = NULL;
	return run;
}

void tofu_pool_put_all(struct tofu_msg *chain)
{
	struct tofu_pool *pool;
	struct tofu_msg *run;
	size_t count;

	while (chain != NULL) {
		run = cut_run(&chain, &count);
		pool = run->pool;
		if (pool != NULL && !is_inherited(pool)) {
			put_run(pool, run, count);
			continue;
		}
		destroy_chain(run);
		if (pool != NULL)
			release(pool, count);
	}
}

void tofu_pool_counts(struct tofu_pool *pool, struct tofu_pool_counts *out)
{
	size_t refs;

	*out = (struct tofu_pool_counts){ 0 };
	if (is_inherited(pool))
		return;
	tofu_mutex_lock(&pool->lock);
	out->hits = pool->hits;
	out->misses = pool->misses;
	out->free = pool->messages.count;
	refs = atomic_load_explicit(&pool->refs, memory_order_relaxed);
	out->out = pool->closed ? refs : refs - 1;
	tofu_mutex_unlock(&pool->lock);
}
