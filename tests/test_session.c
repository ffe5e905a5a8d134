/* SPDX-License-Identifier: MIT */

/*
 * The session, walked through every sequence of events up to a length, against the rules of docs/protocol.md (sections 5, 9 and
 * 10), which are stated here a second time in terms of what was posted, written and heard.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "reactor/session.h"
#include "lib/steps.h"

enum event {
	POST_REQUEST,
	POST_BYE_REQUEST,
	POST_BYE_RESPONSE,
	POST_BYE_SIGNAL,
	WRITE,
	HEAR_REQUEST,
	HEAR_HELLO_REQUEST,
	HEAR_HELLO_RESPONSE,
	HEAR_BYE_REQUEST,
	HEAR_BYE_RESPONSE,
	HEAR_BYE_SIGNAL,
	PEER_HANGS_UP,
	READING_FAILS,
	WRITING_FAILS,
	TIME_IS_OVER,
	EVENTS
};

enum { LENGTH_MAX = 16, REASON_NONE = -1 };

/* What has happened, as the two applications and the link see it. */
struct story {
	struct tofu_session session;
	bool called;

	uint8_t queue[LENGTH_MAX + 1]; /* opcodes that the session takes for sending, in order */
	int queued, written;
	int frames_heard;
	bool asked_posted, answer_posted; /* by us, and taken for sending */
	bool asked_written, answer_written;
	bool asked_heard, answer_heard, end_heard;
	bool writable, readable;
	bool cut;       /* writing has failed */
	bool waits;     /* for the peer's end; the linger time runs */
	bool shut_down; /* FIN is out */
	int reason;     /* of the end; REASON_NONE: it has not ended */

	enum event history[LENGTH_MAX];
	int length;
};

static const unsigned opcode_of[EVENTS] = {
	[POST_REQUEST] = TOFU_REQUEST,
	[POST_BYE_REQUEST] = TOFU_BYE_REQUEST,
	[POST_BYE_RESPONSE] = TOFU_BYE_RESPONSE,
	[POST_BYE_SIGNAL] = TOFU_BYE_SIGNAL,
	[HEAR_REQUEST] = TOFU_REQUEST,
	[HEAR_HELLO_REQUEST] = TOFU_HELLO_REQUEST,
	[HEAR_HELLO_RESPONSE] = TOFU_HELLO_RESPONSE,
	[HEAR_BYE_REQUEST] = TOFU_BYE_REQUEST,
	[HEAR_BYE_RESPONSE] = TOFU_BYE_RESPONSE,
	[HEAR_BYE_SIGNAL] = TOFU_BYE_SIGNAL,
};

static const char *const name_of[EVENTS] = {
	[POST_REQUEST] = "post Request",
	[POST_BYE_REQUEST] = "post ByeRequest",
	[POST_BYE_RESPONSE] = "post ByeResponse",
	[POST_BYE_SIGNAL] = "post ByeSignal",
	[WRITE] = "write",
	[HEAR_REQUEST] = "hear Request",
	[HEAR_HELLO_REQUEST] = "hear HelloRequest",
	[HEAR_HELLO_RESPONSE] = "hear HelloResponse",
	[HEAR_BYE_REQUEST] = "hear ByeRequest",
	[HEAR_BYE_RESPONSE] = "hear ByeResponse",
	[HEAR_BYE_SIGNAL] = "hear ByeSignal",
	[PEER_HANGS_UP] = "the peer hangs up",
	[READING_FAILS] = "reading fails",
	[WRITING_FAILS] = "writing fails",
	[TIME_IS_OVER] = "time is over",
};

static const char *tell(const struct story *t)
{
	static char text[LENGTH_MAX * 24];
	size_t at = 0;

	at += (size_t)snprintf(text, sizeof text, "%s", t->called ? "called" : "calling");
	for (int i = 0; i < t->length; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, ", %s", name_of[t->history[i]]);
	return text;
}

#define rule(t, condition) must(condition, "%s: does not hold after: %s", #condition, tell(t))

static bool is_over(const struct story *t)
{
	return t->reason != REASON_NONE;
}

static void begin(struct story *t, bool called)
{
	*t = (struct story){ .called = called, .writable = true, .readable = true, .reason = REASON_NONE };
	tofu_session_begin(&t->session, called);
	if (!called) {
		ck_assert_int_eq(tofu_session_posted(&t->session, TOFU_HELLO_REQUEST), TOFU_SEND);
		t->queue[t->queued++] = TOFU_HELLO_REQUEST;
	}
}

/* Does the application know of the connection? */
static bool known(const struct story *t)
{
	return !t->called || t->frames_heard > 0;
}

static bool is_post(enum event event)
{
	return event <= POST_BYE_SIGNAL;
}

static bool is_frame(enum event event)
{
	return event >= HEAR_REQUEST && event <= HEAR_BYE_SIGNAL;
}

static bool can_happen(const struct story *t, enum event event)
{
	if (is_post(event))
		return known(t);
	if (event == WRITE || event == WRITING_FAILS)
		return t->writable && t->written < t->queued;
	if (event == TIME_IS_OVER)
		return t->waits || tofu_session_due(&t->session) != TOFU_NOTHING_DUE;
	return t->readable;
}

/* Has our side said its last? A ByeResponse of ours is that; so is all there was before the peer's, unless we owe one. */
static bool all_is_said(const struct story *t)
{
	return t->answer_written || (t->answer_heard && !t->asked_heard);
}

/* Both sides parted as one of them wished. Where both asked, the peer's end is as good as its answer. */
static bool in_peace(const struct story *t)
{
	return t->answer_written || t->answer_heard || (t->asked_written && t->asked_heard && t->end_heard);
}

static void follow(struct story *t, struct tofu_verdict v)
{
	switch (v.next) {
	case TOFU_GO_ON:
		rule(t, !t->shut_down && !(t->waits && t->writable));
		break;
	case TOFU_AWAIT_END:
		rule(t, all_is_said(t));
		rule(t, !t->answer_heard && !t->end_heard);
		rule(t, !t->asked_posted); /* its answer to our bye has longer than that */
		t->writable = false;
		t->waits = true;
		break;
	case TOFU_SHUT_DOWN: /* FIN: our last frame is out, and the peer has said its last */
		rule(t, all_is_said(t));
		rule(t, t->answer_heard || t->end_heard);
		rule(t, tofu_session_may_shut_down(&t->session));
		t->writable = false;
		t->shut_down = t->waits = true;
		break;
	case TOFU_READ_ON:
		rule(t, !t->writable && t->readable);
		t->waits = true;
		break;
	case TOFU_WRITE_ON: /* only to answer, a peer that has said all */
		rule(t, t->end_heard && t->answer_heard && t->asked_heard && !t->answer_written && t->writable);
		break;
	case TOFU_END:
		t->reason = (int)v.reason;
		break;
	}
}

/* What a peer may not say, in the words of section 10. */
static bool violates(const struct story *t, unsigned opcode)
{
	if (opcode == TOFU_BYE_SIGNAL)
		return false;
	if (t->called && t->frames_heard == 0)
		return opcode != TOFU_HELLO_REQUEST;
	return opcode == TOFU_HELLO_REQUEST || (opcode == TOFU_HELLO_RESPONSE && t->called) || t->answer_heard;
}

static void post_it(struct story *t, unsigned opcode)
{
	struct tofu_session before = t->session;
	bool usual = tofu_session_sends_usual(&before, opcode);
	enum tofu_outgoing what = tofu_session_posted(&t->session, opcode);
	bool last = t->answer_posted || all_is_said(t);
	bool may_follow = !last && (!t->asked_posted || opcode == TOFU_BYE_RESPONSE);

	if (opcode == TOFU_BYE_SIGNAL) {
		rule(t, what == TOFU_ABORT);
		t->reason = TOFU_CHANNEL_CLOSED;
		return;
	}
	rule(t, what == (may_follow && !t->cut ? TOFU_SEND : TOFU_KEEP));
	rule(t, !usual || (what == TOFU_SEND && memcmp(&before, &t->session, sizeof before) == 0));
	if (what != TOFU_SEND)
		return;
	t->queue[t->queued++] = (uint8_t)opcode;
	t->asked_posted |= opcode == TOFU_BYE_REQUEST;
	t->answer_posted |= opcode == TOFU_BYE_RESPONSE;
}

static void write_it(struct story *t)
{
	unsigned opcode = t->queue[t->written++];

	rule(t, !t->answer_written);
	rule(t, !t->asked_written || opcode == TOFU_BYE_RESPONSE);
	t->asked_written |= opcode == TOFU_BYE_REQUEST;
	t->answer_written |= opcode == TOFU_BYE_RESPONSE;
	follow(t, tofu_session_wrote(&t->session, opcode));
}

static void end_of_stream(struct story *t, enum tofu_status why)
{
	t->end_heard = true;
	t->readable = false;
	follow(t, tofu_session_ended(&t->session, why));
	if (t->reason == REASON_NONE)
		return;
	if (in_peace(t))
		rule(t, t->reason == TOFU_CHANNEL_CLOSED);
	else if (t->cut)
		rule(t, t->reason == TOFU_SEND_FAILED);
	else
		rule(t, t->reason == (int)why);
}

static void hear_it(struct story *t, unsigned opcode)
{
	enum tofu_incoming what = tofu_session_judge(&t->session, opcode);

	if (opcode == TOFU_BYE_SIGNAL) {
		rule(t, what == TOFU_HANG_UP);
		end_of_stream(t, TOFU_PEER_DISCONNECTED);
		return;
	}
	rule(t, (what == TOFU_REFUSE) == violates(t, opcode));
	if (what == TOFU_REFUSE) {
		t->reason = TOFU_PROTOCOL_VIOLATION;
		return;
	}
	rule(t, what == TOFU_DELIVER);
	t->frames_heard++;
	t->asked_heard |= opcode == TOFU_BYE_REQUEST;
	t->answer_heard |= opcode == TOFU_BYE_RESPONSE;
	follow(t, tofu_session_heard(&t->session, opcode));
}

static void time_is_over(struct story *t)
{
	bool peer_owes = tofu_session_due(&t->session) != TOFU_NOTHING_DUE && !t->end_heard;

	follow(t, tofu_session_overdue(&t->session));
	rule(t, is_over(t));
	if (peer_owes)
		rule(t, t->reason == TOFU_TIMEOUT);
	else if (in_peace(t))
		rule(t, t->reason == TOFU_CHANNEL_CLOSED);
	else
		rule(t, t->reason == TOFU_SEND_FAILED); /* nothing could be written, and the peer was read to the end */
}

/* What holds between two events. */
static void rules(const struct story *t)
{
	bool ours_done = t->asked_written && (t->answer_written || !t->asked_heard);
	enum tofu_due due = tofu_session_due(&t->session);

	if (is_over(t))
		return;
	/* A close never hangs: who waits for the peer only does so for a limited time. */
	if (ours_done || t->answer_written || t->end_heard || !t->writable)
		rule(t, t->waits || due != TOFU_NOTHING_DUE);
	/* A hello is due until the peer has spoken, unless the linger time bounds the rest anyway. */
	rule(t, (due == TOFU_HELLO_DUE) == (t->frames_heard == 0 && !t->answer_written && !t->cut));
	/* A bye is due: the answer to our ByeRequest; of us, when the peer has ended its stream. */
	if (due != TOFU_HELLO_DUE)
		rule(t, (due == TOFU_BYE_DUE) == (!t->cut && (t->end_heard || (t->asked_posted && !t->answer_heard))));
	/* FIN waits for the peer's last word. */
	rule(t, !t->shut_down || t->answer_heard || t->end_heard);
	/* Open means that an ordinary message may be written, whatever was said. */
	if (tofu_session_is_open(&t->session))
		rule(t, !t->asked_posted && !t->answer_posted && !t->asked_heard && !t->answer_heard && t->writable);
	/* An end of both in peace is not put off. */
	rule(t, !(t->end_heard && all_is_said(t)));
}

static void happen(struct story *t, enum event event)
{
	t->history[t->length++] = event;
	if (is_post(event)) {
		post_it(t, opcode_of[event]);
	} else if (is_frame(event)) {
		hear_it(t, opcode_of[event]);
	} else if (event == WRITE) {
		write_it(t);
	} else if (event == PEER_HANGS_UP) {
		end_of_stream(t, TOFU_PEER_DISCONNECTED);
	} else if (event == READING_FAILS) {
		end_of_stream(t, TOFU_RECV_FAILED);
	} else if (event == WRITING_FAILS) {
		t->writable = false;
		t->cut = true;
		follow(t, tofu_session_cut(&t->session, TOFU_SEND_FAILED));
	} else {
		time_is_over(t);
	}
	rules(t);
}

static uint64_t walk(const struct story *from, int length)
{
	uint64_t sequences = 1;

	if (length == 0 || is_over(from))
		return sequences;
	for (int event = 0; event < EVENTS; event++) {
		if (can_happen(from, (enum event)event)) {
			struct story next = *from;

			happen(&next, (enum event)event);
			sequences += walk(&next, length - 1);
		}
	}
	return sequences;
}

START_TEST(every_sequence_of_events_keeps_the_rules)
{
	int length = (rounds(10) < 10 ? 6 : 8) + (_i == 0); /* a caller is not known before its hello */
	struct story story;
	uint64_t sequences;

	begin(&story, _i == 0);
	rules(&story);
	sequences = walk(&story, length);
	printf("%s: %" PRIu64 " sequences of up to %d events\n", _i == 0 ? "called" : "calling", sequences, length);
	ck_assert_uint_gt(sequences, 10000);
}
END_TEST

/* The same by name, for those that peers were seen to say. */

static void all_happen(struct story *t, bool called, const enum event *events, size_t count)
{
	begin(t, called);
	for (size_t i = 0; i < count; i++) {
		rule(t, can_happen(t, events[i]));
		happen(t, events[i]);
	}
}

#define HAPPEN(t, called, ...)                                                                                         \
	all_happen(t, called, (const enum event[]){ __VA_ARGS__ },                                                     \
	           sizeof((const enum event[]){ __VA_ARGS__ }) / sizeof(enum event))

START_TEST(side_that_answered_waits_for_the_end_of_the_peer_before_it_shuts_down)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, HEAR_BYE_REQUEST, POST_BYE_RESPONSE, WRITE);
	ck_assert(t.waits && !t.shut_down);
	happen(&t, PEER_HANGS_UP);
	ck_assert_int_eq(t.reason, TOFU_CHANNEL_CLOSED);
}
END_TEST

START_TEST(side_that_is_answered_shuts_down_and_waits_for_the_end)
{
	struct story t;

	HAPPEN(&t, false, WRITE, HEAR_HELLO_RESPONSE, POST_BYE_REQUEST, WRITE, HEAR_BYE_RESPONSE);
	ck_assert(t.shut_down && t.waits);
	happen(&t, TIME_IS_OVER);
	ck_assert_int_eq(t.reason, TOFU_CHANNEL_CLOSED);
}
END_TEST

START_TEST(answer_is_still_written_when_the_answer_and_the_end_of_the_peer_came_first)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_BYE_REQUEST, WRITE, HEAR_BYE_REQUEST, HEAR_BYE_RESPONSE,
	       PEER_HANGS_UP);
	ck_assert(!is_over(&t));
	happen(&t, POST_BYE_RESPONSE);
	happen(&t, WRITE);
	ck_assert_int_eq(t.reason, TOFU_CHANNEL_CLOSED);
}
END_TEST

START_TEST(end_of_a_peer_that_asked_counts_as_its_answer)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_BYE_REQUEST, WRITE, HEAR_BYE_REQUEST, PEER_HANGS_UP);
	ck_assert_int_eq(t.reason, TOFU_CHANNEL_CLOSED);
}
END_TEST

START_TEST(second_bye_request_behind_its_answer_changes_nothing)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_BYE_REQUEST, WRITE, HEAR_BYE_REQUEST, POST_BYE_RESPONSE, WRITE,
	       HEAR_BYE_REQUEST, POST_BYE_RESPONSE, HEAR_BYE_RESPONSE);
	ck_assert(t.shut_down);
}
END_TEST

START_TEST(bye_that_was_answered_before_it_was_asked_is_complete)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_BYE_REQUEST, WRITE, POST_BYE_RESPONSE, WRITE, HEAR_BYE_REQUEST,
	       HEAR_BYE_RESPONSE);
	ck_assert(t.shut_down);
}
END_TEST

START_TEST(bye_without_an_answer_ends_by_time_out)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_BYE_REQUEST, WRITE, HEAR_REQUEST, TIME_IS_OVER);
	ck_assert_int_eq(t.reason, TOFU_TIMEOUT);
}
END_TEST

START_TEST(nothing_is_delivered_behind_a_bye_response_when_nothing_can_be_written)
{
	struct story t;

	HAPPEN(&t, true, HEAR_HELLO_REQUEST, POST_REQUEST, WRITING_FAILS, HEAR_BYE_RESPONSE, HEAR_REQUEST);
	ck_assert_int_eq(t.reason, TOFU_PROTOCOL_VIOLATION);
}
END_TEST

START_TEST(byesignal_of_a_peer_is_no_violation)
{
	struct story t;

	HAPPEN(&t, _i == 0, HEAR_BYE_SIGNAL);
	ck_assert_int_eq(t.reason, TOFU_PEER_DISCONNECTED);
}
END_TEST

/* Request stands for the three regular opcodes above, and for the hellos that are posted. */
START_TEST(regular_opcodes_are_all_alike)
{
	static const unsigned others[] = { TOFU_RESPONSE, TOFU_SIGNAL };
	static const unsigned hellos[] = { TOFU_HELLO_REQUEST, TOFU_HELLO_RESPONSE };

	for (unsigned facts = 0; facts < 16 * 16; facts++) {
		struct tofu_session s = { .called = _i == 0,
			                  .heard = (uint8_t)(facts % 16),
			                  .queued = (uint8_t)(facts / 16) };

		for (size_t i = 0; i < 2; i++) {
			ck_assert_int_eq(tofu_session_judge(&s, others[i]), tofu_session_judge(&s, TOFU_REQUEST));
			ck_assert_int_eq(tofu_session_posted(&s, others[i]), tofu_session_posted(&s, TOFU_REQUEST));
			ck_assert_int_eq(tofu_session_posted(&s, hellos[i]), tofu_session_posted(&s, TOFU_REQUEST));
		}
	}
}
END_TEST

static Suite *suite_of_session(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = suite_case(suite, "exhaustive", 120);

	tcase_add_loop_test(tc, every_sequence_of_events_keeps_the_rules, 0, 2);

	tc = suite_case(suite, "named", 30);
	tcase_add_test(tc, side_that_answered_waits_for_the_end_of_the_peer_before_it_shuts_down);
	tcase_add_test(tc, side_that_is_answered_shuts_down_and_waits_for_the_end);
	tcase_add_test(tc, answer_is_still_written_when_the_answer_and_the_end_of_the_peer_came_first);
	tcase_add_test(tc, end_of_a_peer_that_asked_counts_as_its_answer);
	tcase_add_test(tc, second_bye_request_behind_its_answer_changes_nothing);
	tcase_add_test(tc, bye_that_was_answered_before_it_was_asked_is_complete);
	tcase_add_test(tc, bye_without_an_answer_ends_by_time_out);
	tcase_add_test(tc, nothing_is_delivered_behind_a_bye_response_when_nothing_can_be_written);
	tcase_add_loop_test(tc, byesignal_of_a_peer_is_no_violation, 0, 2);
	tcase_add_loop_test(tc, regular_opcodes_are_all_alike, 0, 2);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_session());
}
