/* SPDX-License-Identifier: MIT */

/*
 * Peers that break the rules, or keep silent where they must speak. The frames before the first wrong one are delivered; it
 * and what follows never are; its channel ends, and only that.
 */

#include <string.h>

#include "lib/raw.h"
#include "lib/served.h"
#include "lib/steps.h"

/* A server with a well-behaved client, and a raw peer that calls it. */
struct scene {
	struct pair good;
	struct raw peer;
	uint16_t channel; /* the raw peer's, once it was accepted */
};

static void scene_open(struct scene *s, int transport, const struct tofu_options *or_null)
{
	pair_open(&s->good, transport, or_null);
	raw_call(&s->peer, s->good.at.address);
}

static void raw_is_accepted(struct scene *s)
{
	tofu_msg *msg;

	raw_hello(&s->peer, HELLO_ID);
	msg = expect_peer(&s->good.server, TOFU_HELLO_REQUEST);
	s->channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
}

static void others_are_served_on(struct scene *s)
{
	pair_talk(&s->good);
	expect_silence(&s->good.server);
}

static void scene_close(struct scene *s)
{
	raw_hang_up(&s->peer, TOFU_CLOSE_ORDERLY);
	pair_close(&s->good);
}

struct wrong_frame {
	const char *what;
	uint8_t proto;
	uint8_t status;
	uint64_t id;
};

/* clang-format off */

/* Wrong at any time. */
static const struct wrong_frame wrong_frames[] = {
	{ "opcode 10",                       10,                                       0, 1 },
	{ "opcode 11",                       11,                                       0, 1 },
	{ "opcode 12",                       12,                                       0, 1 },
	{ "opcode 13",                       13,                                       0, 1 },
	{ "opcode 14",                       14,                                       0, 1 },
	{ "opcode 15",                       15,                                       0, 1 },
	{ "a WelcomeRequest",                TOFU_WELCOME_REQUEST,                     0, 1 },
	{ "a WelcomeResponse",               TOFU_WELCOME_RESPONSE,                    0, 1 },
	{ "origin engine",                   TOFU_SIGNAL | RAW_ENGINE,                 0, 1 },
	{ "the first internal bit",          TOFU_SIGNAL | RAW_INTERNAL_1,             0, 1 },
	{ "the second internal bit",         TOFU_SIGNAL | RAW_INTERNAL_2,             0, 1 },
	{ "a status",                        TOFU_SIGNAL,                              1, 1 },
	{ "another status",                  TOFU_REQUEST,                           255, 1 },
	{ "a Response with id 0",            TOFU_RESPONSE,                            0, 0 },
	{ "a ByeResponse with id 0",         TOFU_BYE_RESPONSE,                        0, 0 },
	{ "more on a ByeRequest",            TOFU_BYE_REQUEST | RAW_MORE,              0, 1 },
	{ "more on a ByeResponse",           TOFU_BYE_RESPONSE | RAW_MORE,             0, 1 },
	{ "more on a HelloRequest",          TOFU_HELLO_REQUEST | RAW_MORE,            0, 1 },
	{ "more on a ByeSignal",             TOFU_BYE_SIGNAL | RAW_MORE,               0, 1 },
	{ "a ByeSignal of an engine",        TOFU_BYE_SIGNAL | RAW_ENGINE,             0, 1 },
	{ "a second HelloRequest",           TOFU_HELLO_REQUEST,                       0, 1 },
	{ "a HelloResponse of a caller",     TOFU_HELLO_RESPONSE,                      0, 1 },
};

/* Wrong as the first one. */
static const struct wrong_frame wrong_firsts[] = {
	{ "a Request",                       TOFU_REQUEST,                             0, 1 },
	{ "a Response",                      TOFU_RESPONSE,                            0, 1 },
	{ "a Signal",                        TOFU_SIGNAL,                              0, 1 },
	{ "a HelloResponse",                 TOFU_HELLO_RESPONSE,                      0, 1 },
	{ "a ByeRequest",                    TOFU_BYE_REQUEST,                         0, 1 },
	{ "a ByeResponse",                   TOFU_BYE_RESPONSE,                        0, 1 },
	{ "a HelloRequest with more",        TOFU_HELLO_REQUEST | RAW_MORE,            0, 1 },
	{ "a HelloRequest of an engine",     TOFU_HELLO_REQUEST | RAW_ENGINE,          0, 1 },
	{ "a HelloRequest with a status",    TOFU_HELLO_REQUEST,                       1, 1 },
	{ "opcode 15",                       15,                                       0, 1 },
};

/* Wrong towards the side that called. */
static const struct wrong_frame wrong_answers[] = {
	{ "a HelloRequest",                  TOFU_HELLO_REQUEST,                       0, 1 },
	{ "a HelloResponse with id 0",       TOFU_HELLO_RESPONSE,                      0, 0 },
	{ "a HelloResponse with more",       TOFU_HELLO_RESPONSE | RAW_MORE,           0, 1 },
	{ "a WelcomeResponse",               TOFU_WELCOME_RESPONSE,                    0, 1 },
	{ "opcode 10",                       10,                                       0, 1 },
};
/* clang-format on */
enum {
	WRONG_FRAMES = sizeof wrong_frames / sizeof *wrong_frames,
	WRONG_FIRSTS = sizeof wrong_firsts / sizeof *wrong_firsts,
	WRONG_ANSWERS = sizeof wrong_answers / sizeof *wrong_answers
};

static struct raw_frame frame_of(const struct wrong_frame *w)
{
	return (struct raw_frame){ .channel = 1, .proto = w->proto, .status = w->status, .id = w->id };
}

START_TEST(a_wrong_frame_ends_its_channel_and_no_other)
{
	const struct wrong_frame *w = &wrong_frames[_i / OVER_NR];
	unsigned char bytes[256];
	struct scene s;
	struct raw_frame frame = { .channel = 1, .proto = TOFU_SIGNAL, .id = 1, .body = "good", .body_len = 4 };
	size_t len;
	tofu_msg *msg;

	scene_open(&s, _i % OVER_NR, NULL);
	raw_is_accepted(&s);
	/* good, wrong, good: in one write */
	len = raw_encode(&frame, bytes);
	frame = frame_of(w);
	len += raw_encode(&frame, bytes + len);
	frame = (struct raw_frame){ .channel = 1, .proto = TOFU_SIGNAL, .id = 2, .body = "late", .body_len = 4 };
	len += raw_encode(&frame, bytes + len);
	raw_write(&s.peer, bytes, len);
	msg = expect_on(&s.good.server, s.channel, 1, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	must(says(msg, "good"), "%s: changed the frame before", w->what);
	tofu_msg_put(&msg);
	expect_end(&s.good.server, s.channel, HELLO_ID, TOFU_PROTOCOL_VIOLATION);
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "%s: the connection is still there",
	     w->what);
	ck_assert_uint_eq(stats_of(s.good.server.engine).frames_refused, 1);
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(a_wrong_first_frame_never_reaches_the_application)
{
	const struct wrong_frame *w = &wrong_firsts[_i / OVER_NR];
	struct scene s;
	struct raw_frame frame = frame_of(w);

	scene_open(&s, _i % OVER_NR, NULL);
	raw_send(&s.peer, &frame);
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "%s: the connection is still there",
	     w->what);
	eventually(stats_of(s.good.server.engine).frames_refused == 1);
	eventually(stats_of(s.good.server.engine).channels_accepted == 0);
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(a_wrong_answer_ends_the_callers_channel)
{
	const struct wrong_frame *w = &wrong_answers[_i / OVER_NR];
	const int transport = _i % OVER_NR;
	struct raw_frame frame = frame_of(w);
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_header h;
	struct raw peer;
	char address[300];
	intptr_t listener = raw_listen(transport, address, sizeof address);
	tofu_msg *msg;

	h = call(&side, address, "hello");
	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	raw_send(&peer, &frame);
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_PROTOCOL_VIOLATION);
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, TOFU_PROTOCOL_VIOLATION);
	expect_silence(&side);
	must(os_read_to_end(peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "%s: the connection is still there", w->what);
	ck_assert_uint_eq(stats_of(engine).frames_refused, 1);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	if (transport == OVER_UDS)
		os_file_remove(path_of(address));
	engine_down(engine);
}
END_TEST

START_TEST(a_violation_gives_back_what_was_not_sent)
{
	struct scene s;
	uint64_t end, first;

	scene_open(&s, _i, NULL);
	raw_is_accepted(&s);
	end = fill_queue(&s.good.server, s.channel, 0, 60000);
	raw_say(&s.peer, 15, 1, "");
	first = expect_tail(&s.good.server, s.channel, HELLO_ID, end, TOFU_PROTOCOL_VIOLATION);
	must(first < end, "nothing came back");
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(no_frame_after_a_bye_response_is_delivered)
{
	unsigned char bytes[256];
	struct scene s;
	struct raw_frame frame;
	size_t len;
	uint64_t id;
	tofu_msg *msg;

	scene_open(&s, _i, NULL);
	raw_is_accepted(&s);
	id = say(&s.good.server, s.channel, TOFU_BYE_REQUEST, 0, NULL).id;
	raw_expect(&s.peer, TOFU_BYE_REQUEST);
	frame = (struct raw_frame){ .channel = 1, .proto = TOFU_BYE_RESPONSE, .id = id };
	len = raw_encode(&frame, bytes);
	frame = (struct raw_frame){ .channel = 1, .proto = TOFU_SIGNAL, .id = 2, .body = "late", .body_len = 4 };
	len += raw_encode(&frame, bytes + len);
	raw_write(&s.peer, bytes, len);
	msg = expect_on(&s.good.server, s.channel, id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_end(&s.good.server, s.channel, HELLO_ID, TOFU_PROTOCOL_VIOLATION);
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	ck_assert_uint_eq(stats_of(s.good.server.engine).frames_refused, 1);
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(noise_is_refused)
{
	static unsigned char noise[100000];
	uint64_t seed = fresh_seed("noise");
	struct tofu_iov iov = { .base = noise, .len = sizeof noise };
	struct scene s;
	size_t done;

	memset(noise, 0xff, 64); /* surely wrong at its start */
	for (size_t i = 64; i < sizeof noise; i++)
		noise[i] = (unsigned char)dice(&seed, 256);
	scene_open(&s, _i, NULL);
	(void)tofu_socket_send(s.peer.socket, &iov, 1, &done); /* as much as goes in; it may end in the middle */
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

/* what is strange, but right */

START_TEST(frames_in_pieces_of_any_size_are_put_together)
{
	static unsigned char bytes[4 * 1024];
	struct scene s;
	struct raw_frame frame = { .channel = 9, .proto = TOFU_SIGNAL | RAW_MORE };
	size_t len = 0;

	scene_open(&s, _i, NULL);
	raw_is_accepted(&s);
	for (uint16_t i = 0; i < 10; i++) {
		frame.id = i;
		frame.headers = "name: value\r\n";
		frame.headers_len = i % 2 == 0 ? 13 : 0;
		frame.body = "a body that is long enough for any of these";
		frame.body_len = (uint16_t)(i * 4);
		len += raw_encode(&frame, bytes + len);
	}
	for (size_t piece = 1; piece <= 20; piece++) {
		for (size_t at = 0; at < len; at += piece)
			raw_write(&s.peer, bytes + at, at + piece < len ? piece : len - at);
		for (uint16_t i = 0; i < 10; i++) {
			tofu_msg *msg =
				expect_on(&s.good.server, s.channel, i, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
			char value[16];
			size_t body_len;

			ck_assert_uint_eq(tofu_msg_header(msg)->more, 1);
			ck_assert_str_eq(header_of(msg, "name", value, sizeof value), i % 2 == 0 ? "value" : "");
			tofu_msg_body(msg, &body_len);
			ck_assert_uint_eq(body_len, i * 4u);
			tofu_msg_put(&msg);
		}
	}
	scene_close(&s);
}
END_TEST

START_TEST(malformed_text_headers_are_delivered)
{
	static const char text[] = "no colon\r\n: no name\r\n\r\n\r\ngood:yes\r\nlast";
	struct raw_frame frame = { .channel = 1, .proto = TOFU_SIGNAL, .id = 3, .headers = text };
	struct scene s;
	tofu_msg *msg;
	char value[16];

	frame.headers_len = sizeof text - 1;
	scene_open(&s, _i, NULL);
	raw_is_accepted(&s);
	raw_send(&s.peer, &frame);
	msg = expect_on(&s.good.server, s.channel, 3, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	ck_assert_str_eq(header_of(msg, "good", value, sizeof value), "yes");
	tofu_msg_put(&msg);
	scene_close(&s);
}
END_TEST

/* silence */

static struct tofu_options impatient(void)
{
	struct tofu_options options = options_with_pool(64);

	options.handshake_timeout_ms = 500;
	return options;
}

START_TEST(a_caller_that_says_nothing_is_closed)
{
	struct tofu_options options = impatient();
	struct scene s;

	scene_open(&s, _i, &options);
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	eventually(stats_of(s.good.server.engine).channels_accepted == 0);
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(a_caller_that_does_not_end_its_hello_is_closed)
{
	struct tofu_options options = impatient();
	struct raw_frame frame = { .channel = 1, .proto = TOFU_HELLO_REQUEST, .id = 1, .body_len = 100 };
	unsigned char bytes[256];
	struct scene s;

	scene_open(&s, _i, &options);
	raw_write(&s.peer, bytes, raw_encode(&frame, bytes) - 1);
	must(os_read_to_end(s.peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	eventually(stats_of(s.good.server.engine).channels_accepted == 0);
	others_are_served_on(&s);
	scene_close(&s);
}
END_TEST

START_TEST(one_that_has_said_hello_may_be_silent_for_long)
{
	struct tofu_options options = impatient();
	struct scene s;
	tofu_msg *msg;

	scene_open(&s, _i, &options);
	raw_is_accepted(&s);
	ck_status(tofu_receive(s.good.server.group, &msg, TOFU_NS_PER_S), TOFU_TIMEOUT);
	raw_say(&s.peer, TOFU_SIGNAL, 4, "still here");
	msg = expect_on(&s.good.server, s.channel, 4, TOFU_SIGNAL, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	scene_close(&s);
}
END_TEST

static bool timed_out(const struct side *side, uint16_t channel)
{
	tofu_msg *msg = expect(side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	char reason[32];
	bool timed_out;

	ck_assert_uint_eq(tofu_msg_header(msg)->channel, channel);
	timed_out = strcmp(header_of(msg, "~reason", reason, sizeof reason), "timeout") == 0;
	must(timed_out || strcmp(reason, "peer_disconnected") == 0, "it ended by %s", reason);
	tofu_msg_put(&msg);
	return timed_out;
}

static void one_ends_by_timeout(struct pair *p)
{
	bool client = timed_out(&p->client, p->client_channel), server = timed_out(&p->server, p->server_channel);

	must(client || server, "nobody's time ran out");
}

START_TEST(an_idle_connection_is_closed_after_its_time)
{
	struct tofu_options options = options_with_pool(64);
	struct pair p;
	int64_t begin;

	options.idle_timeout_ms = 300;
	pair_open(&p, _i, &options);
	begin = tofu_plat_now_ns();
	/* Whichever clock runs out first; the other side then sees a disconnect, or its own. */
	one_ends_by_timeout(&p);
	must(tofu_plat_now_ns() - begin > TOFU_NS_PER_S / 20, "it did not wait");
	expect_silence(&p.client);
	expect_silence(&p.server);
	ck_assert_uint_eq(stats_of(p.server.engine).channels_listening, 1);
	pair_close(&p);
}
END_TEST

START_TEST(a_connection_in_use_is_not_idle)
{
	struct tofu_options options = options_with_pool(64);
	struct pair p;
	tofu_msg *msg;

	options.idle_timeout_ms = 3000; /* a busy machine may take some of it between two rounds */
	pair_open(&p, _i, &options);
	for (int i = 0; i < 17; i++) { /* longer than that all in all */
		pair_talk(&p);
		ck_status(tofu_receive(p.client.group, &msg, TOFU_NS_PER_S / 5), TOFU_TIMEOUT);
	}
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_violation(void)
{
	Suite *suite = suite_create("violation");
	TCase *wrong = suite_case(suite, "wrong", 60), *strange = suite_case(suite, "strange, but right", 30);
	TCase *silent = suite_case(suite, "silent", 30);

	over_sockets_add(wrong, a_wrong_frame_ends_its_channel_and_no_other, WRONG_FRAMES);
	over_sockets_add(wrong, a_wrong_first_frame_never_reaches_the_application, WRONG_FIRSTS);
	over_sockets_add(wrong, a_wrong_answer_ends_the_callers_channel, WRONG_ANSWERS);
	over_sockets_add(wrong, a_violation_gives_back_what_was_not_sent, 1);
	over_sockets_add(wrong, no_frame_after_a_bye_response_is_delivered, 1);
	over_sockets_add(wrong, noise_is_refused, 1);
	over_sockets_add(strange, frames_in_pieces_of_any_size_are_put_together, 1);
	over_sockets_add(strange, malformed_text_headers_are_delivered, 1);
	over_sockets_add(silent, a_caller_that_says_nothing_is_closed, 1);
	over_sockets_add(silent, a_caller_that_does_not_end_its_hello_is_closed, 1);
	over_sockets_add(silent, one_that_has_said_hello_may_be_silent_for_long, 1);
	over_add(silent, an_idle_connection_is_closed_after_its_time, 1);
	over_add(silent, a_connection_in_use_is_not_idle, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_violation());
}
