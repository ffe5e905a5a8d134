/* SPDX-License-Identifier: MIT */

/*
 * Two rings of bytes, one each way, and a signal for each end.
 *
 * A ring has one writer and one reader. Only the writer moves the tail, only the reader the head, and both only grow. The
 * writer alone allocates, replaces and frees the bytes, and only while the ring is empty: the reader does not look at them then.
 *
 * Nobody makes a system call for what nobody waits for. Whoever finds nothing to read, or no room, says so in a flag, and looks
 * once more. Whoever has written or read looks at the flag, and if it is set, takes it back and raises the other end's signal:
 *
 *     waits:  flag = 1;  look at the ring          the other:  move the tail (the head);  look at the flag
 *
 * All four are sequentially consistent, so one of the two sees what the other one did: no wake-up is lost.
 *
 * One signal stands for both directions. It is raised as long as a flag that was taken back has not been answered by another
 * look of the operation that had set it. So whoever finds nothing sets its own flag first, then clears the signal, and raises it
 * again if the other flag has been taken back. What the other end raises too late wakes once in vain.
 *
 * An engine that waits for room may not want to read. It is told by this: it sends in vain again and again, and does not receive
 * in between. What lies there then does not keep the signal raised, or the engine would spin; it looks at that by itself when it
 * reads on.
 */

#include "transport_inproc/connection.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport_inproc/system.h"

/*
 * The ring has room for what is sent at a time, and for as much again while that is read, and more. Small talk takes little; a
 * stream, of which much is sent at a time, takes the most. Beyond that, a stream of small messages does not get faster.
 */
enum { RING_LEAST = 1024, RING_MOST = 256 * 1024, SENDS_IN_RING = 4, CACHE_LINE = 64 };

struct tofu_inproc_ring {
	/* the writer's */
	unsigned char *bytes; /* NULL: none yet, or given back */
	size_t size;          /* a power of 2 */
	size_t tail_then;     /* at the last look at what can be given back */
	_Atomic(size_t) tail;
	atomic_bool room_awaited;
	atomic_bool ended; /* no more is written */
	char apart[CACHE_LINE];
	/* the reader's */
	_Atomic(size_t) head;
	atomic_bool bytes_awaited;
	atomic_bool gone; /* no more is read */
	char apart_from_the_next[CACHE_LINE];
};

enum { CALLER, ACCEPTED, ENDS };

struct tofu_inproc_connection {
	struct tofu_inproc_end ends[ENDS];
	struct tofu_inproc_ring rings[ENDS];
	atomic_int open;
	char name[TOFU_INPROC_NAME_MAX + 1];
};

/* How far a vector is done. */
struct cursor {
	const struct tofu_iov *iov;
	size_t count;
	size_t at;
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* --- rings --- */

/* Copy up to n bytes that begin at a position, into the ring or out of it. */
static size_t copy(struct tofu_inproc_ring *r, size_t position, struct cursor *c, size_t n, bool in)
{
	size_t moved = 0;

	while (moved < n && c->count > 0) {
		size_t offset = (position + moved) & (r->size - 1);
		unsigned char *here = r->bytes + offset;
		unsigned char *there = (unsigned char *)c->iov->base + c->at;
		size_t len = least(least(n - moved, r->size - offset), c->iov->len - c->at);

		if (len > 0)
			memcpy(in ? here : there, in ? there : here, len);
		moved += len;
		c->at += len;
		if (c->at == c->iov->len) {
			c->iov++;
			c->count--;
			c->at = 0;
		}
	}
	return moved;
}

static bool is_empty(const struct tofu_inproc_ring *r)
{
	return atomic_load(&r->tail) == atomic_load(&r->head);
}

/* Enough of it is free that going on is worth a wake-up. */
static bool is_roomy(size_t size, size_t tail, size_t head)
{
	return tail - head <= size / 2;
}

static size_t size_for(size_t wanted)
{
	size_t size = RING_LEAST;

	while (size < RING_MOST && size / SENDS_IN_RING < wanted)
		size *= 2;
	return size;
}

/* The writer: bytes to put so much into, more of them if it is worth it. False: there is no memory. */
static bool provide(struct tofu_inproc_ring *r, size_t wanted)
{
	size_t size = size_for(wanted);
	unsigned char *bytes;

	if (r->bytes != NULL && (size <= r->size || !is_empty(r)))
		return true;
	bytes = malloc(size);
	if (bytes == NULL)
		return r->bytes != NULL;
	free(r->bytes);
	r->bytes = bytes;
	r->size = size;
	return true;
}

static size_t size_of(const struct tofu_iov *iov, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += iov[i].len;
	return size;
}

/* --- who waits, and who is told --- */

static struct tofu_inproc_end *peer_of(const struct tofu_inproc_end *e)
{
	return &e->connection->ends[e->is_caller ? ACCEPTED : CALLER];
}

/* The first look costs less than the exchange, and is enough most of the time. */
static bool take_back(atomic_bool *awaited)
{
	return atomic_load(awaited) && atomic_exchange(awaited, false);
}

static void tell_peer(const struct tofu_inproc_end *e, atomic_bool *awaited)
{
	if (take_back(awaited))
		tofu_inproc_signal_raise(peer_of(e)->signal);
}

/* Has the engine been told of something that it has not looked at since? */
static bool owes_a_look(const struct tofu_inproc_end *e)
{
	return !atomic_load(&e->in->bytes_awaited) || (e->awaits_room && !atomic_load(&e->out->room_awaited));
}

/* With the flag set already. */
static void lower_signal(const struct tofu_inproc_end *e)
{
	if (owes_a_look(e))
		return;
	tofu_inproc_signal_clear(e->signal);
	if (owes_a_look(e))
		tofu_inproc_signal_raise(e->signal);
}

/* False: there is something. */
static bool await_bytes(struct tofu_inproc_end *e)
{
	atomic_store(&e->in->bytes_awaited, true);
	lower_signal(e);
	if (is_empty(e->in) && !atomic_load(&e->in->ended))
		return true;
	if (take_back(&e->in->bytes_awaited)) /* as if the peer had: the vector may have no room for all of it */
		tofu_inproc_signal_raise(e->signal);
	return false;
}

/* False: there is some. */
static bool await_room(struct tofu_inproc_end *e)
{
	struct tofu_inproc_ring *r = e->out;

	e->awaits_room = true;
	atomic_store(&r->room_awaited, true);
	lower_signal(e);
	if (!is_roomy(r->size, atomic_load(&r->tail), atomic_load(&r->head)) && !atomic_load(&r->gone))
		return true;
	e->awaits_room = false;
	atomic_store(&r->room_awaited, false);
	return false;
}

/* --- sending and receiving --- */

/* The wait for room is over. If only it has raised the signal, that is not to wake the engine once more. */
static void look_for_room(struct tofu_inproc_end *e)
{
	if (!e->awaits_room)
		return;
	e->awaits_room = false;
	atomic_store(&e->out->room_awaited, false);
	if (e->in_vain > 1)
		atomic_store(&e->in->bytes_awaited, true);
	lower_signal(e);
}

static size_t put(struct tofu_inproc_end *e, struct cursor *from)
{
	struct tofu_inproc_ring *r = e->out;
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	size_t n = copy(r, tail, from, r->size - (tail - atomic_load(&r->head)), true);

	if (n > 0) {
		atomic_store(&r->tail, tail + n);
		tell_peer(e, &r->bytes_awaited);
	}
	return n;
}

static size_t take(struct tofu_inproc_end *e, struct cursor *to)
{
	struct tofu_inproc_ring *r = e->in;
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load(&r->tail);
	size_t size, n;

	if (tail == head)
		return 0;
	size = r->size; /* empty in a moment, it may be another one's */
	n = copy(r, head, to, tail - head, false);
	atomic_store(&r->head, head + n);
	if (is_roomy(size, tail, head + n))
		tell_peer(e, &r->room_awaited);
	return n;
}

enum tofu_status tofu_inproc_send(struct tofu_inproc_end *e, const struct tofu_iov *iov, size_t count, size_t *done)
{
	struct cursor from = { iov, count, 0 };

	*done = 0;
	look_for_room(e);
	if (!provide(e->out, size_of(iov, count)))
		return TOFU_ALLOCATION_FAILED;
	do {
		if (atomic_load(&e->out->gone))
			return TOFU_PEER_DISCONNECTED;
		*done += put(e, &from);
	} while (from.count > 0 && !await_room(e));
	e->in_vain = *done > 0 ? 0 : e->in_vain + 1;
	return *done > 0 ? TOFU_OK : TOFU_WOULD_BLOCK;
}

enum tofu_status tofu_inproc_receive(struct tofu_inproc_end *e, const struct tofu_iov *iov, size_t count, size_t *done)
{
	struct cursor to = { iov, count, 0 };
	bool ended;

	*done = 0;
	e->in_vain = 0;
	do {
		ended = atomic_load(&e->in->ended); /* first: what is found then is all */
		*done += take(e, &to);
	} while (to.count > 0 && !ended && !await_bytes(e));
	if (*done > 0)
		return TOFU_OK;
	if (!ended)
		return TOFU_WOULD_BLOCK;
	atomic_store(&e->in->bytes_awaited, true); /* said once, the end does not keep the signal raised */
	lower_signal(e);
	return TOFU_PEER_DISCONNECTED;
}

void tofu_inproc_shutdown(struct tofu_inproc_end *e)
{
	atomic_store(&e->out->ended, true);
	tell_peer(e, &e->out->bytes_awaited);
}

bool tofu_inproc_tidy(struct tofu_inproc_end *e)
{
	struct tofu_inproc_ring *r = e->out;
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (r->bytes != NULL && tail == r->tail_then && is_empty(r)) {
		free(r->bytes);
		r->bytes = NULL;
		r->size = 0;
	}
	r->tail_then = tail;
	return r->bytes == NULL;
}

/* --- the whole --- */

static void destroy(struct tofu_inproc_connection *c)
{
	for (int i = 0; i < ENDS; i++) {
		tofu_inproc_signal_close(c->ends[i].signal);
		free(c->rings[i].bytes);
	}
	free(c);
}

static struct tofu_inproc_connection *create(const char *name)
{
	struct tofu_inproc_connection *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	for (int i = 0; i < ENDS; i++) {
		c->ends[i].is_caller = i == CALLER;
		c->ends[i].name = c->name;
		c->ends[i].connection = c;
		c->ends[i].out = &c->rings[i];
		c->ends[i].in = &c->rings[ENDS - 1 - i];
		c->ends[i].signal = TOFU_NO_SOCKET;
		atomic_init(&c->rings[i].bytes_awaited, true); /* so that the first bytes raise the signal */
	}
	atomic_init(&c->open, ENDS);
	memcpy(c->name, name, strlen(name) + 1);
	return c;
}

enum tofu_status tofu_inproc_connect(const char *name, struct tofu_inproc_end **caller,
                                     struct tofu_inproc_end **accepted)
{
	struct tofu_inproc_connection *c = create(name);
	enum tofu_status st = TOFU_OK;

	if (c == NULL)
		return TOFU_ALLOCATION_FAILED;
	for (int i = 0; i < ENDS && st == TOFU_OK; i++)
		st = tofu_inproc_signal_open(&c->ends[i].signal);
	if (st != TOFU_OK) {
		destroy(c);
		return st;
	}
	*caller = &c->ends[CALLER];
	*accepted = &c->ends[ACCEPTED];
	return TOFU_OK;
}

/* In a child of fork() the other end's copy is not told, and the signals are shared with the parent: none is raised. */
void tofu_inproc_close(struct tofu_inproc_end *e, enum tofu_close how)
{
	struct tofu_inproc_connection *c = e->connection;

	if (how != TOFU_CLOSE_FORGET) {
		tofu_inproc_shutdown(e);
		atomic_store(&e->in->gone, true);
		tell_peer(e, &e->in->room_awaited);
	}
	if (atomic_fetch_sub(&c->open, 1) == 1)
		destroy(c);
}
