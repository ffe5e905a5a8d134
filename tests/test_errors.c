/* SPDX-License-Identifier: MIT */
/*
 * The system's errors as statuses: one test for all systems, so that one event has one status everywhere. What is expected is
 * written out in tests/lib/errors.h.
 */

#include "errors.h"

#include <stdbool.h>

#include "harness.h"
#include "platform/error.h"
#include "platform/platform.h"

/* None of them is what an error without a meaning becomes. */
static const enum tofu_status otherwise[] = { TOFU_UNKNOWN_ERROR, TOFU_SEND_FAILED };
enum { OTHERWISE_NR = sizeof otherwise / sizeof otherwise[0] };

START_TEST(system_errors_have_their_status)
{
	unsigned checked = 0;

	for (size_t i = 0; i < system_error_count; i++) {
		const struct system_error *e = &system_errors[i];
		const enum tofu_status expected = e->expected != TOFU_OK ? e->expected : otherwise[_i];
		enum tofu_status got;

		if (e->number == 0)
			continue;
		got = e->read(e->number, otherwise[_i]);
		ck_assert_msg(got == expected, "%s (%#x): %s, and not %s", e->name, (unsigned)e->number,
		              tofu_status_name((int)got), tofu_status_name((int)expected));
		checked++;
	}
	ck_assert_uint_ge(checked, 35); /* a system without its column would pass */
}
END_TEST

static bool is_expected(const struct tofu_error_row *row)
{
	for (size_t i = 0; i < system_error_count; i++)
		if (system_errors[i].read == tofu_plat_status && system_errors[i].number == row->error &&
		    system_errors[i].expected == row->status)
			return true;
	return false;
}

START_TEST(no_error_has_a_status_that_is_not_expected)
{
	for (size_t i = 0; i < tofu_error_row_count; i++) {
		const struct tofu_error_row *row = &tofu_error_rows[i];

		ck_assert_msg(row->error == 0 || is_expected(row), "%d: %s", row->error, tofu_status_name(row->status));
	}
}
END_TEST

START_TEST(no_error_is_what_the_caller_says)
{
	ck_status(tofu_plat_status(0, otherwise[_i]), otherwise[_i]);
}
END_TEST

static Suite *suite_of_errors(void)
{
	Suite *suite = suite_create("errors");
	TCase *tc = tcase_create("table");

	tcase_add_loop_test(tc, system_errors_have_their_status, 0, OTHERWISE_NR);
	tcase_add_test(tc, no_error_has_a_status_that_is_not_expected);
	tcase_add_loop_test(tc, no_error_is_what_the_caller_says, 0, OTHERWISE_NR);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_errors());
}
