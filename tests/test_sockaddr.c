/* SPDX-License-Identifier: MIT */
/* Addresses: numbers, names, every interface, paths; into the system's form and back. */

#include <stdio.h>
#include <string.h>

#include <tofu/engine.h>
#include <tofu/transport.h>

#include "harness.h"
#include "os.h"
#include "platform/net.h"

enum { PORT = 4711 };

static struct tofu_sockaddr addresses[TOFU_ADDRESSES_MAX];
static size_t count;

static void setup(void)
{
	ck_status(tofu_init(), TOFU_OK);
}

static void teardown(void)
{
	tofu_deinit();
}

static enum tofu_status look_up(const char *host, int may_block)
{
	return tofu_sockaddr_inet(host, PORT, may_block, addresses, TOFU_ADDRESSES_MAX, &count);
}

static void expect_text(const struct tofu_sockaddr *address, const char *expected)
{
	char host[128];
	uint16_t port = 0;

	ck_status(tofu_sockaddr_inet_text(address, host, sizeof host, &port), TOFU_OK);
	ck_assert_str_eq(host, expected);
	ck_assert_uint_eq(port, PORT);
}

static const char *const numeric[] = { "127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::", "2001:db8::5" };

START_TEST(numeric_host_makes_the_round_trip)
{
	for (int may_block = 0; may_block < 2; may_block++) {
		ck_status(look_up(numeric[_i], may_block), TOFU_OK);
		ck_assert_uint_eq(count, 1);
		expect_text(&addresses[0], numeric[_i]);
	}
}
END_TEST

START_TEST(scope_makes_the_round_trip)
{
	/* The loopback interface of the system at hand; a number means the same everywhere. */
	static const char *const scoped[] = { "fe80::1%lo", "fe80::1%1" };
	char host[64];
	uint16_t port;

	if (look_up(scoped[_i], 0) != TOFU_OK)
		return; /* no interface of that name */
	ck_assert_uint_eq(count, 1);
	ck_status(tofu_sockaddr_inet_text(&addresses[0], host, sizeof host, &port), TOFU_OK);
	ck_assert_ptr_nonnull(strchr(host, '%'));
	addresses[1] = addresses[0];
	ck_status(look_up(host, 0), TOFU_OK);
	ck_assert_mem_eq(&addresses[0], &addresses[1], sizeof addresses[0]);
}
END_TEST

START_TEST(name_without_waiting_gives_would_block)
{
	ck_status(look_up("localhost", 0), TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(localhost_gives_a_loopback_address_once)
{
	if (!os_knows_localhost())
		return;
	ck_status(look_up("localhost", 1), TOFU_OK);
	ck_assert_uint_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		char host[64];
		uint16_t port;

		ck_status(tofu_sockaddr_inet_text(&addresses[i], host, sizeof host, &port), TOFU_OK);
		ck_assert_msg(strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0, "%s", host);
		ck_assert_uint_eq(port, PORT);
		for (size_t k = 0; k < i; k++)
			ck_assert_mem_ne(&addresses[i], &addresses[k], sizeof addresses[i]);
	}
}
END_TEST

START_TEST(name_that_nobody_has_gives_host_not_found)
{
	ck_status(look_up("no-such-host.invalid", 1), TOFU_HOST_NOT_FOUND);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(name_that_cannot_be_gives_host_not_found)
{
	/* A label of a name has at most 63 bytes; this is refused before anybody is asked. */
	char name[80];

	memset(name, 'a', 70);
	(void)strcpy(name + 70, ".invalid");
	ck_status(look_up(name, 1), TOFU_HOST_NOT_FOUND);
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(no_host_is_every_interface)
{
	uint32_t ipv6_len;

	ck_status(look_up("::1", 0), TOFU_OK);
	ipv6_len = addresses[0].len;
	ck_status(look_up(_i == 0 ? NULL : "", 0), TOFU_OK);
	/* One socket, or a port that is taken for IPv6 would be listened on for IPv4. */
	ck_assert_uint_eq(count, 1);
	if (addresses[0].len == ipv6_len)
		expect_text(&addresses[0], "::");
	else
		expect_text(&addresses[0], "0.0.0.0");
}
END_TEST

START_TEST(ipv4_written_as_ipv6_is_ipv4)
{
	static const char *const mapped[] = { "::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:127.0.0.1" };
	struct tofu_sockaddr plain;

	ck_status(look_up("127.0.0.1", 0), TOFU_OK);
	plain = addresses[0];
	for (size_t i = 0; i < sizeof mapped / sizeof mapped[0]; i++) {
		ck_status(look_up(mapped[i], 0), TOFU_OK);
		ck_assert_uint_eq(count, 1);
		ck_assert_mem_eq(&addresses[0], &plain, sizeof plain);
	}
}
END_TEST

START_TEST(capacity_is_respected_and_the_count_says_what_did_not_fit)
{
	static const struct tofu_sockaddr untouched = { .len = 77 };
	size_t all;

	if (!os_knows_localhost())
		return;
	ck_status(tofu_sockaddr_inet("localhost", PORT, 1, addresses, 2, &all), TOFU_OK); /* two, if it has IPv6 */
	addresses[1] = untouched;
	ck_status(tofu_sockaddr_inet("localhost", PORT, 1, addresses, 1, &count), TOFU_OK);
	ck_assert_uint_eq(count, all);
	ck_assert_mem_eq(&addresses[1], &untouched, sizeof untouched);
	addresses[0] = untouched;
	ck_assert_int_ne(tofu_sockaddr_inet("127.0.0.1", PORT, 0, addresses, 0, &count), TOFU_OK);
	ck_assert_uint_eq(count, 0);
	ck_assert_mem_eq(&addresses[0], &untouched, sizeof untouched);
}
END_TEST

START_TEST(text_that_does_not_fit_gives_invalid_address)
{
	char host[10];
	uint16_t port;

	ck_status(look_up("127.0.0.1", 0), TOFU_OK);
	ck_status(tofu_sockaddr_inet_text(&addresses[0], host, 9, &port), TOFU_INVALID_ADDRESS);
	ck_assert_str_eq(host, "");
	ck_status(tofu_sockaddr_inet_text(&addresses[0], host, 0, &port), TOFU_INVALID_ADDRESS);
	ck_status(tofu_sockaddr_inet_text(&addresses[0], host, 10, &port), TOFU_OK);
}
END_TEST

START_TEST(text_of_what_is_no_internet_address_gives_invalid_address)
{
	struct tofu_sockaddr zeroed = { 0 };
	struct tofu_sockaddr file;
	char host[64];
	uint16_t port;

	ck_status(tofu_sockaddr_inet_text(&zeroed, host, sizeof host, &port), TOFU_INVALID_ADDRESS);
	if (tofu_sockaddr_unix("/tmp/x", &file) == TOFU_OK)
		ck_status(tofu_sockaddr_inet_text(&file, host, sizeof host, &port), TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(path_makes_the_round_trip)
{
	struct tofu_sockaddr address;

	ck_status(tofu_sockaddr_unix("/tmp/a socket", &address), TOFU_OK);
	ck_assert_str_eq(tofu_sockaddr_unix_path(&address), "/tmp/a socket");
}
END_TEST

START_TEST(path_of_107_bytes_fits_and_of_108_is_too_long)
{
	struct tofu_sockaddr address;
	char path[109];

	memset(path, 'x', sizeof path);
	path[107] = '\0';
	ck_status(tofu_sockaddr_unix(path, &address), TOFU_OK);
	ck_assert_str_eq(tofu_sockaddr_unix_path(&address), path);
	path[107] = 'x';
	path[108] = '\0';
	ck_status(tofu_sockaddr_unix(path, &address), TOFU_PATH_TOO_LONG);
	ck_assert_str_eq(tofu_sockaddr_unix_path(&address), "");
}
END_TEST

START_TEST(empty_path_gives_invalid_address)
{
	struct tofu_sockaddr address;

	ck_status(tofu_sockaddr_unix("", &address), TOFU_INVALID_ADDRESS);
	ck_status(tofu_sockaddr_unix(NULL, &address), TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(path_of_what_is_no_unix_address_is_empty)
{
	struct tofu_sockaddr zeroed = { 0 };

	ck_assert_str_eq(tofu_sockaddr_unix_path(&zeroed), "");
	ck_status(look_up("127.0.0.1", 0), TOFU_OK);
	ck_assert_str_eq(tofu_sockaddr_unix_path(&addresses[0]), "");
}
END_TEST

START_TEST(text_of_a_unix_address_is_what_makes_it)
{
	static const char *const texts[] = { "/tmp/a socket", "./@file", "@abstract" };
	struct tofu_sockaddr address, zeroed = { 0 };
	char text[200];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (texts[i][0] == '@' && !os_has_abstract_names()) {
			ck_status(tofu_sockaddr_unix(texts[i], &address), TOFU_NOT_SUPPORTED);
			continue;
		}
		ck_status(tofu_sockaddr_unix(texts[i], &address), TOFU_OK);
		ck_status(tofu_sockaddr_unix_text(&address, text, strlen(texts[i]) + 1), TOFU_OK);
		ck_assert_str_eq(text, texts[i]);
		ck_status(tofu_sockaddr_unix_text(&address, text, strlen(texts[i])), TOFU_INVALID_ADDRESS);
	}
	ck_status(tofu_sockaddr_unix_text(&zeroed, text, sizeof text), TOFU_INVALID_ADDRESS);
	ck_status(tofu_sockaddr_unix_text(&zeroed, text, 0), TOFU_INVALID_ADDRESS);
}
END_TEST

/* Somebody else's: bound by that relative path, or to a name that is more than text. */
START_TEST(what_others_name_their_sockets_can_be_told_apart)
{
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	struct sockaddr_un system = { .sun_family = AF_UNIX, .sun_path = "@file" };
	struct tofu_sockaddr address = { 0 };
	char text[200];

	memcpy(address.bytes, &system, sizeof system);
	address.len = (uint32_t)(before + 6);
	ck_status(tofu_sockaddr_unix_text(&address, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "./@file");
	memcpy((char *)address.bytes + before, "\0a\0b", 4);
	address.len = (uint32_t)(before + 4);
	ck_status(tofu_sockaddr_unix_text(&address, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "@a@b");
	address.len = (uint32_t)before;
	ck_status(tofu_sockaddr_unix_text(&address, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "");
}
END_TEST

static Suite *suite_of_sockaddr(void)
{
	Suite *suite = suite_create("sockaddr");
	TCase *inet = tcase_create("inet");
	TCase *files = tcase_create("unix");

	tcase_add_checked_fixture(inet, setup, teardown);
	tcase_set_timeout(inet, 60); /* a resolver that nobody answers takes its time */
	tcase_add_loop_test(inet, numeric_host_makes_the_round_trip, 0, (int)(sizeof numeric / sizeof numeric[0]));
	tcase_add_loop_test(inet, scope_makes_the_round_trip, 0, 2);
	tcase_add_test(inet, name_without_waiting_gives_would_block);
	tcase_add_test(inet, localhost_gives_a_loopback_address_once);
	tcase_add_test(inet, name_that_nobody_has_gives_host_not_found);
	tcase_add_test(inet, name_that_cannot_be_gives_host_not_found);
	tcase_add_loop_test(inet, no_host_is_every_interface, 0, 2);
	tcase_add_test(inet, ipv4_written_as_ipv6_is_ipv4);
	tcase_add_test(inet, capacity_is_respected_and_the_count_says_what_did_not_fit);
	tcase_add_test(inet, text_that_does_not_fit_gives_invalid_address);
	tcase_add_test(inet, text_of_what_is_no_internet_address_gives_invalid_address);
	suite_add_tcase(suite, inet);

	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_test(files, path_makes_the_round_trip);
	tcase_add_test(files, path_of_107_bytes_fits_and_of_108_is_too_long);
	tcase_add_test(files, empty_path_gives_invalid_address);
	tcase_add_test(files, path_of_what_is_no_unix_address_is_empty);
	tcase_add_test(files, text_of_a_unix_address_is_what_makes_it);
	tcase_add_test(files, what_others_name_their_sockets_can_be_told_apart);
	suite_add_tcase(suite, files);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_sockaddr());
}
