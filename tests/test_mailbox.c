/* SPDX-License-Identifier: MIT */

/*
 * What other threads hand to the reactor: nothing is lost, order is kept, and it is woken exactly when it sleeps. And what it
 * is told beforehand of messages that lie in other cores' caches.
 */

#include <string.h>

#include <tofu/tofu.h>

#include "lib/harness.h"
#include "platform/platform.h"
#include "reactor/group.h"
#include "reactor/mailbox.h"

enum { PRODUCERS = 3, EACH = 20000 };

static struct tofu_mailbox box;

static struct tofu_msg *letter(uint64_t id)
{
	struct tofu_msg *m = tofu_msg_create(NULL, 0, 0);

	ck_assert_ptr_nonnull(m);
	m->header.id = id;
	return m;
}

static void take_all(void)
{
	struct tofu_msg *m = tofu_mailbox_take_messages(&box);

	while (m != NULL) {
		struct tofu_msg *next = m->next;

		tofu_msg_destroy(m);
		m = next;
	}
	(void)tofu_mailbox_take_commands(&box);
	(void)tofu_mailbox_take_refilled(&box);
}

static void start(void)
{
	memset(&box, 0, sizeof box);
}

START_TEST(empty_mailbox_gives_nothing_and_lets_the_reactor_sleep)
{
	ck_assert_ptr_null(tofu_mailbox_take_messages(&box));
	ck_assert_ptr_null(tofu_mailbox_take_commands(&box));
	ck_assert(!tofu_mailbox_take_refilled(&box));
	ck_assert(tofu_mailbox_sleep(&box));
}
END_TEST

START_TEST(messages_come_out_oldest_first_and_all_at_once)
{
	struct tofu_msg *m;

	for (uint64_t i = 1; i <= 5; i++)
		ck_assert(!tofu_mailbox_post(&box, letter(i)));
	m = tofu_mailbox_take_messages(&box);
	for (uint64_t i = 1; i <= 5; i++) {
		struct tofu_msg *next;

		ck_assert_ptr_nonnull(m);
		ck_assert_uint_eq(m->header.id, i);
		next = m->next;
		tofu_msg_destroy(m);
		m = next;
	}
	ck_assert_ptr_null(m);
	ck_assert_ptr_null(tofu_mailbox_take_messages(&box));
}
END_TEST

START_TEST(the_trail_says_where_the_last_messages_lie)
{
	for (uint64_t i = 1; i <= TOFU_TRAIL + 5; i++)
		(void)tofu_mailbox_post(&box, letter(i));
	for (struct tofu_msg *m = atomic_load(&box.messages); m->header.id > 5; m = m->next)
		ck_assert_ptr_eq(atomic_load(&box.trail[(m->header.id - 1) % TOFU_TRAIL]), m);
	take_all();
}
END_TEST

START_TEST(a_chain_comes_out_where_it_was_put_in)
{
	struct tofu_msg *chain[TOFU_AHEAD], *m;
	uint64_t id = 0;

	(void)tofu_mailbox_post(&box, letter(1));
	for (size_t i = 0; i < TOFU_AHEAD; i++) {
		chain[i] = letter(i + 2);
		chain[i]->next = i > 0 ? chain[i - 1] : NULL;
	}
	(void)tofu_mailbox_post_chain(&box, chain[TOFU_AHEAD - 1], chain[0]);
	(void)tofu_mailbox_post(&box, letter(TOFU_AHEAD + 2));
	ck_assert_uint_eq(tofu_mailbox_count(&box), TOFU_AHEAD + 2);
	for (m = atomic_load(&box.messages); m != NULL; m = m->next)
		ck_assert_ptr_eq(atomic_load(&box.trail[m->header.id - 1]), m);
	m = tofu_mailbox_take_messages(&box);
	ck_assert_uint_eq(tofu_mailbox_count(&box), 0);
	while (m != NULL) {
		struct tofu_msg *next = m->next;

		ck_assert_uint_eq(m->header.id, ++id);
		tofu_msg_destroy(m);
		m = next;
	}
	ck_assert_uint_eq(id, TOFU_AHEAD + 2);
}
END_TEST

START_TEST(a_message_of_a_batch_knows_one_that_comes_later)
{
	static struct tofu_group group; /* zero */
	struct tofu_msg *m[3 * TOFU_AHEAD];
	const size_t n = sizeof m / sizeof m[0];

	for (int batch = 0; batch < 2; batch++) {
		for (size_t i = 0; i < n; i++) {
			m[i] = letter(i);
			tofu_group_collect(&group, m[i]);
		}
		for (size_t i = 0; i < n; i++)
			ck_assert_ptr_eq(m[i]->ahead, i + TOFU_AHEAD < n ? m[i + TOFU_AHEAD] : NULL);
		tofu_msg_queue_put(&group.batch);
	}
}
END_TEST

START_TEST(commands_come_out_oldest_first_and_apart_from_messages)
{
	struct tofu_command a = { 0 }, b = { 0 };
	struct tofu_msg *m;

	ck_assert(!tofu_mailbox_command(&box, &a));
	ck_assert(!tofu_mailbox_post(&box, letter(1)));
	ck_assert(!tofu_mailbox_command(&box, &b));
	ck_assert_ptr_eq(tofu_mailbox_take_commands(&box), &a);
	ck_assert_ptr_eq(a.next, &b);
	ck_assert_ptr_null(b.next);
	ck_assert_ptr_null(tofu_mailbox_take_commands(&box));
	m = tofu_mailbox_take_messages(&box);
	ck_assert_ptr_nonnull(m);
	tofu_msg_destroy(m);
}
END_TEST

START_TEST(refilled_is_noted_once_however_often_it_was_said)
{
	ck_assert(!tofu_mailbox_refilled(&box));
	ck_assert(!tofu_mailbox_refilled(&box));
	ck_assert(tofu_mailbox_take_refilled(&box));
	ck_assert(!tofu_mailbox_take_refilled(&box));
}
END_TEST

/* The ways to hand something in. */

static struct tofu_command command;

static bool hand_in(int way)
{
	switch (way) {
	case 0:
		return tofu_mailbox_post(&box, letter(1));
	case 1:
		return tofu_mailbox_command(&box, &command);
	default:
		return tofu_mailbox_refilled(&box);
	}
}

START_TEST(with_something_inside_the_reactor_must_not_sleep)
{
	ck_assert(!hand_in(_i));
	ck_assert(!tofu_mailbox_sleep(&box));
	ck_assert(!hand_in((_i + 1) % 3)); /* it is awake again: nobody needs to wake it */
	take_all();
	ck_assert(tofu_mailbox_sleep(&box));
}
END_TEST

START_TEST(first_one_to_hand_something_in_wakes_and_the_others_do_not)
{
	ck_assert(tofu_mailbox_sleep(&box));
	ck_assert(hand_in(_i));
	ck_assert(!hand_in((_i + 1) % 3));
	ck_assert(!hand_in((_i + 2) % 3));
	ck_assert(!tofu_mailbox_nudge(&box));
	take_all();
	ck_assert(tofu_mailbox_sleep(&box));
	ck_assert(hand_in(_i));
	take_all();
}
END_TEST

START_TEST(nobody_wakes_a_reactor_that_woke_by_itself)
{
	ck_assert(tofu_mailbox_sleep(&box));
	tofu_mailbox_awake(&box);
	ck_assert(!hand_in(_i));
	take_all();
}
END_TEST

START_TEST(nudge_wakes_a_sleeper_once_and_leaves_nothing_behind)
{
	ck_assert(!tofu_mailbox_nudge(&box));
	ck_assert(tofu_mailbox_sleep(&box));
	ck_assert(tofu_mailbox_nudge(&box));
	ck_assert(!tofu_mailbox_nudge(&box));
	ck_assert(tofu_mailbox_sleep(&box));
}
END_TEST

/* Producers against a consumer that really sleeps: on a condition, with the flag that a wake sets. */

static struct bed {
	struct tofu_mutex lock;
	struct tofu_cond cond;
	unsigned wakes; /* not yet slept through; lock */
	atomic_uint woken;
} bed;

static void wake(void)
{
	atomic_fetch_add(&bed.woken, 1);
	tofu_mutex_lock(&bed.lock);
	bed.wakes++;
	tofu_cond_signal(&bed.cond);
	tofu_mutex_unlock(&bed.lock);
}

static bool sleep_through(void)
{
	int64_t deadline = tofu_plat_deadline(10 * TOFU_NS_PER_S);
	bool in_time = true;

	tofu_mutex_lock(&bed.lock);
	while (bed.wakes == 0 && in_time)
		in_time = tofu_cond_wait_until(&bed.cond, &bed.lock, deadline);
	bed.wakes--;
	tofu_mutex_unlock(&bed.lock);
	return in_time;
}

struct producer {
	struct tofu_thread thread;
	uint16_t number;
	struct tofu_command commands[EACH / 100];
};

static void produce(void *context)
{
	struct producer *p = context;

	for (uint64_t i = 0; i < EACH; i++) {
		struct tofu_msg *m = tofu_msg_create(NULL, 0, 0);

		if (m == NULL)
			return;
		m->header.channel = p->number;
		m->header.id = i;
		if (tofu_mailbox_post(&box, m))
			wake();
		if (i % 100 == 0 && tofu_mailbox_command(&box, &p->commands[i / 100]))
			wake();
		if (i % 1000 == 0) /* let it fall asleep now and then */
			tofu_plat_sleep(1000);
	}
}

static struct producer producers[PRODUCERS];
static uint64_t next_of[PRODUCERS];
static struct tofu_command *last_of[PRODUCERS];

static unsigned consume_messages(void)
{
	struct tofu_msg *m = tofu_mailbox_take_messages(&box);
	unsigned count = 0;

	while (m != NULL) {
		struct tofu_msg *next = m->next;

		if (m->header.id != next_of[m->header.channel]++)
			ck_abort_msg("a message of producer %u is missing or out of order", m->header.channel);
		tofu_msg_destroy(m);
		m = next;
		count++;
	}
	return count;
}

static unsigned consume_commands(void)
{
	struct tofu_command *c = tofu_mailbox_take_commands(&box);
	unsigned count = 0;

	for (; c != NULL; c = c->next, count++) {
		for (int i = 0; i < PRODUCERS; i++) {
			if (c < producers[i].commands || c >= producers[i].commands + EACH / 100)
				continue;
			if (c != (last_of[i] == NULL ? producers[i].commands : last_of[i] + 1))
				ck_abort_msg("a command of producer %d is missing or out of order", i);
			last_of[i] = c;
		}
	}
	return count;
}

START_TEST(nothing_is_lost_each_producers_order_is_kept_and_a_sleep_is_woken_at_most_once)
{
	unsigned left = PRODUCERS * (EACH + EACH / 100), slept = 0, refused = 0;

	ck_status(tofu_mutex_init(&bed.lock), TOFU_OK);
	ck_status(tofu_cond_init(&bed.cond), TOFU_OK);
	for (uint16_t i = 0; i < PRODUCERS; i++) {
		producers[i].number = i;
		ck_status(tofu_thread_start(&producers[i].thread, produce, &producers[i]), TOFU_OK);
	}
	while (left > 0) {
		left -= consume_commands();
		left -= consume_messages();
		if (left == 0)
			continue;
		if (!tofu_mailbox_sleep(
			    &box)) { /* who handed something in at this very moment may wake us all the same */
			refused++;
			continue;
		}
		slept++;
		if (!sleep_through())
			ck_abort_msg("asleep with %u still to come", left);
		tofu_mailbox_awake(&box);
	}
	for (int i = 0; i < PRODUCERS; i++)
		tofu_thread_join(&producers[i].thread);
	ck_assert_uint_le(atomic_load(&bed.woken), slept + refused);
	ck_assert(tofu_mailbox_sleep(&box));
	tofu_cond_fini(&bed.cond);
	tofu_mutex_fini(&bed.lock);
}
END_TEST

static Suite *suite_of_mailbox(void)
{
	Suite *suite = suite_create("mailbox");
	TCase *tc = tcase_create("mailbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, start, NULL);
	tcase_add_test(tc, empty_mailbox_gives_nothing_and_lets_the_reactor_sleep);
	tcase_add_test(tc, messages_come_out_oldest_first_and_all_at_once);
	tcase_add_test(tc, the_trail_says_where_the_last_messages_lie);
	tcase_add_test(tc, a_chain_comes_out_where_it_was_put_in);
	tcase_add_test(tc, a_message_of_a_batch_knows_one_that_comes_later);
	tcase_add_test(tc, commands_come_out_oldest_first_and_apart_from_messages);
	tcase_add_test(tc, refilled_is_noted_once_however_often_it_was_said);
	tcase_add_loop_test(tc, with_something_inside_the_reactor_must_not_sleep, 0, 3);
	tcase_add_loop_test(tc, first_one_to_hand_something_in_wakes_and_the_others_do_not, 0, 3);
	tcase_add_loop_test(tc, nobody_wakes_a_reactor_that_woke_by_itself, 0, 3);
	tcase_add_test(tc, nudge_wakes_a_sleeper_once_and_leaves_nothing_behind);
	tcase_add_test(tc, nothing_is_lost_each_producers_order_is_kept_and_a_sleep_is_woken_at_most_once);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_mailbox());
}
