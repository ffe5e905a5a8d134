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
	fake->form = TOFU_FORM_TEXT; /* a list of addresses */
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

/* racing: attempts that go as the address says. What one is stays in the state of its link, and in what the test asks for. */

enum { RACERS_MAX = 256 };

struct racer {
	char kind;
	int left; /* calls that are still refused */
};

static struct {
	atomic_int started, closed, open, most_open;
	char started_kinds[RACERS_MAX + 1];
	char started_at[RACERS_MAX];
	char closed_at[RACERS_MAX];
	struct racer racers[RACERS_MAX]; /* by the place of their address */
} race;

void racing_anew(void)
{
	memset(&race, 0, sizeof race);
}

int racing_started(void)
{
	return atomic_load(&race.started);
}

int racing_closed(void)
{
	return atomic_load(&race.closed);
}

int racing_most(void)
{
	return atomic_load(&race.most_open);
}

const char *racing_order(void)
{
	return race.started_kinds;
}

int racing_start(int i)
{
	return race.started_at[i];
}

int racing_close(int i)
{
	return race.closed_at[i];
}

static bool racing_is_ipv6(char kind)
{
	return kind == '6';
}

/* "PLAN:REST": one address per letter, which knows its place. */
static enum tofu_status racing_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                       int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	const size_t most = strcspn(rest, ":");
	enum tofu_status st = TOFU_OK;

	for (*count = 0; st == TOFU_OK && *count < most && *count < capacity; ++*count) {
		const char *at = racing_is_ipv6(rest[*count]) ? "::1|1" : rest + most + 1;
		size_t one;

		st = real(t)->resolve(real(t), at, purpose, may_block, &out[*count], 1, &one);
		out[*count].reserved = (uint32_t)*count;
		race.racers[*count] = (struct racer){ .kind = rest[*count], .left = 3 };
	}
	return st;
}

static enum tofu_status racing_open(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                    const struct tofu_sockaddr *to, unsigned *want)
{
	struct racer *racer = &race.racers[to->reserved];
	enum tofu_status st = real(t)->connect_start(real(t), link, rest, to, want);
	int open;

	link->state = racer;
	open = atomic_fetch_add(&race.open, 1) + 1;
	if (open > atomic_load(&race.most_open))
		atomic_store(&race.most_open, open);
	if (st == TOFU_OK && racer->kind != 'a') /* it has its word to say yet */
		st = TOFU_WOULD_BLOCK;
	if (racer->kind != 'a')
		*want = TOFU_READABLE;
	return st;
}

static enum tofu_status racing_start_one(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                         const struct tofu_sockaddr *to, unsigned *want)
{
	struct racer *racer = &race.racers[to->reserved];
	int now = atomic_load(&race.started);

	race.started_kinds[now] = racer->kind;
	race.started_at[now] = (char)to->reserved;
	atomic_fetch_add(&race.started, 1);
	switch (racer->kind) {
	case 'r':
	case '4':
	case '6':
		return TOFU_CONNECT_FAILED;
	case 'l':
		if (racer->left-- > 0)
			return TOFU_LIMIT_REACHED;
		racer->kind = 'a';
		break;
	case 'p':
		*want = 0;
		if (racer->left-- > 0)
			return TOFU_WOULD_BLOCK;
		racer->kind = 'a';
		break;
	case 'w':
		*want = 0;
		return TOFU_WOULD_BLOCK;
	default:
		break;
	}
	return racing_open(t, link, rest, to, want);
}

static enum tofu_status racing_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	struct racer *racer = link->state;
	char word;
	struct tofu_iov one = { .base = &word, .len = 1 };
	enum tofu_status st;
	size_t done;

	if (racer->kind == 'a')
		return real(t)->connect_finish(real(t), link, want);
	*want = TOFU_READABLE;
	if (racer->kind == 's')
		return TOFU_WOULD_BLOCK;
	if (racer->kind == 'h' || racer->kind == 'z') {
		st = real(t)->receive(real(t), link, &one, 1, &done, want);
		if (st != TOFU_OK)
			return st;
		if (racer->kind == 'h')
			return TOFU_OK;
		racer->kind = 'Z';
	}
	if (racer->kind == 'Z') {
		*want = 0;
		return racer->left-- > 0 ? TOFU_WOULD_BLOCK : TOFU_OK;
	}
	return racer->kind == 'f' ? TOFU_PERMISSION_DENIED : TOFU_COMMUNICATION_FAILED;
}

static void racing_end(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	struct racer *racer = link->state;

	if (racer != NULL) {
		race.closed_at[atomic_load(&race.closed)] = (char)(racer - race.racers);
		atomic_fetch_add(&race.closed, 1);
		atomic_fetch_sub(&race.open, 1);
	}
	link->state = NULL;
	real(t)->close(real(t), link, how);
}

const struct tofu_transport *fake_racing(void)
{
	static struct fake fakes[OVER_NR];
	struct tofu_transport *fake = copy_of(fakes, OVER_TCP, "racing");

	fake->resolve = racing_resolve;
	fake->form = TOFU_FORM_TEXT;
	fake->connect_start = racing_start_one;
	fake->connect_finish = racing_finish;
	fake->close = racing_end;
	return fake;
}
