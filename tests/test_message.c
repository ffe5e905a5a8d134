/* SPDX-License-Identifier: MIT */
/* A message's life: fresh, filled, grown, cleared, cloned, put back. */

#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"
#include "message/pool.h"

static struct tofu_pool *pool;
static tofu_msg *msg;
static unsigned char bytes[3 * 65536];

static void setup(void)
{
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 31 >> 3);
	ck_status(tofu_pool_create(4, 4, NULL, NULL, &pool), TOFU_OK);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &msg), TOFU_OK);
}

static void teardown(void)
{
	struct tofu_pool_counts counts;

	tofu_msg_put(&msg);
	tofu_pool_counts(pool, &counts);
	ck_assert_uint_eq(counts.out, 0);
	tofu_pool_destroy(pool);
}

static void assert_body(const tofu_msg *m, const void *expected, size_t len)
{
	size_t got;
	const void *body = tofu_msg_body(m, &got);

	ck_assert_ptr_nonnull(body);
	ck_assert_uint_eq(got, len);
	ck_assert_int_eq(memcmp(body, expected, len), 0);
}

static void assert_fresh(tofu_msg *m)
{
	const struct tofu_header *h = tofu_msg_header(m);
	struct tofu_text_header text;

	ck_assert_uint_eq(h->opcode, TOFU_REQUEST);
	ck_assert_uint_eq(h->origin, TOFU_ORIGIN_APPLICATION);
	ck_assert_uint_eq(h->status, TOFU_OK);
	ck_assert_uint_eq(h->reason, TOFU_OK);
	ck_assert_uint_eq(h->more, 0);
	ck_assert_uint_eq(h->channel, 0);
	ck_assert(h->id == 0);
	ck_assert_uint_eq(tofu_msg_headers_next(m, 0, &text), 0);
	assert_body(m, "", 0);
	ck_assert_ptr_null(*tofu_msg_user(m));
}

static void fill(tofu_msg *m, size_t body_len)
{
	*tofu_msg_header(m) = (struct tofu_header){ .id = 7,
		                                    .channel = 8,
		                                    .opcode = TOFU_SIGNAL,
		                                    .origin = TOFU_ORIGIN_ENGINE,
		                                    .more = 1,
		                                    .status = TOFU_TIMEOUT,
		                                    .reason = TOFU_SEND_FAILED };
	ck_status(tofu_msg_headers_add(m, "name", "value"), TOFU_OK);
	ck_status(tofu_msg_body_set(m, bytes, body_len), TOFU_OK);
	*tofu_msg_user(m) = &pool;
}

START_TEST(a_message_from_the_pool_is_an_empty_request)
{
	assert_fresh(msg);
}
END_TEST

START_TEST(reset_makes_it_fresh_and_keeps_the_memory)
{
	fill(msg, 5000);
	tofu_msg_reset(msg);
	assert_fresh(msg);
	ck_assert_uint_ge(msg->grown_body.cap, 5000);
}
END_TEST

START_TEST(put_sets_the_pointer_to_null_and_makes_it_fresh)
{
	tofu_msg *same = msg;

	fill(msg, 10);
	tofu_msg_put(&msg);
	ck_assert_ptr_null(msg);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &msg), TOFU_OK);
	ck_assert_ptr_eq(msg, same);
	assert_fresh(msg);
}
END_TEST

static const size_t sizes[] = { 0, 1, 255, 256, 257, 512, 4096, 65535, 65536, 100000 };
enum { SIZE_NR = sizeof sizes / sizeof sizes[0] };

START_TEST(body_set_copies_any_size)
{
	ck_status(tofu_msg_body_set(msg, "old contents", 12), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, bytes, sizes[_i]), TOFU_OK);
	assert_body(msg, bytes, sizes[_i]);
	ck_status(tofu_msg_body_set(msg, "x", 1), TOFU_OK);
	assert_body(msg, "x", 1);
}
END_TEST

START_TEST(body_append_adds_at_the_end_and_grows)
{
	for (size_t at = 0; at < sizeof bytes; at += 1024)
		ck_status(tofu_msg_body_append(msg, bytes + at, 1024), TOFU_OK);
	assert_body(msg, bytes, sizeof bytes);
	ck_assert_uint_le(msg->grown_body.cap, 2 * sizeof bytes);
}
END_TEST

START_TEST(an_empty_piece_needs_no_data)
{
	ck_status(tofu_msg_body_append(msg, NULL, 0), TOFU_OK);
	assert_body(msg, "", 0);
	ck_status(tofu_msg_body_append(msg, "ab", 2), TOFU_OK);
	ck_status(tofu_msg_body_append(msg, NULL, 0), TOFU_OK);
	assert_body(msg, "ab", 2);
	ck_status(tofu_msg_body_set(msg, NULL, 0), TOFU_OK);
	assert_body(msg, "", 0);
}
END_TEST

START_TEST(no_data_with_a_length_is_refused_and_nothing_changes)
{
	ck_status(tofu_msg_body_set(msg, "ab", 2), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, NULL, 1), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_body_append(msg, NULL, 1), TOFU_NOT_ALLOWED);
	assert_body(msg, "ab", 2);
}
END_TEST

START_TEST(a_part_of_the_body_can_be_appended_to_it_though_it_moves)
{
	ck_status(tofu_msg_body_set(msg, bytes, 256), TOFU_OK); /* the small store is full */
	ck_status(tofu_msg_body_append(msg, tofu_msg_body(msg, NULL), 256), TOFU_OK);
	ck_status(tofu_msg_body_append(msg, tofu_msg_body(msg, NULL), 512), TOFU_OK);
	for (size_t i = 0; i < 4; i++)
		ck_assert_mem_eq(tofu_msg_body_data(msg) + i * 256, bytes, 256);
	ck_assert_uint_eq(msg->body_len, 1024);
}
END_TEST

START_TEST(a_part_of_the_body_can_become_the_body)
{
	ck_status(tofu_msg_body_set(msg, bytes, 200), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, (const unsigned char *)tofu_msg_body(msg, NULL) + 50, 100), TOFU_OK);
	assert_body(msg, bytes + 50, 100);
}
END_TEST

START_TEST(reserve_keeps_what_fits_and_lets_fill_in_place)
{
	void *room = NULL;

	ck_status(tofu_msg_body_set(msg, bytes, 10), TOFU_OK);
	ck_status(tofu_msg_body_reserve(msg, sizes[_i], &room), TOFU_OK);
	ck_assert_ptr_nonnull(room);
	ck_assert_ptr_eq(room, tofu_msg_body(msg, NULL));
	ck_assert_uint_eq((uintptr_t)room % sizeof(uint64_t), 0);
	ck_assert_int_eq(memcmp(room, bytes, sizes[_i] < 10 ? sizes[_i] : 10), 0);
	memcpy(room, bytes, sizes[_i]);
	assert_body(msg, bytes, sizes[_i]);
}
END_TEST

START_TEST(reserving_nothing_clears)
{
	ck_status(tofu_msg_body_set(msg, bytes, 1000), TOFU_OK);
	ck_status(tofu_msg_body_reserve(msg, 0, NULL), TOFU_OK);
	assert_body(msg, "", 0);
}
END_TEST

START_TEST(an_absurd_body_is_refused_and_nothing_changes)
{
	static const size_t absurd[] = { ((size_t)1 << 30) + 1, (size_t)1 << 31, UINT32_MAX, SIZE_MAX, SIZE_MAX - 1 };
	void *room = &pool;

	ck_status(tofu_msg_body_set(msg, "ab", 2), TOFU_OK);
	for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
		ck_status(tofu_msg_body_set(msg, bytes, absurd[i]), TOFU_INVALID_BODY_LEN);
		ck_status(tofu_msg_body_append(msg, bytes, absurd[i]), TOFU_INVALID_BODY_LEN);
		ck_status(tofu_msg_body_reserve(msg, absurd[i], &room), TOFU_INVALID_BODY_LEN);
		ck_assert_ptr_null(room);
	}
	ck_status(tofu_msg_body_append(msg, bytes, ((size_t)1 << 30) - 1), TOFU_INVALID_BODY_LEN); /* with the two */
	assert_body(msg, "ab", 2);
}
END_TEST

START_TEST(no_message_is_no_crash)
{
	tofu_msg *none = NULL;
	tofu_msg *copy = msg;
	size_t len = 9;
	void *room = &pool;

	tofu_msg_put(NULL);
	tofu_msg_put(&none);
	tofu_msg_reset(NULL);
	ck_assert_ptr_null(tofu_msg_header(NULL));
	ck_assert_ptr_null(tofu_msg_user(NULL));
	ck_assert_ptr_null(tofu_msg_body(NULL, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(tofu_msg_body(NULL, NULL));
	ck_status(tofu_msg_body_set(NULL, "a", 1), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_body_append(NULL, "a", 1), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_body_reserve(NULL, 1, &room), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(room);
	ck_status(tofu_msg_clone(NULL, &copy), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(copy);
	ck_status(tofu_msg_clone(msg, NULL), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(a_clone_has_all_and_shares_nothing)
{
	tofu_msg *copy;
	size_t len;

	fill(msg, sizes[_i]);
	ck_status(tofu_msg_clone(msg, &copy), TOFU_OK);
	ck_assert_ptr_ne(copy, msg);
	ck_assert(memcmp(&copy->header, &msg->header, offsetof(struct tofu_header, status)) == 0);
	ck_assert_uint_eq(copy->header.status, TOFU_TIMEOUT);
	ck_assert_uint_eq(copy->header.reason, TOFU_SEND_FAILED);
	ck_assert_ptr_eq(*tofu_msg_user(copy), &pool);
	assert_body(copy, bytes, sizes[_i]);
	ck_assert_mem_eq(tofu_msg_headers_find(copy, "name", &len), "value", 5);

	ck_status(tofu_msg_headers_add(copy, "more", "than before"), TOFU_OK);
	ck_status(tofu_msg_body_set(copy, "other", 5), TOFU_OK);
	copy->header.id = 99;
	assert_body(msg, bytes, sizes[_i]);
	ck_assert_ptr_null(tofu_msg_headers_find(msg, "more", NULL));
	ck_assert(msg->header.id == 7);
	tofu_msg_put(&copy);
}
END_TEST

START_TEST(a_clone_of_a_large_message_keeps_its_text_headers)
{
	char value[300];
	tofu_msg *copy;
	size_t len;

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	ck_status(tofu_msg_headers_add(msg, "n", value), TOFU_OK);
	ck_status(tofu_msg_clone(msg, &copy), TOFU_OK);
	ck_assert_mem_eq(tofu_msg_headers_find(copy, "n", &len), value, sizeof value - 1);
	ck_assert_uint_eq(len, sizeof value - 1);
	tofu_msg_put(&copy);
}
END_TEST

START_TEST(a_clone_comes_from_the_pool_or_from_new_memory)
{
	tofu_msg *copies[6];
	struct tofu_pool_counts counts;

	for (int i = 0; i < 6; i++) {
		ck_status(tofu_msg_clone(msg, &copies[i]), TOFU_OK);
		ck_assert_ptr_eq(copies[i]->holder->pool, pool);
	}
	tofu_pool_counts(pool, &counts);
	ck_assert_uint_eq(counts.free, 0);
	ck_assert_uint_eq(counts.out, 7);
	for (int i = 0; i < 6; i++)
		tofu_msg_put(&copies[i]);
}
END_TEST

START_TEST(a_notice_can_be_filled_and_cloned_like_any_message)
{
	tofu_msg *notice = tofu_pool_get_notice(pool);
	tofu_msg *copy;

	ck_assert_ptr_nonnull(notice);
	assert_fresh(notice);
	fill(notice, 1000);
	ck_status(tofu_msg_clone(notice, &copy), TOFU_OK);
	assert_body(copy, bytes, 1000);
	tofu_msg_put(&copy);
	tofu_msg_put(&notice);
}
END_TEST

START_TEST(a_message_without_a_pool_is_freed_by_put)
{
	tofu_msg *own = tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	tofu_msg *copy;

	ck_assert_ptr_nonnull(own);
	fill(own, 1000);
	ck_status(tofu_msg_clone(own, &copy), TOFU_OK);
	assert_body(copy, bytes, 1000);
	tofu_msg_put(&copy);
	tofu_msg_put(&own);
	tofu_msg_destroy(NULL);
}
END_TEST

START_TEST(shrink_gives_up_what_was_grown)
{
	ck_assert_uint_eq(tofu_msg_grown(msg), 0);
	fill(msg, 1000);
	ck_assert_uint_eq(tofu_msg_grown(msg), msg->grown_body.cap);
	tofu_msg_shrink(msg);
	ck_assert_uint_eq(tofu_msg_grown(msg), 0);
	assert_body(msg, "", 0);
	ck_status(tofu_msg_body_set(msg, bytes, 1000), TOFU_OK);
	assert_body(msg, bytes, 1000);
}
END_TEST

static Suite *suite_of_message(void)
{
	Suite *s = suite_create("message");
	TCase *life = tcase_create("life");
	TCase *body = tcase_create("body");
	TCase *copies = tcase_create("clone");

	tcase_add_checked_fixture(life, setup, teardown);
	tcase_add_test(life, a_message_from_the_pool_is_an_empty_request);
	tcase_add_test(life, reset_makes_it_fresh_and_keeps_the_memory);
	tcase_add_test(life, put_sets_the_pointer_to_null_and_makes_it_fresh);
	tcase_add_test(life, no_message_is_no_crash);
	tcase_add_test(life, a_message_without_a_pool_is_freed_by_put);
	tcase_add_test(life, shrink_gives_up_what_was_grown);
	suite_add_tcase(s, life);
	tcase_add_checked_fixture(body, setup, teardown);
	tcase_add_loop_test(body, body_set_copies_any_size, 0, SIZE_NR);
	tcase_add_test(body, body_append_adds_at_the_end_and_grows);
	tcase_add_test(body, an_empty_piece_needs_no_data);
	tcase_add_test(body, no_data_with_a_length_is_refused_and_nothing_changes);
	tcase_add_test(body, a_part_of_the_body_can_be_appended_to_it_though_it_moves);
	tcase_add_test(body, a_part_of_the_body_can_become_the_body);
	tcase_add_loop_test(body, reserve_keeps_what_fits_and_lets_fill_in_place, 0, SIZE_NR);
	tcase_add_test(body, reserving_nothing_clears);
	tcase_add_test(body, an_absurd_body_is_refused_and_nothing_changes);
	suite_add_tcase(s, body);
	tcase_add_checked_fixture(copies, setup, teardown);
	tcase_add_loop_test(copies, a_clone_has_all_and_shares_nothing, 0, SIZE_NR);
	tcase_add_test(copies, a_clone_of_a_large_message_keeps_its_text_headers);
	tcase_add_test(copies, a_clone_comes_from_the_pool_or_from_new_memory);
	tcase_add_test(copies, a_notice_can_be_filled_and_cloned_like_any_message);
	suite_add_tcase(s, copies);
	return s;
}

int main(void)
{
	return harness_run(suite_of_message());
}
