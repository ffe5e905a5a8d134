/* SPDX-License-Identifier: MIT */

/*
 * A fake is a copy of a real transport's table with some operations replaced; the replaced one calls the real one. Nothing
 * is freed: the tables are static. What the fakes share is guarded by atomics, for resolve runs on threads of its own.
 */

#include "fake.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "steps.h"

static struct tofu_transport *copy_of(struct tofu_transport table[OVER_NR], int transport, const char *scheme)
{
	table[transport] = *over_transport(transport);
	table[transport].scheme = scheme;
	return &table[transport];
}

/* slow: resolve waits. It uses no lock of the library's, since it may outlast every engine. */

static atomic_bool slow_held;
static atomic_int slow_count;

void slow_hold(void)
{
	atomic_store(&slow_held, true);
}

void slow_release(void)
{
	atomic_store(&slow_held, false);
}

int slow_waiting(void)
{
	return atomic_load(&slow_count);
}

static enum tofu_status slow_wait(int may_block)
{
	if (!may_block)
		return TOFU_WOULD_BLOCK;
	atomic_fetch_add(&slow_count, 1);
	while (atomic_load(&slow_held))
		os_pause();
	atomic_fetch_sub(&slow_count, 1);
	return TOFU_OK;
}

static enum tofu_status slow_resolve_tcp(const char *rest, enum tofu_purpose purpose, int may_block,
                                         struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	enum tofu_status st = slow_wait(may_block);

	return st == TOFU_OK ? over_transport(OVER_TCP)->resolve(rest, purpose, may_block, out, capacity, count) : st;
}

static enum tofu_status slow_resolve_uds(const char *rest, enum tofu_purpose purpose, int may_block,
                                         struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	enum tofu_status st = slow_wait(may_block);

	return st == TOFU_OK ? over_transport(OVER_UDS)->resolve(rest, purpose, may_block, out, capacity, count) : st;
}

const struct tofu_transport *fake_slow(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "slow");

	fake->resolve = transport == OVER_TCP ? slow_resolve_tcp : slow_resolve_uds;
	return fake;
}

/* stuck: waits for data that nobody sends, where it should wait for the connection */

static enum tofu_status stuck_at(enum tofu_status st, unsigned *want)
{
	*want = TOFU_READABLE;
	return st == TOFU_OK ? TOFU_WOULD_BLOCK : st;
}

static enum tofu_status stuck_start_tcp(struct tofu_link *link, const struct tofu_sockaddr *to, unsigned *want)
{
	return stuck_at(over_transport(OVER_TCP)->connect_start(link, to, want), want);
}

static enum tofu_status stuck_start_uds(struct tofu_link *link, const struct tofu_sockaddr *to, unsigned *want)
{
	return stuck_at(over_transport(OVER_UDS)->connect_start(link, to, want), want);
}

static enum tofu_status stuck_finish(struct tofu_link *link, unsigned *want)
{
	(void)link;
	return stuck_at(TOFU_OK, want);
}

const struct tofu_transport *fake_stuck(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "stuck");

	fake->connect_start = transport == OVER_TCP ? stuck_start_tcp : stuck_start_uds;
	fake->connect_finish = stuck_finish;
	return fake;
}

/* many: a list of addresses */

static enum tofu_status many_resolve(int transport, const char *rest, enum tofu_purpose purpose, int may_block,
                                     struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	char one[512];

	for (*count = 0; *rest != '\0' && *count < capacity;) {
		size_t len = strcspn(rest, ","), got = 0;
		enum tofu_status st;

		snprintf(one, sizeof one, "%.*s", (int)len, rest);
		st = over_transport(transport)->resolve(one, purpose, may_block, out + *count, capacity - *count, &got);
		if (st != TOFU_OK)
			return st;
		*count += got;
		rest += len + (rest[len] == ',');
	}
	return *count > 0 ? TOFU_OK : TOFU_HOST_NOT_FOUND;
}

static enum tofu_status many_resolve_tcp(const char *rest, enum tofu_purpose purpose, int may_block,
                                         struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	return many_resolve(OVER_TCP, rest, purpose, may_block, out, capacity, count);
}

static enum tofu_status many_resolve_uds(const char *rest, enum tofu_purpose purpose, int may_block,
                                         struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	return many_resolve(OVER_UDS, rest, purpose, may_block, out, capacity, count);
}

const struct tofu_transport *fake_many(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "many");

	fake->resolve = transport == OVER_TCP ? many_resolve_tcp : many_resolve_uds;
	return fake;
}

/* asking */

static atomic_int asked;

static void asking_acknowledge(struct tofu_link *link)
{
	atomic_fetch_add(&asked, 1);
	over_transport(OVER_TCP)->acknowledge(link);
}

const struct tofu_transport *fake_asking(void)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, OVER_TCP, "asking");

	fake->acknowledge = asking_acknowledge;
	return fake;
}

int asking_asked(void)
{
	return atomic_load(&asked);
}

/* tiny: as little as possible at a time */

/* By chance, so that no link is always the one that waits. */
static bool tiny_waits(void)
{
	static _Thread_local unsigned seed;

	seed = seed * 1103515245u + 12345u;
	return (seed >> 16 & 1) != 0;
}

static enum tofu_status tiny_send(struct tofu_link *link, const struct tofu_iov *iov, size_t count, size_t *done,
                                  unsigned *want)
{
	struct tofu_iov one = { .base = iov->base, .len = 1 };

	for (; count > 1 && iov->len == 0; count--)
		one.base = (++iov)->base;
	if (tiny_waits())
		return TOFU_WOULD_BLOCK;
	return over_transport(OVER_TCP)->send(link, &one, 1, done, want);
}

static enum tofu_status tiny_receive(struct tofu_link *link, const struct tofu_iov *iov, size_t count, size_t *done,
                                     unsigned *want)
{
	struct tofu_iov one = { .base = iov->base, .len = 1 };

	for (; count > 1 && iov->len == 0; count--)
		one.base = (++iov)->base;
	if (tiny_waits())
		return TOFU_WOULD_BLOCK;
	return over_transport(OVER_TCP)->receive(link, &one, 1, done, want);
}

/* Sending and receiving are the same for both: plain sockets. */
const struct tofu_transport *fake_tiny(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "tiny");

	fake->send = tiny_send;
	fake->receive = tiny_receive;
	return fake;
}

/* turned: receiving waits for writability */

static atomic_int turned_left;

void turned_receives(int times)
{
	atomic_store(&turned_left, times);
}

static enum tofu_status turned_receive(struct tofu_link *link, const struct tofu_iov *iov, size_t count, size_t *done,
                                       unsigned *want)
{
	if (atomic_load(&turned_left) == 0)
		return over_transport(OVER_TCP)->receive(link, iov, count, done, want);
	atomic_fetch_sub(&turned_left, 1);
	*want = TOFU_WRITABLE;
	return TOFU_WOULD_BLOCK;
}

const struct tofu_transport *fake_turned(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "turned");

	fake->receive = turned_receive;
	return fake;
}

/* counted */

enum { HANDLES = 1 << 16 };

static atomic_int handles_open;
static atomic_int handles_wrong;
static atomic_bool handle_is_open[HANDLES];

static enum tofu_status opened(const struct tofu_link *link, enum tofu_status st)
{
	/* A link in which a handle was left is to be closed, also after a failure. */
	if (link->handle < 0 || link->handle >= HANDLES || (st != TOFU_OK && st != TOFU_WOULD_BLOCK))
		return st;
	if (atomic_exchange(&handle_is_open[link->handle], true))
		atomic_fetch_add(&handles_wrong, 1);
	atomic_fetch_add(&handles_open, 1);
	return st;
}

static enum tofu_status counted_listen_tcp(struct tofu_link *listener, const struct tofu_sockaddr *at)
{
	return opened(listener, over_transport(OVER_TCP)->listen(listener, at));
}

static enum tofu_status counted_listen_uds(struct tofu_link *listener, const struct tofu_sockaddr *at)
{
	return opened(listener, over_transport(OVER_UDS)->listen(listener, at));
}

static enum tofu_status accepted(struct tofu_link *link, enum tofu_status st)
{
	return st == TOFU_OK ? opened(link, st) : st;
}

static enum tofu_status counted_accept_tcp(struct tofu_link *listener, struct tofu_link *link)
{
	return accepted(link, over_transport(OVER_TCP)->accept(listener, link));
}

static enum tofu_status counted_accept_uds(struct tofu_link *listener, struct tofu_link *link)
{
	return accepted(link, over_transport(OVER_UDS)->accept(listener, link));
}

static enum tofu_status counted_start_tcp(struct tofu_link *link, const struct tofu_sockaddr *to, unsigned *want)
{
	return opened(link, over_transport(OVER_TCP)->connect_start(link, to, want));
}

static enum tofu_status counted_start_uds(struct tofu_link *link, const struct tofu_sockaddr *to, unsigned *want)
{
	return opened(link, over_transport(OVER_UDS)->connect_start(link, to, want));
}

static void closed(const struct tofu_link *link)
{
	if (link->handle < 0 || link->handle >= HANDLES)
		return;
	if (atomic_exchange(&handle_is_open[link->handle], false))
		atomic_fetch_sub(&handles_open, 1);
	else
		atomic_fetch_add(&handles_wrong, 1);
}

static void counted_close_tcp(struct tofu_link *link, enum tofu_close how)
{
	closed(link);
	over_transport(OVER_TCP)->close(link, how);
}

static void counted_close_uds(struct tofu_link *link, enum tofu_close how)
{
	closed(link);
	over_transport(OVER_UDS)->close(link, how);
}

const struct tofu_transport *fake_counted(int transport)
{
	static struct tofu_transport table[OVER_NR];
	struct tofu_transport *fake = copy_of(table, transport, "counted");

	fake->listen = transport == OVER_TCP ? counted_listen_tcp : counted_listen_uds;
	fake->accept = transport == OVER_TCP ? counted_accept_tcp : counted_accept_uds;
	fake->connect_start = transport == OVER_TCP ? counted_start_tcp : counted_start_uds;
	fake->close = transport == OVER_TCP ? counted_close_tcp : counted_close_uds;
	return fake;
}

int counted_open(void)
{
	return atomic_load(&handles_open);
}

int counted_wrong(void)
{
	return atomic_load(&handles_wrong);
}
