/* SPDX-License-Identifier: MIT */

/* Channel numbers and slots. Linked with --wrap=malloc,calloc,realloc. */

#include <stdlib.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/steps.h"
#include "reactor/registry.h"

static struct tofu_registry reg;

/* Allocation that fails on demand. */

static int allow = -1; /* calls of calloc that still succeed; -1: all */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (allow == 0)
		return NULL;
	if (allow > 0)
		allow--;
	return __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return __real_malloc(size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return __real_realloc(old, size);
}

static void up_to(uint32_t max)
{
	memset(&reg, 0, sizeof reg);
	ck_status(tofu_registry_init(&reg, max), TOFU_OK);
}

static void start(void)
{
	up_to(TOFU_CHANNEL_MAX);
}

static void stop(void)
{
	tofu_registry_fini(&reg);
}

static struct tofu_chan *taken(void)
{
	struct tofu_chan *c;
	enum tofu_status status = tofu_registry_take(&reg, &c);

	if (status != TOFU_OK)
		ck_abort_msg("no channel: %s", tofu_status_name(status));
	tofu_registry_number(&reg, c);
	return c;
}

/* As it happens: its number leads nowhere; the last word is received; at the end of the turn the slot is free. */
static void end(struct tofu_chan *c)
{
	uint16_t number = c->number;

	tofu_registry_forget(&reg, c, true);
	tofu_registry_release(&reg, number);
	tofu_registry_free(&reg, c);
}

START_TEST(taken_channel_is_blank_and_found_by_its_number)
{
	struct tofu_chan *c = taken();

	ck_assert_ptr_eq(tofu_registry_find(&reg, c->number), c);
	ck_assert_int_eq(c->state, TOFU_CHAN_NEW);
	ck_assert_int_eq(c->link.handle, TOFU_NO_SOCKET);
	ck_assert_uint_eq(tofu_gate_number(atomic_load(&c->gate)), 0);
	ck_assert_uint_ne(atomic_load(&c->gate) & TOFU_GATE_SEALED, 0);
}
END_TEST

START_TEST(all_numbers_are_given_once_and_neither_0_nor_65535_is)
{
	static bool seen[65536];

	for (int i = 0; i < TOFU_CHANNEL_MAX; i++) {
		uint16_t number = taken()->number;

		if (seen[number])
			ck_abort_msg("%u was given twice", number);
		seen[number] = true;
	}
	ck_assert(!seen[0]);
	ck_assert(!seen[65535]);
	ck_assert_ptr_null(tofu_registry_find(&reg, 0));
	ck_assert_ptr_null(tofu_registry_find(&reg, 65535));
}
END_TEST

START_TEST(with_all_numbers_in_use_the_limit_is_reached_until_one_is_free)
{
	struct tofu_chan *c = NULL, *more;

	for (int i = 0; i < TOFU_CHANNEL_MAX; i++) {
		more = taken();
		if (i == 1000)
			c = more;
	}
	ck_status(tofu_registry_take(&reg, &more), TOFU_LIMIT_REACHED);
	ck_assert_ptr_null(more);
	end(c);
	ck_assert_uint_eq(taken()->number, 1001);
	ck_status(tofu_registry_take(&reg, &more), TOFU_LIMIT_REACHED);
}
END_TEST

START_TEST(freed_number_comes_back_after_every_other_one)
{
	struct tofu_chan *c = taken();
	uint16_t first = c->number;

	end(c);
	for (int i = 1; i < TOFU_CHANNEL_MAX; i++) {
		c = taken();
		if (c->number == first)
			ck_abort_msg("%u came back after %d others", first, i - 1);
		end(c);
	}
	ck_assert_uint_eq(taken()->number, first);
}
END_TEST

START_TEST(freed_numbers_come_back_oldest_first)
{
	static struct tofu_chan *all[65536];
	static const uint16_t order[] = { 300, 7, 65534, 1, 40000, 2 };

	for (int i = 0; i < TOFU_CHANNEL_MAX; i++) {
		struct tofu_chan *c = taken();

		all[c->number] = c;
	}
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		end(all[order[i]]);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		ck_assert_uint_eq(taken()->number, order[i]);
}
END_TEST

START_TEST(numbers_go_round_and_round_in_the_same_order)
{
	for (unsigned i = 0; i < 3u * TOFU_CHANNEL_MAX + 17; i++) {
		struct tofu_chan *c = taken();

		if (c->number != i % TOFU_CHANNEL_MAX + 1)
			ck_abort_msg("the %uth is %u", i, c->number);
		end(c);
	}
}
END_TEST

START_TEST(maximum_of_open_channels_is_kept)
{
	struct tofu_chan *a, *b, *c;

	stop();
	up_to(2);
	a = taken();
	b = taken();
	ck_status(tofu_registry_take(&reg, &c), TOFU_LIMIT_REACHED);
	ck_assert_ptr_null(c);
	end(a);
	c = taken();
	ck_assert_uint_eq(c->number, 3);
	end(b);
	b = taken();
	ck_status(tofu_registry_take(&reg, &c), TOFU_LIMIT_REACHED);
}
END_TEST

/* What the table of numbers must be at any time: in use, waiting for its last word, or free, in the order they became so. */
START_TEST(no_number_is_given_between_its_channels_end_and_its_release_whatever_the_order)
{
	static struct tofu_chan *open[65536];
	static uint16_t waiting[65536], queue[65536];
	size_t open_count = 0, waiting_count = 0, first = 0, last = 0;
	uint32_t fresh = 1;
	uint64_t seed = fresh_seed("numbers");

	for (int i = 0; i < 600000; i++) {
		uint32_t what = dice(&seed, 100);
		bool fills = i / 100000 % 2 == 0; /* up to the limit, and down again */

		if (what < (fills ? 60u : 20u)) {
			struct tofu_chan *c;
			bool any = fresh <= TOFU_CHANNEL_MAX || first != last;
			uint16_t number;

			ck_status(tofu_registry_take(&reg, &c), any ? TOFU_OK : TOFU_LIMIT_REACHED);
			if (!any)
				continue;
			tofu_registry_number(&reg, c);
			number = fresh <= TOFU_CHANNEL_MAX ? (uint16_t)fresh++ : queue[first++ % 65536];
			must(c->number == number, "%u was given, and it was the turn of %u", c->number, number);
			open[open_count++] = c;
		} else if (what < 80) {
			size_t at = open_count > 0 ? dice(&seed, (uint32_t)open_count) : 0;

			if (open_count == 0)
				continue;
			waiting[waiting_count++] = open[at]->number;
			tofu_registry_forget(&reg, open[at], true);
			tofu_registry_free(&reg, open[at]);
			open[at] = open[--open_count];
		} else if (waiting_count > 0) {
			size_t at = dice(&seed, (uint32_t)waiting_count);

			queue[last++ % 65536] = waiting[at];
			tofu_registry_release(&reg, waiting[at]);
			waiting[at] = waiting[--waiting_count];
		}
	}
	ck_assert_uint_eq(fresh, TOFU_CHANNEL_MAX + 1);
}
END_TEST

START_TEST(with_all_numbers_waiting_for_their_last_word_the_limit_is_reached_though_none_is_open)
{
	struct tofu_chan *c;

	for (int i = 0; i < TOFU_CHANNEL_MAX; i++) {
		c = taken();
		tofu_registry_forget(&reg, c, true);
		tofu_registry_free(&reg, c);
	}
	ck_assert_uint_eq(reg.open, 0);
	ck_status(tofu_registry_take(&reg, &c), TOFU_LIMIT_REACHED);
	ck_assert(tofu_registry_release(&reg, 700)); /* somebody was refused */
	ck_assert(!tofu_registry_release(&reg, 5));
	ck_assert_uint_eq(taken()->number, 700);
	ck_assert_uint_eq(taken()->number, 5);
	ck_status(tofu_registry_take(&reg, &c), TOFU_LIMIT_REACHED);
	ck_assert(tofu_registry_release(&reg, 1));
}
END_TEST

/* As a listener does it that finds nobody waiting. */
static void take_in_vain(void)
{
	struct tofu_chan *c;

	ck_status(tofu_registry_take(&reg, &c), TOFU_OK);
	ck_assert_uint_eq(c->number, 0);
	tofu_registry_return(&reg, c);
}

START_TEST(channel_that_is_not_needed_takes_no_number)
{
	struct tofu_chan *c, *more;

	ck_assert_uint_eq(taken()->number, 1);
	ck_status(tofu_registry_take(&reg, &c), TOFU_OK);
	ck_assert_uint_eq(taken()->number, 2);
	tofu_registry_return(&reg, c);
	ck_assert_ptr_null(tofu_registry_find(&reg, 3));
	ck_assert_uint_eq(taken()->number, 3);
	for (int i = 3; i < TOFU_CHANNEL_MAX - 1; i++) {
		take_in_vain();
		taken();
	}
	ck_status(tofu_registry_take(&reg, &c), TOFU_OK);
	ck_status(tofu_registry_take(&reg, &more), TOFU_LIMIT_REACHED); /* the last number is kept for c */
	tofu_registry_number(&reg, c);
	ck_assert_uint_eq(c->number, TOFU_CHANNEL_MAX);
}
END_TEST

START_TEST(ended_is_said_of_a_number_until_it_is_given_again)
{
	struct tofu_chan *c = taken();

	ck_assert(!tofu_registry_has_ended(&reg, 1));
	ck_assert(!tofu_registry_has_ended(&reg, 2));
	end(c);
	ck_assert(tofu_registry_has_ended(&reg, 1));
	for (int i = 1; i < TOFU_CHANNEL_MAX; i++)
		end(taken());
	take_in_vain();
	ck_assert(tofu_registry_has_ended(&reg, 1));
	ck_assert_uint_eq(taken()->number, 1);
	ck_assert(!tofu_registry_has_ended(&reg, 1));
	ck_assert(tofu_registry_has_ended(&reg, 2));
	ck_assert(!tofu_registry_has_ended(&reg, 0));
	ck_assert(!tofu_registry_has_ended(&reg, 65535));
}
END_TEST

START_TEST(ended_is_not_said_of_a_channel_that_nobody_knew)
{
	struct tofu_chan *c = taken();

	tofu_registry_forget(&reg, c, false);
	ck_assert(!tofu_registry_has_ended(&reg, 1));
	tofu_registry_free(&reg, c);
	ck_assert(!tofu_registry_has_ended(&reg, 1));
}
END_TEST

START_TEST(slots_stay_where_they_are_while_others_come)
{
	struct tofu_chan *few[5];

	for (size_t i = 0; i < 5; i++)
		few[i] = taken();
	for (int i = 0; i < 10 * TOFU_SLAB_CHANNELS; i++)
		taken();
	for (size_t i = 0; i < 5; i++) {
		ck_assert_uint_eq(few[i]->number, i + 1);
		ck_assert_ptr_eq(tofu_registry_find(&reg, (uint16_t)(i + 1)), few[i]);
	}
}
END_TEST

START_TEST(slots_are_used_again_so_one_at_a_time_needs_no_memory)
{
	end(taken());
	allow = 0;
	for (int i = 0; i < 10 * TOFU_SLAB_CHANNELS; i++)
		end(taken());
	allow = -1;
}
END_TEST

START_TEST(number_is_free_before_its_slot_is)
{
	struct tofu_chan *c = taken(), *other;

	tofu_registry_forget(&reg, c, true);
	tofu_registry_release(&reg, 1);
	ck_assert_ptr_null(tofu_registry_find(&reg, 1));
	for (int i = 0; i < 2 * TOFU_SLAB_CHANNELS; i++)
		if (taken() == c)
			ck_abort_msg("a slot was given away that something still refers to");
	tofu_registry_free(&reg, c);
	other = taken();
	ck_assert_ptr_eq(other, c);
	ck_assert_uint_eq(other->number, 2 * TOFU_SLAB_CHANNELS + 2);
}
END_TEST

START_TEST(slot_that_is_used_again_is_blank)
{
	struct tofu_chan *c = taken();

	c->state = TOFU_CHAN_CLOSED;
	c->why = TOFU_TIMEOUT;
	c->session.called = c->watched = c->fin_sent = true;
	c->opened_ns = 5;
	c->link.handle = 3;
	c->sent = 9;
	c->head_len = 4;
	end(c);
	ck_assert_ptr_eq(taken(), c);
	ck_assert_int_eq(c->state, TOFU_CHAN_NEW);
	ck_assert_int_eq(c->why, TOFU_OK);
	ck_assert(!c->session.called && !c->watched && !c->fin_sent);
	ck_assert_int_eq(c->opened_ns, 0);
	ck_assert_int_eq(c->link.handle, TOFU_NO_SOCKET);
	ck_assert_uint_eq(c->sent, 0);
	ck_assert_uint_eq(c->head_len, 0);
}
END_TEST

struct visits {
	unsigned count;
	unsigned of[65536];
};

static void visit(void *context, struct tofu_chan *c)
{
	struct visits *v = context;

	v->count++;
	v->of[c->number]++;
}

START_TEST(each_visits_exactly_those_that_have_a_number)
{
	static struct visits v;
	struct tofu_chan *c;

	for (unsigned i = 1; i <= 200; i++) {
		c = taken();
		if (i % 3 == 0)
			end(c);
		else if (i % 3 == 1)
			continue;
		else if (i == 50)
			tofu_registry_forget(&reg, c, true);
	}
	tofu_registry_each(&reg, visit, &v);
	for (unsigned number = 1; number < 65535; number++) {
		bool open = tofu_registry_find(&reg, (uint16_t)number) != NULL;

		if (v.of[number] != open)
			ck_abort_msg("%u was visited %u times", number, v.of[number]);
	}
	ck_assert_uint_eq(v.count, reg.open);
	ck_assert_uint_eq(v.of[50], 0);
	ck_assert_uint_eq(v.of[2], 1);
}
END_TEST

START_TEST(each_visits_a_number_once_though_its_last_slot_still_waits_to_be_freed)
{
	static struct visits v;

	tofu_registry_forget(&reg, taken(), true); /* number 1; its slot stays in use */
	tofu_registry_release(&reg, 1);
	for (int i = 1; i < TOFU_CHANNEL_MAX; i++)
		end(taken());
	ck_assert_uint_eq(taken()->number, 1);
	tofu_registry_each(&reg, visit, &v);
	ck_assert_uint_eq(v.count, 1);
}
END_TEST

START_TEST(each_of_none_visits_none)
{
	static struct visits v;

	tofu_registry_each(&reg, visit, &v);
	end(taken());
	tofu_registry_each(&reg, visit, &v);
	ck_assert_uint_eq(v.count, 0);
}
END_TEST

START_TEST(no_memory_to_grow_is_allocation_failed_and_costs_no_number)
{
	struct tofu_chan *c;

	allow = 0;
	ck_status(tofu_registry_take(&reg, &c), TOFU_ALLOCATION_FAILED);
	ck_assert_ptr_null(c);
	allow = -1;
	for (unsigned i = 1; i <= TOFU_SLAB_CHANNELS; i++)
		ck_assert_uint_eq(taken()->number, i);
	allow = 0;
	ck_status(tofu_registry_take(&reg, &c), TOFU_ALLOCATION_FAILED);
	ck_assert_uint_eq(reg.open, TOFU_SLAB_CHANNELS);
	allow = -1;
	ck_assert_uint_eq(taken()->number, TOFU_SLAB_CHANNELS + 1);
}
END_TEST

START_TEST(no_memory_for_the_registry_is_allocation_failed_and_fini_takes_it)
{
	struct tofu_registry half = { .max = 0 };

	allow = _i;
	ck_status(tofu_registry_init(&half, 10), TOFU_ALLOCATION_FAILED);
	allow = -1;
	tofu_registry_fini(&half);
	tofu_registry_fini(&half); /* zeroed: nothing left */
}
END_TEST

/* Taking and ending on several threads at once. */

enum { THREADS = 3, ROUNDS = 5000 };

static atomic_uint owner[65536];
static atomic_bool twice;

static void churn(void *context)
{
	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		struct tofu_chan *c;

		if (tofu_registry_take(&reg, &c) != TOFU_OK) {
			atomic_store(&twice, true);
			return;
		}
		if (i % 3 == 0) {
			tofu_registry_return(&reg, c);
			continue;
		}
		tofu_registry_number(&reg, c);
		if (atomic_fetch_add(&owner[c->number], 1) != 0 || tofu_registry_find(&reg, c->number) != c) {
			atomic_store(&twice, true);
			return;
		}
		atomic_fetch_sub(&owner[c->number], 1);
		end(c);
	}
}

START_TEST(threads_never_get_the_same_channel)
{
	struct tofu_thread threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_status(tofu_thread_start(&threads[i], churn, NULL), TOFU_OK);
	for (int i = 0; i < THREADS; i++)
		tofu_thread_join(&threads[i]);
	ck_assert(!atomic_load(&twice));
	ck_assert_uint_eq(reg.open, 0);
}
END_TEST

static Suite *suite_of_registry(void)
{
	Suite *suite = suite_create("registry");
	TCase *tc = tcase_create("numbers");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, taken_channel_is_blank_and_found_by_its_number);
	tcase_add_test(tc, all_numbers_are_given_once_and_neither_0_nor_65535_is);
	tcase_add_test(tc, with_all_numbers_in_use_the_limit_is_reached_until_one_is_free);
	tcase_add_test(tc, freed_number_comes_back_after_every_other_one);
	tcase_add_test(tc, freed_numbers_come_back_oldest_first);
	tcase_add_test(tc, numbers_go_round_and_round_in_the_same_order);
	tcase_add_test(tc, maximum_of_open_channels_is_kept);
	tcase_add_test(tc, no_number_is_given_between_its_channels_end_and_its_release_whatever_the_order);
	tcase_add_test(tc, with_all_numbers_waiting_for_their_last_word_the_limit_is_reached_though_none_is_open);
	tcase_add_test(tc, channel_that_is_not_needed_takes_no_number);
	tcase_add_test(tc, ended_is_said_of_a_number_until_it_is_given_again);
	tcase_add_test(tc, ended_is_not_said_of_a_channel_that_nobody_knew);
	suite_add_tcase(suite, tc);

	tc = tcase_create("slots");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, slots_stay_where_they_are_while_others_come);
	tcase_add_test(tc, slots_are_used_again_so_one_at_a_time_needs_no_memory);
	tcase_add_test(tc, number_is_free_before_its_slot_is);
	tcase_add_test(tc, slot_that_is_used_again_is_blank);
	tcase_add_test(tc, each_visits_exactly_those_that_have_a_number);
	tcase_add_test(tc, each_visits_a_number_once_though_its_last_slot_still_waits_to_be_freed);
	tcase_add_test(tc, each_of_none_visits_none);
	tcase_add_test(tc, no_memory_to_grow_is_allocation_failed_and_costs_no_number);
	tcase_add_loop_test(tc, no_memory_for_the_registry_is_allocation_failed_and_fini_takes_it, 0, 3);
	tcase_add_test(tc, threads_never_get_the_same_channel);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_registry());
}
