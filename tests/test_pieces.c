/* SPDX-License-Identifier: MIT */

/*
 * Frames that come in pieces over TCP. A peer that writes header and body apart, with Nagle's algorithm on, sends the body when
 * the header is acknowledged; a system that delays that takes 40 ms each time. So the engine asks for it, but not for the pieces
 * of bulk.
 */

#include <string.h>

#include <tofu/tofu.h>

#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/raw.h"
#include "lib/steps.h"

enum { TRIPS = 50, TRIP_MAX_MS = 20 };

static struct {
	struct side server;
	struct listening at;
	struct raw peer; /* its socket is as the system makes it: with Nagle's algorithm */
} t;

static void set_up(void)
{
	tofu_engine *engine = engine_up(NULL);
	tofu_msg *msg;

	works(tofu_engine_register(engine, fake_asking()));
	t.server = side_in(engine);
	listen_at(&t.server, "asking|127.0.0.1|0", &t.at);
	raw_call(&t.peer, t.at.address);
	raw_hello(&t.peer, 1);
	msg = expect_peer(&t.server, TOFU_HELLO_REQUEST);
	answer(&t.server, &msg, TOFU_HELLO_RESPONSE);
	(void)raw_expect(&t.peer, TOFU_HELLO_RESPONSE);
}

static void tear_down(void)
{
	raw_hang_up(&t.peer, TOFU_CLOSE_ORDERLY);
	engine_down(t.server.engine);
}

/* A request in pieces that end there, and its response. */
static void round_trip(uint64_t id, const size_t ends[], size_t count)
{
	static const char headers[] = "name: value\r\n", body[] = "a body";
	const struct raw_frame frame = { .proto = TOFU_REQUEST,
		                         .id = id,
		                         .headers = headers,
		                         .headers_len = sizeof headers - 1,
		                         .body = body,
		                         .body_len = sizeof body - 1 };
	unsigned char bytes[RAW_HEADER + sizeof headers + sizeof body];
	size_t len = raw_encode(&frame, bytes), at = 0;
	tofu_msg *msg;

	for (size_t i = 0; i < count; i++) {
		raw_write(&t.peer, bytes + at, ends[i] - at);
		at = ends[i];
	}
	raw_write(&t.peer, bytes + at, len - at);
	msg = expect_peer(&t.server, TOFU_REQUEST);
	answer(&t.server, &msg, TOFU_RESPONSE);
	(void)raw_expect(&t.peer, TOFU_RESPONSE);
}

static const struct {
	size_t ends[3];
	size_t count;
} cuts[] = {
	{ { RAW_HEADER }, 1 },                      /* header, rest */
	{ { RAW_HEADER, RAW_HEADER + 13 }, 2 },     /* header, text headers, body */
	{ { RAW_HEADER + 13 }, 1 },                 /* all but the body */
	{ { 2, 4, RAW_HEADER }, 3 },                /* field by field */
	{ { RAW_HEADER + 5, RAW_HEADER + 15 }, 2 }, /* anywhere */
};

START_TEST(a_peer_that_writes_frames_in_pieces_waits_for_no_acknowledgement)
{
	int64_t start_ns = tofu_plat_now_ns();

	if (!os_acknowledges_when_asked())
		return;
	for (uint64_t id = 1; id <= TRIPS; id++)
		round_trip(id, cuts[_i].ends, cuts[_i].count);
	ck_assert_int_lt(tofu_plat_now_ns() - start_ns, TRIPS * TRIP_MAX_MS * TOFU_NS_PER_MS);
}
END_TEST

START_TEST(the_rest_of_a_frame_is_asked_for_once_for_each_piece)
{
	int before = asking_asked();
	unsigned char bytes[RAW_HEADER + 1];
	const struct raw_frame frame = { .proto = TOFU_SIGNAL, .body_len = 1 };
	tofu_msg *msg;

	(void)raw_encode(&(struct raw_frame){ .proto = TOFU_SIGNAL }, bytes);
	raw_write(&t.peer, bytes, RAW_HEADER);
	msg = expect_peer(&t.server, TOFU_SIGNAL); /* whole: there is nothing to ask for */
	tofu_msg_put(&msg);
	ck_assert_int_eq(asking_asked(), before);
	(void)raw_encode(&frame, bytes);
	raw_write(&t.peer, bytes, RAW_HEADER);
	eventually(asking_asked() == before + 1);
	raw_write(&t.peer, "x", 1);
	msg = expect_peer(&t.server, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	ck_assert_int_eq(asking_asked(), before + 1);
}
END_TEST

static const size_t bodies[] = { 20, 1000, 20000, 60000 };

/* Ours write whole frames, as many as there are at a time. */
START_TEST(nothing_is_asked_for_in_the_middle_of_bulk)
{
	struct side client = side_in(t.server.engine);
	struct tofu_header h = call(&client, t.at.address, "hello");
	tofu_msg *msg = expect_peer(&t.server, TOFU_HELLO_REQUEST);
	unsigned sent = 0, received = 0, count = rounds(5000), ahead = bodies[_i] < 10000 ? 200 : 20;
	int before;

	answer(&t.server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	before = asking_asked();
	while (received < count) {
		for (; sent < count && sent < received + ahead; sent++) {
			msg = message(&client, TOFU_SIGNAL, h.channel, 0, "");
			number_body(msg, sent, bodies[_i]);
			post(&client, &msg);
		}
		msg = expect_peer(&t.server, TOFU_SIGNAL);
		tofu_msg_put(&msg);
		received++;
	}
	ck_assert_msg(asking_asked() - before <= (int)count / 50, "%d times for %u messages", asking_asked() - before,
	              count);
}
END_TEST

static Suite *suite_of_pieces(void)
{
	Suite *s = suite_create("pieces");
	TCase *tc = suite_case(s, "pieces", 60);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, a_peer_that_writes_frames_in_pieces_waits_for_no_acknowledgement, 0,
	                    (int)(sizeof cuts / sizeof cuts[0]));
	tcase_add_test(tc, the_rest_of_a_frame_is_asked_for_once_for_each_piece);
	tcase_add_loop_test(tc, nothing_is_asked_for_in_the_middle_of_bulk, 0, (int)(sizeof bodies / sizeof bodies[0]));
	return s;
}

int main(void)
{
	return harness_run(suite_of_pieces());
}
