/* SPDX-License-Identifier: MIT */

/*
 * Where the other end may need a moment (a connection that is not there yet, bytes on their way), the call is tried again
 * until it works; if it never does, the harness's watchdog ends the test. Who frees: the test, everything it opened.
 */

#include "sockets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "os.h"
#include "platform/platform.h"

static void wait_a_moment(void)
{
	struct tofu_mutex m = { 0 };
	struct tofu_cond c = { 0 };
	int64_t deadline = tofu_plat_deadline(TOFU_NS_PER_MS);

	ck_status(tofu_mutex_init(&m), TOFU_OK);
	ck_status(tofu_cond_init(&c), TOFU_OK);
	tofu_mutex_lock(&m);
	while (tofu_cond_wait_until(&c, &m, deadline))
		;
	tofu_mutex_unlock(&m);
	tofu_cond_fini(&c);
	tofu_mutex_fini(&m);
}

static const char *temporary_directory(void)
{
	static const char *const names[] = { "TMPDIR", "TEMP", "TMP" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *value = getenv(names[i]);
		if (value != NULL && value[0] != '\0' && strlen(value) < 60)
			return value;
	}
	return "/tmp";
}

static enum tofu_status new_path(struct tofu_sockaddr *out)
{
	char path[100];

	snprintf(path, sizeof path, "%s/tofu%016" PRIx64 ".sock", temporary_directory(), os_random());
	return tofu_sockaddr_unix(path, out);
}

static enum tofu_status new_port(struct tofu_sockaddr *out)
{
	size_t count = 0;

	return tofu_sockaddr_inet("127.0.0.1", 0, 0, out, 1, &count);
}

static enum tofu_status try_listen(enum sockets_kind kind, struct sockets_listener *out)
{
	enum tofu_status st = kind == SOCKETS_UNIX ? new_path(&out->at) : new_port(&out->at);

	out->handle = TOFU_NO_SOCKET;
	if (st == TOFU_OK)
		st = tofu_socket_listen(&out->at, &out->handle);
	if (st == TOFU_OK)
		st = tofu_socket_local(out->handle, &out->at);
	return st;
}

bool sockets_have(enum sockets_kind kind)
{
	struct sockets_listener l;
	enum tofu_status st = try_listen(kind, &l);

	if (st == TOFU_NOT_SUPPORTED)
		return false;
	ck_status(st, TOFU_OK);
	sockets_unlisten(&l);
	return true;
}

void sockets_listen(enum sockets_kind kind, struct sockets_listener *out)
{
	ck_status(try_listen(kind, out), TOFU_OK);
}

void sockets_unlisten(struct sockets_listener *l)
{
	const char *path = tofu_sockaddr_unix_path(&l->at);

	sockets_close(l->handle);
	l->handle = TOFU_NO_SOCKET;
	if (path[0] != '\0')
		remove(path);
}

intptr_t sockets_connect(const struct sockets_listener *l)
{
	intptr_t s = TOFU_NO_SOCKET;
	enum tofu_status st = tofu_socket_connect(&l->at, &s);

	if (st != TOFU_WOULD_BLOCK)
		ck_status(st, TOFU_OK);
	return s;
}

static enum tofu_status try_accept(const struct sockets_listener *l, intptr_t *out)
{
	enum tofu_status st;

	while ((st = tofu_socket_accept(l->handle, out)) == TOFU_WOULD_BLOCK)
		wait_a_moment();
	return st;
}

static void finish_connect(intptr_t s)
{
	enum tofu_status st;

	while ((st = tofu_socket_connect_result(s)) == TOFU_WOULD_BLOCK)
		wait_a_moment();
	ck_status(st, TOFU_OK);
}

intptr_t sockets_accept(const struct sockets_listener *l)
{
	intptr_t s = TOFU_NO_SOCKET;

	ck_status(try_accept(l, &s), TOFU_OK);
	return s;
}

bool sockets_try_pair(const struct sockets_listener *l, intptr_t ends[2])
{
	enum tofu_status st = tofu_socket_connect(&l->at, &ends[0]);

	ends[1] = TOFU_NO_SOCKET;
	if (st == TOFU_OK || st == TOFU_WOULD_BLOCK)
		st = try_accept(l, &ends[1]);
	if (st == TOFU_LIMIT_REACHED) {
		sockets_close(ends[0]);
		return false;
	}
	ck_status(st, TOFU_OK);
	finish_connect(ends[0]);
	return true;
}

void sockets_pair(const struct sockets_listener *l, intptr_t ends[2])
{
	ck_assert_msg(sockets_try_pair(l, ends), "no more descriptors");
}

void sockets_send(intptr_t socket, const void *data, size_t len)
{
	/* struct tofu_iov serves both directions; sending does not write to it */
	struct tofu_iov iov = { (void *)(uintptr_t)data, len };
	size_t done = 0;

	ck_status(tofu_socket_send(socket, &iov, 1, &done), TOFU_OK);
	ck_assert_uint_eq(done, len);
}

size_t sockets_receive(intptr_t socket, void *data, size_t len)
{
	struct tofu_iov iov = { data, len };
	enum tofu_status st;
	size_t done = 0;

	while ((st = tofu_socket_receive(socket, &iov, 1, &done)) == TOFU_WOULD_BLOCK)
		wait_a_moment();
	if (st == TOFU_PEER_DISCONNECTED)
		return 0;
	ck_status(st, TOFU_OK);
	return done;
}

void sockets_close(intptr_t socket)
{
	tofu_socket_close(socket, TOFU_CLOSE_ORDERLY);
}

void sockets_abort(intptr_t socket)
{
	tofu_socket_close(socket, TOFU_CLOSE_ABORT);
}
