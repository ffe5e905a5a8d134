/* SPDX-License-Identifier: MIT */
/*
 * A pool in a child of fork(). The parent's other threads hold its lock at any moment; the child, which has not got
 * them, must not wait for it. A child says through a pipe what went wrong (0: nothing) and is then killed from outside:
 * what the missing thread held is lost in it, and valgrind would say so at any other end. One that waits ends by an
 * alarm.
 */

#include "harness.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tofu/engine.h>

#include "message/message.h"
#include "message/pool.h"
#include "platform/platform.h"

static struct tofu_pool *pool;
static atomic_bool stop;
static atomic_int refills;

static void count_refill(void *context)
{
	(void)context;
	atomic_fetch_add(&refills, 1);
}

static void get_and_put(void *context)
{
	struct tofu_msg *m;

	(void)context;
	while (!atomic_load(&stop)) {
		(void)tofu_pool_get(pool, TOFU_ALWAYS, &m);
		tofu_msg_put(&m);
	}
}

/* What an application that kept a message may do in the child. 0, or the number of what went wrong. */
static int use_in_child(struct tofu_msg *m)
{
	struct tofu_msg *copy;
	struct tofu_msg *none;
	struct tofu_pool_counts counts;
	const int refills_before = atomic_load(&refills);
	size_t left;

	tofu_holder_release(m);
	if (atomic_load(&refills) != refills_before) /* it is the parent's engine that would be told */
		return 6;
	if (tofu_msg_body_append(m, "more", 4) != TOFU_OK)
		return 1;
	if (tofu_msg_clone(m, &copy) != TOFU_OK || copy->body_len != 8)
		return 2;
	if (tofu_pool_get(pool, TOFU_POOL_ONLY, &none) != TOFU_POOL_EMPTY || none != NULL)
		return 3;
	if (tofu_pool_get_some_or_wait(pool, 0, &none, 1, &left) != 0 || tofu_pool_has_or_wait(pool, 0))
		return 4;
	tofu_pool_counts(pool, &counts);
	tofu_msg_put(&copy);
	copy = tofu_pool_get_notice(pool);
	if (copy == NULL)
		return 5;
	tofu_pool_destroy(pool);
	tofu_msg_put(&copy);
	tofu_msg_put(&m);
	return 0;
}

static void run_child(struct tofu_msg *m, int report)
{
	unsigned char wrong;

	(void)alarm(30);
	wrong = (unsigned char)use_in_child(m);
	if (write(report, &wrong, 1) == 1)
		for (;;)
			(void)pause();
	_exit(1);
}

static void fork_and_use(struct tofu_msg *m)
{
	unsigned char wrong = 255;
	int pipe_ends[2];
	pid_t child;

	ck_assert_int_eq(pipe(pipe_ends), 0);
	child = fork();
	if (child == 0)
		run_child(m, pipe_ends[1]);
	ck_assert_int_gt(child, 0);
	(void)close(pipe_ends[1]);
	ck_assert_int_eq(read(pipe_ends[0], &wrong, 1), 1);
	ck_assert_uint_eq(wrong, 0);
	(void)close(pipe_ends[0]);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(a_child_never_waits_for_a_lock_that_a_thread_of_the_parent_holds)
{
	enum { FORKS = 50 };
	const struct tofu_terms terms = { .percent = 100 };
	struct tofu_share share = { 0 };
	size_t left, queued_at;
	struct tofu_thread thread;
	struct tofu_pool_counts counts;
	struct tofu_msg *m;

	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_pool_create(2, 2, count_refill, NULL, &pool), TOFU_OK);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &m), TOFU_OK);
	ck_status(tofu_msg_body_set(m, "body", 4), TOFU_OK);
	ck_assert(tofu_share_open(&share, pool));
	tofu_share_take(&share, m);
	ck_assert(
		!tofu_share_may_take_or_wait(&share, &terms, &left, &queued_at)); /* so its release calls the refill */
	ck_status(tofu_thread_start(&thread, get_and_put, NULL), TOFU_OK);
	for (int i = 0; i < FORKS; i++)
		fork_and_use(m);
	atomic_store(&stop, true);
	tofu_thread_join(&thread);
	ck_assert_mem_eq(tofu_msg_body(m, NULL), "body", 4); /* the parent never noticed */
	ck_assert_uint_eq(m->body_len, 4);
	tofu_msg_put(&m);
	tofu_pool_counts(pool, &counts);
	ck_assert(counts.free == 2);
	ck_assert(counts.out == 0);
	ck_assert_int_gt(atomic_load(&refills), 0);
	tofu_share_close(&share);
	tofu_pool_destroy(pool);
	tofu_deinit();
}
END_TEST

static Suite *suite_of_pool_posix(void)
{
	Suite *s = suite_create("pool_posix");
	TCase *tc = tcase_create("fork");

	tcase_add_test(tc, a_child_never_waits_for_a_lock_that_a_thread_of_the_parent_holds);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_pool_posix());
}
