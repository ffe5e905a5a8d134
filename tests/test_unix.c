/* SPDX-License-Identifier: MIT */

/*
 * What is the Unix transport's own: its files. What it has in common with the others is in test_transport.c. Each test
 * works in a new directory, "dir".
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/system.h"
#include "transport_unix/socket_file.h"

enum { PATH_MAX_BYTES = 107 }; /* struct sockaddr_un has room for 108 with the final 0 */

static char dir[64];
static char path[128];

static void set_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/tofu-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a.sock", dir);
}

static void tear_down(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static struct tofu_sockaddr address_of(const char *at)
{
	struct tofu_sockaddr out;

	ck_status(tofu_sockaddr_unix(at, &out), TOFU_OK);
	return out;
}

static enum tofu_status listen_at(struct tofu_link *listener, const char *at)
{
	struct tofu_sockaddr address = address_of(at);

	memset(listener, 0, sizeof *listener);
	return tofu_unix()->listen(listener, &address);
}

static enum tofu_status connect_to(struct tofu_link *client, const char *at)
{
	struct tofu_sockaddr address = address_of(at);
	unsigned want = TOFU_WRITABLE;

	memset(client, 0, sizeof *client);
	return tofu_unix()->connect_start(client, &address, &want);
}

static void close_link(struct tofu_link *link)
{
	tofu_unix()->close(link, TOFU_CLOSE_ORDERLY);
}

static bool exists(const char *at)
{
	struct stat st;

	return lstat(at, &st) == 0;
}

/* What a listener that was killed leaves behind. */
static void leave_stale(const char *at)
{
	struct tofu_sockaddr address = address_of(at);
	intptr_t socket;

	ck_status(tofu_socket_listen(&address, &socket), TOFU_OK);
	tofu_socket_close(socket, TOFU_CLOSE_ORDERLY);
	ck_assert(exists(at));
}

static void expect_reachable(const char *at)
{
	struct tofu_link client;

	ck_status(connect_to(&client, at), TOFU_OK);
	close_link(&client);
}

/* A socket of another program: bound to path, of that type. */
static int bind_raw(int type)
{
	struct tofu_sockaddr address = address_of(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)address.bytes, (socklen_t)address.len), 0);
	return fd;
}

static struct stat status_of(const char *at)
{
	struct stat st;

	ck_assert_int_eq(lstat(at, &st), 0);
	return st;
}

static size_t files_in_dir(void)
{
	char command[128], out[32] = "";
	FILE *f;

	snprintf(command, sizeof command, "ls -A %s | wc -l", dir);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(out, sizeof out, f));
	pclose(f);
	return (size_t)atoi(out);
}

/* the file of a listener */

START_TEST(only_the_user_may_connect_whatever_the_umask)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		mode_t before = umask(masks[i]);
		struct tofu_link listener;

		ck_status(listen_at(&listener, path), TOFU_OK);
		umask(before);
		ck_assert_uint_eq(status_of(path).st_mode & 07777, 0600);
		close_link(&listener);
	}
}
END_TEST

START_TEST(the_file_goes_when_its_listener_closes)
{
	static const enum tofu_close ways[] = { TOFU_CLOSE_ORDERLY, TOFU_CLOSE_ABORT };

	for (size_t i = 0; i < 2; i++) {
		struct tofu_link listener;

		ck_status(listen_at(&listener, path), TOFU_OK);
		ck_assert(exists(path));
		tofu_unix()->close(&listener, ways[i]);
		ck_assert_uint_eq(files_in_dir(), 0);
	}
}
END_TEST

START_TEST(the_file_stays_when_its_listener_is_forgotten)
{
	struct tofu_link listener;
	int status;
	pid_t child;

	ck_status(listen_at(&listener, path), TOFU_OK);
	child = fork();
	if (child == 0) {
		tofu_unix()->close(&listener, TOFU_CLOSE_FORGET);
		_exit(listener.state == NULL && exists(path) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	expect_reachable(path);
	close_link(&listener);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(connections_leave_the_file_alone)
{
	struct tofu_link listener, client, server = { 0 };

	ck_status(listen_at(&listener, path), TOFU_OK);
	ck_status(connect_to(&client, path), TOFU_OK);
	ck_assert(test_wait(listener.handle, TOFU_READABLE));
	ck_status(tofu_unix()->accept(&listener, &server), TOFU_OK);
	close_link(&client);
	close_link(&server);
	expect_reachable(path);
	close_link(&listener);
}
END_TEST

START_TEST(another_listeners_file_is_not_removed)
{
	struct tofu_link first, second;

	ck_status(listen_at(&first, path), TOFU_OK);
	ck_assert_int_eq(unlink(path), 0);
	ck_status(listen_at(&second, path), TOFU_OK);
	close_link(&first);
	expect_reachable(path);
	close_link(&second);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(a_plain_file_in_its_place_is_not_removed)
{
	struct tofu_link listener;
	int fd;

	ck_status(listen_at(&listener, path), TOFU_OK);
	ck_assert_int_eq(unlink(path), 0);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	close_link(&listener);
	ck_assert(S_ISREG(status_of(path).st_mode));
}
END_TEST

START_TEST(a_relative_path_is_removed_wherever_the_process_is_by_then)
{
	struct tofu_link listener;
	char text[64];

	ck_assert_int_eq(chdir(dir), 0);
	ck_status(listen_at(&listener, "r.sock"), TOFU_OK);
	ck_status(tofu_unix()->local_address(&listener, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "uds|r.sock");
	expect_reachable("r.sock");
	ck_assert_int_eq(chdir("/"), 0);
	close_link(&listener);
	ck_assert_uint_eq(files_in_dir(), 0);
}
END_TEST

/* paths in use */

START_TEST(a_stale_file_is_replaced)
{
	struct tofu_link listener;

	leave_stale(path);
	ck_status(listen_at(&listener, path), TOFU_OK);
	expect_reachable(path);
	ck_assert_uint_eq(files_in_dir(), 1);
	close_link(&listener);
	ck_assert_uint_eq(files_in_dir(), 0);
}
END_TEST

START_TEST(a_live_listener_is_never_stolen)
{
	struct tofu_link listener, thief;
	struct stat before;

	ck_status(listen_at(&listener, path), TOFU_OK);
	before = status_of(path);
	for (int i = 0; i < 20; i++)
		ck_status(listen_at(&thief, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(files_in_dir(), 1);
	expect_reachable(path);
	close_link(&listener);
}
END_TEST

/* A full backlog is EAGAIN on Linux, not ECONNREFUSED; a client is told that it could not connect. */
START_TEST(a_live_listener_with_a_full_backlog_is_never_stolen)
{
	enum { MANY = 16 };
	int owner = bind_raw(SOCK_STREAM);
	struct tofu_link clients[MANY], thief;
	enum tofu_status st = TOFU_OK;
	int count = 0;
	struct stat before = status_of(path);

	ck_assert_int_eq(listen(owner, 0), 0);
	while (st == TOFU_OK && count < MANY)
		st = connect_to(&clients[count++], path);
	ck_status(st, TOFU_CONNECT_FAILED);
	ck_status(listen_at(&thief, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(files_in_dir(), 1);
	while (count > 0)
		close_link(&clients[--count]);
	close(owner);
}
END_TEST

START_TEST(a_live_socket_of_another_type_is_never_stolen)
{
	static const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };

	for (size_t i = 0; i < 2; i++) {
		int owner = bind_raw(types[i]);
		struct stat before = status_of(path);
		struct tofu_link thief;

		if (types[i] == SOCK_SEQPACKET)
			ck_assert_int_eq(listen(owner, 1), 0);
		ck_status(listen_at(&thief, path), TOFU_ADDRESS_IN_USE);
		ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
		close(owner);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(what_is_no_socket_is_never_touched)
{
	struct tofu_link listener;
	char text[8] = "", target[128];
	struct stat before;
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0640);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "keep", 4), 4);
	close(fd);
	before = status_of(path);
	ck_status(listen_at(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(status_of(path).st_mode, before.st_mode);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof text), 4);
	ck_assert_str_eq(text, "keep");
	close(fd);
	ck_assert_int_eq(unlink(path), 0);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_status(listen_at(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert_int_eq(rmdir(path), 0);

	/* A link to a stale socket is still a link. */
	snprintf(target, sizeof target, "%s/target", dir);
	leave_stale(target);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_status(listen_at(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert(S_ISLNK(status_of(path).st_mode));
	ck_assert(exists(target));
}
END_TEST

START_TEST(a_live_file_goes_back_but_never_over_another)
{
	struct tofu_link listener, second;
	struct tofu_sockaddr at = address_of(path);
	char aside[128];
	struct stat before;

	ck_status(listen_at(&listener, path), TOFU_OK);
	before = status_of(path);
	ck_status(tofu_socket_file_beside(path, 0, aside, sizeof aside), TOFU_OK);
	ck_assert(tofu_socket_file_move(path, aside));
	ck_assert_int_eq(tofu_socket_file_probe(&at), TOFU_SOCKET_FILE_NONE);
	tofu_socket_file_restore(aside, path);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(files_in_dir(), 1);

	ck_assert(tofu_socket_file_move(path, aside));
	ck_status(listen_at(&second, path), TOFU_OK);
	before = status_of(path);
	tofu_socket_file_restore(aside, path);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(files_in_dir(), 1);
	expect_reachable(path);
	close_link(&listener);
	close_link(&second);
}
END_TEST

/* Somebody else holds the directory's lock: nothing is replaced, but a free path can be had. */
START_TEST(a_directory_that_stays_locked_stops_the_replacing_only)
{
	struct tofu_link listener;
	intptr_t lock;
	char other[128];

	leave_stale(path);
	snprintf(other, sizeof other, "%s/b.sock", dir);
	ck_assert(tofu_socket_file_lock(path, &lock));
	ck_assert_int_ge(lock, 0);
	ck_status(listen_at(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert(exists(path));
	ck_status(listen_at(&listener, other), TOFU_OK);
	close_link(&listener);
	tofu_socket_file_unlock(lock);
	ck_status(listen_at(&listener, path), TOFU_OK);
	close_link(&listener);
}
END_TEST

/* races */

enum { RACERS = 12, RACES = 25 };

struct race {
	int start[2], result[2], finish[2]; /* pipes: start and finish are said by closing them */
};

static void wait_for_close(int fd)
{
	char byte;

	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
}

static void race_to_listen(const struct race *race)
{
	struct tofu_link listener;
	char result;

	close(race->start[1]);
	close(race->finish[1]);
	wait_for_close(race->start[0]);
	result = (char)listen_at(&listener, path);
	if (write(race->result[1], &result, 1) != 1)
		_exit(1);
	wait_for_close(race->finish[0]);
	if (result == TOFU_OK)
		close_link(&listener);
	_exit(0);
}

static void expect_one_winner(void)
{
	struct race race;
	int winners = 0;
	char result;

	ck_assert(pipe(race.start) == 0 && pipe(race.result) == 0 && pipe(race.finish) == 0);
	for (int i = 0; i < RACERS; i++) {
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			race_to_listen(&race);
	}
	close(race.start[1]);
	for (int i = 0; i < RACERS; i++) {
		ck_assert_int_eq(read(race.result[0], &result, 1), 1);
		winners += result == TOFU_OK;
		if (result != TOFU_OK)
			ck_status((enum tofu_status)result, TOFU_ADDRESS_IN_USE);
	}
	ck_assert_int_eq(winners, 1);
	expect_reachable(path);
	ck_assert_uint_eq(files_in_dir(), 1);
	close(race.finish[1]);
	for (int i = 0; i < RACERS; i++)
		ck_assert_int_gt(wait(NULL), 0);
	close(race.start[0]);
	close(race.result[0]);
	close(race.result[1]);
	close(race.finish[0]);
	ck_assert_uint_eq(files_in_dir(), 0);
}

START_TEST(of_many_processes_at_one_stale_path_exactly_one_wins)
{
	for (int i = 0; i < RACES; i++) {
		leave_stale(path);
		expect_one_winner();
	}
}
END_TEST

START_TEST(of_many_processes_at_one_free_path_exactly_one_wins)
{
	for (int i = 0; i < RACES; i++)
		expect_one_winner();
}
END_TEST

enum { OWNERS = 6, TURNS = 150 };

/* Own the path again and again, closing it or dying on it by turns. While it is ours a second lock says so: another
 * owner at the same time could not have it. */
static void own_by_turns(const char *witness, unsigned seed)
{
	int fd = open(witness, O_RDWR | O_CLOEXEC);
	int owned = 0;

	if (fd < 0)
		_exit(1);
	while (owned < TURNS) {
		struct tofu_link listener;
		enum tofu_status st = listen_at(&listener, path);

		if (st == TOFU_ADDRESS_IN_USE)
			continue;
		if (st != TOFU_OK || flock(fd, LOCK_EX | LOCK_NB) != 0 || !exists(path))
			_exit(2);
		owned++;
		flock(fd, LOCK_UN);
		tofu_unix()->close(&listener, (owned + (int)seed) % 2 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_FORGET);
	}
	_exit(0);
}

START_TEST(a_path_never_has_two_owners_at_once)
{
	char witness[128];
	int fd, status;

	snprintf(witness, sizeof witness, "%s/witness", dir);
	fd = open(witness, O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	for (unsigned i = 0; i < OWNERS; i++) {
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			own_by_turns(witness, i);
	}
	for (int i = 0; i < OWNERS; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

/* failures of listen and connect */

START_TEST(listen_in_a_missing_directory_gives_uds_path_not_found)
{
	struct tofu_link listener;
	char missing[128];

	snprintf(missing, sizeof missing, "%s/no/a.sock", dir);
	ck_status(listen_at(&listener, missing), TOFU_UDS_PATH_NOT_FOUND);
	ck_assert_int_eq(listener.handle, TOFU_NO_SOCKET);
	ck_assert_ptr_null(listener.state);
	close_link(&listener);
}
END_TEST

START_TEST(listen_where_the_user_may_not_write_gives_permission_denied)
{
	struct tofu_link listener;
	uid_t user = geteuid();

	ck_assert_int_eq(chmod(dir, 0555), 0);
	if (user == 0) /* root may write anywhere */
		ck_assert_int_eq(seteuid(65534), 0);
	ck_status(listen_at(&listener, path), TOFU_PERMISSION_DENIED);
	if (user == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_uint_eq(files_in_dir(), 0);
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
	ck_assert(exists(path));
}
END_TEST

/* lengths */

static void make_path(size_t len)
{
	memset(path, 'x', sizeof path);
	memcpy(path, dir, strlen(dir));
	path[strlen(dir)] = '/';
	path[len] = '\0';
}

START_TEST(the_longest_path_works_and_one_byte_more_is_too_long)
{
	struct tofu_link listener;
	struct tofu_sockaddr at;
	char text[256];
	size_t count;

	make_path(PATH_MAX_BYTES);
	leave_stale(path);
	ck_status(listen_at(&listener, path), TOFU_OK);
	ck_status(tofu_unix()->local_address(&listener, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text + 4, path);
	expect_reachable(path);
	close_link(&listener);
	ck_assert_uint_eq(files_in_dir(), 0);
	make_path(PATH_MAX_BYTES + 1);
	ck_status(tofu_unix()->resolve(path, TOFU_TO_LISTEN, 0, &at, 1, &count), TOFU_PATH_TOO_LONG);
	ck_status(tofu_unix()->resolve(path, TOFU_TO_CONNECT, 0, &at, 1, &count), TOFU_PATH_TOO_LONG);
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* The stale file is moved aside, and beside it there is room for a name of one byte only. */
START_TEST(a_stale_file_is_replaced_however_little_room_is_beside_it)
{
	struct tofu_link listener;

	make_path(PATH_MAX_BYTES - 2);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	strcat(path, "/s");
	ck_assert_uint_eq(strlen(path), PATH_MAX_BYTES);
	leave_stale(path);
	ck_status(listen_at(&listener, path), TOFU_OK);
	expect_reachable(path);
	close_link(&listener);
	ck_assert(!exists(path));
}
END_TEST

/* paths of our own making */

static const char *made_path(void)
{
	static struct tofu_sockaddr at;
	size_t count = 0;

	ck_status(tofu_unix()->resolve("", TOFU_TO_LISTEN, 0, &at, 1, &count), TOFU_OK);
	ck_assert_uint_eq(count, 1);
	return tofu_sockaddr_unix_path(&at);
}

static void expect_made_in(const char *directory)
{
	const char *made = made_path();
	size_t len = strlen(directory);

	ck_assert_msg(strncmp(made, directory, len) == 0, "%s is not in %s", made, directory);
	ck_assert_int_eq(strncmp(made + len, "/tofu-", 6), 0);
	ck_assert_ptr_null(strchr(made + len + 1, '/'));
	ck_assert_uint_le(strlen(made), PATH_MAX_BYTES);
}

START_TEST(an_empty_path_makes_a_new_one_that_can_be_listened_on)
{
	struct tofu_link listener;
	char made[128];

	ck_assert_int_eq(setenv("TMPDIR", dir, 1), 0);
	snprintf(made, sizeof made, "%s", made_path());
	ck_assert(made[0] != '\0');
	ck_assert(!exists(made));
	ck_status(listen_at(&listener, made), TOFU_OK);
	ck_assert_uint_eq(status_of(made).st_mode & 07777, 0600);
	expect_reachable(made);
	close_link(&listener);
	ck_assert(!exists(made));
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

START_TEST(made_paths_are_in_the_users_temporary_directory)
{
	char slashes[80];

	ck_assert_int_eq(setenv("TMPDIR", dir, 1), 0);
	expect_made_in(dir);
	snprintf(slashes, sizeof slashes, "%s//", dir);
	ck_assert_int_eq(setenv("TMPDIR", slashes, 1), 0);
	expect_made_in(dir);
	ck_assert_int_eq(unsetenv("TMPDIR"), 0);
	expect_made_in("/tmp");
	ck_assert_int_eq(setenv("TMPDIR", "", 1), 0);
	expect_made_in("/tmp");
	ck_assert_int_eq(setenv("TMPDIR", "relative", 1), 0);
	expect_made_in("/tmp");
}
END_TEST

START_TEST(made_paths_fit_even_if_the_users_directory_is_too_long)
{
	/* "/tofu-" 16 digits ".sock": 27 bytes after the directory */
	static const size_t fits[] = { 80, 79 }, too_long[] = { 81, 107, 108, 127, 4000 };
	char directory[4001];

	memset(directory, 'd', sizeof directory);
	directory[0] = '/';
	for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++) {
		directory[fits[i]] = '\0';
		ck_assert_int_eq(setenv("TMPDIR", directory, 1), 0);
		expect_made_in(directory);
		directory[fits[i]] = 'd';
	}
	for (size_t i = 0; i < sizeof too_long / sizeof too_long[0]; i++) {
		directory[too_long[i]] = '\0';
		ck_assert_int_eq(setenv("TMPDIR", directory, 1), 0);
		expect_made_in("/tmp");
		directory[too_long[i]] = 'd';
	}
}
END_TEST

static TCase *new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

static Suite *suite_of_unix(void)
{
	Suite *s = suite_create("unix");
	TCase *tc = new_case(s, "file");

	tcase_add_test(tc, only_the_user_may_connect_whatever_the_umask);
	tcase_add_test(tc, the_file_goes_when_its_listener_closes);
	tcase_add_test(tc, the_file_stays_when_its_listener_is_forgotten);
	tcase_add_test(tc, connections_leave_the_file_alone);
	tcase_add_test(tc, another_listeners_file_is_not_removed);
	tcase_add_test(tc, a_plain_file_in_its_place_is_not_removed);
	tcase_add_test(tc, a_relative_path_is_removed_wherever_the_process_is_by_then);

	tc = new_case(s, "in use");
	tcase_add_test(tc, a_stale_file_is_replaced);
	tcase_add_test(tc, a_live_listener_is_never_stolen);
	tcase_add_test(tc, a_live_listener_with_a_full_backlog_is_never_stolen);
	tcase_add_test(tc, a_live_socket_of_another_type_is_never_stolen);
	tcase_add_test(tc, what_is_no_socket_is_never_touched);
	tcase_add_test(tc, a_live_file_goes_back_but_never_over_another);
	tcase_add_test(tc, a_directory_that_stays_locked_stops_the_replacing_only);

	tc = new_case(s, "race");
	tcase_add_test(tc, of_many_processes_at_one_stale_path_exactly_one_wins);
	tcase_add_test(tc, of_many_processes_at_one_free_path_exactly_one_wins);
	tcase_add_test(tc, a_path_never_has_two_owners_at_once);

	tc = new_case(s, "failure");
	tcase_add_test(tc, listen_in_a_missing_directory_gives_uds_path_not_found);
	tcase_add_test(tc, listen_where_the_user_may_not_write_gives_permission_denied);
	tcase_add_test(tc, connect_to_a_missing_path_gives_uds_path_not_found);
	tcase_add_test(tc, connect_to_a_stale_file_gives_connect_failed);

	tc = new_case(s, "length");
	tcase_add_test(tc, the_longest_path_works_and_one_byte_more_is_too_long);
	tcase_add_test(tc, a_stale_file_is_replaced_however_little_room_is_beside_it);

	tc = new_case(s, "temporary");
	tcase_add_test(tc, an_empty_path_makes_a_new_one_that_can_be_listened_on);
	tcase_add_test(tc, made_paths_are_unique);
	tcase_add_test(tc, made_paths_are_in_the_users_temporary_directory);
	tcase_add_test(tc, made_paths_fit_even_if_the_users_directory_is_too_long);
	return s;
}

int main(void)
{
	return harness_run(suite_of_unix());
}
