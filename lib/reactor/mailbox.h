/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_MAILBOX_H
#define TOFU_REACTOR_MAILBOX_H

/*
 * What other threads hand to the reactor: messages, and commands. Lock-free for them (a push is one compare-and-swap), and
 * everything in one go for the reactor. Messages of one thread keep their order. Nobody wakes a reactor that is awake: it
 * says when it goes to sleep, and the first to hand something in after that wakes it.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "message/message.h"

struct tofu_engine;

/** Something to be done on the reactor's thread; embedded in what it needs. */
struct tofu_command {
	struct tofu_command *next;
	void (*run)(struct tofu_engine *engine, struct tofu_command *command); /* may free it */
	void (*drop)(
		struct tofu_command *command); /* instead, when the engine has ended; NULL: it is not ours to free */
};

/** As many as wait there when one channel is busy. */
enum { TOFU_TRAIL = 1024 };

struct tofu_mailbox {
	struct tofu_msg *_Atomic messages; /* newest first */
	struct tofu_command *_Atomic commands;
	atomic_bool refilled;   /* the pool has something again */
	atomic_bool interrupts; /* of some group a receive is to look up from waiting */
	atomic_bool sleeping;

	/* Where the last ones lie, oldest first: what to ask for, whoever owns it by now. Never followed. */
	atomic_size_t trail_end;
	size_t trail_taken; /* where it ended when the reactor last took messages */
	struct tofu_msg *_Atomic trail[TOFU_TRAIL];
};

/** Any thread. True: the reactor sleeps, and it falls to the caller to wake it. */
bool tofu_mailbox_post(struct tofu_mailbox *box, struct tofu_msg *m);
/** Several, linked by next from the newest to the oldest. */
bool tofu_mailbox_post_chain(struct tofu_mailbox *box, struct tofu_msg *newest, struct tofu_msg *oldest);
bool tofu_mailbox_command(struct tofu_mailbox *box, struct tofu_command *command);
bool tofu_mailbox_refilled(struct tofu_mailbox *box);
/** Of a signal handler, too. */
bool tofu_mailbox_interrupt(struct tofu_mailbox *box);
/** Any thread: something else changed that the reactor looks at each turn. */
bool tofu_mailbox_nudge(struct tofu_mailbox *box);

/** Reactor: take all, oldest first; NULL: none. */
struct tofu_msg *tofu_mailbox_take_messages(struct tofu_mailbox *box);
struct tofu_command *tofu_mailbox_take_commands(struct tofu_mailbox *box);
bool tofu_mailbox_take_refilled(struct tofu_mailbox *box);
bool tofu_mailbox_take_interrupts(struct tofu_mailbox *box);

/** Any thread, of the moment: does the reactor sleep? Does nothing wait for it? */
static inline bool tofu_mailbox_is_asleep(struct tofu_mailbox *box)
{
	return atomic_load(&box->sleeping);
}
static inline bool tofu_mailbox_is_empty(struct tofu_mailbox *box)
{
	return atomic_load(&box->messages) == NULL && atomic_load(&box->commands) == NULL &&
	       !atomic_load(&box->refilled) && !atomic_load(&box->interrupts);
}

/** With the turn: messages that were posted since they were last taken, about. */
size_t tofu_mailbox_count(const struct tofu_mailbox *box);

/** Reactor: about to sleep. False: something came in; do not. */
bool tofu_mailbox_sleep(struct tofu_mailbox *box);
void tofu_mailbox_awake(struct tofu_mailbox *box);

#endif
