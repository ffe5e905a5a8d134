/* SPDX-License-Identifier: MIT */
/* The queue of messages: order and count, whatever is done to it at its ends. */

#include "harness.h"

#include "message/message.h"
#include "message/pool.h"

static struct tofu_msg_queue q; /* all zero: empty */

static void push_numbers(struct tofu_msg_queue *to, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		struct tofu_msg *m = tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);

		ck_assert_ptr_nonnull(m);
		m->header.id = id;
		tofu_msg_queue_push(to, m);
	}
}

static void pop_numbers(struct tofu_msg_queue *from, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		struct tofu_msg *m = tofu_msg_queue_pop(from);

		ck_assert_ptr_nonnull(m);
		ck_assert(m->header.id == id);
		ck_assert_ptr_null(m->next);
		tofu_msg_put(&m);
	}
}

static void assert_empty(struct tofu_msg_queue *e)
{
	ck_assert_ptr_null(tofu_msg_queue_pop(e));
	ck_assert_ptr_null(e->head);
	ck_assert_ptr_null(e->tail);
	ck_assert_uint_eq(e->count, 0);
}

START_TEST(first_in_is_first_out)
{
	assert_empty(&q);
	push_numbers(&q, 1, 3);
	ck_assert_uint_eq(q.count, 3);
	pop_numbers(&q, 1, 2);
	push_numbers(&q, 4, 4);
	pop_numbers(&q, 3, 4);
	assert_empty(&q);
	push_numbers(&q, 5, 5);
	pop_numbers(&q, 5, 5);
	assert_empty(&q);
}
END_TEST

START_TEST(append_moves_all_to_the_end)
{
	struct tofu_msg_queue other = { 0 };

	tofu_msg_queue_append(&q, &other);
	assert_empty(&q);
	push_numbers(&other, 1, 2);
	tofu_msg_queue_append(&q, &other);
	assert_empty(&other);
	tofu_msg_queue_append(&q, &other);
	push_numbers(&other, 3, 4);
	tofu_msg_queue_append(&q, &other);
	assert_empty(&other);
	ck_assert_uint_eq(q.count, 4);
	push_numbers(&q, 5, 5);
	pop_numbers(&q, 1, 5);
	assert_empty(&q);
}
END_TEST

START_TEST(put_gives_every_message_back_to_its_pool)
{
	struct tofu_pool *pool;
	struct tofu_pool_counts counts;
	struct tofu_msg *m;

	ck_status(tofu_pool_create(3, 3, NULL, NULL, &pool), TOFU_OK);
	for (int i = 0; i < 3; i++) {
		ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &m), TOFU_OK);
		tofu_msg_queue_push(&q, m);
	}
	push_numbers(&q, 1, 1);
	tofu_msg_queue_put(&q);
	assert_empty(&q);
	tofu_msg_queue_put(&q);
	tofu_pool_counts(pool, &counts);
	ck_assert_uint_eq(counts.free, 3);
	ck_assert_uint_eq(counts.out, 0);
	tofu_pool_destroy(pool);
}
END_TEST

static Suite *suite_of_queue(void)
{
	Suite *s = suite_create("queue");
	TCase *tc = tcase_create("queue");

	tcase_add_test(tc, first_in_is_first_out);
	tcase_add_test(tc, append_moves_all_to_the_end);
	tcase_add_test(tc, put_gives_every_message_back_to_its_pool);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_queue());
}
