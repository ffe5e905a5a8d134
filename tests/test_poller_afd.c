/* SPDX-License-Identifier: MIT */

/*
 * What the AFD poller builds on, looked at one call at a time; and the poller when the system says no, which it does
 * not do on demand: doubles of its calls count them, and stand in for one (lib/afd_doubles.h). Windows only.
 *
 * No case leaves a handle open: each begins and ends with the same number.
 */

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/afd_doubles.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/sockets.h"
#include "lib/steps.h"
#include "platform/afd.h"
#include "platform/platform.h"
#include "reactor/poller.h"

/* --- the calls --- */

/* A port, a helper, and a connection whose near end is polled. */
static intptr_t port;
static intptr_t helper;
static struct sockets_listener listener;
static intptr_t near;
static intptr_t far;
static intptr_t base;
static struct tofu_afd_poll request;
static int descriptors_before;

static void open_ends(void)
{
	intptr_t ends[2];

	sockets_listen(SOCKETS_TCP, &listener);
	sockets_pair(&listener, ends);
	near = ends[0];
	far = ends[1];
}

static void close_ends(void)
{
	sockets_close(near);
	sockets_close(far);
	sockets_unlisten(&listener);
}

static void start_calls(void)
{
	ck_status(tofu_init(), TOFU_OK);
	afd_doubles_reset();
	descriptors_before = os_descriptors();
	ck_status(tofu_afd_open_port(&port), TOFU_OK);
	ck_status(tofu_afd_open_helper(port, &helper), TOFU_OK);
	open_ends();
	ck_status(tofu_afd_base(near, &base), TOFU_OK);
	memset(&request, 0, sizeof request);
}

static void stop_calls(void)
{
	ck_assert_int_eq(afd_under_way(), 0);
	close_ends();
	tofu_afd_close(helper);
	tofu_afd_close(port);
	ck_assert_int_eq(os_descriptors(), descriptors_before);
	tofu_deinit();
}

static void submit(uint32_t events, int64_t timeout)
{
	ck_status(tofu_afd_submit(helper, &request, base, events, timeout), TOFU_OK);
}

static void expect_no_packet(void)
{
	struct tofu_afd_poll *got;
	size_t count;

	ck_status(tofu_afd_take(port, &got, 1, 0, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
}

/* The one packet there is, of that poll. */
static enum tofu_afd_end take_packet(struct tofu_afd_poll *of, uint32_t *events)
{
	struct tofu_afd_poll *got[2] = { NULL, NULL };
	size_t count;

	do
		ck_status(tofu_afd_take(port, got, 2, TOFU_AFD_FOREVER, &count), TOFU_OK);
	while (count == 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(got[0], of);
	expect_no_packet();
	return tofu_afd_result(of, events);
}

static void expect_packet(enum tofu_afd_end end)
{
	uint32_t events;

	ck_assert_int_eq(take_packet(&request, &events), end);
	ck_assert_uint_eq(events, 0);
}

static void expect_fired(uint32_t events)
{
	uint32_t got;

	ck_assert_int_eq(take_packet(&request, &got), TOFU_AFD_FIRED);
	ck_assert_uint_eq(got & events, events);
}

/* Send a byte, and wait until it has arrived. */
static void make_readable(void)
{
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	sockets_send(far, "x", 1);
	expect_fired(TOFU_AFD_RECEIVE);
}

START_TEST(a_poll_of_what_holds_already_has_one_packet_at_once)
{
	make_readable();
	for (int i = 0; i < 3; i++) {
		submit(TOFU_AFD_RECEIVE, INT64_MAX);
		expect_fired(TOFU_AFD_RECEIVE);
	}
}
END_TEST

START_TEST(a_pending_poll_that_is_cancelled_ends_so_and_has_one_packet)
{
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	expect_no_packet();
	ck_assert(tofu_afd_cancel(helper, &request));
	expect_packet(TOFU_AFD_CANCELLED);
	ck_assert(!tofu_afd_cancel(helper, &request)); /* nothing there any more */
	expect_no_packet();
	submit(TOFU_AFD_SEND, INT64_MAX); /* and the memory serves again */
	expect_fired(TOFU_AFD_SEND);
}
END_TEST

START_TEST(a_poll_that_has_ended_cannot_be_cancelled_and_its_packet_says_what_fired)
{
	submit(TOFU_AFD_SEND, INT64_MAX);
	ck_assert(!tofu_afd_cancel(helper, &request));
	(void)tofu_afd_cancel(helper, NULL);
	expect_fired(TOFU_AFD_SEND);
}
END_TEST

static void submit_on_thread(void *context)
{
	(void)context;
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
}

static void on_a_thread(void (*run)(void *context), void *context)
{
	struct tofu_thread thread;

	ck_status(tofu_thread_start(&thread, run, context), TOFU_OK);
	tofu_thread_join(&thread);
}

START_TEST(a_poll_outlives_the_thread_that_issued_it)
{
	on_a_thread(submit_on_thread, NULL);
	expect_no_packet();
	sockets_send(far, "x", 1);
	expect_fired(TOFU_AFD_RECEIVE);
}
END_TEST

START_TEST(a_poll_that_another_thread_issued_can_be_cancelled)
{
	on_a_thread(submit_on_thread, NULL);
	expect_no_packet();
	ck_assert(tofu_afd_cancel(helper, &request));
	expect_packet(TOFU_AFD_CANCELLED);
}
END_TEST

static void cancel_on_thread(void *context)
{
	*(bool *)context = tofu_afd_cancel(helper, &request);
}

START_TEST(another_thread_can_cancel_a_poll)
{
	bool found = false;

	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	on_a_thread(cancel_on_thread, &found);
	ck_assert(found);
	expect_packet(TOFU_AFD_CANCELLED);
}
END_TEST

static void cancel_plain_on_thread(void *context)
{
	*(bool *)context = afd_cancel_plain(helper);
}

/* Why only the exact one is used: what is not the calling thread's is left alone, and that is called a success. */
START_TEST(the_cancel_without_ex_leaves_what_another_thread_has_issued)
{
	bool success = false;

	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	on_a_thread(cancel_plain_on_thread, &success);
	ck_assert(success);
	expect_no_packet();
	ck_assert(afd_cancel_plain(helper));
	expect_packet(TOFU_AFD_CANCELLED);
}
END_TEST

/*
 * How "not found" came to be thought a defect of the exact cancel: a time-out of 0 is "just look", not "for ever". So
 * nothing was ever pending, and there was nothing to be found; the inexact cancel said success, of nothing. And since
 * the entry is what it was before, a poll that ended without an answer looked like readiness.
 */
START_TEST(a_poll_with_timeout_0_is_never_pending_so_that_a_cancel_finds_nothing)
{
	submit(TOFU_AFD_RECEIVE, 0);
	ck_assert(!tofu_afd_cancel(helper, &request));
	ck_assert(afd_cancel_plain(helper));
	expect_packet(TOFU_AFD_NOTHING);
	ck_assert_uint_eq(request.handles, 0);
	ck_assert_uint_eq(request.events, TOFU_AFD_RECEIVE); /* as it was asked */
}
END_TEST

START_TEST(a_poll_with_timeout_minus_1_ends_after_100_ns)
{
	submit(TOFU_AFD_RECEIVE, -1);
	expect_packet(TOFU_AFD_NOTHING);
	ck_assert_uint_eq(request.handles, 0);
}
END_TEST

START_TEST(a_poll_is_cancelled_through_its_own_helper_only)
{
	intptr_t other;

	ck_status(tofu_afd_open_helper(port, &other), TOFU_OK);
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	ck_assert(!tofu_afd_cancel(other, &request));
	(void)tofu_afd_cancel(other, NULL);
	expect_no_packet();
	(void)tofu_afd_cancel(helper, NULL);
	expect_packet(TOFU_AFD_CANCELLED);
	tofu_afd_close(other);
}
END_TEST

START_TEST(a_poll_of_a_socket_that_is_closed_ends_with_one_packet)
{
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	sockets_close(near);
	near = TOFU_NO_SOCKET;
	expect_fired(TOFU_AFD_LOCAL_CLOSE);
}
END_TEST

START_TEST(cancelled_then_closed_is_one_packet)
{
	submit(TOFU_AFD_RECEIVE, INT64_MAX);
	ck_assert(tofu_afd_cancel(helper, &request));
	sockets_close(near);
	near = TOFU_NO_SOCKET;
	expect_packet(TOFU_AFD_CANCELLED);
}
END_TEST

START_TEST(a_poll_of_no_socket_is_refused_and_has_no_packet)
{
	sockets_close(near);
	near = TOFU_NO_SOCKET;
	ck_status(tofu_afd_submit(helper, &request, base, TOFU_AFD_RECEIVE, INT64_MAX), TOFU_COMMUNICATION_FAILED);
	expect_no_packet();
}
END_TEST

START_TEST(the_end_of_the_stream_is_not_receive_but_disconnect)
{
	submit(TOFU_AFD_RECEIVE | TOFU_AFD_DISCONNECT, INT64_MAX);
	sockets_close(far);
	far = TOFU_NO_SOCKET;
	expect_fired(TOFU_AFD_DISCONNECT);
	submit(TOFU_AFD_RECEIVE, 0);
	expect_packet(TOFU_AFD_NOTHING);
}
END_TEST

START_TEST(a_reset_is_abort)
{
	submit(TOFU_AFD_RECEIVE | TOFU_AFD_ABORT, INT64_MAX);
	sockets_abort(far);
	far = TOFU_NO_SOCKET;
	expect_fired(TOFU_AFD_ABORT);
}
END_TEST

/* Whatever still happens to the socket, to the helper and to the port: the memory is ours after the packet. */
START_TEST(memory_is_not_touched_after_the_packet)
{
	enum { ROUNDS = 20 };
	static struct tofu_afd_poll polls[ROUNDS];
	static unsigned char pattern[sizeof polls];

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t events;

		ck_status(tofu_afd_submit(helper, &polls[i], base, TOFU_AFD_RECEIVE, INT64_MAX), TOFU_OK);
		if (i % 2 == 0)
			ck_assert(tofu_afd_cancel(helper, &polls[i]));
		else
			sockets_send(far, "x", 1);
		(void)take_packet(&polls[i], &events);
		memset(&polls[i], 0xa5, sizeof polls[i]);
		if (i % 2 != 0)
			ck_assert_uint_eq(sockets_receive(near, pattern, 1), 1);
	}
	(void)tofu_afd_cancel(helper, NULL);
	close_ends();
	near = far = TOFU_NO_SOCKET;
	listener.handle = TOFU_NO_SOCKET;
	expect_no_packet();
	tofu_afd_close(helper);
	tofu_afd_close(port);
	helper = port = 0;
	memset(pattern, 0xa5, sizeof pattern);
	ck_assert_mem_eq(polls, pattern, sizeof pattern);
}
END_TEST

START_TEST(packets_of_ones_own_come_in_order)
{
	struct tofu_afd_poll *got[4];
	size_t count;

	ck_status(tofu_afd_post(port, NULL), TOFU_OK);
	ck_status(tofu_afd_post(port, &request), TOFU_OK);
	ck_status(tofu_afd_take(port, got, 4, TOFU_AFD_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_null(got[0]);
	ck_assert_ptr_eq(got[1], &request);
}
END_TEST

/* --- base handles --- */

/* Of `near`, as of a socket under layers: what these answer is other sockets' numbers, as long as nobody polls them. */
enum { LAYER_1 = 0x7ff0, LAYER_2 = 0x7ff4 };

static void expect_base(enum tofu_status status, intptr_t expected)
{
	intptr_t got = 99;

	ck_status(tofu_afd_base(near, &got), status);
	ck_assert_int_eq(got, expected);
}

START_TEST(a_socket_without_layers_is_its_own_base)
{
	expect_base(TOFU_OK, near);
	ck_assert_int_eq(afd_asked(AFD_ASK_POLL) + afd_asked(AFD_ASK_SELECT) + afd_asked(AFD_ASK_BSP), 0);
}
END_TEST

START_TEST(a_layer_that_tells_is_believed)
{
	afd_layer(near, AFD_ASK_BASE, far);
	expect_base(TOFU_OK, far);
}
END_TEST

/* It intercepts the question for the base; one of the others gives away what is below. */
START_TEST(a_layer_that_does_not_tell_is_asked_otherwise)
{
	afd_layer(near, (enum afd_question)_i, far);
	expect_base(TOFU_OK, far);
	ck_assert_int_eq(afd_asked((enum afd_question)_i), 1);
}
END_TEST

/* As those do that answer SIO_BSP_HANDLE_SELECT with the very socket. */
START_TEST(an_answer_that_leads_nowhere_is_none)
{
	afd_layer(near, AFD_ASK_POLL, near);
	afd_layer(near, AFD_ASK_SELECT, near);
	afd_layer(near, AFD_ASK_BSP, far);
	expect_base(TOFU_OK, far);
	afd_doubles_reset();
	afd_layer(near, AFD_ASK_POLL, near);
	afd_layer(near, AFD_ASK_SELECT, near);
	afd_layer(near, AFD_ASK_BSP, near);
	expect_base(TOFU_NOT_SUPPORTED, 0);
}
END_TEST

START_TEST(layers_are_taken_off_one_by_one)
{
	afd_layer(near, AFD_ASK_POLL, LAYER_1);
	afd_layer(LAYER_1, AFD_ASK_SELECT, LAYER_2);
	afd_layer(LAYER_2, AFD_ASK_BSP, far);
	expect_base(TOFU_OK, far);
	ck_assert_int_eq(afd_asked(AFD_ASK_BASE), 1 + 4);
}
END_TEST

START_TEST(layers_that_lead_in_a_circle_are_given_up)
{
	afd_layer(near, AFD_ASK_POLL, LAYER_1);
	afd_layer(LAYER_1, AFD_ASK_POLL, LAYER_2);
	afd_layer(LAYER_2, AFD_ASK_POLL, near);
	expect_base(TOFU_NOT_SUPPORTED, 0);
}
END_TEST

START_TEST(layers_that_tell_nothing_are_not_supported)
{
	afd_layer(near, AFD_ASK_BASE, 0);
	expect_base(TOFU_NOT_SUPPORTED, 0);
	for (int q = 0; q < AFD_QUESTIONS; q++)
		ck_assert_int_ge(afd_asked((enum afd_question)q), 1);
}
END_TEST

START_TEST(what_is_no_socket_has_no_base)
{
	afd_layer(near, AFD_ASK_BASE, AFD_NO_SOCKET);
	afd_layer(near, AFD_ASK_POLL, far);
	expect_base(TOFU_COMMUNICATION_FAILED, 0);
	ck_assert_int_eq(afd_asked(AFD_ASK_POLL), 0);
}
END_TEST

START_TEST(without_winsock_there_is_no_base)
{
	afd_layer(near, AFD_ASK_BASE, AFD_NO_WINSOCK);
	afd_layer(near, AFD_ASK_POLL, far);
	expect_base(TOFU_NOT_INITIALIZED, 0);
	ck_assert_int_eq(afd_asked(AFD_ASK_POLL), 0);
}
END_TEST

/* --- the poller --- */

static struct tofu_poller *poller;
static struct tofu_poll_item item;

static void start_poller(void)
{
	ck_status(tofu_init(), TOFU_OK);
	afd_doubles_reset();
	descriptors_before = os_descriptors();
	ck_status(tofu_poller_create(TOFU_POLLER_AFD, &poller), TOFU_OK);
	open_ends();
	ck_status(tofu_poller_add(poller, &item, near), TOFU_OK);
}

static void stop_poller(void)
{
	tofu_poller_remove(poller, &item);
	tofu_poller_destroy(poller);
	ck_assert(!item.busy);
	close_ends();
	ck_assert_int_eq(afd_under_way(), 0);
	ck_assert_int_eq(os_descriptors(), descriptors_before);
	tofu_deinit();
}

static void want(unsigned interest)
{
	ck_status(tofu_poller_want(poller, &item, interest), TOFU_OK);
}

/* What it reported of `item`, which is the only one that may report. */
static unsigned wait_for(int64_t timeout_ns)
{
	struct tofu_poll_event event;
	size_t count;

	ck_status(tofu_poller_wait(poller, &event, 1, timeout_ns, &count), TOFU_OK);
	if (count == 0)
		return 0;
	ck_assert_ptr_eq(event.item, &item);
	return event.ready;
}

static void expect_ready(unsigned ready)
{
	unsigned got;

	do
		got = wait_for(TOFU_FOREVER);
	while (got == 0);
	ck_assert_uint_eq(got, ready);
}

static void wait_fails(int64_t timeout_ns, enum tofu_status expected)
{
	struct tofu_poll_event event;
	size_t count = 99;

	ck_status(tofu_poller_wait(poller, &event, 1, timeout_ns, &count), expected);
	ck_assert_uint_eq(count, 0);
}

/* What it costs */

START_TEST(what_is_pending_is_not_asked_again)
{
	want(TOFU_POLL_READ);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(wait_for(0), 0);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 1);
	ck_assert_int_eq(afd_calls(AFD_TAKE), 5);
	ck_assert_int_eq(afd_calls(AFD_CANCEL), 0);
}
END_TEST

START_TEST(nothing_is_asked_before_the_wait_nor_without_an_interest)
{
	want(TOFU_POLL_READ);
	want(TOFU_POLL_WRITE);
	want(0);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 0);
	ck_assert_uint_eq(wait_for(0), 0);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 0);
	want(TOFU_POLL_WRITE);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 0);
	expect_ready(TOFU_POLL_WRITE);
	want(0);
	ck_assert_uint_eq(wait_for(0), 0);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 1);
}
END_TEST

START_TEST(an_interest_that_the_pending_poll_covers_costs_nothing)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	for (int i = 0; i < 5; i++) {
		want(0);
		ck_assert_uint_eq(wait_for(0), 0);
		want(TOFU_POLL_READ);
		ck_assert_uint_eq(wait_for(0), 0);
	}
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 1);
	ck_assert_int_eq(afd_calls(AFD_CANCEL), 0);
	want(0);
	sockets_send(far, "x", 1);
	while (afd_under_way() > 0)
		ck_assert_uint_eq(wait_for(TOFU_NS_PER_MS), 0); /* filtered */
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 1);             /* and not asked again */
}
END_TEST

START_TEST(an_interest_that_it_does_not_cover_costs_one_cancel)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	want(TOFU_POLL_READ | TOFU_POLL_WRITE);
	want(TOFU_POLL_READ);
	want(TOFU_POLL_WRITE);
	want(TOFU_POLL_READ | TOFU_POLL_WRITE);
	ck_assert_int_eq(afd_calls(AFD_CANCEL), 0);
	ck_assert_uint_eq(wait_for(0), TOFU_POLL_WRITE);
	ck_assert_int_eq(afd_calls(AFD_CANCEL), 1);
	ck_assert_int_eq(afd_calls(AFD_SUBMIT), 2);
}
END_TEST

START_TEST(a_burst_of_wakes_is_one_packet)
{
	for (int i = 0; i < 1000; i++)
		tofu_poller_wake(poller);
	ck_assert_int_eq(afd_calls(AFD_POST), 1);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	tofu_poller_wake(poller);
	ck_assert_int_eq(afd_calls(AFD_POST), 2);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
}
END_TEST

static void sleep_for(int64_t ns)
{
	int64_t before = tofu_plat_now_ns();

	ck_assert_uint_eq(wait_for(ns), 0);
	ck_assert_int_ge(tofu_plat_now_ns() - before, ns);
}

/* To the next millisecond, in one call; the system's clock may say that it was not quite enough. */
START_TEST(a_short_sleep_is_not_a_busy_loop)
{
	static const int64_t times[] = { 1, 300000, 1000001, 20000001 };

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		const int before = afd_calls(AFD_TAKE);

		sleep_for(times[i]);
		ck_assert_int_le(afd_calls(AFD_TAKE) - before, 3);
	}
}
END_TEST

START_TEST(a_sleep_that_the_system_ends_early_goes_on)
{
	afd_fail(AFD_TAKE, AFD_TIME_IS_UP, 3);
	sleep_for(20 * TOFU_NS_PER_MS);
	ck_assert_int_ge(afd_calls(AFD_TAKE), 4);
}
END_TEST

/* Whoever waits to use its memory again hears of it. */
START_TEST(an_item_that_is_no_longer_busy_ends_the_wait)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	tofu_poller_remove(poller, &item);
	ck_assert(item.busy);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	ck_assert(!item.busy);
}
END_TEST

/* While the first poll is under way. */
static void leave_and_come_back(void)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	tofu_poller_remove(poller, &item);
	ck_status(tofu_poller_add(poller, &item, near), TOFU_OK);
}

/* A connect that is given up for the next: the first poll's packet comes when the second one is under way, or left as well. */
START_TEST(an_item_that_was_added_again_at_once_is_busy_until_its_last_poll_is_back)
{
	leave_and_come_back();
	ck_assert(!item.busy);
	want(TOFU_POLL_READ);
	afd_fail(AFD_TAKE, AFD_TIME_IS_UP, 1); /* it is asked for, and nothing is taken */
	ck_assert_uint_eq(wait_for(0), 0);
	tofu_poller_remove(poller, &item);
	ck_assert(item.busy);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	ck_assert(item.busy);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	ck_assert(!item.busy);
}
END_TEST

START_TEST(an_item_that_was_added_again_at_once_is_watched)
{
	leave_and_come_back();
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	sockets_send(far, "x", 1);
	expect_ready(TOFU_POLL_READ);
}
END_TEST

/* Many: a helper each, and a packet for each */

enum { MANY = 300 };

struct many {
	struct tofu_poll_item items[MANY];
	intptr_t sockets[MANY];
};

static struct many *add_many(void)
{
	struct many *m = calloc(1, sizeof *m);

	ck_assert_ptr_nonnull(m);
	for (int i = 0; i < MANY; i++) {
		m->sockets[i] = sockets_connect(&listener);
		ck_status(tofu_poller_add(poller, &m->items[i], m->sockets[i]), TOFU_OK);
		ck_status(tofu_poller_want(poller, &m->items[i], TOFU_POLL_READ), TOFU_OK);
	}
	return m;
}

START_TEST(a_helper_has_a_bounded_number_of_polls)
{
	struct many *m = add_many();

	ck_assert_uint_eq(wait_for(0), 0);
	ck_assert_int_eq(afd_under_way(), MANY);
	ck_assert_int_le(afd_most_of_one_helper(), 128);
	ck_assert_int_eq(afd_calls(AFD_OPEN), MANY / 128 + 1);
	for (int i = 0; i < MANY; i++) {
		tofu_poller_remove(poller, &m->items[i]);
		sockets_close(m->sockets[i]);
	}
	for (int i = 0; i < MANY; i++)
		while (m->items[i].busy)
			(void)wait_for(TOFU_NS_PER_MS);
	free(m);
}
END_TEST

/* They are removed, and busy; no wait comes any more. */
START_TEST(destroy_waits_for_what_is_under_way)
{
	struct many *m = add_many();

	ck_assert_uint_eq(wait_for(0), 0);
	for (int i = 0; i < MANY; i++) {
		tofu_poller_remove(poller, &m->items[i]);
		ck_assert(m->items[i].busy);
		sockets_close(m->sockets[i]);
	}
	tofu_poller_remove(poller, &item);
	tofu_poller_destroy(poller);
	ck_assert_int_eq(afd_under_way(), 0);
	for (int i = 0; i < MANY; i++)
		ck_assert(!m->items[i].busy);
	ck_status(tofu_poller_create(TOFU_POLLER_AFD, &poller), TOFU_OK); /* for the fixture */
	ck_status(tofu_poller_add(poller, &item, near), TOFU_OK);
	free(m);
}
END_TEST

START_TEST(destroy_that_is_given_no_packets_leaves_everything_to_the_kernel)
{
	struct tofu_poll_event event;
	size_t count;

	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	tofu_poller_remove(poller, &item);
	afd_fail(AFD_TAKE, AFD_BAD_HANDLE, -1);
	tofu_poller_destroy(poller);
	ck_assert(item.busy);
	afd_fail(AFD_TAKE, AFD_WORKS, 0);
	/* it is all still there: this would crash, or not work, otherwise */
	while (item.busy)
		ck_status(tofu_poller_wait(poller, &event, 1, TOFU_NS_PER_MS, &count), TOFU_OK);
}
END_TEST

/* Interest, traffic and wakes at random: whatever happens, one poll per socket, and none twice. */
START_TEST(there_is_never_a_second_poll_of_a_socket)
{
	enum { LINES = 20, STEPS = 5000 };
	struct tofu_poll_item items[LINES];
	struct tofu_poll_event events[LINES];
	intptr_t ends[LINES][2];
	uint64_t seed = fresh_seed("interests");

	for (int i = 0; i < LINES; i++) {
		sockets_pair(&listener, ends[i]);
		ck_status(tofu_poller_add(poller, &items[i], ends[i][0]), TOFU_OK);
	}
	for (int step = 0; step < STEPS; step++) {
		uint32_t line = dice(&seed, LINES);
		size_t count = 0;
		char got;

		switch (dice(&seed, 4)) {
		case 0:
			sockets_send(ends[line][1], "x", 1);
			break;
		case 1:
			ck_status(tofu_poller_wait(poller, events, 1 + dice(&seed, LINES), 0, &count), TOFU_OK);
			break;
		case 2:
			tofu_poller_wake(poller);
			break;
		default:
			ck_status(tofu_poller_want(poller, &items[line], dice(&seed, 4)), TOFU_OK);
		}
		for (size_t i = 0; i < count; i++) {
			ck_assert_uint_eq(events[i].ready & ~events[i].item->want, 0);
			if (events[i].ready & TOFU_POLL_READ)
				ck_assert_uint_eq(sockets_receive(events[i].item->handle, &got, 1), 1);
		}
	}
	ck_assert_int_eq(afd_most_of_one_socket(), 1);
	ck_assert_int_eq(afd_submitted_twice(), 0);
	ck_assert_int_gt(afd_calls(AFD_CANCEL), 0);
	for (int i = 0; i < LINES; i++) {
		tofu_poller_remove(poller, &items[i]);
		sockets_close(ends[i][0]);
		sockets_close(ends[i][1]);
	}
	for (int i = 0; i < LINES; i++)
		while (items[i].busy)
			(void)wait_for(TOFU_NS_PER_MS);
}
END_TEST

/* The system says no */

/* clang-format off */
static const struct { enum afd_call call; enum afd_failure failure; enum tofu_status status; } creations[] = {
	{ AFD_PORT, AFD_NO_MEMORY,    TOFU_ALLOCATION_FAILED },
	{ AFD_PORT, AFD_NO_RESOURCES, TOFU_LIMIT_REACHED },
	{ AFD_PORT, AFD_BAD_HANDLE,   TOFU_LIMIT_REACHED },
	{ AFD_OPEN, AFD_NO_MEMORY,    TOFU_ALLOCATION_FAILED },
	{ AFD_OPEN, AFD_NO_RESOURCES, TOFU_LIMIT_REACHED },
	{ AFD_OPEN, AFD_NO_HANDLES,   TOFU_LIMIT_REACHED },
	{ AFD_OPEN, AFD_DENIED,       TOFU_PERMISSION_DENIED },
	{ AFD_OPEN, AFD_NOT_THERE,    TOFU_NOT_SUPPORTED },
	{ AFD_BIND, AFD_NO_RESOURCES, TOFU_LIMIT_REACHED },
	{ AFD_BIND, AFD_BAD_HANDLE,   TOFU_NOT_SUPPORTED },
};
/* clang-format on */
enum { CREATIONS = sizeof creations / sizeof creations[0] };

START_TEST(create_that_is_refused_gives_a_status_and_leaves_nothing)
{
	const int before = os_descriptors();
	struct tofu_poller *p = poller;

	afd_fail(creations[_i].call, creations[_i].failure, 1);
	ck_status(tofu_poller_create(TOFU_POLLER_AFD, &p), creations[_i].status);
	ck_assert_ptr_null(p);
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

START_TEST(an_engine_that_is_refused_gives_a_status_and_leaves_nothing)
{
	const int before = os_descriptors();
	tofu_engine *engine = (tofu_engine *)&engine;

	afd_fail(creations[_i].call, creations[_i].failure, 1);
	ck_status(tofu_engine_create(NULL, &engine), creations[_i].status);
	ck_assert_ptr_null(engine);
	ck_assert_int_eq(os_descriptors(), before);
	ck_status(tofu_engine_create(NULL, &engine), TOFU_OK);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(add_that_is_refused_a_helper_gives_a_status_and_adds_nothing)
{
	enum { LEFT = 127 }; /* in the slab where `item` is */
	struct tofu_poll_item others[LEFT + 1];
	intptr_t sockets[LEFT + 1];

	for (int i = 0; i < LEFT + 1; i++)
		sockets[i] = sockets_connect(&listener);
	for (int i = 0; i < LEFT; i++)
		ck_status(tofu_poller_add(poller, &others[i], sockets[i]), TOFU_OK);
	afd_fail(AFD_OPEN, AFD_NO_HANDLES, 1);
	ck_status(tofu_poller_add(poller, &others[LEFT], sockets[LEFT]), TOFU_LIMIT_REACHED);
	ck_assert_ptr_null(poller->advice);
	tofu_poller_remove(poller, &others[LEFT]);
	ck_status(tofu_poller_add(poller, &others[LEFT], sockets[LEFT]), TOFU_OK);
	want(TOFU_POLL_WRITE);
	expect_ready(TOFU_POLL_WRITE);
	for (int i = 0; i < LEFT + 1; i++) {
		tofu_poller_remove(poller, &others[i]);
		sockets_close(sockets[i]);
	}
}
END_TEST

START_TEST(add_of_a_socket_under_layers_that_tell_nothing_is_not_supported)
{
	struct tofu_poll_item other;

	afd_layer(far, AFD_ASK_BASE, 0);
	ck_status(tofu_poller_add(poller, &other, far), TOFU_NOT_SUPPORTED);
	ck_assert_ptr_nonnull(strstr(poller->advice, "netsh winsock show catalog"));
	tofu_poller_remove(poller, &other);
	ck_assert(!other.busy);
	want(TOFU_POLL_WRITE);
	expect_ready(TOFU_POLL_WRITE);
}
END_TEST

/* What happens to the socket below is what is reported of the one above. */
START_TEST(a_socket_under_layers_is_watched_below_them)
{
	intptr_t above = sockets_connect(&listener);

	tofu_poller_remove(poller, &item);
	afd_layer(above, AFD_ASK_POLL, near);
	ck_status(tofu_poller_add(poller, &item, above), TOFU_OK);
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	sockets_send(far, "x", 1);
	expect_ready(TOFU_POLL_READ);
	tofu_poller_remove(poller, &item);
	sockets_close(above);
}
END_TEST

START_TEST(no_room_for_a_poll_is_a_status_and_not_a_sleep_and_changes_nothing)
{
	static const int64_t timeouts[] = { TOFU_FOREVER, 0, TOFU_NS_PER_S };

	afd_fail(AFD_SUBMIT, AFD_NO_RESOURCES, -1);
	want(TOFU_POLL_WRITE);
	wait_fails(timeouts[_i], TOFU_LIMIT_REACHED);
	afd_fail(AFD_SUBMIT, AFD_NO_MEMORY, -1);
	wait_fails(timeouts[_i], TOFU_ALLOCATION_FAILED);
	afd_fail(AFD_SUBMIT, AFD_WORKS, 0);
	expect_ready(TOFU_POLL_WRITE);
	ck_assert(!item.busy);
}
END_TEST

START_TEST(no_room_for_one_poll_hides_no_other_and_no_wake)
{
	struct tofu_poll_item other;
	struct tofu_poll_event event;
	size_t count;

	afd_fail(AFD_SUBMIT, AFD_NO_RESOURCES, 1);
	want(TOFU_POLL_READ);
	ck_status(tofu_poller_add(poller, &other, far), TOFU_OK);
	ck_status(tofu_poller_want(poller, &other, TOFU_POLL_WRITE), TOFU_OK);
	ck_status(tofu_poller_wait(poller, &event, 1, TOFU_FOREVER, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(event.item, &other);
	tofu_poller_remove(poller, &other);

	want(TOFU_POLL_READ | TOFU_POLL_WRITE);
	ck_assert_uint_eq(wait_for(0), TOFU_POLL_WRITE);
	afd_fail(AFD_SUBMIT, AFD_NO_RESOURCES, -1);
	tofu_poller_wake(poller);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	wait_fails(TOFU_FOREVER, TOFU_LIMIT_REACHED);
	afd_fail(AFD_SUBMIT, AFD_WORKS, 0);
	expect_ready(TOFU_POLL_WRITE);
}
END_TEST

START_TEST(a_socket_that_cannot_be_polled_is_one_that_failed)
{
	afd_fail(AFD_SUBMIT, AFD_BAD_HANDLE, -1);
	want(TOFU_POLL_READ | TOFU_POLL_WRITE);
	for (int i = 0; i < 3; i++)
		expect_ready(TOFU_POLL_READ | TOFU_POLL_WRITE);
	want(0);
	ck_assert_uint_eq(wait_for(2 * TOFU_NS_PER_MS), 0);
	want(TOFU_POLL_READ);
	expect_ready(TOFU_POLL_READ);
	afd_fail(AFD_POST, AFD_NO_RESOURCES, 1); /* not even that can be told */
	wait_fails(TOFU_FOREVER, TOFU_LIMIT_REACHED);
	expect_ready(TOFU_POLL_READ);
}
END_TEST

START_TEST(a_socket_that_was_closed_while_pending_is_one_that_failed)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	sockets_close(near);
	expect_ready(TOFU_POLL_READ);
	expect_ready(TOFU_POLL_READ);
	tofu_poller_remove(poller, &item);
	near = TOFU_NO_SOCKET;
}
END_TEST

START_TEST(a_cancel_that_fails_does_no_harm)
{
	want(TOFU_POLL_READ);
	ck_assert_uint_eq(wait_for(0), 0);
	afd_fail(AFD_CANCEL, AFD_NO_RESOURCES, 1);
	want(TOFU_POLL_READ | TOFU_POLL_WRITE);
	ck_assert_uint_eq(wait_for(0), 0);
	sockets_send(far, "x", 1); /* what was asked before still holds */
	expect_ready(TOFU_POLL_READ);
	expect_ready(TOFU_POLL_READ | TOFU_POLL_WRITE);
}
END_TEST

START_TEST(wait_that_fails_gives_a_status_and_swallows_no_wake_and_no_event)
{
	want(TOFU_POLL_WRITE);
	afd_fail(AFD_TAKE, AFD_BAD_HANDLE, 1);
	wait_fails(TOFU_FOREVER, TOFU_COMMUNICATION_FAILED);
	afd_fail(AFD_TAKE, AFD_NO_MEMORY, 1);
	wait_fails(0, TOFU_ALLOCATION_FAILED);
	expect_ready(TOFU_POLL_WRITE);
	want(0);
	tofu_poller_wake(poller);
	afd_fail(AFD_TAKE, AFD_BAD_HANDLE, 1);
	wait_fails(TOFU_FOREVER, TOFU_COMMUNICATION_FAILED);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
}
END_TEST

/* Wakes that cannot be posted */

static void wake_on_thread(void *context)
{
	atomic_int *woken = context;

	tofu_poller_wake(poller);
	atomic_store(woken, 1);
}

/* Wait for ever, while another thread wakes; it has returned when this returns. */
static void be_woken(void)
{
	struct tofu_thread thread;
	atomic_int woken = 0;

	ck_status(tofu_thread_start(&thread, wake_on_thread, &woken), TOFU_OK);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	tofu_thread_join(&thread);
	ck_assert_int_eq(atomic_load(&woken), 1);
}

START_TEST(a_wake_that_cannot_be_posted_is_posted_later)
{
	afd_fail(AFD_POST, AFD_NO_RESOURCES, 5);
	be_woken();
	be_woken();
}
END_TEST

START_TEST(a_wake_that_can_never_be_posted_ends_the_sleep_by_a_cancel)
{
	afd_fail(AFD_POST, AFD_NO_RESOURCES, -1);
	want(TOFU_POLL_READ);
	for (int i = 0; i < 20; i++)
		be_woken();
	ck_assert_uint_eq(wait_for(0), 0);
	sockets_send(far, "x", 1); /* and what was cancelled for it is asked again */
	expect_ready(TOFU_POLL_READ);
}
END_TEST

START_TEST(a_wake_that_nobody_could_be_told_of_is_there_for_the_next_wait)
{
	int posts;

	afd_fail(AFD_POST, AFD_NO_RESOURCES, -1);
	tofu_poller_wake(poller);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
	tofu_poller_wake(poller);
	afd_fail(AFD_POST, AFD_WORKS, 0);
	posts = afd_calls(AFD_POST);
	tofu_poller_wake(poller); /* and the next one to wake tries again */
	ck_assert_int_eq(afd_calls(AFD_POST), posts + 1);
	ck_assert_uint_eq(wait_for(TOFU_FOREVER), 0);
}
END_TEST

/* --- an engine --- */

static atomic_int advised;

static void note_advice(void *context, enum tofu_log_level level, const char *text)
{
	(void)context;
	if (level == TOFU_LOG_ERROR && strstr(text, "netsh winsock show catalog") != NULL)
		atomic_fetch_add(&advised, 1);
}

START_TEST(an_engine_under_layers_that_tell_nothing_says_so)
{
	struct tofu_options options;
	struct side side;
	char address[600];
	tofu_engine *engine;
	int before;

	ck_status(tofu_init(), TOFU_OK);
	afd_doubles_reset();
	before = os_descriptors();
	tofu_options_init(&options, sizeof options);
	options.log = note_advice;
	engine = engine_up(&options);
	side = side_in(engine);
	vacant_address(OVER_TCP, address, sizeof address);
	atomic_store(&advised, 0);
	afd_layer(AFD_ANY_SOCKET, AFD_ASK_BASE, 0);
	listen_fails(&side, over_anywhere(OVER_TCP), TOFU_NOT_SUPPORTED);
	eventually(atomic_load(&advised) == 1); /* told when the turn is over, that is, after the notice */
	call_fails(&side, address, TOFU_NOT_SUPPORTED);
	eventually(atomic_load(&advised) == 2);
	side_down(&side);
	engine_down(engine);
	ck_assert_int_eq(os_descriptors(), before);
	tofu_deinit();
}
END_TEST

static TCase *new_case(Suite *s, const char *name, SFun setup, SFun teardown)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

static void add_calls(Suite *s)
{
	TCase *tc = new_case(s, "calls", start_calls, stop_calls);

	tcase_add_test(tc, a_poll_of_what_holds_already_has_one_packet_at_once);
	tcase_add_test(tc, a_pending_poll_that_is_cancelled_ends_so_and_has_one_packet);
	tcase_add_test(tc, a_poll_that_has_ended_cannot_be_cancelled_and_its_packet_says_what_fired);
	tcase_add_test(tc, a_poll_outlives_the_thread_that_issued_it);
	tcase_add_test(tc, a_poll_that_another_thread_issued_can_be_cancelled);
	tcase_add_test(tc, another_thread_can_cancel_a_poll);
	tcase_add_test(tc, the_cancel_without_ex_leaves_what_another_thread_has_issued);
	tcase_add_test(tc, a_poll_with_timeout_0_is_never_pending_so_that_a_cancel_finds_nothing);
	tcase_add_test(tc, a_poll_with_timeout_minus_1_ends_after_100_ns);
	tcase_add_test(tc, a_poll_is_cancelled_through_its_own_helper_only);
	tcase_add_test(tc, a_poll_of_a_socket_that_is_closed_ends_with_one_packet);
	tcase_add_test(tc, cancelled_then_closed_is_one_packet);
	tcase_add_test(tc, a_poll_of_no_socket_is_refused_and_has_no_packet);
	tcase_add_test(tc, the_end_of_the_stream_is_not_receive_but_disconnect);
	tcase_add_test(tc, a_reset_is_abort);
	tcase_add_test(tc, memory_is_not_touched_after_the_packet);
	tcase_add_test(tc, packets_of_ones_own_come_in_order);
}

static void add_bases(Suite *s)
{
	TCase *tc = new_case(s, "bases", start_calls, stop_calls);

	tcase_add_test(tc, a_socket_without_layers_is_its_own_base);
	tcase_add_test(tc, a_layer_that_tells_is_believed);
	tcase_add_loop_test(tc, a_layer_that_does_not_tell_is_asked_otherwise, AFD_ASK_POLL, AFD_QUESTIONS);
	tcase_add_test(tc, an_answer_that_leads_nowhere_is_none);
	tcase_add_test(tc, layers_are_taken_off_one_by_one);
	tcase_add_test(tc, layers_that_lead_in_a_circle_are_given_up);
	tcase_add_test(tc, layers_that_tell_nothing_are_not_supported);
	tcase_add_test(tc, what_is_no_socket_has_no_base);
	tcase_add_test(tc, without_winsock_there_is_no_base);
}

static void add_costs(Suite *s)
{
	TCase *tc = new_case(s, "costs", start_poller, stop_poller);

	tcase_add_test(tc, what_is_pending_is_not_asked_again);
	tcase_add_test(tc, nothing_is_asked_before_the_wait_nor_without_an_interest);
	tcase_add_test(tc, an_interest_that_the_pending_poll_covers_costs_nothing);
	tcase_add_test(tc, an_interest_that_it_does_not_cover_costs_one_cancel);
	tcase_add_test(tc, a_burst_of_wakes_is_one_packet);
	tcase_add_test(tc, a_short_sleep_is_not_a_busy_loop);
	tcase_add_test(tc, a_sleep_that_the_system_ends_early_goes_on);
	tcase_add_test(tc, an_item_that_is_no_longer_busy_ends_the_wait);
	tcase_add_test(tc, an_item_that_was_added_again_at_once_is_busy_until_its_last_poll_is_back);
	tcase_add_test(tc, an_item_that_was_added_again_at_once_is_watched);
	tcase_add_test(tc, a_helper_has_a_bounded_number_of_polls);
	tcase_add_test(tc, destroy_waits_for_what_is_under_way);
	tcase_add_test(tc, destroy_that_is_given_no_packets_leaves_everything_to_the_kernel);
	tcase_add_test(tc, there_is_never_a_second_poll_of_a_socket);
}

static void add_refusals(Suite *s)
{
	TCase *tc = new_case(s, "refusals", start_poller, stop_poller);

	tcase_add_loop_test(tc, create_that_is_refused_gives_a_status_and_leaves_nothing, 0, CREATIONS);
	tcase_add_loop_test(tc, an_engine_that_is_refused_gives_a_status_and_leaves_nothing, 0, CREATIONS);
	tcase_add_test(tc, add_that_is_refused_a_helper_gives_a_status_and_adds_nothing);
	tcase_add_test(tc, add_of_a_socket_under_layers_that_tell_nothing_is_not_supported);
	tcase_add_test(tc, a_socket_under_layers_is_watched_below_them);
	tcase_add_loop_test(tc, no_room_for_a_poll_is_a_status_and_not_a_sleep_and_changes_nothing, 0, 3);
	tcase_add_test(tc, no_room_for_one_poll_hides_no_other_and_no_wake);
	tcase_add_test(tc, a_socket_that_cannot_be_polled_is_one_that_failed);
	tcase_add_test(tc, a_socket_that_was_closed_while_pending_is_one_that_failed);
	tcase_add_test(tc, a_cancel_that_fails_does_no_harm);
	tcase_add_test(tc, wait_that_fails_gives_a_status_and_swallows_no_wake_and_no_event);
	tc = new_case(s, "wakes", start_poller, stop_poller);
	tcase_add_test(tc, a_wake_that_cannot_be_posted_is_posted_later);
	tcase_add_test(tc, a_wake_that_can_never_be_posted_ends_the_sleep_by_a_cancel);
	tcase_add_test(tc, a_wake_that_nobody_could_be_told_of_is_there_for_the_next_wait);
}

static Suite *suite_of_poller_afd(void)
{
	Suite *s = suite_create("poller_afd");

	add_calls(s);
	add_bases(s);
	add_costs(s);
	add_refusals(s);
	tcase_add_test(suite_case(s, "engine", 60), an_engine_under_layers_that_tell_nothing_says_so);
	return s;
}

int main(void)
{
	return harness_run(suite_of_poller_afd());
}
