/* SPDX-License-Identifier: MIT */

/* A channel's gate by itself: bounds, sealing, and the count that many threads and the reactor keep together. */

#include <stdatomic.h>

#include <tofu/tofu.h>

#include "lib/harness.h"
#include "platform/platform.h"
#include "reactor/gate.h"

enum { NUMBER = 4711, THREADS = 3, ROUNDS = 20000 };

static const struct tofu_gate_bounds small = { .messages = 10, .bytes = 1000 };

static void ck_inside(tofu_gate *gate, uint32_t messages, uint32_t bytes)
{
	uint64_t g = atomic_load(gate);

	ck_assert_uint_eq(tofu_gate_messages(g), messages);
	ck_assert_uint_eq(tofu_gate_bytes(g), bytes);
}

static void enter(tofu_gate *gate, uint32_t bytes)
{
	ck_status(tofu_gate_enter(gate, NUMBER, bytes, &small, false), TOFU_OK);
}

START_TEST(opened_gate_holds_the_opening_message)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 1, 77);
	ck_assert_uint_eq(tofu_gate_number(atomic_load(&gate)), NUMBER);
	ck_inside(&gate, 1, 77);
	ck_assert(!tofu_gate_leave(&gate, 1, 77, &small));
	ck_inside(&gate, 0, 0);
}
END_TEST

START_TEST(message_over_the_count_is_refused)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	for (unsigned i = 0; i < small.messages; i++)
		enter(&gate, 1);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_WOULD_BLOCK);
	ck_inside(&gate, 10, 10);
}
END_TEST

START_TEST(message_over_the_bytes_is_refused_and_one_that_just_fits_is_not)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	enter(&gate, 900);
	ck_status(tofu_gate_enter(&gate, NUMBER, 101, &small, false), TOFU_WOULD_BLOCK);
	enter(&gate, 100);
	ck_inside(&gate, 2, 1000);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_WOULD_BLOCK);
}
END_TEST

START_TEST(lone_message_of_any_size_fits)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	enter(&gate, 16 + 65535 + 65535);
	ck_inside(&gate, 1, 131086);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_WOULD_BLOCK);
	ck_assert(tofu_gate_leave(&gate, 1, 131086, &small));
	ck_inside(&gate, 0, 0);
}
END_TEST

START_TEST(of_several_as_many_enter_as_fit)
{
	static const uint32_t bytes[12] = { 900, 50, 60, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	tofu_gate gate;
	size_t entered;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes, 2, &small, &entered), TOFU_OK);
	ck_assert_uint_eq(entered, 2);
	ck_inside(&gate, 2, 950);
	ck_assert_uint_eq(atomic_load(&gate) & TOFU_GATE_WAITED, 0);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes + 1, 2, &small, &entered), TOFU_WOULD_BLOCK); /* bytes */
	ck_assert_uint_eq(entered, 1);
	ck_inside(&gate, 3, 1000);
	ck_assert_uint_ne(atomic_load(&gate) & TOFU_GATE_WAITED, 0);
	ck_assert(tofu_gate_leave(&gate, 3, 1000, &small));
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes, 1, &small, &entered), TOFU_OK);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes + 1, 11, &small, &entered), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(entered, 1);
	ck_assert(tofu_gate_leave(&gate, 2, 950, &small));
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes + 2, 10, &small, &entered), TOFU_OK);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes + 3, 1, &small, &entered), TOFU_WOULD_BLOCK); /* count */
	ck_assert_uint_eq(entered, 0);
	ck_inside(&gate, 10, 69);
}
END_TEST

START_TEST(of_several_a_lone_first_one_fits_whatever_its_size)
{
	static const uint32_t bytes[2] = { 16 + 65535 + 65535, 1 };
	tofu_gate gate;
	size_t entered;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes, 2, &small, &entered), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(entered, 1);
	ck_inside(&gate, 1, bytes[0]);
	ck_status(tofu_gate_enter_some(&gate, NUMBER + 1, bytes, 2, &small, &entered), TOFU_INVALID_CHANNEL_NUMBER);
	ck_assert_uint_eq(entered, 0);
	tofu_gate_seal(&gate);
	ck_status(tofu_gate_enter_some(&gate, NUMBER, bytes, 2, &small, &entered), TOFU_CHANNEL_CLOSED);
	ck_assert_uint_eq(entered, 0);
}
END_TEST

START_TEST(urgent_message_enters_a_full_gate_until_it_cannot_be_counted)
{
	static const struct tofu_gate_bounds most = { TOFU_GATE_MESSAGES_MAX, TOFU_GATE_BYTES_MAX };
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	for (unsigned i = 0; i < TOFU_GATE_MESSAGES_MAX; i++)
		ck_assert_int_eq(tofu_gate_enter(&gate, NUMBER, 16, &most, false), TOFU_OK);
	ck_status(tofu_gate_enter(&gate, NUMBER, 16, &most, false), TOFU_WOULD_BLOCK);
	for (unsigned i = 0; i < TOFU_GATE_MESSAGES_MAX; i++)
		ck_assert_int_eq(tofu_gate_enter(&gate, NUMBER, 0, &most, true), TOFU_OK);
	ck_status(tofu_gate_enter(&gate, NUMBER, 0, &most, true), TOFU_WOULD_BLOCK);
	ck_inside(&gate, 2 * TOFU_GATE_MESSAGES_MAX, 16 * TOFU_GATE_MESSAGES_MAX);
	ck_assert_uint_eq(tofu_gate_number(atomic_load(&gate)), NUMBER);
	ck_assert_uint_eq(atomic_load(&gate) & TOFU_GATE_SEALED, 0);
}
END_TEST

START_TEST(widest_bounds_with_one_message_too_many_do_not_spill_into_the_count)
{
	static const struct tofu_gate_bounds most = { TOFU_GATE_MESSAGES_MAX, TOFU_GATE_BYTES_MAX };
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 1, TOFU_GATE_BYTES_MAX - 131086);
	ck_status(tofu_gate_enter(&gate, NUMBER, 131086, &most, false), TOFU_OK);
	ck_inside(&gate, 2, TOFU_GATE_BYTES_MAX);
	ck_status(tofu_gate_enter(&gate, NUMBER, 131086, &most, false), TOFU_WOULD_BLOCK);
	ck_inside(&gate, 2, TOFU_GATE_BYTES_MAX);
}
END_TEST

START_TEST(sealed_gate_refuses_and_still_counts_down)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	enter(&gate, 600);
	ck_status(tofu_gate_enter(&gate, NUMBER, 600, &small, false), TOFU_WOULD_BLOCK);
	tofu_gate_seal(&gate);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_CHANNEL_CLOSED);
	ck_status(tofu_gate_enter(&gate, NUMBER, 0, &small, true), TOFU_CHANNEL_CLOSED);
	ck_assert_uint_eq(tofu_gate_number(atomic_load(&gate)), NUMBER);
	ck_inside(&gate, 1, 600);
	ck_assert(!tofu_gate_leave(&gate, 1, 600, &small)); /* who waited hears channel_closed, not send_ready */
	ck_inside(&gate, 0, 0);
}
END_TEST

START_TEST(another_number_is_refused_and_changes_nothing)
{
	tofu_gate gate;
	uint64_t before;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	enter(&gate, 600);
	before = atomic_load(&gate);
	ck_status(tofu_gate_enter(&gate, NUMBER + 1, 1, &small, false), TOFU_INVALID_CHANNEL_NUMBER);
	ck_status(tofu_gate_enter(&gate, NUMBER + 1, 600, &small, false), TOFU_INVALID_CHANNEL_NUMBER);
	ck_status(tofu_gate_enter(&gate, 0, 0, &small, true), TOFU_INVALID_CHANNEL_NUMBER);
	ck_assert_uint_eq(atomic_load(&gate), before);
}
END_TEST

START_TEST(shut_gate_is_nobodys)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	tofu_gate_shut(&gate);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_INVALID_CHANNEL_NUMBER);
	ck_assert_int_ne(tofu_gate_enter(&gate, 0, 1, &small, false), TOFU_OK);
	ck_inside(&gate, 0, 0);
}
END_TEST

START_TEST(who_waited_is_told_once_when_half_of_the_count_is_free)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	for (unsigned i = 0; i < small.messages; i++)
		enter(&gate, 1);
	for (unsigned i = 0; i < 3; i++)
		ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_WOULD_BLOCK);
	for (unsigned left = 9; left > 5; left--)
		ck_assert(!tofu_gate_leave(&gate, 1, 1, &small));
	ck_assert(tofu_gate_leave(&gate, 1, 1, &small));
	ck_inside(&gate, 5, 5);
	for (unsigned left = 5; left > 0; left--)
		ck_assert(!tofu_gate_leave(&gate, 1, 1, &small));
}
END_TEST

START_TEST(who_waited_for_bytes_is_told_when_half_of_them_are_free)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	enter(&gate, 300);
	enter(&gate, 300);
	enter(&gate, 400);
	ck_status(tofu_gate_enter(&gate, NUMBER, 1, &small, false), TOFU_WOULD_BLOCK);
	ck_assert(!tofu_gate_leave(&gate, 1, 300, &small));
	ck_assert(tofu_gate_leave(&gate, 1, 300, &small));
	ck_assert(!tofu_gate_leave(&gate, 1, 400, &small));
}
END_TEST

START_TEST(nobody_is_told_when_nobody_waited)
{
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	for (unsigned i = 0; i < small.messages; i++)
		enter(&gate, 1);
	ck_assert(!tofu_gate_leave(&gate, small.messages, 10, &small));
	ck_inside(&gate, 0, 0);
}
END_TEST

START_TEST(who_waits_a_second_time_is_told_a_second_time)
{
	static const struct tofu_gate_bounds one = { .messages = 1, .bytes = 1000 };
	tofu_gate gate;

	tofu_gate_open(&gate, NUMBER, 0, 0);
	for (int i = 0; i < 3; i++) {
		ck_status(tofu_gate_enter(&gate, NUMBER, 1, &one, false), TOFU_OK);
		ck_status(tofu_gate_enter(&gate, NUMBER, 1, &one, false), TOFU_WOULD_BLOCK);
		ck_assert(tofu_gate_leave(&gate, 1, 1, &one));
	}
}
END_TEST

/* Posters on several threads; the test's own thread is the reactor: what they got in, it lets out. */

struct crowd {
	tofu_gate gate;
	atomic_uint entered;
	atomic_uint entered_bytes;
	atomic_uint working;
	atomic_bool over; /* bounds were exceeded */
};

struct poster {
	struct tofu_thread thread;
	struct crowd *crowd;
	unsigned number;
};

static void watch_bounds(struct crowd *c)
{
	uint64_t g = atomic_load(&c->gate);

	if (tofu_gate_messages(g) > small.messages || tofu_gate_bytes(g) > small.bytes)
		atomic_store(&c->over, true);
}

/* Counted once it is in; only what is counted is let out. */
static void post(void *context)
{
	struct poster *p = context;
	struct crowd *c = p->crowd;

	for (unsigned done = 0; done < ROUNDS;) {
		uint32_t bytes = 16 + (done * 7 + p->number) % 200;
		enum tofu_status status = tofu_gate_enter(&c->gate, NUMBER, bytes, &small, false);

		watch_bounds(c);
		if (status == TOFU_CHANNEL_CLOSED)
			break;
		if (status == TOFU_WOULD_BLOCK) {
			tofu_plat_sleep(1000);
			continue;
		}
		atomic_fetch_add(&c->entered_bytes, bytes);
		atomic_fetch_add(&c->entered, 1);
		done++;
	}
	atomic_fetch_sub(&c->working, 1);
}

static void start_posters(struct crowd *c, struct poster posters[THREADS])
{
	tofu_gate_open(&c->gate, NUMBER, 0, 0);
	atomic_store(&c->working, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		posters[i].crowd = c;
		posters[i].number = i;
		ck_status(tofu_thread_start(&posters[i].thread, post, &posters[i]), TOFU_OK);
	}
}

/* All that is counted by now. Bytes are counted before their message, so they may leave early, but never late. */
static void let_out(struct crowd *c, unsigned *out, unsigned *out_bytes)
{
	unsigned messages = atomic_load(&c->entered) - *out;
	unsigned bytes = atomic_load(&c->entered_bytes) - *out_bytes;

	if (messages == 0) {
		tofu_plat_sleep(1000);
		return;
	}
	(void)tofu_gate_leave(&c->gate, messages, bytes, &small);
	*out += messages;
	*out_bytes += bytes;
}

START_TEST(many_threads_stay_within_bounds_and_the_count_returns_to_zero)
{
	struct crowd c = { .gate = 0 };
	struct poster posters[THREADS];
	unsigned out = 0, out_bytes = 0;

	start_posters(&c, posters);
	while (atomic_load(&c.working) > 0 || atomic_load(&c.entered) != out)
		let_out(&c, &out, &out_bytes);
	for (unsigned i = 0; i < THREADS; i++)
		tofu_thread_join(&posters[i].thread);
	ck_assert(!atomic_load(&c.over));
	ck_assert_uint_eq(out, THREADS * ROUNDS);
	ck_assert_uint_eq(out_bytes, atomic_load(&c.entered_bytes));
	ck_inside(&c.gate, 0, 0);
}
END_TEST

START_TEST(after_sealing_in_the_crowd_the_number_inside_is_exact)
{
	for (int round = 0; round < 50; round++) {
		struct crowd c = { .gate = 0 };
		struct poster posters[THREADS];
		unsigned out = 0, out_bytes = 0;
		uint64_t sealed;

		start_posters(&c, posters);
		while (atomic_load(&c.working) == THREADS && out < 100 + (unsigned)round * 10)
			let_out(&c, &out, &out_bytes);
		tofu_gate_seal(&c.gate);
		sealed = atomic_load(&c.gate);
		for (unsigned i = 0; i < THREADS; i++)
			tofu_thread_join(&posters[i].thread);
		ck_assert_uint_eq(atomic_load(&c.gate), sealed);
		ck_assert_uint_eq(tofu_gate_messages(sealed), atomic_load(&c.entered) - out);
		ck_assert_uint_eq(tofu_gate_bytes(sealed), atomic_load(&c.entered_bytes) - out_bytes);
	}
}
END_TEST

/* A poster that waits to be told is told: it never posts again without, and yet it comes to its end. */

struct patient {
	tofu_gate gate;
	atomic_uint entered;
	atomic_uint told;
	atomic_bool lost;
};

static bool await_told(struct patient *p, unsigned heard)
{
	int64_t until_ns = tofu_plat_deadline(10 * TOFU_NS_PER_S);

	while (atomic_load(&p->told) == heard) {
		if (tofu_plat_now_ns() > until_ns)
			return false;
		tofu_plat_sleep(1000);
	}
	return true;
}

static void post_patiently(void *context)
{
	struct patient *p = context;

	for (unsigned done = 0; done < ROUNDS && !atomic_load(&p->lost);) {
		unsigned heard = atomic_load(&p->told);

		if (tofu_gate_enter(&p->gate, NUMBER, 16, &small, false) == TOFU_OK) {
			atomic_fetch_add(&p->entered, 1);
			done++;
		} else if (!await_told(p, heard)) {
			atomic_store(&p->lost, true);
		}
	}
}

START_TEST(who_posts_again_only_when_told_never_waits_for_ever)
{
	struct patient p = { .gate = 0 };
	struct tofu_thread thread;
	unsigned out = 0;

	tofu_gate_open(&p.gate, NUMBER, 0, 0);
	ck_status(tofu_thread_start(&thread, post_patiently, &p), TOFU_OK);
	while (out < ROUNDS && !atomic_load(&p.lost)) {
		unsigned in = atomic_load(&p.entered);

		if (in == out) {
			tofu_plat_sleep(1000);
			continue;
		}
		if (tofu_gate_leave(&p.gate, 1, 16, &small))
			atomic_fetch_add(&p.told, 1);
		out++;
	}
	tofu_thread_join(&thread);
	ck_assert(!atomic_load(&p.lost));
	ck_inside(&p.gate, 0, 0);
}
END_TEST

static Suite *suite_of_gate(void)
{
	Suite *suite = suite_create("gate");
	TCase *tc = tcase_create("alone");

	tcase_add_test(tc, opened_gate_holds_the_opening_message);
	tcase_add_test(tc, message_over_the_count_is_refused);
	tcase_add_test(tc, message_over_the_bytes_is_refused_and_one_that_just_fits_is_not);
	tcase_add_test(tc, lone_message_of_any_size_fits);
	tcase_add_test(tc, of_several_as_many_enter_as_fit);
	tcase_add_test(tc, of_several_a_lone_first_one_fits_whatever_its_size);
	tcase_add_test(tc, urgent_message_enters_a_full_gate_until_it_cannot_be_counted);
	tcase_add_test(tc, widest_bounds_with_one_message_too_many_do_not_spill_into_the_count);
	tcase_add_test(tc, sealed_gate_refuses_and_still_counts_down);
	tcase_add_test(tc, another_number_is_refused_and_changes_nothing);
	tcase_add_test(tc, shut_gate_is_nobodys);
	tcase_add_test(tc, who_waited_is_told_once_when_half_of_the_count_is_free);
	tcase_add_test(tc, who_waited_for_bytes_is_told_when_half_of_them_are_free);
	tcase_add_test(tc, nobody_is_told_when_nobody_waited);
	tcase_add_test(tc, who_waits_a_second_time_is_told_a_second_time);
	suite_add_tcase(suite, tc);

	tc = tcase_create("crowd");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, many_threads_stay_within_bounds_and_the_count_returns_to_zero);
	tcase_add_test(tc, after_sealing_in_the_crowd_the_number_inside_is_exact);
	tcase_add_test(tc, who_posts_again_only_when_told_never_waits_for_ever);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_gate());
}
