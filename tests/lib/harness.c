/* SPDX-License-Identifier: MIT */

/*
 * Runs one suite and makes sure that it ends.
 *
 * Check runs each test in a child of its own where it can fork, and kills one that takes too long: that is the watchdog
 * then, and no thread is started, since the children would be forked from a process with threads. Where Check does not fork
 * (CK_FORK=no, or no fork() at all) a thread watches: it says which test hung and ends the program with status 99.
 *
 * Seconds: CK_DEFAULT_TIMEOUT for one test where Check forks (make check sets it; Check's own default is 4),
 * TOFU_TEST_TIMEOUT for the whole suite where it does not.
 */

#include "harness.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/platform.h"

enum { SKIPPED = 77, HUNG = 99, TIMEOUT_DEFAULT_S = 300, TIMEOUT_MAX_S = 86400 };

struct watchdog {
	struct tofu_thread thread;
	struct tofu_mutex lock;
	struct tofu_cond ended_changed;
	bool ended; /* lock */
	int64_t deadline_ns;
	long timeout_s;
};

static long timeout_s(void)
{
	const char *text = getenv("TOFU_TEST_TIMEOUT");
	long s = text == NULL ? TIMEOUT_DEFAULT_S : strtol(text, NULL, 10);

	return s > 0 && s <= TIMEOUT_MAX_S ? s : TIMEOUT_DEFAULT_S;
}

static void watch(void *context)
{
	struct watchdog *w = context;
	bool in_time = true;

	tofu_mutex_lock(&w->lock);
	while (!w->ended && in_time)
		in_time = tofu_cond_wait_until(&w->ended_changed, &w->lock, w->deadline_ns);
	if (!w->ended) {
		fprintf(stderr, "watchdog: no end after %ld s; it hangs in test \"%s\"\n", w->timeout_s, tcase_name());
		fflush(stderr);
		_Exit(HUNG);
	}
	tofu_mutex_unlock(&w->lock);
}

static bool watchdog_start(struct watchdog *w)
{
	w->timeout_s = timeout_s();
	w->deadline_ns = tofu_plat_deadline(w->timeout_s * TOFU_NS_PER_S);
	if (tofu_mutex_init(&w->lock) != TOFU_OK)
		return false;
	if (tofu_cond_init(&w->ended_changed) != TOFU_OK)
		goto no_cond;
	if (tofu_thread_start(&w->thread, watch, w) != TOFU_OK)
		goto no_thread;
	return true;
no_thread:
	tofu_cond_fini(&w->ended_changed);
no_cond:
	tofu_mutex_fini(&w->lock);
	return false;
}

static void watchdog_stop(struct watchdog *w)
{
	tofu_mutex_lock(&w->lock);
	w->ended = true;
	tofu_cond_signal(&w->ended_changed);
	tofu_mutex_unlock(&w->lock);
	tofu_thread_join(&w->thread);
	tofu_cond_fini(&w->ended_changed);
	tofu_mutex_fini(&w->lock);
}

static bool run_watched(SRunner *runner)
{
	struct watchdog w = { .ended = false };

	if (!watchdog_start(&w)) {
		fprintf(stderr, "harness: no watchdog to be had\n");
		return false;
	}
	srunner_run_all(runner, CK_ENV);
	watchdog_stop(&w);
	return true;
}

int harness_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	bool done = true;
	int failed;
	int run;

	if (srunner_fork_status(runner) == CK_FORK)
		srunner_run_all(runner, CK_ENV);
	else
		done = run_watched(runner);
	failed = srunner_ntests_failed(runner);
	run = srunner_ntests_run(runner);
	srunner_free(runner);
	if (!done || failed > 0)
		return EXIT_FAILURE;
	return run > 0 ? EXIT_SUCCESS : SKIPPED;
}

void harness_status(enum tofu_status got, enum tofu_status expected, const char *call, const char *file, int line)
{
	_mark_point(file, line);
	if (got != expected)
		_ck_assert_failed(file, line, call, "%s gave %s, not %s", call, tofu_status_name(got),
		                  tofu_status_name(expected));
}
