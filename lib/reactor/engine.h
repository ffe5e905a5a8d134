/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_ENGINE_H
#define TOFU_REACTOR_ENGINE_H

/* What application threads and the reactor share. */

#include <stdatomic.h>
#include <stdbool.h>

#include <tofu/engine.h>
#include <tofu/transport.h>

#include "message/pool.h"
#include "platform/platform.h"
#include "reactor/gate.h"
#include "reactor/group.h"
#include "reactor/mailbox.h"
#include "reactor/reactor.h"
#include "reactor/registry.h"
#include "reactor/resolver.h"

struct tofu_engine {
	unsigned generation; /* of fork(): in a child everything is inert */
	struct tofu_fork_watch fork_watch;
	bool held;                   /* over a fork; between the two calls of fork_watch */
	struct tofu_options options; /* every default filled in */
	struct tofu_gate_bounds bounds;
	atomic_bool stopping;
	struct tofu_pool *pool;
	struct tofu_mailbox mailbox;
	struct tofu_registry registry;
	struct tofu_resolver *resolver;
	struct tofu_mutex lock; /* registering */
	bool has_lock;
	const struct tofu_transport *transports[TOFU_TRANSPORTS_MAX];
	atomic_size_t transport_count;
	struct tofu_reactor reactor;
};

/** Is the caller in a child that was forked after this was created? */
static inline bool tofu_engine_inert(const struct tofu_engine *e)
{
	return e->generation != tofu_plat_fork_generation();
}

/** The engine of a group, while it works. TOFU_SHUTDOWN_STARTED: there is none any more, or it ends. */
static inline enum tofu_status tofu_group_engine_in_use(const struct tofu_group *g, struct tofu_engine **out)
{
	*out = tofu_group_engine(g);
	if (*out == NULL || atomic_load_explicit(&(*out)->stopping, memory_order_relaxed))
		return TOFU_SHUTDOWN_STARTED;
	return TOFU_OK;
}

/** From now on fork() finds it in one piece. fork.c */
void tofu_engine_watch_fork(struct tofu_engine *e);

/** If somebody waits for events, that wait ends. Of a signal handler, too. */
void tofu_engine_wake(struct tofu_engine *e);
/** Any thread: there may be a message, or a channel, for who waits for one. */
void tofu_engine_refilled(struct tofu_engine *e);
/** Any thread: the last word on a number was received, or nobody will receive it. */
void tofu_engine_release_number(struct tofu_engine *e, uint16_t number);

#endif
