/* SPDX-License-Identifier: MIT */

/*
 * Socket files where the system fails: whichever call it is, listen says why, and leaves no file behind. And where the
 * environment is read: on the thread that posts.
 *
 * The linker puts what stands here before the system's functions (--wrap), so the library has to be linked statically.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tofu/unix.h>

#include "lib/os.h"
#include "lib/steps.h"
#include "lib/unix_files.h"
#include "lib/wrapped.h"
#include "transport_unix/socket_file.h"

/* The call number fail_at from now on, counted from 0, fails with that error; -1: none does. */
static int fail_at = -1;
static int fail_with;
static const char *fail_only; /* NULL: whichever it is */
static const char *failed;    /* what it was */

static bool fails(const char *call)
{
	if (fail_at < 0 || (fail_only != NULL && strcmp(call, fail_only) != 0) || fail_at-- > 0)
		return false;
	failed = call;
	errno = fail_with;
	return true;
}

static void fail_next(const char *only, int at, int error)
{
	failed = NULL;
	fail_only = only;
	fail_with = error;
	fail_at = at;
}

#define WRAP(call, parameters, ...)                                                                                    \
	int __real_##call parameters;                                                                                  \
	int __wrap_##call parameters;                                                                                  \
	int __wrap_##call parameters                                                                                   \
	{                                                                                                              \
		return fails(#call) ? -1 : __real_##call(__VA_ARGS__);                                                 \
	}

WRAPPED_AS("__lstat64_time64", int, lstat, (const char *at, struct stat *st));
WRAPPED_AS("__fstat64_time64", int, fstat, (int fd, struct stat *st));
WRAP(lstat, (const char *at, struct stat *st), at, st)
WRAP(fstat, (int fd, struct stat *st), fd, st)
WRAP(flock, (int fd, int what), fd, what)
WRAP(link, (const char *from, const char *to), from, to)
WRAP(rename, (const char *from, const char *to), from, to)
WRAP(socket, (int family, int type, int protocol), family, type, protocol)
WRAP(fchmod, (int fd, mode_t mode), fd, mode)
WRAP(chmod, (const char *at, mode_t mode), at, mode)
WRAP(listen, (int fd, int backlog), fd, backlog)

/* Files are given away for show: that would take a user whom the system lets. The mode tells what others could do at that time. */
struct gift {
	uid_t owner;
	gid_t group;
	mode_t mode;
};
static struct gift gifts[8];
static unsigned gift_count;

int __wrap_lchown(const char *at, uid_t owner, gid_t group);

int __wrap_lchown(const char *at, uid_t owner, gid_t group)
{
	struct stat st;

	if (fails("lchown"))
		return -1;
	ck_assert_int_eq(__real_lstat(at, &st), 0);
	ck_assert_uint_lt(gift_count, sizeof gifts / sizeof gifts[0]);
	gifts[gift_count++] = (struct gift){ owner, group, st.st_mode & 07777 };
	return 0;
}

static _Atomic int64_t reader; /* the thread that has asked for $TMPDIR */

char *__real_secure_getenv(const char *name);
char *__wrap_secure_getenv(const char *name);

char *__wrap_secure_getenv(const char *name)
{
	if (strcmp(name, "TMPDIR") == 0)
		atomic_store(&reader, os_thread_id());
	return __real_secure_getenv(name);
}

/* failures */

static const int errors[] = { EIO, ENOMEM, EMFILE };
enum { ERRORS = sizeof errors / sizeof errors[0] };

static void expect_status_of(enum tofu_status st, int error)
{
	const char *what = failed != NULL ? failed : "no call";

	if (error == EIO) /* says nothing by itself: what failed does */
		must(st == TOFU_LISTEN_FAILED || st == TOFU_SETSOCKOPT_FAILED, "%s failed: %s", what,
		     tofu_status_name((int)st));
	else
		must(st == tofu_system_status(error, TOFU_OK), "%s failed: %s", what, tofu_status_name((int)st));
}

/* Listen while call number n fails, be it of a file that is free or stale. False: there are not that many. */
static bool listen_while(bool stale, int n, int error)
{
	struct tofu_link listener;
	enum tofu_status st;
	bool end;

	if (stale)
		leave_stale(path);
	fail_next(NULL, n, error);
	st = listen_on(&listener, path);
	end = failed == NULL;
	fail_next(NULL, -1, 0);
	if (st == TOFU_OK) {
		expect_reachable(path);
		must(os_files_in(dir) == 1, "a file is left over, listening");
		close_link(&listener);
	} else {
		expect_status_of(st, error);
		ck_assert_int_eq(listener.handle, TOFU_NO_SOCKET);
		ck_assert_ptr_null(listener.state);
		must(os_files_in(dir) == (os_file_exists(path) ? 1u : 0u), "%s failed: a file is left over", failed);
		if (stale && os_file_exists(path))
			os_file_remove(path);
	}
	must(os_files_in(dir) == 0, "%s failed: a file is left over", failed != NULL ? failed : "nothing");
	return !end;
}

START_TEST(whatever_fails_while_it_listens_leaves_no_file_and_is_told)
{
	const bool stale = _i % 2 != 0;
	const int error = errors[_i / 2];
	const int before = os_descriptors();
	int n = 0;

	while (listen_while(stale, n, error))
		n++;
	must(n >= (stale ? 10 : 6), "only %d calls could fail", n);
	ck_assert_int_eq(os_descriptors(), before);
}
END_TEST

START_TEST(a_file_whose_identity_cannot_be_read_is_removed)
{
	struct tofu_link listener;

	fail_next("lstat", 1, EIO); /* the first is of the lock */
	ck_status(listen_on(&listener, path), TOFU_LISTEN_FAILED);
	ck_assert_str_eq(failed, "lstat");
	ck_assert_uint_eq(os_files_in(dir), 0);
	close_link(&listener);
}
END_TEST

START_TEST(a_probe_at_the_descriptor_limit_gives_limit_reached)
{
	/* Without any descriptor valgrind lets open() make the lock file, and fail all the same. */
	for (unsigned more = os_exhaustion_is_real() ? 0 : 1; more < 4; more++) {
		struct tofu_link listener;
		enum tofu_status st;

		leave_stale(path);
		os_exhaust_descriptors(more);
		st = listen_on(&listener, path);
		os_free_descriptors();
		if (more < 2) /* the lock's, and the socket's or the probe's */
			ck_status(st, TOFU_LIMIT_REACHED);
		else
			ck_status(st, TOFU_OK);
		ck_assert_uint_eq(os_files_in(dir), 1);
		close_link(&listener);
		if (st != TOFU_OK)
			os_file_remove(path);
	}
	leave_stale(path);
	fail_next("socket", 1, EMFILE); /* another thread has got the last one */
	ck_status(listen_on(&(struct tofu_link){ 0 }, path), TOFU_LIMIT_REACHED);
	ck_assert(os_file_exists(path));
	ck_assert_uint_eq(os_files_in(dir), 1);
	fail_next("socket", 2, EMFILE); /* ... when the file was aside */
	ck_status(listen_on(&(struct tofu_link){ 0 }, path), TOFU_LIMIT_REACHED);
	ck_assert(os_file_exists(path));
	ck_assert_uint_eq(os_files_in(dir), 1);
}
END_TEST

START_TEST(a_file_goes_back_where_the_system_makes_no_links)
{
	static const int refusals[] = { EPERM, EIO, EMLINK, ENOSPC };
	char aside[sizeof path + 8];

	snprintf(aside, sizeof aside, "%s.aside", path);
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		leave_stale(aside);
		fail_next("link", 0, refusals[i]);
		tofu_socket_file_restore(aside, path);
		ck_assert(os_file_exists(path) && !os_file_exists(aside));
		leave_stale(aside);
		fail_next("link", 0, refusals[i]);
		tofu_socket_file_restore(aside, path); /* somebody has the path: what was aside goes */
		ck_assert(os_file_exists(path) && !os_file_exists(aside));
		os_file_remove(path);
	}
}
END_TEST

START_TEST(where_the_file_system_has_no_locks_a_stale_file_is_still_replaced)
{
	struct tofu_link listener;

	leave_stale(path);
	fail_next("flock", 0, ENOLCK);
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert_str_eq(failed, "flock");
	ck_assert_uint_eq(os_files_in(dir), 1);
	close_link(&listener);
}
END_TEST

/* owner and group */

static enum tofu_status listen_as_owned(const char *owner, const char *group)
{
	struct tofu_sockaddr address = address_of(path);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	struct tofu_unix_options o;
	struct tofu_transport *t;
	enum tofu_status st;

	tofu_unix_options_init(&o, sizeof o);
	o.owner = owner;
	o.group = group;
	o.mode = 0666;
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	gift_count = 0;
	st = t->listen(t, &listener, &address);
	if (st == TOFU_OK)
		t->close(t, &listener, TOFU_CLOSE_ORDERLY);
	tofu_transport_destroy(t);
	return st;
}

START_TEST(a_file_that_is_given_away_is_private_until_its_group_is_right_and_its_owner_comes_last)
{
	ck_status(listen_as_owned("1001", "1002"), TOFU_OK);
	ck_assert_uint_eq(gift_count, 2);
	ck_assert_uint_eq(gifts[0].owner, (uid_t)-1);
	ck_assert_uint_eq(gifts[0].group, 1002);
	ck_assert_uint_eq(gifts[0].mode, 0600);
	ck_assert_uint_eq(gifts[1].owner, 1001);
	ck_assert_uint_eq(gifts[1].group, (gid_t)-1);
	ck_assert_uint_eq(gifts[1].mode, 0666);
}
END_TEST

START_TEST(a_file_that_cannot_be_given_away_is_removed)
{
	static const int refusals[] = { EPERM, EINVAL };

	for (int i = 0; i < 4; i++) {
		fail_next("lchown", i % 2, refusals[i / 2]);
		ck_status(listen_as_owned("1001", "1002"), TOFU_PERMISSION_DENIED);
		ck_assert_uint_eq(os_files_in(dir), 0);
	}
}
END_TEST

/* the environment */

START_TEST(the_temporary_directory_is_asked_for_where_the_post_is)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char where[300];

	atomic_store(&reader, 0);
	for (int i = 0; i < 20; i++) {
		tofu_msg *msg = message(&side, TOFU_WELCOME_REQUEST, 0, 0, NULL);

		ck_status(tofu_msg_listen_on(msg, "uds|"), TOFU_OK);
		ck_assert_int_eq(setenv("TMPDIR", dir, 1), 0);
		post(&side, &msg);
		ck_assert_int_eq(setenv("TMPDIR", "/nowhere", 1), 0);
		msg = expect(&side, TOFU_WELCOME_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_OK);
		header_of(msg, "~listen_on", where, sizeof where);
		ck_assert_int_eq(strncmp(where + 4, dir, strlen(dir)), 0);
		tofu_msg_put(&msg);
		ck_assert_int_eq(atomic_exchange(&reader, 0), os_thread_id());
	}
	ck_assert_int_eq(unsetenv("TMPDIR"), 0);
	engine_down(engine);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

static Suite *suite_of_unix_faults(void)
{
	Suite *s = suite_create("unix_faults");
	TCase *tc;

	tc = unix_case(s, "failure");
	tcase_add_loop_test(tc, whatever_fails_while_it_listens_leaves_no_file_and_is_told, 0, 2 * ERRORS);
	tcase_add_test(tc, a_file_whose_identity_cannot_be_read_is_removed);
	tcase_add_test(tc, a_probe_at_the_descriptor_limit_gives_limit_reached);
	tcase_add_test(tc, a_file_goes_back_where_the_system_makes_no_links);
	tcase_add_test(tc, where_the_file_system_has_no_locks_a_stale_file_is_still_replaced);

	tc = unix_case(s, "owner");
	tcase_add_test(tc, a_file_that_is_given_away_is_private_until_its_group_is_right_and_its_owner_comes_last);
	tcase_add_test(tc, a_file_that_cannot_be_given_away_is_removed);

	tc = unix_case(s, "environment");
	tcase_add_test(tc, the_temporary_directory_is_asked_for_where_the_post_is);
	return s;
}

int main(void)
{
	return unix_run(suite_of_unix_faults());
}
