/* SPDX-License-Identifier: MIT */

/*
 * The poll(2) backend when poll() itself fails, which no real system does on demand: a double of poll() stands in for one
 * call. A signal that interrupts it is a real one. POSIX only; linked with --wrap=poll.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/sockets.h"
#include "lib/steps.h"
#include "platform/platform.h"
#include "reactor/poller.h"

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

static int poll_errno;   /* the next poll() fails so; 0: it is the system's */
static int poll_timeout; /* what the last one was given */

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	poll_timeout = timeout;
	if (poll_errno == 0)
		return __real_poll(fds, count, timeout);
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = POLLIN | POLLOUT; /* a failed poll() says nothing, whatever it leaves here */
	errno = poll_errno;
	poll_errno = 0;
	return -1;
}

/* A connection whose near end is readable, and is watched. */
static struct tofu_poller *poller;
static struct sockets_listener listener;
static intptr_t ends[2];
static struct tofu_poll_item item;

static void expect_readable(void)
{
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(event.item, &item);
	ck_assert_uint_eq(event.ready, TOFU_POLL_READ);
}

static void start(void)
{
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_poller_create(TOFU_POLLER_POLL, &poller), TOFU_OK);
	sockets_listen(SOCKETS_TCP, &listener);
	sockets_pair(&listener, ends);
	ck_status(tofu_poller_add(poller, &item, ends[0]), TOFU_OK);
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_READ), TOFU_OK);
	sockets_send(ends[1], "x", 1);
	expect_readable();
}

static void stop(void)
{
	tofu_poller_remove(poller, &item);
	tofu_poller_destroy(poller);
	sockets_close(ends[0]);
	sockets_close(ends[1]);
	sockets_unlisten(&listener);
	tofu_deinit();
}

static void wait_with_failure(int error, enum tofu_status expected)
{
	struct tofu_poll_event event;
	size_t count = 99;

	poll_errno = error;
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), expected);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(poll_errno, 0); /* linked with --wrap? */
}

START_TEST(poll_without_memory_gives_allocation_failed_and_changes_nothing)
{
	wait_with_failure(ENOMEM, TOFU_ALLOCATION_FAILED);
	expect_readable();
}
END_TEST

START_TEST(poll_that_fails_otherwise_gives_a_status_and_changes_nothing)
{
	wait_with_failure(EFAULT, TOFU_COMMUNICATION_FAILED);
	expect_readable();
}
END_TEST

START_TEST(poll_that_fails_does_not_swallow_a_wake)
{
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_want(poller, &item, 0), TOFU_OK);
	tofu_poller_wake(poller);
	wait_with_failure(ENOMEM, TOFU_ALLOCATION_FAILED);
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(poll_that_is_interrupted_is_a_wait_without_events)
{
	wait_with_failure(EINTR, TOFU_OK);
	expect_readable();
}
END_TEST

/* Fewer descriptors allowed than are watched. */
static struct rlimit limit_before;

static void lower_limit(rlim_t to)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
	limit = limit_before;
	limit.rlim_cur = to;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void restore_limit(void)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
}

static size_t wait_now(struct tofu_poll_event *events, size_t capacity, int64_t timeout_ns)
{
	size_t count;

	ck_status(tofu_poller_wait(poller, events, capacity, timeout_ns, &count), TOFU_OK);
	return count;
}

START_TEST(with_fewer_descriptors_allowed_than_open_events_are_as_before)
{
	static const rlim_t limits[] = { 0, 1 };
	struct tofu_poll_event event;
	char byte;

	lower_limit(limits[_i]);
	expect_readable();
	/* to be written, both, neither */
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_WRITE), TOFU_OK);
	ck_assert_uint_eq(wait_now(&event, 1, TOFU_FOREVER), 1);
	ck_assert_uint_eq(event.ready, TOFU_POLL_WRITE);
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_READ | TOFU_POLL_WRITE), TOFU_OK);
	ck_assert_uint_eq(wait_now(&event, 1, TOFU_FOREVER), 1);
	ck_assert_uint_eq(event.ready, TOFU_POLL_READ | TOFU_POLL_WRITE);
	ck_status(tofu_poller_want(poller, &item, 0), TOFU_OK);
	ck_assert_uint_eq(wait_now(&event, 1, 0), 0);
	/* time, and wakes */
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_READ), TOFU_OK);
	ck_assert_int_eq(read((int)ends[0], &byte, 1), 1);
	ck_assert_uint_eq(wait_now(&event, 1, 0), 0);
	ck_assert_uint_eq(wait_now(&event, 1, 20 * TOFU_NS_PER_MS), 0);
	tofu_poller_wake(poller);
	ck_assert_uint_eq(wait_now(&event, 1, TOFU_FOREVER), 0);
	ck_assert_uint_eq(wait_now(&event, 1, 0), 0);
	/* the end of the stream */
	ck_status(tofu_socket_shutdown(ends[1]), TOFU_OK);
	expect_readable();
	restore_limit();
}
END_TEST

/* On either poller; what needs a new descriptor then fails with a status, and the listener waits. */
START_TEST(an_engine_goes_on_when_the_limit_of_descriptors_is_lowered_below_what_is_open)
{
	static const enum tofu_poller_kind kinds[] = { TOFU_POLLER_POLL, TOFU_POLLER_EPOLL };
	struct tofu_options options;
	struct pair p;

	tofu_options_init(&options, sizeof options);
	options.poller = kinds[_i / OVER_NR];
	pair_open(&p, _i % OVER_NR, &options);
	lower_limit(0);
	for (int i = 0; i < 10; i++)
		pair_talk(&p);
	call_fails(&p.client, p.at.address, TOFU_LIMIT_REACHED);
	pair_talk(&p);
	restore_limit();
	pair_bye(&p);
	pair_meet(&p);
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(with_no_descriptor_allowed_those_with_high_numbers_are_watched_too)
{
	enum { HIGH = 3000 };
	struct tofu_poll_item high;
	struct tofu_poll_event events[2];
	struct rlimit limit;
	int fd;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = fcntl((int)ends[0], F_DUPFD_CLOEXEC, limit.rlim_max > HIGH + 1 ? HIGH : 500);
	ck_assert_int_gt(fd, 0);
	ck_status(tofu_poller_add(poller, &high, fd), TOFU_OK);
	ck_status(tofu_poller_want(poller, &high, TOFU_POLL_READ), TOFU_OK);
	lower_limit(0);
	ck_assert_uint_eq(wait_now(events, 2, TOFU_FOREVER), 2);
	/* With room for one, each has its turn. */
	ck_assert_uint_eq(wait_now(&events[0], 1, TOFU_FOREVER), 1);
	ck_assert_uint_eq(wait_now(&events[1], 1, TOFU_FOREVER), 1);
	ck_assert_ptr_ne(events[0].item, events[1].item);
	restore_limit();
	tofu_poller_remove(poller, &high);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

struct disturber {
	struct tofu_thread thread;
	pthread_t target;
	struct tofu_mutex m;
	struct tofu_cond changed;
	bool returned;
};

/* Signal the target every millisecond until its wait has returned; that the first one finds it asleep cannot be known. */
static void disturb(void *context)
{
	struct disturber *d = context;

	tofu_mutex_lock(&d->m);
	while (!d->returned) {
		pthread_kill(d->target, SIGUSR1);
		tofu_cond_wait_until(&d->changed, &d->m, tofu_plat_deadline(TOFU_NS_PER_MS));
	}
	tofu_mutex_unlock(&d->m);
}

static void wait_disturbed(struct disturber *d)
{
	struct tofu_poll_event event;
	size_t count = 99;

	ck_status(tofu_thread_start(&d->thread, disturb, d), TOFU_OK);
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
	tofu_mutex_lock(&d->m);
	d->returned = true;
	tofu_cond_signal(&d->changed);
	tofu_mutex_unlock(&d->m);
	tofu_thread_join(&d->thread);
}

START_TEST(a_signal_ends_a_wait_without_events)
{
	struct disturber d = { .target = pthread_self() };
	struct sigaction action;
	struct sigaction before;

	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
	ck_status(tofu_mutex_init(&d.m), TOFU_OK);
	ck_status(tofu_cond_init(&d.changed), TOFU_OK);
	ck_status(tofu_poller_want(poller, &item, 0), TOFU_OK);
	wait_disturbed(&d);
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_READ), TOFU_OK);
	expect_readable();
	tofu_cond_fini(&d.changed);
	tofu_mutex_fini(&d.m);
	ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}
END_TEST

START_TEST(times_are_rounded_up_to_milliseconds_and_cut_to_an_int)
{
	/* clang-format off */
	static const struct { int64_t ns; int ms; } times[] = {
		{ -1, -1 }, { INT64_MIN, -1 }, { 0, 0 }, { 1, 1 }, { 999999, 1 }, { 1000000, 1 }, { 1000001, 2 },
		{ INT_MAX * TOFU_NS_PER_MS, INT_MAX }, { INT_MAX * TOFU_NS_PER_MS - 1, INT_MAX },
		{ INT_MAX * TOFU_NS_PER_MS + 1, INT_MAX }, { INT64_MAX, INT_MAX },
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		struct tofu_poll_event event;
		size_t count;
		ck_status(tofu_poller_wait(poller, &event, 1, times[i].ns, &count), TOFU_OK);
		ck_assert_uint_eq(count, 1);
		ck_assert_int_eq(poll_timeout, times[i].ms);
	}
}
END_TEST

static Suite *suite_of_poller_poll(void)
{
	Suite *s = suite_create("poller_poll");
	TCase *tc = tcase_create("poll");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, poll_without_memory_gives_allocation_failed_and_changes_nothing);
	tcase_add_test(tc, poll_that_fails_otherwise_gives_a_status_and_changes_nothing);
	tcase_add_loop_test(tc, with_fewer_descriptors_allowed_than_open_events_are_as_before, 0, 2);
	tcase_add_test(tc, with_no_descriptor_allowed_those_with_high_numbers_are_watched_too);
	over_add(tc, an_engine_goes_on_when_the_limit_of_descriptors_is_lowered_below_what_is_open, 2);
	tcase_add_test(tc, poll_that_fails_does_not_swallow_a_wake);
	tcase_add_test(tc, poll_that_is_interrupted_is_a_wait_without_events);
	tcase_add_test(tc, times_are_rounded_up_to_milliseconds_and_cut_to_an_int);
	tcase_add_test(tc, a_signal_ends_a_wait_without_events);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_poller_poll());
}
