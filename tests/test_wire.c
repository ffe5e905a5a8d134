/* SPDX-License-Identifier: MIT */
/* The frame's sixteen bytes: vectors written by hand, round trips, and every kind of frame that a peer may not send. */

#include "harness.h"

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

static Suite *suite_of_wire(void)
{
	enum { FIRST_THAT_STAYS = TOFU_BYE_SIGNAL, PROTO_OPCODES = 16 };
	Suite *s = suite_create("wire");
	TCase *codec = tcase_create("codec");
	TCase *rules = tcase_create("what a peer may send");

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
	return s;
}

int main(void)
{
	return harness_run(suite_of_wire());
}
