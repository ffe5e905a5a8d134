/* SPDX-License-Identifier: MIT */

/*
 * Socket files as only Windows has them: the two kinds of separators, the directory that %TMP% names, in any letters, the mark of
 * a listener that lives, and races between processes. Those are this program again ("race", "own"); what they wait for
 * are events that have names. The rest is in test_unix.c.
 */

#include <winsock2.h>

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/unix.h>

#include "lib/os.h"
#include "lib/unix_files.h"
#include "platform/platform.h"
#include "transport_unix/socket_file.h"

enum { RACERS = 12, RACES = 25, OWNERS = 6, TURNS = 150 };

static const int64_t patience = 30 * TOFU_NS_PER_S;

/* Check does not fork: the next test would find it changed. */
static const wchar_t *temporary_before(void)
{
	static wchar_t before[1024];

	return GetEnvironmentVariableW(L"TMP", before, 1024) > 0 ? before : NULL;
}

/* paths */

START_TEST(both_separators_and_a_drive_are_understood)
{
	static const char *const forms[] = { "/", "\\" };
	struct tofu_link listener;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s%ss.sock", dir, forms[i]);
		leave_stale(path);
		ck_status(listen_on(&listener, path), TOFU_OK);
		expect_reachable(path);
		close_link(&listener);
		ck_assert_uint_eq(os_files_in(dir), 0);
	}
}
END_TEST

START_TEST(no_name_is_left_over_where_there_is_none)
{
	struct tofu_sockaddr at;
	size_t count;

	/* Names that begin with a zero byte are Linux's; here they could be bound, but never reached. */
	ck_status(tofu_sockaddr_unix("\0abstract", &at), TOFU_INVALID_ADDRESS);
	ck_status(tofu_unix()->resolve(tofu_unix(), "\0abstract", TOFU_TO_CONNECT, 0, &at, 1, &count),
	          TOFU_INVALID_ADDRESS);
}
END_TEST

/* A stale file is moved aside before it is removed, and goes back if it was not stale after all. */
START_TEST(moving_a_socket_file_never_replaces_one)
{
	char aside[sizeof path];

	snprintf(aside, sizeof aside, "%s.aside", path);
	leave_stale(path);
	ck_status(tofu_socket_file_move(path, aside), TOFU_OK);
	ck_assert(tofu_socket_file_missing(path));
	leave_stale(path);
	ck_assert_int_ne(tofu_socket_file_move(path, aside), TOFU_OK);
	ck_assert_uint_eq(os_files_in(dir), 2);
	tofu_socket_file_restore(aside, path); /* somebody has the path: what was aside goes */
	ck_assert_uint_eq(os_files_in(dir), 1);
	ck_assert(!tofu_socket_file_missing(path));
	os_file_remove(path);
}
END_TEST

/* who lives */

START_TEST(a_marked_file_is_not_stale_however_it_answers)
{
	struct tofu_link listener;
	struct tofu_socket_file_id id;
	intptr_t mark;

	leave_stale(path);
	ck_status(tofu_socket_file_identify(path, &id), TOFU_OK);
	mark = tofu_socket_file_mark(&id);
	ck_assert_int_ne(mark, 0);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_files_in(dir), 1);
	tofu_socket_file_unmark(mark);
	ck_status(listen_on(&listener, path), TOFU_OK);
	close_link(&listener);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

/* A file that only has the old lock's name, or a link to it, is nobody's business. */
START_TEST(no_file_is_made_or_deleted_for_a_lock)
{
	struct tofu_link listener;
	char lock[sizeof path + 32], text[8];

	snprintf(lock, sizeof lock, "%s/.tofu-listen.lock", dir);
	os_file_write(lock, "keep");
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert_uint_eq(os_files_in(dir), 2);
	close_link(&listener);
	os_file_read(lock, text, sizeof text);
	ck_assert_str_eq(text, "keep");
}
END_TEST

START_TEST(a_path_on_another_machine_is_no_address)
{
	static const char *const paths[] = { "\\\\server\\share\\a.sock", "//server/share/a.sock",
		                             "\\\\?\\UNC\\server\\share\\a.sock" };
	const wchar_t *before = temporary_before();
	char out[PATH_MAX_BYTES + 1];
	struct tofu_sockaddr at;
	size_t count;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		for (int purpose = TOFU_TO_CONNECT; purpose <= TOFU_TO_LISTEN; purpose++)
			ck_status(tofu_unix()->resolve(tofu_unix(), paths[i], (enum tofu_purpose)purpose, 0, &at, 1,
			                               &count),
			          TOFU_INVALID_ADDRESS);
	ck_assert(SetEnvironmentVariableW(L"TMP", L"\\\\server\\share"));
	ck_status(tofu_unix()->complete(tofu_unix(), "", TOFU_TO_LISTEN, out, sizeof out), TOFU_INVALID_ADDRESS);
	ck_assert(SetEnvironmentVariableW(L"TMP", before));
}
END_TEST

START_TEST(a_listener_leaves_no_mark_and_no_lock)
{
	struct tofu_link listener;
	int before;

	ck_status(listen_on(&listener, path), TOFU_OK);
	close_link(&listener);
	before = os_descriptors();
	for (int i = 0; i < 10; i++) {
		ck_status(listen_on(&listener, path), TOFU_OK);
		ck_assert_uint_eq(os_files_in(dir), 1);
		close_link(&listener);
	}
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

/* the temporary directory */

static void set_temporary(const char *directory)
{
	wchar_t wide[1024];

	ck_assert_int_ne(MultiByteToWideChar(CP_UTF8, 0, directory, -1, wide, 1024), 0);
	ck_assert(SetEnvironmentVariableW(L"TMP", wide));
}

static void expect_made_in(const char *directory)
{
	const char *made = made_path();
	size_t len = strlen(directory);

	for (size_t i = 0; i < len; i++)
		ck_assert_msg(made[i] == directory[i] || (made[i] == '\\' && directory[i] == '/'), "%s is not in %s",
		              made, directory);
	ck_assert_int_eq(strncmp(made + len, "\\tofu-", 6), 0);
	ck_assert_ptr_null(strchr(made + len + 1, '\\'));
	ck_assert_uint_le(strlen(made), PATH_MAX_BYTES);
}

START_TEST(made_paths_are_in_the_users_temporary_directory)
{
	const wchar_t *before = temporary_before();
	struct tofu_link listener;
	char other[100];

	set_temporary(dir);
	expect_made_in(dir);
	snprintf(other, sizeof other, "%s/t\xc3\xa4st \xd1\x84", dir);
	os_make_directory(other);
	set_temporary(other);
	expect_made_in(other);
	snprintf(path, sizeof path, "%s", made_path());
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert(os_file_exists(path));
	expect_reachable(path);
	close_link(&listener);
	ck_assert(!os_file_exists(path));
	ck_assert(SetEnvironmentVariableW(L"TMP", before));
}
END_TEST

/* Short names, where the volume has them; else too long is what it is. */
START_TEST(a_temporary_directory_that_is_too_long_is_told_or_got_round)
{
	const wchar_t *before = temporary_before();
	char other[200];
	char out[PATH_MAX_BYTES + 1];
	enum tofu_status st;

	memset(other, 'd', sizeof other);
	memcpy(other, dir, strlen(dir));
	other[strlen(dir)] = '/';
	other[100] = '\0';
	os_make_directory(other);
	set_temporary(other);
	st = tofu_unix()->complete(tofu_unix(), "", TOFU_TO_LISTEN, out, sizeof out);
	if (st == TOFU_OK)
		ck_assert_uint_le(strlen(out), PATH_MAX_BYTES);
	else
		ck_status(st, TOFU_PATH_TOO_LONG);
	ck_assert(SetEnvironmentVariableW(L"TMP", before));
}
END_TEST

/* races */

static HANDLE event(const char *name, int number)
{
	char full[64];
	HANDLE handle;

	snprintf(full, sizeof full, "tofu-test-%s-%d", name, number);
	handle = CreateEventA(NULL, TRUE, FALSE, full);
	if (handle == NULL)
		ck_abort_msg("%s: %lu", full, GetLastError());
	return handle;
}

static void wait_for(HANDLE handle)
{
	if (WaitForSingleObject(handle, (DWORD)(patience / TOFU_NS_PER_MS)) != WAIT_OBJECT_0)
		exit(3);
}

/* Another process: says "ready", tries when told, says how that went, closes when told, says "closed". So many times. */
static int race(const char *at, int parent)
{
	if (tofu_init() != TOFU_OK)
		return 1;
	for (int i = 0; i < RACES; i++) {
		HANDLE start = event("start", parent + i), finish = event("finish", parent + i);
		struct tofu_link listener;
		enum tofu_status st;

		puts("ready");
		fflush(stdout);
		wait_for(start);
		st = listen_on(&listener, at);
		puts(tofu_status_name(st));
		fflush(stdout);
		wait_for(finish);
		if (st == TOFU_OK)
			close_link(&listener);
		puts("closed");
		fflush(stdout);
		CloseHandle(start);
		CloseHandle(finish);
	}
	tofu_deinit();
	return 0;
}

static void expect_line(struct os_process *p, const char *expected)
{
	char line[64];

	ck_assert_msg(os_read_line(p, line, sizeof line, patience), "a process says nothing, where '%s' was expected",
	              expected);
	ck_assert_str_eq(line, expected);
}

static void expect_one_winner(struct os_process racers[RACERS], int number)
{
	HANDLE start = event("start", number), finish = event("finish", number);
	int winners = 0;

	for (int i = 0; i < RACERS; i++)
		expect_line(&racers[i], "ready");
	ck_assert(SetEvent(start));
	for (int i = 0; i < RACERS; i++) {
		char line[64];

		ck_assert(os_read_line(&racers[i], line, sizeof line, patience));
		winners += strcmp(line, tofu_status_name(TOFU_OK)) == 0;
		if (strcmp(line, tofu_status_name(TOFU_OK)) != 0)
			ck_assert_str_eq(line, tofu_status_name(TOFU_ADDRESS_IN_USE));
	}
	ck_assert_int_eq(winners, 1);
	expect_reachable(path);
	ck_assert_uint_eq(os_files_in(dir), 1);
	ck_assert(SetEvent(finish));
	for (int i = 0; i < RACERS; i++)
		expect_line(&racers[i], "closed");
	ck_assert_uint_eq(os_files_in(dir), 0);
	CloseHandle(start);
	CloseHandle(finish);
}

static void race_many_times(bool stale)
{
	static int times;
	const int parent = (int)(GetCurrentProcessId() % 10000) * 1000 + times++ * RACES;
	struct os_process racers[RACERS];
	char arguments[300];

	snprintf(arguments, sizeof arguments, "%d|%s", parent, path);
	for (int i = 0; i < RACERS; i++)
		ck_assert(os_spawn_self(&racers[i], "race", arguments));
	for (int i = 0; i < RACES; i++) {
		if (stale)
			leave_stale(path);
		expect_one_winner(racers, parent + i);
	}
	for (int i = 0; i < RACERS; i++)
		ck_assert_int_eq(os_reap(&racers[i]), 0);
}

START_TEST(of_many_processes_at_one_stale_path_exactly_one_wins)
{
	race_many_times(true);
}
END_TEST

START_TEST(of_many_processes_at_one_free_path_exactly_one_wins)
{
	race_many_times(false);
}
END_TEST

/* Own the path again and again, closing it or dying on it by turns. While it is ours a mutex says so: another owner at the
 * same time could not have it. */
static int own(const char *at, int seed)
{
	HANDLE witness = CreateMutexA(NULL, FALSE, "tofu-test-witness");
	int owned = 0;

	if (witness == NULL || tofu_init() != TOFU_OK)
		return 1;
	while (owned < TURNS) {
		struct tofu_link listener;
		enum tofu_status st = listen_on(&listener, at);

		if (st == TOFU_ADDRESS_IN_USE)
			continue;
		if (st != TOFU_OK)
			return 100 + (int)st;
		if (WaitForSingleObject(witness, 0) != WAIT_OBJECT_0)
			return 2;
		if (!os_file_exists(at))
			return 3;
		owned++;
		ReleaseMutex(witness);
		tofu_unix()->close(tofu_unix(), &listener,
		                   (owned + seed) % 2 != 0 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_FORGET);
	}
	tofu_deinit();
	return 0;
}

START_TEST(a_path_never_has_two_owners_at_once)
{
	struct os_process owners[OWNERS];
	char arguments[300];

	for (int i = 0; i < OWNERS; i++) {
		snprintf(arguments, sizeof arguments, "%d|%s", i, path);
		ck_assert(os_spawn_self(&owners[i], "own", arguments));
	}
	for (int i = 0; i < OWNERS; i++)
		ck_assert_int_eq(os_reap(&owners[i]), 0);
}
END_TEST

static Suite *suite_of_unix_win32(void)
{
	Suite *s = suite_create("unix_win32");
	TCase *tc = unix_case(s, "path");

	tcase_add_test(tc, both_separators_and_a_drive_are_understood);
	tcase_add_test(tc, no_name_is_left_over_where_there_is_none);
	tcase_add_test(tc, moving_a_socket_file_never_replaces_one);

	tc = unix_case(s, "alive");
	tcase_add_test(tc, a_marked_file_is_not_stale_however_it_answers);
	tcase_add_test(tc, no_file_is_made_or_deleted_for_a_lock);
	tcase_add_test(tc, a_listener_leaves_no_mark_and_no_lock);

	tc = unix_case(s, "temporary");
	tcase_add_test(tc, a_path_on_another_machine_is_no_address);
	tcase_add_test(tc, made_paths_are_in_the_users_temporary_directory);
	tcase_add_test(tc, a_temporary_directory_that_is_too_long_is_told_or_got_round);

	tc = unix_case(s, "race");
	tcase_set_timeout(tc, 180);
	tcase_add_test(tc, of_many_processes_at_one_stale_path_exactly_one_wins);
	tcase_add_test(tc, of_many_processes_at_one_free_path_exactly_one_wins);
	tcase_add_test(tc, a_path_never_has_two_owners_at_once);
	return s;
}

int main(int argc, char **argv)
{
	const char *at = argc > 2 ? strchr(argv[2], '|') : NULL;

	if (at != NULL && strcmp(argv[1], "race") == 0)
		return race(at + 1, atoi(argv[2]));
	if (at != NULL && strcmp(argv[1], "own") == 0)
		return own(at + 1, atoi(argv[2]));
	return unix_run(suite_of_unix_win32());
}
