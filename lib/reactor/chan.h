/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_CHAN_H
#define TOFU_REACTOR_CHAN_H

/*
 * A channel: a listener or a connection. Everything here but gate and group is the reactor thread's alone, from the moment
 * the first message reaches it until the channel is buried.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tofu/transport.h>

#include "message/message.h"
#include "message/pool.h"
#include "message/wire.h"
#include "reactor/gate.h"
#include "reactor/list.h"
#include "reactor/poller.h"
#include "reactor/session.h"
#include "reactor/timers.h"

struct tofu_group;
struct tofu_leg;
struct tofu_lookup;
struct tofu_reactor;

/*
 * The states of a channel's link. The table in chan.c is the law, and a test walks it. What the two sides have said to each
 * other is not here: that is the session's (session.h), whose verdicts move an open link on.
 *
 *   NEW -> RESOLVING -> LISTENING                                a listener
 *   NEW -> RESOLVING -> CONNECTING -> OPEN                       a connection that was asked for
 *   NEW -> ACCEPTED -> OPEN                                      a connection that came in, and has said hello
 *
 *   OPEN -> LEAVING      a bye was sent or received; both directions are open
 *           LINGERING    our last frame is out; the peer's end is awaited
 *           HALF_CLOSED  the peer's end is here; the answer that we owe is awaited, and written
 *           PARTED       nothing can be written any more; what the peer sends is read to its end
 *
 *   any -> CLOSING       the link is closed; messages on their way here are awaited, to be given back
 *   CLOSING -> CLOSED    channel_closed is said; the slot is free once nothing refers to it
 */
enum tofu_chan_state {
	TOFU_CHAN_NEW,
	TOFU_CHAN_RESOLVING,
	TOFU_CHAN_CONNECTING,
	TOFU_CHAN_LISTENING,
	TOFU_CHAN_ACCEPTED,
	TOFU_CHAN_OPEN,
	TOFU_CHAN_LEAVING,
	TOFU_CHAN_LINGERING,
	TOFU_CHAN_HALF_CLOSED,
	TOFU_CHAN_PARTED,
	TOFU_CHAN_CLOSING,
	TOFU_CHAN_CLOSED
};
enum { TOFU_CHAN_STATES = TOFU_CHAN_CLOSED + 1 };

struct tofu_chan_rule {
	const char *name;
	unsigned next;         /* the states that may follow: bits */
	bool talks;            /* the queue is written */
	bool hears;            /* the peer is read */
	enum tofu_timer timer; /* runs in this state, and on into the next if that has the same */
};

extern const struct tofu_chan_rule tofu_chan_rules[TOFU_CHAN_STATES];

/** A connect to one of the addresses. */
struct tofu_attempt {
	uint32_t address; /* which one */
	unsigned want;    /* what a leg's waits for; that of the channel's own link is in receive_want */
	bool goes_on;     /* else its place is free */
	bool under_way;   /* it was started: connect_finish tells how it ends */
};

/** The addresses of a channel that is being opened, made when they are known: with room for exactly those, or for a few. */
struct tofu_dial {
	struct tofu_dial *next;      /* spare */
	struct tofu_attempt attempt; /* of the channel's own link; those beside it are in legs */
	uint32_t attempts;           /* that go on */
	uint32_t room;
	uint32_t count;
	uint32_t at;       /* the next to try */
	uint32_t left_out; /* more than TOFU_ADDRESSES_MAX were found: so many */
	struct tofu_sockaddr addresses[];
};

/** An operation is called again when TOFU_TIMER_RETRY ends: a bit beside TOFU_READABLE and TOFU_WRITABLE. */
enum { TOFU_AFTER_PAUSE = 4 };

/**
 * Does a listener find what it needs to accept? When it does not, it asks for nothing until there may be something again, and
 * TOFU_TIMER_RETRY says when to look. One that goes on after that is watched for a while: an episode, of which the log
 * has one line, is over when nothing was refused for TOFU_CALM_MS.
 */
enum tofu_accepting { TOFU_ACCEPTS, TOFU_ACCEPTS_NOTHING, TOFU_ACCEPTS_AGAIN };

struct tofu_chan {
	tofu_gate gate;                   /* any thread */
	struct tofu_group *_Atomic group; /* any thread; written while the gate is shut */
	struct tofu_poll_item poll;       /* what the poller knows of it */
	struct tofu_link link;
	const struct tofu_transport *transport; /* of link; known once the address is */

	/* There are thousands of channels: what is small lies together. */
	struct tofu_session session;       /* what was said on it */
	enum tofu_chan_state state : 8;    /* written by tofu_chan_move() only */
	enum tofu_status why : 8;          /* what ended it */
	enum tofu_accepting accepting : 8; /* a listener's */
	bool connected : 1;                /* its connection stands, or stood; else it is being opened, or listens */
	bool watched : 1;                  /* the poller has it */
	bool fin_sent : 1;                 /* our side is shut down */
	bool reads_on : 1;                 /* there may be more to read that no poller sees */
	bool owes_ready : 1;               /* a send_ready could not be made for want of memory */
	uint8_t looks;                     /* in a row that found unacknowledged data */
	uint8_t pauses;                    /* in a row, for the system could not just then */
	uint8_t reprieves;                 /* of a timer that is overdue while there is more to read */
	uint8_t head_len;
	uint8_t send_want;    /* what the transport waits for to go on sending, or TOFU_AFTER_PAUSE; 0: not stuck */
	uint8_t receive_want; /* the same for receiving and connecting: TOFU_READABLE as a rule */
	uint16_t number;
	uint32_t sent;        /* bytes of the first unsent message that are out */
	uint32_t partial_len; /* bytes of text headers and body that are in the message that is filled */
	uint32_t held_before; /* messages in held that were posted before the ByeResponse at the end of unsent */
	unsigned char head[TOFU_WIRE_HEADER]; /* of a frame that has begun to arrive: head_len bytes */

	struct tofu_msg
		*farewell; /* the channel_closed notice, made beforehand so that it cannot fail; has the opening's id */
	union {
		struct tofu_msg *hello; /* called from here: the HelloRequest, written, until the peer says something */
		struct tofu_peer *peer; /* accepted: counted, if its peer's connections are */
	};
	union { /* told apart by connected */
		struct {
			struct tofu_lookup *lookup; /* its answer is awaited */
			struct tofu_dial *dial;     /* what is dialled, or listened at */
			struct tofu_leg *legs;      /* a listener's further sockets; connects beside the first */
			struct tofu_msg *welcome;   /* the WelcomeRequest until it is answered */
		};
		struct { /* what went over it so far */
			uint64_t messages_sent;
			uint64_t messages_received;
			uint64_t bytes_sent;
			uint64_t bytes_received;
		};
	};
	int64_t opened_ns;   /* its connection stands, or it listens, or it was accepted; 0: not yet */
	int64_t sent_ns;     /* the last byte, or it was opened, if there was none since */
	int64_t received_ns; /* the same */

	struct tofu_msg_queue unsent;
	union {
		struct tofu_msg_queue held; /* not to be sent: posted behind a bye, or before it opens */
		struct tofu_list unheard;   /* accepted, and has not said hello: nobody can post to it */
	};

	struct tofu_msg *partial; /* the message that is filled */
	int64_t partial_since_ns; /* when it was taken out of the pool */
	struct tofu_share share;  /* of the pool; open since its first frame */
	struct tofu_block *kept;  /* read from the socket, waiting for messages to put it into */

	struct tofu_deadlines deadlines;
	union {                              /* one after the other */
		struct tofu_list arriving;   /* in the middle of a frame */
		struct tofu_list grave;      /* closed, until nothing refers to it */
		struct tofu_chan *next_free; /* of a free slot */
	};
	struct tofu_list dirty; /* something happened to it: send, and declare interest */
	struct tofu_list
		starving; /* waits for the pool, or its share; a listener, for a descriptor, memory or a slot */
	struct tofu_list of_group;
};

/** Group of a channel, on the reactor's thread. */
static inline struct tofu_group *tofu_chan_group(struct tofu_chan *c)
{
	return atomic_load_explicit(&c->group, memory_order_relaxed);
}

/** The WelcomeRequest that is not answered yet, or NULL. */
static inline struct tofu_msg *tofu_chan_welcome(const struct tofu_chan *c)
{
	return c->connected ? NULL : c->welcome;
}

/** Its last frame is out, or nothing can be written any more; the peer's end is awaited. */
static inline bool tofu_chan_lingers(enum tofu_chan_state state)
{
	return state == TOFU_CHAN_LINGERING || state == TOFU_CHAN_PARTED;
}

static inline bool tofu_chan_gone(const struct tofu_chan *c)
{
	return c->state == TOFU_CHAN_CLOSING || c->state == TOFU_CHAN_CLOSED;
}

/** The only writer of c->state; keeps the timer and the statistics in step. */
void tofu_chan_move(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_chan_state next);
/** Something happened to it: it is looked at before the reactor sleeps. */
void tofu_chan_touch(struct tofu_reactor *r, struct tofu_chan *c);
/** Bytes were sent, or received: the clocks of a silent connection start anew. */
void tofu_chan_sent(struct tofu_reactor *r, struct tofu_chan *c, uint32_t messages, size_t bytes);
void tofu_chan_received(struct tofu_reactor *r, struct tofu_chan *c, size_t bytes);
/**
 * An operation gave that status, and *want. True: it is to be called again, when *want holds; that includes a pause where
 * there is nothing to wait on, or where the system is short of memory: TOFU_AFTER_PAUSE. False: it has failed.
 */
bool tofu_chan_again(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status status, unsigned *want);
/** Do what the session says. */
void tofu_chan_follow(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_verdict v);
/** Start the timers of what the peer owes, stop those of what it does not. */
void tofu_chan_bound(struct tofu_reactor *r, struct tofu_chan *c);
/** A timer starts, or starts anew. */
void tofu_chan_start_timer(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind);
/** The poller begins to watch its link. number: of the channel that the log names when that fails. */
enum tofu_status tofu_chan_watch(struct tofu_reactor *r, struct tofu_chan *c, uint16_t number);
/** What the poller is asked while a connect waits for that. */
static inline unsigned tofu_connect_interest(unsigned want)
{
	if (want == TOFU_AFTER_PAUSE)
		return 0;
	return (want & TOFU_READABLE) != 0 ? TOFU_POLL_READ : TOFU_POLL_CONNECT;
}
/** Tell the poller what its state wants. */
void tofu_chan_declare(struct tofu_reactor *r, struct tofu_chan *c);
/** Stop watching and close the link, if there is one, and its legs. The state stays. */
void tofu_chan_drop_link(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how);
/** The same, but the legs stay. */
void tofu_chan_drop_own_link(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how);

/**
 * The one way to end a channel, in any state; ending it again is nothing. Its unsent messages come back with why, then
 * channel_closed is said.
 */
void tofu_chan_close(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why);
/** The same, but the peer shall see a failure. */
void tofu_chan_abort(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status why);

/** The peer's address, without control characters; "unknown" if nobody can tell it. While there is a link. */
void tofu_chan_peer(const struct tofu_reactor *r, const struct tofu_chan *c, char *out, size_t capacity);
/** It has ended: what the log knows of its peer is not needed any more. */
void tofu_chan_forget_peer(struct tofu_reactor *r, const struct tofu_chan *c);
/** Its connection stands, or it listens; or a caller has said hello. */
void tofu_chan_opened(struct tofu_reactor *r, struct tofu_chan *c);
/** Log a line of information: "channel N: what PEER, here LOCAL". While there is a link. */
void tofu_chan_tell(struct tofu_reactor *r, const struct tofu_chan *c, const char *what);
/** Log a warning about its peer: who it is, and what it looks like if that is no peer of ours. While there is a link. */
void tofu_chan_complain(struct tofu_reactor *r, const struct tofu_chan *c, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** A link of its ends: log a warning of why an operation failed, if the transport has more to say of it than a status. */
void tofu_chan_explain(struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_link *link);

/** A message that was accepted before it closed has arrived after: it comes back. */
void tofu_chan_late(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m);

/** Tell its group that there is room again, now or when there is memory for it. */
void tofu_chan_send_ready(struct tofu_reactor *r, struct tofu_chan *c);

/** Its HelloRequest is written: it stays until the peer says something, for it may have to be answered here. */
void tofu_chan_keep_hello(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m);
/** The peer has answered, or is not to be asked any more: the message, or NULL. */
struct tofu_msg *tofu_chan_take_hello(struct tofu_reactor *r, struct tofu_chan *c);

/** A message waits in a queue of a channel, to be sent or to be given back. */
void tofu_chan_queue(struct tofu_reactor *r, struct tofu_msg_queue *q, struct tofu_msg *m);
struct tofu_msg *tofu_chan_unqueue(struct tofu_reactor *r, struct tofu_msg_queue *q);

/** Messages that were posted to it are written or given back. */
void tofu_chan_settle(struct tofu_reactor *r, struct tofu_chan *c, uint32_t messages, uint32_t bytes);
/**
 * What is unsent comes back behind what had arrived. But if that waits for messages, and the pool is empty because all of
 * it is unsent here, nobody could ever go on: then it comes back first.
 */
void tofu_chan_release(struct tofu_reactor *r, struct tofu_chan *c);
/** Give one accepted message back to the application with that status. */
void tofu_chan_give_back(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m, enum tofu_status status);

/** Why something has failed, as a message's header holds it: a transport may say anything. */
static inline enum tofu_status tofu_chan_reason(enum tofu_status why)
{
	return (unsigned)why - 1 < UINT8_MAX ? why : TOFU_UNKNOWN_ERROR;
}

/** What a message takes up in the gate. Our ByeSignal is never sent, and enters when the gate is full. */
static inline uint32_t tofu_msg_load(const struct tofu_msg *m)
{
	return m->header.opcode == TOFU_BYE_SIGNAL ? 0 : TOFU_WIRE_HEADER + m->headers_len + m->body_len;
}

/** Bytes of a message on the wire. */
static inline uint32_t tofu_msg_wire_size(const struct tofu_msg *m)
{
	return TOFU_WIRE_HEADER + m->headers_len + m->body_len;
}

#endif
