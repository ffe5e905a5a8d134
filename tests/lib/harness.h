/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_HARNESS_H
#define TOFU_TESTS_HARNESS_H

/*
 * Every test program: one suite, run under a watchdog (where Check cannot fork, a hung test would hang the run).
 *
 *     int main(void) { return harness_run(suite_of_pool()); }
 */

#include <check.h>

/** Run and free the suite; the exit status for main: 0, 1 (failures), 77 (nothing could be run). */
int harness_run(Suite *suite);

/** Assert that a call gave that status, and say both names if not. */
#define ck_status(call, expected) harness_status((call), (expected), #call, __FILE__, __LINE__)

#include <tofu/status.h>
void harness_status(enum tofu_status got, enum tofu_status expected, const char *call, const char *file, int line);

#endif
