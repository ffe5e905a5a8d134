/* SPDX-License-Identifier: MIT */

/*
 * Unix stream sockets: "uds|PATH", and "uds|@NAME", which has no file; "uds|&N", a socket that is there already.
 *
 * Connections are plain sockets without state. A listener also owns the file at its path: it remembers which one it
 * made (link->state, freed by close), and removes it when it closes, unless somebody has put another in its place.
 *
 * A path that is in use is taken over only from a dead owner: a connect to it must be refused. The stale file is first
 * moved aside and asked once more under its new name, for a live one may have come in between; that one goes back. What
 * is not a stale socket is never removed. All of that, and each bind with the listen after it, happens under a lock on
 * the path: between the two a new socket refuses connections like a dead one. Where a question takes its time, listen says
 * TOFU_WOULD_BLOCK, and goes on when it is called again.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/unix.h>

#include "transport_unix/socket_file.h"
#include "transport_unix/users.h"

enum {
	PATH_CAPACITY = sizeof(struct tofu_sockaddr), /* more than any socket address has room for */
	TEXT_CAPACITY = PATH_CAPACITY + 2,            /* "./@..." */
	MODE = 0600,                                  /* of a listener, unless an option says otherwise */
	ROOT = 0,
	NAME_CHOICES = 2, /* of tofu_socket_file_temporary() and ..._beside(): the first, the shorter */
	REPLACE_TRIES = 8 /* stale files that others keep putting back */
};

/* The config of an instance. That of tofu_unix() is NULL: every default. */
struct config {
	struct tofu_listen_options listen;
	uint32_t owner, group; /* if listen points to them */
	size_t uid_count, gid_count;
	uint32_t allowed[]; /* uids, then gids */
};

/* The file of a listener: link->state. */
struct socket_file {
	struct tofu_socket_file_id id;
	intptr_t mark; /* that its owner lives */
	char *path;
	/* while listen is at it */
	intptr_t lock;
	intptr_t probe;             /* a question that is under way */
	struct tofu_sockaddr aside; /* where a stale file has been moved to; its len is 0 when none has */
	struct tofu_link inherited; /* instead of all that: a listener whose file, if it has one, is somebody else's */
};

static struct socket_file *file_alloc(void)
{
	struct socket_file *file = calloc(1, sizeof *file);

	if (file == NULL)
		return NULL;
	file->lock = -1;
	file->probe = TOFU_NO_SOCKET;
	file->inherited.handle = TOFU_NO_SOCKET;
	return file;
}

static bool is_inherited(const struct tofu_link *listener)
{
	const struct socket_file *file = listener->state;

	return file != NULL && file->inherited.state != NULL;
}

static struct socket_file *file_create(const char *path)
{
	struct socket_file *file = file_alloc();

	if (file == NULL)
		return NULL;
	file->path = tofu_socket_file_full_path(path);
	if (file->path != NULL)
		return file;
	free(file);
	return NULL;
}

/* An empty path to listen on is one in the temporary directory. */
static enum tofu_status unix_complete(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                      char *out, size_t capacity)
{
	enum tofu_status st = TOFU_PATH_TOO_LONG;
	struct tofu_sockaddr address;

	if (*rest == '&')
		return tofu_inherited_complete(rest, out, capacity);
	out[0] = '\0';
	if (*rest != '\0' || purpose != TOFU_TO_LISTEN)
		return TOFU_OK;
	for (unsigned nth = 0; nth < NAME_CHOICES && st == TOFU_PATH_TOO_LONG; nth++) {
		st = tofu_socket_file_temporary(nth, out, capacity);
		if (st == TOFU_OK)
			st = tofu_sockaddr_unix(out, &address); /* does it fit? */
	}
	return st;
}

static enum tofu_status unix_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	enum tofu_status st;

	*count = 0;
	if (capacity == 0 || tofu_socket_file_remote(rest))
		return TOFU_INVALID_ADDRESS;
	st = *rest == '&' ? tofu_inherited_address(rest, TOFU_SOCKET_UNIX, out) : tofu_sockaddr_unix(rest, out);
	*count = st == TOFU_OK;
	return st;
}

/* An address beside path, to move it to. */
static enum tofu_status address_beside(const char *path, struct tofu_sockaddr *out)
{
	enum tofu_status st = TOFU_PATH_TOO_LONG;
	char aside[PATH_CAPACITY];

	for (unsigned nth = 0; nth < NAME_CHOICES && st == TOFU_PATH_TOO_LONG; nth++) {
		st = tofu_socket_file_beside(path, nth, aside, sizeof aside);
		if (st == TOFU_OK)
			st = tofu_sockaddr_unix(aside, out);
	}
	return st;
}

/* A path that may not be moved is another user's. TOFU_UDS_PATH_NOT_FOUND: it is free by now. */
static enum tofu_status move_aside(const char *path, struct tofu_sockaddr *aside)
{
	enum tofu_status st = address_beside(path, aside);

	if (st == TOFU_OK)
		st = tofu_socket_file_move(path, tofu_sockaddr_unix_path(aside));
	if (st != TOFU_OK)
		aside->len = 0;
	return st == TOFU_PERMISSION_DENIED || st == TOFU_PATH_TOO_LONG ? TOFU_ADDRESS_IN_USE : st;
}

/* What was moved aside goes, or goes back. */
static enum tofu_status judge_aside(struct socket_file *file, const char *path)
{
	const char *aside = tofu_sockaddr_unix_path(&file->aside);
	enum tofu_socket_file_state state;
	enum tofu_status st = tofu_socket_file_probe(&file->aside, &file->probe, &state);

	if (st == TOFU_WOULD_BLOCK)
		return st;
	if (st == TOFU_OK && state == TOFU_SOCKET_FILE_STALE)
		tofu_socket_file_discard(aside);
	else
		tofu_socket_file_restore(aside, path);
	file->aside.len = 0;
	return st == TOFU_OK && state == TOFU_SOCKET_FILE_TAKEN ? TOFU_ADDRESS_IN_USE : st;
}

/* Make a path that is in use free, if its owner is gone. TOFU_OK: worth another try. */
static enum tofu_status remove_stale(const struct tofu_sockaddr *at, struct socket_file *file)
{
	const char *path = tofu_sockaddr_unix_path(at);
	enum tofu_socket_file_state state;
	enum tofu_status st;

	if (file->aside.len == 0) {
		st = tofu_socket_file_probe(at, &file->probe, &state);
		if (st != TOFU_OK || state == TOFU_SOCKET_FILE_NONE)
			return st;
		if (state == TOFU_SOCKET_FILE_TAKEN)
			return TOFU_ADDRESS_IN_USE;
		st = move_aside(path, &file->aside);
		if (st != TOFU_OK)
			return st == TOFU_UDS_PATH_NOT_FOUND ? TOFU_OK : st;
	}
	return judge_aside(file, path);
}

static enum tofu_status open_listener(const struct tofu_transport *t, struct tofu_link *listener,
                                      const struct tofu_sockaddr *at)
{
	const struct config *config = t->config;

	return tofu_socket_listen_with(at, config != NULL ? &config->listen : NULL, &listener->handle);
}

/* Listen and learn which file that made. */
static enum tofu_status listen_at(const struct tofu_transport *t, struct tofu_link *listener,
                                  const struct tofu_sockaddr *at, struct socket_file *file)
{
	const bool resumed = file->probe != TOFU_NO_SOCKET;
	enum tofu_status st = resumed ? TOFU_ADDRESS_IN_USE : open_listener(t, listener, at);

	for (int tries = 0; st == TOFU_ADDRESS_IN_USE && tries < REPLACE_TRIES; tries++) {
		st = remove_stale(at, file);
		if (st != TOFU_OK)
			return st;
		st = open_listener(t, listener, at);
	}
	if (st != TOFU_OK)
		return st;
	st = tofu_socket_file_identify(tofu_sockaddr_unix_path(at), &file->id);
	if (st != TOFU_OK) {
		if (st != TOFU_ADDRESS_IN_USE) /* else somebody has taken it away already */
			tofu_socket_file_discard(tofu_sockaddr_unix_path(at));
		tofu_socket_close(listener->handle, TOFU_CLOSE_ORDERLY);
		listener->handle = TOFU_NO_SOCKET;
		return st;
	}
	file->mark = tofu_socket_file_mark(&file->id);
	return TOFU_OK;
}

/* What listen has begun, be it done or not. */
static void listen_ended(struct socket_file *file, const char *path)
{
	tofu_socket_close(file->probe, TOFU_CLOSE_ORDERLY);
	file->probe = TOFU_NO_SOCKET;
	if (file->aside.len > 0)
		tofu_socket_file_restore(tofu_sockaddr_unix_path(&file->aside), path);
	file->aside.len = 0;
	tofu_socket_file_unlock(path, file->lock);
	file->lock = -1;
}

static void file_destroy(struct socket_file *file)
{
	tofu_socket_file_unmark(file->mark);
	free(file->path);
	free(file);
}

static enum tofu_status listen_inherited(struct tofu_link *listener, const struct tofu_sockaddr *at)
{
	struct socket_file *file = file_alloc();
	enum tofu_status st;

	if (file == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = tofu_inherited_listen(at, &file->inherited);
	if (st != TOFU_OK) {
		file_destroy(file);
		return st;
	}
	listener->handle = file->inherited.handle;
	listener->state = file;
	return TOFU_OK;
}

static enum tofu_status unix_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                    const struct tofu_sockaddr *at)
{
	const char *path = tofu_sockaddr_unix_path(at);
	struct socket_file *file = listener->state;
	enum tofu_status st = TOFU_OK;

	listener->handle = TOFU_NO_SOCKET;
	if (tofu_inherited_is(at))
		return listen_inherited(listener, at);
	if (path[0] == '\0') /* an abstract name: it goes with its socket, and is in use for as long */
		return open_listener(t, listener, at);
	if (file == NULL) {
		file = file_create(path);
		if (file == NULL)
			return TOFU_ALLOCATION_FAILED;
		st = tofu_socket_file_lock(path, &file->lock);
	}
	listener->state = file;
	if (st == TOFU_OK)
		st = listen_at(t, listener, at, file);
	if (st == TOFU_WOULD_BLOCK)
		return st;
	listen_ended(file, path);
	if (st != TOFU_OK) {
		file_destroy(file);
		listener->state = NULL;
	}
	return st;
}

static void close_inherited(struct tofu_link *listener, enum tofu_close how)
{
	struct socket_file *file = listener->state;

	tofu_inherited_close(&file->inherited, how);
	file_destroy(file);
	listener->handle = TOFU_NO_SOCKET;
	listener->state = NULL;
}

/* First the file, then the socket. While the socket lives nobody takes its file for stale, and the system does not give
 * the file's number to another one: what is compared and what is removed are the same. Should the system keep the file for
 * as long as the socket lives, it goes after it. */
static void unix_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	struct socket_file *file = link->state;
	bool removed = true;

	if (is_inherited(link)) {
		close_inherited(link, how);
		return;
	}
	/* In a child of fork() there is nothing to end: no listen is under way at a fork. */
	if (file != NULL)
		listen_ended(file, file->path);
	if (file != NULL && how != TOFU_CLOSE_FORGET)
		removed = link->handle == TOFU_NO_SOCKET || tofu_socket_file_remove(file->path, &file->id);
	tofu_socket_close(link->handle, how);
	if (!removed)
		(void)tofu_socket_file_remove(file->path, &file->id);
	if (file != NULL)
		file_destroy(file);
	link->state = NULL;
	link->handle = TOFU_NO_SOCKET;
}

static bool is_allowed_user(const struct config *config, intptr_t socket)
{
	struct tofu_identity peer;

	tofu_socket_identify(socket, &peer);
	for (size_t i = 0; i < config->uid_count; i++)
		if (peer.uid == (int64_t)config->allowed[i])
			return true;
	return false;
}

static enum tofu_status admit_if(bool may)
{
	return may ? TOFU_OK : TOFU_PERMISSION_DENIED;
}

static enum tofu_status admit_listed(const struct config *config, intptr_t socket)
{
	enum tofu_status st;
	bool member;

	if (is_allowed_user(config, socket))
		return TOFU_OK;
	st = tofu_users_peer_in_group(socket, config->allowed + config->uid_count, config->gid_count, &member);
	return st == TOFU_OK ? admit_if(member) : st;
}

/*
 * An abstract name has no file whose rights the system would check. So owner, group and mode are checked here, as it does with a
 * file that this process makes: root may write to any, and its owner has the rights of the owner alone.
 */
static enum tofu_status admit_as_to_a_file(const struct config *config, intptr_t socket)
{
	const uint32_t mode = config != NULL && config->listen.mode != 0 ? config->listen.mode : MODE;
	struct tofu_identity peer;
	uint32_t owner, group;
	enum tofu_status st;
	bool member;

	tofu_users_own(&owner, &group);
	if (config != NULL && config->listen.owner != NULL)
		owner = config->owner;
	if (config != NULL && config->listen.group != NULL)
		group = config->group;
	tofu_socket_identify(socket, &peer);
	if (peer.uid == ROOT)
		return TOFU_OK;
	if (peer.uid == (int64_t)owner)
		return admit_if((mode & 0200) != 0);
	st = tofu_users_peer_in_group(socket, &group, 1, &member);
	return st == TOFU_OK ? admit_if((mode & (member ? 0020 : 0002)) != 0) : st;
}

/* A connection has the name of its listener, however that came to it. */
static bool has_abstract_name(intptr_t socket)
{
	struct tofu_sockaddr name;
	char text[TEXT_CAPACITY];

	return tofu_socket_local(socket, &name) == TOFU_OK &&
	       tofu_sockaddr_unix_text(&name, text, sizeof text) == TOFU_OK && text[0] == '@';
}

/* To a file, only who has its rights can connect. The lists, where there are some, are asked in any case. */
static enum tofu_status admit(const struct config *config, intptr_t socket)
{
	if (config != NULL && config->uid_count + config->gid_count > 0)
		return admit_listed(config, socket);
	return has_abstract_name(socket) ? admit_as_to_a_file(config, socket) : TOFU_OK;
}

static enum tofu_status unix_accept(const struct tofu_transport *t, struct tofu_link *listener, struct tofu_link *link)
{
	struct socket_file *file = listener->state;
	enum tofu_status st;

	link->handle = TOFU_NO_SOCKET;
	st = is_inherited(listener) ? tofu_inherited_accept(&file->inherited, &link->handle)
	                            : tofu_socket_accept(listener->handle, &link->handle);
	return st == TOFU_OK ? admit(t->config, link->handle) : st;
}

static enum tofu_status unix_connect_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                           const struct tofu_sockaddr *to, unsigned *want)
{
	enum tofu_status st = tofu_socket_connect(to, &link->handle);

	*want = link->handle == TOFU_NO_SOCKET ? 0 : TOFU_WRITABLE; /* 0: the listener's queue is full */
	if (st != TOFU_CONNECT_FAILED && st != TOFU_WOULD_BLOCK)
		return st;
	if (tofu_socket_file_missing(tofu_sockaddr_unix_path(to))) {
		tofu_socket_close(link->handle, TOFU_CLOSE_ABORT);
		link->handle = TOFU_NO_SOCKET;
		return TOFU_UDS_PATH_NOT_FOUND;
	}
	if (st == TOFU_CONNECT_FAILED && tofu_socket_file_busy(tofu_sockaddr_unix_path(to)))
		return TOFU_WOULD_BLOCK;
	return st;
}

static enum tofu_status unix_connect_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_connect_result(link->handle);
}

static enum tofu_status unix_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                  size_t count, size_t *done, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_send(link->handle, iov, count, done);
}

static enum tofu_status unix_receive(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                     size_t count, size_t *done, unsigned *want)
{
	*want = TOFU_READABLE;
	return tofu_socket_receive(link->handle, iov, count, done);
}

static enum tofu_status unix_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_shutdown(link->handle);
}

/* An end without a name has an empty path: connecting sockets are not bound. */
static enum tofu_status write_address(const struct tofu_transport *t, const struct tofu_sockaddr *address, char *out,
                                      size_t capacity)
{
	char text[TEXT_CAPACITY];
	enum tofu_status st = tofu_sockaddr_unix_text(address, text, sizeof text);
	int len;

	if (st != TOFU_OK)
		return st;
	len = snprintf(out, capacity, "%s|%s", t->scheme, text);
	return len >= 0 && (size_t)len < capacity ? TOFU_OK : TOFU_INVALID_ADDRESS;
}

static enum tofu_status unix_local_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                           size_t capacity)
{
	const struct socket_file *file = link->state;
	struct tofu_sockaddr address;
	enum tofu_status st = is_inherited(link) ? tofu_inherited_local(&file->inherited, &address)
	                                         : tofu_socket_local(link->handle, &address);

	return st == TOFU_OK ? write_address(t, &address, out, capacity) : st;
}

static enum tofu_status unix_peer_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                          size_t capacity)
{
	struct tofu_sockaddr address;
	enum tofu_status st = tofu_socket_peer(link->handle, &address);

	return st == TOFU_OK ? write_address(t, &address, out, capacity) : st;
}

static void unix_identify(const struct tofu_transport *t, const struct tofu_link *link, struct tofu_identity *out)
{
	tofu_socket_identify(link->handle, out);
}

/* A user, whatever process it is. */
static size_t unix_peer_key(const struct tofu_transport *t, const struct tofu_link *link, unsigned char *key,
                            size_t capacity)
{
	struct tofu_identity peer;

	tofu_socket_identify(link->handle, &peer);
	if (peer.uid < 0 || capacity < sizeof peer.uid)
		return 0;
	memcpy(key, &peer.uid, sizeof peer.uid);
	return sizeof peer.uid;
}

static const struct tofu_transport plain = {
	.abi = TOFU_TRANSPORT_ABI,
	.scheme = "uds",
	.resolve = unix_resolve,
	.listen = unix_listen,
	.accept = unix_accept,
	.connect_start = unix_connect_start,
	.connect_finish = unix_connect_finish,
	.send = unix_send,
	.receive = unix_receive,
	.shutdown = unix_shutdown,
	.close = unix_close,
	.local_address = unix_local_address,
	.peer_address = unix_peer_address,
	.complete = unix_complete,
	.form = TOFU_FORM_PATH,
	.url = "unix",
	.peer_key = unix_peer_key,
	.identify = unix_identify,
};

const struct tofu_transport *tofu_unix(void)
{
	return &plain;
}

void tofu_unix_options_init(struct tofu_unix_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

static size_t config_size(const struct tofu_unix_options *o)
{
	return sizeof(struct config) + (o->allowed_uid_count + o->allowed_gid_count) * sizeof(uint32_t);
}

static void copy_lists(struct config *config, const struct tofu_unix_options *o)
{
	config->uid_count = o->allowed_uid_count;
	config->gid_count = o->allowed_gid_count;
	if (config->uid_count > 0)
		memcpy(config->allowed, o->allowed_uids, config->uid_count * sizeof config->allowed[0]);
	if (config->gid_count > 0)
		memcpy(config->allowed + config->uid_count, o->allowed_gids,
		       config->gid_count * sizeof config->allowed[0]);
}

static void configure(struct config *config, const struct tofu_unix_options *o, uint32_t owner, uint32_t group)
{
	copy_lists(config, o);
	config->owner = owner;
	config->group = group;
	tofu_listen_options_init(&config->listen, sizeof config->listen);
	config->listen.backlog = o->backlog;
	config->listen.mode = o->mode;
	config->listen.owner = o->owner != NULL ? &config->owner : NULL;
	config->listen.group = o->group != NULL ? &config->group : NULL;
}

enum tofu_status tofu_unix_create(const struct tofu_unix_options *options, struct tofu_transport **out)
{
	struct tofu_unix_options o;
	uint32_t owner = 0, group = 0;
	enum tofu_status st;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	st = tofu_options_take(options, &o, sizeof o);
	if (st == TOFU_OK && (o.mode & ~0777u) != 0)
		st = TOFU_NOT_ALLOWED;
	if (st == TOFU_OK)
		st = tofu_users_check(o.allowed_uids, o.allowed_uid_count);
	if (st == TOFU_OK)
		st = tofu_users_check(o.allowed_gids, o.allowed_gid_count);
	if (st == TOFU_OK && o.owner != NULL)
		st = tofu_users_find(o.owner, &owner);
	if (st == TOFU_OK && o.group != NULL)
		st = tofu_users_find_group(o.group, &group);
	if (st == TOFU_OK)
		st = tofu_transport_create(&plain, o.scheme, config_size(&o), NULL, out);
	if (st == TOFU_OK)
		configure((*out)->config, &o, owner, group);
	return st;
}
