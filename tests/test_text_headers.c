/* SPDX-License-Identifier: MIT */
/*
 * Text headers: what may be added, how it lies in the message, and that the walk copes with anything a peer can send.
 * Bytes to walk are copied into memory of exactly their size, so that a sanitizer sees a read beyond.
 */

#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message/message.h"

static struct tofu_msg *msg;

static void setup(void)
{
	msg = tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);
	ck_assert_ptr_nonnull(msg);
}

static void teardown(void)
{
	tofu_msg_put(&msg);
}

static void set_raw(const char *bytes, size_t len)
{
	ck_status(tofu_msg_headers_resize(msg, len), TOFU_OK);
	memcpy(tofu_msg_headers_data(msg), bytes, len);
}

static void assert_raw(const char *expected)
{
	ck_assert_uint_eq(msg->headers_len, strlen(expected));
	ck_assert_mem_eq(tofu_msg_headers_data(msg), expected, strlen(expected));
}

/* All headers of data as "[name=value]" one after the other. */
static const char *walk(const char *bytes, size_t len)
{
	static char out[1024];
	unsigned char *exact = malloc(len > 0 ? len : 1);
	struct tofu_text_header h;
	size_t n = 0;
	size_t last = 0;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, bytes, len);
	out[0] = '\0';
	for (size_t at = 0; (at = tofu_text_headers_next(exact, len, at, &h)) != 0; last = at) {
		ck_assert_uint_gt(at, last);
		ck_assert_uint_le(at, len);
		n += (size_t)snprintf(out + n, sizeof out - n, "[%.*s=%.*s]", (int)h.name_len, h.name, (int)h.value_len,
		                      h.value);
		ck_assert_uint_lt(n, sizeof out);
	}
	ck_assert_uint_eq(h.name_len + h.value_len, 0); /* the end says nothing */
	free(exact);
	return out;
}

struct walked {
	const char *bytes;
	const char *headers;
};

/* clang-format off */
static const struct walked walks[] = {
	{ "",                               "" },
	{ "a: b\r\n",                       "[a=b]" },
	{ "a: b",                           "[a=b]" },
	{ "a:b\r\n",                        "[a=b]" },
	{ "a: b\r\nc: d\r\ne: f\r\n",       "[a=b][c=d][e=f]" },
	{ "a: b\r\nc: d",                   "[a=b][c=d]" },
	{ "\r\n\r\na: b\r\n\r\n\r\nc: d\r\n\r\n", "[a=b][c=d]" },
	{ "\r\n",                           "" },
	{ " \t name\t :\t  value \t \r\n",  "[name=value]" },
	{ "a: b c\td\r\n",                  "[a=b c\td]" },
	{ "url: http://x:80/\r\n",          "[url=http://x:80/]" },
	{ "~connect_to: tcp|::1|80\r\n",    "[~connect_to=tcp|::1|80]" },
	{ "a:\r\n",                         "[a=]" },
	{ "a: \t\r\nb: c\r\n",              "[a=][b=c]" },
	{ "no colon\r\nb: c\r\n",           "[no colon=][b=c]" },
	{ "no colon",                       "[no colon=]" },
	{ ": value\r\nb: c\r\n",            "[b=c]" },
	{ " \t : value\r\n",                "" },
	{ ":",                              "" },
	{ "   \r\n",                        "" },
	{ "a: b\rc\r\n",                    "[a=b\rc]" },
	{ "a: b\nc: d\r\n",                 "[a=b\nc: d]" },
	{ "a: b\r\r\nc: d",                 "[a=b\r][c=d]" },
	{ "a: b\r",                         "[a=b\r]" },
	{ "\r",                             "[\r=]" },
	{ "\n\r\n",                         "[\n=]" },
	{ "a: 1\r\na: 2\r\n",               "[a=1][a=2]" },
	{ "\xc3\xa4: \xff\xfe\r\n",         "[\xc3\xa4=\xff\xfe]" },
};
/* clang-format on */
enum { WALK_NR = sizeof walks / sizeof walks[0] };

START_TEST(these_bytes_are_walked_as_these_headers)
{
	ck_assert_str_eq(walk(walks[_i].bytes, strlen(walks[_i].bytes)), walks[_i].headers);
}
END_TEST

START_TEST(nul_bytes_are_bytes_like_others)
{
	static const unsigned char bytes[] = { 'a', 0, ':', 0, 'b', '\r', '\n', 0, '\r', '\n' };
	struct tofu_text_header h;
	size_t at = tofu_text_headers_next(bytes, sizeof bytes, 0, &h);

	ck_assert_uint_eq(at, 7);
	ck_assert_uint_eq(h.name_len, 2);
	ck_assert_uint_eq(h.value_len, 2);
	at = tofu_text_headers_next(bytes, sizeof bytes, at, &h);
	ck_assert_uint_eq(at, sizeof bytes);
	ck_assert_uint_eq(h.name_len, 1);
	ck_assert_uint_eq(tofu_text_headers_next(bytes, sizeof bytes, at, &h), 0);
}
END_TEST

START_TEST(a_start_beyond_the_end_is_the_end)
{
	struct tofu_text_header h;

	set_raw("a: b\r\n", 6);
	ck_assert_uint_eq(tofu_msg_headers_next(msg, 6, &h), 0);
	ck_assert_uint_eq(tofu_msg_headers_next(msg, 7, &h), 0);
	ck_assert_uint_eq(tofu_msg_headers_next(msg, SIZE_MAX, &h), 0);
	ck_assert_uint_eq(tofu_msg_headers_next(NULL, 0, &h), 0);
	ck_assert_ptr_null(h.name);
}
END_TEST

START_TEST(the_largest_text_headers_are_walked_to_the_end)
{
	unsigned char *data = malloc(TOFU_HEADERS_MAX);
	struct tofu_text_header h;
	size_t n = 0;

	ck_assert_ptr_nonnull(data);
	memset(data, '\r', TOFU_HEADERS_MAX); /* the worst for whoever looks for CR */
	ck_assert_uint_eq(tofu_text_headers_next(data, TOFU_HEADERS_MAX, 0, &h), TOFU_HEADERS_MAX);
	ck_assert_uint_eq(h.name_len, TOFU_HEADERS_MAX);
	for (size_t i = 0; i + 4 <= TOFU_HEADERS_MAX; i += 4)
		memcpy(data + i, "a:\r\n", 4);
	for (size_t at = 0; (at = tofu_text_headers_next(data, TOFU_HEADERS_MAX, at, &h)) != 0;)
		n++;
	ck_assert_uint_eq(n, TOFU_HEADERS_MAX / 4 + 1);
	free(data);
}
END_TEST

/* Every string of up to seven of these bytes: what is walked lies inside, goes forward, and is trimmed. */
START_TEST(every_short_mix_of_the_special_bytes_is_walked_inside_its_bounds)
{
	static const char special[] = "\r\n: a";
	unsigned char *data = malloc(7);
	struct tofu_text_header h;

	ck_assert_ptr_nonnull(data);
	for (size_t len = 0, mixes = 1; len <= 7; len++, mixes *= 5) {
		for (size_t mix = 0; mix < mixes; mix++) {
			unsigned char *start = data + 7 - len; /* the end of the block is the end of the bytes */
			size_t last = 0;

			for (size_t i = 0, rest = mix; i < len; i++, rest /= 5)
				start[i] = (unsigned char)special[rest % 5];
			for (size_t at = 0; (at = tofu_text_headers_next(start, len, at, &h)) != 0; last = at) {
				const char *first = (const char *)start;

				ck_assert(at > last && at <= len);
				ck_assert(h.name >= first && h.name + h.name_len <= first + len);
				ck_assert(h.value >= first && h.value + h.value_len <= first + len);
				ck_assert(h.name_len > 0 && h.name[0] != ' ' && h.name[h.name_len - 1] != ' ');
				ck_assert(memchr(h.name, ':', h.name_len) == NULL);
			}
		}
	}
	free(data);
}
END_TEST

START_TEST(added_headers_lie_as_on_the_wire)
{
	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, "name", "some value: with colon"), TOFU_OK);
	assert_raw("a: b\r\nname: some value: with colon\r\n");
}
END_TEST

START_TEST(blanks_around_name_and_value_are_cut_off)
{
	ck_status(tofu_msg_headers_add(msg, " \tname \t", "\t va lue "), TOFU_OK);
	assert_raw("name: va lue\r\n");
}
END_TEST

START_TEST(adding_after_a_line_without_an_end_ends_it_first)
{
	set_raw("a: b", 4);
	ck_status(tofu_msg_headers_add(msg, "c", "d"), TOFU_OK);
	assert_raw("a: b\r\nc: d\r\n");
}
END_TEST

START_TEST(adding_after_a_single_byte_ends_its_line)
{
	unsigned char data[32] = "\r\n"; /* the CR is not the headers' */
	size_t len = tofu_text_headers_append(data + 1, 1, "c", 1, "d", 1);

	ck_assert_uint_eq(len, 9);
	ck_assert_mem_eq(data + 1, "\n\r\nc: d\r\n", 9);
}
END_TEST

struct refused {
	const char *name;
	const char *value;
};

static const struct refused refusals[] = {
	{ "", "v" },    { " \t", "v" },       { "n", "" },     { "n", " \t " },   { NULL, "v" },
	{ "n", NULL },  { "n\r", "v" },       { "n\n", "v" },  { "n\r\nm", "v" }, { "n", "v\r" },
	{ "n", "v\n" }, { "n", "v\r\nx: y" }, { "n", "\r\n" }, { "n:", "v" },     { "n:m", "v" },
	{ ":", "v" },   { "\nn", "v" },       { "n", "\nv" },  { "n", "a\nb" },
};
enum { REFUSED_NR = sizeof refusals / sizeof refusals[0] };

START_TEST(a_bad_name_or_value_is_refused_and_nothing_changes)
{
	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, refusals[_i].name, refusals[_i].value), TOFU_INVALID_MESSAGE);
	assert_raw("a: b\r\n");
}
END_TEST

START_TEST(adding_to_no_message_is_refused)
{
	ck_status(tofu_msg_headers_add(NULL, "a", "b"), TOFU_NULL_MESSAGE);
}
END_TEST

START_TEST(headers_grow_out_of_the_small_store_and_stay_whole)
{
	char name[32];
	size_t len = 0;

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof name, "name-%d", i);
		ck_status(tofu_msg_headers_add(msg, name, name + 5), TOFU_OK);
	}
	for (int i = 0; i < 1000; i++) {
		const char *value;

		(void)snprintf(name, sizeof name, "name-%d", i);
		value = tofu_msg_headers_find(msg, name, &len);
		ck_assert_ptr_nonnull(value);
		ck_assert_uint_eq(len, strlen(name + 5));
		ck_assert_mem_eq(value, name + 5, len);
	}
}
END_TEST

START_TEST(more_than_can_travel_can_be_built)
{
	char *value = malloc(TOFU_HEADERS_MAX + 1);

	ck_assert_ptr_nonnull(value);
	memset(value, 'v', TOFU_HEADERS_MAX);
	value[TOFU_HEADERS_MAX] = '\0';
	ck_status(tofu_msg_headers_add(msg, "n", value), TOFU_OK);
	ck_assert_uint_eq(msg->headers_len, TOFU_HEADERS_MAX + 5);
	free(value);
}
END_TEST

START_TEST(an_absurd_size_is_refused)
{
	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
	ck_status(tofu_msg_headers_resize(msg, (size_t)1 << 31), TOFU_INVALID_HEADERS_LEN);
	ck_status(tofu_msg_headers_resize(msg, SIZE_MAX), TOFU_INVALID_HEADERS_LEN);
	assert_raw("a: b\r\n");
}
END_TEST

START_TEST(find_gives_the_first_of_that_very_name)
{
	size_t len = 99;
	const char *value;

	set_raw("aa: 0\r\nA: 1\r\n a : 2\r\na: 3", 24);
	value = tofu_msg_headers_find(msg, "a", &len);
	ck_assert_ptr_nonnull(value);
	ck_assert_uint_eq(len, 1);
	ck_assert_int_eq(value[0], '2');
	ck_assert_ptr_nonnull(tofu_msg_headers_find(msg, "A", NULL));
}
END_TEST

START_TEST(find_of_what_is_not_there_gives_null_and_no_length)
{
	static const char *const absent[] = { "b", "", " a", "a: 1", "a:" };
	size_t len;

	set_raw("a: 1\r\n: 2\r\n", 11);
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
		len = 99;
		ck_assert_ptr_null(tofu_msg_headers_find(msg, absent[i], &len));
		ck_assert_uint_eq(len, 0);
	}
	ck_assert_ptr_null(tofu_msg_headers_find(msg, NULL, &len));
	ck_assert_ptr_null(tofu_msg_headers_find(NULL, "a", &len));
	ck_assert_ptr_null(tofu_msg_headers_find(NULL, "a", NULL));
}
END_TEST

START_TEST(remove_cuts_out_its_lines_and_no_others)
{
	static const struct {
		const char *before;
		const char *after;
	} cases[] = {
		{ "x: 1\r\n", "" },
		{ "x: 1", "" },
		{ "a: 1\r\nx: 2\r\nb: 3\r\n", "a: 1\r\nb: 3\r\n" },
		{ "x: 1\r\nx: 2\r\na: 1\r\n x: 3", "a: 1\r\n" },
		{ "\r\n: odd\r\n x : 1\r\nno colon\r\nxx: 2", "\r\n: odd\r\nno colon\r\nxx: 2" },
		{ "", "" },
		{ "a: x\r\n", "a: x\r\n" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t len = strlen(cases[i].before);

		set_raw(cases[i].before, len);
		msg->headers_len = (uint32_t)tofu_text_headers_remove(tofu_msg_headers_data(msg), len, "x");
		assert_raw(cases[i].after);
	}
}
END_TEST

START_TEST(remove_counts_what_it_cut_out)
{
	set_raw("a: 1\r\n x : 2\r\nb: 3\r\nx: 4", 24);
	ck_assert_uint_eq(tofu_msg_headers_remove(msg, "y"), 0);
	ck_assert_uint_eq(tofu_msg_headers_remove(msg, ""), 0);
	ck_assert_uint_eq(tofu_msg_headers_remove(msg, NULL), 0);
	ck_assert_uint_eq(tofu_msg_headers_remove(NULL, "x"), 0);
	ck_assert_uint_eq(tofu_msg_headers_remove(msg, "x"), 2);
	assert_raw("a: 1\r\nb: 3\r\n");
}
END_TEST

START_TEST(clear_cuts_out_all_and_leaves_the_body)
{
	size_t len;

	set_raw("a: 1\r\n", 6);
	ck_status(tofu_msg_body_set(msg, "body", 4), TOFU_OK);
	tofu_msg_headers_clear(msg);
	tofu_msg_headers_clear(NULL);
	assert_raw("");
	tofu_msg_body(msg, &len);
	ck_assert_uint_eq(len, 4);
	ck_status(tofu_msg_headers_add(msg, "b", "2"), TOFU_OK);
	assert_raw("b: 2\r\n");
}
END_TEST

START_TEST(lines_are_appended_byte_by_byte)
{
	set_raw("open: line", 10);
	ck_status(tofu_msg_headers_append(msg, "", 0), TOFU_OK);
	ck_status(tofu_msg_headers_append(msg, NULL, 0), TOFU_OK);
	assert_raw("open: line");
	ck_status(tofu_msg_headers_append(msg, " a:1 \r\n\r\nb:  x:y", 16), TOFU_OK);
	assert_raw("open: line\r\n a:1 \r\n\r\nb:  x:y");
	ck_status(tofu_msg_headers_append(msg, "c: 3\r\n and more", 6), TOFU_OK);
	assert_raw("open: line\r\n a:1 \r\n\r\nb:  x:y\r\nc: 3\r\n");
}
END_TEST

START_TEST(lines_that_could_not_be_added_are_not_appended_either)
{
	static const char *const bad[] = { "name",      ":v",     " : v", "n:", "n: \r\n",        "n: v\r",
		                           "n: v\n",    "n\n: v", "\r",   "\n", "a: b\r\n\nc: d", "a: b\r\nbad\r\nc: d",
		                           "a: b\rc: d" };

	set_raw("a: b", 4);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_status(tofu_msg_headers_append(msg, bad[i], strlen(bad[i])), TOFU_INVALID_MESSAGE);
		assert_raw("a: b");
	}
	ck_status(tofu_msg_headers_append(msg, NULL, 1), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_headers_append(NULL, "a: b", 4), TOFU_NULL_MESSAGE);
	assert_raw("a: b");
}
END_TEST

/* The same judge as for adding: what is appended is walked as what was added, name by name. */
START_TEST(every_short_line_is_appended_if_it_could_be_added)
{
	static const char special[] = "\r\n: a";
	char line[16];

	for (size_t len = 1, mixes = 5; len <= 6; len++, mixes *= 5) {
		for (size_t mix = 0; mix < mixes; mix++) {
			struct tofu_text_header h;
			bool good = true;

			for (size_t i = 0, rest = mix; i < len; i++, rest /= 5)
				line[i] = special[rest % 5];
			set_raw(line, len);
			for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &h)) != 0;)
				good = good && h.value_len > 0 && memchr(h.name, '\r', h.name_len) == NULL &&
				       memchr(h.name, '\n', h.name_len) == NULL &&
				       memchr(h.value, '\r', h.value_len) == NULL &&
				       memchr(h.value, '\n', h.value_len) == NULL;
			set_raw("", 0);
			if (tofu_msg_headers_append(msg, line, len) == TOFU_OK)
				ck_assert(good);
			else
				ck_assert_uint_eq(msg->headers_len, 0);
		}
	}
}
END_TEST

START_TEST(text_headers_of_another_message_are_copied_as_they_are)
{
	struct tofu_msg *from = tofu_msg_create(NULL, TOFU_MSG_SMALL_HEADERS, TOFU_MSG_SMALL_BODY);

	ck_assert_ptr_nonnull(from);
	set_raw("odd\r\n:\r\nx: 1", 12);
	ck_status(tofu_msg_headers_copy(from, msg), TOFU_OK);
	ck_status(tofu_msg_headers_add(from, "y", "2"), TOFU_OK);
	set_raw("z: 3", 4);
	ck_status(tofu_msg_headers_copy(msg, from), TOFU_OK);
	assert_raw("z: 3\r\nodd\r\n:\r\nx: 1\r\ny: 2\r\n");
	tofu_msg_headers_clear(from);
	ck_status(tofu_msg_headers_copy(msg, from), TOFU_OK);
	assert_raw("z: 3\r\nodd\r\n:\r\nx: 1\r\ny: 2\r\n");
	ck_status(tofu_msg_headers_copy(NULL, from), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_headers_copy(msg, NULL), TOFU_NULL_MESSAGE);
	tofu_msg_destroy(from);
}
END_TEST

START_TEST(a_message_can_copy_its_own_text_headers_though_they_move)
{
	struct tofu_text_header h;
	size_t count = 0;

	ck_status(tofu_msg_headers_add(msg, "name", "value"), TOFU_OK);
	for (int i = 0; i < 10; i++)
		ck_status(tofu_msg_headers_copy(msg, msg), TOFU_OK);
	ck_status(tofu_msg_headers_append(msg, (const char *)tofu_msg_headers_data(msg), 13), TOFU_OK);
	for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &h)) != 0; count++)
		ck_assert(h.value_len == 5 && memcmp(h.value, "value", 5) == 0);
	ck_assert_uint_eq(count, 1025);
}
END_TEST

static Suite *suite_of_text_headers(void)
{
	Suite *s = suite_create("text_headers");
	TCase *walking = tcase_create("walk");
	TCase *adding = tcase_create("add");
	TCase *finding = tcase_create("find and remove");

	tcase_add_checked_fixture(walking, setup, teardown);
	tcase_add_loop_test(walking, these_bytes_are_walked_as_these_headers, 0, WALK_NR);
	tcase_add_test(walking, nul_bytes_are_bytes_like_others);
	tcase_add_test(walking, a_start_beyond_the_end_is_the_end);
	tcase_add_test(walking, the_largest_text_headers_are_walked_to_the_end);
	tcase_add_test(walking, every_short_mix_of_the_special_bytes_is_walked_inside_its_bounds);
	suite_add_tcase(s, walking);
	tcase_add_checked_fixture(adding, setup, teardown);
	tcase_add_test(adding, added_headers_lie_as_on_the_wire);
	tcase_add_test(adding, blanks_around_name_and_value_are_cut_off);
	tcase_add_test(adding, adding_after_a_line_without_an_end_ends_it_first);
	tcase_add_test(adding, adding_after_a_single_byte_ends_its_line);
	tcase_add_loop_test(adding, a_bad_name_or_value_is_refused_and_nothing_changes, 0, REFUSED_NR);
	tcase_add_test(adding, adding_to_no_message_is_refused);
	tcase_add_test(adding, headers_grow_out_of_the_small_store_and_stay_whole);
	tcase_add_test(adding, more_than_can_travel_can_be_built);
	tcase_add_test(adding, an_absurd_size_is_refused);
	tcase_add_test(adding, lines_are_appended_byte_by_byte);
	tcase_add_test(adding, lines_that_could_not_be_added_are_not_appended_either);
	tcase_add_test(adding, every_short_line_is_appended_if_it_could_be_added);
	tcase_add_test(adding, text_headers_of_another_message_are_copied_as_they_are);
	tcase_add_test(adding, a_message_can_copy_its_own_text_headers_though_they_move);
	suite_add_tcase(s, adding);
	tcase_add_checked_fixture(finding, setup, teardown);
	tcase_add_test(finding, find_gives_the_first_of_that_very_name);
	tcase_add_test(finding, find_of_what_is_not_there_gives_null_and_no_length);
	tcase_add_test(finding, remove_cuts_out_its_lines_and_no_others);
	tcase_add_test(finding, remove_counts_what_it_cut_out);
	tcase_add_test(finding, clear_cuts_out_all_and_leaves_the_body);
	suite_add_tcase(s, finding);
	return s;
}

int main(void)
{
	return harness_run(suite_of_text_headers());
}
