/* SPDX-License-Identifier: MIT */
/*
 * The pool: a stack of free messages under a lock, the one used last on top since its memory is warm. Notices have a
 * stack of their own. A stack is an array of pointers, so that whoever holds the lock copies pointers and touches no
 * message: what is in a message may still be on its way from another core. Memory is allocated, freed and reset outside
 * of the lock.
 *
 * A thread that gets or puts one message does so in its magazine (magazine.h), and goes to the stack for many at once. While
 * somebody waits for messages, or there are more than are kept, nothing stays in a magazine: `direct` says so. It is set under the pool's lock before the magazines
 * are emptied, each under its own; so a thread that finds a magazine free after that also finds `direct` set.
 *
 * What frees the memory: refs counts the engine and every message that is not in a stack. tofu_pool_destroy() frees the free
 * messages and gives up the engine's reference; from then on a message that comes back is freed. The thread that gives up the last
 * reference frees the pool.
 *
 * What the pool frees the C library keeps for what comes next, and after a burst that is much: once nothing comes next, it is
 * to be given back to the system. When that is, the reactor knows; how much it is, is counted here.
 *
 * Shares: see struct tofu_holder. Messages that no channel holds are held by the pool's own, which counts nothing.
 *
 * In a child of fork() the lock may be held by a thread that is not there. A pool from before the fork is therefore
 * never locked again: messages come from the system and go back to it.
 */

#include "message/pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "message/magazine.h"
#include "platform/platform.h"

/*
 * What the free messages of a pool may hold together beyond their small stores. Enough that 256 bodies of full size
 * need no new memory each; little enough that one burst of them is not paid for ever. Beyond it a message gives up what
 * it grew.
 */
enum { GROWN_MAX = 16 * 1024 * 1024 };

/* Bytes that were freed, and are worth a look whether the system should have them back. */
enum { FREED_MUCH = GROWN_MAX / 2 };

/* Free notices that are kept. A notice is about 140 bytes. */
enum { NOTICES_MAX = 1024 };

/* How many that come back are made ready before the lock is taken for them. */
enum { RETURNED_MAX = 128 };

/* A magazine holds a small part of the messages there are; with a pool of few, none. */
enum { MAGAZINE_PART = 16, MAGAZINE_MIN = 8 };

/* Holders are allocated in pieces. */
enum { HOLDERS = 64 };

struct holders {
	struct holders *next;
	unsigned char memory[]; /* HOLDERS of them, from the first cache line on */
};

/* How many holders whose messages were out when their channel ended are looked at when one is needed. */
enum { LINGERING_LOOKS = 4 };

struct stack {
	struct tofu_msg **slots;
	size_t count;
	size_t max;
};

struct tofu_pool {
	/* Looked at for each message, and seldom written: far from what is written under the lock. */
	unsigned generation;    /* of fork, in which it was made */
	uint32_t magazine_room; /* 0: no magazine is used */
	atomic_uint in_use;     /* the magazines that ever were, a bit each */
	atomic_bool direct;     /* magazines are empty, and stay so; read under theirs */
	tofu_pool_refilled_fn *refilled;
	void *context;
	struct tofu_holder *own; /* in the first piece */
	unsigned char apart_above[TOFU_CACHE_LINE];

	struct tofu_mutex lock;
	struct tofu_cond calls_ended; /* destroy waits here for refilled calls under way */
	atomic_size_t grown;          /* bytes grown in free messages, never over GROWN_MAX */
	atomic_size_t freed;          /* bytes, since tofu_pool_freed_much() last said so */

	/* under the lock; in a child of fork() only refs is of use, and atomic for that */
	struct stack messages;
	struct stack notices;
	atomic_size_t refs; /* the engine's, and one of each message that is not in a stack */
	size_t made;        /* messages, free or out; notices are not counted */
	size_t initial;
	uint64_t hits;
	uint64_t misses;
	size_t calls; /* of refilled, under way now */
	size_t wanted_at; /* somebody waits: the put that makes it so many free ones calls refilled; SIZE_MAX: nobody does */
	bool closed;      /* tofu_pool_destroy() was called */
	struct tofu_address_rules rules;

	/* the reactor's */
	struct holders *holders;
	struct tofu_holder *unused;
	struct tofu_holder *lingering; /* the first of those whose messages are still to come back, or have by now */
	struct tofu_holder *last_lingering;

	unsigned char apart_below[TOFU_CACHE_LINE];
	struct tofu_magazine magazines[TOFU_MAGAZINES];
};

static enum tofu_status stack_init(struct stack *s, size_t max)
{
	s->slots = calloc(max, sizeof(struct tofu_msg *));
	s->max = s->slots != NULL ? max : 0;
	return s->slots != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

/* Free the messages that were in it when count was its count. */
static void stack_empty(const struct stack *s, size_t count)
{
	while (count > 0)
		tofu_msg_destroy(s->slots[--count]);
}

/* The topmost of them, up to `most`. */
static size_t pop(struct stack *s, struct tofu_msg **out, size_t most)
{
	size_t n = most < s->count ? most : s->count;

	s->count -= n;
	memcpy(out, s->slots + s->count, n * sizeof(struct tofu_msg *));
	if (s->count > 0)
		tofu_msg_claim(s->slots[s->count - 1]); /* the next one out */
	return n;
}

/* As many as it has room for. */
static size_t push(struct stack *s, struct tofu_msg *const *msgs, size_t n)
{
	size_t room = s->max - s->count;

	if (n > room)
		n = room;
	memcpy(s->slots + s->count, msgs, n * sizeof(struct tofu_msg *));
	s->count += n;
	return n;
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
	stack_empty(&pool->messages, pool->messages.count);
	stack_empty(&pool->notices, pool->notices.count);
	free(pool->messages.slots);
	free(pool->notices.slots);
	while (pool->holders != NULL) {
		struct holders *piece = pool->holders;

		pool->holders = piece->next;
		free(piece);
	}
	tofu_cond_fini(&pool->calls_ended);
	tofu_mutex_fini(&pool->lock);
	free(pool);
}

/* Under the lock, which is why it need not be one step. */
static void add_refs(struct tofu_pool *pool, size_t more)
{
	size_t refs = atomic_load_explicit(&pool->refs, memory_order_relaxed);

	atomic_store_explicit(&pool->refs, refs + more, memory_order_relaxed);
}

/* Under the lock. True: nobody needs the pool any more. */
static bool drop_refs(struct tofu_pool *pool, size_t fewer)
{
	add_refs(pool, (size_t)0 - fewer);
	return atomic_load_explicit(&pool->refs, memory_order_relaxed) == 0;
}

static void release(struct tofu_pool *pool, size_t refs)
{
	bool last;

	if (is_inherited(pool)) {
		last = atomic_fetch_sub(&pool->refs, refs) == refs;
	} else {
		tofu_mutex_lock(&pool->lock);
		last = drop_refs(pool, refs);
		tofu_mutex_unlock(&pool->lock);
	}
	if (last)
		pool_free(pool);
}

static enum tofu_status more_holders(struct tofu_pool *pool)
{
	struct holders *piece = malloc(sizeof *piece + HOLDERS * sizeof(struct tofu_holder) + TOFU_CACHE_LINE - 1);
	struct tofu_holder *all;

	if (piece == NULL)
		return TOFU_ALLOCATION_FAILED;
	piece->next = pool->holders;
	pool->holders = piece;
	all = (struct tofu_holder *)(void *)(piece->memory + -(uintptr_t)piece->memory % TOFU_CACHE_LINE);
	memset(all, 0, HOLDERS * sizeof *all);
	for (size_t i = HOLDERS; i-- > 0;) {
		all[i].pool = pool;
		all[i].own = pool->own != NULL ? pool->own : &all[0]; /* the first one of all */
		atomic_init(&all[i].wake_at, TOFU_NEVER);
		all[i].next = pool->unused;
		pool->unused = &all[i];
	}
	return TOFU_OK;
}

static struct tofu_holder *take_unused(struct tofu_pool *pool)
{
	struct tofu_holder *h = pool->unused;

	if (h != NULL)
		pool->unused = h->next;
	return h;
}

static enum tofu_status fill(struct tofu_pool *pool, size_t initial)
{
	while (pool->made < initial) {
		struct tofu_msg *m = tofu_msg_create(pool->own, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);

		if (m == NULL)
			return TOFU_ALLOCATION_FAILED;
		pool->made += push(&pool->messages, &m, 1);
	}
	return TOFU_OK;
}

static uint32_t magazine_room(size_t initial)
{
	size_t room = initial / MAGAZINE_PART;

	if (room < MAGAZINE_MIN)
		return 0;
	return room < TOFU_MAGAZINE_MAX ? (uint32_t)room : TOFU_MAGAZINE_MAX;
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
	atomic_init(&pool->freed, 0);
	pool->initial = initial;
	pool->magazine_room = magazine_room(initial);
	pool->wanted_at = SIZE_MAX;
	pool->generation = tofu_plat_fork_generation();
	pool->refilled = refilled;
	pool->context = context;
	st = tofu_mutex_init(&pool->lock);
	if (st == TOFU_OK)
		st = tofu_cond_init(&pool->calls_ended);
	if (st == TOFU_OK)
		st = stack_init(&pool->messages, max_of(initial, max));
	if (st == TOFU_OK)
		st = stack_init(&pool->notices, NOTICES_MAX);
	if (st == TOFU_OK)
		st = more_holders(pool);
	if (st == TOFU_OK) {
		pool->own = take_unused(pool);
		st = fill(pool, initial);
	}
	if (st != TOFU_OK) {
		pool_free(pool);
		return st;
	}
	*out = pool;
	return TOFU_OK;
}

struct tofu_address_rules *tofu_pool_rules(struct tofu_pool *pool)
{
	return &pool->rules;
}

const struct tofu_address_rules *tofu_pool_rules_of(const struct tofu_msg *m)
{
	return m->holder != NULL ? &m->holder->pool->rules : NULL;
}

/* On its way out: what it grew is no longer the pool's to bound. */
static inline struct tofu_msg *leave(struct tofu_pool *pool, struct tofu_msg *m)
{
	size_t grown = tofu_msg_grown(m);

	if (grown > 0)
		atomic_fetch_sub_explicit(&pool->grown, grown, memory_order_relaxed);
	m->next = NULL;
	return m;
}

/* --- magazines --- */

static inline struct tofu_magazine *magazine_of(struct tofu_pool *pool)
{
	unsigned at = tofu_thread_number() % TOFU_MAGAZINES;
	unsigned bit = 1u << at;

	if ((atomic_load_explicit(&pool->in_use, memory_order_acquire) & bit) == 0)
		atomic_fetch_or(&pool->in_use, bit);
	return &pool->magazines[at];
}

/* The thread's magazine, with its lock; NULL: not now. */
static inline struct tofu_magazine *open_magazine(struct tofu_pool *pool)
{
	struct tofu_magazine *z;

	if (pool->magazine_room == 0)
		return NULL;
	z = magazine_of(pool);
	if (!tofu_visit_try(&z->lock))
		return NULL;
	if (!atomic_load(&pool->direct))
		return z;
	tofu_visit_end(&z->lock);
	return NULL;
}

static inline struct tofu_msg *get_at_hand(struct tofu_pool *pool)
{
	struct tofu_magazine *z = open_magazine(pool);
	struct tofu_msg *m;

	if (z == NULL)
		return NULL;
	m = tofu_magazine_pop(z);
	tofu_visit_end(&z->lock);
	return m;
}

/* In their order. How many of the last ones it had no room for. */
static size_t keep_at_hand(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n)
{
	struct tofu_magazine *z = open_magazine(pool);
	size_t left = n;

	if (z == NULL)
		return n;
	for (size_t i = 0; i < n && tofu_magazine_count(z) < pool->magazine_room; i++, left--)
		tofu_magazine_push(z, msgs[i]);
	tofu_visit_end(&z->lock);
	return left;
}

/* Under the pool's lock. */
static size_t free_count(const struct tofu_pool *pool)
{
	const struct tofu_magazine *z = pool->magazines;
	size_t count = pool->messages.count;

	for (unsigned left = atomic_load(&pool->in_use); left != 0; left >>= 1, z++)
		if ((left & 1) != 0)
			count += tofu_magazine_count(z);
	return count;
}

/* Under the pool's lock: all that is in magazines, as far as the stack has room, which is then all that is free. */
static void gather(struct tofu_pool *pool)
{
	struct tofu_magazine *z = pool->magazines;
	struct stack *s = &pool->messages;
	size_t before = s->count;

	atomic_store(&pool->direct, true); /* before in_use is read: magazine_of() writes that before it reads this */
	for (unsigned left = atomic_load(&pool->in_use); left != 0; left >>= 1, z++) {
		uint32_t n;

		if ((left & 1) == 0)
			continue;
		tofu_visit_begin(&z->lock);
		n = tofu_magazine_count(z);
		if (n > s->max - s->count)
			n = (uint32_t)(s->max - s->count);
		tofu_magazine_take(z, s->slots + s->count, n);
		tofu_visit_end(&z->lock);
		s->count += n;
	}
	(void)drop_refs(pool, s->count - before); /* not the last: the engine has one */
}

/* More than are kept: which of them are, the stack decides alone. */
static bool are_too_many(const struct tofu_pool *pool)
{
	return pool->made > pool->messages.max;
}

/* Under the pool's lock, after one of these has changed. */
static void set_direct(struct tofu_pool *pool)
{
	bool direct = pool->closed || pool->wanted_at != SIZE_MAX || are_too_many(pool);

	if (direct != atomic_load_explicit(&pool->direct, memory_order_relaxed))
		atomic_store(&pool->direct, direct);
}

/* Under the lock: what is to be had, counting what may be added because so many wait to be sent. */
static size_t available(const struct tofu_pool *pool, size_t queued)
{
	size_t added = pool->made - pool->initial;

	return free_count(pool) + (queued > added ? queued - added : 0);
}

/* Under the lock, after gather(): refilled is to be called when so many are free. */
static void wait_for(struct tofu_pool *pool, size_t count)
{
	if (count < pool->wanted_at)
		pool->wanted_at = count;
}

static struct tofu_msg *allocate(struct tofu_pool *pool, uint16_t small_headers, uint16_t small_body)
{
	struct tofu_msg *m = tofu_msg_create(pool->own, small_headers, small_body);

	if (m == NULL)
		return NULL;
	if (is_inherited(pool)) {
		atomic_fetch_add(&pool->refs, 1);
		return m;
	}
	tofu_mutex_lock(&pool->lock);
	add_refs(pool, 1);
	pool->made += !is_notice(m);
	if (are_too_many(pool)) {
		gather(pool);
		set_direct(pool);
	}
	tofu_mutex_unlock(&pool->lock);
	return m;
}

/* Under the lock. */
static size_t take(struct tofu_pool *pool, struct tofu_msg **out, size_t most)
{
	size_t n = pop(&pool->messages, out, most);

	add_refs(pool, n);
	return n;
}

/* Under the lock. */
static void count_gets(struct tofu_pool *pool, size_t n)
{
	pool->hits += n;
	pool->misses += n == 0;
}

/* A quarter of those that are free at most; one in any case. */
static size_t portion(size_t count, size_t most)
{
	size_t quarter = count / 4;

	if (most > quarter)
		most = quarter;
	return most > 0 ? most : 1;
}

/* --- to put --- */

static void call_refilled(struct tofu_pool *pool)
{
	pool->refilled(pool->context);
	tofu_mutex_lock(&pool->lock);
	pool->calls--;
	if (pool->calls == 0)
		tofu_cond_broadcast(&pool->calls_ended);
	tofu_mutex_unlock(&pool->lock);
}

/* Whatever was waited for. Under no lock. */
static void call_now(struct tofu_pool *pool)
{
	bool call;

	tofu_mutex_lock(&pool->lock);
	call = pool->refilled != NULL && !pool->closed;
	pool->calls += call;
	tofu_mutex_unlock(&pool->lock);
	if (call)
		call_refilled(pool);
}

static void count_freed(struct tofu_pool *pool, size_t bytes)
{
	size_t before = atomic_fetch_add(&pool->freed, bytes);

	if (before < FREED_MUCH && before + bytes >= FREED_MUCH)
		call_now(pool);
}

/* It keeps what it grew if that is within the bound. */
static TOFU_APART void keep_or_shrink(struct tofu_pool *pool, struct tofu_msg *m)
{
	size_t grown = tofu_msg_grown(m);

	if (grown <= GROWN_MAX &&
	    atomic_fetch_add_explicit(&pool->grown, grown, memory_order_relaxed) + grown <= GROWN_MAX)
		return;
	if (grown <= GROWN_MAX)
		atomic_fetch_sub_explicit(&pool->grown, grown, memory_order_relaxed);
	tofu_msg_shrink(m);
	count_freed(pool, grown);
}

/* Make it fit to be kept: empty. A body that it shares is not its own. */
static inline void enter(struct tofu_pool *pool, struct tofu_msg *m)
{
	tofu_msg_clear(m);
	if (tofu_msg_grown(m) > 0)
		keep_or_shrink(pool, m);
}

/* So many messages of a channel are its no more. True: that is what was waited for. */
static inline bool let_go(struct tofu_holder *h, uint64_t n)
{
	uint64_t now;

	if (h == h->own)
		return false;
	now = atomic_fetch_add(&h->released, n) + n;
	return now >= atomic_load(&h->wake_at) && atomic_exchange(&h->wake_at, TOFU_NEVER) != TOFU_NEVER;
}

/* Free messages that were the pool's. How many bytes it is. */
static size_t destroy_all(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		bytes += sizeof *msgs[i] + msgs[i]->small_headers + msgs[i]->small_body + tofu_msg_grown(msgs[i]);
		tofu_msg_destroy(leave(pool, msgs[i]));
	}
	return bytes;
}

/* What there was no room for. The pool lives at least until their references are released. */
static void discard(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n)
{
	if (n == 0)
		return;
	count_freed(pool, destroy_all(pool, msgs, n));
	release(pool, n);
}

/* Put back messages of one kind, which are ready to be kept. due: whatever else, refilled is to be called. */
static void put_back(struct tofu_pool *pool, struct stack *to, struct tofu_msg *const *msgs, size_t n, bool due)
{
	bool ours = to == &pool->messages;
	bool call;
	bool last;
	size_t kept;

	tofu_mutex_lock(&pool->lock);
	kept = push(to, msgs, n);
	if (ours)
		pool->made -= n - kept;
	call = due || (ours && kept > 0 && pool->messages.count >= pool->wanted_at);
	call = call && pool->refilled != NULL && !pool->closed;
	if (call) {
		pool->wanted_at = SIZE_MAX;
		pool->calls++;
	}
	if (call || kept < n)
		set_direct(pool);
	last = drop_refs(pool, kept);
	tofu_mutex_unlock(&pool->lock);
	if (last) {
		pool_free(pool);
		return;
	}
	discard(pool, msgs + kept, n - kept);
	if (call)
		call_refilled(pool);
}

/* Cut up to RETURNED_MAX messages of the same holder and kind off the chain's front, and make them ready. */
static size_t cut_run(struct tofu_msg **chain, struct tofu_msg **out)
{
	struct tofu_msg *m = *chain;
	struct tofu_holder *h = m->holder;
	struct tofu_holder *own = h->own;
	bool notice = is_notice(m);
	size_t n = 0;

	do {
		struct tofu_msg *next = m->next;

		out[n++] = m;
		m->holder = own;
		enter(own->pool, m);
		m = next;
	} while (m != NULL && m->holder == h && is_notice(m) == notice && n < RETURNED_MAX);
	*chain = m;
	return n;
}

/* No pool, or one that must not be locked: back to the system. */
static void destroy_first(struct tofu_msg **chain)
{
	struct tofu_msg *m = *chain;
	struct tofu_pool *pool = m->holder != NULL ? m->holder->pool : NULL;

	*chain = m->next;
	tofu_msg_destroy(m);
	if (pool != NULL)
		release(pool, 1);
}

static TOFU_APART void put_chain(struct tofu_msg *chain)
{
	struct tofu_msg *msgs[RETURNED_MAX];

	while (chain != NULL) {
		struct tofu_pool *pool = chain->holder != NULL ? chain->holder->pool : NULL;
		bool notice = is_notice(chain);

		if (pool == NULL || is_inherited(pool)) {
			destroy_first(&chain);
		} else {
			struct tofu_holder *h = chain->holder;
			size_t n = cut_run(&chain, msgs);

			put_back(pool, notice ? &pool->notices : &pool->messages, msgs, n, let_go(h, n));
		}
	}
}

static TOFU_APART void put_into_stack(struct tofu_pool *pool, struct tofu_msg *m, bool due)
{
	put_back(pool, &pool->messages, &m, 1, due);
}

/* Into a full magazine, which is open and is closed here: half of it goes to the stack. */
static TOFU_APART void put_in_exchange(struct tofu_pool *pool, struct tofu_magazine *z, struct tofu_msg *m)
{
	struct tofu_msg *msgs[TOFU_MAGAZINE_MAX / 2];
	uint32_t half = pool->magazine_room / 2;

	tofu_magazine_take(z, msgs, half);
	tofu_magazine_push(z, m);
	tofu_visit_end(&z->lock);
	put_back(pool, &pool->messages, msgs, half, false);
}

/* Once the magazine is closed the pool may be gone: another thread may take the message, and it may be the last one out. */
static inline void put_at_hand(struct tofu_pool *pool, struct tofu_msg *m)
{
	struct tofu_magazine *z = open_magazine(pool);

	if (z == NULL) {
		put_into_stack(pool, m, false);
	} else if (tofu_magazine_count(z) == pool->magazine_room) {
		put_in_exchange(pool, z, m);
	} else {
		tofu_magazine_push(z, m);
		tofu_visit_end(&z->lock);
	}
}

void tofu_pool_put(struct tofu_msg *m)
{
	struct tofu_holder *h = m->holder;

	m->next = NULL;
	if (h == NULL || is_inherited(h->pool) || is_notice(m)) {
		put_chain(m);
		return;
	}
	m->holder = h->own;
	enter(h->pool, m);
	if (let_go(h, 1))
		put_into_stack(h->pool, m, true);
	else
		put_at_hand(h->pool, m);
}

void tofu_pool_put_all(struct tofu_msg *chain)
{
	if (chain != NULL && chain->next == NULL)
		tofu_pool_put(chain);
	else
		put_chain(chain);
}

void tofu_pool_put_unused(struct tofu_pool *pool, struct tofu_msg *const *msgs, size_t n)
{
	if (n == 0 || is_inherited(pool))
		return;
	for (size_t i = 0; i < n; i++)
		enter(pool, msgs[i]);
	put_back(pool, &pool->messages, msgs, n, false);
}

/* --- to get --- */

/* One from the stack, and some more into the magazine. */
static TOFU_APART struct tofu_msg *get_from_stack(struct tofu_pool *pool)
{
	struct tofu_msg *msgs[1 + TOFU_MAGAZINE_MAX / 2];
	size_t n, left;

	tofu_mutex_lock(&pool->lock);
	if (pool->messages.count == 0) {
		gather(pool);
		set_direct(pool);
	}
	n = take(pool, msgs,
	         portion(pool->messages.count, atomic_load(&pool->direct) ? 1 : 1 + pool->magazine_room / 2));
	count_gets(pool, n > 0);
	tofu_mutex_unlock(&pool->lock);
	if (n <= 1)
		return n > 0 ? msgs[0] : NULL;
	n--;
	left = keep_at_hand(pool, msgs, n);
	if (left > 0)
		put_back(pool, &pool->messages, msgs + n - left, left, false);
	return msgs[n];
}

static TOFU_APART enum tofu_status get_new(struct tofu_pool *pool, struct tofu_msg **out)
{
	*out = allocate(pool, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	return *out != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

enum tofu_status tofu_pool_get(struct tofu_pool *pool, enum tofu_alloc from, struct tofu_msg **out)
{
	struct tofu_msg *m = NULL;

	if (!is_inherited(pool)) {
		m = get_at_hand(pool);
		if (m == NULL)
			m = get_from_stack(pool);
	}
	*out = m;
	if (m == NULL)
		return from == TOFU_ALWAYS ? get_new(pool, out) : TOFU_POOL_EMPTY;
	(void)leave(pool, m);
	return TOFU_OK;
}

size_t tofu_pool_get_some_or_wait(struct tofu_pool *pool, size_t queued, struct tofu_msg **out, size_t most,
                                  size_t *left)
{
	bool grow;
	size_t n;

	*left = 0;
	if (is_inherited(pool))
		return 0;
	tofu_mutex_lock(&pool->lock);
	most = portion(free_count(pool), most);
	if (pool->messages.count < most)
		gather(pool);
	n = take(pool, out, most);
	count_gets(pool, n);
	*left = available(pool, queued);
	grow = n == 0 && *left > 0;
	if (n == 0 && !grow)
		wait_for(pool, 1);
	set_direct(pool);
	tofu_mutex_unlock(&pool->lock);
	*left -= grow;
	for (size_t i = 0; i < n; i++)
		tofu_msg_claim(out[i]);
	for (size_t i = 0; i < n; i++)
		(void)leave(pool, out[i]);
	if (grow)
		n = (out[0] = allocate(pool, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY)) != NULL;
	return n;
}

bool tofu_pool_has_or_wait(struct tofu_pool *pool, size_t queued)
{
	bool has;

	if (is_inherited(pool))
		return false;
	tofu_mutex_lock(&pool->lock);
	has = available(pool, queued) > 0;
	if (!has) {
		gather(pool);
		has = available(pool, queued) > 0;
		if (!has)
			wait_for(pool, 1);
		set_direct(pool);
	}
	tofu_mutex_unlock(&pool->lock);
	return has;
}

struct tofu_msg *tofu_pool_get_notice(struct tofu_pool *pool)
{
	struct tofu_msg *m = NULL;

	if (!is_inherited(pool)) {
		tofu_mutex_lock(&pool->lock);
		add_refs(pool, pop(&pool->notices, &m, 1));
		tofu_mutex_unlock(&pool->lock);
	}
	return m != NULL ? leave(pool, m) : allocate(pool, TOFU_NOTICE_SMALL_HEADERS, 0);
}

/* --- memory --- */

bool tofu_pool_freed_much(struct tofu_pool *pool)
{
	if (atomic_load(&pool->freed) < FREED_MUCH)
		return false;
	atomic_store(&pool->freed, 0);
	return true;
}

/* Some of the free ones beyond the initial, if nobody waits for them. */
static size_t take_added(struct tofu_pool *pool, struct tofu_msg **out, size_t most)
{
	size_t n = 0;

	tofu_mutex_lock(&pool->lock);
	if (most > pool->made - pool->initial)
		most = pool->made - pool->initial;
	gather(pool);
	if (pool->wanted_at == SIZE_MAX)
		n = pop(&pool->messages, out, most);
	set_direct(pool);
	pool->made -= n;
	tofu_mutex_unlock(&pool->lock);
	return n;
}

void tofu_pool_trim(struct tofu_pool *pool)
{
	struct tofu_msg *msgs[RETURNED_MAX];
	size_t n;

	/* They lie between the bodies that were freed, and each would keep a page from the system. */
	while ((n = take_added(pool, msgs, RETURNED_MAX)) > 0)
		(void)destroy_all(pool, msgs, n);
	tofu_plat_trim();
}

/* --- shares --- */

static bool settled(const struct tofu_holder *h)
{
	return atomic_load(&h->released) == h->received;
}

static void linger(struct tofu_pool *pool, struct tofu_holder *h)
{
	h->next = NULL;
	if (pool->lingering == NULL)
		pool->lingering = h;
	else
		pool->last_lingering->next = h;
	pool->last_lingering = h;
}

/* One whose messages have come back, of the next few that waited for them. */
static struct tofu_holder *take_settled(struct tofu_pool *pool)
{
	for (int i = 0; i < LINGERING_LOOKS && pool->lingering != NULL; i++) {
		struct tofu_holder *h = pool->lingering;

		pool->lingering = h->next;
		if (settled(h))
			return h;
		linger(pool, h);
	}
	return NULL;
}

bool tofu_share_open(struct tofu_share *s, struct tofu_pool *pool)
{
	struct tofu_holder *h = take_unused(pool);

	if (h == NULL)
		h = take_settled(pool);
	if (h == NULL && more_holders(pool) == TOFU_OK)
		h = take_unused(pool);
	if (h == NULL)
		return false;
	/* Its counts go on from where they are, so that a thread that looks at them late is not misled. */
	*s = (struct tofu_share){ .holder = h, .received = h->received, .seen = h->received };
	return true;
}

void tofu_share_close(struct tofu_share *s)
{
	struct tofu_holder *h = s->holder;

	if (h == NULL)
		return;
	h->received = s->received;
	*s = (struct tofu_share){ 0 };
	atomic_store(&h->wake_at, TOFU_NEVER);
	if (settled(h)) {
		h->next = h->pool->unused;
		h->pool->unused = h;
	} else {
		linger(h->pool, h);
	}
}

/* How many it takes, at so many percent each, to make up for a third; at least one. */
static size_t third(int64_t missing, uint32_t each)
{
	return (size_t)((missing + INT64_C(3) * each - 1) / (INT64_C(3) * each));
}

/* What a holder lacks to take one more, in percent of a message. */
static int64_t missing_for(int64_t held, size_t left, const struct tofu_terms *t)
{
	return (held + 1) * 100 - ((int64_t)(left + t->in_stock) - (int64_t)t->reserved - 1) * (int64_t)t->percent;
}

bool tofu_share_may_take_or_wait(struct tofu_share *s, const struct tofu_terms *t, size_t *left, size_t *queued_at)
{
	struct tofu_holder *h = s->holder;
	struct tofu_pool *pool = h->pool;
	uint64_t wake_at;

	if (is_inherited(pool))
		return false;
	atomic_store(&h->wake_at, TOFU_NEVER);
	do {
		int64_t held = (int64_t)tofu_share_look(s);
		int64_t missing;

		tofu_mutex_lock(&pool->lock);
		*left = available(pool, t->queued);
		missing = missing_for(held, *left, t);
		if (held > 0 && missing > 0) {
			gather(pool);
			*left = available(pool, t->queued);
			missing = missing_for(held, *left, t);
			if (missing > 0)
				wait_for(pool, pool->messages.count + t->in_stock + third(missing, t->percent));
			set_direct(pool);
		}
		tofu_mutex_unlock(&pool->lock);
		if (held == 0 || missing <= 0)
			return true;
		*queued_at = t->queued + third(missing, t->percent);
		wake_at = s->seen + third(missing, 100);
		atomic_store(&h->wake_at, wake_at);
	} while (atomic_load(&h->released) >= wake_at);
	return false;
}

void tofu_holder_release_held(struct tofu_msg *m)
{
	struct tofu_holder *h = m->holder;

	m->holder = h->own;
	if (let_go(h, 1) && !is_inherited(h->pool))
		call_now(h->pool);
}

void tofu_pool_counts(struct tofu_pool *pool, struct tofu_pool_counts *out)
{
	size_t refs;

	*out = (struct tofu_pool_counts){ 0 };
	if (is_inherited(pool))
		return;
	tofu_mutex_lock(&pool->lock);
	out->hits = pool->hits;
	for (size_t i = 0; i < TOFU_MAGAZINES; i++)
		out->hits += atomic_load_explicit(&pool->magazines[i].hits, memory_order_relaxed);
	out->misses = pool->misses;
	out->free = free_count(pool);
	refs = atomic_load_explicit(&pool->refs, memory_order_relaxed) - (size_t)(out->free - pool->messages.count);
	out->out = pool->closed ? refs : refs - 1;
	tofu_mutex_unlock(&pool->lock);
}

/* --- fork, and the end --- */

/* What is in a magazine when the pool has ended. In a child of fork() it is as the parent left it. */
static void empty_magazine(struct tofu_pool *pool, struct tofu_magazine *z)
{
	struct tofu_msg *msgs[TOFU_MAGAZINE_MAX];
	uint32_t n;

	if (is_inherited(pool) && atomic_load(&z->lock.taken)) /* by a thread that is not there */
		return;
	tofu_visit_begin(&z->lock);
	n = tofu_magazine_count(z);
	tofu_magazine_take(z, msgs, n);
	tofu_visit_end(&z->lock);
	if (n == 0)
		return;
	(void)destroy_all(pool, msgs, n);
	release(pool, n); /* not the last: the engine has one */
}

/* No refilled call begins after this, and none is under way. */
static void close_pool(struct tofu_pool *pool)
{
	size_t messages;
	size_t notices;

	tofu_mutex_lock(&pool->lock);
	pool->closed = true;
	set_direct(pool);
	while (pool->calls > 0)
		(void)tofu_cond_wait_until(&pool->calls_ended, &pool->lock, TOFU_FOREVER);
	messages = pool->messages.count;
	notices = pool->notices.count;
	pool->messages.count = pool->messages.max = 0; /* nothing is kept any more: what is in the slots is ours */
	pool->notices.count = pool->notices.max = 0;
	tofu_mutex_unlock(&pool->lock);
	stack_empty(&pool->messages, messages);
	stack_empty(&pool->notices, notices);
}

void tofu_pool_destroy(struct tofu_pool *pool)
{
	if (pool == NULL)
		return;
	if (!is_inherited(pool))
		close_pool(pool);
	for (size_t i = 0; i < TOFU_MAGAZINES; i++)
		empty_magazine(pool, &pool->magazines[i]);
	release(pool, 1);
}

void tofu_pool_hold(struct tofu_pool *pool)
{
	tofu_mutex_lock(&pool->lock);
	for (size_t i = 0; i < TOFU_MAGAZINES; i++)
		tofu_visit_begin(&pool->magazines[i].lock);
}

void tofu_pool_go_on(struct tofu_pool *pool)
{
	for (size_t i = 0; i < TOFU_MAGAZINES; i++)
		tofu_visit_end(&pool->magazines[i].lock);
	tofu_mutex_unlock(&pool->lock);
}
