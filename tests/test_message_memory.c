/* SPDX-License-Identifier: MIT */
/*
 * No memory: every operation is done again and again, each time failing one allocation later, until it succeeds. Until
 * then it says TOFU_ALLOCATION_FAILED and what it was given is unchanged. The linker hands malloc, calloc and realloc
 * to this file (--wrap); a sanitizer or valgrind sees what leaks.
 */

#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"
#include "message/pool.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool armed;
static int before_failure; /* allocations that still succeed */
static int asked;          /* allocations while armed */

static bool fails(void)
{
	if (!armed)
		return false;
	asked++;
	return before_failure-- <= 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static void arm(int successes)
{
	before_failure = successes;
	asked = 0;
	armed = true;
}

static struct tofu_pool *pool;
static tofu_msg *msg;
static tofu_msg *copy;
static char big[2000]; /* terminated, larger than the small stores */

static void make_message(void)
{
	memset(big, 'b', sizeof big - 1);
	ck_status(tofu_pool_create(1, 1, NULL, NULL, &pool), TOFU_OK);
	ck_status(tofu_pool_get(pool, TOFU_ALWAYS, &msg), TOFU_OK);
	msg->header = (struct tofu_header){ .opcode = TOFU_SIGNAL, .channel = 3, .id = 4 };
	ck_status(tofu_msg_headers_add(msg, "~listen_on", "uds|/old/path/that/is/long/enough/to/fill"), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, "body", 4), TOFU_OK);
	copy = NULL;
}

static void assert_unchanged(void)
{
	static const char headers[] = "~listen_on: uds|/old/path/that/is/long/enough/to/fill\r\n";
	size_t len;
	const void *body = tofu_msg_body(msg, &len);

	ck_assert_uint_eq(msg->header.opcode, TOFU_SIGNAL);
	ck_assert_uint_eq(msg->header.channel, 3);
	ck_assert(msg->header.id == 4);
	ck_assert_uint_eq(msg->headers_len, strlen(headers));
	ck_assert_mem_eq(tofu_msg_headers_data(msg), headers, strlen(headers));
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(body, "body", 4);
	ck_assert_ptr_null(copy);
}

static void drop_message(void)
{
	struct tofu_pool_counts counts;

	tofu_msg_put(&copy);
	tofu_msg_put(&msg);
	tofu_pool_counts(pool, &counts);
	ck_assert(counts.out == 0);
	tofu_pool_destroy(pool);
}

static enum tofu_status add_header(void)
{
	return tofu_msg_headers_add(msg, "name", big);
}

static enum tofu_status set_body(void)
{
	return tofu_msg_body_set(msg, big, sizeof big);
}

static enum tofu_status append_body(void)
{
	return tofu_msg_body_append(msg, big, sizeof big);
}

static enum tofu_status reserve_body(void)
{
	void *room = big;
	enum tofu_status st = tofu_msg_body_reserve(msg, sizeof big, &room);

	armed = false;
	ck_assert_int_eq(room == NULL, st != TOFU_OK);
	return st;
}

static enum tofu_status connect_to(void)
{
	return tofu_msg_connect_to(msg, "tcp|a.host.with.a.long.name|4000");
}

static enum tofu_status listen_on(void)
{
	return tofu_msg_listen_on(msg, "uds|/another/path");
}

static enum tofu_status get_always(void)
{
	return tofu_pool_get(pool, TOFU_ALWAYS, &copy);
}

static enum tofu_status get_notice(void)
{
	copy = tofu_pool_get_notice(pool);
	return copy != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

static enum tofu_status clone(void)
{
	return tofu_msg_clone(msg, &copy);
}

static enum tofu_status append_lines(void)
{
	return tofu_msg_headers_append(msg, "name: value that does not fit\r\n", 31);
}

static enum tofu_status copy_headers(void)
{
	return tofu_msg_headers_copy(msg, msg);
}

struct operation {
	enum tofu_status (*run)(void);
	int allocations;
};

static const struct operation operations[] = {
	{ add_header, 1 }, { set_body, 1 },     { append_body, 1 },  { reserve_body, 1 },
	{ connect_to, 1 }, { listen_on, 1 },    { get_always, 1 },   { get_notice, 1 },
	{ clone, 1 },      { append_lines, 1 }, { copy_headers, 1 },
};

START_TEST(without_memory_an_operation_fails_and_nothing_changes)
{
	const struct operation *op = &operations[_i];
	enum tofu_status st;

	make_message();
	for (int n = 0; n < op->allocations; n++) {
		arm(n);
		st = op->run();
		armed = false;
		ck_status(st, TOFU_ALLOCATION_FAILED);
		ck_assert_int_eq(asked, n + 1);
		assert_unchanged();
	}
	arm(op->allocations);
	st = op->run();
	armed = false;
	ck_status(st, TOFU_OK);
	ck_assert_int_eq(asked, op->allocations);
	drop_message();
}
END_TEST

START_TEST(without_memory_a_frame_is_not_decoded_and_nothing_changes)
{
	enum { HEADERS = 300, BODY = 3000 };
	static unsigned char frame[16 + HEADERS + BODY] = {
		[12] = HEADERS >> 8, HEADERS & 0xff, BODY >> 8, BODY & 0xff
	};
	size_t used;
	enum tofu_status st;

	make_message();
	for (int n = 0; n < 2; n++) { /* no room for the text headers; some for them, and none for the body */
		arm(n);
		st = tofu_msg_decode(msg, frame, sizeof frame, &used);
		armed = false;
		ck_status(st, TOFU_ALLOCATION_FAILED);
		ck_assert_uint_eq(used, 0);
		assert_unchanged();
	}
	ck_status(tofu_msg_decode(msg, frame, sizeof frame, &used), TOFU_OK);
	ck_assert_uint_eq(used, sizeof frame);
	drop_message();
}
END_TEST

START_TEST(a_clone_of_a_large_message_fails_whole)
{
	enum { ALLOCATIONS = 3 }; /* the message, its text headers, its body */
	struct tofu_pool_counts counts;
	tofu_msg *spare = NULL;
	enum tofu_status st = TOFU_OK;

	for (int n = 0; n <= ALLOCATIONS; n++) {
		make_message(); /* each time, for a copy given up halfway stays in the pool */
		ck_status(tofu_msg_headers_add(msg, "name", big), TOFU_OK);
		ck_status(tofu_msg_body_set(msg, big, sizeof big), TOFU_OK);
		copy = msg;
		arm(n);
		st = tofu_msg_clone(msg, &copy);
		armed = false;
		ck_status(st, n < ALLOCATIONS ? TOFU_ALLOCATION_FAILED : TOFU_OK);
		ck_assert_int_eq(copy == NULL, n < ALLOCATIONS);
		tofu_pool_counts(pool, &counts);
		ck_assert(counts.out == (n < ALLOCATIONS ? 1 : 2));
		if (tofu_pool_get(pool, TOFU_POOL_ONLY, &spare) == TOFU_OK)
			ck_assert_uint_eq(spare->headers_len + spare->body_len, 0);
		tofu_msg_put(&spare);
		drop_message();
	}
}
END_TEST

START_TEST(a_pool_that_cannot_be_filled_is_not_made)
{
	enum { INITIAL = 5, ALLOCATIONS = INITIAL + 4 }; /* the pool, its two stacks, the first holders */
	struct tofu_pool *made;
	enum tofu_status st;

	for (int n = 0; n < ALLOCATIONS; n++) {
		made = (struct tofu_pool *)big;
		arm(n);
		st = tofu_pool_create(INITIAL, INITIAL, NULL, NULL, &made);
		armed = false;
		ck_status(st, TOFU_ALLOCATION_FAILED);
		ck_assert_ptr_null(made);
	}
	arm(ALLOCATIONS);
	st = tofu_pool_create(INITIAL, INITIAL, NULL, NULL, &made);
	armed = false;
	ck_status(st, TOFU_OK);
	tofu_pool_destroy(made);
}
END_TEST

START_TEST(a_warm_pool_allocates_nothing)
{
	tofu_msg *notice;

	make_message();
	ck_status(tofu_msg_body_set(msg, big, sizeof big), TOFU_OK);
	notice = tofu_pool_get_notice(pool);
	arm(0);
	for (int i = 0; i < 100; i++) {
		tofu_msg_put(&msg);
		tofu_msg_put(&notice);
		notice = tofu_pool_get_notice(pool);
		(void)tofu_pool_get(pool, TOFU_ALWAYS, &msg);
		(void)tofu_msg_body_set(msg, big, sizeof big); /* what grew stays */
	}
	armed = false;
	ck_assert_int_eq(asked, 0);
	tofu_msg_put(&notice);
	drop_message();
}
END_TEST

START_TEST(a_body_that_grows_byte_by_byte_allocates_seldom)
{
	make_message();
	arm(100);
	for (int i = 0; i < TOFU_BODY_MAX; i++)
		(void)tofu_msg_body_append(msg, "b", 1);
	armed = false;
	ck_assert_uint_eq(msg->body_len, 4 + TOFU_BODY_MAX);
	ck_assert_int_le(asked, 9); /* doubling, from 256 */
	drop_message();
}
END_TEST

START_TEST(free_notices_are_bounded)
{
	enum { BOUND = 1024, MORE = BOUND + 100 };
	struct tofu_msg_queue q = { 0 };

	make_message();
	for (int i = 0; i < MORE; i++)
		tofu_msg_queue_push(&q, tofu_pool_get_notice(pool));
	tofu_msg_queue_put(&q);
	arm(MORE);
	for (int i = 0; i < MORE; i++)
		tofu_msg_queue_push(&q, tofu_pool_get_notice(pool));
	armed = false;
	ck_assert_int_eq(asked, MORE - BOUND);
	tofu_msg_queue_put(&q);
	drop_message();
}
END_TEST

static Suite *suite_of_message_memory(void)
{
	Suite *s = suite_create("message_memory");
	TCase *failing = tcase_create("the nth allocation fails");
	TCase *counting = tcase_create("how many there are");

	tcase_add_loop_test(failing, without_memory_an_operation_fails_and_nothing_changes, 0,
	                    sizeof operations / sizeof operations[0]);
	tcase_add_test(failing, without_memory_a_frame_is_not_decoded_and_nothing_changes);
	tcase_add_test(failing, a_clone_of_a_large_message_fails_whole);
	tcase_add_test(failing, a_pool_that_cannot_be_filled_is_not_made);
	suite_add_tcase(s, failing);
	tcase_add_test(counting, a_warm_pool_allocates_nothing);
	tcase_add_test(counting, a_body_that_grows_byte_by_byte_allocates_seldom);
	tcase_add_test(counting, free_notices_are_bounded);
	suite_add_tcase(s, counting);
	return s;
}

int main(void)
{
	return harness_run(suite_of_message_memory());
}
