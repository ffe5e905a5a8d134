/* SPDX-License-Identifier: MIT */

/*
 * Resident memory: what a burst took goes back to the system when the burst is over, without anybody's asking, whoever frees it.
 * As Linux counts it in /proc. The linker puts a function of this file before tofu_plat_trim() (--wrap), to count.
 */

#include "lib/steps.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void __real_tofu_plat_trim(void);
void __wrap_tofu_plat_trim(void);

static atomic_int trims;

void __wrap_tofu_plat_trim(void)
{
	__real_tofu_plat_trim();
	atomic_fetch_add(&trims, 1);
}

enum {
	MIB = 1024 * 1024,
	BODY = 60000,
	MESSAGES = 3000,
	THREADS = 4,           /* the C library gives each memory of its own */
	POOL = 8192,           /* half of it is the share of a channel */
	POOL_KEEPS = 20 * MIB, /* 16 MiB of bodies, the messages */
	ROUNDS = 1000,
};

static size_t resident(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%*s %lu", &pages), 1);
	(void)fclose(statm);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void post_many(void *context)
{
	const struct pair *p = context;

	for (int i = 0; i < MESSAGES / THREADS; i++) {
		tofu_msg *m = message(&p->client, TOFU_SIGNAL, p->client_channel, 0, NULL);

		number_body(m, (uint64_t)i, BODY);
		(void)post(&p->client, &m);
	}
}

static void burst(struct pair *p)
{
	struct tofu_thread threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		works(tofu_thread_start(&threads[i], post_many, p));
	for (int i = 0; i < THREADS; i++)
		tofu_thread_join(&threads[i]);
}

static void open_for_bursts(struct pair *p, int transport)
{
	struct tofu_options options = options_with_pool(POOL);

	options.send_queue_max = MESSAGES;
	options.send_queue_max_bytes = (uint64_t)MESSAGES * 2 * BODY;
	pair_open(p, transport, &options);
	atomic_store(&trims, 0);
}

/* Before the burst it was so much. */
static void is_back_from(size_t peak, size_t before)
{
	/* Nobody's malloc gives back what a sanitizer or valgrind keeps, and not every C library can be told to. */
	bool measured = os_heap_in_use() > 0;

	if (!measured)
		printf("not measured: malloc is not the C library's own\n");
	else
		must(peak > before + (size_t)MESSAGES * BODY / 2, "the burst took %zu bytes only", peak - before);
	eventually(atomic_load(&trims) > 0);
	if (measured)
		eventually(resident() < before + 2 * POOL_KEEPS);
}

START_TEST(memory_that_a_burst_took_goes_back_to_the_system)
{
	struct pair p;
	size_t before, peak;

	open_for_bursts(&p, _i % OVER_NR);
	before = resident();
	burst(&p);
	peak = resident();
	for (int i = 0; i < MESSAGES; i++) {
		tofu_msg *m = expect_peer(&p.server, TOFU_SIGNAL);

		tofu_msg_put(&m);
	}
	is_back_from(peak, before);
	pair_close(&p);
}
END_TEST

START_TEST(memory_that_an_application_held_goes_back_when_it_puts_all_at_once)
{
	struct pair p;
	static tofu_msg *held[MESSAGES];
	size_t before, peak;

	open_for_bursts(&p, _i % OVER_NR);
	before = resident();
	burst(&p);
	for (int i = 0; i < MESSAGES; i++)
		held[i] = expect_peer(&p.server, TOFU_SIGNAL);
	peak = resident();
	for (int i = 0; i < MESSAGES; i++)
		tofu_msg_put(&held[i]);
	is_back_from(peak, before);
	pair_close(&p);
}
END_TEST

START_TEST(small_talk_is_no_burst)
{
	struct pair p;

	open_for_bursts(&p, _i % OVER_NR);
	for (unsigned i = rounds(ROUNDS); i > 0; i--)
		pair_talk(&p);
	ck_assert_int_eq(atomic_load(&trims), 0);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_burst(void)
{
	Suite *suite = suite_create("burst");
	TCase *tc = suite_case(suite, "burst", 120);

	over_add(tc, memory_that_a_burst_took_goes_back_to_the_system, 1);
	over_add(tc, memory_that_an_application_held_goes_back_when_it_puts_all_at_once, 1);
	over_add(tc, small_talk_is_no_burst, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_burst());
}
