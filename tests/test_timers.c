/* SPDX-License-Identifier: MIT */
/* The heap of deadlines by itself: order, what is moved and stopped, and what that costs, counted in steps. */

#include "reactor/timers.h"

#include "lib/steps.h"

enum { MANY = 500, CROWD = 8000, KINDS = TOFU_TIMERS - 1 };

static struct tofu_timers timers;
static struct tofu_deadlines crowd[2 * CROWD];

static void enter(size_t first, size_t count)
{
	if (timers.heap == NULL)
		ck_status(tofu_timers_init(&timers, 2 * CROWD), TOFU_OK);
	for (size_t i = first; i < first + count; i++)
		tofu_timers_enter(&timers, &crowd[i]);
}

static void start(size_t i, enum tofu_timer kind, int64_t deadline_ns)
{
	tofu_timers_start(&timers, &crowd[i], kind, deadline_ns);
}

static void expect_pop(int64_t until_ns, size_t i, enum tofu_timer kind)
{
	enum tofu_timer popped = TOFU_TIMER_NONE;

	ck_assert_ptr_eq(tofu_timers_pop(&timers, until_ns, &popped), &crowd[i]);
	ck_assert_int_eq(popped, kind);
	ck_assert_int_eq(tofu_timers_deadline(&crowd[i], kind), 0);
}

static void expect_none(int64_t until_ns)
{
	enum tofu_timer kind;

	ck_assert_ptr_null(tofu_timers_peek(&timers, until_ns, &kind));
	ck_assert_ptr_null(tofu_timers_pop(&timers, until_ns, &kind));
}

START_TEST(without_a_running_timer_nothing_is_ever_due)
{
	ck_assert(tofu_timers_next(&timers) == INT64_MAX);
	expect_none(INT64_MAX - 1);
	enter(0, 3);
	ck_assert(tofu_timers_next(&timers) == INT64_MAX);
	expect_none(INT64_MAX - 1);
	tofu_timers_fini(&timers);
}
END_TEST

START_TEST(timers_come_in_the_order_of_their_deadlines_and_not_before_them)
{
	enter(0, 3);
	start(0, TOFU_TIMER_QUIET, 30);
	start(1, TOFU_TIMER_HANDSHAKE, 10);
	start(2, TOFU_TIMER_BYE, 20);
	ck_assert_int_eq(tofu_timers_next(&timers), 10);
	expect_none(9);
	expect_pop(25, 1, TOFU_TIMER_HANDSHAKE);
	expect_pop(25, 2, TOFU_TIMER_BYE);
	expect_none(25);
	expect_pop(30, 0, TOFU_TIMER_QUIET);
	ck_assert(tofu_timers_next(&timers) == INT64_MAX);
	tofu_timers_fini(&timers);
}
END_TEST

START_TEST(each_of_a_channels_timers_comes_at_its_own_time)
{
	enter(0, 1);
	for (unsigned kind = 1; kind < TOFU_TIMERS; kind++)
		start(0, (enum tofu_timer)kind, 100 - (int64_t)kind);
	for (unsigned kind = TOFU_TIMERS - 1; kind > 0; kind--) {
		expect_none(99 - (int64_t)kind);
		expect_pop(100 - (int64_t)kind, 0, (enum tofu_timer)kind);
	}
	expect_none(INT64_MAX - 1);
	tofu_timers_fini(&timers);
}
END_TEST

START_TEST(deadline_that_is_moved_a_million_times_later_costs_nothing_until_it_comes_up_and_then_once)
{
	uint64_t steps;

	enter(0, 100);
	for (size_t i = 0; i < 100; i++)
		start(i, TOFU_TIMER_QUIET, 1000 + (int64_t)i);
	steps = timers.steps;
	for (int64_t later = 1; later <= 1000000; later++)
		start(0, TOFU_TIMER_QUIET, 1000 + later);
	ck_assert_uint_eq(timers.steps, steps);
	ck_assert_int_eq(tofu_timers_next(&timers), 1000); /* one look too early ... */
	expect_none(1000);
	ck_assert_int_eq(tofu_timers_next(&timers), 1001); /* ... and it is where it belongs */
	ck_assert_uint_le(timers.steps - steps, 8);
	tofu_timers_fini(&timers);
}
END_TEST

START_TEST(channel_whose_last_timer_is_stopped_wakes_nobody)
{
	enter(0, 2);
	start(0, TOFU_TIMER_HANDSHAKE, 10);
	start(0, TOFU_TIMER_RETRY, 20);
	start(1, TOFU_TIMER_QUIET, 1000);
	tofu_timers_stop(&timers, &crowd[0], TOFU_TIMER_HANDSHAKE);
	tofu_timers_stop(&timers, &crowd[0], TOFU_TIMER_HANDSHAKE); /* again is nothing */
	tofu_timers_stop(&timers, &crowd[0], TOFU_TIMER_RETRY);
	ck_assert_int_eq(tofu_timers_next(&timers), 1000);
	expect_none(999);
	tofu_timers_fini(&timers);
}
END_TEST

START_TEST(timer_of_a_channel_that_has_left_does_not_come)
{
	enter(0, 3);
	for (size_t i = 0; i < 3; i++)
		start(i, TOFU_TIMER_QUIET, 10 + (int64_t)i);
	tofu_timers_leave(&timers, &crowd[0]);
	tofu_timers_leave(&timers, &crowd[0]); /* again is nothing */
	ck_assert_int_eq(tofu_timers_deadline(&crowd[0], TOFU_TIMER_QUIET), 0);
	ck_assert_int_eq(tofu_timers_next(&timers), 11);
	expect_pop(12, 1, TOFU_TIMER_QUIET);
	expect_pop(12, 2, TOFU_TIMER_QUIET);
	expect_none(12);
	enter(0, 1); /* a slot that is used again starts without timers */
	expect_none(INT64_MAX - 1);
	tofu_timers_fini(&timers);
}
END_TEST

/* Against a model that looks at everything. */

static int64_t model[MANY][TOFU_TIMERS];
static bool entered[MANY];
static uint64_t seed;

static int64_t model_next(void)
{
	int64_t next_ns = INT64_MAX;

	for (size_t i = 0; i < MANY; i++)
		for (size_t kind = 1; kind < TOFU_TIMERS; kind++)
			if (entered[i] && model[i][kind] != 0 && model[i][kind] < next_ns)
				next_ns = model[i][kind];
	return next_ns;
}

static void do_something(size_t i, enum tofu_timer kind, int64_t deadline_ns)
{
	if (!entered[i]) {
		enter(i, 1);
		entered[i] = true;
	} else if (dice(&seed, 20) == 0) {
		tofu_timers_leave(&timers, &crowd[i]);
		entered[i] = false;
		for (size_t k = 0; k < TOFU_TIMERS; k++)
			model[i][k] = 0;
	} else if (dice(&seed, 3) == 0) {
		tofu_timers_stop(&timers, &crowd[i], kind);
		model[i][kind] = 0;
	} else {
		start(i, kind, deadline_ns);
		model[i][kind] = deadline_ns;
	}
}

START_TEST(whatever_is_started_moved_stopped_and_left_each_deadline_comes_in_order_and_once)
{
	int64_t now_ns = 1;

	seed = fresh_seed("timers");
	for (unsigned round = 0; round < 3000; round++) {
		struct tofu_deadlines *d;
		enum tofu_timer kind;

		for (unsigned n = 0; n < 20; n++)
			do_something(dice(&seed, MANY), (enum tofu_timer)(1 + dice(&seed, KINDS)),
			             now_ns + dice(&seed, 1000));
		ck_assert(tofu_timers_next(&timers) <= model_next());
		now_ns += dice(&seed, 30);
		while ((d = tofu_timers_pop(&timers, now_ns, &kind)) != NULL) {
			int64_t *at_ns = &model[d - crowd][kind];

			ck_assert(*at_ns != 0 && *at_ns <= now_ns);
			ck_assert(*at_ns == model_next());
			*at_ns = 0;
		}
		ck_assert(model_next() > now_ns);
		ck_assert(tofu_timers_next(&timers) > now_ns);
	}
	tofu_timers_fini(&timers);
}
END_TEST

/* Many dials that wait longer stand there, and as many come whose first address has half of the time. */
START_TEST(thousands_of_deadlines_that_come_before_thousands_of_others_take_a_few_steps_each)
{
	const int64_t whole = 600000, half = 300000;
	uint64_t steps;

	enter(0, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		start(i, TOFU_TIMER_HANDSHAKE, whole + (int64_t)i);
	steps = timers.steps;
	enter(CROWD, CROWD);
	for (size_t i = CROWD; i < 2 * CROWD; i++) {
		start(i, TOFU_TIMER_HANDSHAKE, whole + (int64_t)i);
		start(i, TOFU_TIMER_ANSWER, half + (int64_t)i);
	}
	ck_assert_uint_le(timers.steps - steps, CROWD * 16); /* the depth of the heap, at most */
	for (size_t i = CROWD; i < 2 * CROWD; i++)
		expect_pop(half + (int64_t)i, i, TOFU_TIMER_ANSWER);
	ck_assert_uint_le(timers.steps - steps, CROWD * 16 * 3);
	for (size_t i = 0; i < 2 * CROWD; i++)
		tofu_timers_leave(&timers, &crowd[i]);
	ck_assert_uint_le(timers.steps - steps, CROWD * 16 * 6);
	tofu_timers_fini(&timers);
}
END_TEST

static Suite *suite_of_timers(void)
{
	Suite *suite = suite_create("timers");
	TCase *tc = suite_case(suite, "heap", 30);

	tcase_add_test(tc, without_a_running_timer_nothing_is_ever_due);
	tcase_add_test(tc, timers_come_in_the_order_of_their_deadlines_and_not_before_them);
	tcase_add_test(tc, each_of_a_channels_timers_comes_at_its_own_time);
	tcase_add_test(tc, deadline_that_is_moved_a_million_times_later_costs_nothing_until_it_comes_up_and_then_once);
	tcase_add_test(tc, channel_whose_last_timer_is_stopped_wakes_nobody);
	tcase_add_test(tc, timer_of_a_channel_that_has_left_does_not_come);
	tcase_add_test(tc, whatever_is_started_moved_stopped_and_left_each_deadline_comes_in_order_and_once);
	tcase_add_test(tc, thousands_of_deadlines_that_come_before_thousands_of_others_take_a_few_steps_each);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_timers());
}
