/* SPDX-License-Identifier: MIT */

/* The steps of the tests of socket files. */

#include "unix_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os.h"
#include "steps.h"
#include "system.h"

char dir[80];
char path[200];

static void set_up(void)
{
	os_fresh_path(dir, sizeof dir);
	for (char *at = dir; *at != '\0'; at++)
		if (*at == '\\')
			*at = '/';
	os_make_directory(dir);
	snprintf(path, sizeof path, "%s/a.sock", dir);
	ck_status(tofu_init(), TOFU_OK);
}

static void tear_down(void)
{
	tofu_deinit();
	os_remove_directory(dir);
}

TCase *unix_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

int unix_run(Suite *s)
{
	if (os_has_unix_sockets())
		return harness_run(s);
	printf("skipped: all of it: this system has no Unix sockets\n");
	return 77;
}

struct tofu_sockaddr address_of(const char *at)
{
	struct tofu_sockaddr out;

	works(tofu_sockaddr_unix(at, &out)); /* also where no test runs: in processes of their own */
	return out;
}

enum tofu_status listen_on(struct tofu_link *listener, const char *at)
{
	struct tofu_sockaddr address = address_of(at);
	enum tofu_status st;

	memset(listener, 0, sizeof *listener);
	while ((st = tofu_unix()->listen(tofu_unix(), listener, &address)) == TOFU_WOULD_BLOCK)
		os_pause();
	return st;
}

enum tofu_status connect_to(struct tofu_link *client, const char *at)
{
	struct tofu_sockaddr address = address_of(at);
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st;

	memset(client, 0, sizeof *client);
	st = tofu_unix()->connect_start(tofu_unix(), client, "", &address, &want);
	while (st == TOFU_WOULD_BLOCK && want != 0) {
		ck_assert(test_wait(client->handle, want));
		st = tofu_unix()->connect_finish(tofu_unix(), client, &want);
		if (st != TOFU_OK && st != TOFU_WOULD_BLOCK)
			tofu_unix()->close(tofu_unix(), client, TOFU_CLOSE_ORDERLY);
	}
	return st;
}

void close_link(struct tofu_link *link)
{
	tofu_unix()->close(tofu_unix(), link, TOFU_CLOSE_ORDERLY);
}

void leave_stale(const char *at)
{
	struct tofu_sockaddr address = address_of(at);
	intptr_t socket;

	ck_status(tofu_socket_listen(&address, &socket), TOFU_OK);
	tofu_socket_close(socket, TOFU_CLOSE_ORDERLY);
	ck_assert(os_file_exists(at));
}

void expect_reachable(const char *at)
{
	struct tofu_link client;

	ck_status(connect_to(&client, at), TOFU_OK);
	close_link(&client);
}

void make_path(size_t len)
{
	memset(path, 'x', sizeof path);
	memcpy(path, dir, strlen(dir));
	path[strlen(dir)] = '/';
	path[len] = '\0';
}

const char *made_path(void)
{
	static char made[PATH_MAX_BYTES + 1];

	ck_status(tofu_unix()->complete(tofu_unix(), "", TOFU_TO_LISTEN, made, sizeof made), TOFU_OK);
	return made;
}
