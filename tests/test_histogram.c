/* SPDX-License-Identifier: MIT */
/* The histogram: exact below 256, within one percent above, whatever the values and however many. */

#include "harness.h"

#include <string.h>

#include "../tools/histogram.h"

enum { WHOLE = 1000000 };

static struct tofu_histogram h;

static void clear(void)
{
	memset(&h, 0, sizeof h);
}

/* Within a percent, and better: the promise is 0.4. */
static void assert_near(uint64_t got, uint64_t expected)
{
	uint64_t off = got > expected ? got - expected : expected - got;

	ck_assert_msg(off <= expected / 250, "%llu is too far from %llu", (unsigned long long)got,
	              (unsigned long long)expected);
}

/* What a value on its own looks like when a greater one is there, so that max does not help. */
static uint64_t shown_as(uint64_t value)
{
	clear();
	tofu_histogram_add(&h, value);
	tofu_histogram_add(&h, UINT64_MAX);
	return tofu_histogram_at(&h, WHOLE / 2);
}

START_TEST(an_empty_one_says_nothing)
{
	ck_assert_uint_eq(tofu_histogram_at(&h, 0), 0);
	ck_assert_uint_eq(tofu_histogram_at(&h, WHOLE / 2), 0);
	ck_assert_uint_eq(tofu_histogram_at(&h, WHOLE), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
	for (uint64_t value = 0; value < 256; value++)
		ck_assert_uint_eq(shown_as(value), value);
}
END_TEST

START_TEST(around_every_power_of_two_the_error_is_bounded)
{
	for (unsigned bit = 8; bit < 64; bit++) {
		uint64_t power = UINT64_C(1) << bit;

		assert_near(shown_as(power - 1), power - 1);
		assert_near(shown_as(power), power);
		assert_near(shown_as(power + 1), power + 1);
		assert_near(shown_as(power + power / 2), power + power / 2);
		assert_near(shown_as(power + power / 3), power + power / 3);
	}
	assert_near(shown_as(UINT64_MAX), UINT64_MAX);
}
END_TEST

START_TEST(greater_values_are_never_shown_as_less)
{
	uint64_t last = 0;

	for (uint64_t value = 1; value < UINT64_MAX / 3; value += value / 5 + 1) {
		uint64_t shown = shown_as(value);

		ck_assert(shown >= last);
		last = shown;
	}
}
END_TEST

START_TEST(percentiles_of_one_to_a_hundred_thousand)
{
	for (uint64_t value = 100000; value > 0; value--)
		tofu_histogram_add(&h, value);
	ck_assert_uint_eq(h.count, 100000);
	assert_near(tofu_histogram_at(&h, 500000), 50000);
	assert_near(tofu_histogram_at(&h, 900000), 90000);
	assert_near(tofu_histogram_at(&h, 990000), 99000);
	assert_near(tofu_histogram_at(&h, 999000), 99900);
	ck_assert_uint_eq(tofu_histogram_at(&h, 0), 1);
	ck_assert_uint_eq(tofu_histogram_at(&h, WHOLE), 100000);
}
END_TEST

START_TEST(one_value_of_a_thousand_is_above_the_last_percentile)
{
	for (unsigned i = 0; i < 999; i++)
		tofu_histogram_add(&h, 10);
	tofu_histogram_add(&h, 200);
	ck_assert_uint_eq(tofu_histogram_at(&h, 999000), 10);
	ck_assert_uint_eq(tofu_histogram_at(&h, 999001), 200);
}
END_TEST

START_TEST(max_is_exact_and_nothing_is_above_it)
{
	tofu_histogram_add(&h, 1000001);
	tofu_histogram_add(&h, 1000003);
	ck_assert_uint_eq(h.max, 1000003);
	ck_assert_uint_eq(tofu_histogram_at(&h, WHOLE), 1000003);
	ck_assert(tofu_histogram_at(&h, WHOLE / 2) <= 1000003);
}
END_TEST

START_TEST(merged_ones_are_as_if_all_were_added_to_one)
{
	static struct tofu_histogram other, both;

	memset(&other, 0, sizeof other);
	memset(&both, 0, sizeof both);
	for (uint64_t value = 1; value < 100000; value += 7) {
		tofu_histogram_add(value % 2 != 0 ? &h : &other, value * value);
		tofu_histogram_add(&both, value * value);
	}
	tofu_histogram_merge(&h, &other);
	ck_assert_int_eq(memcmp(&h, &both, sizeof h), 0);
}
END_TEST

static Suite *suite_of_histogram(void)
{
	Suite *s = suite_create("histogram");
	TCase *tc = tcase_create("histogram");

	tcase_add_checked_fixture(tc, clear, NULL);
	tcase_add_test(tc, an_empty_one_says_nothing);
	tcase_add_test(tc, small_values_are_exact);
	tcase_add_test(tc, around_every_power_of_two_the_error_is_bounded);
	tcase_add_test(tc, greater_values_are_never_shown_as_less);
	tcase_add_test(tc, percentiles_of_one_to_a_hundred_thousand);
	tcase_add_test(tc, one_value_of_a_thousand_is_above_the_last_percentile);
	tcase_add_test(tc, max_is_exact_and_nothing_is_above_it);
	tcase_add_test(tc, merged_ones_are_as_if_all_were_added_to_one);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_histogram());
}
