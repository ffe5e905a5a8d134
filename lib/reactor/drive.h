/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_DRIVE_H
#define TOFU_REACTOR_DRIVE_H

/*
 * Which thread runs the turns. One thread at a time has the lead: it runs turns, and it alone waits in the poller. The leader is
 *
 *     the engine's own thread, if there is one, or
 *     a thread that waits for something of the engine, say in tofu_receive(); it leads until that is there.
 *
 * With TOFU_IO_CALLER there is no thread of the engine. A thread that waits while another one leads follows: it sleeps until the
 * engine has something for it, or until the lead is free.
 *
 * With TOFU_IO_THREAD the engine's thread leads at first. When it has a few messages for the only thread that waits, it lends the
 * lead. That thread takes the lead when it waits again; then no message has to be handed from one thread to the other. The
 * engine's thread stands by meanwhile: an event that comes while nobody leads wakes it, and it leads again. So lending the lead
 * delays no other channel. It does not pay where that happens soon, as with many channels that are busy at once: then the
 * engine's thread holds back, twice as long after each such loan.
 *
 * The lead is not the turn (reactor.h). The leader gives the turn back while it waits, so that others may post, or fork.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"

struct tofu_engine;
struct tofu_group;
struct tofu_reactor;

/**
 * What a leader waits for: that something happens to this group, or anywhere (NULL). It is there from the moment when the thread
 * takes the lead, with the group's lock, until its last turn ends. So whatever happens to the group after the thread has looked
 * grants the wish, even by a thread that has the turn in between.
 */
struct tofu_wish {
	const struct tofu_group *group;
	bool granted;    /* under the turn */
	int64_t next_ns; /* out: when the next turn has something to do, whatever happens */
};

struct tofu_lead {
	struct tofu_mutex lock; /* all below; what is atomic is also read without */
	struct tofu_cond given_up;
	atomic_bool taken;
	struct tofu_wish *_Atomic wish; /* the leader's; NULL: it waits for nothing */
	unsigned followers;
	const void *_Atomic last; /* the thread of the application that led last */
	uint64_t times;           /* such a thread has led */
	bool lent;                /* the engine's thread stands by */
	int64_t until_ns;         /* ... until then */
	uint64_t lent_at;         /* what times was when it was lent last */
	uint64_t loans;           /* so far; for tests */
	uint32_t hold_back;       /* so many turns that might lend do not, since the last loan did not pay */
	uint32_t held_back;       /* so many have not */
	bool ready;
};

enum tofu_status tofu_lead_init(struct tofu_lead *l);
void tofu_lead_fini(struct tofu_lead *l);
/** Wait for the lead until deadline_ns, for a wish or for good (NULL). False: not in time. */
bool tofu_lead_take(struct tofu_reactor *r, struct tofu_wish *or_null, int64_t deadline_ns);

/**
 * With the turn, after something has happened to this group, or to any that is concerned (NULL): if the leader waits for it, it
 * waits no longer.
 */
void tofu_lead_grant(struct tofu_reactor *r, const struct tofu_group *g);

/** With the lead and the turn, if this is the engine's thread: would another one lead next? Then the lead is free from here on. */
bool tofu_lead_lend(struct tofu_reactor *r);
/** ... and stand by, without the turn, until it is to lead again. */
void tofu_lead_stand_by(struct tofu_reactor *r);

/**
 * With the group's lock, which is let go of meanwhile: wait until something happens to the group, or until deadline_ns, which
 * gives false. If no other thread leads, this one does; else it waits on the condition. May return for nothing.
 */
bool tofu_group_wait(struct tofu_group *g, struct tofu_cond *what, int64_t deadline_ns);
/** With the group's lock, when the engine lets go of it: its followers follow no more. */
void tofu_group_follows_no_more(struct tofu_reactor *r, struct tofu_group *g);

/** Does a thread or a foreign loop wait for events, or stand by? Else there is nobody to wake. Also in signal handlers. */
bool tofu_lead_is_watched(const struct tofu_reactor *r);
/** In an engine without a thread: will the calling thread drive it next? Then it need not wake anybody for what it has posted. */
bool tofu_lead_is_expected(const struct tofu_reactor *r);
/** ... carry it out while nobody leads, unless it had better be gathered with what follows. longest: of its messages, bytes. */
void tofu_drive_posted(struct tofu_reactor *r, uint32_t longest);

#endif
