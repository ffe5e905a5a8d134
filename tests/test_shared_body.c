/* SPDX-License-Identifier: MIT */

/* Messages that share a body: the one that changes it gets its own, and the others notice nothing. */

#include <string.h>

#include "lib/steps.h"
#include "message/message.h"
#include "message/pool.h"

enum { BIG = 60000 };

static struct tofu_pool *pool;

static void pool_up(void)
{
	works(tofu_pool_create(0, 64, NULL, NULL, &pool));
}

static void pool_down(void)
{
	tofu_pool_destroy(pool);
}

static tofu_msg *numbered(uint64_t number, size_t len)
{
	tofu_msg *msg;

	works(tofu_pool_get(pool, TOFU_ALWAYS, &msg));
	number_body(msg, number, len);
	return msg;
}

static tofu_msg *share_of(tofu_msg *msg)
{
	tofu_msg *shared;

	works(tofu_msg_share(msg, &shared));
	return shared;
}

static const void *body_of(const tofu_msg *msg)
{
	return tofu_msg_body(msg, NULL);
}

START_TEST(a_share_has_all_that_its_source_has)
{
	tofu_msg *a = numbered(1, BIG), *b;

	*tofu_msg_user(a) = &pool;
	works(tofu_msg_headers_add(a, "name", "value"));
	tofu_msg_header(a)->id = 4711;
	b = share_of(a);
	ck_assert_ptr_eq(body_of(a), body_of(b));
	ck_assert_uint_eq(number_of(b), 1);
	ck_assert_uint_eq(tofu_msg_header(b)->id, 4711);
	ck_assert_ptr_eq(*tofu_msg_user(b), &pool);
	ck_assert_ptr_nonnull(tofu_msg_headers_find(b, "name", &(size_t){ 0 }));
	tofu_msg_put(&a);
	ck_assert_uint_eq(number_of(b), 1);
	tofu_msg_put(&b);
}
END_TEST

START_TEST(a_small_body_is_copied)
{
	static const size_t sizes[] = { 0, 8, 256 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		tofu_msg *a = numbered(2, 8), *b;
		size_t len;

		works(tofu_msg_body_reserve(a, sizes[i], NULL));
		b = share_of(a);
		tofu_msg_body(b, &len);
		ck_assert_uint_eq(len, sizes[i]);
		ck_assert_ptr_ne(body_of(a), body_of(b));
		tofu_msg_put(&a);
		tofu_msg_put(&b);
	}
}
END_TEST

static uint64_t free_in_pool(void)
{
	struct tofu_pool_counts counts;

	tofu_pool_counts(pool, &counts);
	return counts.free;
}

START_TEST(a_share_apart_is_the_same_and_none_of_those_that_are_free)
{
	static const size_t sizes[] = { 8, 256, 257, BIG };
	tofu_msg *spare = numbered(1, 8);

	tofu_msg_put(&spare);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		tofu_msg *a = numbered(2, sizes[i]), *b, *c;
		uint64_t before;

		works(tofu_msg_headers_add(a, "name", "value"));
		spare = numbered(1, 8);
		tofu_msg_put(&spare);
		before = free_in_pool();
		works(tofu_msg_share_apart(a, &b));
		ck_assert_uint_eq(free_in_pool(), before);
		ck_assert_int_eq(body_of(a) == body_of(b), sizes[i] > 256);
		tofu_msg_put(&a);
		works(tofu_msg_share_apart(b, &c)); /* and of one that is apart */
		tofu_msg_put(&b);
		ck_assert_uint_eq(number_of(c), 2);
		ck_assert_ptr_nonnull(tofu_msg_headers_find(c, "name", &(size_t){ 0 }));
		works(tofu_msg_body_append(c, "x", 1));
		tofu_msg_put(&c);
	}
}
END_TEST

static void set_short(tofu_msg *msg)
{
	works(tofu_msg_body_set(msg, "short", 5));
	ck_assert(says(msg, "short"));
}

static void set_long(tofu_msg *msg)
{
	number_body(msg, 9, BIG + 1000);
	ck_assert_uint_eq(number_of(msg), 9);
}

static void append(tofu_msg *msg)
{
	size_t len;
	const unsigned char *body;

	works(tofu_msg_body_append(msg, "x", 1));
	body = tofu_msg_body(msg, &len);
	ck_assert_uint_eq(len, BIG + 1);
	ck_assert_uint_eq(number_in(body, BIG), 3);
	ck_assert_uint_eq(body[BIG], 'x');
}

static void fill_in_place(tofu_msg *msg)
{
	void *to;

	works(tofu_msg_body_reserve(msg, BIG, &to));
	ck_assert_uint_eq(number_of(msg), 3);
	memset(to, 0x55, BIG);
}

static void cut_off(tofu_msg *msg)
{
	works(tofu_msg_body_reserve(msg, 1000, NULL));
	ck_assert_uint_eq(number_of(msg), 3);
}

static void clear(tofu_msg *msg)
{
	works(tofu_msg_body_reserve(msg, 0, NULL));
	ck_assert(says(msg, ""));
}

static void reset(tofu_msg *msg)
{
	tofu_msg_reset(msg);
	ck_assert(says(msg, ""));
	set_long(msg);
}

/* Of what others have as well. */
static void set_to_a_part_of_itself(tofu_msg *msg)
{
	const unsigned char *body = body_of(msg);
	unsigned char part[100];

	memcpy(part, body + 5000, sizeof part);
	works(tofu_msg_body_set(msg, body + 5000, sizeof part));
	ck_assert_mem_eq(body_of(msg), part, sizeof part);
}

static void append_a_part_of_itself(tofu_msg *msg)
{
	const unsigned char *body = body_of(msg);
	unsigned char part[100];

	memcpy(part, body + 5000, sizeof part);
	works(tofu_msg_body_append(msg, body + 5000, sizeof part));
	ck_assert_uint_eq(number_in(body_of(msg), BIG), 3);
	ck_assert_mem_eq((const unsigned char *)body_of(msg) + BIG, part, sizeof part);
}

static void (*const changes[])(tofu_msg *) = {
	set_short,
	set_long,
	append,
	fill_in_place,
	cut_off,
	clear,
	reset,
	set_to_a_part_of_itself,
	append_a_part_of_itself,
};
enum { CHANGES = sizeof changes / sizeof *changes };

/* _i: which of the two, and how. */
START_TEST(who_changes_a_shared_body_changes_nobody_elses)
{
	tofu_msg *a = numbered(3, BIG), *b = share_of(a);
	tofu_msg *changed = _i % 2 == 0 ? a : b, *other = _i % 2 == 0 ? b : a;
	const void *where = body_of(other);

	changes[_i / 2](changed);
	ck_assert_ptr_eq(body_of(other), where);
	ck_assert_uint_eq(number_of(other), 3);
	tofu_msg_put(&changed);
	ck_assert_uint_eq(number_of(other), 3);
	tofu_msg_put(&other);
}
END_TEST

START_TEST(the_last_one_that_has_it_changes_it_in_place)
{
	tofu_msg *a = numbered(3, BIG), *b = share_of(a);
	const void *where = body_of(a);

	tofu_msg_put(&a);
	fill_in_place(b);
	ck_assert_ptr_eq(body_of(b), where);
	tofu_msg_put(&b);
}
END_TEST

START_TEST(a_clone_of_a_share_has_a_body_of_its_own)
{
	tofu_msg *a = numbered(3, BIG), *b = share_of(a), *c;

	works(tofu_msg_clone(b, &c));
	ck_assert_ptr_ne(body_of(c), body_of(b));
	tofu_msg_put(&a);
	tofu_msg_put(&b);
	ck_assert_uint_eq(number_of(c), 3);
	tofu_msg_put(&c);
}
END_TEST

START_TEST(what_the_pool_keeps_is_shared_with_nobody)
{
	tofu_msg *a = numbered(3, BIG), *b = share_of(a), *c;

	tofu_msg_put(&b);
	works(tofu_pool_get(pool, TOFU_POOL_ONLY, &c));
	ck_assert_uint_eq(tofu_msg_grown(c), 0);
	number_body(c, 4, BIG);
	ck_assert_uint_eq(number_of(a), 3);
	tofu_msg_put(&a);
	tofu_msg_put(&c);
}
END_TEST

START_TEST(nothing_to_share_and_nowhere_to_put_it_are_refused)
{
	tofu_msg *a = numbered(1, BIG), *out = a;

	ck_status(tofu_msg_share(NULL, &out), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(out);
	ck_status(tofu_msg_share(a, NULL), TOFU_NOT_ALLOWED);
	tofu_msg_put(&a);
}
END_TEST

struct putter {
	struct tofu_thread thread;
	tofu_msg *msg;
};

static void look_and_put(void *context)
{
	struct putter *p = context;

	must(number_of(p->msg) == 7, "somebody changed it");
	tofu_msg_put(&p->msg);
}

START_TEST(threads_may_have_one_each)
{
	for (unsigned round = 0; round < rounds(200); round++) {
		struct putter putters[4];

		putters[0].msg = numbered(7, BIG);
		for (int i = 1; i < 4; i++)
			putters[i].msg = share_of(putters[0].msg);
		for (int i = 0; i < 4; i++)
			works(tofu_thread_start(&putters[i].thread, look_and_put, &putters[i]));
		for (int i = 0; i < 4; i++)
			tofu_thread_join(&putters[i].thread);
	}
}
END_TEST

/* One body to many channels, over both ends' real sockets; and it is still the sender's. */
START_TEST(one_body_goes_to_many_peers)
{
	enum { PEERS = 50 };
	struct pair p;
	uint16_t channels[PEERS];
	tofu_engine *engine = engine_up(NULL);
	tofu_msg *msg, *body;

	p.server = side_in(engine);
	p.client = side_in(engine);
	listen_over(&p.server, _i, &p.at);
	for (int i = 0; i < PEERS; i++) {
		pair_meet(&p);
		channels[i] = p.server_channel;
	}
	body = message(&p.server, TOFU_SIGNAL, 0, 0, NULL);
	number_body(body, 5, BIG);
	for (unsigned round = 0; round < 3; round++) {
		for (int i = 0; i < PEERS; i++) {
			msg = share_of(body);
			tofu_msg_header(msg)->channel = channels[i];
			post(&p.server, &msg);
		}
		for (int i = 0; i < PEERS; i++) {
			msg = expect_peer(&p.client, TOFU_SIGNAL);
			ck_assert_uint_eq(number_of(msg), 5);
			tofu_msg_put(&msg);
		}
	}
	tofu_msg_put(&body);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_shared_body(void)
{
	Suite *suite = suite_create("shared body");
	TCase *tc = suite_case(suite, "messages", 30);

	tcase_add_checked_fixture(tc, pool_up, pool_down);
	tcase_add_test(tc, a_share_has_all_that_its_source_has);
	tcase_add_test(tc, a_small_body_is_copied);
	tcase_add_test(tc, a_share_apart_is_the_same_and_none_of_those_that_are_free);
	tcase_add_loop_test(tc, who_changes_a_shared_body_changes_nobody_elses, 0, 2 * CHANGES);
	tcase_add_test(tc, the_last_one_that_has_it_changes_it_in_place);
	tcase_add_test(tc, a_clone_of_a_share_has_a_body_of_its_own);
	tcase_add_test(tc, what_the_pool_keeps_is_shared_with_nobody);
	tcase_add_test(tc, nothing_to_share_and_nowhere_to_put_it_are_refused);
	tcase_add_test(tc, threads_may_have_one_each);
	tc = suite_case(suite, "peers", 60);
	over_add(tc, one_body_goes_to_many_peers, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_shared_body());
}
