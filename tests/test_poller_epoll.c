/* SPDX-License-Identifier: MIT */

/*
 * The epoll(7) backend when the kernel says no, which it does not do on demand: doubles of its calls count them, and stand
 * in for one. And what is its own: items that want nothing stay in the kernel's set, and fork() shares that set. Linux
 * only; linked with --wrap=epoll_ctl,epoll_wait,epoll_pwait2.
 */

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/sockets.h"
#include "lib/steps.h"
#include "lib/wrapped.h"
#include "platform/platform.h"
#include "reactor/poller.h"

int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int epfd, struct epoll_event *events, int room, int timeout);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int room, int timeout);
WRAPPED_AS("__epoll_pwait2_time64", int, epoll_pwait2,
           (int epfd, struct epoll_event *events, int room, const struct timespec *timeout, const sigset_t *mask));

/* The calls so far, of any thread. */
static struct {
	atomic_int adds, mods, dels, waits;
} made;
static atomic_int ctl_errno;    /* the next epoll_ctl() fails so; 0: it is the system's */
static atomic_int wait_errno;   /* the same for either wait */
static atomic_int fine_errno;   /* every epoll_pwait2() fails so */
static atomic_int wait_ms;      /* what the last epoll_wait() was given */
static _Atomic int64_t wait_ns; /* the same for epoll_pwait2() */
static atomic_int fine_waits;   /* how many of those there were */
static bool fine_possible;      /* library and kernel have it */

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	made.adds += op == EPOLL_CTL_ADD;
	made.mods += op == EPOLL_CTL_MOD;
	made.dels += op == EPOLL_CTL_DEL;
	if (ctl_errno == 0)
		return __real_epoll_ctl(epfd, op, fd, event);
	errno = ctl_errno;
	ctl_errno = 0;
	return -1;
}

static bool fails_now(struct epoll_event *events, const atomic_int *error)
{
	if (*error == 0)
		return false;
	events[0] = (struct epoll_event){ .events = EPOLLIN }; /* a failed wait says nothing, whatever it leaves here */
	errno = *error;
	return true;
}

int __wrap_epoll_wait(int epfd, struct epoll_event *events, int room, int timeout)
{
	made.waits++;
	wait_ms = timeout;
	if (!fails_now(events, &wait_errno))
		return __real_epoll_wait(epfd, events, room, timeout);
	wait_errno = 0;
	return -1;
}

#ifdef HAVE_EPOLL_PWAIT2
int __wrap_epoll_pwait2(int epfd, struct epoll_event *events, int room, const struct timespec *timeout,
                        const sigset_t *mask)
{
	made.waits++;
	fine_waits++;
	wait_ns = timeout->tv_sec * TOFU_NS_PER_S + timeout->tv_nsec;
	if (fails_now(events, &fine_errno))
		return -1;
	if (!fails_now(events, &wait_errno))
		return __real_epoll_pwait2(epfd, events, room, timeout, mask);
	wait_errno = 0;
	return -1;
}
#endif

/* A connection whose near end is readable, and is watched. */
static struct tofu_poller *poller;
static struct sockets_listener listener;
static intptr_t ends[2];
static struct tofu_poll_item item;

static void expect_event(const struct tofu_poll_item *from, unsigned ready)
{
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(event.item, from);
	ck_assert_uint_eq(event.ready, ready);
}

static void expect_readable(void)
{
	expect_event(&item, TOFU_POLL_READ);
}

static void want(unsigned interest)
{
	ck_status(tofu_poller_want(poller, &item, interest), TOFU_OK);
}

/* The C library may have them and the kernel not: valgrind is such a kernel. */
static bool have_fine_waits(void)
{
#ifdef HAVE_EPOLL_PWAIT2
	struct epoll_event event;

	return __real_epoll_pwait2(-1, &event, 1, NULL, NULL) < 0 && errno == EBADF;
#else
	return false;
#endif
}

static void wait_for(int64_t timeout_ns)
{
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_wait(poller, &event, 1, timeout_ns, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
}

static void start(void)
{
	fine_possible = have_fine_waits();
	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_poller_create(TOFU_POLLER_EPOLL, &poller), TOFU_OK);
	sockets_listen(SOCKETS_TCP, &listener);
	sockets_pair(&listener, ends);
	ck_status(tofu_poller_add(poller, &item, ends[0]), TOFU_OK);
	want(TOFU_POLL_READ);
	sockets_send(ends[1], "x", 1);
	expect_readable();
	if (!fine_possible)
		wait_for(1); /* it knows now, too */
	made.adds = made.mods = made.dels = made.waits = 0;
}

static void stop(void)
{
	fine_errno = 0;
	tofu_poller_remove(poller, &item);
	tofu_poller_destroy(poller);
	sockets_close(ends[0]);
	sockets_close(ends[1]);
	sockets_unlisten(&listener);
	tofu_deinit();
}

/* Standing by */

#define A_WHILE_NS (20 * TOFU_NS_PER_MS)

/* Before the while is over? */
static bool is_woken(void)
{
	int64_t begin = tofu_plat_now_ns();

	tofu_poller_stand_by(poller, A_WHILE_NS);
	return tofu_plat_now_ns() - begin < A_WHILE_NS;
}

START_TEST(who_stands_by_is_woken_once_where_that_is_asked_for)
{
	char byte;

	ck_assert(tofu_poller_can_stand_by(poller));
	ck_assert(!is_woken()); /* there is something, but nobody has asked */
	tofu_poller_watch(poller, true);
	ck_assert(is_woken());
	ck_assert(!is_woken());
	tofu_poller_watch(poller, true);
	tofu_poller_watch(poller, false);
	ck_assert(!is_woken());
	ck_assert_uint_eq(sockets_receive(ends[0], &byte, 1), 1);
	tofu_poller_watch(poller, true);
	ck_assert(!is_woken()); /* there is nothing */
	tofu_poller_wake(poller);
	ck_assert(is_woken());
}
END_TEST

/* The kernel says no to create */

START_TEST(create_without_descriptors_gives_limit_reached_and_leaves_nothing)
{
	const int before = os_descriptors();

	for (unsigned more = 0; more < 2; more++) {
		struct tofu_poller *p = poller;
		enum tofu_status st;

		os_exhaust_descriptors(more);
		st = tofu_poller_create(TOFU_POLLER_EPOLL, &p);
		os_free_descriptors();
		ck_status(st, TOFU_LIMIT_REACHED);
		ck_assert_ptr_null(p);
		ck_assert_int_eq(os_descriptors(), before);
	}
}
END_TEST

START_TEST(create_whose_waker_is_refused_gives_a_status_and_leaves_nothing)
{
	const int before = os_descriptors();
	struct tofu_poller *p = poller;

	ctl_errno = ENOSPC;
	ck_status(tofu_poller_create(TOFU_POLLER_EPOLL, &p), TOFU_LIMIT_REACHED);
	ck_assert_ptr_null(p);
	ck_assert_int_eq(ctl_errno, 0); /* linked with --wrap? */
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

/* ... to add, want and remove */

static const struct {
	int error;
	enum tofu_status status;
} refusals[] = {
	{ ENOMEM, TOFU_ALLOCATION_FAILED },   { ENOSPC, TOFU_LIMIT_REACHED },
	{ EPERM, TOFU_COMMUNICATION_FAILED }, { ENOENT, TOFU_COMMUNICATION_FAILED },
	{ EBADF, TOFU_COMMUNICATION_FAILED },
};
enum { REFUSALS = sizeof refusals / sizeof refusals[0] };

START_TEST(add_that_is_refused_gives_a_status_and_adds_nothing)
{
	struct tofu_poll_item other;

	ctl_errno = refusals[_i].error;
	ck_status(tofu_poller_add(poller, &other, ends[1]), refusals[_i].status);
	tofu_poller_remove(poller, &other);
	ck_assert_int_eq(made.dels, 0);
	expect_readable();
	ck_status(tofu_poller_add(poller, &other, ends[1]), TOFU_OK);
	want(0);
	ck_status(tofu_poller_want(poller, &other, TOFU_POLL_WRITE), TOFU_OK);
	expect_event(&other, TOFU_POLL_WRITE);
	tofu_poller_remove(poller, &other);
}
END_TEST

START_TEST(want_that_is_refused_gives_a_status_and_changes_nothing)
{
	ctl_errno = refusals[_i].error;
	ck_status(tofu_poller_want(poller, &item, TOFU_POLL_WRITE), refusals[_i].status);
	ck_assert_uint_eq(item.want, TOFU_POLL_READ);
	expect_readable();
	ctl_errno = refusals[_i].error;
	ck_status(tofu_poller_want(poller, &item, 0), refusals[_i].status);
	expect_readable();
}
END_TEST

START_TEST(remove_of_what_the_kernel_has_forgotten_does_no_harm)
{
	struct tofu_poll_event event;
	size_t count;

	sockets_close(ends[0]); /* the last of this file: out of the set with it */
	tofu_poller_remove(poller, &item);
	ck_assert_int_eq(made.dels, 1);
	tofu_poller_remove(poller, &item);
	ck_assert_int_eq(made.dels, 1);
	ck_status(tofu_poller_wait(poller, &event, 1, 0, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
	ends[0] = TOFU_NO_SOCKET;
}
END_TEST

/* ... to wait */

static void wait_with_failure(int error, int64_t timeout_ns, enum tofu_status expected)
{
	struct tofu_poll_event event;
	size_t count = 99;

	wait_errno = error;
	ck_status(tofu_poller_wait(poller, &event, 1, timeout_ns, &count), expected);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(wait_errno, 0); /* linked with --wrap? */
}

static const int64_t timeouts[] = { TOFU_FOREVER, 0, 1, TOFU_NS_PER_S };
enum { TIMEOUTS = sizeof timeouts / sizeof timeouts[0] };

START_TEST(wait_that_fails_gives_a_status_and_changes_nothing)
{
	wait_with_failure(ENOMEM, timeouts[_i], TOFU_ALLOCATION_FAILED);
	wait_with_failure(EINVAL, timeouts[_i], TOFU_COMMUNICATION_FAILED);
	expect_readable();
}
END_TEST

START_TEST(wait_that_fails_does_not_swallow_a_wake)
{
	struct tofu_poll_event event;
	size_t count;

	want(0);
	tofu_poller_wake(poller);
	wait_with_failure(EINVAL, timeouts[_i], TOFU_COMMUNICATION_FAILED);
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(wait_that_is_interrupted_is_one_without_events)
{
	wait_with_failure(EINTR, timeouts[_i], TOFU_OK);
	expect_readable();
}
END_TEST

/* Time */

START_TEST(times_go_to_the_kernel_to_the_nanosecond)
{
	static const int64_t times[] = { 1, 999999, 1000001, 1500000000, INT_MAX * TOFU_NS_PER_MS - 1 };

	for (size_t i = 0; fine_possible && i < sizeof times / sizeof times[0]; i++) {
		wait_for(times[i]);
		ck_assert_int_eq(wait_ns, times[i]);
	}
}
END_TEST

START_TEST(an_older_kernel_is_given_milliseconds_rounded_up_and_cut_to_an_int)
{
	/* clang-format off */
	static const struct { int64_t ns; int ms; } times[] = {
		{ -1, -1 }, { INT64_MIN, -1 }, { 0, 0 }, { 1, 1 }, { 999999, 1 }, { 1000000, 1 }, { 1000001, 2 },
		{ INT_MAX * TOFU_NS_PER_MS, INT_MAX }, { INT_MAX * TOFU_NS_PER_MS - 1, INT_MAX },
		{ INT_MAX * TOFU_NS_PER_MS + 1, INT_MAX }, { INT64_MAX, INT_MAX },
	};
	/* clang-format on */
	static const int errors[] = { ENOSYS, EPERM };

	fine_errno = errors[_i];
	fine_waits = 0;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		wait_for(times[i].ns);
		ck_assert_int_eq(wait_ms, times[i].ms);
	}
	ck_assert_int_eq(fine_waits, fine_possible ? 1 : 0); /* it is asked once */
}
END_TEST

/* Items that want nothing */

START_TEST(pausing_and_resuming_asks_the_kernel_for_no_memory)
{
	for (int i = 0; i < 10; i++) {
		want(0);
		want(TOFU_POLL_READ);
		expect_readable();
		want(TOFU_POLL_READ | TOFU_POLL_WRITE);
		want(TOFU_POLL_READ);
	}
	ck_assert_int_eq(made.adds, 0);
	ck_assert_int_eq(made.dels, 0);
	ck_assert_int_eq(made.mods, 40);
}
END_TEST

START_TEST(a_dead_connection_that_wants_nothing_costs_one_look_and_no_more)
{
	struct tofu_poll_event event;
	size_t count;
	char got;

	sockets_abort(ends[1]);
	ends[1] = TOFU_NO_SOCKET;
	while (sockets_receive(ends[0], &got, 1) > 0)
		; /* to the end: it is dead now */
	want(0);
	made.waits = 0;
	for (int i = 0; i < 3; i++) {
		int64_t before = tofu_plat_now_ns();

		ck_status(tofu_poller_wait(poller, &event, 1, 2 * TOFU_NS_PER_MS, &count), TOFU_OK);
		ck_assert_uint_eq(count, 0);
		ck_assert_int_ge(tofu_plat_now_ns() - before, 2 * TOFU_NS_PER_MS);
		ck_assert_int_eq(made.waits, i + 2);
	}
	want(TOFU_POLL_READ);
	expect_readable();
}
END_TEST

START_TEST(the_dead_that_want_nothing_do_not_hide_the_living)
{
	struct tofu_poll_item other;
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_add(poller, &other, listener.handle), TOFU_OK);
	want(0);
	ck_status(tofu_socket_shutdown(ends[0]), TOFU_OK);
	sockets_close(ends[1]); /* both directions are down */
	ends[1] = TOFU_NO_SOCKET;
	want(TOFU_POLL_READ);
	expect_readable();
	want(0);
	ends[1] = sockets_connect(&listener);
	ck_status(tofu_poller_want(poller, &other, TOFU_POLL_ACCEPT), TOFU_OK);
	ck_status(tofu_poller_wait(poller, &event, 1, 0, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(event.item, &other);
	tofu_poller_remove(poller, &other);
}
END_TEST

/* fork() */

/* The set is the parent's: it is only let go of. */
static int destroy_without_removing(void *context)
{
	const int before = os_descriptors();

	(void)context;
	tofu_poller_destroy(poller);
	if (made.adds + made.mods + made.dels != 0)
		return 1;
	return os_descriptors() == before - 2 ? 0 : 2;
}

START_TEST(destroy_in_a_child_leaves_the_set_of_the_parent_alone)
{
	struct tofu_poll_event event;
	size_t count;

	ck_assert_int_eq(os_in_fork(destroy_without_removing, NULL), 0);
	expect_readable();
	want(0);
	tofu_poller_wake(poller);
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
}
END_TEST

static int destroy_engine(void *context)
{
	struct pair *p = context;

	made.adds = made.mods = made.dels = 0;
	side_down(&p->client);
	tofu_engine_destroy(p->client.engine);
	side_down(&p->server);
	return made.adds + made.mods + made.dels;
}

START_TEST(an_engine_destroyed_in_a_child_goes_on_in_the_parent)
{
	struct tofu_options options;
	struct pair p;

	tofu_options_init(&options, sizeof options);
	options.poller = TOFU_POLLER_EPOLL;
	pair_open(&p, _i, &options);
	ck_assert_int_eq(os_in_fork(destroy_engine, &p), 0);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

static void add_refusals(Suite *s)
{
	TCase *tc = tcase_create("refusals");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, create_without_descriptors_gives_limit_reached_and_leaves_nothing);
	tcase_add_test(tc, create_whose_waker_is_refused_gives_a_status_and_leaves_nothing);
	tcase_add_loop_test(tc, add_that_is_refused_gives_a_status_and_adds_nothing, 0, REFUSALS);
	tcase_add_loop_test(tc, want_that_is_refused_gives_a_status_and_changes_nothing, 0, REFUSALS);
	tcase_add_test(tc, remove_of_what_the_kernel_has_forgotten_does_no_harm);
	tcase_add_loop_test(tc, wait_that_fails_gives_a_status_and_changes_nothing, 0, TIMEOUTS);
	tcase_add_loop_test(tc, wait_that_fails_does_not_swallow_a_wake, 0, TIMEOUTS);
	tcase_add_loop_test(tc, wait_that_is_interrupted_is_one_without_events, 0, TIMEOUTS);
	suite_add_tcase(s, tc);
}

static void add_own(Suite *s)
{
	TCase *tc = tcase_create("own");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, times_go_to_the_kernel_to_the_nanosecond);
	tcase_add_loop_test(tc, an_older_kernel_is_given_milliseconds_rounded_up_and_cut_to_an_int, 0, 2);
	tcase_add_test(tc, pausing_and_resuming_asks_the_kernel_for_no_memory);
	tcase_add_test(tc, a_dead_connection_that_wants_nothing_costs_one_look_and_no_more);
	tcase_add_test(tc, the_dead_that_want_nothing_do_not_hide_the_living);
	tcase_add_test(tc, who_stands_by_is_woken_once_where_that_is_asked_for);
	tcase_add_test(tc, destroy_in_a_child_leaves_the_set_of_the_parent_alone);
	suite_add_tcase(s, tc);
}

static Suite *suite_of_poller_epoll(void)
{
	Suite *s = suite_create("poller_epoll");
	TCase *tc = suite_case(s, "engine", 60);

	over_add(tc, an_engine_destroyed_in_a_child_goes_on_in_the_parent, 1);
	add_refusals(s);
	add_own(s);
	return s;
}

int main(void)
{
	return harness_run(suite_of_poller_epoll());
}
