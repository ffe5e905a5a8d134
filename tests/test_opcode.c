/* SPDX-License-Identifier: MIT */
/* The table of opcodes, checked against rules rather than copied. */

#include "harness.h"

#include <limits.h>
#include <string.h>

#include "message/message.h"

enum { OPCODE_NR = TOFU_WELCOME_RESPONSE + 1 };

static const char *const names[OPCODE_NR] = { "Request",        "Response",       "Signal",      "HelloRequest",
	                                      "HelloResponse",  "ByeRequest",     "ByeResponse", "ByeSignal",
	                                      "WelcomeRequest", "WelcomeResponse" };

START_TEST(every_opcode_has_its_name)
{
	ck_assert_str_eq(tofu_opcode_rule((unsigned)_i)->name, names[_i]);
}
END_TEST

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

START_TEST(role_and_type_are_what_the_name_says)
{
	const struct tofu_opcode_rule *r = tofu_opcode_rule((unsigned)_i);
	bool regular = _i <= TOFU_SIGNAL;

	ck_assert_int_eq(r->role == TOFU_ROLE_REQUEST, ends_with(r->name, "Request"));
	ck_assert_int_eq(r->role == TOFU_ROLE_RESPONSE, ends_with(r->name, "Response"));
	ck_assert_int_eq(r->role == TOFU_ROLE_SIGNAL, ends_with(r->name, "Signal"));
	ck_assert_int_eq(r->type == TOFU_TYPE_REGULAR, regular);
	ck_assert_int_eq(r->type == TOFU_TYPE_HELLO, strncmp(r->name, "Hello", 5) == 0);
	ck_assert_int_eq(r->type == TOFU_TYPE_BYE, strncmp(r->name, "Bye", 3) == 0);
	ck_assert_int_eq(r->type == TOFU_TYPE_WELCOME, strncmp(r->name, "Welcome", 7) == 0);
}
END_TEST

START_TEST(welcomes_do_not_travel)
{
	bool stays = _i == TOFU_WELCOME_REQUEST || _i == TOFU_WELCOME_RESPONSE;

	ck_assert_int_eq(tofu_opcode_rule((unsigned)_i)->travels, !stays);
}
END_TEST

START_TEST(applications_post_all_but_welcome_response)
{
	ck_assert_int_eq(tofu_opcode_rule((unsigned)_i)->posted, _i != TOFU_WELCOME_RESPONSE);
}
END_TEST

START_TEST(a_request_is_answered_by_its_response_and_a_signal_by_a_signal)
{
	static const int echoes[OPCODE_NR] = { TOFU_RESPONSE,     -1, TOFU_SIGNAL, TOFU_HELLO_RESPONSE,   -1,
		                               TOFU_BYE_RESPONSE, -1, -1,          TOFU_WELCOME_RESPONSE, -1 };

	ck_assert_int_eq(tofu_opcode_rule((unsigned)_i)->echo, echoes[_i]);
}
END_TEST

START_TEST(other_numbers_are_no_opcodes)
{
	for (unsigned n = OPCODE_NR; n < 300; n++)
		ck_assert_ptr_null(tofu_opcode_rule(n));
	ck_assert_ptr_null(tofu_opcode_rule(~0u));
}
END_TEST

START_TEST(the_public_functions_say_what_the_table_says)
{
	const struct tofu_opcode_rule *r = tofu_opcode_rule((unsigned)_i);

	ck_assert_str_eq(tofu_opcode_name(_i), names[_i]);
	ck_assert_int_eq(tofu_opcode_type(_i), r->type);
	ck_assert_int_eq(tofu_opcode_role(_i), r->role);
	ck_assert_int_eq(tofu_opcode_echo(_i), r->echo);
}
END_TEST

START_TEST(what_is_no_opcode_is_unknown_and_has_nothing)
{
	static const int none[] = { -1, OPCODE_NR, 15, 16, 255, 256, INT_MAX, INT_MIN };

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		ck_assert_str_eq(tofu_opcode_name(none[i]), "unknown_opcode");
		ck_assert_int_eq(tofu_opcode_type(none[i]), -1);
		ck_assert_int_eq(tofu_opcode_role(none[i]), -1);
		ck_assert_int_eq(tofu_opcode_echo(none[i]), -1);
	}
}
END_TEST

START_TEST(numbers_of_types_and_roles_stay)
{
	ck_assert_int_eq(TOFU_TYPE_REGULAR, 0);
	ck_assert_int_eq(TOFU_TYPE_WELCOME, 1);
	ck_assert_int_eq(TOFU_TYPE_HELLO, 2);
	ck_assert_int_eq(TOFU_TYPE_BYE, 3);
	ck_assert_int_eq(TOFU_ROLE_REQUEST, 0);
	ck_assert_int_eq(TOFU_ROLE_RESPONSE, 1);
	ck_assert_int_eq(TOFU_ROLE_SIGNAL, 2);
}
END_TEST

static Suite *suite_of_opcode(void)
{
	Suite *s = suite_create("opcode");
	TCase *tc = tcase_create("table");

	tcase_add_loop_test(tc, every_opcode_has_its_name, 0, OPCODE_NR);
	tcase_add_loop_test(tc, role_and_type_are_what_the_name_says, 0, OPCODE_NR);
	tcase_add_loop_test(tc, welcomes_do_not_travel, 0, OPCODE_NR);
	tcase_add_loop_test(tc, applications_post_all_but_welcome_response, 0, OPCODE_NR);
	tcase_add_loop_test(tc, a_request_is_answered_by_its_response_and_a_signal_by_a_signal, 0, OPCODE_NR);
	tcase_add_test(tc, other_numbers_are_no_opcodes);
	tcase_add_loop_test(tc, the_public_functions_say_what_the_table_says, 0, OPCODE_NR);
	tcase_add_test(tc, what_is_no_opcode_is_unknown_and_has_nothing);
	tcase_add_test(tc, numbers_of_types_and_roles_stay);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_opcode());
}
