/* SPDX-License-Identifier: MIT */

/*
 * tofu_group_interrupt() in signal handlers: on the thread that waits, and in the middle of whatever the library is doing for
 * the thread that the signal hits.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

#include "lib/steps.h"

static tofu_group *_Atomic aimed_at;
static atomic_int handled, failed;

static void interrupt(int number)
{
	int interrupted = errno; /* it is not ours to change */

	(void)number;
	errno = ENOTTY;
	if (tofu_group_interrupt(atomic_load(&aimed_at)) != TOFU_OK || errno != ENOTTY)
		atomic_fetch_add(&failed, 1);
	atomic_fetch_add(&handled, 1);
	errno = interrupted;
}

static void catch (int number)
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = interrupt;
	action.sa_flags = SA_RESTART; /* the worst: no system call says that there was a signal */
	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
	atomic_store(&handled, 0);
	atomic_store(&failed, 0);
}

struct waiter {
	struct side side;
	pthread_t thread;
	atomic_llong id;
	enum tofu_status status;
};

static void *wait_for_ever(void *context)
{
	struct waiter *w = context;
	tofu_msg *msg;

	atomic_store(&w->id, os_thread_id());
	w->status = tofu_receive(w->side.group, &msg, TOFU_FOREVER);
	return NULL;
}

START_TEST(a_handler_on_the_thread_that_waits_ends_its_receive)
{
	tofu_engine *engine = engine_up(NULL);
	struct waiter w = { .side = side_in(engine) };

	atomic_store(&aimed_at, w.side.group);
	catch (SIGUSR1);
	ck_assert_int_eq(pthread_create(&w.thread, NULL, wait_for_ever, &w), 0);
	eventually(atomic_load(&w.id) != 0);
	must(os_await_sleeping(atomic_load(&w.id)), "the thread does not wait");
	ck_assert_int_eq(pthread_kill(w.thread, SIGUSR1), 0);
	ck_assert_int_eq(pthread_join(w.thread, NULL), 0);
	ck_status(w.status, TOFU_INTERRUPTED);
	ck_assert_int_eq(atomic_load(&failed), 0);
	engine_down(engine);
}
END_TEST

static void signals_every(long us)
{
	struct itimerval every = { { 0, us }, { 0, us } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static tofu_msg *receive_through_interrupts(const struct side *side)
{
	tofu_msg *msg;
	enum tofu_status st;

	while ((st = tofu_receive(side->group, &msg, PATIENCE_NS)) == TOFU_INTERRUPTED)
		;
	ck_status(st, TOFU_OK);
	return msg;
}

/* Over each transport, as the poster may write by itself. */
START_TEST(handlers_in_the_middle_of_anything_harm_nothing)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	atomic_store(&aimed_at, p.server.group);
	catch (SIGALRM);
	signals_every(200);
	for (uint64_t i = 1; i <= rounds(3000) || atomic_load(&handled) < 10; i++) {
		say(&p.client, p.client_channel, TOFU_SIGNAL, i, NULL);
		drain_group(p.client.group);
		msg = receive_through_interrupts(&p.server);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, i);
		tofu_msg_put(&msg);
	}
	signals_every(0);
	ck_assert_int_eq(atomic_load(&failed), 0);
	(void)tofu_receive(p.server.group, &msg, 0); /* the last interrupt, perhaps */
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_signal(void)
{
	Suite *suite = suite_create("signal");
	TCase *tc = suite_case(suite, "interrupt", 60);

	tcase_add_test(tc, a_handler_on_the_thread_that_waits_ends_its_receive);
	over_add(tc, handlers_in_the_middle_of_anything_harm_nothing, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_signal());
}
