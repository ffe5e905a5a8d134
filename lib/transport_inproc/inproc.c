/* SPDX-License-Identifier: MIT */

/*
 * Within one process: "inproc|NAME".
 *
 * A listener is in a table of the process under its name, and has a queue of connections that wait to be accepted. Whoever calls
 * makes both ends of a connection and puts the other one into that queue. The table, its listeners and their queues have one
 * lock; it is held for a few steps, and never while anything is allocated. What the ends do with each other is in connection.c.
 *
 * A child of fork() begins with an empty table, and with a lock that nobody has. The listeners that were in the table are its
 * parent's; the child's copies of them are freed by close with TOFU_CLOSE_FORGET.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/inproc.h>

#include "transport_inproc/connection.h"
#include "transport_inproc/system.h"

enum {
	BACKLOG = 256,         /* connections that wait to be accepted */
	BUCKETS = 64,          /* of the table */
	TIDY_AFTER_MS = 10000, /* a connection that was not used for so long gives its rings back */
};

struct listener {
	bool listens;          /* true */
	struct listener *next; /* in its bucket */
	struct tofu_inproc_end *first, *last;
	size_t waiting;
	intptr_t signal; /* raised while the queue is not empty */
	char name[TOFU_INPROC_NAME_MAX + 1];
};

static struct listener *table[BUCKETS];
static bool watches_fork;

static struct listener **bucket_of(const char *name)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return &table[hash % BUCKETS];
}

/* Where its pointer is, or would be. */
static struct listener **find(const char *name)
{
	struct listener **at = bucket_of(name);

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void forget_all(void)
{
	memset(table, 0, sizeof table);
}

/* --- names --- */

static enum tofu_status inproc_complete(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                        char *out, size_t capacity)
{
	static atomic_uint count;
	struct tofu_identity who = { 0 };
	int len = 0;

	out[0] = '\0';
	if (*rest != '\0' || purpose != TOFU_TO_LISTEN)
		return TOFU_OK;
	tofu_inproc_who(&who);
	len = snprintf(out, capacity, "~%lld.%u", (long long)who.pid, atomic_fetch_add(&count, 1) + 1);
	return len >= 0 && (size_t)len < capacity ? TOFU_OK : TOFU_PATH_TOO_LONG;
}

static enum tofu_status inproc_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                       int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	size_t len = strlen(rest);

	*count = 0;
	if (capacity == 0 || len == 0)
		return TOFU_INVALID_ADDRESS;
	if (len > TOFU_INPROC_NAME_MAX)
		return TOFU_PATH_TOO_LONG;
	memset(out, 0, sizeof *out);
	memcpy(out->bytes, rest, len);
	out->len = (uint32_t)len + 1;
	*count = 1;
	return TOFU_OK;
}

static const char *name_in(const struct tofu_sockaddr *address)
{
	return (const char *)address->bytes;
}

static enum tofu_status write_address(const struct tofu_transport *t, const char *name, char *out, size_t capacity)
{
	int len = snprintf(out, capacity, "%s|%s", t->scheme, name);

	return len >= 0 && (size_t)len < capacity ? TOFU_OK : TOFU_INVALID_ADDRESS;
}

/* --- listeners --- */

static struct listener *listener_of(const struct tofu_link *link)
{
	const struct listener *l = link->state;

	return l != NULL && l->listens ? link->state : NULL;
}

static struct tofu_inproc_end *end_of(const struct tofu_link *link)
{
	return link->state;
}

/* With the lock. */
static enum tofu_status add(struct listener *l)
{
	struct listener **at = find(l->name);
	enum tofu_status st = TOFU_OK;

	if (*at != NULL)
		return TOFU_ADDRESS_IN_USE;
	if (!watches_fork)
		st = tofu_inproc_watch_fork(forget_all);
	watches_fork = st == TOFU_OK;
	if (watches_fork)
		*at = l;
	return st;
}

static enum tofu_status enter(struct listener *l)
{
	enum tofu_status st;

	tofu_inproc_lock();
	st = add(l);
	tofu_inproc_unlock();
	return st;
}

static enum tofu_status inproc_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                      const struct tofu_sockaddr *at)
{
	struct listener *l = calloc(1, sizeof *l);
	enum tofu_status st;

	listener->handle = TOFU_NO_SOCKET;
	if (l == NULL)
		return TOFU_ALLOCATION_FAILED;
	l->listens = true;
	memcpy(l->name, name_in(at), at->len);
	st = tofu_inproc_signal_open(&l->signal);
	if (st == TOFU_OK)
		st = enter(l);
	if (st != TOFU_OK) {
		tofu_inproc_signal_close(l->signal);
		free(l);
		return st;
	}
	listener->handle = tofu_inproc_signal_handle(l->signal);
	listener->state = l;
	return TOFU_OK;
}

/* With the lock. False: its queue is full. */
static bool push(struct listener *l, struct tofu_inproc_end *e)
{
	if (l->waiting == BACKLOG)
		return false;
	if (l->waiting++ == 0) {
		l->first = e;
		tofu_inproc_signal_raise(l->signal);
	} else {
		l->last->next = e;
	}
	l->last = e;
	return true;
}

/* Likewise. NULL: nobody waits. */
static struct tofu_inproc_end *pop(struct listener *l)
{
	struct tofu_inproc_end *e = l->first;

	if (e != NULL) {
		l->first = e->next;
		l->waiting--;
	}
	if (l->waiting == 0)
		tofu_inproc_signal_clear(l->signal);
	return e;
}

static enum tofu_status inproc_accept(const struct tofu_transport *t, struct tofu_link *listener,
                                      struct tofu_link *link)
{
	struct tofu_inproc_end *e;

	link->handle = TOFU_NO_SOCKET;
	tofu_inproc_lock();
	e = pop(listener_of(listener));
	tofu_inproc_unlock();
	if (e == NULL)
		return TOFU_WOULD_BLOCK;
	link->handle = tofu_inproc_signal_handle(e->signal);
	link->state = e;
	return TOFU_OK;
}

/* In a child of fork() it is not there. */
static void leave(const struct listener *l)
{
	struct listener **at;

	tofu_inproc_lock();
	at = find(l->name);
	if (*at == l)
		*at = l->next;
	tofu_inproc_unlock();
}

/* Out of the table it gets no more connections. Those that it has are not accepted any more. */
static void close_listener(struct listener *l, enum tofu_close how)
{
	leave(l);
	for (struct tofu_inproc_end *e = l->first, *next; e != NULL; e = next) {
		next = e->next;
		tofu_inproc_close(e, how);
	}
	tofu_inproc_signal_close(l->signal);
	free(l);
}

/* --- links --- */

static enum tofu_status offer(const char *name, struct tofu_inproc_end *e)
{
	enum tofu_status st = TOFU_CONNECT_FAILED;
	struct listener *l;

	tofu_inproc_lock();
	l = *find(name);
	if (l != NULL)
		st = push(l, e) ? TOFU_OK : TOFU_WOULD_BLOCK;
	tofu_inproc_unlock();
	return st;
}

static enum tofu_status inproc_connect_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                             const struct tofu_sockaddr *to, unsigned *want)
{
	struct tofu_inproc_end *caller, *accepted;
	enum tofu_status st = tofu_inproc_connect(name_in(to), &caller, &accepted);

	*want = 0;
	link->handle = TOFU_NO_SOCKET;
	if (st != TOFU_OK)
		return st;
	st = offer(name_in(to), accepted);
	if (st != TOFU_OK) {
		tofu_inproc_close(caller, TOFU_CLOSE_ABORT);
		tofu_inproc_close(accepted, TOFU_CLOSE_ABORT);
		return st;
	}
	link->handle = tofu_inproc_signal_handle(caller->signal);
	link->state = caller;
	return TOFU_OK;
}

/* Never called: connect_start tells. */
static enum tofu_status inproc_connect_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	return TOFU_OK;
}

static enum tofu_status inproc_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                    size_t count, size_t *done, unsigned *want)
{
	enum tofu_status st = tofu_inproc_send(end_of(link), iov, count, done);

	/* The signal that there is room makes the handle readable; writable it always is. */
	*want = end_of(link)->awaits_room ? TOFU_READABLE : TOFU_WRITABLE;
	return st;
}

static enum tofu_status inproc_receive(const struct tofu_transport *t, struct tofu_link *link,
                                       const struct tofu_iov *iov, size_t count, size_t *done, unsigned *want)
{
	*want = TOFU_READABLE;
	return tofu_inproc_receive(end_of(link), iov, count, done);
}

static enum tofu_status inproc_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	tofu_inproc_shutdown(end_of(link));
	return TOFU_OK;
}

static enum tofu_status inproc_look(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
                                    int *settled)
{
	*settled = tofu_inproc_tidy(end_of(link));
	return TOFU_OK;
}

static void inproc_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	struct listener *l = listener_of(link);

	if (l != NULL)
		close_listener(l, how);
	else if (link->state != NULL)
		tofu_inproc_close(end_of(link), how);
	link->state = NULL;
	link->handle = TOFU_NO_SOCKET;
}

static enum tofu_status inproc_local_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                             size_t capacity)
{
	const struct listener *l = listener_of(link);

	if (l != NULL)
		return write_address(t, l->name, out, capacity);
	return write_address(t, end_of(link)->is_caller ? "" : end_of(link)->name, out, capacity);
}

static enum tofu_status inproc_peer_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                            size_t capacity)
{
	return write_address(t, end_of(link)->is_caller ? end_of(link)->name : "", out, capacity);
}

static void inproc_identify(const struct tofu_transport *t, const struct tofu_link *link, struct tofu_identity *out)
{
	tofu_inproc_who(out);
}

static const struct tofu_transport inproc = {
	.abi = TOFU_TRANSPORT_ABI,
	.scheme = "inproc",
	.resolve = inproc_resolve,
	.listen = inproc_listen,
	.accept = inproc_accept,
	.connect_start = inproc_connect_start,
	.connect_finish = inproc_connect_finish,
	.send = inproc_send,
	.receive = inproc_receive,
	.shutdown = inproc_shutdown,
	.close = inproc_close,
	.local_address = inproc_local_address,
	.peer_address = inproc_peer_address,
	.complete = inproc_complete,
	.look = inproc_look,
	.look_ms = TIDY_AFTER_MS,
	.form = TOFU_FORM_TEXT,
	.url = "inproc",
	.identify = inproc_identify,
};

const struct tofu_transport *tofu_inproc(void)
{
	return &inproc;
}
