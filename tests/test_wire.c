/* SPDX-License-Identifier: MIT */
/* The frame's sixteen bytes: vectors written by hand, round trips, and every kind of frame that a peer may not send. */

#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"
#include "message/wire.h"

struct vector {
	unsigned char bytes[TOFU_WIRE_HEADER];
	struct tofu_frame frame;
};

/* clang-format off */
static const struct vector vectors[] = {
	{ /* an empty Request */
		{ 0 },
		{ .header = { .opcode = TOFU_REQUEST } } },
	{ /* each field in its place, high byte first */
		{ 0x12, 0x34, 0x01, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98 },
		{ .header = { .channel = 0x1234, .opcode = TOFU_RESPONSE, .id = UINT64_C(0x0123456789abcdef) },
		  .headers_len = 0xfedc, .body_len = 0xba98 } },
	{ /* origin is bit 4 */
		{ 0x00, 0x01, 0x12, 0x16, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0 },
		{ .header = { .channel = 1, .opcode = TOFU_SIGNAL, .origin = TOFU_ORIGIN_ENGINE,
			      .status = TOFU_CHANNEL_CLOSED, .id = 2 } } },
	{ /* more is bit 5 */
		{ 0xff, 0xfe, 0x20, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0x00, 0x00, 0x01, 0x01, 0x00 },
		{ .header = { .channel = 65534, .opcode = TOFU_REQUEST, .more = 1, .id = UINT64_C(1) << 63 },
		  .headers_len = 1, .body_len = 256 } },
	{ /* the internal bits are 6 and 7 */
		{ 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
		{ .header = { .opcode = TOFU_HELLO_REQUEST }, .internal = 1 } },
	{ /* everything set */
		{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		{ .header = { .channel = 65535, .opcode = 15, .origin = 1, .more = 1, .status = 255, .id = UINT64_MAX },
		  .headers_len = 65535, .body_len = 65535, .internal = 3 } },
};
/* clang-format on */
enum { VECTOR_NR = sizeof vectors / sizeof vectors[0] };

static void assert_same_frame(const struct tofu_frame *a, const struct tofu_frame *b)
{
	ck_assert_uint_eq(a->header.channel, b->header.channel);
	ck_assert_uint_eq(a->header.opcode, b->header.opcode);
	ck_assert_uint_eq(a->header.origin, b->header.origin);
	ck_assert_uint_eq(a->header.more, b->header.more);
	ck_assert_uint_eq(a->header.status, b->header.status);
	ck_assert_uint_eq(a->header.reason, b->header.reason);
	ck_assert(a->header.id == b->header.id);
	ck_assert_uint_eq(a->headers_len, b->headers_len);
	ck_assert_uint_eq(a->body_len, b->body_len);
	ck_assert_uint_eq(a->internal, b->internal);
}

START_TEST(a_frame_is_encoded_to_these_bytes)
{
	unsigned char out[TOFU_WIRE_HEADER];

	memset(out, 0xa5, sizeof out);
	tofu_wire_encode(&vectors[_i].frame, out);
	ck_assert_mem_eq(out, vectors[_i].bytes, sizeof out);
}
END_TEST

START_TEST(these_bytes_are_decoded_to_the_frame)
{
	struct tofu_frame frame;

	memset(&frame, 0xa5, sizeof frame);
	tofu_wire_decode(vectors[_i].bytes, &frame);
	assert_same_frame(&frame, &vectors[_i].frame);
}
END_TEST

START_TEST(neither_needs_alignment)
{
	unsigned char room[TOFU_WIRE_HEADER + 1];
	struct tofu_frame frame;

	tofu_wire_encode(&vectors[1].frame, room + 1);
	tofu_wire_decode(room + 1, &frame);
	assert_same_frame(&frame, &vectors[1].frame);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

START_TEST(any_sixteen_bytes_survive_decoding_and_encoding)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	unsigned char in[TOFU_WIRE_HEADER];
	unsigned char out[TOFU_WIRE_HEADER];
	struct tofu_frame frame;

	for (int i = 0; i < 20000; i++) {
		for (size_t at = 0; at < sizeof in; at++)
			in[at] = (unsigned char)(next_random(&state) >> 24);
		tofu_wire_decode(in, &frame);
		tofu_wire_encode(&frame, out);
		ck_assert_mem_eq(in, out, sizeof in);
	}
}
END_TEST

START_TEST(a_field_too_wide_does_not_spill_into_its_neighbours)
{
	struct tofu_frame frame = { .header = { .opcode = 0xf2, .origin = 2, .more = 2 }, .internal = 4 };
	unsigned char out[TOFU_WIRE_HEADER];

	tofu_wire_encode(&frame, out);
	ck_assert_uint_eq(out[2], TOFU_SIGNAL);
}
END_TEST

static struct tofu_frame legal(unsigned opcode)
{
	return (struct tofu_frame){ .header = { .channel = 1, .opcode = (uint8_t)opcode, .id = 7 } };
}

START_TEST(what_travels_is_acceptable)
{
	struct tofu_frame f = legal((unsigned)_i);

	ck_assert(tofu_wire_acceptable(&f));
	f.header.channel = 0; /* the number is the sender's business */
	f.headers_len = 65535;
	f.body_len = 65535;
	ck_assert(tofu_wire_acceptable(&f));
}
END_TEST

START_TEST(what_does_not_travel_is_not)
{
	struct tofu_frame f = legal((unsigned)_i);

	ck_assert(!tofu_wire_acceptable(&f));
}
END_TEST

START_TEST(origin_engine_is_not_acceptable)
{
	struct tofu_frame f = legal((unsigned)_i);

	f.header.origin = TOFU_ORIGIN_ENGINE;
	ck_assert(!tofu_wire_acceptable(&f));
}
END_TEST

START_TEST(an_internal_bit_is_not_acceptable)
{
	struct tofu_frame f = legal((unsigned)_i);

	for (f.internal = 1; f.internal <= 3; f.internal++)
		ck_assert(!tofu_wire_acceptable(&f));
}
END_TEST

START_TEST(a_status_is_not_acceptable)
{
	struct tofu_frame f = legal((unsigned)_i);

	for (unsigned status = 1; status <= 255; status++) {
		f.header.status = (uint8_t)status;
		ck_assert(!tofu_wire_acceptable(&f));
	}
}
END_TEST

START_TEST(id_zero_is_not_acceptable_in_a_response_only)
{
	struct tofu_frame f = legal((unsigned)_i);
	bool response = _i == TOFU_RESPONSE || _i == TOFU_HELLO_RESPONSE || _i == TOFU_BYE_RESPONSE;

	f.header.id = 0;
	ck_assert_int_eq(tofu_wire_acceptable(&f), !response);
}
END_TEST

START_TEST(more_is_acceptable_on_regular_messages_only)
{
	struct tofu_frame f = legal((unsigned)_i);

	f.header.more = 1;
	ck_assert_int_eq(tofu_wire_acceptable(&f), _i <= TOFU_SIGNAL);
}
END_TEST

/* whole frames */

static tofu_msg *msg;

static void make_message(void)
{
	msg = tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	ck_assert_ptr_nonnull(msg);
}

static void drop_message(void)
{
	tofu_msg_put(&msg);
}

static const unsigned char whole[] = { 0x12, 0x34, 0x22, 0,   0,   0,   0,   0,    0,    0,   0,   9,  0,
	                               6,    0,    3,    'a', ':', ' ', 'b', '\r', '\n', 'x', 'y', 'z' };
static const size_t whole_len = sizeof whole;

static void fill_as_whole(void)
{
	*tofu_msg_header(msg) = (struct tofu_header){ .id = 9, .channel = 0x1234, .opcode = TOFU_SIGNAL, .more = 1 };
	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, "xyz", 3), TOFU_OK);
}

START_TEST(a_message_is_encoded_to_the_bytes_of_its_frame)
{
	unsigned char out[64];
	size_t len;

	fill_as_whole();
	memset(out, 0xa5, sizeof out);
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_OK);
	ck_assert_uint_eq(len, whole_len);
	ck_assert_mem_eq(out, whole, whole_len);
	ck_assert_uint_eq(out[len], 0xa5);
	ck_status(tofu_msg_encode(msg, out, whole_len, &len), TOFU_OK);
}
END_TEST

START_TEST(a_frame_that_does_not_fit_says_how_long_it_is_and_writes_nothing)
{
	unsigned char out[64] = { 0 };
	size_t len;

	fill_as_whole();
	ck_status(tofu_msg_encode(msg, NULL, 0, &len), TOFU_LIMIT_REACHED);
	ck_assert_uint_eq(len, whole_len);
	ck_status(tofu_msg_encode(msg, out, whole_len - 1, &len), TOFU_LIMIT_REACHED);
	ck_assert_uint_eq(len, whole_len);
	for (size_t i = 0; i < sizeof out; i++)
		ck_assert_uint_eq(out[i], 0);
	ck_status(tofu_msg_encode(msg, out, sizeof out, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_encode(msg, NULL, 1, &len), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_encode(NULL, out, sizeof out, &len), TOFU_NULL_MESSAGE);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(what_does_not_fit_into_a_frame_is_not_encoded)
{
	static unsigned char out[TOFU_FRAME_MAX];
	struct tofu_header *h = tofu_msg_header(msg);
	size_t len;

	h->opcode = 16;
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_INVALID_OP_CODE);
	h->opcode = 15;
	h->more = 2;
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_INVALID_MORE_USAGE);
	h->more = 1;
	h->origin = 2;
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_INVALID_MESSAGE);
	h->origin = 1;
	ck_status(tofu_msg_body_reserve(msg, TOFU_BODY_MAX + 1, NULL), TOFU_OK);
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_INVALID_BODY_LEN);
	ck_status(tofu_msg_headers_resize(msg, TOFU_HEADERS_MAX + 1), TOFU_OK);
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_INVALID_HEADERS_LEN);
	ck_assert_uint_eq(len, 0);
	ck_status(tofu_msg_headers_resize(msg, TOFU_HEADERS_MAX), TOFU_OK);
	ck_status(tofu_msg_body_resize(msg, TOFU_BODY_MAX), TOFU_OK);
	memset(tofu_msg_headers_data(msg), 'h', TOFU_HEADERS_MAX);
	memset(tofu_msg_body_data(msg), 'b', TOFU_BODY_MAX);
	ck_status(tofu_msg_encode(msg, out, sizeof out, &len), TOFU_OK);
	ck_assert_uint_eq(len, TOFU_FRAME_MAX);
	ck_assert_uint_eq(out[2], 0x3f);
}
END_TEST

START_TEST(a_frame_is_decoded_once_all_of_it_is_there)
{
	size_t used, len;
	const char *value;

	tofu_msg_header(msg)->id = 77;
	*tofu_msg_user(msg) = &used;
	for (size_t there = 0; there < whole_len; there++) {
		unsigned char *bytes = malloc(there > 0 ? there : 1); /* nothing behind them is to be read */

		ck_assert_ptr_nonnull(bytes);
		memcpy(bytes, whole, there);
		ck_status(tofu_msg_decode(msg, bytes, there, &used), TOFU_WOULD_BLOCK);
		ck_assert_uint_eq(used, there < TOFU_FRAME_HEADER ? TOFU_FRAME_HEADER : whole_len);
		ck_assert(tofu_msg_header(msg)->id == 77);
		free(bytes);
	}
	ck_status(tofu_msg_decode(msg, whole, whole_len, &used), TOFU_OK);
	ck_assert_uint_eq(used, whole_len);
	ck_assert(tofu_msg_header(msg)->id == 9);
	ck_assert_uint_eq(tofu_msg_header(msg)->channel, 0x1234);
	ck_assert_uint_eq(tofu_msg_header(msg)->opcode, TOFU_SIGNAL);
	ck_assert_uint_eq(tofu_msg_header(msg)->more, 1);
	value = tofu_msg_headers_find(msg, "a", &len);
	ck_assert(value != NULL && len == 1 && value[0] == 'b');
	ck_assert_mem_eq(tofu_msg_body(msg, &len), "xyz", 3);
	ck_assert_uint_eq(len, 3);
	ck_assert_ptr_eq(*tofu_msg_user(msg), &used);
}
END_TEST

START_TEST(of_several_frames_the_first_is_decoded)
{
	unsigned char two[2 * sizeof whole];
	size_t used;

	memcpy(two, whole, whole_len);
	memcpy(two + whole_len, whole, whole_len);
	two[11] = 1;
	ck_status(tofu_msg_decode(msg, two, sizeof two, &used), TOFU_OK);
	ck_assert_uint_eq(used, whole_len);
	ck_assert(tofu_msg_header(msg)->id == 1);
	ck_status(tofu_msg_decode(msg, two + used, sizeof two - used, &used), TOFU_OK);
	ck_assert(tofu_msg_header(msg)->id == 9);
}
END_TEST

START_TEST(bytes_that_are_no_message_are_refused_and_it_is_unchanged)
{
	unsigned char bad[sizeof whole];
	size_t used = 1;

	tofu_msg_header(msg)->id = 77;
	for (unsigned internal = 1; internal <= 3; internal++) {
		memcpy(bad, whole, whole_len);
		bad[2] |= (unsigned char)(internal << 6);
		ck_status(tofu_msg_decode(msg, bad, TOFU_FRAME_HEADER, &used), TOFU_PROTOCOL_VIOLATION);
		ck_assert_uint_eq(used, 0);
	}
	ck_status(tofu_msg_decode(msg, whole, whole_len, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_decode(msg, NULL, 1, &used), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_decode(NULL, whole, whole_len, &used), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_decode(msg, NULL, 0, &used), TOFU_WOULD_BLOCK);
	ck_assert(tofu_msg_header(msg)->id == 77);
}
END_TEST

START_TEST(any_header_that_a_message_can_have_survives_encoding_and_decoding)
{
	unsigned char out[TOFU_FRAME_HEADER], again[TOFU_FRAME_HEADER];
	size_t len, used;

	for (unsigned proto = 0; proto < 64; proto++) {
		for (unsigned status = 0; status < 256; status++) {
			memset(out, 0, sizeof out);
			out[2] = (unsigned char)proto;
			out[3] = (unsigned char)status;
			ck_status(tofu_msg_decode(msg, out, sizeof out, &used), TOFU_OK);
			ck_status(tofu_msg_encode(msg, again, sizeof again, &len), TOFU_OK);
			ck_assert_mem_eq(out, again, sizeof out);
		}
	}
}
END_TEST

static Suite *suite_of_wire(void)
{
	enum { FIRST_THAT_STAYS = TOFU_WELCOME_REQUEST, PROTO_OPCODES = 16 };
	Suite *s = suite_create("wire");
	TCase *codec = tcase_create("codec");
	TCase *rules = tcase_create("what a peer may send");
	TCase *whole_frames = tcase_create("whole frames");

	tcase_add_loop_test(codec, a_frame_is_encoded_to_these_bytes, 0, VECTOR_NR);
	tcase_add_loop_test(codec, these_bytes_are_decoded_to_the_frame, 0, VECTOR_NR);
	tcase_add_test(codec, neither_needs_alignment);
	tcase_add_test(codec, any_sixteen_bytes_survive_decoding_and_encoding);
	tcase_add_test(codec, a_field_too_wide_does_not_spill_into_its_neighbours);
	suite_add_tcase(s, codec);
	tcase_add_loop_test(rules, what_travels_is_acceptable, 0, FIRST_THAT_STAYS);
	tcase_add_loop_test(rules, what_does_not_travel_is_not, FIRST_THAT_STAYS, PROTO_OPCODES);
	tcase_add_loop_test(rules, origin_engine_is_not_acceptable, 0, FIRST_THAT_STAYS);
	tcase_add_loop_test(rules, an_internal_bit_is_not_acceptable, 0, FIRST_THAT_STAYS);
	tcase_add_loop_test(rules, a_status_is_not_acceptable, 0, FIRST_THAT_STAYS);
	tcase_add_loop_test(rules, id_zero_is_not_acceptable_in_a_response_only, 0, FIRST_THAT_STAYS);
	tcase_add_loop_test(rules, more_is_acceptable_on_regular_messages_only, 0, FIRST_THAT_STAYS);
	suite_add_tcase(s, rules);
	tcase_add_checked_fixture(whole_frames, make_message, drop_message);
	tcase_add_test(whole_frames, a_message_is_encoded_to_the_bytes_of_its_frame);
	tcase_add_test(whole_frames, a_frame_that_does_not_fit_says_how_long_it_is_and_writes_nothing);
	tcase_add_test(whole_frames, what_does_not_fit_into_a_frame_is_not_encoded);
	tcase_add_test(whole_frames, a_frame_is_decoded_once_all_of_it_is_there);
	tcase_add_test(whole_frames, of_several_frames_the_first_is_decoded);
	tcase_add_test(whole_frames, bytes_that_are_no_message_are_refused_and_it_is_unchanged);
	tcase_add_test(whole_frames, any_header_that_a_message_can_have_survives_encoding_and_decoding);
	suite_add_tcase(s, whole_frames);
	return s;
}

int main(void)
{
	return harness_run(suite_of_wire());
}
