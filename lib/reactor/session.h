/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_SESSION_H
#define TOFU_REACTOR_SESSION_H

/*
 * What the protocol knows of a connection: who has said hello and bye, who owes an answer, what the peer may say now, what
 * we may still send, what ends the connection and with which reason. Pure: no I/O, no memory, no clock. The engine reports
 * each event and does what the verdict says; the states of the link are the channel's (chan.h).
 *
 * Each side is a set of facts. They only grow.
 *
 *     heard   SPOKE, ASKED, ANSWERED, ENDED    of the peer
 *     said    ASKED, ANSWERED, CUT             of ours: written to the link
 *     queued  ASKED, ANSWERED                  of ours: posted, maybe not written yet
 *
 * A ByeResponse is the last frame of its side. A side that gets one and owes none has nothing more to say either. The side
 * whose last frame is out shuts down once it has the peer's ByeResponse or end of stream; until then it waits, for FIN right
 * behind a ByeResponse makes some peers discard that unread (docs/protocol.md, section 9).
 */

#include <stdbool.h>
#include <stdint.h>

#include <tofu/message.h>
#include <tofu/status.h>

enum {
	TOFU_SPOKE = 1,    /* its first frame: its hello if it called us, or else whatever answers ours */
	TOFU_ASKED = 2,    /* its ByeRequest */
	TOFU_ANSWERED = 4, /* its ByeResponse */
	TOFU_ENDED = 8,    /* heard: its end of stream */
	TOFU_CUT = 8       /* said: nothing can be written any more */
};

struct tofu_session {
	bool called; /* the peer called us; or else we called */
	uint8_t heard;
	uint8_t said;
	uint8_t queued;
	enum tofu_status cut_by : 8; /* why nothing can be written */
};

/** What the engine does next. */
enum tofu_next {
	TOFU_GO_ON,
	TOFU_AWAIT_END, /* our last frame is out: keep the link open, read to the peer's end, for the linger time at most */
	TOFU_SHUT_DOWN, /* the same, after FIN */
	TOFU_READ_ON,   /* nothing can be written any more: read to the peer's end */
	TOFU_WRITE_ON,  /* the peer's end was read: what we still owe is written */
	TOFU_END        /* close the link: the channel ends with the verdict's reason */
};

struct tofu_verdict {
	enum tofu_next next;
	enum tofu_status reason; /* of TOFU_END */
};

/** What becomes of a message that was posted. */
enum tofu_outgoing {
	TOFU_SEND, /* it is written in its turn */
	TOFU_KEEP, /* it cannot be sent any more: it comes back at the channel's end */
	TOFU_ABORT /* a ByeSignal: the channel ends now */
};

/** What becomes of a frame, by its header alone. */
enum tofu_incoming {
	TOFU_DELIVER,
	TOFU_REFUSE, /* a violation of the protocol */
	TOFU_HANG_UP /* a ByeSignal: the peer has hung up; nothing of the frame is delivered */
};

/** What is waited for, that a time-out bounds. */
enum tofu_due { TOFU_NOTHING_DUE, TOFU_HELLO_DUE, TOFU_BYE_DUE };

/** A connection stands. called: it came in through a listener. */
void tofu_session_begin(struct tofu_session *s, bool called);

/** The application has posted a message. */
enum tofu_outgoing tofu_session_posted(struct tofu_session *s, unsigned opcode);
/** A frame of ours is written whole. */
struct tofu_verdict tofu_session_wrote(struct tofu_session *s, unsigned opcode);
/** Nothing can be written any more, for that reason. */
struct tofu_verdict tofu_session_cut(struct tofu_session *s, enum tofu_status why);

/** The header of a frame has come. The session changes when the frame is whole, by tofu_session_heard(). */
enum tofu_incoming tofu_session_judge(const struct tofu_session *s, unsigned opcode);
/** A frame that is to be delivered is here whole. */
struct tofu_verdict tofu_session_heard(struct tofu_session *s, unsigned opcode);
/** The peer's stream has ended: it hung up (peer_disconnected), or reading failed. */
struct tofu_verdict tofu_session_ended(struct tofu_session *s, enum tofu_status why);

/** What the peer owes us now, and has a limited time for. */
enum tofu_due tofu_session_due(const struct tofu_session *s);
/** That time, or the linger time, is over. */
struct tofu_verdict tofu_session_overdue(const struct tofu_session *s);

/** No bye has been posted or heard, and the link is whole: regular messages are sent, and change nothing. */
static inline bool tofu_session_is_open(const struct tofu_session *s)
{
	return ((s->heard | s->said | s->queued) & (unsigned)~TOFU_SPOKE) == 0;
}

/** Neither a hello nor a bye. */
static inline bool tofu_opcode_is_regular(unsigned opcode)
{
	return opcode <= TOFU_SIGNAL;
}

/** The usual frame, which is delivered and changes nothing: the peer has spoken and said no bye, and this is regular. */
static inline bool tofu_session_usual(const struct tofu_session *s, unsigned opcode)
{
	return s->heard == TOFU_SPOKE && tofu_opcode_is_regular(opcode);
}

/** The usual message of ours, which is sent and changes nothing: no bye has been posted or heard, and this is regular. */
static inline bool tofu_session_sends_usual(const struct tofu_session *s, unsigned opcode)
{
	return tofu_session_is_open(s) && tofu_opcode_is_regular(opcode);
}

/** Our side may be shut down now: its last frame is out, and the peer's has come. */
bool tofu_session_may_shut_down(const struct tofu_session *s);

#endif
