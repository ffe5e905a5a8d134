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

struct fake {
	struct tofu_transport table;
	const struct tofu_transport *real;
};

static struct tofu_transport *copy_of(struct fake fakes[OVER_NR], int transport, const char *scheme)
{
	struct fake *fake = &fakes[transport];

	fake->real = over_transport(transport);
	fake->table = *fake->real;
	fake->table.scheme = scheme;
	fake->table.form = TOFU_FORM_TEXT; /* lists of addresses */
	return &fake->table;
}

/* Of a fake, whose table comes first. */
static const struct tofu_transport *real(const struct tofu_transport *t)
{
	return ((const struct fake *)(const void *)t)->real;
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

static enum tofu_status slow_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	enum tofu_status st = slow_wait(may_block);

	return st == TOFU_OK ? real(t)->resolve(real(t), rest, purpose, may_block, out, capacity, count) : st;
}

const struct tofu_transport *fake_slow(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "slow");

	fake->resolve = slow_resolve;
	return fake;
}

/* stuck: waits for data that nobody sends, where it should wait for the connection */

static enum tofu_status stuck_at(enum tofu_status st, unsigned *want)
{
	*want = TOFU_READABLE;
	return st == TOFU_OK ? TOFU_WOULD_BLOCK : st;
}

static enum tofu_status stuck_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                    const struct tofu_sockaddr *to, unsigned *want)
{
	return stuck_at(real(t)->connect_start(real(t), link, rest, to, want), want);
}

static enum tofu_status stuck_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	return stuck_at(TOFU_OK, want);
}

const struct tofu_transport *fake_stuck(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "stuck");

	fake->connect_start = stuck_start;
	fake->connect_finish = stuck_finish;
	return fake;
}

/* many: a list of addresses */

static enum tofu_status many_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	char one[512];

	for (*count = 0; *rest != '\0' && *count < capacity;) {
		size_t len = strcspn(rest, ","), got = 0;
		enum tofu_status st;

		snprintf(one, sizeof one, "%.*s", (int)len, rest);
		st = real(t)->resolve(real(t), one, purpose, may_block, out + *count, capacity - *count, &got);
		if (st != TOFU_OK)
			return st;
		*count += got;
		rest += len + (rest[len] == ',');
	}
	return *count > 0 ? TOFU_OK : TOFU_HOST_NOT_FOUND;
}

const struct tofu_transport *fake_many(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "many");

	fake->resolve = many_resolve;
	return fake;
}

/* asking */

static atomic_int asked;

static void asking_acknowledge(const struct tofu_transport *t, struct tofu_link *link)
{
	atomic_fetch_add(&asked, 1);
	real(t)->acknowledge(real(t), link);
}

const struct tofu_transport *fake_asking(void)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, OVER_TCP, "asking");

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

static enum tofu_status tiny_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                  size_t count, size_t *done, unsigned *want)
{
	struct tofu_iov one = { .base = iov->base, .len = 1 };

	for (; count > 1 && iov->len == 0; count--)
		one.base = (++iov)->base;
	if (tiny_waits())
		return TOFU_WOULD_BLOCK;
	return real(t)->send(real(t), link, &one, 1, done, want);
}

static enum tofu_status tiny_receive(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                     size_t count, size_t *done, unsigned *want)
{
	struct tofu_iov one = { .base = iov->base, .len = 1 };

	for (; count > 1 && iov->len == 0; count--)
		one.base = (++iov)->base;
	if (tiny_waits())
		return TOFU_WOULD_BLOCK;
	return real(t)->receive(real(t), link, &one, 1, done, want);
}

/* Sending and receiving are the same for both: plain sockets. */
const struct tofu_transport *fake_tiny(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "tiny");

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

static enum tofu_status turned_receive(const struct tofu_transport *t, struct tofu_link *link,
                                       const struct tofu_iov *iov, size_t count, size_t *done, unsigned *want)
{
	if (atomic_load(&turned_left) == 0)
		return real(t)->receive(real(t), link, iov, count, done, want);
	atomic_fetch_sub(&turned_left, 1);
	*want = TOFU_WRITABLE;
	return TOFU_WOULD_BLOCK;
}

const struct tofu_transport *fake_turned(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "turned");

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

static enum tofu_status counted_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                       const struct tofu_sockaddr *at)
{
	return opened(listener, real(t)->listen(real(t), listener, at));
}

static enum tofu_status counted_accept(const struct tofu_transport *t, struct tofu_link *listener,
                                       struct tofu_link *link)
{
	enum tofu_status st = real(t)->accept(real(t), listener, link);

	return st == TOFU_OK ? opened(link, st) : st;
}

static enum tofu_status counted_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                      const struct tofu_sockaddr *to, unsigned *want)
{
	return opened(link, real(t)->connect_start(real(t), link, rest, to, want));
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

static void counted_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	closed(link);
	real(t)->close(real(t), link, how);
}

const struct tofu_transport *fake_counted(int transport)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, transport, "counted");

	fake->listen = counted_listen;
	fake->accept = counted_accept;
	fake->connect_start = counted_start;
	fake->close = counted_close;
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
