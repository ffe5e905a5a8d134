/* SPDX-License-Identifier: MIT */

/*
 * Bodies in parts without memory: each call is done again and again, each time failing one allocation later, until it needs no
 * more. Until then the message stays the caller's, or both ends hear that the body is given up; nothing leaks. The linker hands
 * malloc, calloc and realloc to this file (--wrap).
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/steps.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Allocations of this thread fail from there on, while it is armed. */
static _Atomic int64_t tester;
static atomic_int left; /* that succeed before; NEVER: none fails */
static atomic_bool failed;

enum { NEVER = -1, PART = 1000, PARTS = 6 };

static bool fails(void)
{
	if (os_thread_id() != atomic_load(&tester) || atomic_load(&left) == NEVER)
		return false;
	if (atomic_load(&left) > 0) {
		atomic_fetch_sub(&left, 1);
		return false;
	}
	atomic_store(&failed, true);
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static void arm(int successes)
{
	atomic_store(&failed, false);
	atomic_store(&left, successes);
}

/* Has any failed? */
static bool disarm(void)
{
	atomic_store(&left, NEVER);
	return atomic_load(&failed);
}

/* --- two ends --- */

struct end {
	struct side side;
	tofu_parts *parts;
	int whole, given_up, unsent;
};

struct ends {
	struct pair pair;
	struct end server, client;
};

static void count_unsent(void *context, tofu_msg **msg)
{
	struct end *x = context;

	must(tofu_msg_header(*msg)->status == TOFU_ALLOCATION_FAILED, "%s", describe(*msg));
	x->unsent++;
}

static void end_up(struct end *x, struct side side)
{
	struct tofu_parts_options o;

	tofu_parts_options_init(&o, sizeof o);
	o.part_size = PART;
	o.unsent = count_unsent;
	o.context = x;
	*x = (struct end){ .side = side };
	works(tofu_parts_create(side.group, &o, &x->parts));
}

/* A queue of three, and a pool of few, so that parts wait and messages are allocated. */
static void ends_open(struct ends *e)
{
	struct tofu_options options = options_with_pool(4);

	atomic_store(&tester, os_thread_id());
	atomic_store(&left, NEVER);
	options.send_queue_max = 3;
	pair_open_apart(&e->pair, OVER_TCP, &options, &options);
	end_up(&e->server, e->pair.server);
	end_up(&e->client, e->pair.client);
}

static void ends_close(struct ends *e)
{
	ck_assert_uint_eq(tofu_parts_waiting(e->client.parts, 0), 0);
	tofu_parts_destroy(e->client.parts);
	tofu_parts_destroy(e->server.parts);
	pair_close(&e->pair);
}

static void take_one(struct end *x, tofu_msg *msg, int successes)
{
	enum tofu_status st;

	arm(successes);
	st = tofu_parts_take(x->parts, &msg);
	if (disarm() && st != TOFU_OK)
		must(st == TOFU_ALLOCATION_FAILED && msg != NULL, "it failed: %s", tofu_status_name(st));
	if (st != TOFU_OK) {
		x->given_up++;
	} else if (msg != NULL && tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION) {
		size_t len;

		(void)tofu_msg_body(msg, &len);
		must(len == PARTS * PART && number_of(msg) == 7, "other bytes than were sent");
		x->whole++;
	}
	tofu_msg_put(&msg);
}

static void work(struct end *x, int successes)
{
	tofu_msg *msg;

	while (tofu_receive(x->side.group, &msg, 0) == TOFU_OK)
		take_one(x, msg, successes);
}

static tofu_msg *body_message(const struct ends *e)
{
	tofu_msg *msg = message(&e->client.side, TOFU_REQUEST, e->pair.client_channel, 0, NULL);

	number_body(msg, 7, PARTS * PART);
	return msg;
}

/* --- */

START_TEST(a_body_that_cannot_be_sent_for_want_of_memory_stays_the_callers_or_both_ends_hear_of_it)
{
	bool any;
	int n = 0;

	do {
		struct tofu_header h;
		struct ends e;
		enum tofu_status st;
		tofu_msg *msg;

		ends_open(&e);
		msg = body_message(&e);
		arm(n++);
		st = tofu_parts_post(e.client.parts, &msg, &h);
		any = disarm();
		if (st != TOFU_OK) {
			ck_status(st, TOFU_ALLOCATION_FAILED);
			must(any && msg != NULL && number_of(msg) == 7 && tofu_msg_header(msg)->id == 0,
			     "it was not left alone");
			ck_assert_int_eq(e.client.unsent, 0);
			works(tofu_parts_post(e.client.parts, &msg, &h));
		}
		eventually((work(&e.client, NEVER), work(&e.server, NEVER), e.server.whole + e.server.given_up == 1));
		ck_assert_int_eq(e.client.unsent, e.server.given_up);
		ends_close(&e);
	} while (any);
	must(n > 5, "only %d allocations: is it linked without --wrap?", n);
}
END_TEST

START_TEST(a_body_that_goes_on_without_memory_is_sent_or_both_ends_hear_of_it)
{
	for (int n = 0; n < 12; n++) {
		tofu_msg *msg;
		struct ends e;

		ends_open(&e);
		msg = body_message(&e);
		works(tofu_parts_post(e.client.parts, &msg, NULL));
		eventually((work(&e.client, n), work(&e.server, NEVER), e.server.whole + e.server.given_up == 1));
		ck_assert_int_eq(e.client.unsent, e.server.given_up);
		ends_close(&e);
	}
}
END_TEST

START_TEST(a_body_that_cannot_be_put_together_for_want_of_memory_is_given_up_and_the_next_is_not)
{
	int given_up = 0;

	for (int n = 0; n < 12; n++) {
		struct ends e;
		tofu_msg *msg;
		bool refused;

		ends_open(&e);
		msg = body_message(&e);
		works(tofu_parts_post(e.client.parts, &msg, NULL));
		eventually((work(&e.client, NEVER), work(&e.server, n), e.server.whole + e.server.given_up > 0));
		given_up += e.server.given_up;
		eventually(
			(work(&e.client, NEVER), work(&e.server, NEVER), tofu_parts_waiting(e.client.parts, 0) == 0));
		refused = e.server.given_up > 0;
		msg = body_message(&e);
		works(tofu_parts_post(e.client.parts, &msg, NULL));
		/* Either it is whole, or, when the very record was missing, all of the channel is refused. */
		eventually((work(&e.client, NEVER), work(&e.server, NEVER),
		            tofu_parts_waiting(e.client.parts, 0) == 0 &&
		                    (e.server.whole > 0 || (refused && e.server.given_up > PARTS))));
		ends_close(&e);
	}
	must(given_up > 2, "only %d were given up: is it linked without --wrap?", given_up);
}
END_TEST

START_TEST(without_memory_there_are_no_parts)
{
	struct side side = side_in(engine_up(NULL));
	tofu_parts *parts = (tofu_parts *)&side;
	enum tofu_status st;

	atomic_store(&tester, os_thread_id());
	arm(0);
	st = tofu_parts_create(side.group, NULL, &parts);
	must(disarm(), "it needed none");
	ck_status(st, TOFU_ALLOCATION_FAILED);
	ck_assert_ptr_null(parts);
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_parts_memory(void)
{
	Suite *suite = suite_create("parts without memory");
	TCase *tc = suite_case(suite, "memory", 120);

	tcase_add_test(tc, a_body_that_cannot_be_sent_for_want_of_memory_stays_the_callers_or_both_ends_hear_of_it);
	tcase_add_test(tc, a_body_that_goes_on_without_memory_is_sent_or_both_ends_hear_of_it);
	tcase_add_test(tc, a_body_that_cannot_be_put_together_for_want_of_memory_is_given_up_and_the_next_is_not);
	tcase_add_test(tc, without_memory_there_are_no_parts);
	return suite;
}

int main(void)
{
	atomic_store(&left, NEVER);
	return harness_run(suite_of_parts_memory());
}
