/* SPDX-License-Identifier: MIT */
/* Floor 1 without its sockets: who uses the library, time, threads, events. */

#include <stdatomic.h>

#include <tofu/engine.h>

#include "harness.h"
#include "os.h"
#include "platform/platform.h"

enum { THREADS = 8, ROUNDS = 200 };

static const int64_t long_enough = 10 * TOFU_NS_PER_S;

/* init and deinit */

START_TEST(hold_without_init_gives_not_initialized)
{
	ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
}
END_TEST

START_TEST(deinit_without_init_does_nothing)
{
	tofu_deinit();
	tofu_plat_release();
	ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_plat_hold(), TOFU_OK);
	tofu_plat_release();
	tofu_deinit();
}
END_TEST

START_TEST(nested_init_ends_with_the_last_deinit)
{
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_init(), TOFU_OK);
	tofu_deinit();
	ck_status(tofu_plat_hold(), TOFU_OK);
	tofu_plat_release();
	tofu_deinit();
	ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
}
END_TEST

START_TEST(library_starts_again_after_the_last_deinit)
{
	for (int i = 0; i < 3; i++) {
		ck_status(tofu_init(), TOFU_OK);
		ck_status(tofu_plat_hold(), TOFU_OK);
		tofu_plat_release();
		tofu_deinit();
		ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
	}
}
END_TEST

START_TEST(hold_outlives_the_last_deinit)
{
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_plat_hold(), TOFU_OK);
	tofu_deinit();
	tofu_deinit(); /* one too many: not the holder's */
	ck_status(tofu_plat_hold(), TOFU_OK);
	tofu_plat_release();
	tofu_plat_release();
	ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
}
END_TEST

START_TEST(release_too_many_leaves_the_init)
{
	ck_status(tofu_init(), TOFU_OK);
	tofu_plat_release();
	ck_status(tofu_plat_hold(), TOFU_OK);
	tofu_plat_release();
	tofu_deinit();
}
END_TEST

static void init_and_deinit_often(void *context)
{
	atomic_int *failures = context;

	for (int i = 0; i < ROUNDS; i++) {
		if (tofu_init() != TOFU_OK || tofu_plat_hold() != TOFU_OK)
			atomic_fetch_add(failures, 1);
		tofu_deinit();
		tofu_plat_release();
	}
}

START_TEST(init_from_many_threads_counts_right)
{
	struct tofu_thread threads[THREADS];
	atomic_int failures = 0;

	for (int i = 0; i < THREADS; i++)
		ck_status(tofu_thread_start(&threads[i], init_and_deinit_often, &failures), TOFU_OK);
	for (int i = 0; i < THREADS; i++)
		tofu_thread_join(&threads[i]);
	ck_assert_int_eq(atomic_load(&failures), 0);
	ck_status(tofu_plat_hold(), TOFU_NOT_INITIALIZED);
}
END_TEST

/* clock */

START_TEST(clock_never_goes_back)
{
	int64_t before = tofu_plat_now_ns();

	for (int i = 0; i < 10000; i++) {
		int64_t now = tofu_plat_now_ns();

		ck_assert_int_ge(now, before);
		before = now;
	}
}
END_TEST

START_TEST(deadline_is_now_and_the_timeout)
{
	int64_t before = tofu_plat_now_ns();
	int64_t deadline = tofu_plat_deadline(TOFU_NS_PER_S);
	int64_t after = tofu_plat_now_ns();

	ck_assert_int_ge(deadline, before + TOFU_NS_PER_S);
	ck_assert_int_le(deadline, after + TOFU_NS_PER_S);
}
END_TEST

START_TEST(deadline_does_not_overflow_and_forever_stays_forever)
{
	ck_assert_int_eq(tofu_plat_deadline(INT64_MAX), INT64_MAX);
	ck_assert_int_eq(tofu_plat_deadline(INT64_MAX - 1), INT64_MAX);
	ck_assert_int_eq(tofu_plat_deadline(TOFU_FOREVER), TOFU_FOREVER);
}
END_TEST

/* threads, mutexes, condition variables */

START_TEST(zeroed_objects_can_be_finished)
{
	struct tofu_thread thread = { 0 };
	struct tofu_mutex mutex = { 0 };
	struct tofu_cond cond = { 0 };
	struct tofu_event event = { 0 };

	tofu_thread_join(&thread);
	tofu_thread_detach(&thread);
	ck_assert(!tofu_thread_is_current(&thread));
	tofu_mutex_fini(&mutex);
	tofu_cond_fini(&cond);
	tofu_event_raise(&event);
	tofu_event_clear(&event);
	tofu_event_fini(&event);
	tofu_event_fini(&event);
}
END_TEST

/* A thread and what it shares with the test. */
struct shared {
	struct tofu_thread thread;
	struct tofu_mutex mutex;
	struct tofu_cond cond;
	struct tofu_event event;
	int count; /* under mutex */
	bool current;
};

static void shared_init(struct shared *s)
{
	*s = (struct shared){ .count = 0 };
	ck_status(tofu_mutex_init(&s->mutex), TOFU_OK);
	ck_status(tofu_cond_init(&s->cond), TOFU_OK);
	ck_status(tofu_event_init(&s->event), TOFU_OK);
}

static void shared_fini(struct shared *s)
{
	tofu_event_fini(&s->event);
	tofu_cond_fini(&s->cond);
	tofu_mutex_fini(&s->mutex);
}

static void tell_if_current(void *context)
{
	struct shared *s = context;

	s->current = tofu_thread_is_current(&s->thread);
}

START_TEST(thread_knows_itself)
{
	struct shared s;

	shared_init(&s);
	ck_status(tofu_thread_start(&s.thread, tell_if_current, &s), TOFU_OK);
	ck_assert(!tofu_thread_is_current(&s.thread));
	tofu_thread_join(&s.thread);
	ck_assert(s.current);
	shared_fini(&s);
}
END_TEST

static void count_up(void *context)
{
	struct shared *s = context;

	for (int i = 0; i < ROUNDS; i++) {
		tofu_mutex_lock(&s->mutex);
		s->count++;
		tofu_mutex_unlock(&s->mutex);
	}
}

START_TEST(mutex_keeps_threads_apart)
{
	struct tofu_thread threads[THREADS];
	struct shared s;

	shared_init(&s);
	for (int i = 0; i < THREADS; i++)
		ck_status(tofu_thread_start(&threads[i], count_up, &s), TOFU_OK);
	for (int i = 0; i < THREADS; i++)
		tofu_thread_join(&threads[i]);
	ck_assert_int_eq(s.count, THREADS * ROUNDS);
	shared_fini(&s);
}
END_TEST

static void count_and_signal(void *context)
{
	struct shared *s = context;

	tofu_mutex_lock(&s->mutex);
	s->count++;
	tofu_cond_signal(&s->cond);
	tofu_mutex_unlock(&s->mutex);
}

START_TEST(waiter_is_woken_by_a_signal)
{
	struct shared s;

	shared_init(&s);
	tofu_mutex_lock(&s.mutex);
	ck_status(tofu_thread_start(&s.thread, count_and_signal, &s), TOFU_OK);
	while (s.count == 0)
		ck_assert(tofu_cond_wait_until(&s.cond, &s.mutex, _i == 0 ? TOFU_FOREVER : INT64_MAX));
	tofu_mutex_unlock(&s.mutex);
	tofu_thread_join(&s.thread);
	shared_fini(&s);
}
END_TEST

START_TEST(detached_thread_runs_to_its_end)
{
	struct shared s;

	shared_init(&s);
	ck_status(tofu_thread_start(&s.thread, count_and_signal, &s), TOFU_OK);
	tofu_thread_detach(&s.thread);
	tofu_thread_join(&s.thread); /* nothing left to join */
	tofu_mutex_lock(&s.mutex);
	while (s.count == 0)
		ck_assert(tofu_cond_wait_until(&s.cond, &s.mutex, tofu_plat_deadline(long_enough)));
	tofu_mutex_unlock(&s.mutex);
	/* It may still be on its way out of the mutex; it stays for the process to free. */
}
END_TEST

static void wait_for_start(void *context)
{
	struct shared *s = context;

	tofu_mutex_lock(&s->mutex);
	while (s->count == 0)
		(void)tofu_cond_wait_until(&s->cond, &s->mutex, TOFU_FOREVER);
	s->count++;
	tofu_mutex_unlock(&s->mutex);
}

START_TEST(broadcast_wakes_all_waiters)
{
	struct tofu_thread threads[THREADS];
	struct shared s;

	shared_init(&s);
	for (int i = 0; i < THREADS; i++)
		ck_status(tofu_thread_start(&threads[i], wait_for_start, &s), TOFU_OK);
	tofu_mutex_lock(&s.mutex);
	s.count = 1;
	tofu_cond_broadcast(&s.cond);
	tofu_mutex_unlock(&s.mutex);
	for (int i = 0; i < THREADS; i++)
		tofu_thread_join(&threads[i]);
	ck_assert_int_eq(s.count, 1 + THREADS);
	shared_fini(&s);
}
END_TEST

START_TEST(waiter_gives_up_at_the_deadline_and_not_before)
{
	struct shared s;
	int64_t deadline;

	shared_init(&s);
	tofu_mutex_lock(&s.mutex);
	deadline = tofu_plat_deadline(20 * TOFU_NS_PER_MS);
	while (tofu_cond_wait_until(&s.cond, &s.mutex, deadline))
		; /* spurious */
	ck_assert_int_ge(tofu_plat_now_ns(), deadline);
	tofu_mutex_unlock(&s.mutex);
	shared_fini(&s);
}
END_TEST

START_TEST(deadline_in_the_past_is_reached_at_once)
{
	struct shared s;

	shared_init(&s);
	tofu_mutex_lock(&s.mutex);
	while (tofu_cond_wait_until(&s.cond, &s.mutex, tofu_plat_now_ns()))
		;
	while (tofu_cond_wait_until(&s.cond, &s.mutex, 0))
		;
	tofu_mutex_unlock(&s.mutex);
	shared_fini(&s);
}
END_TEST

/* events */

static bool is_raised(const struct tofu_event *e)
{
	return os_wait(e->handle, OS_READABLE, 0) != 0;
}

START_TEST(event_stays_raised_until_cleared)
{
	struct tofu_event e;

	ck_status(tofu_event_init(&e), TOFU_OK);
	ck_assert(!is_raised(&e));
	tofu_event_raise(&e);
	ck_assert(is_raised(&e));
	ck_assert(is_raised(&e));
	tofu_event_clear(&e);
	ck_assert(!is_raised(&e));
	tofu_event_clear(&e);
	tofu_event_raise(&e);
	ck_assert(is_raised(&e));
	tofu_event_fini(&e);
	ck_assert_int_eq(e.handle, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(event_raised_twice_is_raised_once)
{
	struct tofu_event e;

	ck_status(tofu_event_init(&e), TOFU_OK);
	tofu_event_raise(&e);
	tofu_event_raise(&e);
	tofu_event_clear(&e);
	ck_assert(!is_raised(&e));
	tofu_event_fini(&e);
}
END_TEST

static void raise_event(void *context)
{
	struct shared *s = context;

	tofu_event_raise(&s->event);
}

START_TEST(event_raised_by_another_thread_wakes_a_waiter)
{
	struct shared s;

	shared_init(&s);
	ck_status(tofu_thread_start(&s.thread, raise_event, &s), TOFU_OK);
	ck_assert_uint_ne(os_wait(s.event.handle, OS_READABLE, long_enough), 0);
	tofu_thread_join(&s.thread);
	shared_fini(&s);
}
END_TEST

static Suite *suite_of_platform(void)
{
	Suite *suite = suite_create("platform");
	TCase *init = tcase_create("init");
	TCase *clock = tcase_create("clock");
	TCase *thread = tcase_create("thread");
	TCase *event = tcase_create("event");

	tcase_add_test(init, hold_without_init_gives_not_initialized);
	tcase_add_test(init, deinit_without_init_does_nothing);
	tcase_add_test(init, nested_init_ends_with_the_last_deinit);
	tcase_add_test(init, library_starts_again_after_the_last_deinit);
	tcase_add_test(init, hold_outlives_the_last_deinit);
	tcase_add_test(init, release_too_many_leaves_the_init);
	tcase_add_test(init, init_from_many_threads_counts_right);
	suite_add_tcase(suite, init);

	tcase_add_test(clock, clock_never_goes_back);
	tcase_add_test(clock, deadline_is_now_and_the_timeout);
	tcase_add_test(clock, deadline_does_not_overflow_and_forever_stays_forever);
	suite_add_tcase(suite, clock);

	tcase_add_test(thread, zeroed_objects_can_be_finished);
	tcase_add_test(thread, thread_knows_itself);
	tcase_add_test(thread, mutex_keeps_threads_apart);
	tcase_add_loop_test(thread, waiter_is_woken_by_a_signal, 0, 2);
	tcase_add_test(thread, detached_thread_runs_to_its_end);
	tcase_add_test(thread, broadcast_wakes_all_waiters);
	tcase_add_test(thread, waiter_gives_up_at_the_deadline_and_not_before);
	tcase_add_test(thread, deadline_in_the_past_is_reached_at_once);
	suite_add_tcase(suite, thread);

	tcase_add_test(event, event_stays_raised_until_cleared);
	tcase_add_test(event, event_raised_twice_is_raised_once);
	tcase_add_test(event, event_raised_by_another_thread_wakes_a_waiter);
	suite_add_tcase(suite, event);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_platform());
}
