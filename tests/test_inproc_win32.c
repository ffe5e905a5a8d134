/* SPDX-License-Identifier: MIT */

/*
 * Signals as only Windows has them: UDP sockets. What the system does to their bytes, it does here when it is told to. The rest is
 * in test_inproc.c. system_win32.c is a part of this program, so that it sends by a function of ours.
 */

#include <winsock2.h>

#include <stdatomic.h>
#include <string.h>

#include <tofu/inproc.h>

/* What becomes of the next bytes. */
enum fate { ARRIVES, REFUSED, DROPPED };

static _Atomic(enum fate) fate;
static atomic_int fated; /* as many; then they arrive */
static atomic_int sends;

static int by_fate(SOCKET s, const char *bytes, int len, int flags)
{
	atomic_fetch_add(&sends, 1);
	if (atomic_fetch_sub(&fated, 1) <= 0) {
		atomic_fetch_add(&fated, 1);
		return (send)(s, bytes, len, flags);
	}
	if (atomic_load(&fate) == DROPPED)
		return len;
	WSASetLastError(WSAENOBUFS);
	return SOCKET_ERROR;
}

/* What happens as soon as a byte has been read. */
static intptr_t raised_then;
static void raise_it(void);

static int and_then(SOCKET s, char *out, int len, int flags)
{
	int got = (recv)(s, out, len, flags);

	if (got > 0 && raised_then != TOFU_NO_SOCKET)
		raise_it();
	return got;
}

/* So many timers cannot be made. */
static int no_timers;

static TP_TIMER *timer_or_none(PTP_TIMER_CALLBACK call, void *context, TP_CALLBACK_ENVIRON *where)
{
	return no_timers-- > 0 ? NULL : (CreateThreadpoolTimer)(call, context, where);
}

#define send(s, bytes, len, flags) by_fate(s, bytes, len, flags)
#define recv(s, out, len, flags) and_then(s, out, len, flags)
#define CreateThreadpoolTimer(call, context, where) timer_or_none(call, context, where)
#include "transport_inproc/system_win32.c"
#undef send
#undef recv

#include "lib/steps.h"
#include "lib/system.h"

static intptr_t opened(void)
{
	intptr_t signal;

	ck_status(tofu_inproc_signal_open(&signal), TOFU_OK);
	return signal;
}

static void raise_it(void)
{
	intptr_t signal = raised_then;

	raised_then = TOFU_NO_SOCKET;
	tofu_inproc_signal_raise(signal);
}

static SOCKET socket_in(intptr_t signal)
{
	return (SOCKET)tofu_inproc_signal_handle(signal);
}

static bool is_readable(intptr_t signal)
{
	return test_ready(tofu_inproc_signal_handle(signal), TOFU_READABLE);
}

static bool gets_readable(intptr_t signal)
{
	return test_wait(tofu_inproc_signal_handle(signal), TOFU_READABLE);
}

static void doom(enum fate what, int many)
{
	atomic_store(&fate, what);
	atomic_store(&fated, many);
}

static struct sockaddr_in port_of(intptr_t signal)
{
	struct sockaddr_in at;
	int len = sizeof at;

	ck_assert_int_eq(getsockname(socket_in(signal), (struct sockaddr *)&at, &len), 0);
	return at;
}

/* --- raise and clear --- */

START_TEST(a_signal_is_readable_from_raise_to_clear)
{
	intptr_t signal = opened();

	for (int i = 0; i < 3; i++) {
		ck_assert(!is_readable(signal));
		tofu_inproc_signal_raise(signal);
		ck_assert(gets_readable(signal));
		ck_assert(is_readable(signal));
		tofu_inproc_signal_clear(signal);
	}
	ck_assert(!is_readable(signal));
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(raised_again_and_again_it_sends_one_byte)
{
	intptr_t signal = opened();
	int before = atomic_load(&sends);

	for (int i = 0; i < 1000; i++)
		tofu_inproc_signal_raise(signal);
	ck_assert_int_eq(atomic_load(&sends), before + 1);
	ck_assert(gets_readable(signal));
	tofu_inproc_signal_clear(signal);
	tofu_inproc_signal_raise(signal);
	ck_assert_int_eq(atomic_load(&sends), before + 2);
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(a_raise_while_the_signal_is_cleared_is_not_lost)
{
	intptr_t signal = opened();

	tofu_inproc_signal_raise(signal);
	ck_assert(gets_readable(signal));
	raised_then = signal;
	tofu_inproc_signal_clear(signal);
	ck_assert_int_eq(raised_then, TOFU_NO_SOCKET);
	ck_assert(gets_readable(signal));
	tofu_inproc_signal_clear(signal);
	ck_assert(!is_readable(signal));
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(a_byte_that_comes_after_the_clear_is_cleared_later)
{
	intptr_t signal = opened();

	doom(DROPPED, 1);
	tofu_inproc_signal_raise(signal);
	tofu_inproc_signal_clear(signal);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(send(socket_in(signal), "", 1, 0), 1);
	ck_assert(gets_readable(signal));
	tofu_inproc_signal_clear(signal);
	ck_assert(!is_readable(signal));
	tofu_inproc_signal_raise(signal);
	ck_assert(gets_readable(signal));
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(a_listener_that_was_woken_in_vain_is_not_woken_again)
{
	const struct tofu_transport *t = tofu_inproc();
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET }, none = { .handle = TOFU_NO_SOCKET };
	struct tofu_sockaddr at;
	size_t count;

	ck_status(t->resolve(t, "a name", TOFU_TO_LISTEN, 0, &at, 1, &count), TOFU_OK);
	ck_status(t->listen(t, &listener, &at), TOFU_OK);
	ck_assert_int_eq(send((SOCKET)listener.handle, "", 1, 0), 1);
	ck_assert(test_wait(listener.handle, TOFU_READABLE));
	ck_status(t->accept(t, &listener, &none), TOFU_WOULD_BLOCK);
	ck_assert(!test_ready(listener.handle, TOFU_READABLE));
	t->close(t, &listener, TOFU_CLOSE_ORDERLY);
}
END_TEST

/* --- lost bytes --- */

START_TEST(a_byte_that_gets_lost_is_sent_again)
{
	const enum fate what = _i == 0 ? REFUSED : DROPPED;
	intptr_t signal = opened();

	doom(what, 4);
	tofu_inproc_signal_raise(signal);
	ck_assert(!is_readable(signal));
	ck_assert(gets_readable(signal));
	ck_assert_int_eq(atomic_load(&fated), 0);
	tofu_inproc_signal_clear(signal);
	ck_assert(!is_readable(signal));
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(of_many_each_has_its_byte_again)
{
	enum { MANY = 100 };
	intptr_t signals[MANY];

	doom(DROPPED, MANY);
	for (int i = 0; i < MANY; i++) {
		signals[i] = opened();
		tofu_inproc_signal_raise(signals[i]);
	}
	for (int i = 0; i < MANY; i++) {
		ck_assert(gets_readable(signals[i]));
		tofu_inproc_signal_close(signals[i]);
	}
}
END_TEST

START_TEST(a_signal_whose_byte_is_there_is_not_watched)
{
	intptr_t raised = opened(), cleared = opened();

	tofu_inproc_signal_raise(raised);
	tofu_inproc_signal_raise(cleared);
	tofu_inproc_signal_clear(cleared);
	eventually(count_watched() == 0);
	ck_assert(is_readable(raised));
	tofu_inproc_signal_close(raised);
	tofu_inproc_signal_close(cleared);
}
END_TEST

START_TEST(a_signal_may_be_closed_while_its_byte_is_missing)
{
	intptr_t closed = opened(), other = opened();

	doom(REFUSED, 2);
	tofu_inproc_signal_raise(closed);
	tofu_inproc_signal_raise(other);
	tofu_inproc_signal_close(closed);
	ck_assert(gets_readable(other));
	tofu_inproc_signal_close(other);
	ck_assert_uint_eq(count_watched(), 0);
}
END_TEST

/* As if there had been none so far. It is given back afterwards. */
static TP_TIMER *take_timer(void)
{
	TP_TIMER *taken = timer;

	if (taken != NULL) {
		eventually(count_watched() == 0);
		SetThreadpoolTimer(taken, NULL, 0, 0);
		WaitForThreadpoolTimerCallbacks(taken, TRUE);
	}
	timer = NULL;
	return taken;
}

START_TEST(without_memory_for_a_timer_the_one_that_raises_sends_again)
{
	TP_TIMER *const before = take_timer();
	intptr_t signal = opened();

	no_timers = 1;
	doom(REFUSED, 3);
	tofu_inproc_signal_raise(signal);
	ck_assert_int_eq(atomic_load(&fated), 0);
	ck_assert(gets_readable(signal));
	ck_assert_ptr_null(timer);
	tofu_inproc_signal_close(signal);
	timer = before;
}
END_TEST

START_TEST(a_timer_that_could_not_be_made_is_made_by_the_next_that_raises)
{
	TP_TIMER *const before = take_timer();
	intptr_t one = opened(), two = opened();

	no_timers = 1;
	doom(DROPPED, INSIST_MS + 2);
	tofu_inproc_signal_raise(one);
	ck_assert(!is_readable(one));
	tofu_inproc_signal_raise(two);
	ck_assert_ptr_nonnull(timer);
	ck_assert(gets_readable(one));
	ck_assert(gets_readable(two));
	tofu_inproc_signal_close(one);
	tofu_inproc_signal_close(two);
	if (before != NULL)
		timer = before;
}
END_TEST

/* Two threads that throw a ball to and fro, and sleep while they have none. */
struct player {
	intptr_t own, others;
	atomic_bool *ball, *others_ball;
	unsigned total;
	struct tofu_thread thread;
};

static void play(void *context)
{
	const struct player *p = context;

	for (unsigned i = 0; i < p->total; i++) {
		if (i % 100 == 50)
			doom(i % 200 == 50 ? REFUSED : DROPPED, 1);
		while (!atomic_exchange(p->ball, false)) {
			must(gets_readable(p->own), "asleep in round %u", i);
			tofu_inproc_signal_clear(p->own);
		}
		atomic_store(p->others_ball, true);
		tofu_inproc_signal_raise(p->others);
	}
}

START_TEST(no_wake_up_is_lost_although_bytes_are)
{
	atomic_bool here = true, there = false;
	struct player one = { opened(), opened(), &here, &there, .total = rounds(5000) };
	struct player two = { one.others, one.own, &there, &here, .total = one.total };

	works(tofu_thread_start(&one.thread, play, &one));
	play(&two);
	tofu_thread_join(&one.thread);
	tofu_inproc_signal_close(one.own);
	tofu_inproc_signal_close(two.own);
}
END_TEST

/* --- others --- */

START_TEST(what_strangers_send_is_not_heard)
{
	intptr_t signal = opened();
	const struct sockaddr_in at = port_of(signal);
	SOCKET stranger = socket(AF_INET, SOCK_DGRAM, 0);
	char byte = '?';

	ck_assert_int_eq(sendto(stranger, "x", 1, 0, (const struct sockaddr *)&at, sizeof at), 1);
	tofu_inproc_signal_raise(signal);
	ck_assert(gets_readable(signal));
	ck_assert_int_eq(recv(socket_in(signal), &byte, 1, 0), 1);
	ck_assert_int_eq(byte, '\0');
	ck_assert_int_eq(recv(socket_in(signal), &byte, 1, 0), SOCKET_ERROR);
	ck_assert_int_eq(WSAGetLastError(), WSAEWOULDBLOCK);
	closesocket(stranger);
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(its_port_is_nobody_elses)
{
	intptr_t signal = opened();
	const struct sockaddr_in at = port_of(signal);
	SOCKET stranger = socket(AF_INET, SOCK_DGRAM, 0);
	const BOOL on = TRUE;

	ck_assert_int_eq(setsockopt(stranger, SOL_SOCKET, SO_REUSEADDR, (const char *)&on, sizeof on), 0);
	ck_assert_int_eq(bind(stranger, (const struct sockaddr *)&at, sizeof at), SOCKET_ERROR);
	closesocket(stranger);
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(no_child_inherits_it)
{
	intptr_t signal = opened();
	DWORD flags = HANDLE_FLAG_INHERIT;

	ck_assert(GetHandleInformation((HANDLE)socket_in(signal), &flags));
	ck_assert_uint_eq(flags & HANDLE_FLAG_INHERIT, 0);
	tofu_inproc_signal_close(signal);
}
END_TEST

START_TEST(without_tofu_init_there_is_none)
{
	intptr_t signal;

	tofu_deinit();
	ck_status(tofu_inproc_signal_open(&signal), TOFU_NOT_INITIALIZED);
	ck_assert_int_eq(signal, TOFU_NO_SOCKET);
	ck_status(tofu_init(), TOFU_OK);
}
END_TEST

static void set_up(void)
{
	doom(ARRIVES, 0);
	raised_then = TOFU_NO_SOCKET;
	ck_status(tofu_init(), TOFU_OK);
}

static void tear_down(void)
{
	tofu_deinit();
}

static Suite *suite_of_inproc_win32(void)
{
	Suite *suite = suite_create("inproc_win32");
	TCase *signals = suite_case(suite, "signals", 30), *lost = suite_case(suite, "lost", 60);
	TCase *others = suite_case(suite, "others", 30);

	tcase_add_checked_fixture(signals, set_up, tear_down);
	tcase_add_checked_fixture(lost, set_up, tear_down);
	tcase_add_checked_fixture(others, set_up, tear_down);
	tcase_add_test(signals, a_signal_is_readable_from_raise_to_clear);
	tcase_add_test(signals, raised_again_and_again_it_sends_one_byte);
	tcase_add_test(signals, a_raise_while_the_signal_is_cleared_is_not_lost);
	tcase_add_test(signals, a_byte_that_comes_after_the_clear_is_cleared_later);
	tcase_add_test(signals, a_listener_that_was_woken_in_vain_is_not_woken_again);
	tcase_add_loop_test(lost, a_byte_that_gets_lost_is_sent_again, 0, 2);
	tcase_add_test(lost, of_many_each_has_its_byte_again);
	tcase_add_test(lost, a_signal_whose_byte_is_there_is_not_watched);
	tcase_add_test(lost, a_signal_may_be_closed_while_its_byte_is_missing);
	tcase_add_test(lost, without_memory_for_a_timer_the_one_that_raises_sends_again);
	tcase_add_test(lost, a_timer_that_could_not_be_made_is_made_by_the_next_that_raises);
	tcase_add_test(lost, no_wake_up_is_lost_although_bytes_are);
	tcase_add_test(others, what_strangers_send_is_not_heard);
	tcase_add_test(others, its_port_is_nobody_elses);
	tcase_add_test(others, no_child_inherits_it);
	tcase_add_test(others, without_tofu_init_there_is_none);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_inproc_win32());
}
