/* SPDX-License-Identifier: MIT */
/*
 * The numbers, names and sentences of the statuses. The numbers are written out here: they are ABI and may never
 * change.
 */

#include "harness.h"

#include <stdbool.h>
#include <string.h>

#include <tofu/status.h>

/* clang-format off */
static const char *const names[] = {
	"success", "not_implemented_yet", "wrong_address", "not_allowed", "null_message", "invalid_message",
	"invalid_op_code", "invalid_headers_len", "invalid_body_len", "invalid_more_usage", "invalid_channel_number",
	"invalid_mchn_group", "invalid_message_id", "invalid_address", "uds_path_not_found", "notification_disabled",
	"notification_failed", "peer_disconnected", "communication_failed", "pool_empty", "allocation_failed",
	"receiver_update", "channel_closed", "shutdown_started", "connect_failed", "listen_failed", "accept_failed",
	"send_failed", "recv_failed", "setsockopt_failed", "processing_failed", "unknown_error",
	"timeout", "not_initialized", "would_block", "send_ready", "protocol_violation", "address_in_use",
	"host_not_found", "path_too_long", "not_supported", "permission_denied", "limit_reached", "interrupted",
};
/* clang-format on */
enum { STATUS_NR = sizeof names / sizeof names[0] };

static const int no_status[] = { -1, STATUS_NR, 255, 1 << 20 };

START_TEST(every_number_has_its_name)
{
	ck_assert_int_eq(STATUS_NR, TOFU_INTERRUPTED + 1);
	ck_assert_str_eq(tofu_status_name(_i), names[_i]);
}
END_TEST

START_TEST(every_number_has_a_sentence_of_its_own)
{
	const char *text = tofu_strerror(_i);

	ck_assert_uint_ge(strlen(text), 6);
	ck_assert_str_ne(text, tofu_strerror(STATUS_NR));
	for (int other = 0; other < STATUS_NR; other++)
		ck_assert(other == _i || strcmp(text, tofu_strerror(other)) != 0);
}
END_TEST

START_TEST(numbers_that_others_rely_on_stay)
{
	ck_assert_int_eq(TOFU_OK, 0);
	ck_assert_int_eq(TOFU_PEER_DISCONNECTED, 17);
	ck_assert_int_eq(TOFU_CHANNEL_CLOSED, 22);
	ck_assert_int_eq(TOFU_UNKNOWN_ERROR, 31);
	ck_assert_int_eq(TOFU_TIMEOUT, 32);
	ck_assert_int_eq(TOFU_LIMIT_REACHED, 42);
	ck_assert_int_eq(TOFU_INTERRUPTED, 43);
}
END_TEST

START_TEST(a_number_that_is_none_is_called_unknown)
{
	ck_assert_str_eq(tofu_status_name(no_status[_i]), "unknown_status");
	ck_assert_ptr_nonnull(tofu_strerror(no_status[_i]));
}
END_TEST

static Suite *suite_of_status(void)
{
	Suite *s = suite_create("status");
	TCase *tc = tcase_create("names and numbers");

	tcase_add_loop_test(tc, every_number_has_its_name, 0, STATUS_NR);
	tcase_add_loop_test(tc, every_number_has_a_sentence_of_its_own, 0, STATUS_NR);
	tcase_add_test(tc, numbers_that_others_rely_on_stay);
	tcase_add_loop_test(tc, a_number_that_is_none_is_called_unknown, 0, sizeof no_status / sizeof no_status[0]);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return harness_run(suite_of_status());
}
