/* SPDX-License-Identifier: MIT */
/*
 * The pool: its counts and bounds, the wake-up of who waits for a message, the order of endings, and many threads at
 * once.
 */

#include "harness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "message/message.h"
#include "message/pool.h"
#include "platform/platform.h"

static struct tofu_pool *pool;
static atomic_int refills;

static void count_refill(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void open_pool(size_t initial, size_t max)
{
	atomic_store(&refills, 0);
	ck_status(tofu_pool_create(initial, max, count_refill, &refills, &pool), TOFU_OK);
	ck_assert_ptr_nonnull(pool);
}

static struct tofu_msg *get(enum tofu_alloc from)
{
	struct tofu_msg *m;

	ck_status(tofu_pool_get(pool, from, &m), TOFU_OK);
	return m;
}

/* One, or NULL: then the next put calls the refill. */
static struct tofu_msg *get_or_wait(struct tofu_pool *from)
{
	struct tofu_msg *m;
	size_t left;

	return tofu_pool_get_some_or_wait(from, 0, &m, 1, &left) > 0 ? m : NULL;
}

static void assert_free_and_out(uint64_t free_now, uint64_t out_now)
{
	struct tofu_pool_counts counts;

	tofu_pool_counts(pool, &counts);
	ck_assert(counts.free == free_now);
	ck_assert(counts.out == out_now);
}

/* How many it keeps of ten. */
static uint64_t kept_of_ten(void)
{
	struct tofu_msg *m[10];
	struct tofu_pool_counts counts;

	for (int i = 0; i < 10; i++)
		m[i] = get(TOFU_ALWAYS);
	for (int i = 0; i < 10; i++)
		tofu_msg_put(&m[i]);
	tofu_pool_counts(pool, &counts);
	ck_assert(counts.out == 0);
	return counts.free;
}

struct size_case {
	size_t initial;
	size_t max;
	uint64_t free_at_first;
	uint64_t kept;
};

static const struct size_case size_cases[] = {
	{ 3, 5, 3, 5 }, { 3, 3, 3, 3 }, { 4, 2, 4, 4 }, { 4, 0, 4, 4 }, { 0, 2, 0, 2 }, { 0, 0, 0, 1 },
};

START_TEST(a_pool_has_its_initial_messages_and_keeps_its_maximum)
{
	const struct size_case *c = &size_cases[_i];

	open_pool(c->initial, c->max);
	assert_free_and_out(c->free_at_first, 0);
	ck_assert(kept_of_ten() == c->kept);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(pool_only_on_empty_gives_pool_empty)
{
	struct tofu_msg *m;
	struct tofu_msg *none;

	open_pool(1, 1);
	m = get(TOFU_POOL_ONLY);
	none = m;
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &none), TOFU_POOL_EMPTY);
	ck_assert_ptr_null(none);
	assert_free_and_out(0, 1);
	tofu_msg_put(&m);
	assert_free_and_out(1, 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(always_on_empty_allocates)
{
	struct tofu_msg *a;
	struct tofu_msg *b;

	open_pool(1, 1);
	a = get(TOFU_ALWAYS);
	b = get(TOFU_ALWAYS);
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_eq(b->holder->pool, pool);
	assert_free_and_out(0, 2);
	tofu_msg_put(&a);
	tofu_msg_put(&b); /* beyond the maximum: freed */
	assert_free_and_out(1, 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(what_was_put_last_comes_first)
{
	struct tofu_msg *a;
	struct tofu_msg *b;
	struct tofu_msg *last;

	open_pool(2, 2);
	a = get(TOFU_POOL_ONLY);
	b = last = get(TOFU_POOL_ONLY);
	tofu_msg_put(&a);
	tofu_msg_put(&b);
	b = get(TOFU_POOL_ONLY);
	ck_assert_ptr_eq(b, last);
	tofu_msg_put(&b);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(hits_and_misses_are_counted)
{
	struct tofu_pool_counts counts;
	struct tofu_msg *m[4];

	open_pool(2, 2);
	m[0] = get(TOFU_POOL_ONLY);
	m[1] = get_or_wait(pool);
	m[2] = get(TOFU_ALWAYS);
	m[3] = tofu_pool_get_notice(pool); /* neither */
	ck_assert_ptr_null(get_or_wait(pool));
	tofu_pool_counts(pool, &counts);
	ck_assert(counts.hits == 2);
	ck_assert(counts.misses == 2);
	ck_assert(counts.out == 4);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&m[i]);
	tofu_pool_destroy(pool);
}
END_TEST

/* Put back n messages with bodies of that size, take all of the pool, and add up what they still hold. */
static size_t grown_kept(size_t n, size_t body)
{
	struct tofu_msg_queue q = { 0 };
	struct tofu_msg *m;
	size_t grown = 0;

	for (size_t i = 0; i < n; i++) {
		m = get(TOFU_ALWAYS);
		ck_status(tofu_msg_body_reserve(m, body, NULL), TOFU_OK);
		tofu_msg_queue_push(&q, m);
	}
	tofu_msg_queue_put(&q);
	for (size_t i = 0; i < n; i++) {
		m = get(TOFU_ALWAYS);
		grown += tofu_msg_grown(m);
		tofu_msg_shrink(m);
		tofu_msg_queue_push(&q, m);
	}
	tofu_msg_queue_put(&q);
	return grown;
}

START_TEST(memory_that_free_messages_grew_is_bounded)
{
	enum { BOUND = 16 * 1024 * 1024, BODY = 65536 };

	open_pool(1, 1024);
	for (int round = 0; round < 3; round++) { /* what left is no longer counted, else it would be less each time */
		ck_assert_uint_eq(grown_kept(100, BODY), 100 * BODY);
		ck_assert_uint_eq(grown_kept(400, BODY), BOUND);
		ck_assert_uint_eq(grown_kept(1, BOUND + 1), 0);
		ck_assert_uint_eq(grown_kept(1, BOUND), BOUND);
	}
	assert_free_and_out(400, 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(memory_of_messages_that_were_not_kept_is_not_counted)
{
	enum { BODY = 1024 * 1024 };

	open_pool(1, 1);
	for (int round = 0; round < 3; round++)
		ck_assert_uint_eq(grown_kept(20, BODY), BODY);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(who_owns_the_pool_is_called_once_when_much_was_freed)
{
	enum { BODY = 1024 * 1024, MUCH = 8 };

	open_pool(1, 1);
	for (int round = 1; round <= 3; round++) {
		(void)grown_kept(MUCH, BODY); /* one of them is kept */
		ck_assert(!tofu_pool_freed_much(pool));
		(void)grown_kept(MUCH, BODY);
		ck_assert_int_eq(atomic_load(&refills), round);
		ck_assert(tofu_pool_freed_much(pool));
		ck_assert(!tofu_pool_freed_much(pool));
	}
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(messages_that_are_not_kept_are_freed_memory_too)
{
	enum { MANY = 40000 };
	struct tofu_msg *chain = NULL;

	open_pool(1, 1);
	for (int i = 0; i < MANY; i++) {
		struct tofu_msg *m = get(TOFU_ALWAYS);

		m->next = chain;
		chain = m;
	}
	tofu_pool_put_all(chain);
	ck_assert_int_eq(atomic_load(&refills), 1);
	ck_assert(tofu_pool_freed_much(pool));
	assert_free_and_out(1, 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_pool_that_is_trimmed_keeps_its_initial_messages)
{
	open_pool(3, 8);
	ck_assert(kept_of_ten() == 8);
	tofu_pool_trim(pool);
	assert_free_and_out(3, 0);
	tofu_pool_trim(pool);
	assert_free_and_out(3, 0);
	ck_assert(kept_of_ten() == 8);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_pool_that_is_trimmed_counts_messages_that_are_out)
{
	struct tofu_msg *m[8];

	open_pool(3, 8);
	for (int i = 0; i < 8; i++)
		m[i] = get(TOFU_ALWAYS);
	for (int i = 4; i < 8; i++)
		tofu_msg_put(&m[i]);
	tofu_pool_trim(pool); /* 8 there are, and 5 too many of them; 4 are here */
	assert_free_and_out(0, 4);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&m[i]);
	assert_free_and_out(4, 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_pool_that_somebody_waits_for_keeps_all_that_is_free)
{
	struct tofu_terms a_tenth = { .percent = 10 };
	struct tofu_share share = { 0 };
	struct tofu_msg *m[10];
	size_t left, queued_at;

	open_pool(2, 10);
	ck_assert(tofu_share_open(&share, pool));
	for (int i = 0; i < 10; i++)
		m[i] = get(TOFU_ALWAYS);
	for (int i = 0; i < 3; i++)
		tofu_share_take(&share, m[i]);
	for (int i = 5; i < 10; i++)
		tofu_msg_put(&m[i]);
	ck_assert(!tofu_share_may_take_or_wait(&share, &a_tenth, &left, &queued_at));
	tofu_pool_trim(pool);
	assert_free_and_out(5, 5);
	for (int i = 0; i < 5; i++)
		tofu_msg_put(&m[i]);
	ck_assert_int_ge(atomic_load(&refills), 1);
	tofu_pool_trim(pool);
	assert_free_and_out(2, 0);
	tofu_share_close(&share);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_notice_has_room_for_why_a_channel_has_ended)
{
	struct tofu_msg *notice;

	open_pool(1, 1);
	notice = tofu_pool_get_notice(pool);
	ck_assert_ptr_nonnull(notice);
	for (int status = TOFU_OK; status <= UINT8_MAX; status++) {
		tofu_msg_reset(notice);
		ck_status(tofu_msg_headers_add(notice, "~reason", tofu_status_name((enum tofu_status)status)), TOFU_OK);
		ck_assert(!notice->headers_grown);
	}
	tofu_msg_put(&notice);
}
END_TEST

START_TEST(a_notice_is_to_be_had_when_the_pool_is_empty_and_is_kept_apart)
{
	struct tofu_msg *m;
	struct tofu_msg *notice;
	struct tofu_msg *first;

	open_pool(1, 4);
	m = get(TOFU_POOL_ONLY);
	first = notice = tofu_pool_get_notice(pool);
	ck_assert_ptr_nonnull(notice);
	assert_free_and_out(0, 2);
	tofu_msg_put(&notice);
	assert_free_and_out(0, 1);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	notice = tofu_pool_get_notice(pool);
	ck_assert_ptr_eq(notice, first);
	tofu_msg_put(&notice);
	tofu_msg_put(&m);
	notice = tofu_pool_get_notice(pool);
	assert_free_and_out(1, 1); /* it was not one of the free messages */
	tofu_msg_put(&notice);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(who_waits_is_called_once_at_the_next_put)
{
	struct tofu_msg *m[3];

	open_pool(0, 4);
	for (int i = 0; i < 3; i++)
		m[i] = get(TOFU_ALWAYS);
	ck_assert_ptr_null(get_or_wait(pool));
	ck_assert_ptr_null(get_or_wait(pool));
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	ck_assert_int_eq(atomic_load(&refills), 0);
	tofu_msg_put(&m[0]);
	ck_assert_int_eq(atomic_load(&refills), 1);
	tofu_msg_put(&m[1]);
	tofu_msg_put(&m[2]);
	ck_assert_int_eq(atomic_load(&refills), 1);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(who_waits_again_is_called_again)
{
	struct tofu_msg *m;

	open_pool(1, 1);
	for (int round = 1; round <= 3; round++) {
		ck_assert(tofu_pool_has_or_wait(pool, 0));
		m = get_or_wait(pool);
		ck_assert_ptr_nonnull(m);
		ck_assert(!tofu_pool_has_or_wait(pool, 0));
		tofu_msg_put(&m);
		ck_assert_int_eq(atomic_load(&refills), round);
	}
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(who_does_not_wait_is_not_called)
{
	struct tofu_msg *m;
	struct tofu_msg *none;

	open_pool(1, 1);
	m = get(TOFU_POOL_ONLY);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &none), TOFU_POOL_EMPTY);
	tofu_msg_put(&m);
	ck_assert(tofu_pool_has_or_wait(pool, 0));
	m = get_or_wait(pool);
	tofu_msg_put(&m);
	ck_assert_int_eq(atomic_load(&refills), 0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_notice_that_comes_back_does_not_call)
{
	struct tofu_msg *m;
	struct tofu_msg *notice;

	open_pool(1, 1);
	m = get(TOFU_POOL_ONLY);
	notice = tofu_pool_get_notice(pool);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	tofu_msg_put(&notice);
	ck_assert_int_eq(atomic_load(&refills), 0);
	tofu_msg_put(&m);
	ck_assert_int_eq(atomic_load(&refills), 1);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(without_a_callback_waiting_is_harmless)
{
	struct tofu_msg *m;

	ck_status(tofu_pool_create(1, 1, NULL, NULL, &pool), TOFU_OK);
	m = get(TOFU_POOL_ONLY);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	tofu_msg_put(&m);
	tofu_pool_destroy(pool);
}
END_TEST

static void use_the_pool(void *context)
{
	struct tofu_msg **taken = context;

	*taken = get_or_wait(pool);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
}

START_TEST(the_callback_may_use_the_pool)
{
	struct tofu_msg *taken = NULL;
	struct tofu_msg *m;

	ck_status(tofu_pool_create(1, 1, use_the_pool, &taken, &pool), TOFU_OK);
	m = get(TOFU_POOL_ONLY);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	tofu_msg_put(&m);
	ck_assert_ptr_nonnull(taken);
	tofu_pool_destroy(pool);
	tofu_msg_put(&taken);
}
END_TEST

START_TEST(a_chain_goes_back_to_the_pools_it_came_from)
{
	struct tofu_pool *other;
	atomic_int other_refills = 0;
	struct tofu_pool_counts counts;
	struct tofu_msg_queue q = { 0 };
	struct tofu_msg *m;

	open_pool(4, 4);
	ck_status(tofu_pool_create(4, 4, count_refill, &other_refills, &other), TOFU_OK);
	for (int i = 0; i < 8; i++) {
		ck_status(tofu_pool_get(i / 2 % 2 == 0 ? pool : other, TOFU_POOL_ONLY, &m), TOFU_OK);
		tofu_msg_queue_push(&q, m);
	}
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	ck_assert(!tofu_pool_has_or_wait(other, 0));
	tofu_pool_put_all(q.head);
	assert_free_and_out(4, 0);
	tofu_pool_counts(other, &counts);
	ck_assert(counts.free == 4);
	ck_assert(counts.out == 0);
	ck_assert_int_eq(atomic_load(&refills), 1);
	ck_assert_int_eq(atomic_load(&other_refills), 1);
	tofu_pool_put_all(NULL);
	tofu_pool_destroy(other);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(destroy_of_nothing_is_fine)
{
	tofu_pool_destroy(NULL);
}
END_TEST

START_TEST(messages_outlive_the_pools_destruction)
{
	struct tofu_msg *a;
	struct tofu_msg *b;
	struct tofu_msg *notice;
	struct tofu_msg *copy;

	open_pool(2, 8);
	a = get(TOFU_POOL_ONLY);
	b = get(TOFU_POOL_ONLY);
	notice = tofu_pool_get_notice(pool);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	tofu_pool_destroy(pool);
	ck_status(tofu_msg_body_set(a, "still here", 10), TOFU_OK);
	ck_status(tofu_msg_clone(a, &copy), TOFU_OK);
	ck_assert_mem_eq(tofu_msg_body(copy, NULL), "still here", 10);
	tofu_msg_put(&b);
	tofu_msg_put(&notice);
	tofu_msg_put(&a);
	tofu_msg_put(&copy);                        /* the last one frees the pool; a sanitizer or valgrind sees it */
	ck_assert_int_eq(atomic_load(&refills), 0); /* though somebody had waited */
}
END_TEST

struct last {
	struct tofu_msg *msg;
};

static void put_last(void *context)
{
	tofu_msg_put(&((struct last *)context)->msg);
}

START_TEST(the_last_message_may_come_back_on_any_thread)
{
	enum { THREADS = 4 };
	struct tofu_thread threads[THREADS];
	struct last last[THREADS];

	for (int round = 0; round < 50; round++) {
		open_pool(THREADS, THREADS);
		for (int i = 0; i < THREADS; i++)
			last[i].msg = get(TOFU_POOL_ONLY);
		for (int i = 0; i < THREADS; i++)
			ck_status(tofu_thread_start(&threads[i], put_last, &last[i]), TOFU_OK);
		tofu_pool_destroy(pool);
		for (int i = 0; i < THREADS; i++)
			tofu_thread_join(&threads[i]);
	}
}
END_TEST

/* A refilled call that takes its time. */
struct slow {
	struct tofu_mutex lock;
	struct tofu_cond changed;
	bool began;
	bool ended;
	struct tofu_msg *msg;
};

static void slow_refilled(void *context)
{
	struct slow *s = context;
	int64_t deadline = tofu_plat_deadline(20 * TOFU_NS_PER_MS);

	tofu_mutex_lock(&s->lock);
	s->began = true;
	tofu_cond_broadcast(&s->changed);
	/* Not to wait for anything: only so that a destroy that does not wait would be back long before. */
	while (tofu_cond_wait_until(&s->changed, &s->lock, deadline))
		continue;
	s->ended = true;
	tofu_mutex_unlock(&s->lock);
}

static void put_of_slow(void *context)
{
	tofu_msg_put(&((struct slow *)context)->msg);
}

START_TEST(destroy_waits_for_a_call_under_way)
{
	struct slow s = { .began = false };
	struct tofu_thread thread;

	ck_status(tofu_mutex_init(&s.lock), TOFU_OK);
	ck_status(tofu_cond_init(&s.changed), TOFU_OK);
	ck_status(tofu_pool_create(1, 1, slow_refilled, &s, &pool), TOFU_OK);
	s.msg = get(TOFU_POOL_ONLY);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	ck_status(tofu_thread_start(&thread, put_of_slow, &s), TOFU_OK);
	tofu_mutex_lock(&s.lock);
	while (!s.began)
		(void)tofu_cond_wait_until(&s.changed, &s.lock, TOFU_FOREVER);
	tofu_mutex_unlock(&s.lock);
	tofu_pool_destroy(pool);
	tofu_mutex_lock(&s.lock);
	ck_assert(s.ended);
	tofu_mutex_unlock(&s.lock);
	tofu_thread_join(&thread);
	tofu_cond_fini(&s.changed);
	tofu_mutex_fini(&s.lock);
}
END_TEST

/* Without magazines, and with: a pool of so few messages has none. */
static const struct bounds {
	size_t initial;
	size_t max;
} pools[] = { { 4, 12 }, { 128, 140 } };

enum { POOLS = sizeof pools / sizeof pools[0], HAMMERS = 4, ROUNDS = 5000, HELD = 128 };

static void hammer_once(struct tofu_msg **held, unsigned dice)
{
	struct tofu_msg **slot = &held[dice % HELD];

	if (*slot != NULL) {
		if (dice & 64)
			ck_assert_int_eq((*slot)->header.channel,
			                 (uint16_t)(*slot)->header.id); /* nobody else's hand in it */
		tofu_msg_put(slot);
		return;
	}
	if (dice & 8)
		*slot = tofu_pool_get_notice(pool);
	else if (dice & 16)
		*slot = get_or_wait(pool);
	else
		(void)tofu_pool_get(pool, dice & 32 ? TOFU_ALWAYS : TOFU_POOL_ONLY, slot);
	if (*slot == NULL)
		return;
	ck_assert_uint_eq((*slot)->body_len, 0);
	(*slot)->header.id = dice;
	(*slot)->header.channel = (uint16_t)dice;
	ck_status(tofu_msg_body_reserve(*slot, dice % 1000, NULL), TOFU_OK);
}

static void hammer(void *context)
{
	unsigned dice = *(unsigned *)context;
	struct tofu_msg *held[HELD] = { NULL };

	for (int i = 0; i < ROUNDS; i++) {
		dice = dice * 1664525u + 1013904223u;
		hammer_once(held, dice >> 8);
	}
	for (int i = 0; i < HELD; i++)
		tofu_msg_put(&held[i]);
}

START_TEST(many_threads_get_and_put_and_nothing_is_lost)
{
	struct tofu_thread threads[HAMMERS];
	unsigned seeds[HAMMERS];
	struct tofu_pool_counts counts;

	open_pool(pools[_i].initial, pools[_i].max);
	for (unsigned i = 0; i < HAMMERS; i++) {
		seeds[i] = i + 1;
		ck_status(tofu_thread_start(&threads[i], hammer, &seeds[i]), TOFU_OK);
	}
	for (int i = 0; i < HAMMERS; i++)
		tofu_thread_join(&threads[i]);
	tofu_pool_counts(pool, &counts);
	ck_assert(counts.out == 0);
	ck_assert(counts.free >= pools[_i].initial && counts.free <= pools[_i].max);
	ck_assert(counts.hits > 0);
	if (_i == 0) { /* of more messages there may have been enough all the time */
		ck_assert(counts.misses > 0);
		ck_assert_int_gt(atomic_load(&refills), 0);
	}
	tofu_pool_destroy(pool);
}
END_TEST

/* Of another thread: have some messages at hand, and end. */
static void get_and_put_one(void *context)
{
	struct tofu_msg *m = get(TOFU_POOL_ONLY);

	(void)context;
	tofu_msg_put(&m);
}

static void by_another_thread(void (*run)(void *), void *context)
{
	struct tofu_thread thread;

	ck_status(tofu_thread_start(&thread, run, context), TOFU_OK);
	tofu_thread_join(&thread);
}

enum { MANY = 256 };

static struct tofu_msg *got[MANY];

/* All but so many of the free ones. */
static void get_all_but(size_t left)
{
	for (size_t i = 0; i < MANY - left; i++)
		got[i] = get(TOFU_POOL_ONLY);
}

static void put_all_but(size_t left)
{
	for (size_t i = 0; i < MANY - left; i++)
		tofu_msg_put(&got[i]);
}

START_TEST(what_a_thread_has_at_hand_is_free_for_all)
{
	struct tofu_msg *none;

	open_pool(MANY, MANY);
	by_another_thread(get_and_put_one, NULL);
	assert_free_and_out(MANY, 0);
	get_all_but(0);
	assert_free_and_out(0, MANY);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &none), TOFU_POOL_EMPTY);
	put_all_but(0);
	assert_free_and_out(MANY, 0);
	tofu_pool_destroy(pool);
}
END_TEST

static void put_four(void *context)
{
	struct tofu_msg **msgs = context;

	for (int i = 0; i < 4; i++)
		tofu_msg_put(&msgs[i]);
}

START_TEST(what_a_thread_has_at_hand_is_found_by_one_that_would_wait)
{
	struct tofu_msg *m;

	open_pool(MANY, MANY);
	get_all_but(0);
	by_another_thread(put_four, got);
	assert_free_and_out(4, MANY - 4);
	ck_assert(tofu_pool_has_or_wait(pool, 0));
	for (int i = 0; i < 4; i++) {
		m = get_or_wait(pool);
		ck_assert_ptr_nonnull(m);
		got[i] = m;
	}
	ck_assert_int_eq(atomic_load(&refills), 0);
	ck_assert(!tofu_pool_has_or_wait(pool, 0));
	put_all_but(0);
	ck_assert_int_eq(atomic_load(&refills), 1);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(a_put_by_a_thread_with_a_magazine_calls_the_one_that_waits)
{
	open_pool(MANY, MANY);
	by_another_thread(get_and_put_one, NULL);
	get_all_but(0);
	ck_assert_ptr_null(get_or_wait(pool));
	ck_assert_int_eq(atomic_load(&refills), 0);
	tofu_msg_put(&got[0]); /* ours is in use, too */
	ck_assert_int_eq(atomic_load(&refills), 1);
	ck_assert_ptr_nonnull(got[0] = get_or_wait(pool));
	put_all_but(0);
	tofu_pool_destroy(pool);
}
END_TEST

START_TEST(what_a_thread_has_at_hand_is_given_back_in_a_trim)
{
	struct tofu_msg *more[4];

	open_pool(MANY, 2 * MANY);
	get_all_but(0);
	for (int i = 0; i < 4; i++)
		more[i] = get(TOFU_ALWAYS);
	put_all_but(0);
	by_another_thread(put_four, more);
	assert_free_and_out(MANY + 4, 0);
	tofu_pool_trim(pool);
	assert_free_and_out(MANY, 0);
	tofu_pool_destroy(pool);
}
END_TEST

/*
 * One takes and waits, others put: each time the taker finds nothing, the next put wakes it. If one wake-up were
 * missed, it would wait for ever.
 */
struct taker {
	struct tofu_mutex lock;
	struct tofu_cond refilled;
	bool woken;
	struct tofu_msg_queue taken;
	bool done;
};

static void wake_taker(void *context)
{
	struct taker *t = context;

	tofu_mutex_lock(&t->lock);
	t->woken = true;
	tofu_cond_broadcast(&t->refilled);
	tofu_mutex_unlock(&t->lock);
}

static void give_back(void *context)
{
	struct taker *t = context;
	struct tofu_msg *m;

	for (bool done = false; !done;) {
		tofu_mutex_lock(&t->lock);
		while (t->taken.count == 0 && !t->done)
			(void)tofu_cond_wait_until(&t->refilled, &t->lock, TOFU_FOREVER);
		m = tofu_msg_queue_pop(&t->taken);
		done = m == NULL;
		tofu_mutex_unlock(&t->lock);
		tofu_msg_put(&m);
	}
}

static struct tofu_msg *take_or_sleep(struct taker *t)
{
	struct tofu_msg *m;

	while ((m = get_or_wait(pool)) == NULL) {
		tofu_mutex_lock(&t->lock);
		while (!t->woken)
			(void)tofu_cond_wait_until(&t->refilled, &t->lock, TOFU_FOREVER);
		t->woken = false;
		tofu_mutex_unlock(&t->lock);
	}
	return m;
}

START_TEST(no_wake_up_is_missed)
{
	struct taker t = { .woken = false };
	struct tofu_thread threads[2];

	ck_status(tofu_mutex_init(&t.lock), TOFU_OK);
	ck_status(tofu_cond_init(&t.refilled), TOFU_OK);
	ck_status(tofu_pool_create(pools[_i].initial, pools[_i].initial, wake_taker, &t, &pool), TOFU_OK);
	for (int i = 0; i < 2; i++)
		ck_status(tofu_thread_start(&threads[i], give_back, &t), TOFU_OK);
	for (int i = 0; i < 10000; i++) {
		struct tofu_msg *m = take_or_sleep(&t);

		tofu_mutex_lock(&t.lock);
		tofu_msg_queue_push(&t.taken, m);
		tofu_cond_broadcast(&t.refilled);
		tofu_mutex_unlock(&t.lock);
	}
	tofu_mutex_lock(&t.lock);
	t.done = true;
	tofu_cond_broadcast(&t.refilled);
	tofu_mutex_unlock(&t.lock);
	for (int i = 0; i < 2; i++)
		tofu_thread_join(&threads[i]);
	assert_free_and_out(pools[_i].initial, 0);
	tofu_pool_destroy(pool);
	tofu_cond_fini(&t.refilled);
	tofu_mutex_fini(&t.lock);
}
END_TEST

static Suite *suite_of_pool(void)
{
	Suite *s = suite_create("pool");
	TCase *bounds = tcase_create("counts and bounds");
	TCase *refill = tcase_create("refill");
	TCase *endings = tcase_create("endings");
	TCase *threads = tcase_create("threads");

	tcase_add_loop_test(bounds, a_pool_has_its_initial_messages_and_keeps_its_maximum, 0,
	                    sizeof size_cases / sizeof size_cases[0]);
	tcase_add_test(bounds, pool_only_on_empty_gives_pool_empty);
	tcase_add_test(bounds, always_on_empty_allocates);
	tcase_add_test(bounds, what_was_put_last_comes_first);
	tcase_add_test(bounds, hits_and_misses_are_counted);
	tcase_add_test(bounds, memory_that_free_messages_grew_is_bounded);
	tcase_add_test(bounds, memory_of_messages_that_were_not_kept_is_not_counted);
	tcase_add_test(bounds, who_owns_the_pool_is_called_once_when_much_was_freed);
	tcase_add_test(bounds, messages_that_are_not_kept_are_freed_memory_too);
	tcase_add_test(bounds, a_pool_that_is_trimmed_keeps_its_initial_messages);
	tcase_add_test(bounds, a_pool_that_is_trimmed_counts_messages_that_are_out);
	tcase_add_test(bounds, a_pool_that_somebody_waits_for_keeps_all_that_is_free);
	tcase_add_test(bounds, a_notice_has_room_for_why_a_channel_has_ended);
	tcase_add_test(bounds, a_notice_is_to_be_had_when_the_pool_is_empty_and_is_kept_apart);
	suite_add_tcase(s, bounds);
	tcase_add_test(refill, who_waits_is_called_once_at_the_next_put);
	tcase_add_test(refill, who_waits_again_is_called_again);
	tcase_add_test(refill, who_does_not_wait_is_not_called);
	tcase_add_test(refill, a_notice_that_comes_back_does_not_call);
	tcase_add_test(refill, without_a_callback_waiting_is_harmless);
	tcase_add_test(refill, the_callback_may_use_the_pool);
	tcase_add_test(refill, a_chain_goes_back_to_the_pools_it_came_from);
	suite_add_tcase(s, refill);
	tcase_add_test(endings, destroy_of_nothing_is_fine);
	tcase_add_test(endings, messages_outlive_the_pools_destruction);
	tcase_add_test(endings, the_last_message_may_come_back_on_any_thread);
	tcase_add_test(endings, destroy_waits_for_a_call_under_way);
	suite_add_tcase(s, endings);
	tcase_add_test(threads, what_a_thread_has_at_hand_is_free_for_all);
	tcase_add_test(threads, what_a_thread_has_at_hand_is_found_by_one_that_would_wait);
	tcase_add_test(threads, a_put_by_a_thread_with_a_magazine_calls_the_one_that_waits);
	tcase_add_test(threads, what_a_thread_has_at_hand_is_given_back_in_a_trim);
	tcase_add_loop_test(threads, many_threads_get_and_put_and_nothing_is_lost, 0, POOLS);
	tcase_add_loop_test(threads, no_wake_up_is_missed, 0, POOLS);
	suite_add_tcase(s, threads);
	return s;
}

int main(void)
{
	return harness_run(suite_of_pool());
}
