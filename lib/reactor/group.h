/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_GROUP_H
#define TOFU_REACTOR_GROUP_H

/*
 * A group is a mailbox in the other direction: the reactor collects what a group gets in a turn (batch) and hands it over in
 * one go (inbox); the thread that receives takes all of it in one go, too (taken). So there is one short lock per batch on
 * either side, and a wake-up only for a receiver that waits.
 *
 * A group is the application's, and stays until tofu_group_destroy() frees it. An engine that ends before lets go of it
 * (tofu_group_part()): what is left is a shell without an engine, on which every call gives TOFU_SHUTDOWN_STARTED.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "message/message.h"
#include "platform/platform.h"
#include "reactor/list.h"
#include "reactor/mailbox.h"

struct tofu_engine;
struct tofu_reactor;

struct tofu_group {
	struct tofu_engine *_Atomic engine; /* NULL: it has ended; written under the lock */
	unsigned generation;                /* of fork() */

	struct tofu_mutex lock; /* the next nine */
	struct tofu_cond arrived;
	struct tofu_cond settling;
	struct tofu_msg_queue inbox;
	atomic_uint inside;      /* threads that wait in it; written under the lock */
	unsigned leads;          /* of those, the one that runs the turns (drive.h) */
	unsigned follows;        /* ... and those that would, counted there as well */
	bool closed;             /* nothing arrives any more */
	bool ended;              /* the engine has let go of it */
	struct tofu_command end; /* asks the engine to */

	struct tofu_msg_queue taken; /* the receiving thread's */
	atomic_bool left;            /* is there something in it? For others to see */
	atomic_bool interrupted;     /* a receive is to look before it takes: an interrupt, or the engine has gone */
	atomic_bool has_pollable;
	struct tofu_event pollable;

	/* Written by every post: far from what the reactor writes, lest the two pass cache lines to and fro. */
	unsigned char apart_above[64];
	_Atomic uint64_t posted;  /* messages that were accepted */
	_Atomic uint64_t settled; /* of those, what is written or given back; only the reactor writes it */

	unsigned char apart_below[64];

	/* the reactor's */
	struct tofu_list channels;
	struct tofu_msg_queue batch;
	struct tofu_msg *teller; /* the one in it that will know where the next to come lies */
	uint64_t batch_settled;
	bool drought;             /* it was told pool_empty, and no message has reached it since */
	bool mute;                /* it is being destroyed: give it nothing more */
	bool leaving;             /* with the last of its channels the engine lets go of it */
	struct tofu_list touched; /* has something for it in this turn */
	struct tofu_list of_reactor;
};

static inline bool tofu_group_is_of_this_process(const struct tofu_group *g)
{
	return g != NULL && g->generation == tofu_plat_fork_generation();
}

/** NULL: there is none any more. It does not end while it is looked at, but see tofu_group_leave(). */
static inline struct tofu_engine *tofu_group_engine(const struct tofu_group *g)
{
	return atomic_load_explicit(&g->engine, memory_order_relaxed);
}

enum tofu_status tofu_group_make(struct tofu_engine *engine, struct tofu_group **out);
void tofu_group_free(struct tofu_group *g);

/** Reactor: into the batch. */
void tofu_group_collect(struct tofu_group *g, struct tofu_msg *m);
/** Reactor, once a turn: hand over the batch. */
void tofu_group_deliver(struct tofu_group *g);
/** Reactor: if a receive is to be interrupted, wake whoever waits. */
void tofu_group_pass_on_interrupt(struct tofu_group *g);
/** Does a thread wait in it? */
bool tofu_group_is_waited_in(const struct tofu_group *g);
/** A thread that waits may lead now (drive.h): have all look. */
void tofu_group_call(struct tofu_group *g);
/** Nothing arrives any more; waiting threads leave, and when this returns they have. */
void tofu_group_shut(struct tofu_group *g);
/** Have the engine end the group's channels and let go of it, unless it has ended by itself; returns when that is done. */
void tofu_group_leave(struct tofu_group *g);
/** Reactor: the engine lets go of it, and of what was not received; whoever destroys it may free it from here on. */
void tofu_group_ended(struct tofu_reactor *r, struct tofu_group *g);
/** The engine ends, and is nobody's any more: let go of a group that may live on. */
void tofu_group_part(struct tofu_group *g);

#endif
