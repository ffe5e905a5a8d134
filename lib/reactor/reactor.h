/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_REACTOR_H
#define TOFU_REACTOR_REACTOR_H

/*
 * All I/O is done here, by one thread at a time: drive.h says which. reactor.c is the loop; what happens to a channel in it is in
 * chan.c (states, ending), dial.c (opening), send.c and receive.c.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"
#include "reactor/admission.h"
#include "reactor/chan.h"
#include "reactor/drive.h"
#include "reactor/list.h"
#include "reactor/log.h"
#include "reactor/poller.h"
#include "reactor/timers.h"

struct tofu_command;
struct tofu_engine;
struct tofu_group;

enum {
	TOFU_READY_MAX = 256,     /* events per wait */
	TOFU_BLOCK = 128 * 1024,  /* what one read may bring */
	TOFU_KEPT_MAX = 1 << 20,  /* bytes that all channels together may keep while they wait for messages */
	TOFU_STAGING = 64 * 1024, /* small messages are copied together here */
	TOFU_SIP = 4 * 1024,      /* ... while the pool is nearly empty */
	TOFU_BUDGET = 256 * 1024, /* bytes per channel, turn and direction: one flood must not starve the others */
	TOFU_SEGMENT = 1024,      /* so little is no full segment: the peer has no more, or waits */
	TOFU_DIRECT = 8 * 1024,   /* of a body from here on, nothing but the next header is read behind it */
	TOFU_ACCEPT_BUDGET = 64,  /* connections per listener and turn */
	TOFU_STOCK_FIRST = 4,     /* messages taken out of the pool at once: at first in a turn */
	TOFU_STOCK = 64,          /* ... and then */
	TOFU_SPARE_DIALS = 64,
	TOFU_DIAL_ROOM = 2,    /* addresses that a spare one has room for: nearly all have no more */
	TOFU_LINGER_MS = 1000, /* how long the peer's end is awaited after the last word */
	TOFU_RETRY_MS = 100,   /* when something was refused for want of memory or descriptors */
	TOFU_PAUSE_MS = 2,     /* when the system could not just now; doubled each time, up to TOFU_RETRY_MS */
	TOFU_TRIM_MS = 1000,   /* that long not much was freed: a burst is over */
	TOFU_GRACE_MS = 1000,  /* a caller may say nothing for so long, however many others there are */
	TOFU_CALM_MS = 1000,   /* that long nothing was refused: accepting is no longer in trouble */
	TOFU_COMPLAINTS = 20,  /* lines of the log about peers in a second; of more there is a count */
	TOFU_REPRIEVES = 128   /* sweeps that an overdue timer waits for what its channel has still to read */
};

/** A piece of a stream that was read. A channel keeps what is left of it while it waits for messages to cut it into. */
struct tofu_block {
	uint32_t size;
	uint32_t at;
	uint32_t len;
	unsigned char bytes[];
};

/** Counters: written by the reactor only, read by any thread. */
struct tofu_counters {
	_Atomic uint64_t messages_sent;
	_Atomic uint64_t messages_received;
	_Atomic uint64_t bytes_sent;
	_Atomic uint64_t bytes_received;
	_Atomic uint64_t messages_returned;
	_Atomic uint64_t frames_refused;
	_Atomic uint64_t wakeups;
	_Atomic uint64_t polls_for_reading;
	_Atomic uint64_t sends;
	_Atomic uint64_t receives;
	_Atomic uint64_t bytes_kept;
	_Atomic uint64_t callers_refused;
	_Atomic uint64_t callers_displaced;
	_Atomic uint64_t channels[TOFU_CHAN_STATES];
};

static inline void tofu_count(_Atomic uint64_t *counter, uint64_t by)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + by, memory_order_relaxed);
}

struct tofu_reactor {
	struct tofu_engine *engine;
	struct tofu_thread thread;
	bool started;
	struct tofu_lead lead;
	atomic_bool has_pollable; /* a foreign loop waits for events */
	bool lends;               /* the engine's thread lends the lead */
	struct tofu_mutex turn;   /* held by the thread that changes anything here; not while it waits */
	struct tofu_cond turn_given_back;
	bool has_turn;
	atomic_uint turn_wanted;     /* threads that are to have it before the reactor has it again */
	const void *_Atomic turn_of; /* the thread that holds it */
	int64_t asleep_until_ns;     /* the thread that waits for events knows of no earlier timer */
	int64_t through_ns;          /* when a message was last to be written by its poster */
	int64_t gathered_ns;         /* when what posters had gathered was last written by one of them */
	struct tofu_poller *poller;
	int64_t now_ns;      /* read once a turn, and when something was posted */
	int64_t retry_at_ns; /* look again at what was refused; 0: nothing was */
	int64_t trim_at_ns;  /* give the system what a burst left free; 0: it did not leave much */
	int64_t sweep_ns;    /* something is overdue, and will be judged as of then; 0: nothing is */
	uint32_t looks_due;  /* waits that are still to be made before that */

	size_t queued; /* messages that wait in channels to be sent */
	size_t queued_at; /* so many of them may be enough to read on for a channel that waits for the pool; SIZE_MAX: none does */
	size_t connections; /* channels that are read from */
	size_t owing;       /* channels whose group is still to be told that there is room again */
	size_t share;       /* a channel that holds fewer messages may have one of the stock */
	bool drought;       /* the pool was found empty, and nothing has been put back since */
	bool scarce;        /* when the pool was last asked, it had not many to give */

	struct tofu_list groups;
	struct tofu_list touched;      /* groups that get something at the end of this turn */
	struct tofu_list dirty;        /* channels to look at before sleeping */
	struct tofu_list starving;     /* channels that wait for the pool */
	struct tofu_list paused;       /* listeners that wait for a descriptor, memory or a slot */
	struct tofu_list unheard;      /* callers that have not said hello, the oldest first */
	struct tofu_list arriving;     /* channels in the middle of a frame, the oldest first */
	struct tofu_list graves;       /* closed channels */
	struct tofu_leg *closed_legs;  /* of channels, to be freed like these */
	struct tofu_timers timers;     /* of all channels that have not ended */
	int64_t timer_ns[TOFU_TIMERS]; /* how long those take that a state starts; 0: it does not */
	int64_t idle_ns;               /* of TOFU_TIMER_QUIET: no byte either way for so long, and ... */
	int64_t receive_ns;            /* ... none received for so long; 0: does not matter */

	struct tofu_msg *sent; /* written whole, to be put back at the end of the turn */
	struct tofu_msg
		*stock[TOFU_STOCK]; /* out of the pool, for what comes in; what is left goes back after the turn */
	size_t stocked;
	size_t stock_next; /* how many to take next */
	struct tofu_block *block;
	struct tofu_dial *spare_dials;
	unsigned spare_dial_count;
	unsigned char *staging;

	struct tofu_counters counters;
	struct tofu_peers peers;      /* that have called, if they are counted */
	int64_t refused_ns;           /* when a caller was last refused; 0: none was */
	int64_t displaced_ns;         /* when one last made room for another */
	int64_t complaints_ns;        /* when the second began in which complaints are counted */
	uint32_t complaints;          /* about peers, in that second */
	uint32_t complaints_left_out; /* that the log did not get, and that it has still to be told of */
	struct tofu_log log;          /* of this turn */
	char **peer_texts; /* for the log, by channel: when a connection has ended the system knows its peer no more; NULL: no log */
};

enum tofu_status tofu_reactor_init(struct tofu_reactor *r);
enum tofu_status tofu_reactor_start(struct tofu_reactor *r);
/** Have nobody run a turn any more: the thread has ended, or the lead is the caller's. */
void tofu_reactor_stop(struct tofu_reactor *r);
/** Free what init and the thread left; in a child after fork(), too, where there is no thread. */
void tofu_reactor_fini(struct tofu_reactor *r);

/*
 * The turn: the thread that holds it may touch the reactor's state. That is the thread that leads, except while it waits; then, for a
 * moment, a thread that forks (fork.c) or that writes through (through.c).
 */
/**
 * The leader: run turns until the wish is granted, until deadline_ns, or until the engine is being destroyed. At least one turn, so
 * that with a deadline that is over this looks once. False: not in time.
 */
bool tofu_reactor_run(struct tofu_reactor *r, struct tofu_wish *wish, int64_t deadline_ns);
/** With the turn: do what has been posted, as far as that goes without waiting. */
void tofu_reactor_catch_up(struct tofu_reactor *r, int64_t now_ns);
/** With the turn: when the next one has something to do, whatever happens; INT64_MAX: never. */
int64_t tofu_reactor_next_look(const struct tofu_reactor *r);
/** With the turn: for how long nothing has to be done unless something happens, ns; TOFU_FOREVER. */
int64_t tofu_reactor_time_left(struct tofu_reactor *r);
/** False: somebody else has it. Never blocks. */
bool tofu_reactor_try_turn(struct tofu_reactor *r);
void tofu_reactor_end_turn(struct tofu_reactor *r);
/**
 * As a mere lock, for a thread that forks: the next turn is its own, however busy the reactor is. Blocks for the rest of the
 * one under way.
 */
void tofu_reactor_hold_turn(struct tofu_reactor *r);
void tofu_reactor_give_turn_back(struct tofu_reactor *r);
/** Is it the caller's? Not if it was taken as a mere lock, as fork.c does. */
bool tofu_reactor_has_turn(const struct tofu_reactor *r);

/** The debug build checks that reactor state is touched by who has the turn, and nobody else. */
#ifdef TOFU_DEBUG
#include <assert.h>
#define tofu_on_reactor(r) assert(tofu_reactor_has_turn(r))
#else
#define tofu_on_reactor(r) ((void)(r))
#endif

/* Timers of a channel: from its beginning here to its end, which stops them all. None of these can fail. */

/** Start one that ends at deadline_ns, or move it there. expire() in reactor.c says what then happens. */
static inline void tofu_timer_start(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind,
                                    int64_t deadline_ns)
{
	tofu_timers_start(&r->timers, &c->deadlines, kind, deadline_ns);
}

static inline void tofu_timer_stop(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind)
{
	tofu_timers_stop(&r->timers, &c->deadlines, kind);
}

/* reactor.c: services for the files of this floor */

/** Give a message to a group at the end of this turn. */
void tofu_reactor_give(struct tofu_reactor *r, struct tofu_group *g, struct tofu_msg *m);
/** Make and give a Signal of the engine. False: no memory. */
bool tofu_reactor_notify(struct tofu_reactor *r, struct tofu_group *g, uint16_t channel, uint64_t id,
                         enum tofu_status status);
/** Hand each group what it got in this turn, and put back what was sent. */
void tofu_reactor_deliver(struct tofu_reactor *r);
/** Something was refused for want of memory or descriptors: look again soon. */
void tofu_reactor_retry_soon(struct tofu_reactor *r);
/**
 * May the log have one more line about a peer? Strangers can call without end. False: no, but when the second is over the log
 * gets the number of those that were left out.
 */
bool tofu_reactor_may_complain(struct tofu_reactor *r);
/** Told to the application by the reactor's thread, when this turn is over. */
void tofu_reactor_log(struct tofu_reactor *r, enum tofu_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** A command of tofu_group_destroy(): end every channel of the group, then forget it. */
void tofu_reactor_end_group(struct tofu_engine *e, struct tofu_command *command);
/** A channel of the group is gone: was it the last that the end of the group waits for? */
void tofu_reactor_group_ended(struct tofu_reactor *r, struct tofu_group *g);
/** Any thread without the turn: a group is there from now on. */
void tofu_reactor_add_group(struct tofu_reactor *r, struct tofu_group *g);

/* dial.c */

/** Any thread: addresses for a channel to be opened with; of more than TOFU_ADDRESSES_MAX the first. NULL: no memory. */
struct tofu_dial *tofu_dial_make(const struct tofu_sockaddr *addresses, size_t count);
/** A HelloRequest or WelcomeRequest has arrived for a new channel. */
void tofu_dial_open(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m);
/** What was called, after "scheme|". */
void tofu_dial_called(const struct tofu_chan *c, char rest[TOFU_ADDRESS_MAX + 1]);
/** Its link is connected, and watched: the channel opens. */
void tofu_dial_connected(struct tofu_reactor *r, struct tofu_chan *c);
/** An address of this length is too long, and so is one that was cut to it. */
enum { TOFU_ADDRESS_TOO_LONG = TOFU_ADDRESS_MAX + 1 };
/**
 * What is wrong with the address in a message that was to open the channel: static text; NULL: there is no address. The address
 * is copied to `address`, cut if need be.
 */
const char *tofu_dial_fault(const struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_msg *m,
                            char address[TOFU_ADDRESS_TOO_LONG + 1]);
/** The channel ends, whatever its opening has come to. */
void tofu_dial_stop(struct tofu_reactor *r, struct tofu_chan *c);
/** Take waiting connections, from a link of a listener: its own, or a leg's. */
void tofu_dial_accept(struct tofu_reactor *r, struct tofu_chan *listener, struct tofu_link *link);
/** What this paused listener, or every paused one, waits for may be there again: a descriptor, a channel, a number. */
void tofu_dial_resume(struct tofu_reactor *r, struct tofu_chan *listener);
void tofu_dial_resume_all(struct tofu_reactor *r);
/** The pause is over that was made because the system could not just then. */
void tofu_dial_retry(struct tofu_reactor *r, struct tofu_chan *c);

/* through.c */

/** A wake-up costs about as much as this, and a write less: what is posted in quicker succession is better gathered. */
enum { TOFU_GATHER_NS = 10000 };

/** A thread that has just posted m: write it by itself, if the reactor sleeps and nothing is in the way. False: it did not. */
bool tofu_through(struct tofu_reactor *r, struct tofu_msg *m);

/* send.c */

/** A message has arrived for a channel that is open or on its way there. */
void tofu_send_queue(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m);
/** Write what can be written now. */
void tofu_send_now(struct tofu_reactor *r, struct tofu_chan *c);
/** TOFU_TIMER_ANSWER has ended: does the peer still acknowledge what was sent? */
void tofu_send_look(struct tofu_reactor *r, struct tofu_chan *c);
/** Shut our side down, now or when the transport can. */
void tofu_send_fin(struct tofu_reactor *r, struct tofu_chan *c);

/* receive.c */

/** Room for that many bytes; for free(). NULL: no memory. */
struct tofu_block *tofu_block_new(size_t size);
/** Read what can be read now, and cut it into messages. */
void tofu_receive_now(struct tofu_reactor *r, struct tofu_chan *c);
/** Read on where the poller cannot know that there is more. */
void tofu_receive_on(struct tofu_reactor *r, struct tofu_chan *c);
/** The stream is at its end: as both sides wanted it, as sending found out before, or for the reason in status. */
void tofu_receive_ended(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status status);
/** Free what has arrived in part. */
void tofu_receive_forget(struct tofu_reactor *r, struct tofu_chan *c);
/**
 * While the pool is empty, whoever keeps one of its messages half filled for longer than a handshake may take is closed: a
 * few idle peers must not be able to keep the pool from all others.
 */
void tofu_receive_overdue(struct tofu_reactor *r, int64_t until_ns);
/** When that is due next; INT64_MAX: it is not. */
int64_t tofu_receive_deadline(const struct tofu_reactor *r);
/** While the pool is empty, a channel that would need a message is not to be asked for. */
void tofu_receive_spare(struct tofu_reactor *r, struct tofu_chan *c);

#endif
