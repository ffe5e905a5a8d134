/* SPDX-License-Identifier: MIT */

/*
 * A fork() while the engine works. The child gets a copy of everything as it is at that instant, and must be able to free
 * it: so the forking thread waits until no list is half linked and no message between two owners. The reactor's turn comes
 * first, since with it nobody else changes the list of groups; then what other threads change under locks of their own.
 *
 * Pools come last, when every engine holds still: a message goes back to the pool of the engine that it was taken from,
 * whichever engine sends it, so that an engine waits for another one's pool before its turn can end. Nobody waits for anything
 * with a pool's lock. A pool that outlives its engine is not held: what a child does with its copy needs no lock.
 *
 * What an application's other threads hold at that instant stays theirs, and with them is not in the child.
 *
 * A thread that is itself in the middle of it - a signal handler that forks, a transport - cannot wait for itself: then nothing
 * is held (system_posix.c), and the child leaves its copies alone (tofu_plat_past_use()).
 */

#include "reactor/engine.h"
#include "reactor/group.h"

static struct tofu_engine *engine_of(struct tofu_fork_watch *w)
{
	return (struct tofu_engine *)(void *)((char *)w - offsetof(struct tofu_engine, fork_watch));
}

static void each_group(struct tofu_reactor *r, void (*visit)(struct tofu_mutex *lock))
{
	for (struct tofu_list *node = r->groups.next; node != &r->groups; node = node->next)
		visit(&TOFU_LIST_OWNER(node, struct tofu_group, of_reactor)->lock);
}

static void hold(struct tofu_fork_watch *w)
{
	struct tofu_engine *e = engine_of(w);

	if (tofu_engine_inert(e)) /* a grandchild: nothing of it has changed since */
		return;
	e->held = true;
	tofu_reactor_hold_turn(&e->reactor);
	each_group(&e->reactor, tofu_mutex_lock);
	tofu_mutex_lock(&e->reactor.lead.lock); /* last: a thread that waits in a group takes it with the group's */
	tofu_mutex_lock(&e->lock);
	tofu_mutex_lock(&e->registry.lock);
	tofu_resolver_hold(e->resolver);
}

static void hold_last(struct tofu_fork_watch *w)
{
	struct tofu_engine *e = engine_of(w);

	if (e->held)
		tofu_pool_hold(e->pool);
}

static void go_on(struct tofu_fork_watch *w)
{
	struct tofu_engine *e = engine_of(w);

	if (!e->held)
		return;
	e->held = false;
	tofu_pool_go_on(e->pool);
	tofu_resolver_go_on(e->resolver);
	tofu_mutex_unlock(&e->registry.lock);
	tofu_mutex_unlock(&e->lock);
	tofu_mutex_unlock(&e->reactor.lead.lock);
	each_group(&e->reactor, tofu_mutex_unlock);
	tofu_reactor_give_turn_back(&e->reactor);
}

void tofu_engine_watch_fork(struct tofu_engine *e)
{
	e->fork_watch.hold = hold;
	e->fork_watch.hold_last = hold_last;
	e->fork_watch.go_on = go_on;
	tofu_plat_fork_watch(&e->fork_watch);
}
