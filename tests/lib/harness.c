/* SPDX-License-Identifier: MIT */

/*
 * Runs one suite and makes sure that it ends.
 *
 * Check runs each test in a child of its own where it can fork, and kills one that takes too long: that is the watchdog
 * then, and no thread is started, since the children would be forked from a process with threads. Where Check does not fork
 * (CK_FORK=no, or no fork() at all) a thread watches: it says which test hung and ends the program with status 99.
 *
 * A test that fails ends its process, which is the child or, where Check does not fork, the program, and the tests behind
 * it are not run. Check would go on with them there, by a longjmp() out of the test that failed: a jump onto another
 * thread's stack if it was not the main thread that failed, and else from under the feet of all threads that the test had
 * started. What came then was a crash somewhere, and what had failed was never told.
 *
 * Seconds: CK_DEFAULT_TIMEOUT for one test (make check sets it; Check's own default is 4, the thread's 60), but what
 * tcase_set_timeout() says if that is more. The thread does not know which case a test belongs to, and takes the most that
 * any of the program has. TOFU_TEST_TIMEOUT for the whole suite, where Check does not fork.
 */

#include "harness.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/platform.h"

#undef tcase_set_timeout
#undef _ck_assert_failed

enum { SKIPPED = 77, HUNG = 99, TEST_DEFAULT_S = 60, SUITE_DEFAULT_S = 900, MAX_S = 86400 };

static struct watchdog {
	struct tofu_thread thread;
	struct tofu_mutex lock;
	struct tofu_cond changed;
	bool watching;    /* all that follows is under lock */
	const char *test; /* the one that runs; NULL: before the first */
	int i;
	int64_t test_deadline_ns;
	int64_t suite_deadline_ns;
} watchdog;

static int longest_s; /* that a case asks for; written before the suite runs */
static bool running;  /* a suite: else this is another process of a test's, and nobody listens to Check */

static int64_t seconds_of(const char *variable, long otherwise)
{
	const char *text = getenv(variable);
	const long s = text == NULL ? otherwise : strtol(text, NULL, 10);

	return s > 0 && s <= MAX_S ? s : otherwise;
}

static int64_t test_timeout_s(int64_t at_least)
{
	const int64_t s = seconds_of("CK_DEFAULT_TIMEOUT", TEST_DEFAULT_S);

	return s > at_least ? s : at_least;
}

void harness_timeout(TCase *tc, int seconds)
{
	tcase_set_timeout(tc, (double)test_timeout_s(seconds));
	if (seconds > longest_s)
		longest_s = seconds;
}

void harness_begin(const char *test, int i)
{
	if (!watchdog.watching) /* a child of Check's has none */
		return;
	tofu_mutex_lock(&watchdog.lock);
	watchdog.test = test;
	watchdog.i = i;
	watchdog.test_deadline_ns = tofu_plat_deadline(test_timeout_s(longest_s) * TOFU_NS_PER_S);
	tofu_cond_signal(&watchdog.changed);
	tofu_mutex_unlock(&watchdog.lock);
}

static int64_t next_deadline(const struct watchdog *w)
{
	const bool test_first = w->test != NULL && w->test_deadline_ns < w->suite_deadline_ns;

	return test_first ? w->test_deadline_ns : w->suite_deadline_ns;
}

/* The lock is held, for ever. */
static void bite(const struct watchdog *w)
{
	fflush(stdout);
	fprintf(stderr, "watchdog: %s:%d does not end\n", w->test != NULL ? w->test : "before the first test", w->i);
	fflush(stderr);
	_Exit(HUNG);
}

static void watch(void *context)
{
	struct watchdog *w = context;

	tofu_mutex_lock(&w->lock);
	while (w->watching)
		if (!tofu_cond_wait_until(&w->changed, &w->lock, next_deadline(w)) && w->watching &&
		    tofu_plat_now_ns() >= next_deadline(w))
			bite(w);
	tofu_mutex_unlock(&w->lock);
}

static bool watchdog_start(struct watchdog *w)
{
	w->suite_deadline_ns = tofu_plat_deadline(seconds_of("TOFU_TEST_TIMEOUT", SUITE_DEFAULT_S) * TOFU_NS_PER_S);
	if (tofu_mutex_init(&w->lock) != TOFU_OK)
		return false;
	if (tofu_cond_init(&w->changed) != TOFU_OK)
		goto no_cond;
	w->watching = true;
	if (tofu_thread_start(&w->thread, watch, w) != TOFU_OK)
		goto no_thread;
	return true;
no_thread:
	w->watching = false;
	tofu_cond_fini(&w->changed);
no_cond:
	tofu_mutex_fini(&w->lock);
	return false;
}

static void watchdog_stop(struct watchdog *w)
{
	tofu_mutex_lock(&w->lock);
	w->watching = false;
	tofu_cond_signal(&w->changed);
	tofu_mutex_unlock(&w->lock);
	tofu_thread_join(&w->thread);
	tofu_cond_fini(&w->changed);
	tofu_mutex_fini(&w->lock);
}

/* Written as Check writes it. */
void harness_failed(const char *file, int line, const char *expression, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	if (format != NULL)
		vsnprintf(text, sizeof text, format, arguments);
	else
		snprintf(text, sizeof text, "%s", expression);
	va_end(arguments);
	if (watchdog.watching) { /* written before the first test, and after the last */
		printf("%s:%d:F:%s:%d: %s\n", file, line, watchdog.test, watchdog.i, text);
		fflush(stdout);
		_Exit(EXIT_FAILURE);
	}
	if (running)
		_ck_assert_failed(file, line, expression, "%s", text); /* does not come back */
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	_Exit(EXIT_FAILURE);
}

static bool run_watched(SRunner *runner)
{
	if (!watchdog_start(&watchdog)) {
		fprintf(stderr, "harness: no watchdog to be had\n");
		return false;
	}
	srunner_run_all(runner, CK_ENV);
	watchdog_stop(&watchdog);
	return true;
}

int harness_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	bool done = true;
	int failed;
	int run;

	running = true;
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
		harness_failed(file, line, call, "%s gave %s, not %s", call, tofu_status_name(got),
		               tofu_status_name(expected));
}
