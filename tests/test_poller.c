/* SPDX-License-Identifier: MIT */

/*
 * What a poller promises, on every backend and over every kind of socket. A new backend is one line in lib/pollers_*.c.
 *
 * Absence of an event is asserted only where its cause is known to be there: the event was reported before, then the
 * interest was withdrawn. Times are asserted from below only. Linked with --wrap=malloc,calloc,realloc.
 */

#include <stdlib.h>
#include <string.h>

#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/pollers.h"
#include "lib/sockets.h"
#include "platform/platform.h"
#include "reactor/poller.h"

enum { ROOM = 64 };

/* A loop test's index is a backend and a kind of socket; for tests where the kind says nothing, a backend. */
#define BACKENDS pollers_count
#define WORLDS (pollers_count * SOCKETS_KINDS)

/* A poller, a listener to connect to, and the last batch. */
struct world {
	const struct pollers_backend *backend;
	struct tofu_poller *p;
	struct sockets_listener l;
	struct tofu_poll_event events[ROOM];
	size_t count;
};

/* A connection; the item watches the near end. */
struct line {
	intptr_t near;
	intptr_t far;
	struct tofu_poll_item item;
	bool told;
};

static void start(void)
{
	ck_status(tofu_init(), TOFU_OK);
}

static void stop(void)
{
	tofu_deinit();
}

static bool begin_on(struct world *w, int backend, enum sockets_kind kind)
{
	memset(w, 0, sizeof *w);
	w->backend = &pollers[backend];
	if (!sockets_have(kind))
		return false;
	ck_status(tofu_poller_create(w->backend->kind, &w->p), TOFU_OK);
	ck_assert_ptr_nonnull(w->p);
	sockets_listen(kind, &w->l);
	return true;
}

/* False: there are no such sockets here. */
static bool begin(struct world *w, int index)
{
	return begin_on(w, index / SOCKETS_KINDS, (enum sockets_kind)(index % SOCKETS_KINDS));
}

static void end(struct world *w)
{
	tofu_poller_destroy(w->p);
	sockets_unlisten(&w->l);
}

static void add(struct world *w, struct tofu_poll_item *item, intptr_t handle, unsigned interest)
{
	ck_status(tofu_poller_add(w->p, item, handle), TOFU_OK);
	ck_status(tofu_poller_want(w->p, item, interest), TOFU_OK);
}

static void want(struct world *w, struct line *line, unsigned interest)
{
	ck_status(tofu_poller_want(w->p, &line->item, interest), TOFU_OK);
}

/* Where a backend leaves something with the kernel, memory is ours again only when that has ended. */
static void take_back(struct world *w, struct tofu_poll_item *item)
{
	struct tofu_poll_event event;
	size_t count;

	while (item->busy)
		ck_status(tofu_poller_wait(w->p, &event, 1, TOFU_NS_PER_MS, &count), TOFU_OK);
}

static void drop(struct world *w, struct tofu_poll_item *item)
{
	tofu_poller_remove(w->p, item);
	take_back(w, item);
}

static void open_line(struct world *w, struct line *line, unsigned interest)
{
	intptr_t ends[2];

	sockets_pair(&w->l, ends);
	memset(line, 0, sizeof *line);
	line->near = ends[0];
	line->far = ends[1];
	add(w, &line->item, line->near, interest);
}

static void close_far(struct line *line)
{
	sockets_close(line->far);
	line->far = TOFU_NO_SOCKET;
}

static void close_line(struct world *w, struct line *line)
{
	drop(w, &line->item);
	sockets_close(line->near);
	sockets_close(line->far);
}

static void wait_once(struct world *w, size_t capacity, int64_t timeout_ns)
{
	w->count = 99;
	ck_status(tofu_poller_wait(w->p, w->events, capacity, timeout_ns, &w->count), TOFU_OK);
	ck_assert_uint_le(w->count, capacity);
}

/* Wait until something is reported. */
static void wait_for_events(struct world *w)
{
	do
		wait_once(w, ROOM, TOFU_FOREVER);
	while (w->count == 0);
}

/* What the last batch says of an item; it is there at most once. */
static unsigned ready_of(const struct world *w, const struct tofu_poll_item *item)
{
	unsigned ready = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (w->events[i].item != item)
			continue;
		ck_assert_uint_eq(ready, 0);
		ready = w->events[i].ready;
		ck_assert_uint_ne(ready, 0);
		ck_assert_uint_eq(ready & ~item->want, 0);
	}
	return ready;
}

/* The next thing reported is this one item, so. */
static void expect(struct world *w, const struct tofu_poll_item *item, unsigned ready)
{
	wait_for_events(w);
	ck_assert_uint_eq(w->count, 1);
	ck_assert_ptr_eq(w->events[0].item, item);
	ck_assert_uint_eq(ready_of(w, item), ready);
}

static void expect_nothing_now(struct world *w)
{
	wait_once(w, ROOM, 0);
	ck_assert_uint_eq(w->count, 0);
}

/* Nothing comes, and the poller sleeps: a wait that came back early would have spun. */
static void expect_sleep(struct world *w, int64_t timeout_ns)
{
	int64_t before = tofu_plat_now_ns();

	wait_once(w, ROOM, timeout_ns);
	ck_assert_uint_eq(w->count, 0);
	ck_assert_int_ge(tofu_plat_now_ns() - before, timeout_ns);
}

/* Creation */

START_TEST(create_gives_the_backend_asked_for)
{
	struct tofu_poller *p = NULL;

	ck_status(tofu_poller_create(pollers[_i].kind, &p), TOFU_OK);
	ck_assert_str_eq(p->ops->name, pollers[_i].name);
	ck_assert_uint_eq(p->reads_asked, 0);
	tofu_poller_destroy(p);
}
END_TEST

START_TEST(create_without_a_preference_gives_one)
{
	struct tofu_poller *p = NULL;

	ck_status(tofu_poller_create(TOFU_POLLER_AUTO, &p), TOFU_OK);
	ck_assert_ptr_nonnull(p);
	tofu_poller_destroy(p);
}
END_TEST

START_TEST(create_of_an_unknown_kind_is_not_supported)
{
	struct tofu_poller *p = (struct tofu_poller *)&p;

	ck_status(tofu_poller_create((enum tofu_poller_kind)99, &p), TOFU_NOT_SUPPORTED);
	ck_assert_ptr_null(p);
	tofu_poller_destroy(p);
}
END_TEST

/* The environment */

static char *named_before;

static void remember_variable(void)
{
	const char *name = getenv("TOFU_POLLER");

	start();
	named_before = name != NULL ? strdup(name) : NULL;
}

static void restore_variable(void)
{
	os_set_variable("TOFU_POLLER", named_before);
	free(named_before);
	stop();
}

static void expect_backend(enum tofu_poller_kind kind, const char *name)
{
	struct tofu_poller *p;

	ck_status(tofu_poller_create(kind, &p), TOFU_OK);
	ck_assert_str_eq(p->ops->name, name);
	tofu_poller_destroy(p);
}

START_TEST(the_variable_names_the_backend_where_there_is_no_preference)
{
	os_set_variable("TOFU_POLLER", pollers[_i].name);
	expect_backend(TOFU_POLLER_AUTO, pollers[_i].name);
}
END_TEST

START_TEST(a_preference_overrides_the_variable)
{
	static const char *const names[] = { "poll", "epoll", "afd", "nonsense" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		os_set_variable("TOFU_POLLER", names[i]);
		expect_backend(pollers[_i].kind, pollers[_i].name);
	}
}
END_TEST

START_TEST(an_empty_variable_is_none)
{
	struct tofu_poller *p;
	const struct tofu_poller_ops *otherwise;

	os_set_variable("TOFU_POLLER", NULL);
	ck_status(tofu_poller_create(TOFU_POLLER_AUTO, &p), TOFU_OK);
	otherwise = p->ops;
	tofu_poller_destroy(p);
	os_set_variable("TOFU_POLLER", "");
	expect_backend(TOFU_POLLER_AUTO, otherwise->name);
}
END_TEST

START_TEST(poll_is_the_default_only_where_there_is_nothing_else)
{
	os_set_variable("TOFU_POLLER", NULL);
	expect_backend(TOFU_POLLER_AUTO, BACKENDS > 1 ? "epoll" : pollers[0].name);
}
END_TEST

static bool in_this_build(const char *name)
{
	for (int i = 0; i < BACKENDS; i++)
		if (strcmp(pollers[i].name, name) == 0)
			return true;
	return false;
}

START_TEST(an_engine_is_not_made_with_a_backend_that_is_unknown_or_not_in_this_build)
{
	static const char *const names[] = { "poll",  "epoll",  "afd",    "auto", "nonsense",
		                             "EPOLL", " epoll", "epoll ", "epol" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		tofu_engine *engine = (tofu_engine *)&engine;

		os_set_variable("TOFU_POLLER", names[i]);
		if (in_this_build(names[i]))
			continue;
		ck_status(tofu_engine_create(NULL, &engine), TOFU_NOT_SUPPORTED);
		ck_assert_ptr_null(engine);
	}
}
END_TEST

/* Time */

START_TEST(wait_with_nothing_ends_after_the_time_and_not_before)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	expect_sleep(&w, 1);
	expect_sleep(&w, 300 * 1000);
	expect_sleep(&w, 20 * TOFU_NS_PER_MS);
	end(&w);
}
END_TEST

START_TEST(wait_for_no_time_looks_and_returns)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	for (int i = 0; i < 3; i++)
		expect_nothing_now(&w);
	end(&w);
}
END_TEST

START_TEST(an_event_ends_a_wait_for_the_longest_time)
{
	struct world w;
	struct line a;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	open_line(&w, &a, TOFU_POLL_WRITE);
	wait_once(&w, ROOM, INT64_MAX);
	ck_assert_uint_eq(ready_of(&w, &a.item), TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* Readiness */

START_TEST(readable_after_the_peer_wrote)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	expect_nothing_now(&w);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_READ);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(writable_at_once)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(nothing_is_wanted_after_add)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, 0);
	expect_nothing_now(&w);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(both_directions_are_one_event)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_READ);
	want(&w, &a, TOFU_POLL_READ | TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_READ | TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(only_what_is_wanted_is_reported_after_read_became_write_and_back)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	expect_nothing_now(&w);
	want(&w, &a, TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_WRITE);
	sockets_send(a.far, "x", 1);
	want(&w, &a, TOFU_POLL_READ);
	expect(&w, &a.item, TOFU_POLL_READ);
	want(&w, &a, TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(several_ready_at_once_are_one_batch)
{
	enum { N = 5 };
	struct world w;
	struct line lines[N];

	if (!begin(&w, _i))
		return;
	for (int i = 0; i < N; i++) {
		open_line(&w, &lines[i], TOFU_POLL_READ);
		sockets_send(lines[i].far, "x", 1);
		expect(&w, &lines[i].item, TOFU_POLL_READ); /* it has arrived */
		want(&w, &lines[i], 0);
	}
	for (int i = 0; i < N; i++)
		want(&w, &lines[i], TOFU_POLL_READ);
	wait_for_events(&w);
	ck_assert_uint_eq(w.count, N);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(ready_of(&w, &lines[i].item), TOFU_POLL_READ);
	for (int i = 0; i < N; i++)
		close_line(&w, &lines[i]);
	end(&w);
}
END_TEST

START_TEST(buffered_data_is_reported_until_it_is_read)
{
	struct world w;
	struct line a;
	char got[8];
	size_t have = 0;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	sockets_send(a.far, "abc", 3);
	while (have < 3) {
		expect(&w, &a.item, TOFU_POLL_READ);
		expect(&w, &a.item, TOFU_POLL_READ);
		have += sockets_receive(a.near, got, 1);
	}
	expect_nothing_now(&w);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(interest_that_was_dropped_reports_nothing_and_resumed_reports_all)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	sockets_send(a.far, "x", 1);
	for (int i = 0; i < 3; i++) {
		expect(&w, &a.item, TOFU_POLL_READ);
		want(&w, &a, 0);
		expect_sleep(&w, 2 * TOFU_NS_PER_MS);
		want(&w, &a, TOFU_POLL_READ);
	}
	expect(&w, &a.item, TOFU_POLL_READ);
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* Level, not edge: when it came says nothing. */
START_TEST(data_that_is_there_before_the_interest_is_reported_at_once)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_READ); /* it has arrived */
	want(&w, &a, 0);
	expect_nothing_now(&w);
	want(&w, &a, TOFU_POLL_READ);
	wait_once(&w, ROOM, 0);
	ck_assert_uint_eq(w.count, 1);
	ck_assert_uint_eq(ready_of(&w, &a.item), TOFU_POLL_READ);
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* Interest that changes while the poller waits for what was declared before: a wait for no time has noted that. */

START_TEST(interest_widened_while_pending_reports_what_is_new)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	for (int i = 0; i < 3; i++) {
		expect_nothing_now(&w);
		want(&w, &a, TOFU_POLL_READ | TOFU_POLL_WRITE);
		expect(&w, &a.item, TOFU_POLL_WRITE);
		want(&w, &a, TOFU_POLL_READ);
	}
	expect_nothing_now(&w);
	want(&w, &a, TOFU_POLL_READ | TOFU_POLL_WRITE);
	wait_once(&w, ROOM, 0); /* also for one that only looks */
	ck_assert_uint_eq(ready_of(&w, &a.item), TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

static char bulk[65536];

/* Send until nothing more fits; how much that was. */
static size_t fill(intptr_t socket)
{
	struct tofu_iov iov = { bulk, sizeof bulk };
	enum tofu_status st;
	size_t all = 0;
	size_t done;

	while ((st = tofu_socket_send(socket, &iov, 1, &done)) == TOFU_OK)
		all += done;
	ck_status(st, TOFU_WOULD_BLOCK);
	return all;
}

static void drain(intptr_t socket, size_t len)
{
	while (len > 0)
		len -= sockets_receive(socket, bulk, len < sizeof bulk ? len : sizeof bulk);
}

START_TEST(interest_narrowed_while_pending_reports_only_what_is_left)
{
	struct world w;
	struct line a;
	size_t len;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, 0);
	len = fill(a.near);
	want(&w, &a, TOFU_POLL_READ | TOFU_POLL_WRITE);
	wait_once(&w, ROOM, 2 * TOFU_NS_PER_MS);
	if (w.count > 0) /* the other side took a little while we slept, and there is room again */
		len += fill(a.near);
	want(&w, &a, TOFU_POLL_READ);
	drain(a.far, len);
	expect_sleep(&w, 5 * TOFU_NS_PER_MS);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_READ);
	want(&w, &a, TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(interest_withdrawn_while_pending_reports_nothing_until_it_is_back)
{
	struct world w;
	struct line a;
	struct line b;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	open_line(&w, &b, TOFU_POLL_READ);
	for (int i = 0; i < 3; i++) {
		char got;

		expect_nothing_now(&w);
		want(&w, &a, 0);
		sockets_send(a.far, "x", 1);
		sockets_send(b.far, "x", 1);
		expect(&w, &b.item, TOFU_POLL_READ);
		ck_assert_uint_eq(sockets_receive(b.near, &got, 1), 1);
		expect_sleep(&w, 2 * TOFU_NS_PER_MS);
		want(&w, &a, TOFU_POLL_READ);
		expect(&w, &a.item, TOFU_POLL_READ);
		ck_assert_uint_eq(sockets_receive(a.near, &got, 1), 1);
	}
	close_line(&w, &a);
	close_line(&w, &b);
	end(&w);
}
END_TEST

START_TEST(of_many_changes_before_a_wait_the_last_one_counts)
{
	static const unsigned changes[] = { TOFU_POLL_WRITE, 0, TOFU_POLL_READ, TOFU_POLL_READ | TOFU_POLL_WRITE, 0 };
	enum { CHANGES = sizeof changes / sizeof changes[0] };
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	for (int i = 0; i < CHANGES; i++) {
		expect_nothing_now(&w);
		for (int k = 0; k <= i; k++)
			want(&w, &a, changes[k]);
		if ((changes[i] & TOFU_POLL_WRITE) != 0)
			expect(&w, &a.item, TOFU_POLL_WRITE);
		else
			expect_sleep(&w, TOFU_NS_PER_MS);
		want(&w, &a, TOFU_POLL_READ);
	}
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* Connections */

START_TEST(a_listener_reports_each_connection_until_it_is_accepted)
{
	struct world w;
	struct tofu_poll_item item;
	intptr_t near[2];
	intptr_t far[2];

	if (!begin(&w, _i))
		return;
	add(&w, &item, w.l.handle, TOFU_POLL_ACCEPT);
	expect_nothing_now(&w);
	for (int i = 0; i < 2; i++) {
		near[i] = sockets_connect(&w.l);
		expect(&w, &item, TOFU_POLL_ACCEPT);
		expect(&w, &item, TOFU_POLL_ACCEPT);
		far[i] = sockets_accept(&w.l);
		expect_nothing_now(&w);
	}
	drop(&w, &item);
	for (int i = 0; i < 2; i++) {
		sockets_close(near[i]);
		sockets_close(far[i]);
	}
	end(&w);
}
END_TEST

/* A transport may have something else for a listener. */
START_TEST(what_stands_for_a_listener_is_reported_while_it_is_readable)
{
	struct world w;
	struct line a;
	char got;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_ACCEPT);
	expect_nothing_now(&w);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_ACCEPT);
	expect(&w, &a.item, TOFU_POLL_ACCEPT);
	sockets_receive(a.near, &got, 1);
	expect_nothing_now(&w);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(a_connect_that_succeeds_is_reported)
{
	struct world w;
	struct tofu_poll_item item;
	intptr_t near;
	intptr_t far;

	if (!begin(&w, _i))
		return;
	near = sockets_connect(&w.l);
	add(&w, &item, near, TOFU_POLL_CONNECT);
	expect(&w, &item, TOFU_POLL_CONNECT);
	ck_status(tofu_socket_connect_result(near), TOFU_OK);
	far = sockets_accept(&w.l);
	ck_status(tofu_poller_want(w.p, &item, TOFU_POLL_READ), TOFU_OK);
	sockets_send(far, "x", 1);
	expect(&w, &item, TOFU_POLL_READ);
	drop(&w, &item);
	sockets_close(near);
	sockets_close(far);
	end(&w);
}
END_TEST

START_TEST(a_connect_that_fails_is_reported)
{
	struct world w;
	struct sockets_listener nobody;
	struct tofu_poll_item item;
	intptr_t near;
	enum tofu_status st;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	sockets_listen(SOCKETS_TCP, &nobody);
	sockets_unlisten(&nobody);
	st = tofu_socket_connect(&nobody.at, &near);
	if (st == TOFU_WOULD_BLOCK) { /* some systems know at once */
		add(&w, &item, near, TOFU_POLL_CONNECT);
		expect(&w, &item, TOFU_POLL_CONNECT);
		drop(&w, &item);
		st = tofu_socket_connect_result(near);
		sockets_close(near);
	}
	ck_status(st, TOFU_CONNECT_FAILED);
	end(&w);
}
END_TEST

START_TEST(a_peer_that_closed_is_something_to_read)
{
	struct world w;
	struct line a;
	char got;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	expect_nothing_now(&w);
	close_far(&a);
	expect(&w, &a.item, TOFU_POLL_READ);
	ck_assert_uint_eq(sockets_receive(a.near, &got, 1), 0);
	expect(&w, &a.item, TOFU_POLL_READ);
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* 192.0.2.0/24 belongs to nobody; a system that knows may say so at once, or soon. */
START_TEST(a_connect_to_nowhere_can_be_given_up)
{
	struct world w;
	struct tofu_sockaddr nowhere;
	struct tofu_poll_item item;
	intptr_t near;
	size_t n = 0;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	ck_status(tofu_sockaddr_inet("192.0.2.1", 9, 0, &nowhere, 1, &n), TOFU_OK);
	if (tofu_socket_connect(&nowhere, &near) == TOFU_WOULD_BLOCK) {
		add(&w, &item, near, TOFU_POLL_CONNECT);
		wait_once(&w, ROOM, 20 * TOFU_NS_PER_MS);
		if (ready_of(&w, &item) == 0)
			ck_status(tofu_socket_connect_result(near), TOFU_WOULD_BLOCK);
		else
			ck_assert_int_ne(tofu_socket_connect_result(near), TOFU_WOULD_BLOCK);
		tofu_poller_remove(w.p, &item);
		sockets_close(near);
		take_back(&w, &item);
	}
	expect_nothing_now(&w);
	end(&w);
}
END_TEST

START_TEST(data_and_the_end_after_it_are_reported_until_both_were_read)
{
	struct world w;
	struct line a;
	char got[8];
	size_t have = 0;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	expect_nothing_now(&w);
	sockets_send(a.far, "abc", 3);
	close_far(&a);
	for (size_t n = 1; n > 0; have += n) {
		expect(&w, &a.item, TOFU_POLL_READ);
		expect(&w, &a.item, TOFU_POLL_READ);
		n = sockets_receive(a.near, got, 1);
	}
	ck_assert_uint_eq(have, 3);
	expect(&w, &a.item, TOFU_POLL_READ);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(a_peer_that_reset_is_something_to_read)
{
	struct world w;
	struct line a;
	char got;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	expect_nothing_now(&w);
	sockets_abort(a.far);
	a.far = TOFU_NO_SOCKET;
	expect(&w, &a.item, TOFU_POLL_READ);
	ck_assert_uint_eq(sockets_receive(a.near, &got, 1), 0);
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* Not all systems say more of a reset than that there is room to write: that is enough to find out. */
START_TEST(a_peer_that_reset_is_reported_to_a_writer)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	sockets_abort(a.far);
	a.far = TOFU_NO_SOCKET;
	expect(&w, &a.item, TOFU_POLL_READ);
	want(&w, &a, TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_WRITE);
	want(&w, &a, TOFU_POLL_READ | TOFU_POLL_WRITE);
	expect(&w, &a.item, TOFU_POLL_READ | TOFU_POLL_WRITE);
	close_line(&w, &a);
	end(&w);
}
END_TEST

START_TEST(a_dead_connection_that_wants_nothing_is_silent_and_lets_the_poller_sleep)
{
	struct world w;
	struct line closed;
	struct line reset;

	if (!begin(&w, _i))
		return;
	open_line(&w, &closed, TOFU_POLL_READ);
	close_far(&closed);
	expect(&w, &closed.item, TOFU_POLL_READ);
	want(&w, &closed, 0);
	open_line(&w, &reset, TOFU_POLL_READ);
	sockets_abort(reset.far);
	reset.far = TOFU_NO_SOCKET;
	expect(&w, &reset.item, TOFU_POLL_READ);
	want(&w, &reset, 0);

	ck_status(tofu_socket_shutdown(closed.near), TOFU_OK); /* now both directions are down: POLLHUP */
	expect_sleep(&w, 20 * TOFU_NS_PER_MS);
	close_line(&w, &closed);
	close_line(&w, &reset);
	end(&w);
}
END_TEST

/* Removal */

START_TEST(remove_stops_events)
{
	struct world w;
	struct line a;
	struct line b;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_READ);
	open_line(&w, &b, TOFU_POLL_READ);
	sockets_send(a.far, "x", 1);
	expect(&w, &a.item, TOFU_POLL_READ);
	tofu_poller_remove(w.p, &a.item);
	expect_nothing_now(&w);
	sockets_send(b.far, "x", 1);
	expect(&w, &b.item, TOFU_POLL_READ);
	close_line(&w, &a); /* removes it again: nothing */
	close_line(&w, &b);
	end(&w);
}
END_TEST

START_TEST(remove_of_what_was_never_added_does_nothing)
{
	struct world w;
	struct tofu_poll_item item = { 0 };

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	tofu_poller_remove(w.p, &item);
	ck_assert(!item.busy);
	expect_nothing_now(&w);
	end(&w);
}
END_TEST

/* Opened where the old one was; systems give free numbers again at once, so they do come back. */
static void replace_line(struct world *w, struct line *old, struct line *new)
{
	tofu_poller_remove(w->p, &old->item);
	sockets_close(old->near);
	sockets_close(old->far);
	open_line(w, new, TOFU_POLL_READ);
}

START_TEST(a_reused_descriptor_never_reports_for_the_item_before)
{
	enum { ROUNDS = 50 };
	struct world w;
	struct line *lines; /* each has memory of its own, so that an old item cannot pass for a new one */
	int reused = 0;

	if (!begin(&w, _i))
		return;
	lines = calloc(ROUNDS + 1, sizeof *lines);
	ck_assert_ptr_nonnull(lines);
	open_line(&w, &lines[0], TOFU_POLL_READ);
	for (int i = 0; i < ROUNDS; i++) {
		sockets_send(lines[i].far, "x", 1);
		expect(&w, &lines[i].item, TOFU_POLL_READ);
		replace_line(&w, &lines[i], &lines[i + 1]);
		reused += lines[i + 1].near == lines[i].near;
		expect_nothing_now(&w);
	}
	ck_assert_int_gt(reused, 0);
	for (int i = 0; i < ROUNDS; i++)
		take_back(&w, &lines[i].item);
	close_line(&w, &lines[ROUNDS]);
	free(lines);
	end(&w);
}
END_TEST

START_TEST(a_connection_closed_while_pending_is_forgotten)
{
	enum { N = 5 };
	struct world w;
	struct line lines[N];
	struct line other;

	if (!begin(&w, _i))
		return;
	open_line(&w, &other, TOFU_POLL_READ);
	for (int i = 0; i < N; i++)
		open_line(&w, &lines[i], i == 0 ? 0 : TOFU_POLL_READ);
	expect_nothing_now(&w);
	want(&w, &lines[4], TOFU_POLL_READ | TOFU_POLL_WRITE); /* a change that no wait has seen */
	for (int i = 0; i < N; i++) {
		if (i >= 2)
			sockets_send(lines[i].far, "x", 1); /* also with something to tell */
		tofu_poller_remove(w.p, &lines[i].item);
		sockets_close(lines[i].near);
	}
	expect_nothing_now(&w);
	sockets_send(other.far, "x", 1);
	expect(&w, &other.item, TOFU_POLL_READ);
	for (int i = 0; i < N; i++) {
		take_back(&w, &lines[i].item);
		sockets_close(lines[i].far);
	}
	close_line(&w, &other);
	end(&w);
}
END_TEST

START_TEST(a_descriptor_reused_while_the_one_before_was_pending_reports_for_the_new_item)
{
	enum { ROUNDS = 50 };
	struct world w;
	struct line *lines;
	int reused = 0;

	if (!begin(&w, _i))
		return;
	lines = calloc(ROUNDS + 1, sizeof *lines);
	ck_assert_ptr_nonnull(lines);
	open_line(&w, &lines[0], TOFU_POLL_READ);
	for (int i = 0; i < ROUNDS; i++) {
		char got;

		expect_nothing_now(&w);
		replace_line(&w, &lines[i], &lines[i + 1]);
		reused += lines[i + 1].near == lines[i].near;
		sockets_send(lines[i + 1].far, "x", 1);
		expect(&w, &lines[i + 1].item, TOFU_POLL_READ);
		ck_assert_uint_eq(sockets_receive(lines[i + 1].near, &got, 1), 1);
	}
	ck_assert_int_gt(reused, 0);
	for (int i = 0; i < ROUNDS; i++)
		take_back(&w, &lines[i].item);
	close_line(&w, &lines[ROUNDS]);
	free(lines);
	end(&w);
}
END_TEST

/* Many */

static size_t open_many(struct world *w, struct line *lines, size_t most)
{
	size_t n;

	for (n = 0; n < most; n++) {
		intptr_t ends[2];
		if (!sockets_try_pair(&w->l, ends))
			break;
		memset(&lines[n], 0, sizeof lines[n]);
		lines[n].near = ends[0];
		lines[n].far = ends[1];
		add(w, &lines[n].item, lines[n].near, 0);
	}
	return n;
}

static void close_many(struct world *w, struct line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_line(w, &lines[i]);
}

static struct line *line_of(struct tofu_poll_item *item)
{
	return (struct line *)((char *)item - offsetof(struct line, item));
}

static size_t mark_told(struct world *w)
{
	size_t fresh = 0;

	for (size_t i = 0; i < w->count; i++) {
		struct line *line = line_of(w->events[i].item);
		fresh += !line->told;
		line->told = true;
	}
	return fresh;
}

START_TEST(more_ready_than_there_is_room_for_come_in_the_next_waits)
{
	enum { N = 20, CAPACITY = 6, WAITS = 2 * ((N + CAPACITY - 1) / CAPACITY) };
	struct world w;
	struct line lines[N];
	size_t told = 0;

	if (!begin(&w, _i))
		return;
	ck_assert_uint_eq(open_many(&w, lines, N), N);
	for (size_t i = 0; i < N; i++)
		want(&w, &lines[i], TOFU_POLL_WRITE);
	for (int i = 0; i < WAITS; i++) {
		wait_once(&w, CAPACITY, TOFU_FOREVER);
		told += mark_told(&w);
	}
	ck_assert_uint_eq(told, N);
	close_many(&w, lines, N);
	end(&w);
}
END_TEST

/* What goes on between two waits. Whatever it is, nobody may lose his turn by it. */
enum unrest { WITHDRAW, WITHDRAW_BACKWARDS, VISIT, UNRESTS };

/* Those that were reported withdraw, then all declare again. */
static void withdraw(struct world *w, bool backwards)
{
	for (size_t i = 0; i < w->count; i++)
		want(w, line_of(w->events[backwards ? w->count - 1 - i : i].item), 0);
	for (size_t i = 0; i < w->count; i++)
		want(w, line_of(w->events[i].item), TOFU_POLL_WRITE);
}

/* Somebody else declares an interest and withdraws it. */
static void visit(struct world *w, struct line *visitor)
{
	want(w, visitor, TOFU_POLL_WRITE);
	want(w, visitor, 0);
}

static void stir(struct world *w, enum unrest unrest, struct line *visitor)
{
	if (unrest == VISIT)
		visit(w, visitor);
	else
		withdraw(w, unrest == WITHDRAW_BACKWARDS);
}

static void nobody_starves(struct world *w, struct line *lines, size_t n, size_t capacity, enum unrest unrest)
{
	size_t waits = 2 * ((n + capacity - 1) / capacity);

	for (size_t i = 0; i < n; i++)
		want(w, &lines[i], TOFU_POLL_WRITE);
	for (int round = 0; round < 10; round++) {
		size_t told = 0;
		for (size_t i = 0; i < n; i++)
			lines[i].told = false;
		for (size_t i = 0; i < waits; i++) {
			wait_once(w, capacity, TOFU_FOREVER);
			told += mark_told(w);
			stir(w, unrest, &lines[n]);
		}
		ck_assert_uint_eq(told, n);
	}
	for (size_t i = 0; i < n; i++)
		want(w, &lines[i], 0);
}

START_TEST(nobody_starves_while_others_come_and_go)
{
	enum { MOST = 12 };
	struct world w;
	struct line lines[MOST + 1];

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	ck_assert_uint_eq(open_many(&w, lines, MOST + 1), MOST + 1);
	for (size_t n = 2; n <= MOST; n++)
		for (size_t capacity = 1; capacity < n; capacity++)
			for (int unrest = 0; unrest < UNRESTS; unrest++)
				nobody_starves(&w, lines, n, capacity, (enum unrest)unrest);
	close_many(&w, lines, MOST + 1);
	end(&w);
}
END_TEST

static size_t send_to_some(struct line *lines, size_t n, size_t from, size_t step)
{
	size_t sent = 0;

	for (size_t i = from; i < n; i += step, sent++)
		sockets_send(lines[i].far, "x", 1);
	return sent;
}

/* Until so many different lines were reported; read what they got. */
static void hear_from(struct world *w, size_t expected)
{
	for (size_t heard = 0; heard < expected;) {
		char got;
		wait_for_events(w);
		for (size_t i = 0; i < w->count; i++)
			ck_assert_uint_eq(sockets_receive(line_of(w->events[i].item)->near, &got, 1), 1);
		heard += mark_told(w);
	}
	expect_nothing_now(w);
}

static void check_told(struct line *lines, size_t n, size_t from, size_t step)
{
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(lines[i].told, i >= from && (i - from) % step == 0);
		lines[i].told = false;
	}
}

/* 500 connections, both ends watched: as many as common limits on descriptors allow. */
START_TEST(a_thousand_items_report_for_themselves)
{
	enum { N = 500, AT_LEAST = 100 };
	struct world w;
	struct line *lines;
	struct tofu_poll_item *far;
	size_t n;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	lines = calloc(N, sizeof *lines);
	far = calloc(N, sizeof *far);
	ck_assert(lines != NULL && far != NULL);
	n = open_many(&w, lines, N);
	ck_assert_uint_ge(n, AT_LEAST);
	for (size_t i = 0; i < n; i++) {
		add(&w, &far[i], lines[i].far, TOFU_POLL_READ);
		want(&w, &lines[i], TOFU_POLL_READ);
	}
	hear_from(&w, send_to_some(lines, n, 3, 97));
	check_told(lines, n, 3, 97);

	for (size_t i = 0; i < n; i++) /* the table closes up */
		drop(&w, &far[n - 1 - i]);
	for (size_t i = 0; i < n; i += 2) {
		want(&w, &lines[i], 0);
		ck_assert_uint_eq(lines[i].item.want, 0);
	}
	hear_from(&w, send_to_some(lines, n, 1, 2));
	check_told(lines, n, 1, 2);
	close_many(&w, lines, n);
	free(far);
	free(lines);
	end(&w);
}
END_TEST

START_TEST(reads_asked_counts_the_readers_of_each_wait)
{
	enum { N = 4 };
	struct world w;
	struct line lines[N];

	if (!begin(&w, _i))
		return;
	ck_assert_uint_eq(open_many(&w, lines, N), N);
	for (size_t i = 0; i < 3; i++)
		want(&w, &lines[i], TOFU_POLL_READ);
	want(&w, &lines[3], TOFU_POLL_WRITE);
	wait_once(&w, ROOM, 0);
	ck_assert_uint_eq(w.p->reads_asked, 3);
	want(&w, &lines[0], TOFU_POLL_READ); /* the same again */
	want(&w, &lines[0], TOFU_POLL_READ | TOFU_POLL_WRITE);
	wait_once(&w, ROOM, 0);
	ck_assert_uint_eq(w.p->reads_asked, 6);
	want(&w, &lines[0], TOFU_POLL_WRITE);
	wait_once(&w, ROOM, 0);
	ck_assert_uint_eq(w.p->reads_asked, 8);
	tofu_poller_remove(w.p, &lines[1].item);
	want(&w, &lines[2], 0);
	wait_once(&w, ROOM, 0);
	ck_assert_uint_eq(w.p->reads_asked, 8);
	close_many(&w, lines, N);
	end(&w);
}
END_TEST

/* Wakes */

START_TEST(a_wake_before_the_wait_ends_it_at_once)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	tofu_poller_wake(w.p);
	wait_once(&w, ROOM, TOFU_FOREVER);
	ck_assert_uint_eq(w.count, 0);
	end(&w);
}
END_TEST

START_TEST(many_wakes_are_one)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	for (int i = 0; i < 1000; i++)
		tofu_poller_wake(w.p);
	wait_once(&w, ROOM, TOFU_FOREVER);
	expect_sleep(&w, 10 * TOFU_NS_PER_MS);
	end(&w);
}
END_TEST

START_TEST(a_wake_is_no_event_and_hides_none)
{
	struct world w;
	struct line a;

	if (!begin(&w, _i))
		return;
	open_line(&w, &a, TOFU_POLL_WRITE);
	for (int i = 0; i < 3; i++) {
		tofu_poller_wake(w.p);
		expect(&w, &a.item, TOFU_POLL_WRITE);
	}
	close_line(&w, &a);
	end(&w);
}
END_TEST

/* State that other threads change, each change followed by a wake; the waiting thread must see every one. */
struct board {
	struct tofu_poller *p;
	struct tofu_mutex m;
	struct tofu_cond seen;
	int posted[4]; /* per thread: its last round */
	int taken[4];
	int rounds;
	int64_t pause_ns; /* before each post, to let the waiter fall asleep */
};

struct waker {
	struct board *board;
	int number;
	struct tofu_thread thread;
};

static void pause_until_asleep(struct board *b)
{
	int64_t deadline = tofu_plat_deadline(b->pause_ns);

	if (b->pause_ns != 0)
		while (tofu_cond_wait_until(&b->seen, &b->m, deadline))
			;
}

static void run_waker(void *context)
{
	struct waker *w = context;
	struct board *b = w->board;

	tofu_mutex_lock(&b->m);
	for (int round = 1; round <= b->rounds; round++) {
		pause_until_asleep(b);
		b->posted[w->number] = round;
		tofu_mutex_unlock(&b->m);
		tofu_poller_wake(b->p);
		tofu_mutex_lock(&b->m);
		while (b->taken[w->number] != round)
			tofu_cond_wait_until(&b->seen, &b->m, TOFU_FOREVER);
	}
	tofu_mutex_unlock(&b->m);
}

/* Take what was posted; how much that was. */
static int take_posts(struct board *b, int threads)
{
	int took = 0;

	tofu_mutex_lock(&b->m);
	for (int i = 0; i < threads; i++) {
		took += b->posted[i] - b->taken[i];
		b->taken[i] = b->posted[i];
	}
	tofu_cond_broadcast(&b->seen);
	tofu_mutex_unlock(&b->m);
	return took;
}

static void be_woken(struct world *w, int threads, int rounds, int64_t pause_ns)
{
	struct board b = { .p = w->p, .rounds = rounds, .pause_ns = pause_ns };
	struct waker wakers[4];

	ck_status(tofu_mutex_init(&b.m), TOFU_OK);
	ck_status(tofu_cond_init(&b.seen), TOFU_OK);
	for (int i = 0; i < threads; i++) {
		wakers[i].board = &b;
		wakers[i].number = i;
		ck_status(tofu_thread_start(&wakers[i].thread, run_waker, &wakers[i]), TOFU_OK);
	}
	for (int took = 0; took < threads * rounds; took += take_posts(&b, threads)) {
		wait_once(w, ROOM, TOFU_FOREVER); /* a lost wake would make this the last */
		ck_assert_uint_eq(w->count, 0);
	}
	for (int i = 0; i < threads; i++)
		tofu_thread_join(&wakers[i].thread);
	tofu_cond_fini(&b.seen);
	tofu_mutex_fini(&b.m);
}

START_TEST(a_wake_from_another_thread_ends_a_long_wait)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	be_woken(&w, 1, 3, 10 * TOFU_NS_PER_MS);
	end(&w);
}
END_TEST

START_TEST(no_wake_is_lost_when_many_threads_wake)
{
	struct world w;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	be_woken(&w, 4, 1000, 0);
	end(&w);
}
END_TEST

/* Memory */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Check allocates, too, and may be linked statically: only what happens between watch and unwatch counts. */
static struct {
	bool on;
	int fail_at; /* the n-th allocation fails; 0: none */
	int count;
} memory;

static void watch_memory(int fail_at)
{
	memory.count = 0;
	memory.fail_at = fail_at;
	memory.on = true;
}

/* How many there were. */
static int unwatch_memory(void)
{
	memory.on = false;
	return memory.count;
}

static bool fails(void)
{
	return memory.on && ++memory.count == memory.fail_at;
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

START_TEST(create_without_memory_fails_and_leaves_nothing)
{
	struct tofu_poller *p = NULL;
	int failures = 0;

	for (int n = 1;; n++) {
		enum tofu_status st;
		bool failed;
		p = (struct tofu_poller *)&p;
		watch_memory(n);
		st = tofu_poller_create(pollers[_i].kind, &p);
		failed = unwatch_memory() >= n;
		ck_status(st, failed ? TOFU_ALLOCATION_FAILED : TOFU_OK);
		if (!failed)
			break;
		ck_assert_ptr_null(p);
		failures++;
	}
	ck_assert_int_gt(failures, 0); /* linked with --wrap? */
	tofu_poller_destroy(p);
}
END_TEST

/* Fail at the first allocation, then at the second, until it works. */
static int add_without_memory(struct world *w, struct line *line)
{
	for (int n = 1;; n++) {
		enum tofu_status st;
		bool failed;
		watch_memory(n);
		st = tofu_poller_add(w->p, &line->item, line->near);
		if (st == TOFU_OK)
			st = tofu_poller_want(w->p, &line->item, TOFU_POLL_WRITE);
		failed = unwatch_memory() >= n;
		ck_status(st, failed ? TOFU_ALLOCATION_FAILED : TOFU_OK);
		if (!failed)
			return n - 1;
		ck_assert_uint_eq(line->item.want, 0);
		tofu_poller_remove(w->p, &line->item);
	}
}

START_TEST(growth_without_memory_fails_and_changes_nothing)
{
	enum { N = 150 };
	struct world w;
	struct line *lines;
	int failures = 0;
	size_t told = 0;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	lines = calloc(N, sizeof *lines);
	ck_assert_ptr_nonnull(lines);
	for (size_t i = 0; i < N; i++) {
		intptr_t ends[2];
		sockets_pair(&w.l, ends);
		lines[i].near = ends[0];
		lines[i].far = ends[1];
		failures += add_without_memory(&w, &lines[i]);
	}
	if (w.backend->kind != TOFU_POLLER_EPOLL) /* which has no memory of its own per item */
		ck_assert_int_gt(failures, 0);
	for (size_t i = 0; i < 2 * (N / ROOM + 1); i++) {
		wait_once(&w, ROOM, TOFU_FOREVER);
		told += mark_told(&w);
	}
	ck_assert_uint_eq(told, N);
	close_many(&w, lines, N);
	free(lines);
	end(&w);
}
END_TEST

/* How often that allocates; nothing in it asserts, for that may allocate. */
static int come_and_go(struct world *w, struct line *lines, size_t n)
{
	bool good = true;
	int count;

	watch_memory(0);
	for (size_t i = 0; i < n; i++) {
		good &= tofu_poller_add(w->p, &lines[i].item, lines[i].near) == TOFU_OK;
		good &= tofu_poller_want(w->p, &lines[i].item, TOFU_POLL_WRITE) == TOFU_OK;
		good &= tofu_poller_wait(w->p, w->events, ROOM, 0, &w->count) == TOFU_OK;
	}
	count = unwatch_memory();
	ck_assert(good);
	for (size_t i = 0; i < n; i++)
		drop(w, &lines[i].item);
	return count;
}

START_TEST(nothing_is_allocated_once_warm)
{
	enum { N = 100 };
	struct world w;
	struct line *lines;
	size_t n;

	if (!begin_on(&w, _i, SOCKETS_TCP))
		return;
	lines = calloc(N, sizeof *lines);
	ck_assert_ptr_nonnull(lines);
	n = open_many(&w, lines, N);
	for (size_t i = 0; i < n; i++)
		drop(&w, &lines[i].item);
	(void)come_and_go(&w, lines, n);
	ck_assert_int_eq(come_and_go(&w, lines, n), 0);
	for (size_t i = 0; i < n; i++) {
		sockets_close(lines[i].near);
		sockets_close(lines[i].far);
	}
	free(lines);
	end(&w);
}
END_TEST

static TCase *new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, start, stop);
	suite_add_tcase(s, tc);
	return tc;
}

static void add_creation(Suite *s)
{
	TCase *tc = new_case(s, "creation");

	tcase_add_loop_test(tc, create_gives_the_backend_asked_for, 0, BACKENDS);
	tcase_add_test(tc, create_without_a_preference_gives_one);
	tcase_add_test(tc, create_of_an_unknown_kind_is_not_supported);
}

static void add_environment(Suite *s)
{
	TCase *tc = tcase_create("environment");

	tcase_add_checked_fixture(tc, remember_variable, restore_variable);
	tcase_add_loop_test(tc, the_variable_names_the_backend_where_there_is_no_preference, 0, BACKENDS);
	tcase_add_loop_test(tc, a_preference_overrides_the_variable, 0, BACKENDS);
	tcase_add_test(tc, an_empty_variable_is_none);
	tcase_add_test(tc, poll_is_the_default_only_where_there_is_nothing_else);
	tcase_add_test(tc, an_engine_is_not_made_with_a_backend_that_is_unknown_or_not_in_this_build);
	suite_add_tcase(s, tc);
}

static void add_time(Suite *s)
{
	TCase *tc = new_case(s, "time");

	tcase_add_loop_test(tc, wait_with_nothing_ends_after_the_time_and_not_before, 0, BACKENDS);
	tcase_add_loop_test(tc, wait_for_no_time_looks_and_returns, 0, BACKENDS);
	tcase_add_loop_test(tc, an_event_ends_a_wait_for_the_longest_time, 0, BACKENDS);
}

static void add_readiness(Suite *s)
{
	TCase *tc = new_case(s, "readiness");

	tcase_add_loop_test(tc, readable_after_the_peer_wrote, 0, WORLDS);
	tcase_add_loop_test(tc, writable_at_once, 0, WORLDS);
	tcase_add_loop_test(tc, nothing_is_wanted_after_add, 0, WORLDS);
	tcase_add_loop_test(tc, both_directions_are_one_event, 0, WORLDS);
	tcase_add_loop_test(tc, only_what_is_wanted_is_reported_after_read_became_write_and_back, 0, WORLDS);
	tcase_add_loop_test(tc, several_ready_at_once_are_one_batch, 0, WORLDS);
	tcase_add_loop_test(tc, buffered_data_is_reported_until_it_is_read, 0, WORLDS);
	tcase_add_loop_test(tc, interest_that_was_dropped_reports_nothing_and_resumed_reports_all, 0, WORLDS);
	tcase_add_loop_test(tc, data_that_is_there_before_the_interest_is_reported_at_once, 0, WORLDS);
	tcase_add_loop_test(tc, interest_widened_while_pending_reports_what_is_new, 0, WORLDS);
	tcase_add_loop_test(tc, interest_narrowed_while_pending_reports_only_what_is_left, 0, WORLDS);
	tcase_add_loop_test(tc, interest_withdrawn_while_pending_reports_nothing_until_it_is_back, 0, WORLDS);
	tcase_add_loop_test(tc, of_many_changes_before_a_wait_the_last_one_counts, 0, WORLDS);
}

static void add_connections(Suite *s)
{
	TCase *tc = new_case(s, "connections");

	tcase_add_loop_test(tc, a_listener_reports_each_connection_until_it_is_accepted, 0, WORLDS);
	tcase_add_loop_test(tc, what_stands_for_a_listener_is_reported_while_it_is_readable, 0, WORLDS);
	tcase_add_loop_test(tc, a_connect_that_succeeds_is_reported, 0, WORLDS);
	tcase_add_loop_test(tc, a_connect_that_fails_is_reported, 0, BACKENDS);
	tcase_add_loop_test(tc, a_connect_to_nowhere_can_be_given_up, 0, BACKENDS);
	tcase_add_loop_test(tc, a_peer_that_closed_is_something_to_read, 0, WORLDS);
	tcase_add_loop_test(tc, data_and_the_end_after_it_are_reported_until_both_were_read, 0, WORLDS);
	tcase_add_loop_test(tc, a_peer_that_reset_is_something_to_read, 0, WORLDS);
	tcase_add_loop_test(tc, a_peer_that_reset_is_reported_to_a_writer, 0, WORLDS);
	tcase_add_loop_test(tc, a_dead_connection_that_wants_nothing_is_silent_and_lets_the_poller_sleep, 0, WORLDS);
}

static void add_removal(Suite *s)
{
	TCase *tc = new_case(s, "removal");

	tcase_add_loop_test(tc, remove_stops_events, 0, WORLDS);
	tcase_add_loop_test(tc, remove_of_what_was_never_added_does_nothing, 0, BACKENDS);
	tcase_add_loop_test(tc, a_reused_descriptor_never_reports_for_the_item_before, 0, WORLDS);
	tcase_add_loop_test(tc, a_connection_closed_while_pending_is_forgotten, 0, WORLDS);
	tcase_add_loop_test(tc, a_descriptor_reused_while_the_one_before_was_pending_reports_for_the_new_item, 0,
	                    WORLDS);
}

static void add_many(Suite *s)
{
	TCase *tc = new_case(s, "many");

	tcase_add_loop_test(tc, more_ready_than_there_is_room_for_come_in_the_next_waits, 0, WORLDS);
	tcase_add_loop_test(tc, nobody_starves_while_others_come_and_go, 0, BACKENDS);
	tcase_add_loop_test(tc, a_thousand_items_report_for_themselves, 0, BACKENDS);
	tcase_add_loop_test(tc, reads_asked_counts_the_readers_of_each_wait, 0, WORLDS);
}

static void add_wakes(Suite *s)
{
	TCase *tc = new_case(s, "wakes");

	tcase_add_loop_test(tc, a_wake_before_the_wait_ends_it_at_once, 0, BACKENDS);
	tcase_add_loop_test(tc, many_wakes_are_one, 0, BACKENDS);
	tcase_add_loop_test(tc, a_wake_is_no_event_and_hides_none, 0, WORLDS);
	tcase_add_loop_test(tc, a_wake_from_another_thread_ends_a_long_wait, 0, BACKENDS);
	tcase_add_loop_test(tc, no_wake_is_lost_when_many_threads_wake, 0, BACKENDS);
}

static void add_memory(Suite *s)
{
	TCase *tc = new_case(s, "memory");

	tcase_add_loop_test(tc, create_without_memory_fails_and_leaves_nothing, 0, BACKENDS);
	tcase_add_loop_test(tc, growth_without_memory_fails_and_changes_nothing, 0, BACKENDS);
	tcase_add_loop_test(tc, nothing_is_allocated_once_warm, 0, BACKENDS);
}

static Suite *suite_of_poller(void)
{
	Suite *s = suite_create("poller");

	add_creation(s);
	add_environment(s);
	add_time(s);
	add_readiness(s);
	add_connections(s);
	add_removal(s);
	add_many(s);
	add_wakes(s);
	add_memory(s);
	return s;
}

int main(void)
{
	return harness_run(suite_of_poller());
}
