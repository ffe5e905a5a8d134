/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_TIMERS_H
#define TOFU_REACTOR_TIMERS_H

/*
 * Deadlines of an engine: a heap with one entry per channel, whatever number of its timers run.
 *
 * An entry is where the earliest of its channel's deadlines belongs, or above that: a deadline that is moved later, as
 * the one for idleness is with every read and write, leaves the entry alone, and so does a timer that is stopped while others
 * run. Such an entry is put right when it comes up, which may end a sleep of the reactor early: once per deadline
 * that has been moved, however often it was moved. An entry without a running timer never comes up.
 *
 * What is needed for all channels is allocated in the beginning, so that to enter or to start a timer cannot fail. It is large
 * and hardly touched: the system maps zero pages, real memory comes with use. The reactor's thread only.
 */

#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>

enum tofu_timer {
	TOFU_TIMER_NONE,
	TOFU_TIMER_HANDSHAKE, /* to resolve, to connect, to say hello */
	TOFU_TIMER_ANSWER, /* the peer's system has to answer: a connect, before the next address is tried; then, what was sent */
	TOFU_TIMER_BYE,   /* the answer to our bye is due */
	TOFU_TIMER_QUIET, /* a connection is silent; once it lingers, the peer's end is due */
	TOFU_TIMER_RETRY  /* something was refused for want of memory or descriptors, and is tried again */
};
enum { TOFU_TIMERS = TOFU_TIMER_RETRY + 1 };

/** Embedded in a channel; all zero: not entered. */
struct tofu_deadlines {
	int64_t at_ns[TOFU_TIMERS - 1]; /* by kind, but for NONE; 0: does not run */
	uint32_t place;                 /* in the heap, from 1 on; 0: not entered */
};

struct tofu_timers_entry {
	int64_t key_ns; /* no deadline of it is earlier */
	struct tofu_deadlines *of;
};

struct tofu_timers {
	struct tofu_timers_entry *heap; /* from 1 on; the children of i are 2i and 2i + 1 */
	uint32_t count;
	uint64_t steps; /* entries that were moved; for tests */
};

/** Room for so many entries. TOFU_ALLOCATION_FAILED. */
enum tofu_status tofu_timers_init(struct tofu_timers *t, uint32_t most);
/** All zero is fine. */
void tofu_timers_fini(struct tofu_timers *t);

/** Make d an entry, for which there is room; no timer runs. */
void tofu_timers_enter(struct tofu_timers *t, struct tofu_deadlines *d);
/** Stop all its timers and forget it. Not entered: nothing. */
void tofu_timers_leave(struct tofu_timers *t, struct tofu_deadlines *d);

/** The deadline of a timer; 0: it does not run. */
static inline int64_t tofu_timers_deadline(const struct tofu_deadlines *d, enum tofu_timer kind)
{
	return d->at_ns[kind - 1];
}

/** Put an entry that has a new deadline before that. */
void tofu_timers_sooner(struct tofu_timers *t, struct tofu_deadlines *d, int64_t deadline_ns);

/** Start a timer, or move one that runs. d is entered; deadline_ns > 0. */
static inline void tofu_timers_start(struct tofu_timers *t, struct tofu_deadlines *d, enum tofu_timer kind,
                                     int64_t deadline_ns)
{
	int64_t before_ns = d->at_ns[kind - 1];

	d->at_ns[kind - 1] = deadline_ns;
	if (before_ns == 0 || deadline_ns < before_ns)
		tofu_timers_sooner(t, d, deadline_ns);
}

/** Stop one; not running: nothing. */
void tofu_timers_stop(struct tofu_timers *t, struct tofu_deadlines *d, enum tofu_timer kind);

/** No deadline is earlier than this; INT64_MAX: no timer runs. */
static inline int64_t tofu_timers_next(const struct tofu_timers *t)
{
	return t->count > 0 ? t->heap[1].key_ns : INT64_MAX;
}

/** The earliest deadline up to until_ns, and of which timer; NULL: there is none. Entries that only seem due are put right. */
struct tofu_deadlines *tofu_timers_peek(struct tofu_timers *t, int64_t until_ns, enum tofu_timer *kind);
/** The same, and stop that timer. */
struct tofu_deadlines *tofu_timers_pop(struct tofu_timers *t, int64_t until_ns, enum tofu_timer *kind);

#endif
