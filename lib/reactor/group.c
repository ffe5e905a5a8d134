/* SPDX-License-Identifier: MIT */

/*
 * The application's side of receiving. The inbox is under the group's lock; what the receiving thread took out of it is its
 * own. The pollable is raised whenever something comes into an empty mailbox, and cleared by the receive that leaves it
 * empty, both under the lock, so it can neither be missed nor stay raised.
 */

#include <stdlib.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"

/* It is received, or nobody will. If it is a last word, which alone has a reason, the number may come to mean something else. */
static void release_number(const struct tofu_group *g, const struct tofu_msg *m)
{
	if (m->header.reason != TOFU_OK)
		tofu_engine_release_number(tofu_group_engine(g), m->header.channel);
}

enum tofu_status tofu_group_make(struct tofu_engine *engine, struct tofu_group **out)
{
	struct tofu_group *g = calloc(1, sizeof *g);
	enum tofu_status status;

	*out = NULL;
	if (g == NULL)
		return TOFU_ALLOCATION_FAILED;
	atomic_init(&g->engine, engine);
	g->end.run = tofu_reactor_end_group;
	g->generation = engine->generation;
	g->pollable = (struct tofu_event){ TOFU_NO_SOCKET, TOFU_NO_SOCKET };
	tofu_list_init(&g->channels);
	status = tofu_mutex_init(&g->lock);
	if (status != TOFU_OK) {
		free(g);
		return status;
	}
	status = tofu_cond_init(&g->arrived);
	if (status == TOFU_OK) {
		status = tofu_cond_init(&g->settling);
		if (status != TOFU_OK)
			tofu_cond_fini(&g->arrived);
	}
	if (status != TOFU_OK) {
		tofu_mutex_fini(&g->lock);
		free(g);
		return status;
	}
	*out = g;
	return TOFU_OK;
}

void tofu_group_free(struct tofu_group *g)
{
	tofu_msg_queue_put(&g->batch);
	tofu_msg_queue_put(&g->inbox);
	tofu_msg_queue_put(&g->taken);
	tofu_event_fini(&g->pollable);
	tofu_cond_fini(&g->settling);
	tofu_cond_fini(&g->arrived);
	tofu_mutex_fini(&g->lock);
	free(g);
}

/* Each message knows where one lies that comes some time later, so that who takes them out can ask for that one in time. */
void tofu_group_collect(struct tofu_group *g, struct tofu_msg *m)
{
	m->ahead = NULL;
	tofu_msg_queue_push(&g->batch, m);
	if (g->batch.count == 1) {
		g->teller = m;
	} else if (g->batch.count > TOFU_AHEAD) {
		g->teller->ahead = m;
		g->teller = g->teller->next;
	}
}

static void settle(struct tofu_group *g)
{
	if (g->batch_settled > 0)
		atomic_fetch_add(&g->settled, g->batch_settled);
	g->batch_settled = 0;
}

/*
 * Whoever waits is woken when the lock is free again, and finds it so. The group is still there: only the reactor's thread
 * lets go of it.
 *
 * When nothing has come in and nobody waits, the lock is not needed: a thread that enters the group after this look sees what has
 * settled before it.
 */
void tofu_group_deliver(struct tofu_group *g)
{
	bool settled = g->batch_settled > 0;
	bool arrived, somebody;

	if (g->batch.head == NULL) {
		settle(g);
		if (atomic_load(&g->inside) == 0)
			return;
	}
	tofu_mutex_lock(&g->lock);
	arrived = g->inbox.head == NULL && g->batch.head != NULL;
	somebody = g->inside > 0;
	tofu_msg_queue_append(&g->inbox, &g->batch);
	settle(g);
	if (arrived && atomic_load(&g->has_pollable))
		tofu_event_raise(&g->pollable);
	tofu_mutex_unlock(&g->lock);
	if (arrived && somebody)
		tofu_cond_broadcast(&g->arrived);
	if (settled && somebody)
		tofu_cond_broadcast(&g->settling);
}

void tofu_group_call(struct tofu_group *g)
{
	tofu_mutex_lock(&g->lock);
	tofu_cond_broadcast(&g->arrived);
	tofu_cond_broadcast(&g->settling);
	tofu_mutex_unlock(&g->lock);
}

bool tofu_group_is_waited_in(const struct tofu_group *g)
{
	return atomic_load(&g->inside) > 0;
}

/* With the lock: another thread has changed something that a thread of this group may wait for in the poller. */
static void call_leader(struct tofu_group *g)
{
	struct tofu_engine *e = tofu_group_engine(g);

	if (g->leads > 0 && e != NULL && tofu_mailbox_interrupt(&e->mailbox))
		tofu_engine_wake(e);
}

void tofu_group_shut(struct tofu_group *g)
{
	tofu_mutex_lock(&g->lock);
	g->closed = true;
	tofu_cond_broadcast(&g->arrived);
	tofu_cond_broadcast(&g->settling);
	call_leader(g);
	while (g->inside > 0)
		(void)tofu_cond_wait_until(&g->settling, &g->lock, TOFU_FOREVER);
	tofu_mutex_unlock(&g->lock);
}

/*
 * The command is handed in under the lock: an engine that ends takes the lock before it goes, so it is there for as long as
 * that takes.
 */
void tofu_group_leave(struct tofu_group *g)
{
	struct tofu_engine *e;

	tofu_mutex_lock(&g->lock);
	e = tofu_group_engine(g);
	if (e != NULL && tofu_mailbox_command(&e->mailbox, &g->end))
		tofu_engine_wake(e);
	while (!g->ended)
		(void)tofu_group_wait(g, &g->settling, TOFU_FOREVER);
	tofu_mutex_unlock(&g->lock);
}

void tofu_group_ended(struct tofu_reactor *r, struct tofu_group *g)
{
	const struct tofu_msg_queue *unread[] = { &g->taken, &g->inbox, &g->batch }; /* the oldest first */

	for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++)
		for (const struct tofu_msg *m = unread[i]->head; m != NULL; m = m->next)
			release_number(g, m);
	tofu_mutex_lock(&g->lock);
	tofu_group_follows_no_more(r, g);
	g->ended = true;
	tofu_cond_broadcast(&g->settling);
	tofu_lead_grant(r, g);
	tofu_mutex_unlock(&g->lock);
}

/* In a child of fork() the pollable is the parent's, too, and the lock may be anybody's. */
void tofu_group_part(struct tofu_group *g)
{
	struct tofu_msg_queue inbox;

	if (!tofu_group_is_of_this_process(g)) {
		atomic_store_explicit(&g->engine, NULL, memory_order_relaxed);
		return;
	}
	tofu_msg_queue_put(&g->batch);
	tofu_mutex_lock(&g->lock);
	inbox = g->inbox;
	g->inbox = (struct tofu_msg_queue){ 0 };
	atomic_store_explicit(&g->engine, NULL, memory_order_relaxed);
	g->follows = 0;
	g->closed = true;
	g->ended = true;
	atomic_store(&g->interrupted, true); /* also where messages are left that were taken */
	if (atomic_load(&g->has_pollable))
		tofu_event_raise(&g->pollable);
	tofu_cond_broadcast(&g->arrived);
	tofu_cond_broadcast(&g->settling);
	tofu_mutex_unlock(&g->lock);
	tofu_msg_queue_put(&inbox);
}

/* The last one out tells whoever waits for that. With the lock. */
static void leave(struct tofu_group *g)
{
	g->inside--;
	if (g->closed && g->inside == 0)
		tofu_cond_broadcast(&g->settling);
}

/*
 * In a signal handler there are no locks, and no condition is told of anything. So here the flag is set, and the reactor woken,
 * for that only takes a write(2); it tells whoever waits. On the way to waiting the flag is looked at under the lock, which
 * the reactor takes after the flag was set.
 *
 * 1, "sometimes", is what the compiler says of ARMv5: there the kernel does the compare-and-swap, without a lock.
 */
_Static_assert(ATOMIC_BOOL_LOCK_FREE != 0 && ATOMIC_POINTER_LOCK_FREE != 0, "used in signal handlers");

enum tofu_status tofu_group_interrupt(tofu_group *g)
{
	struct tofu_engine *e;

	if (!tofu_group_is_of_this_process(g))
		return TOFU_NOT_ALLOWED;
	e = tofu_group_engine(g);
	if (e == NULL)
		return TOFU_SHUTDOWN_STARTED;
	atomic_store(&g->interrupted, true);
	if (tofu_mailbox_interrupt(&e->mailbox))
		tofu_engine_wake(e);
	return TOFU_OK;
}

void tofu_group_pass_on_interrupt(struct tofu_group *g)
{
	tofu_mutex_lock(&g->lock);
	if (atomic_load(&g->interrupted)) {
		tofu_cond_broadcast(&g->arrived);
		if (atomic_load(&g->has_pollable))
			tofu_event_raise(&g->pollable);
	}
	tofu_mutex_unlock(&g->lock);
}

/* With the lock. Without time to wait, an engine that has no thread is still to be looked at once. */
static bool may_wait(const struct tofu_group *g, int64_t timeout_ns)
{
	const struct tofu_engine *e = tofu_group_engine(g);

	return timeout_ns != 0 || (e != NULL && e->options.io == TOFU_IO_CALLER);
}

/* With the lock: wait until there is something in the inbox. */
static enum tofu_status await(struct tofu_group *g, int64_t timeout_ns)
{
	int64_t deadline = tofu_plat_deadline(timeout_ns);
	bool in_time = may_wait(g, timeout_ns);

	while (g->inbox.head == NULL && !g->closed && !atomic_load(&g->interrupted) && in_time)
		in_time = tofu_group_wait(g, &g->arrived, deadline);
	if (g->closed)
		return TOFU_SHUTDOWN_STARTED;
	if (atomic_load(&g->interrupted)) {
		atomic_store(&g->interrupted, false);
		return TOFU_INTERRUPTED;
	}
	return g->inbox.head != NULL ? TOFU_OK : TOFU_TIMEOUT;
}

/* The receiving thread only. */
static inline struct tofu_msg *take_one(struct tofu_group *g)
{
	struct tofu_msg *m = tofu_msg_queue_pop(&g->taken);

	if (m != NULL) {
		tofu_msg_expect(m->ahead);
		release_number(g, m);
	}
	return m;
}

/* The receiving thread only, with the lock. */
static void clear_if_empty(struct tofu_group *g)
{
	if (g->taken.head == NULL && g->inbox.head == NULL && !g->closed && !atomic_load(&g->interrupted) &&
	    atomic_load(&g->has_pollable))
		tofu_event_clear(&g->pollable);
}

/* Fetch all that is there. When the lock is let go, a group that is being destroyed may be gone. */
static TOFU_APART enum tofu_status receive_batch(struct tofu_group *g, tofu_msg **out, int64_t timeout_ns)
{
	enum tofu_status status;

	tofu_mutex_lock(&g->lock);
	g->inside++;
	status = await(g, timeout_ns);
	if (status == TOFU_OK) {
		tofu_msg_queue_append(&g->taken, &g->inbox);
		*out = take_one(g);
		atomic_store(&g->left, g->taken.head != NULL);
	}
	clear_if_empty(g);
	leave(g);
	tofu_mutex_unlock(&g->lock);
	return status;
}

/* The receiving thread only: it has taken some, perhaps the last. */
static void took(struct tofu_group *g)
{
	if (g->taken.head != NULL)
		return;
	atomic_store(&g->left, false);
	if (atomic_load(&g->has_pollable)) {
		tofu_mutex_lock(&g->lock);
		clear_if_empty(g);
		tofu_mutex_unlock(&g->lock);
	}
}

enum tofu_status tofu_receive(tofu_group *g, tofu_msg **out, int64_t timeout_ns)
{
	if (out != NULL)
		*out = NULL;
	if (!tofu_group_is_of_this_process(g) || out == NULL)
		return TOFU_NOT_ALLOWED;
	if (g->taken.head == NULL || atomic_load_explicit(&g->interrupted, memory_order_relaxed))
		return receive_batch(g, out, timeout_ns);
	*out = take_one(g);
	took(g);
	return TOFU_OK;
}

enum tofu_status tofu_receive_many(tofu_group *g, tofu_msg **out, size_t capacity, size_t *count, int64_t timeout_ns)
{
	enum tofu_status status;
	size_t n = 1;

	if (count != NULL)
		*count = 0;
	if (g == NULL || out == NULL || capacity == 0 || count == NULL)
		return TOFU_NOT_ALLOWED;
	status = tofu_receive(g, out, timeout_ns);
	if (status != TOFU_OK)
		return status;
	while (n < capacity && g->taken.head != NULL)
		out[n++] = take_one(g);
	took(g);
	*count = n;
	return TOFU_OK;
}

/*
 * The receiving thread may be at work: it says that nothing is left, then looks for a pollable; here it is the other way
 * round. So either it sees the pollable, and clears it when it has taken the last message, or that message is seen here
 * to be gone.
 */
enum tofu_status tofu_group_pollable(tofu_group *g, intptr_t *out)
{
	enum tofu_status status = TOFU_OK;

	if (!tofu_group_is_of_this_process(g) || out == NULL)
		return TOFU_NOT_ALLOWED;
	tofu_mutex_lock(&g->lock);
	if (g->closed) {
		status = TOFU_SHUTDOWN_STARTED;
	} else if (!atomic_load(&g->has_pollable)) {
		status = tofu_event_init(&g->pollable);
		if (status == TOFU_OK) {
			atomic_store(&g->has_pollable, true);
			if (g->inbox.head != NULL || atomic_load(&g->left) || atomic_load(&g->interrupted))
				tofu_event_raise(&g->pollable);
		}
	}
	*out = status == TOFU_OK ? g->pollable.handle : TOFU_NO_SOCKET;
	tofu_mutex_unlock(&g->lock);
	return status;
}

enum tofu_status tofu_update_receiver(tofu_group *g, tofu_msg **msg)
{
	struct tofu_msg *m = msg != NULL ? *msg : NULL;
	enum tofu_status status = TOFU_OK;
	struct tofu_engine *e;
	bool made = false;

	if (!tofu_group_is_of_this_process(g))
		return TOFU_NOT_ALLOWED;
	e = tofu_group_engine(g);
	if (e == NULL)
		return TOFU_SHUTDOWN_STARTED;
	if (m == NULL) {
		m = tofu_pool_get_notice(e->pool);
		if (m == NULL)
			return TOFU_ALLOCATION_FAILED;
		m->header.opcode = TOFU_SIGNAL;
		made = true;
	}
	tofu_mutex_lock(&g->lock);
	if (g->closed) {
		status = TOFU_SHUTDOWN_STARTED;
	} else {
		bool was_empty = g->inbox.head == NULL;

		m->header.origin = made ? TOFU_ORIGIN_ENGINE : TOFU_ORIGIN_APPLICATION;
		m->header.status = TOFU_RECEIVER_UPDATE;
		m->header.reason = TOFU_OK;
		tofu_msg_queue_push(&g->inbox, m);
		if (was_empty && g->inside > 0) {
			tofu_cond_broadcast(&g->arrived);
			call_leader(g);
		}
		if (was_empty && atomic_load(&g->has_pollable))
			tofu_event_raise(&g->pollable);
	}
	tofu_mutex_unlock(&g->lock);
	if (status != TOFU_OK) {
		if (made)
			tofu_msg_put(&m);
	} else if (msg != NULL) {
		*msg = NULL;
	}
	return status;
}

/* settled is read first: if it equals what has been posted by a later moment, nothing was under way at its own. */
static bool under_way(struct tofu_group *g)
{
	uint64_t settled = atomic_load(&g->settled);

	return settled != atomic_load(&g->posted);
}

enum tofu_status tofu_group_drain(tofu_group *g, int64_t timeout_ns)
{
	int64_t deadline = tofu_plat_deadline(timeout_ns);
	enum tofu_status status = TOFU_OK;
	bool in_time;

	if (!tofu_group_is_of_this_process(g))
		return TOFU_NOT_ALLOWED;
	if (tofu_group_engine(g) == NULL)
		return TOFU_SHUTDOWN_STARTED;
	tofu_mutex_lock(&g->lock);
	g->inside++;
	in_time = may_wait(g, timeout_ns);
	while (under_way(g) && !g->closed && in_time)
		in_time = tofu_group_wait(g, &g->settling, deadline);
	if (under_way(g))
		status = g->closed ? TOFU_SHUTDOWN_STARTED : TOFU_TIMEOUT;
	leave(g);
	tofu_mutex_unlock(&g->lock);
	return status;
}
