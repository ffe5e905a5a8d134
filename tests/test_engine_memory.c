/* SPDX-License-Identifier: MIT */

/*
 * Memory: an engine that has warmed up allocates nothing on its own thread, a channel that waits for a name takes little, and
 * an allocation that fails, whichever it is, leads to a status or is made up for; nothing leaks, nothing hangs.
 *
 * The linker puts what stands here before malloc, calloc, realloc, strdup and free (--wrap), so the library has to be linked
 * statically.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/over_tls.h"
#include "lib/served.h"
#include "lib/steps.h"
#include "reactor/reactor.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *old);

/* What this thread allocates is the test's own. Its id, for a _Thread_local may itself be allocated: here. */
static _Atomic int64_t tester;
static atomic_ulong by_others; /* allocations on threads that are not */
static atomic_long live;       /* allocated and not freed, by anyone */
static atomic_ulong bytes;     /* allocated by anyone, what was freed since included */

enum failing { NONE, ONE, ALL_FROM_THERE, BY_OTHERS_FROM_THERE };
static atomic_int failing;
static atomic_long until_failure; /* so many succeed before */

static bool refused(void)
{
	int mode = atomic_load(&failing);
	bool by_tester = os_thread_id() == atomic_load(&tester);
	long before;

	if (!by_tester)
		atomic_fetch_add(&by_others, 1);
	if (mode == NONE || (by_tester && mode == BY_OTHERS_FROM_THERE))
		return false;
	before = atomic_fetch_sub(&until_failure, 1);
	return before == 0 || (before < 0 && mode != ONE);
}

/* What an allocator puts beside each piece. */
enum { BESIDE = 16 };

static void *counted(void *made, size_t size)
{
	if (made != NULL) {
		atomic_fetch_add(&live, 1);
		atomic_fetch_add(&bytes, size + BESIDE);
	}
	return made;
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : counted(__real_malloc(size), size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : counted(__real_calloc(count, size), count * size);
}

void *__wrap_realloc(void *old, size_t size)
{
	if (refused())
		return NULL;
	if (old == NULL)
		return counted(__real_realloc(old, size), size);
	atomic_fetch_add(&bytes, size);
	return __real_realloc(old, size);
}

/* libc's own would not come by here. */
char *__wrap_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = __wrap_malloc(size);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

void __wrap_free(void *old)
{
	if (old != NULL)
		atomic_fetch_sub(&live, 1);
	__real_free(old);
}

/* warm */

static void come_talk_and_go(struct pair *p, unsigned connects, unsigned talks)
{
	for (unsigned i = 0; i < connects; i++) {
		pair_meet(p);
		for (unsigned n = 0; n < talks; n++)
			pair_talk(p);
		pair_bye(p);
	}
}

/* Some libcs do, of their own: it is how OpenSSL looks whether a name is an address, once for each call. */
static bool sscanf_allocates(void)
{
	unsigned long before = atomic_load(&bytes);
	int n = 0;

	must(sscanf("1.2", "%d", &n) == 1 && n == 1, "sscanf");
	return atomic_load(&bytes) != before;
}

START_TEST(a_warm_engine_allocates_nothing)
{
	struct tofu_options options = options_with_pool(64);
	struct pair p;
	unsigned long before, counted_before;
	uint64_t sent;

	atomic_store(&tester, os_thread_id());
	options.max_channels = 16;
	pair_open(&p, _i, &options);
	pair_bye(&p);
	must(atomic_load(&by_others) > 0 || atomic_load(&live) > 0, "nothing is counted: linked without --wrap");
	come_talk_and_go(&p, rounds(300), 10);
	before = atomic_load(&by_others);
	sent = stats_of(p.client.engine).messages_sent;
	come_talk_and_go(&p, rounds(1000), 50);
	counted_before = atomic_load(&by_others) - before;
	must(stats_of(p.client.engine).messages_sent - sent >= rounds(100000), "not that many messages");
	if (_i == OVER_TLS && sscanf_allocates() && counted_before == rounds(1000))
		counted_before = 0;
	must(counted_before == 0, "%lu allocations on the engine's thread", counted_before);
	pair_close(&p);
}
END_TEST

START_TEST(a_warm_engine_allocates_nothing_for_bodies_it_has_seen)
{
	struct tofu_options options = options_with_pool(16);
	struct pair p;
	unsigned long before = 0;

	atomic_store(&tester, os_thread_id());
	pair_open(&p, _i, &options);
	for (unsigned i = 0; i < rounds(2000); i++) {
		tofu_msg *msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, NULL);

		if (i == rounds(1000))
			before = atomic_load(&by_others);
		number_body(msg, i, 30000);
		post(&p.client, &msg);
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		must(number_of(msg) == i, "out of order");
		tofu_msg_put(&msg);
	}
	must(atomic_load(&by_others) == before, "%lu allocations on the engine's thread",
	     atomic_load(&by_others) - before);
	pair_close(&p);
}
END_TEST

/* channels that wait for a name */

static atomic_bool names_are_known;

static enum tofu_status slow_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	(void)rest, (void)purpose, (void)out, (void)capacity, (void)count;
	if (!may_block)
		return TOFU_WOULD_BLOCK;
	while (!atomic_load(&names_are_known))
		os_pause();
	return TOFU_HOST_NOT_FOUND;
}

/* The messages themselves are the application's. */
START_TEST(a_channel_that_waits_for_a_name_takes_less_than_a_kibibyte)
{
	static struct tofu_transport slow;
	const unsigned channels = rounds(65530);
	struct tofu_options options = options_with_pool(1);
	struct side side;
	tofu_msg **hellos = calloc(channels, sizeof *hellos);
	unsigned long each;

	ck_assert_ptr_nonnull(hellos);
	atomic_store(&names_are_known, false);
	slow = *over_transport(OVER_TCP);
	slow.scheme = "slow";
	slow.form = TOFU_FORM_TEXT;
	slow.resolve = slow_resolve;
	options.handshake_timeout_ms = UINT32_MAX;
	side = side_in(engine_up(&options));
	ck_status(tofu_engine_register(side.engine, &slow), TOFU_OK);
	for (unsigned i = 0; i < channels; i++) {
		hellos[i] = message(&side, TOFU_HELLO_REQUEST, 0, 0, NULL);
		ck_status(tofu_msg_connect_to(hellos[i], "slow|name.of.an.ordinary.length.example.com|4000"), TOFU_OK);
	}
	atomic_store(&bytes, 0);
	for (unsigned i = 0; i < channels; i++)
		post(&side, &hellos[i]);
	eventually(stats_of(side.engine).channels_resolving == channels);
	each = atomic_load(&bytes) / channels;
	printf("a channel that waits for a name: %lu bytes\n", each);
	must(each < 1024, "%lu bytes each", each);
	tofu_engine_destroy(side.engine);
	side_down(&side);
	tofu_deinit();
	atomic_store(&names_are_known, true);
	while (tofu_plat_hold() == TOFU_OK) { /* by the threads that were left behind */
		tofu_plat_release();
		os_pause();
	}
	free(hellos);
}
END_TEST

/* the nth allocation fails */

/* Server and client in one group, on one thread; whatever fails ends the attempt. */
struct attempt {
	tofu_engine *engine;
	struct side side;
	struct listening at;
	uint16_t caller, called; /* 0: not there, or not any more */
	bool gave_up;
	bool heard_all; /* that was due */
	int64_t patience_ns;
	char wrong[160];
};

static void went_wrong(struct attempt *a, const char *what)
{
	if (a->wrong[0] == '\0')
		snprintf(a->wrong, sizeof a->wrong, "%s", what);
}

/* OK, or the one failure that is allowed. */
static bool went_well(struct attempt *a, enum tofu_status st, const char *what)
{
	if (st == TOFU_OK)
		return true;
	if (st != TOFU_ALLOCATION_FAILED) {
		snprintf(a->wrong, sizeof a->wrong, "%s gave %s", what, tofu_status_name(st));
	}
	a->gave_up = true;
	return false;
}

static bool try_post(struct attempt *a, tofu_msg **msg, struct tofu_header *h)
{
	enum tofu_status st = tofu_post(a->side.group, msg, h);

	tofu_msg_put(msg);
	/* A channel may have died meanwhile; what happened to it is told by notices. */
	return st == TOFU_CHANNEL_CLOSED || went_well(a, st, "post");
}

static void try_open(struct attempt *a, bool listen, const char *address)
{
	struct tofu_header h = { .id = 0 };
	tofu_msg *msg;

	if (!went_well(a, tofu_msg_get(a->engine, TOFU_ALWAYS, &msg), "get"))
		return;
	if (!went_well(a, listen ? tofu_msg_listen_on(msg, address) : tofu_msg_connect_to(msg, address), "address")) {
		tofu_msg_put(&msg);
		return;
	}
	if (!try_post(a, &msg, &h))
		return;
	if (listen)
		a->at.channel = h.channel;
	else
		a->caller = h.channel;
}

static void try_say_on(struct attempt *a, uint16_t channel, int opcode)
{
	static const char body[1000] = "more than fits into a small message";
	tofu_msg *msg;

	if (!went_well(a, tofu_msg_get(a->engine, TOFU_ALWAYS, &msg), "get"))
		return;
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_msg_header(msg)->channel = channel;
	if (opcode == TOFU_REQUEST && !went_well(a, tofu_msg_body_set(msg, body, sizeof body), "body"))
		tofu_msg_put(&msg);
	else
		(void)try_post(a, &msg, NULL);
}

/* One message: keep the conversation going. */
static void react(struct attempt *a, tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	if (is_closed_notice(*msg)) {
		if (h->channel == a->caller)
			a->caller = 0;
		else if (h->channel == a->called)
			a->called = 0;
		else if (h->channel == a->at.channel)
			a->at.channel = 0;
		else
			went_wrong(a, "channel_closed of a channel that is not open");
	} else if (h->origin == TOFU_ORIGIN_ENGINE) {
		if (h->opcode == TOFU_WELCOME_RESPONSE && h->status == TOFU_OK) {
			header_of(*msg, "~listen_on", a->at.address, sizeof a->at.address);
			try_open(a, false, a->at.address);
		}
	} else if (h->opcode == TOFU_HELLO_RESPONSE) {
		try_say_on(a, a->caller, TOFU_REQUEST);
	} else if (h->opcode == TOFU_RESPONSE) {
		try_say_on(a, a->caller, TOFU_BYE_REQUEST);
	} else if (h->opcode == TOFU_HELLO_REQUEST || h->opcode == TOFU_REQUEST || h->opcode == TOFU_BYE_REQUEST) {
		a->called = h->channel;
		h->opcode = h->opcode == TOFU_HELLO_REQUEST ? TOFU_HELLO_RESPONSE
		            : h->opcode == TOFU_REQUEST     ? TOFU_RESPONSE
		                                            : TOFU_BYE_RESPONSE;
		(void)try_post(a, msg, NULL);
	}
	tofu_msg_put(msg);
}

/* Once allocations fail the conversation may stop for good; before, it is only slow. */
static bool hear(const struct attempt *a, tofu_msg **msg)
{
	const int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);
	enum tofu_status st;

	do
		st = tofu_receive(a->side.group, msg, a->patience_ns);
	while (st == TOFU_TIMEOUT && atomic_load(&until_failure) >= 0 && tofu_plat_now_ns() < until_ns);
	return st == TOFU_OK;
}

static void converse(struct attempt *a)
{
	bool begun = false;

	while (!a->gave_up && (!begun || a->caller != 0 || a->called != 0)) {
		tofu_msg *msg;

		if (begun && a->at.channel == 0)
			break; /* the listener could not be opened */
		if (!hear(a, &msg))
			return;
		react(a, &msg);
		begun = a->caller != 0 || a->at.channel == 0 || begun;
	}
	a->heard_all = true;
}

static void attempt(struct attempt *a, int transport)
{
	struct tofu_options options = options_with_pool(4);

	if (!went_well(a, tofu_init(), "init"))
		return;
	if (went_well(a, tofu_engine_create(&options, &a->engine), "engine")) {
		for (int i = 0; i < OVER_NR; i++)
			if (over_here(i))
				(void)went_well(a, tofu_engine_register(a->engine, over_transport(i)), "register");
		a->side.engine = a->engine;
		if (!a->gave_up && went_well(a, tofu_group_create(a->engine, &a->side.group), "group"))
			try_open(a, true, over_anywhere(transport));
		if (!a->gave_up)
			converse(a);
	}
	(void)tofu_group_destroy(a->side.group);
	tofu_engine_destroy(a->engine);
	tofu_deinit();
}

/* Did the nth allocation happen at all? If not, all of them have been tried. */
static bool nth_allocation_fails(long n, enum failing how, int transport)
{
	struct attempt a = { .patience_ns = how == ONE ? PATIENCE_NS : TOFU_NS_PER_S / 20 };
	int descriptors = os_descriptors();
	long before = atomic_load(&live);
	bool happened;

	atomic_store(&until_failure, n);
	atomic_store(&failing, how);
	attempt(&a, transport);
	atomic_store(&failing, NONE);
	happened = atomic_load(&until_failure) < 0;
	must(a.wrong[0] == '\0', "allocation %ld: %s", n, a.wrong);
	must(how != ONE || a.gave_up || a.heard_all, "allocation %ld: the conversation stopped", n);
	must(atomic_load(&live) == before, "allocation %ld: %ld pieces of memory are left", n,
	     atomic_load(&live) - before);
	must(os_descriptors() == descriptors, "allocation %ld: descriptors are left", n);
	must(happened || a.heard_all, "without a failure: the conversation stopped");
	return happened;
}

static void every_allocation_fails(enum failing how, int transport)
{
	long n = 0;

	atomic_store(&tester, os_thread_id());
	(void)nth_allocation_fails(100000, how, transport); /* what is allocated once per process */
	while (nth_allocation_fails(n, how, transport))
		n++;
	must(n > 5, "only %ld allocations: linked without --wrap", n);
}

START_TEST(any_one_allocation_may_fail)
{
	every_allocation_fails(ONE, _i);
}
END_TEST

START_TEST(all_allocations_may_fail_from_any_one_on)
{
	every_allocation_fails(ALL_FROM_THERE, _i);
}
END_TEST

/* A group that waits for this notice before it puts messages back would wait for ever. */
START_TEST(pool_empty_is_said_as_soon_as_there_is_memory_to_say_it)
{
	enum { POOL = 4 };
	struct tofu_options options = options_with_pool(POOL);
	struct served s;
	tofu_msg *held[POOL], *spare, *msg;

	atomic_store(&tester, os_thread_id());
	serve_raw(&s, _i, &options);
	for (int i = 0; i < POOL; i++)
		ck_status(tofu_msg_get(s.side.engine, TOFU_POOL_ONLY, &held[i]), TOFU_OK);
	/* A first time, with a notice that the engine had left. */
	raw_say(&s.peer, TOFU_SIGNAL, 1, "one");
	spare = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&held[0]);
	held[0] = expect_peer(&s.side, TOFU_SIGNAL);
	atomic_store(&until_failure, 0);
	atomic_store(&failing, BY_OTHERS_FROM_THERE);
	raw_say(&s.peer, TOFU_SIGNAL, 2, "two");
	eventually(atomic_load(&until_failure) < 0);
	atomic_store(&failing, NONE);
	msg = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	for (int i = 0; i < POOL; i++)
		tofu_msg_put(&held[i]);
	msg = expect_peer(&s.side, TOFU_SIGNAL);
	ck_assert(says(msg, "two"));
	tofu_msg_put(&msg);
	tofu_msg_put(&spare);
	served_end(&s);
}
END_TEST

/* What was read waits for messages where it is, if there is no memory to keep but the rest of it. */
START_TEST(what_was_read_is_not_lost_when_there_is_no_memory_to_keep_it_in)
{
	enum { POOL = 4, FRAMES = 100 };
	struct tofu_options options = options_with_pool(POOL);
	unsigned char flood[FRAMES * RAW_HEADER];
	struct served s;
	tofu_msg *held[POOL], *msg;

	atomic_store(&tester, os_thread_id());
	serve_raw(&s, _i, &options);
	for (int i = 0; i < POOL; i++)
		eventually(tofu_msg_get(s.side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	for (uint64_t n = 0; n < FRAMES; n++) {
		struct raw_frame frame = { .channel = 1, .proto = TOFU_SIGNAL, .id = n + 1 };

		(void)raw_encode(&frame, flood + n * RAW_HEADER);
	}
	raw_write(&s.peer, flood, sizeof flood);
	msg = expect(&s.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	atomic_store(&until_failure, 0);
	atomic_store(&failing, BY_OTHERS_FROM_THERE);
	tofu_msg_put(&held[0]);
	eventually(stats_of(s.side.engine).bytes_kept == TOFU_BLOCK);
	atomic_store(&failing, NONE);
	for (int i = 1; i < POOL; i++)
		tofu_msg_put(&held[i]);
	for (uint64_t n = 1; n <= FRAMES;) {
		msg = take(&s.side);
		if (!is_notice(msg, TOFU_POOL_EMPTY))
			must(tofu_msg_header(msg)->id == n++, "%s", describe(msg));
		tofu_msg_put(&msg);
	}
	ck_assert_uint_eq(stats_of(s.side.engine).bytes_kept, 0);
	served_end(&s);
}
END_TEST

START_TEST(what_is_wrong_with_an_address_is_left_out_when_there_is_no_memory_for_it)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_header h;
	tofu_msg *answers[2];
	size_t len;

	atomic_store(&tester, os_thread_id());
	for (int i = 0; i < 2; i++) { /* the first time with memory; that message is kept, for it has room now */
		atomic_store(&until_failure, 0);
		atomic_store(&failing, i == 0 ? NONE : BY_OTHERS_FROM_THERE);
		h = call(&side, "nosuch|whatever", NULL);
		answers[i] = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE,
		                       TOFU_INVALID_ADDRESS);
		ck_assert((tofu_msg_headers_find(answers[i], "~detail", &len) == NULL) == (i == 1));
		ck_assert_ptr_nonnull(tofu_msg_headers_find(answers[i], "~connect_to", &len));
		expect_end(&side, h.channel, h.id, TOFU_INVALID_ADDRESS);
	}
	atomic_store(&failing, NONE);
	tofu_msg_put(&answers[0]);
	tofu_msg_put(&answers[1]);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_engine_memory(void)
{
	Suite *suite = suite_create("engine memory");
	TCase *warm = suite_case(suite, "warm", 120), *failing_case = suite_case(suite, "failing", 120);

	tcase_add_test(warm, a_channel_that_waits_for_a_name_takes_less_than_a_kibibyte);
	over_sockets_add(warm, a_warm_engine_allocates_nothing, 1); /* inproc allocates what it connects */
	over_add(warm, a_warm_engine_allocates_nothing_for_bodies_it_has_seen, 1);
	over_add(failing_case, any_one_allocation_may_fail, 1);
	over_add(failing_case, all_allocations_may_fail_from_any_one_on, 1);
	tcase_add_test(failing_case, what_is_wrong_with_an_address_is_left_out_when_there_is_no_memory_for_it);
	over_sockets_add(failing_case, pool_empty_is_said_as_soon_as_there_is_memory_to_say_it, 1);
	over_sockets_add(failing_case, what_was_read_is_not_lost_when_there_is_no_memory_to_keep_it_in, 1);
	return suite;
}

int main(void)
{
	over_tls_allocate_by((struct over_tls_allocator){ __real_malloc, __real_realloc, __real_free });
	return harness_run(suite_of_engine_memory());
}
