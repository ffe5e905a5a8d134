/* SPDX-License-Identifier: MIT */

/*
 * What is the Unix transport's own: its files. What it has in common with the others is in test_transport.c; what only some
 * systems have is in test_unix_posix.c and test_unix_win32.c. Each test works in a new directory, "dir". Paths here take
 * slashes, which all systems do.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/system.h"
#include "lib/unix_files.h"
#include "transport_unix/socket_file.h"

/* the file of a listener */

START_TEST(the_file_goes_when_its_listener_closes)
{
	static const enum tofu_close ways[] = { TOFU_CLOSE_ORDERLY, TOFU_CLOSE_ABORT };

	for (size_t i = 0; i < 2; i++) {
		struct tofu_link listener;

		ck_status(listen_on(&listener, path), TOFU_OK);
		ck_assert(os_file_exists(path));
		tofu_unix()->close(tofu_unix(), &listener, ways[i]);
		ck_assert_uint_eq(os_files_in(dir), 0);
	}
}
END_TEST

START_TEST(connections_leave_the_file_alone)
{
	struct tofu_link listener, client, server = { 0 };

	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_status(connect_to(&client, path), TOFU_OK);
	ck_assert(test_wait(listener.handle, TOFU_READABLE));
	ck_status(tofu_unix()->accept(tofu_unix(), &listener, &server), TOFU_OK);
	close_link(&client);
	close_link(&server);
	expect_reachable(path);
	close_link(&listener);
}
END_TEST

START_TEST(another_listeners_file_is_not_removed)
{
	struct tofu_link first, second;

	ck_status(listen_on(&first, path), TOFU_OK);
	os_file_remove(path);
	ck_status(listen_on(&second, path), TOFU_OK);
	close_link(&first);
	expect_reachable(path);
	close_link(&second);
	ck_assert(!os_file_exists(path));
}
END_TEST

START_TEST(a_plain_file_in_its_place_is_not_removed)
{
	struct tofu_link listener;
	char text[8];

	ck_status(listen_on(&listener, path), TOFU_OK);
	os_file_remove(path);
	os_file_write(path, "plain");
	close_link(&listener);
	os_file_read(path, text, sizeof text);
	ck_assert_str_eq(text, "plain");
}
END_TEST

START_TEST(a_relative_path_is_removed_wherever_the_process_is_by_then)
{
	struct tofu_link listener;
	char text[64];

	os_change_directory(dir);
	ck_status(listen_on(&listener, "r.sock"), TOFU_OK);
	ck_status(tofu_unix()->local_address(tofu_unix(), &listener, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "uds|r.sock");
	expect_reachable("r.sock");
	os_change_directory("/");
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

/* Whatever the code page of the system is: paths are UTF-8. */
START_TEST(a_path_may_have_any_letters)
{
	static const char *const names[] = { "t\xc3\xa4st", "\xd1\x84\xd0\xb0\xd0\xb9\xd0\xbb",
		                             "\xe8\xb1\x86\xe8\x85\x90", "\xf0\x9f\xa5\xa1", "with space" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct tofu_link listener;
		char text[300];

		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		ck_status(listen_on(&listener, path), TOFU_OK);
		ck_status(tofu_unix()->local_address(tofu_unix(), &listener, text, sizeof text), TOFU_OK);
		ck_assert_str_eq(text + 4, path);
		ck_assert(os_file_exists(path));
		expect_reachable(path);
		close_link(&listener);
		ck_assert(!os_file_exists(path));
		leave_stale(path);
		ck_status(listen_on(&listener, path), TOFU_OK);
		close_link(&listener);
		ck_assert_uint_eq(os_files_in(dir), 0);
	}
}
END_TEST

/* paths in use */

START_TEST(a_stale_file_is_replaced)
{
	struct tofu_link listener;

	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	expect_reachable(path);
	ck_assert_uint_eq(os_files_in(dir), 1);
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

START_TEST(a_live_listener_is_never_stolen)
{
	struct tofu_link listener, thief;
	uint64_t before;

	ck_status(listen_on(&listener, path), TOFU_OK);
	before = os_file_number(path);
	for (int i = 0; i < 20; i++)
		ck_status(listen_on(&thief, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_file_number(path), before);
	ck_assert_uint_eq(os_files_in(dir), 1);
	expect_reachable(path);
	close_link(&listener);
}
END_TEST

/* On some systems it refuses like a dead one. */
START_TEST(a_busy_listener_of_ours_is_never_stolen)
{
	enum { MANY = 5000 };
	static struct tofu_link clients[MANY];
	const int most = (int)os_raise_descriptor_limit() - 100;
	struct tofu_link listener, thief;
	enum tofu_status st = TOFU_OK;
	int count = 0;
	uint64_t before;

	ck_status(listen_on(&listener, path), TOFU_OK);
	before = os_file_number(path);
	while (st == TOFU_OK && count < MANY && count < most)
		st = connect_to(&clients[count++], path);
	if (st == TOFU_OK)
		printf("the backlog of this system is longer than %d\n", count);
	ck_status(listen_on(&thief, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_file_number(path), before);
	ck_assert_uint_eq(os_files_in(dir), 1);
	while (count > 0)
		close_link(&clients[--count]);
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

START_TEST(what_is_no_socket_is_never_touched)
{
	struct tofu_link listener;
	char text[8];
	uint64_t before;

	os_file_write(path, "keep");
	before = os_file_number(path);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_file_number(path), before);
	os_file_read(path, text, sizeof text);
	ck_assert_str_eq(text, "keep");
	os_file_remove(path);

	os_file_write(path, "");
	before = os_file_number(path);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_file_number(path), before);
	os_file_remove(path);

	os_make_directory(path);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert(os_file_exists(path));
	os_remove_directory(path);
}
END_TEST

START_TEST(a_live_file_goes_back_but_never_over_another)
{
	struct tofu_link listener, second;
	struct tofu_sockaddr at = address_of(path);
	enum tofu_socket_file_state state;
	intptr_t probe = TOFU_NO_SOCKET;
	char aside[128];
	uint64_t before;

	ck_status(listen_on(&listener, path), TOFU_OK);
	before = os_file_number(path);
	ck_status(tofu_socket_file_beside(path, 0, aside, sizeof aside), TOFU_OK);
	ck_status(tofu_socket_file_move(path, aside), TOFU_OK);
	ck_status(tofu_socket_file_probe(&at, &probe, &state), TOFU_OK);
	ck_assert_int_eq(state, TOFU_SOCKET_FILE_NONE);
	tofu_socket_file_restore(aside, path);
	ck_assert_uint_eq(os_file_number(path), before);
	ck_assert_uint_eq(os_files_in(dir), 1);

	ck_status(tofu_socket_file_move(path, aside), TOFU_OK);
	ck_status(listen_on(&second, path), TOFU_OK);
	before = os_file_number(path);
	tofu_socket_file_restore(aside, path);
	ck_assert_uint_eq(os_file_number(path), before);
	ck_assert_uint_eq(os_files_in(dir), 1);
	expect_reachable(path);
	close_link(&listener);
	close_link(&second);
}
END_TEST

/* One of ours that is stopped between bind and listen, say. Nobody waits for it, and it is in nobody's way elsewhere. */
START_TEST(a_path_where_another_is_about_to_listen_is_in_use)
{
	struct tofu_link listener;
	intptr_t lock;
	char other[128];

	leave_stale(path);
	snprintf(other, sizeof other, "%s/b.sock", dir);
	ck_status(tofu_socket_file_lock(path, &lock), TOFU_OK);
	ck_assert_int_ne(lock, -1);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert(os_file_exists(path));
	ck_status(listen_on(&listener, other), TOFU_OK);
	close_link(&listener);
	tofu_socket_file_unlock(path, lock);
	ck_status(listen_on(&listener, path), TOFU_OK);
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

/* failures of listen and connect */

START_TEST(listen_in_a_missing_directory_gives_uds_path_not_found)
{
	struct tofu_link listener;
	char missing[128];

	snprintf(missing, sizeof missing, "%s/no/a.sock", dir);
	ck_status(listen_on(&listener, missing), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(listener.handle, TOFU_NO_SOCKET);
	ck_assert_ptr_null(listener.state);
	close_link(&listener);
}
END_TEST

START_TEST(connect_to_a_missing_path_gives_uds_path_not_found)
{
	struct tofu_link client;

	ck_status(connect_to(&client, path), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(client.handle, TOFU_NO_SOCKET);
}
END_TEST

START_TEST(connect_to_a_stale_file_gives_connect_failed)
{
	struct tofu_link client;

	leave_stale(path);
	ck_status(connect_to(&client, path), TOFU_CONNECT_FAILED);
	ck_assert(os_file_exists(path));
}
END_TEST

START_TEST(connect_in_a_missing_directory_gives_uds_path_not_found)
{
	struct tofu_link client;
	char missing[128];

	snprintf(missing, sizeof missing, "%s/no/a.sock", dir);
	ck_status(connect_to(&client, missing), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(client.handle, TOFU_NO_SOCKET);
}
END_TEST

/* lengths */

START_TEST(the_longest_path_works_and_one_byte_more_is_too_long)
{
	struct tofu_link listener;
	struct tofu_sockaddr at;
	char text[300];
	size_t count;

	make_path(PATH_MAX_BYTES);
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_status(tofu_unix()->local_address(tofu_unix(), &listener, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text + 4, path);
	expect_reachable(path);
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
	make_path(PATH_MAX_BYTES + 1);
	ck_status(tofu_unix()->resolve(tofu_unix(), path, TOFU_TO_LISTEN, 0, &at, 1, &count), TOFU_PATH_TOO_LONG);
	ck_status(tofu_unix()->resolve(tofu_unix(), path, TOFU_TO_CONNECT, 0, &at, 1, &count), TOFU_PATH_TOO_LONG);
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* The stale file is moved aside, and beside it there is room for a name of one byte only. */
START_TEST(a_stale_file_is_replaced_however_little_room_is_beside_it)
{
	struct tofu_link listener;

	make_path(PATH_MAX_BYTES - 2);
	os_make_directory(path);
	strcat(path, "/s");
	ck_assert_uint_eq(strlen(path), PATH_MAX_BYTES);
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	expect_reachable(path);
	close_link(&listener);
	ck_assert(!os_file_exists(path));
}
END_TEST

/* The limit is one of bytes: 53 letters of two each, and one. */
START_TEST(the_length_of_a_path_is_counted_in_bytes)
{
	struct tofu_link listener;
	struct tofu_sockaddr at;
	size_t count, len = strlen(dir) + 1;

	make_path(len);
	while (len + 2 <= PATH_MAX_BYTES) {
		memcpy(path + len, "\xc3\xa4", 3);
		len += 2;
	}
	ck_status(listen_on(&listener, path), TOFU_OK);
	expect_reachable(path);
	close_link(&listener);
	memcpy(path + len, "\xc3\xa4", 3);
	ck_status(tofu_unix()->resolve(tofu_unix(), path, TOFU_TO_LISTEN, 0, &at, 1, &count), TOFU_PATH_TOO_LONG);
}
END_TEST

/* paths of our own making */

START_TEST(only_an_empty_path_to_listen_on_is_completed)
{
	char out[PATH_MAX_BYTES + 1];
	struct tofu_sockaddr at;
	size_t count;

	ck_status(tofu_unix()->complete(tofu_unix(), "/a.sock", TOFU_TO_LISTEN, out, sizeof out), TOFU_OK);
	ck_assert_str_eq(out, "");
	ck_status(tofu_unix()->complete(tofu_unix(), "", TOFU_TO_CONNECT, out, sizeof out), TOFU_OK);
	ck_assert_str_eq(out, "");
	ck_status(tofu_unix()->resolve(tofu_unix(), "", TOFU_TO_CONNECT, 0, &at, 1, &count), TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(an_empty_path_makes_a_new_one_that_can_be_listened_on)
{
	struct tofu_link listener;
	char made[128];

	snprintf(made, sizeof made, "%s", made_path());
	ck_assert(made[0] != '\0');
	ck_assert(!os_file_exists(made));
	ck_status(listen_on(&listener, made), TOFU_OK);
	ck_assert(os_file_is_private(made));
	expect_reachable(made);
	close_link(&listener);
	ck_assert(!os_file_exists(made));
}
END_TEST

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(made_paths_are_unique)
{
	enum { MANY = 500 };
	static char made[MANY][128];

	for (int i = 0; i < MANY; i++)
		snprintf(made[i], sizeof made[i], "%s", made_path());
	qsort(made, MANY, sizeof made[0], compare);
	for (int i = 1; i < MANY; i++)
		ck_assert_str_ne(made[i - 1], made[i]);
}
END_TEST

static Suite *suite_of_unix(void)
{
	Suite *s = suite_create("unix");
	TCase *tc;

	tc = unix_case(s, "file");
	tcase_add_test(tc, the_file_goes_when_its_listener_closes);
	tcase_add_test(tc, connections_leave_the_file_alone);
	tcase_add_test(tc, another_listeners_file_is_not_removed);
	tcase_add_test(tc, a_plain_file_in_its_place_is_not_removed);
	tcase_add_test(tc, a_relative_path_is_removed_wherever_the_process_is_by_then);
	tcase_add_test(tc, a_path_may_have_any_letters);

	tc = unix_case(s, "in use");
	tcase_add_test(tc, a_stale_file_is_replaced);
	tcase_add_test(tc, a_live_listener_is_never_stolen);
	tcase_add_test(tc, a_busy_listener_of_ours_is_never_stolen);
	tcase_add_test(tc, what_is_no_socket_is_never_touched);
	tcase_add_test(tc, a_live_file_goes_back_but_never_over_another);
	tcase_add_test(tc, a_path_where_another_is_about_to_listen_is_in_use);

	tc = unix_case(s, "failure");
	tcase_add_test(tc, listen_in_a_missing_directory_gives_uds_path_not_found);
	tcase_add_test(tc, connect_in_a_missing_directory_gives_uds_path_not_found);
	tcase_add_test(tc, connect_to_a_missing_path_gives_uds_path_not_found);
	tcase_add_test(tc, connect_to_a_stale_file_gives_connect_failed);

	tc = unix_case(s, "length");
	tcase_add_test(tc, the_longest_path_works_and_one_byte_more_is_too_long);
	tcase_add_test(tc, a_stale_file_is_replaced_however_little_room_is_beside_it);
	tcase_add_test(tc, the_length_of_a_path_is_counted_in_bytes);

	tc = unix_case(s, "temporary");
	tcase_add_test(tc, only_an_empty_path_to_listen_on_is_completed);
	tcase_add_test(tc, an_empty_path_makes_a_new_one_that_can_be_listened_on);
	tcase_add_test(tc, made_paths_are_unique);
	return s;
}

int main(void)
{
	return unix_run(suite_of_unix());
}
