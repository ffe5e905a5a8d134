/* SPDX-License-Identifier: MIT */

#include "reactor/session.h"

#include <stddef.h>

/* --- what may be said: two tables --- */

enum { OPCODES = TOFU_BYE_SIGNAL + 1 };

enum {
	D = TOFU_DELIVER,
	R = TOFU_REFUSE,
	H = TOFU_HANG_UP,

	S = TOFU_SEND,
	K = TOFU_KEEP,
	A = TOFU_ABORT
};

enum hearing { OF_STRANGER, OF_CALLER, OF_CALLED, OF_ANSWERED, HEARINGS };
enum sending { OPEN, ASKED, DONE, SENDINGS };

/* clang-format off */
static const unsigned char hearing[HEARINGS][OPCODES] = {
	/*                 Request Response Signal  HelloReq HelloResp  ByeReq ByeResp ByeSignal */
	[OF_STRANGER] = {  R,      R,       R,      D,       R,         R,     R,      H },
	[OF_CALLER]   = {  D,      D,       D,      R,       R,         D,     D,      H },
	[OF_CALLED]   = {  D,      D,       D,      R,       D,         D,     D,      H },
	[OF_ANSWERED] = {  R,      R,       R,      R,       R,         R,     R,      H },
};

static const unsigned char sending[SENDINGS][OPCODES] = {
	/*          Request Response Signal  HelloReq HelloResp  ByeReq ByeResp ByeSignal */
	[OPEN]  = { S,      S,       S,      S,       S,         S,     S,      A },
	[ASKED] = { K,      K,       K,      K,       K,         K,     S,      A },
	[DONE]  = { K,      K,       K,      K,       K,         K,     K,      A },
};
/* clang-format on */

static enum hearing hears(const struct tofu_session *s)
{
	if ((s->heard & TOFU_ANSWERED) != 0)
		return OF_ANSWERED;
	if (!s->called)
		return OF_CALLED;
	return (s->heard & TOFU_SPOKE) != 0 ? OF_CALLER : OF_STRANGER;
}

/* The peer asked, and has no answer yet. */
static bool owes_answer(const struct tofu_session *s)
{
	return (s->heard & TOFU_ASKED) != 0 && (s->said & TOFU_ANSWERED) == 0;
}

/* Our last frame is out: our ByeResponse, or whatever it was before the peer's, if we owe none. */
static bool has_said_all(const struct tofu_session *s)
{
	return (s->said & TOFU_ANSWERED) != 0 || ((s->heard & TOFU_ANSWERED) != 0 && !owes_answer(s));
}

static enum sending sends(const struct tofu_session *s)
{
	if (has_said_all(s) || (s->said & TOFU_CUT) != 0 || (s->queued & TOFU_ANSWERED) != 0)
		return DONE;
	return (s->queued & TOFU_ASKED) != 0 ? ASKED : OPEN;
}

static uint8_t fact(unsigned opcode)
{
	if (opcode == TOFU_BYE_REQUEST)
		return TOFU_ASKED;
	return opcode == TOFU_BYE_RESPONSE ? TOFU_ANSWERED : 0;
}

/* --- what follows --- */

/*
 * A bye has been completed: the peer has answered, or has our answer. Some peers never answer once their own ByeRequest is
 * out: then their end counts as the answer.
 */
static bool parted_as_wanted(const struct tofu_session *s)
{
	if (((s->said | s->heard) & TOFU_ANSWERED) != 0)
		return true;
	return (s->said & TOFU_ASKED) != 0 && (s->heard & TOFU_ASKED) != 0 && (s->heard & TOFU_ENDED) != 0;
}

static struct tofu_verdict then(enum tofu_next next)
{
	return (struct tofu_verdict){ .next = next, .reason = TOFU_OK };
}

static struct tofu_verdict end(const struct tofu_session *s, enum tofu_status otherwise)
{
	enum tofu_status reason = parted_as_wanted(s) ? TOFU_CHANNEL_CLOSED : otherwise;

	return (struct tofu_verdict){ .next = TOFU_END, .reason = reason };
}

bool tofu_session_may_shut_down(const struct tofu_session *s)
{
	return has_said_all(s) && (s->said & TOFU_CUT) == 0 && (s->heard & (TOFU_ANSWERED | TOFU_ENDED)) != 0;
}

/* Something was said or heard, and the link still stands in both directions or one. */
static struct tofu_verdict look(const struct tofu_session *s)
{
	if ((s->heard & TOFU_ENDED) != 0 && has_said_all(s))
		return end(s, TOFU_PEER_DISCONNECTED);
	if ((s->said & TOFU_CUT) != 0 || !has_said_all(s))
		return then(TOFU_GO_ON);
	if (tofu_session_may_shut_down(s))
		return then(TOFU_SHUT_DOWN);
	return then(tofu_session_due(s) == TOFU_BYE_DUE ? TOFU_GO_ON : TOFU_AWAIT_END);
}

/* --- events --- */

void tofu_session_begin(struct tofu_session *s, bool called)
{
	*s = (struct tofu_session){ .called = called, .cut_by = TOFU_OK };
}

enum tofu_outgoing tofu_session_posted(struct tofu_session *s, unsigned opcode)
{
	enum tofu_outgoing what = (enum tofu_outgoing)sending[sends(s)][opcode];

	if (what == TOFU_SEND)
		s->queued |= fact(opcode);
	return what;
}

struct tofu_verdict tofu_session_wrote(struct tofu_session *s, unsigned opcode)
{
	s->said |= fact(opcode);
	return look(s);
}

struct tofu_verdict tofu_session_cut(struct tofu_session *s, enum tofu_status why)
{
	s->said |= TOFU_CUT;
	s->cut_by = why;
	return (s->heard & TOFU_ENDED) != 0 ? end(s, why) : then(TOFU_READ_ON);
}

enum tofu_incoming tofu_session_judge(const struct tofu_session *s, unsigned opcode)
{
	return opcode < OPCODES ? (enum tofu_incoming)hearing[hears(s)][opcode] : TOFU_REFUSE;
}

struct tofu_verdict tofu_session_heard(struct tofu_session *s, unsigned opcode)
{
	s->heard |= fact(opcode) | TOFU_SPOKE;
	return look(s);
}

/* The peer has said all, and our answer is still owed: it can be written, for a peer that has only shut down reads on. */
static bool may_still_answer(const struct tofu_session *s)
{
	return owes_answer(s) && (s->heard & TOFU_ANSWERED) != 0 && (s->said & TOFU_CUT) == 0;
}

struct tofu_verdict tofu_session_ended(struct tofu_session *s, enum tofu_status why)
{
	s->heard |= TOFU_ENDED;
	if (may_still_answer(s) && why == TOFU_PEER_DISCONNECTED)
		return then(TOFU_WRITE_ON);
	return end(s, (s->said & TOFU_CUT) != 0 ? s->cut_by : why);
}

enum tofu_due tofu_session_due(const struct tofu_session *s)
{
	if ((s->said & TOFU_CUT) != 0)
		return TOFU_NOTHING_DUE;
	if ((s->heard & TOFU_SPOKE) == 0 && !has_said_all(s))
		return TOFU_HELLO_DUE;
	if ((s->queued & TOFU_ASKED) != 0 && (s->heard & (TOFU_ANSWERED | TOFU_ENDED)) == 0)
		return TOFU_BYE_DUE;
	return (s->heard & TOFU_ENDED) != 0 && owes_answer(s) ? TOFU_BYE_DUE : TOFU_NOTHING_DUE;
}

struct tofu_verdict tofu_session_overdue(const struct tofu_session *s)
{
	if (tofu_session_due(s) != TOFU_NOTHING_DUE && (s->heard & TOFU_ENDED) == 0)
		return (struct tofu_verdict){ .next = TOFU_END, .reason = TOFU_TIMEOUT };
	return end(s, s->cut_by); /* the linger time: parted as wanted, or cut */
}
