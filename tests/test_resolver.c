/* SPDX-License-Identifier: MIT */

/*
 * Names that are looked up off the engine's thread, seen through the public calls. The transport is TCP but for its
 * resolve, which waits at a door, fails, or answers with a list, as the address says:
 *
 *     door|wait:REST     waits until the door opens, then REST as TCP would
 *     door|quick:REST    a lookup that does not take long
 *     door|list:A,B,C    these addresses, at once
 *     door|after:N:REST  N addresses where nobody listens, at once, then REST as TCP would
 *     door|unknown       fails, on the helper thread
 *     door|nothing       succeeds there, without an address
 *     door|again         says would_block there, too
 *
 * The linker puts what stands here before the start of a helper thread (--wrap), so that it can fail.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/steps.h"
#include "raw.h"

/* What is looked up at the same time, and how many threads there are at most, as tofu-tcp(7) says. */
enum { AT_ONCE = 72, THREADS = 1024 };

enum tofu_status __real_tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                                     void *context);
enum tofu_status __wrap_tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                                     void *context);

static atomic_bool no_thread_to_be_had;

enum tofu_status __wrap_tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                                     void *context)
{
	if (atomic_load(&no_thread_to_be_had))
		return TOFU_LIMIT_REACHED;
	return __real_tofu_thread_start_with_stack(t, bytes, run, context);
}

/* The door outlives every engine, so it is never freed; up() shuts it. */
static struct {
	struct tofu_mutex lock;
	struct tofu_cond moved;
	bool open;
	int waiting;
	int most;  /* waiting at once */
	int calls; /* of resolve that may block */
	int dialled;
	int silent; /* so many of the next ones do not answer */
	int closed;
} door;

static void door_move(int *what, int by)
{
	tofu_mutex_lock(&door.lock);
	*what += by;
	if (door.waiting > door.most)
		door.most = door.waiting;
	tofu_cond_broadcast(&door.moved);
	tofu_mutex_unlock(&door.lock);
}

static void door_open(void)
{
	tofu_mutex_lock(&door.lock);
	door.open = true;
	tofu_cond_broadcast(&door.moved);
	tofu_mutex_unlock(&door.lock);
}

static void door_wait(void)
{
	tofu_mutex_lock(&door.lock);
	while (!door.open)
		(void)tofu_cond_wait_until(&door.moved, &door.lock, TOFU_FOREVER);
	tofu_mutex_unlock(&door.lock);
}

static int door_look(const int *what)
{
	int now;

	tofu_mutex_lock(&door.lock);
	now = *what;
	tofu_mutex_unlock(&door.lock);
	return now;
}

/* Until as many stand at the door; false after some time. */
static bool door_holds(int waiting, int64_t timeout_ns)
{
	int64_t deadline = tofu_plat_deadline(timeout_ns);
	bool in_time = true;
	bool holds;

	tofu_mutex_lock(&door.lock);
	while (door.waiting != waiting && in_time)
		in_time = tofu_cond_wait_until(&door.moved, &door.lock, deadline);
	holds = door.waiting == waiting;
	tofu_mutex_unlock(&door.lock);
	return holds;
}

static enum tofu_status list(const char *rest, enum tofu_purpose purpose, struct tofu_sockaddr *out, size_t capacity,
                             size_t *count)
{
	char one[600];

	*count = 0;
	while (*rest != '\0' && *count < capacity) {
		size_t len = strcspn(rest, ","), got = 0;
		enum tofu_status st;

		(void)snprintf(one, sizeof one, "%.*s", (int)len, rest);
		st = tofu_tcp()->resolve(tofu_tcp(), one, purpose, 0, out + *count, capacity - *count, &got);
		if (st != TOFU_OK)
			return st;
		*count += got;
		rest += len + (rest[len] == ',');
	}
	return TOFU_OK;
}

static bool is(const char *rest, const char *kind)
{
	return strncmp(rest, kind, strlen(kind)) == 0;
}

/* "N:REST": before it, N of another. All of them count; what there is room for is written. */
static enum tofu_status many(const char *rest, const char *before, enum tofu_purpose purpose, struct tofu_sockaddr *out,
                             size_t capacity, size_t *count)
{
	size_t n = strtoul(rest, NULL, 10), got;
	struct tofu_sockaddr others, last;
	enum tofu_status st = tofu_tcp()->resolve(tofu_tcp(), before, purpose, 0, &others, 1, &got);

	if (st == TOFU_OK)
		st = tofu_tcp()->resolve(tofu_tcp(), strchr(rest, ':') + 1, purpose, 0, &last, 1, &got);
	for (size_t i = 0; i <= n && i < capacity; i++)
		out[i] = i < n ? others : last;
	*count = n + 1;
	return st;
}

static enum tofu_status look_up(const char *rest, enum tofu_purpose purpose, struct tofu_sockaddr *out, size_t capacity,
                                size_t *count)
{
	if (is(rest, "unknown"))
		return TOFU_HOST_NOT_FOUND;
	if (is(rest, "again"))
		return TOFU_WOULD_BLOCK;
	if (is(rest, "nothing"))
		return TOFU_OK;
	if (is(rest, "wait:")) {
		door_move(&door.waiting, 1);
		door_wait();
		door_move(&door.waiting, -1);
	}
	return tofu_tcp()->resolve(tofu_tcp(), strchr(rest, ':') + 1, purpose, 0, out, capacity, count);
}

static enum tofu_status door_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	if (is(rest, "list:"))
		return list(rest + strlen("list:"), purpose, out, capacity, count);
	if (is(rest, "after:"))
		return many(rest + strlen("after:"), "127.0.0.1|1", purpose, out, capacity, count);
	if (!may_block)
		return TOFU_WOULD_BLOCK;
	door_move(&door.calls, 1);
	return look_up(rest, purpose, out, capacity, count);
}

/* A connect that nobody answers waits for what its peer never says. */
static enum tofu_status door_connect(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                     const struct tofu_sockaddr *to, unsigned *want)
{
	enum tofu_status st = tofu_tcp()->connect_start(tofu_tcp(), link, rest, to, want);

	door_move(&door.dialled, 1);
	if (door_look(&door.silent) == 0 || (st != TOFU_OK && st != TOFU_WOULD_BLOCK))
		return st;
	door_move(&door.silent, -1);
	*want = TOFU_READABLE;
	return TOFU_WOULD_BLOCK;
}

static void door_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	door_move(&door.closed, 1);
	tofu_tcp()->close(tofu_tcp(), link, how);
}

static struct tofu_transport door_transport;

static struct side up(const struct tofu_options *or_null)
{
	struct side side = side_in(engine_up(or_null));

	atomic_store(&no_thread_to_be_had, false);
	memset(&door, 0, sizeof door); /* where Check does not fork, the test before has left it open */
	ck_status(tofu_mutex_init(&door.lock), TOFU_OK);
	ck_status(tofu_cond_init(&door.moved), TOFU_OK);
	door_transport = *tofu_tcp();
	door_transport.scheme = "door";
	door_transport.form = TOFU_FORM_TEXT;
	door_transport.resolve = door_resolve;
	door_transport.connect_start = door_connect;
	door_transport.close = door_close;
	ck_status(tofu_engine_register(side.engine, &door_transport), TOFU_OK);
	return side;
}

/* Engine and library; then the threads that were left behind, which hold the library until they end. */
static void down(struct side side)
{
	door_open();
	engine_down(side.engine);
	for (;;) {
		if (tofu_plat_hold() == TOFU_NOT_INITIALIZED)
			return;
		tofu_plat_release();
		os_pause();
	}
}

/* "door|KIND:REST" for a listener's address. */
static const char *through(const char *kind, const struct listening *at)
{
	static char address[700];

	(void)snprintf(address, sizeof address, "door|%s:%s", kind, path_of(at->address));
	return address;
}

static void expect_answer(const struct side *side, struct tofu_header hello, enum tofu_status status)
{
	tofu_msg *msg = expect_on(side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, status);

	tofu_msg_put(&msg);
	expect_end(side, hello.channel, hello.id, status);
}

/* The hello arrives at the server, and is answered. */
static void meet(const struct side *server, const struct side *client, struct tofu_header hello)
{
	tofu_msg *msg = expect_peer(server, TOFU_HELLO_REQUEST);

	ck_assert_uint_eq(tofu_msg_header(msg)->id, hello.id);
	answer(server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_on(client, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
}

/* So many more names that hang, as far as they are looked up. */
static void hang(const struct side *side, int names)
{
	int waiting = door_look(&door.waiting) + names;

	for (int i = 0; i < names; i++)
		call(side, "door|wait:127.0.0.1|1", NULL);
	ck_assert(door_holds(waiting < AT_ONCE ? waiting : AT_ONCE, PATIENCE_NS));
}

START_TEST(name_that_takes_a_lookup_connects)
{
	struct side client = up(NULL), server = side_in(client.engine);
	struct listening at;
	struct tofu_header hello;

	listen_over(&server, OVER_TCP, &at);
	hello = call(&client, through("wait", &at), "hello");
	ck_assert(door_holds(1, PATIENCE_NS));
	door_open();
	meet(&server, &client, hello);
	ck_assert_int_eq(door_look(&door.calls), 1);
	down(client);
}
END_TEST

START_TEST(listener_at_a_name_that_takes_a_lookup_is_welcomed)
{
	struct side side = up(NULL);
	struct listening at;

	listen_at(&side, "door|quick:127.0.0.1|0", &at);
	ck_assert_int_eq(door_look(&door.calls), 1);
	down(side);
}
END_TEST

START_TEST(what_was_posted_behind_the_hello_is_sent_when_the_name_is_known)
{
	struct side client = up(NULL), server = side_in(client.engine);
	struct listening at;
	struct tofu_header hello;
	tofu_msg *msg;

	listen_over(&server, OVER_TCP, &at);
	hello = call(&client, through("wait", &at), "hello");
	ck_assert(door_holds(1, PATIENCE_NS));
	for (uint64_t id = 1001; id <= 1003; id++)
		say(&client, hello.channel, TOFU_SIGNAL, id, "early");
	door_open();
	meet(&server, &client, hello);
	for (uint64_t id = 1001; id <= 1003; id++) {
		msg = expect_peer(&server, TOFU_SIGNAL);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, id);
		tofu_msg_put(&msg);
	}
	down(client);
}
END_TEST

/* clang-format off */
static const struct {
	const char *address;
	enum tofu_status status;
} failures[] = {
	{ "door|unknown", TOFU_HOST_NOT_FOUND },
	{ "door|nothing", TOFU_HOST_NOT_FOUND },
	{ "door|again",   TOFU_PROCESSING_FAILED }, /* would_block is no answer on the helper thread */
};
/* clang-format on */

START_TEST(lookup_that_fails_is_the_answer_to_the_hello_and_to_the_welcome)
{
	struct side side = up(NULL);

	call_fails(&side, failures[_i].address, failures[_i].status);
	listen_fails(&side, failures[_i].address, failures[_i].status);
	ck_assert_int_eq(door_look(&door.calls), 2);
	down(side);
}
END_TEST

START_TEST(destroy_does_not_wait_for_lookups_and_nothing_is_left_when_they_end)
{
	struct side side = up(NULL);
	int calls;

	hang(&side, AT_ONCE + 2); /* two wait for their turn */
	calls = door_look(&door.calls);
	tofu_engine_destroy(side.engine); /* comes back, though the door is shut */
	side_down(&side);
	ck_assert_int_eq(door_look(&door.waiting), AT_ONCE);
	tofu_deinit();
	side.engine = NULL;
	down(side);
	ck_assert_int_eq(door_look(&door.waiting), 0);
	ck_assert_int_eq(door_look(&door.calls), calls); /* those that waited for their turn never had it */
	ck_assert_int_eq(door_look(&door.dialled), 0);
}
END_TEST

START_TEST(group_is_destroyed_without_waiting_for_its_lookups)
{
	struct side side = up(NULL), other = side_in(side.engine);
	struct listening at;

	call(&side, "door|wait:127.0.0.1|1", NULL);
	ck_assert(door_holds(1, PATIENCE_NS));
	side_down(&side);
	door_open();
	ck_assert(door_holds(0, PATIENCE_NS));
	listen_over(&other, OVER_TCP, &at);
	ck_assert_int_eq(door_look(&door.dialled), 0);
	down(side);
}
END_TEST

START_TEST(lookup_beyond_the_most_takes_the_place_of_one_that_nobody_waits_for)
{
	struct side side = up(NULL);
	struct tofu_header first = call(&side, "door|wait:127.0.0.1|1", NULL), last;

	ck_assert(door_holds(1, PATIENCE_NS));
	hang(&side, AT_ONCE - 1);
	last = call(&side, "door|unknown", NULL);
	eventually(stats_of(side.engine).channels_resolving == AT_ONCE + 1);
	expect_silence(&side);
	ck_assert_int_eq(door_look(&door.calls), AT_ONCE);
	say(&side, first.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_answer(&side, first, TOFU_CHANNEL_CLOSED);
	expect_answer(&side, last, TOFU_HOST_NOT_FOUND);
	ck_assert_int_eq(door_look(&door.waiting), AT_ONCE);
	down(side);
}
END_TEST

START_TEST(name_is_found_at_once_while_sixty_four_others_hang)
{
	struct side side = up(NULL), server = side_in(side.engine), client = side_in(side.engine);
	struct listening at;

	listen_over(&server, OVER_TCP, &at);
	hang(&side, 64);
	for (int i = 0; i < 10; i++)
		meet(&server, &client, call(&client, through("quick", &at), "hello"));
	ck_assert_int_eq(door_look(&door.waiting), 64);
	down(side);
}
END_TEST

static struct tofu_options hurried(uint32_t handshake_timeout_ms)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.handshake_timeout_ms = handshake_timeout_ms;
	return options;
}

START_TEST(when_the_time_of_a_thousand_names_that_hang_is_over_another_one_is_found)
{
	struct tofu_options options = hurried(1000);
	struct side side = up(&options), server = side_in(side.engine), client = side_in(side.engine);
	struct listening at;
#ifdef __SANITIZE_THREAD__ /* which takes milliseconds to start a thread */
	const unsigned names = 100;
#else
	const unsigned names = rounds(1000);
#endif

	listen_over(&server, OVER_TCP, &at);
	for (unsigned i = 0; i < names; i++)
		call(&side, "door|wait:127.0.0.1|1", NULL);
	for (unsigned i = 0; i < 2 * names; i++) {
		tofu_msg *msg = take(&side);

		ck_assert_int_eq(tofu_msg_header(msg)->status,
		                 is_closed_notice(msg) ? TOFU_CHANNEL_CLOSED : TOFU_TIMEOUT);
		tofu_msg_put(&msg);
	}
	ck_assert_int_ge(door_look(&door.waiting), AT_ONCE);
	meet(&server, &client, call(&client, through("quick", &at), "hello"));
	down(side);
}
END_TEST

START_TEST(when_all_threads_are_lost_a_name_waits_for_one_of_them)
{
	struct tofu_header hellos[AT_ONCE], last;
	struct side side = up(NULL);

	for (int lost = 0; lost < THREADS;) {
		int more = THREADS - lost < AT_ONCE ? THREADS - lost : AT_ONCE;

		for (int i = 0; i < more; i++)
			hellos[i] = call(&side, "door|wait:127.0.0.1|1", NULL);
		lost += more;
		ck_assert(door_holds(lost, PATIENCE_NS));
		for (int i = 0; i < more; i++) {
			say(&side, hellos[i].channel, TOFU_BYE_SIGNAL, 0, NULL);
			expect_answer(&side, hellos[i], TOFU_CHANNEL_CLOSED);
		}
	}
	last = call(&side, "door|unknown", NULL);
	eventually(stats_of(side.engine).channels_resolving == 1);
	expect_silence(&side);
	ck_assert_int_eq(door_look(&door.calls), THREADS);
	door_open();
	expect_answer(&side, last, TOFU_HOST_NOT_FOUND);
	down(side);
}
END_TEST

START_TEST(without_a_thread_to_be_had_a_name_waits_for_those_that_there_are)
{
	struct side side = up(NULL);
	struct tofu_header first, second;

	atomic_store(&no_thread_to_be_had, true);
	call_fails(&side, "door|unknown", TOFU_LIMIT_REACHED); /* there is none */
	atomic_store(&no_thread_to_be_had, false);
	first = call(&side, "door|wait:127.0.0.1|1", NULL);
	ck_assert(door_holds(1, PATIENCE_NS));
	atomic_store(&no_thread_to_be_had, true);
	second = call(&side, "door|unknown", NULL);
	expect_silence(&side);
	say(&side, first.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_answer(&side, first, TOFU_CHANNEL_CLOSED);
	expect_silence(&side);
	door_open();
	expect_answer(&side, second, TOFU_HOST_NOT_FOUND);
	down(side);
}
END_TEST

/* The first, the last, and one between: the others keep their turns. */
START_TEST(name_of_a_channel_that_has_ended_is_not_looked_up)
{
	struct side side = up(NULL);
	struct tofu_header hellos[7];

	hang(&side, AT_ONCE);
	for (int i = 0; i < 5; i++)
		hellos[i] = call(&side, "door|unknown", NULL);
	for (int i = 0; i < 5; i += 2) {
		say(&side, hellos[i].channel, TOFU_BYE_SIGNAL, 0, NULL);
		expect_answer(&side, hellos[i], TOFU_CHANNEL_CLOSED);
	}
	for (int i = 5; i < 7; i++)
		hellos[i] = call(&side, "door|unknown", NULL);
	eventually(stats_of(side.engine).channels_resolving == AT_ONCE + 4);
	ck_assert_int_eq(door_look(&door.calls), AT_ONCE);
	door_open();
	ck_assert(door_holds(0, PATIENCE_NS));
	eventually(stats_of(side.engine).channels_resolving == 0);
	ck_assert_int_eq(door_look(&door.calls), AT_ONCE + 4);
	down(side);
}
END_TEST

/* Those who ask late would otherwise wait behind others whose time is nearly over. */
START_TEST(newest_name_is_the_next_to_be_looked_up)
{
	struct side side = up(NULL);
	struct tofu_header first = call(&side, "door|wait:127.0.0.1|1", NULL), newest;

	ck_assert(door_holds(1, PATIENCE_NS));
	hang(&side, AT_ONCE - 1);
	call(&side, "door|wait:127.0.0.1|1", NULL);
	newest = call(&side, "door|unknown", NULL);
	eventually(stats_of(side.engine).channels_resolving == AT_ONCE + 2);
	say(&side, first.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_answer(&side, first, TOFU_CHANNEL_CLOSED);
	expect_answer(&side, newest, TOFU_HOST_NOT_FOUND);
	down(side);
}
END_TEST

/* It keeps a few, for the next ones. */
START_TEST(threads_that_are_not_needed_any_more_end)
{
	struct side side = up(NULL);
	int64_t before = os_threads();

	hang(&side, AT_ONCE);
	ck_assert_int_ge(os_threads(), before + AT_ONCE);
	door_open();
	eventually(os_threads() <= before + 4);
	down(side);
}
END_TEST

START_TEST(two_lookups_run_at_once_also_when_one_thread_was_idle_before)
{
	struct side side = up(NULL);

	for (int i = 0; i < 20; i++) { /* the helper is idle from here on, or about to be */
		call_fails(&side, "door|unknown", TOFU_HOST_NOT_FOUND);
	}
	hang(&side, 4);
	down(side);
}
END_TEST

START_TEST(slow_name_does_not_hold_up_other_channels)
{
	struct side side = up(NULL), server = side_in(side.engine), client = side_in(side.engine);
	struct pair p;

	hang(&side, 3);
	pair_between(&p, OVER_TCP, server, client); /* numeric: no lookup at all */
	pair_talk(&p);
	pair_bye(&p);
	meet(&p.server, &p.client, call(&p.client, through("quick", &p.at), "by name"));
	ck_assert_int_eq(door_look(&door.waiting), 3);
	down(side);
}
END_TEST

START_TEST(bye_signal_ends_a_channel_that_waits_for_a_name_and_the_late_answer_is_dropped)
{
	struct side side = up(NULL), server = side_in(side.engine);
	struct listening at;
	struct tofu_header hello;

	listen_over(&server, OVER_TCP, &at);
	hello = call(&side, through("wait", &at), "hello");
	ck_assert(door_holds(1, PATIENCE_NS));
	say(&side, hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_answer(&side, hello, TOFU_CHANNEL_CLOSED);
	ck_assert_int_eq(door_look(&door.waiting), 1);
	door_open();
	ck_assert(door_holds(0, PATIENCE_NS));
	/* Answers come in order when there is one helper: this one's is behind the late one. */
	call_fails(&side, "door|unknown", TOFU_HOST_NOT_FOUND);
	ck_assert_int_eq(door_look(&door.dialled), 0);
	expect_silence(&server);
	down(side);
}
END_TEST

START_TEST(bye_request_behind_a_hello_comes_back_with_it_when_the_name_is_unknown)
{
	struct side side = up(NULL);
	struct tofu_header hello, bye;
	tofu_msg *msg;

	hello = call(&side, "door|wait:not-a-number|1", NULL);
	ck_assert(door_holds(1, PATIENCE_NS));
	bye = say(&side, hello.channel, TOFU_BYE_REQUEST, 0, NULL);
	door_open();
	msg = expect(&side, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_PROCESSING_FAILED);
	tofu_msg_put(&msg);
	msg = expect_on(&side, hello.channel, bye.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_ENGINE, TOFU_PROCESSING_FAILED);
	tofu_msg_put(&msg);
	expect_end(&side, hello.channel, hello.id, TOFU_PROCESSING_FAILED);
	down(side);
}
END_TEST

START_TEST(lookup_that_outlasts_the_handshake_time_ends_with_timeout)
{
	struct tofu_options options;
	struct side side;
	struct tofu_header hello;
	int64_t before = tofu_plat_now_ns();

	tofu_options_init(&options, sizeof options);
	options.handshake_timeout_ms = 100;
	side = up(&options);
	hello = call(&side, "door|wait:127.0.0.1|1", NULL);
	expect_answer(&side, hello, TOFU_TIMEOUT);
	ck_assert_int_ge(tofu_plat_now_ns() - before, 100 * TOFU_NS_PER_MS);
	door_open();
	ck_assert(door_holds(0, PATIENCE_NS));
	call_fails(&side, "door|unknown", TOFU_HOST_NOT_FOUND);
	ck_assert_int_eq(door_look(&door.dialled), 0);
	down(side);
}
END_TEST

START_TEST(addresses_are_tried_in_order_until_one_works_and_each_that_failed_is_closed)
{
	struct side side = up(NULL), server = side_in(side.engine);
	struct listening at;
	char nobody[2][128], address[700];
	struct tofu_header hello;

	listen_over(&server, OVER_TCP, &at);
	for (int i = 0; i < 2; i++)
		vacant_address(OVER_TCP, nobody[i], sizeof nobody[i]);
	(void)snprintf(address, sizeof address, "door|list:%s,%s,%s,%s", path_of(nobody[0]), path_of(nobody[1]),
	               path_of(at.address), path_of(nobody[0]));
	hello = call(&side, address, "hello");
	meet(&server, &side, hello);
	ck_assert_int_eq(door_look(&door.dialled), 3);
	ck_assert_int_eq(door_look(&door.closed), 2);
	say(&side, hello.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&side, hello.channel, hello.id);
	ck_assert_int_eq(door_look(&door.closed), 3);
	down(side);
}
END_TEST

START_TEST(when_no_address_works_the_last_ones_failure_is_the_answer)
{
	struct side side = up(NULL);
	char nobody[2][128], address[700];

	for (int i = 0; i < 2; i++)
		vacant_address(OVER_TCP, nobody[i], sizeof nobody[i]);
	(void)snprintf(address, sizeof address, "door|list:%s,%s", path_of(nobody[0]), path_of(nobody[1]));
	call_fails(&side, address, TOFU_CONNECT_FAILED);
	ck_assert_int_eq(door_look(&door.dialled), 2);
	ck_assert_int_eq(door_look(&door.closed), 2);
	down(side);
}
END_TEST

START_TEST(address_that_does_not_answer_has_a_head_start)
{
	struct tofu_options options = hurried(3000);
	struct side side = up(&options), server = side_in(side.engine);
	struct listening at;
	char address[700];
	int64_t before;

	listen_over(&server, OVER_TCP, &at);
	(void)snprintf(address, sizeof address, "door|list:%s,%s", path_of(at.address), path_of(at.address));
	door_move(&door.silent, 1);
	before = tofu_plat_now_ns();
	meet(&server, &side, call(&side, address, "hello"));
	ck_assert_int_ge(tofu_plat_now_ns() - before, 250 * TOFU_NS_PER_MS);
	ck_assert_int_eq(door_look(&door.dialled), 2);
	ck_assert_int_eq(door_look(&door.closed), 1);
	down(side);
}
END_TEST

START_TEST(when_no_address_answers_all_were_tried_and_the_handshake_time_is_over)
{
	struct tofu_options options = hurried(300);
	struct side side = up(&options);
	intptr_t listener;
	char one[128], address[700];
	int64_t before;

	listener = raw_listen(OVER_TCP, one, sizeof one);
	(void)snprintf(address, sizeof address, "door|list:%s,%s,%s", path_of(one), path_of(one), path_of(one));
	door_move(&door.silent, 3);
	before = tofu_plat_now_ns();
	call_fails(&side, address, TOFU_TIMEOUT);
	ck_assert_int_ge(tofu_plat_now_ns() - before, 300 * TOFU_NS_PER_MS);
	ck_assert_int_eq(door_look(&door.dialled), 3);
	ck_assert_int_eq(door_look(&door.closed), 3);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	down(side);
}
END_TEST

/* Each has a deadline of its own, whichever began first. */
START_TEST(attempts_end_in_the_order_of_their_time)
{
	struct tofu_options options = hurried(6000);
	struct side side = up(&options), server = side_in(side.engine);
	struct listening at;
	intptr_t listener;
	char one[128], address[700];
	struct tofu_header slow;

	listener = raw_listen(OVER_TCP, one, sizeof one);
	listen_over(&server, OVER_TCP, &at);
	door_move(&door.silent, 2);
	(void)snprintf(address, sizeof address, "door|list:%s", path_of(one));
	slow = call(&side, address, "hello");
	eventually(door_look(&door.dialled) == 1);
	(void)snprintf(address, sizeof address, "door|list:%s,%s,%s", path_of(one), path_of(at.address), path_of(one));
	meet(&server, &side, call(&side, address, "hello"));
	ck_assert_int_eq(door_look(&door.dialled), 3);
	expect_answer(&side, slow, TOFU_TIMEOUT);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	down(side);
}
END_TEST

static const int addresses_before[] = { 0, 1, 16, TOFU_ADDRESSES_MAX - 1 };

START_TEST(only_the_last_of_many_addresses_answers_and_is_reached)
{
	struct side side = up(NULL), server = side_in(side.engine);
	struct listening at;
	char address[700];

	listen_over(&server, OVER_TCP, &at);
	(void)snprintf(address, sizeof address, "door|after:%d:%s", addresses_before[_i], path_of(at.address));
	meet(&server, &side, call(&side, address, "hello"));
	ck_assert_int_eq(door_look(&door.dialled), addresses_before[_i] + 1);
	down(side);
}
END_TEST

static char last_line[256];

static void note(void *context, enum tofu_log_level level, const char *text)
{
	(void)context;
	if (level == TOFU_LOG_WARNING)
		(void)snprintf(last_line, sizeof last_line, "%s", text);
}

START_TEST(how_many_addresses_were_too_many_is_logged)
{
	struct tofu_options options;
	struct side side;
	char address[700];

	tofu_options_init(&options, sizeof options);
	options.log = note;
	side = up(&options);
	(void)snprintf(address, sizeof address, "door|after:%d:127.0.0.1|1", TOFU_ADDRESSES_MAX + 2);
	call_fails(&side, address, TOFU_CONNECT_FAILED);
	ck_assert_int_eq(door_look(&door.dialled), TOFU_ADDRESSES_MAX);
	down(side); /* the log is told before the engine is gone */
	ck_assert_msg(strstr(last_line, ": 3 addresses ") != NULL, "\"%s\"", last_line);
}
END_TEST

START_TEST(list_without_an_address_is_host_not_found)
{
	struct side side = up(NULL);

	call_fails(&side, "door|list:", TOFU_HOST_NOT_FOUND);
	ck_assert_int_eq(door_look(&door.dialled), 0);
	down(side);
}
END_TEST

static Suite *suite_of_resolver(void)
{
	Suite *suite = suite_create("resolver");
	TCase *tc = suite_case(suite, "names", 60);

	tcase_add_test(tc, name_that_takes_a_lookup_connects);
	tcase_add_test(tc, listener_at_a_name_that_takes_a_lookup_is_welcomed);
	tcase_add_test(tc, what_was_posted_behind_the_hello_is_sent_when_the_name_is_known);
	tcase_add_loop_test(tc, lookup_that_fails_is_the_answer_to_the_hello_and_to_the_welcome, 0,
	                    sizeof failures / sizeof failures[0]);
	tcase_add_test(tc, destroy_does_not_wait_for_lookups_and_nothing_is_left_when_they_end);
	tcase_add_test(tc, group_is_destroyed_without_waiting_for_its_lookups);
	tcase_add_test(tc, lookup_beyond_the_most_takes_the_place_of_one_that_nobody_waits_for);
	tcase_add_test(tc, name_is_found_at_once_while_sixty_four_others_hang);
	tcase_add_test(tc, when_the_time_of_a_thousand_names_that_hang_is_over_another_one_is_found);
	tcase_add_test(tc, name_of_a_channel_that_has_ended_is_not_looked_up);
	if (rounds(10) == 10 && os_has_many_threads())
		tcase_add_test(tc, when_all_threads_are_lost_a_name_waits_for_one_of_them);
	tcase_add_test(tc, without_a_thread_to_be_had_a_name_waits_for_those_that_there_are);
	tcase_add_test(tc, newest_name_is_the_next_to_be_looked_up);
	tcase_add_test(tc, threads_that_are_not_needed_any_more_end);
	tcase_add_test(tc, two_lookups_run_at_once_also_when_one_thread_was_idle_before);
	tcase_add_test(tc, slow_name_does_not_hold_up_other_channels);
	tcase_add_test(tc, bye_signal_ends_a_channel_that_waits_for_a_name_and_the_late_answer_is_dropped);
	tcase_add_test(tc, bye_request_behind_a_hello_comes_back_with_it_when_the_name_is_unknown);
	tcase_add_test(tc, lookup_that_outlasts_the_handshake_time_ends_with_timeout);
	tcase_add_test(tc, addresses_are_tried_in_order_until_one_works_and_each_that_failed_is_closed);
	tcase_add_test(tc, when_no_address_works_the_last_ones_failure_is_the_answer);
	tcase_add_test(tc, address_that_does_not_answer_has_a_head_start);
	tcase_add_test(tc, when_no_address_answers_all_were_tried_and_the_handshake_time_is_over);
	tcase_add_test(tc, attempts_end_in_the_order_of_their_time);
	tcase_add_loop_test(tc, only_the_last_of_many_addresses_answers_and_is_reached, 0,
	                    sizeof addresses_before / sizeof addresses_before[0]);
	tcase_add_test(tc, how_many_addresses_were_too_many_is_logged);
	tcase_add_test(tc, list_without_an_address_is_host_not_found);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_resolver());
}
