/* SPDX-License-Identifier: MIT */
/* Addresses as text: every accepted form and what becomes of it, every refused one, and what stays of the message. */

#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "message/message.h"
#include "message/pool.h"

static struct tofu_msg *msg;
static struct tofu_pool *pool;
static struct tofu_address_rules *rules;

static void not_refilled(void *context)
{
	(void)context;
}

static void setup(void)
{
	ck_status(tofu_pool_create(1, 1, not_refilled, NULL, &pool), TOFU_OK);
	rules = tofu_pool_rules(pool);
	tofu_address_add_rule(rules, "tcp", NULL, TOFU_FORM_HOST_PORT);
	tofu_address_add_rule(rules, "uds", "unix", TOFU_FORM_PATH);
	tofu_address_add_rule(rules, "inproc", NULL, TOFU_FORM_TEXT);
	ck_status(tofu_pool_get(pool, TOFU_POOL_ONLY, &msg), TOFU_OK);
}

static void teardown(void)
{
	tofu_msg_put(&msg);
	tofu_pool_destroy(pool);
}

struct form {
	const char *given;
	const char *normal;
};

/* To connect and to listen. */
static const struct form both[] = {
	{ "tcp|127.0.0.1|4000", "tcp|127.0.0.1|4000" },
	{ "tcp|localhost|1", "tcp|localhost|1" },
	{ "tcp|::1|65535", "tcp|::1|65535" },
	{ "tcp|fe80::1%eth0|80", "tcp|fe80::1%eth0|80" },
	{ "tcp|h|00080", "tcp|h|80" },
	{ "tcp|&3", "tcp|&3" },
	{ "tcp|&web", "tcp|&web" },
	{ "uds|&3", "uds|&3" },
	{ "unix:&web", "uds|&web" },
	{ "unix:@name", "uds|@name" },
	{ "tcp://127.0.0.1:4000", "tcp|127.0.0.1|4000" },
	{ "tcp://example.org:80", "tcp|example.org|80" },
	{ "tcp://[::1]:80", "tcp|::1|80" },
	{ "tcp://[fe80::1%eth0]:80", "tcp|fe80::1%eth0|80" },
	{ "tcp://[fe80::1%25eth0]:80", "tcp|fe80::1%eth0|80" },
	{ "tcp://[fe80::1%251]:80", "tcp|fe80::1%1|80" },
	{ "tcp://[fe80::1%25]:80", "tcp|fe80::1%25|80" },
	{ "uds|/tmp/a.sock", "uds|/tmp/a.sock" },
	{ "uds|relative", "uds|relative" },
	{ "uds|/tmp/with space|and bar:x", "uds|/tmp/with space|and bar:x" },
	{ "unix:///tmp/a.sock", "uds|/tmp/a.sock" },
	{ "unix:/tmp/a.sock", "uds|/tmp/a.sock" },
	{ "unix:relative/a.sock", "uds|relative/a.sock" },
	{ "unix:///tmp/a%20b|c", "uds|/tmp/a%20b|c" },
	{ "other|anything: at all|", "other|anything: at all|" },
	{ "other|", "other|" },
	{ "a|://", "a|://" },
	{ "my-own_1.0+x|1", "my-own_1.0+x|1" },
	{ "exactly15bytes_|x", "exactly15bytes_|x" },
	{ "tcpx|no port here", "tcpx|no port here" },
	{ "tc|no port here", "tc|no port here" },
	{ "uds|/t\xc3\xa4st", "uds|/t\xc3\xa4st" },
	{ "inproc|a name", "inproc|a name" },
	{ "inproc://a/name:1", "inproc|a/name:1" },
	{ "inproc:a name", "inproc|a name" },
};
enum { BOTH_NR = sizeof both / sizeof both[0] };

/* To listen only. */
static const struct form listening[] = {
	{ "tcp||4000", "tcp||4000" },   { "tcp||0", "tcp||0" },   { "tcp|127.0.0.1|0", "tcp|127.0.0.1|0" },
	{ "tcp://:4000", "tcp||4000" }, { "tcp://:0", "tcp||0" }, { "tcp://[::]:0", "tcp|::|0" },
	{ "tcp|h|00000", "tcp|h|0" },   { "uds|", "uds|" },       { "unix:", "uds|" },
	{ "unix://", "uds|" },
};
enum { LISTENING_NR = sizeof listening / sizeof listening[0] };

static const char *const wrong[] = {
	"",
	" ",
	"tcp",
	"uds",
	"noscheme",
	"|",
	"|x",
	"||",
	"/tmp/a.sock",
	"127.0.0.1:80",
	"sixteen_bytes_ab|x",
	"sch eme|x",
	" tcp|h|1",
	"sch:eme|x",
	"sch/eme|x",
	"sch\xc3\xa4|x",
	"tcp|",
	"tcp|h",
	"tcp|h|",
	"tcp|h|x",
	"tcp|h|80x",
	"tcp|h|-1",
	"tcp|h|+1",
	"tcp|h| 1",
	"tcp|h|65536",
	"tcp|h|99999",
	"tcp|h|100000",
	"tcp|h|4294967297",
	"tcp|h|0x50",
	"tcp|h|1|2",
	"tcp|a b|1",
	"tcp|h|1 ",
	"tcp:",
	"tcp:h:1",
	"tcp:/h:1",
	"tcp://",
	"tcp://h",
	"tcp://h:",
	"tcp://:",
	"tcp://h:x",
	"tcp://h:65536",
	"tcp://::1:80",
	"tcp://[::1]",
	"tcp://[::1]80",
	"tcp://[::1",
	"tcp://[]:80",
	"tcp://h:80/",
	"tcp://u@h:80",
	"tcp://a/b:80",
	"tcp://h?q:80",
	"tcp://a]:80",
	"tcp://[[::1]]:80",
	"tcp://a|b:80",
	"http://h:80",
	"unix",
	"unix://relative",
	"unix://h/path",
	"uds:///path",
	"uds|/tmp/x ",
	"unix:/x ",
	"other|x ",
	"other|x\r",
	"other|x\n",
	"other|x\r\ny: z",
	"uds|/a\tb",
	"uds|/a\x01",
	"uds|/a\x7f",
	"tcp|h\n|1",
	"unix:///a\nb",
};
enum { WRONG_NR = sizeof wrong / sizeof wrong[0] };

static const char *address_of(const struct tofu_msg *m, const char *name)
{
	static char out[TOFU_ADDRESS_MAX + 1];
	size_t len;
	const char *value = tofu_msg_headers_find(m, name, &len);

	(void)snprintf(out, sizeof out, "%.*s", (int)len, value != NULL ? value : "");
	return out;
}

START_TEST(connect_to_writes_the_normal_form)
{
	ck_status(tofu_msg_connect_to(msg, both[_i].given), TOFU_OK);
	ck_assert_str_eq(address_of(msg, "~connect_to"), both[_i].normal);
}
END_TEST

START_TEST(listen_on_writes_the_normal_form)
{
	ck_status(tofu_msg_listen_on(msg, both[_i].given), TOFU_OK);
	ck_assert_str_eq(address_of(msg, "~listen_on"), both[_i].normal);
}
END_TEST

START_TEST(what_is_normal_stays)
{
	char out[TOFU_ADDRESS_MAX + 1];

	ck_status(tofu_address_normalize(rules, both[_i].normal, out), TOFU_OK);
	ck_assert_str_eq(out, both[_i].normal);
}
END_TEST

START_TEST(an_address_with_a_gap_is_for_listening_only)
{
	ck_status(tofu_msg_connect_to(msg, listening[_i].given), TOFU_INVALID_ADDRESS);
	ck_assert_uint_eq(msg->headers_len, 0);
	ck_status(tofu_msg_listen_on(msg, listening[_i].given), TOFU_OK);
	ck_assert_str_eq(address_of(msg, "~listen_on"), listening[_i].normal);
}
END_TEST

static void assert_untouched(void)
{
	ck_assert_uint_eq(msg->header.opcode, TOFU_SIGNAL);
	ck_assert_uint_eq(msg->header.channel, 9);
	ck_assert_uint_eq(msg->header.status, TOFU_TIMEOUT);
	ck_assert_uint_eq(msg->headers_len, 6);
	ck_assert_mem_eq(tofu_msg_headers_data(msg), "a: b\r\n", 6);
}

static void make_signal(void)
{
	msg->header =
		(struct tofu_header){ .opcode = TOFU_SIGNAL, .channel = 9, .status = TOFU_TIMEOUT, .more = 1, .id = 5 };
	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
}

START_TEST(a_wrong_form_is_refused_and_nothing_changes)
{
	char out[TOFU_ADDRESS_MAX + 1] = "x";

	make_signal();
	ck_status(tofu_msg_connect_to(msg, wrong[_i]), TOFU_INVALID_ADDRESS);
	assert_untouched();
	ck_status(tofu_msg_listen_on(msg, wrong[_i]), TOFU_INVALID_ADDRESS);
	assert_untouched();
	ck_status(tofu_address_normalize(rules, wrong[_i], out), TOFU_INVALID_ADDRESS);
	ck_assert_str_eq(out, "");
}
END_TEST

struct fault {
	const char *address;
	const char *call;   /* what is wrong with it to connect to; NULL: nothing */
	const char *listen; /* to listen on */
};

static const char no_port[] = "the port is missing", no_host[] = "the host is missing",
		  wrong_port[] = "the port is not a number from 0 to 65535",
		  no_transport[] = "the address does not begin with a transport and a bar, like TRANSPORT|REST";

static const struct fault faults[] = {
	{ "tcp|h", no_port, no_port },
	{ "tcp|h|", no_port, no_port },
	{ "tcp|", no_port, no_port },
	{ "tcp://h", no_port, no_port },
	{ "tcp://h:", no_port, no_port },
	{ "tcp://[::1]", no_port, no_port },
	{ "tcp|h|99999", wrong_port, wrong_port },
	{ "tcp|h|http", wrong_port, wrong_port },
	{ "tcp://h:-1", wrong_port, wrong_port },
	{ "tcp|h|1|2", wrong_port, wrong_port },
	{ "tcp||80", no_host, NULL },
	{ "tcp://:80", no_host, NULL },
	{ "tcp://[]:80", no_host, no_host },
	{ "tcp|h|0", "nobody can be called at port 0", NULL },
	{ "uds|", "the path is missing", NULL },
	{ "unix:", "the path is missing", NULL },
	{ "tcp|a b|1", "the host contains a space", "the host contains a space" },
	{ "tcp://a|b:1", "the host contains a bar", "the host contains a bar" },
	{ "tcp://[::1:80", "the host has no closing bracket", "the host has no closing bracket" },
	{ "tcp://[::1]80", "a colon is missing before the port", "a colon is missing before the port" },
	{ "tcp://h/x:80", "the host contains one of / ? # @ [ ]", "the host contains one of / ? # @ [ ]" },
	{ "unix://h", "a path behind :// begins with a slash", "a path behind :// begins with a slash" },
	{ "nonsense", no_transport, no_transport },
	{ "http://h:80", no_transport, no_transport },
	{ "sixteen_bytes_ab|x", no_transport, no_transport },
	{ "", "the address is empty", "the address is empty" },
	{ NULL, "the address is missing", "the address is missing" },
	{ "tcp|h|1 ", "the address ends with a space", "the address ends with a space" },
	{ "uds|/a\tb", "the address contains a control character", "the address contains a control character" },
	{ "pigeon|roof", NULL, NULL }, /* its transport will know */
};
enum { FAULTS_NR = sizeof faults / sizeof faults[0] };

static void expect_fault(const char *address, enum tofu_opcode opcode, const char *expected)
{
	const char *got = tofu_address_judge(rules, address, opcode);

	ck_assert_msg((got == NULL) == (expected == NULL) && (got == NULL || strcmp(got, expected) == 0), "%s: %s",
	              address != NULL ? address : "NULL", got != NULL ? got : "nothing is wrong");
}

START_TEST(what_is_wrong_with_an_address_is_said)
{
	expect_fault(faults[_i].address, TOFU_HELLO_REQUEST, faults[_i].call);
	expect_fault(faults[_i].address, TOFU_WELCOME_REQUEST, faults[_i].listen);
}
END_TEST

START_TEST(an_address_that_is_too_long_is_said_to_be)
{
	char address[TOFU_ADDRESS_MAX + 2] = "uds|";

	memset(address + 4, 'x', sizeof address - 5);
	expect_fault(address, TOFU_HELLO_REQUEST, "the address is longer than 512 bytes");
	address[TOFU_ADDRESS_MAX] = '\0';
	expect_fault(address, TOFU_HELLO_REQUEST, NULL);
}
END_TEST

/* What is refused has a fault, and what is taken has none. */
START_TEST(an_address_is_refused_if_something_is_wrong_with_it_and_only_then)
{
	for (size_t i = 0; i < WRONG_NR; i++) {
		ck_assert_msg(tofu_address_judge(rules, wrong[i], TOFU_HELLO_REQUEST) != NULL, "%s", wrong[i]);
		ck_assert_msg(tofu_address_judge(rules, wrong[i], TOFU_WELCOME_REQUEST) != NULL, "%s", wrong[i]);
	}
	for (size_t i = 0; i < BOTH_NR; i++)
		expect_fault(both[i].given, TOFU_HELLO_REQUEST, NULL);
	for (size_t i = 0; i < LISTENING_NR; i++) {
		ck_assert_msg(tofu_address_judge(rules, listening[i].given, TOFU_HELLO_REQUEST) != NULL, "%s",
		              listening[i].given);
		expect_fault(listening[i].given, TOFU_WELCOME_REQUEST, NULL);
	}
}
END_TEST

START_TEST(a_new_address_takes_away_what_was_wrong_with_the_last_one)
{
	ck_status(tofu_msg_headers_add(msg, "~detail", "the port is missing"), TOFU_OK);
	ck_status(tofu_msg_connect_to(msg, "tcp|h|1"), TOFU_OK);
	ck_assert_str_eq(address_of(msg, "~detail"), "");
	ck_assert_str_eq(address_of(msg, "~connect_to"), "tcp|h|1");
}
END_TEST

/* Its transport may be registered later. What no transport takes is wrong in any case. */
START_TEST(without_any_transport_only_the_form_of_a_url_is_known)
{
	struct tofu_address_rules none = { 0 };
	char out[TOFU_ADDRESS_MAX + 1];

	ck_status(tofu_address_normalize(&none, "tcp://h:1", out), TOFU_OK);
	ck_assert_str_eq(out, "tcp://h:1");
	ck_status(tofu_address_normalize(NULL, "tcp|h", out), TOFU_OK);
	ck_assert_str_eq(out, "tcp|h");
	ck_status(tofu_address_normalize(&none, "h:1", out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_address_normalize(&none, "://h:1", out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_address_normalize(&none, "tcp://h:1 ", out), TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(an_instance_has_the_form_of_its_transport_and_the_first_one_has_the_urls)
{
	char out[TOFU_ADDRESS_MAX + 1];

	tofu_address_add_rule(rules, "inner", "tcp", TOFU_FORM_HOST_PORT);
	ck_status(tofu_address_normalize(rules, "inner|h|01", out), TOFU_OK);
	ck_assert_str_eq(out, "inner|h|1");
	ck_status(tofu_address_normalize(rules, "inner|h", out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_address_normalize(rules, "tcp://h:1", out), TOFU_OK);
	ck_assert_str_eq(out, "tcp|h|1");
}
END_TEST

START_TEST(null_is_refused)
{
	make_signal();
	ck_status(tofu_msg_connect_to(msg, NULL), TOFU_INVALID_ADDRESS);
	ck_status(tofu_msg_listen_on(msg, NULL), TOFU_INVALID_ADDRESS);
	assert_untouched();
	ck_status(tofu_msg_connect_to(NULL, "tcp|h|1"), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_listen_on(NULL, "tcp|h|1"), TOFU_NULL_MESSAGE);
}
END_TEST

START_TEST(the_longest_address_fits_and_a_longer_one_does_not)
{
	char address[TOFU_ADDRESS_MAX + 2];
	char out[TOFU_ADDRESS_MAX + 1];

	memset(address, 'x', sizeof address);
	memcpy(address, "uds|", 4);
	address[TOFU_ADDRESS_MAX] = '\0';
	ck_status(tofu_address_normalize(rules, address, out), TOFU_OK);
	ck_assert_str_eq(out, address);
	ck_status(tofu_msg_connect_to(msg, address), TOFU_OK);
	address[TOFU_ADDRESS_MAX] = 'x';
	address[TOFU_ADDRESS_MAX + 1] = '\0';
	ck_status(tofu_address_normalize(rules, address, out), TOFU_INVALID_ADDRESS);
	ck_status(tofu_msg_connect_to(msg, address), TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(the_header_becomes_that_of_the_request_and_the_id_stays)
{
	make_signal();
	ck_status(tofu_msg_connect_to(msg, "tcp|h|1"), TOFU_OK);
	ck_assert_uint_eq(msg->header.opcode, TOFU_HELLO_REQUEST);
	ck_assert_uint_eq(msg->header.channel, 0);
	ck_assert_uint_eq(msg->header.status, 0);
	ck_assert_uint_eq(msg->header.more, 0);
	ck_assert(msg->header.id == 5);
	ck_status(tofu_msg_listen_on(msg, "tcp|h|1"), TOFU_OK);
	ck_assert_uint_eq(msg->header.opcode, TOFU_WELCOME_REQUEST);
}
END_TEST

START_TEST(an_earlier_address_is_replaced_and_all_else_stays)
{
	static const char expected[] = "a: b\r\nc: d\r\n~listen_on: uds|/x\r\n";

	ck_status(tofu_msg_headers_add(msg, "a", "b"), TOFU_OK);
	ck_status(tofu_msg_connect_to(msg, "tcp|first|1"), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, "~listen_on", "tcp|by hand|2"), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, "c", "d"), TOFU_OK);
	ck_status(tofu_msg_body_set(msg, "body", 4), TOFU_OK);
	ck_status(tofu_msg_listen_on(msg, "uds|/x"), TOFU_OK);
	ck_assert_uint_eq(msg->headers_len, strlen(expected));
	ck_assert_mem_eq(tofu_msg_headers_data(msg), expected, strlen(expected));
	ck_assert_uint_eq(msg->body_len, 4);
	ck_assert_mem_eq(tofu_msg_body_data(msg), "body", 4);
}
END_TEST

START_TEST(a_line_without_an_end_is_ended_before_the_address)
{
	static const char expected[] = "a: b\r\n~connect_to: tcp|h|1\r\n";

	ck_status(tofu_msg_headers_resize(msg, 4), TOFU_OK);
	memcpy(tofu_msg_headers_data(msg), "a: b", 4);
	ck_status(tofu_msg_connect_to(msg, "tcp|h|1"), TOFU_OK);
	ck_assert_uint_eq(msg->headers_len, strlen(expected));
	ck_assert_mem_eq(tofu_msg_headers_data(msg), expected, strlen(expected));
}
END_TEST

START_TEST(hello_and_welcome_requests_carry_an_address_and_others_none)
{
	ck_assert_str_eq(tofu_address_header(TOFU_HELLO_REQUEST), "~connect_to");
	ck_assert_str_eq(tofu_address_header(TOFU_WELCOME_REQUEST), "~listen_on");
	for (unsigned opcode = 0; opcode < 300; opcode++) {
		if (opcode != TOFU_HELLO_REQUEST && opcode != TOFU_WELCOME_REQUEST)
			ck_assert_ptr_null(tofu_address_header(opcode));
	}
}
END_TEST

START_TEST(split_gives_scheme_and_rest)
{
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];

	ck_status(tofu_address_split("tcp|h|80#", 8, scheme, rest), TOFU_OK); /* '#' is beyond the length */
	ck_assert_str_eq(scheme, "tcp");
	ck_assert_str_eq(rest, "h|80");
	ck_status(tofu_address_split("uds|", 4, scheme, rest), TOFU_OK);
	ck_assert_str_eq(scheme, "uds");
	ck_assert_str_eq(rest, "");
	ck_status(tofu_address_split("exactly15bytes_|x", 17, scheme, rest), TOFU_OK);
	ck_assert_str_eq(scheme, "exactly15bytes_");
}
END_TEST

START_TEST(split_refuses_what_a_peer_or_an_application_may_make_up)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = { { "", 0 },           { "tcp", 3 },    { "|x", 2 },       { "sixteen_bytes_ab|x", 18 },
		      { "uds|a\0b", 7 },   { "u\0s|a", 5 }, { "uds|a\nb", 7 }, { "tcp|h|1", 3 },
		      { "tcp://h:80", 10 } };
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		scheme[0] = rest[0] = 'x';
		ck_status(tofu_address_split(cases[i].text, cases[i].len, scheme, rest), TOFU_INVALID_ADDRESS);
		ck_assert_str_eq(scheme, "");
		ck_assert_str_eq(rest, "");
	}
}
END_TEST

START_TEST(split_refuses_an_address_too_long_for_its_rest)
{
	char text[TOFU_ADDRESS_MAX + 100];
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];

	memset(text, 'x', sizeof text);
	memcpy(text, "uds|", 4);
	ck_status(tofu_address_split(text, TOFU_ADDRESS_MAX, scheme, rest), TOFU_OK);
	ck_status(tofu_address_split(text, TOFU_ADDRESS_MAX + 1, scheme, rest), TOFU_INVALID_ADDRESS);
	ck_status(tofu_address_split(text, sizeof text, scheme, rest), TOFU_INVALID_ADDRESS);
}
END_TEST

static Suite *suite_of_address(void)
{
	Suite *s = suite_create("address");
	TCase *forms = tcase_create("forms");
	TCase *message = tcase_create("message");
	TCase *split = tcase_create("split");

	tcase_add_checked_fixture(forms, setup, teardown);
	tcase_add_loop_test(forms, connect_to_writes_the_normal_form, 0, BOTH_NR);
	tcase_add_loop_test(forms, listen_on_writes_the_normal_form, 0, BOTH_NR);
	tcase_add_loop_test(forms, what_is_normal_stays, 0, BOTH_NR);
	tcase_add_loop_test(forms, an_address_with_a_gap_is_for_listening_only, 0, LISTENING_NR);
	tcase_add_loop_test(forms, a_wrong_form_is_refused_and_nothing_changes, 0, WRONG_NR);
	tcase_add_loop_test(forms, what_is_wrong_with_an_address_is_said, 0, FAULTS_NR);
	tcase_add_test(forms, an_address_that_is_too_long_is_said_to_be);
	tcase_add_test(forms, an_address_is_refused_if_something_is_wrong_with_it_and_only_then);
	tcase_add_test(forms, a_new_address_takes_away_what_was_wrong_with_the_last_one);
	tcase_add_test(forms, without_any_transport_only_the_form_of_a_url_is_known);
	tcase_add_test(forms, an_instance_has_the_form_of_its_transport_and_the_first_one_has_the_urls);
	tcase_add_test(forms, null_is_refused);
	tcase_add_test(forms, the_longest_address_fits_and_a_longer_one_does_not);
	suite_add_tcase(s, forms);
	tcase_add_checked_fixture(message, setup, teardown);
	tcase_add_test(message, the_header_becomes_that_of_the_request_and_the_id_stays);
	tcase_add_test(message, an_earlier_address_is_replaced_and_all_else_stays);
	tcase_add_test(message, a_line_without_an_end_is_ended_before_the_address);
	suite_add_tcase(s, message);
	tcase_add_test(split, hello_and_welcome_requests_carry_an_address_and_others_none);
	tcase_add_test(split, split_gives_scheme_and_rest);
	tcase_add_test(split, split_refuses_what_a_peer_or_an_application_may_make_up);
	tcase_add_test(split, split_refuses_an_address_too_long_for_its_rest);
	suite_add_tcase(s, split);
	return s;
}

int main(void)
{
	return harness_run(suite_of_address());
}
