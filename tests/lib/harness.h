/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_HARNESS_H
#define TOFU_TESTS_HARNESS_H

/*
 * Every test program: one suite, run under a watchdog (where Check cannot fork, a hung test would hang the run).
 *
 *     int main(void) { return harness_run(suite_of_pool()); }
 *
 * START_TEST and tcase_set_timeout() are Check's, and tell the watchdog. What fails, on whatever thread, ends the process.
 */

#include <check.h>

/* clang-format off */
#undef START_TEST
#define START_TEST(name) \
	static void name##_body(int _i); \
	static void name##_fn(int _i) \
	{ \
		harness_begin(#name, _i); \
		name##_body(_i); \
	} \
	static const TTest name##_ttest = { "" #name, name##_fn, __FILE__, __LINE__ }; \
	static const TTest *name = &name##_ttest; \
	static void name##_body(int _i CK_ATTRIBUTE_UNUSED)
/* clang-format on */

/** What Check's assertions call when they fail: declared as Check's own is, whose format each system spells differently. */
_Noreturn __typeof__(_ck_assert_failed) harness_failed;

#define tcase_set_timeout(tc, seconds) harness_timeout((tc), (seconds))
#define _ck_assert_failed harness_failed

/** A test begins; in a loop the i-th of them. */
void harness_begin(const char *test, int i);
/** So long may a test of this case take, or as long as CK_DEFAULT_TIMEOUT says if that is more. */
void harness_timeout(TCase *tc, int seconds);

/** Run and free the suite; the exit status for main: 0, 1 (failures), 77 (nothing could be run). */
int harness_run(Suite *suite);

/** Assert that a call gave that status, and say both names if not. */
#define ck_status(call, expected) harness_status((call), (expected), #call, __FILE__, __LINE__)

#include <tofu/status.h>
void harness_status(enum tofu_status got, enum tofu_status expected, const char *call, const char *file, int line);

#endif
