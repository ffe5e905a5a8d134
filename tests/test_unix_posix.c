/* SPDX-License-Identifier: MIT */

/*
 * Socket files as only POSIX has them: modes, users, sockets of other types, links, $TMPDIR, and races between processes made
 * by fork(). The rest is in test_unix.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/sockets.h"
#include "lib/steps.h"
#include "lib/system.h"
#include "lib/unix_files.h"

/* Else lstat() fails for a file whose number is a long one, and a stale socket there is in use for ever: configure sees to it. */
_Static_assert(sizeof(ino_t) == 8 && sizeof(off_t) == 8, "numbers of files have 64 bits");

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

START_TEST(only_the_user_may_connect_whatever_the_umask)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };

	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		mode_t before = umask(masks[i]);
		struct tofu_link listener;

		ck_status(listen_on(&listener, path), TOFU_OK);
		umask(before);
		ck_assert_uint_eq(status_of(path).st_mode & 07777, 0600);
		close_link(&listener);
	}
}
END_TEST

static struct tofu_transport *instance_with(uint32_t mode, uint32_t backlog)
{
	struct tofu_unix_options o;
	struct tofu_transport *t;

	tofu_unix_options_init(&o, sizeof o);
	o.mode = mode;
	o.backlog = backlog;
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	return t;
}

START_TEST(a_listener_of_an_instance_has_its_mode_whatever_the_umask)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0777, 0200 };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct tofu_transport *t = instance_with(modes[i], 0);
		struct tofu_sockaddr address = address_of(path);
		struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
		mode_t before = umask(077);

		ck_status(t->listen(t, &listener, &address), TOFU_OK);
		umask(before);
		ck_assert_uint_eq(status_of(path).st_mode & 07777, modes[i]);
		t->close(t, &listener, TOFU_CLOSE_ORDERLY);
		tofu_transport_destroy(t);
	}
}
END_TEST

START_TEST(a_mode_has_nothing_beyond_0777)
{
	struct tofu_transport *t;
	struct tofu_unix_options o;

	tofu_unix_options_init(&o, sizeof o);
	o.mode = 01777;
	ck_status(tofu_unix_create(&o, &t), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(t);
}
END_TEST

/* owner and group */

enum { STRANGER = 65534, FOREIGN_GROUP = 54321 }; /* FOREIGN_GROUP has no name, and nobody is in it */

static bool is_root(void)
{
	if (geteuid() != 0)
		printf("skipped: a part that only root can do\n");
	return geteuid() == 0;
}

static struct tofu_unix_options owned_by(const char *owner, const char *group, uint32_t mode)
{
	struct tofu_unix_options o;

	tofu_unix_options_init(&o, sizeof o);
	o.owner = owner;
	o.group = group;
	o.mode = mode;
	return o;
}

static enum tofu_status listen_with(const struct tofu_unix_options *o, struct stat *out)
{
	struct tofu_sockaddr address = address_of(path);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	struct tofu_transport *t;
	enum tofu_status st = tofu_unix_create(o, &t);

	if (st != TOFU_OK)
		return st;
	st = t->listen(t, &listener, &address);
	if (st == TOFU_OK) {
		*out = status_of(path);
		t->close(t, &listener, TOFU_CLOSE_ORDERLY);
	}
	tofu_transport_destroy(t);
	return st;
}

START_TEST(a_socket_file_has_the_owner_and_the_group_of_the_options)
{
	struct tofu_unix_options o = owned_by("65534", "54321", 0660);
	struct stat st;

	if (!is_root())
		return;
	ck_status(listen_with(&o, &st), TOFU_OK);
	ck_assert_uint_eq(st.st_uid, STRANGER);
	ck_assert_uint_eq(st.st_gid, FOREIGN_GROUP);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	o = owned_by(NULL, "54321", 0);
	ck_status(listen_with(&o, &st), TOFU_OK);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_gid, FOREIGN_GROUP);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert(!os_file_exists(path));
}
END_TEST

START_TEST(an_owner_and_a_group_are_named_or_numbered)
{
	struct tofu_unix_options o = owned_by("root", "root", 0);
	struct stat st;

	if (!is_root())
		return;
	ck_assert_int_eq(setegid(FOREIGN_GROUP), 0);
	ck_status(listen_with(&o, &st), TOFU_OK);
	ck_assert_int_eq(setegid(0), 0);
	ck_assert_uint_eq(st.st_uid, 0);
	ck_assert_uint_eq(st.st_gid, 0);
}
END_TEST

START_TEST(a_user_or_group_that_there_is_not_is_not_allowed)
{
	static const char *const none[] = { "", "no such user", "-1", "4294967295", "99999999999999999999", "1x" };
	struct stat st;

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct tofu_unix_options user = owned_by(none[i], NULL, 0), group = owned_by(NULL, none[i], 0);

		ck_status(listen_with(&user, &st), TOFU_NOT_ALLOWED);
		ck_status(listen_with(&group, &st), TOFU_NOT_ALLOWED);
	}
}
END_TEST

/* A child of its own becomes that user, with that group and one more. */
struct as_user {
	uid_t uid;
	gid_t gid, more;
	enum tofu_status (*act)(void);
};

static int become_and_act(void *context)
{
	const struct as_user *as = context;

	if (setgroups(1, &as->more) != 0 || setresgid(as->gid, as->gid, as->gid) != 0 ||
	    setresuid(as->uid, as->uid, as->uid) != 0)
		return -2;
	return (int)as->act();
}

static enum tofu_status act_as(uid_t uid, gid_t gid, gid_t more, enum tofu_status (*act)(void))
{
	struct as_user as = { uid, gid, more, act };
	int result = os_in_fork(become_and_act, &as);

	ck_assert_int_ge(result, 0);
	return (enum tofu_status)result;
}

static enum tofu_status listen_for_root(void)
{
	struct tofu_unix_options o = owned_by("0", NULL, 0);
	struct stat st;

	return listen_with(&o, &st);
}

static enum tofu_status listen_for_roots_group(void)
{
	struct tofu_unix_options o = owned_by(NULL, "0", 0660);
	struct stat st;

	return listen_with(&o, &st);
}

START_TEST(a_file_that_may_not_be_given_away_is_permission_denied_and_gone)
{
	if (!is_root())
		return;
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_status(act_as(STRANGER, STRANGER, STRANGER, listen_for_root), TOFU_PERMISSION_DENIED);
	ck_status(act_as(STRANGER, STRANGER, STRANGER, listen_for_roots_group), TOFU_PERMISSION_DENIED);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

/* An unprivileged user may give a file to a group that he is in. */
static enum tofu_status listen_for_my_group(void)
{
	struct tofu_unix_options o = owned_by(NULL, "54321", 0660);
	struct stat st;
	enum tofu_status status = listen_with(&o, &st);

	return status == TOFU_OK && st.st_gid != FOREIGN_GROUP ? TOFU_UNKNOWN_ERROR : status;
}

static enum tofu_status call_path(void)
{
	struct tofu_link client;
	enum tofu_status st = connect_to(&client, path);

	if (st == TOFU_OK)
		close_link(&client);
	return st;
}

START_TEST(a_member_of_the_files_group_may_connect_and_a_stranger_may_not)
{
	struct tofu_unix_options o = owned_by(NULL, "54321", 0660);
	struct tofu_sockaddr address = address_of(path);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	struct tofu_transport *t;

	if (!is_root())
		return;
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_status(act_as(STRANGER, STRANGER, FOREIGN_GROUP, listen_for_my_group), TOFU_OK);
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	ck_status(t->listen(t, &listener, &address), TOFU_OK);
	ck_status(act_as(STRANGER, STRANGER, FOREIGN_GROUP, call_path), TOFU_OK);
	ck_status(act_as(STRANGER, FOREIGN_GROUP, STRANGER, call_path), TOFU_OK);
	ck_status(act_as(STRANGER, STRANGER, STRANGER, call_path), TOFU_PERMISSION_DENIED);
	t->close(t, &listener, TOFU_CLOSE_ORDERLY);
	tofu_transport_destroy(t);
}
END_TEST

/* who the peer is */

static struct tofu_identity peer_of(const struct tofu_link *link)
{
	struct tofu_identity out = { -1, -1, -1, "" };

	tofu_unix()->identify(tofu_unix(), link, &out);
	return out;
}

static struct tofu_link next_caller(const struct tofu_transport *t, struct tofu_link *listener)
{
	struct tofu_link link = { .handle = TOFU_NO_SOCKET };

	ck_assert(test_wait(listener->handle, TOFU_READABLE));
	ck_status(t->accept(t, listener, &link), TOFU_OK);
	return link;
}

START_TEST(either_end_knows_the_others_process)
{
	struct tofu_link listener, client, server;

	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_status(connect_to(&client, path), TOFU_OK);
	server = next_caller(tofu_unix(), &listener);
	for (int i = 0; i < 2; i++) {
		struct tofu_identity peer = peer_of(i == 0 ? &client : &server);

		ck_assert_int_eq(peer.uid, geteuid());
		ck_assert_int_eq(peer.gid, getegid());
		ck_assert_int_eq(peer.pid, getpid());
		ck_assert_str_eq(peer.text, "");
	}
	close_link(&client);
	close_link(&server);
	close_link(&listener);
}
END_TEST

/* The connection waits to be accepted; who made it has ended by then. */
START_TEST(a_caller_of_another_user_is_known_as_such)
{
	struct tofu_link listener, server;
	struct tofu_identity peer;

	if (!is_root())
		return;
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_status(act_as(STRANGER, FOREIGN_GROUP, STRANGER, call_path), TOFU_OK);
	server = next_caller(tofu_unix(), &listener);
	peer = peer_of(&server);
	ck_assert_int_eq(peer.uid, STRANGER);
	ck_assert_int_eq(peer.gid, FOREIGN_GROUP);
	ck_assert_int_gt(peer.pid, 0);
	ck_assert_int_ne(peer.pid, getpid());
	close_link(&server);
	close_link(&listener);
}
END_TEST

START_TEST(of_a_tcp_peer_and_of_no_socket_nothing_is_known)
{
	struct sockets_listener tcp;
	intptr_t ends[2];

	sockets_listen(SOCKETS_TCP, &tcp);
	sockets_pair(&tcp, ends);
	for (int i = 0; i < 2; i++) {
		struct tofu_identity peer = { 1, 1, 1, "x" };

		tofu_socket_identify(i == 0 ? ends[0] : TOFU_NO_SOCKET, &peer);
		ck_assert_int_eq(peer.uid, -1);
		ck_assert_int_eq(peer.gid, -1);
		ck_assert_int_eq(peer.pid, -1);
		ck_assert_str_eq(peer.text, "x");
	}
	sockets_close(ends[0]);
	sockets_close(ends[1]);
	sockets_unlisten(&tcp);
}
END_TEST

/* who may come in */

static struct tofu_transport *allowing(const uint32_t *uids, size_t uid_count, const uint32_t *gids, size_t gid_count)
{
	struct tofu_unix_options o = owned_by(NULL, NULL, 0666);
	struct tofu_transport *t;

	o.allowed_uids = uids;
	o.allowed_uid_count = uid_count;
	o.allowed_gids = gids;
	o.allowed_gid_count = gid_count;
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	return t;
}

static void listen_by(const struct tofu_transport *t, struct tofu_link *listener, const char *at)
{
	struct tofu_sockaddr address = address_of(at);

	*listener = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	ck_status(t->listen(t, listener, &address), TOFU_OK);
}

/* The next caller is answered like that; if it may not come in, its connection is open. */
static void expect_next(const struct tofu_transport *t, struct tofu_link *listener, enum tofu_status expected)
{
	struct tofu_link link = { .handle = TOFU_NO_SOCKET };

	ck_assert(test_wait(listener->handle, TOFU_READABLE));
	ck_status(t->accept(t, listener, &link), expected);
	ck_assert_int_ne(link.handle, TOFU_NO_SOCKET);
	t->close(t, &link, TOFU_CLOSE_ABORT);
}

static void give_up(struct tofu_transport *t, struct tofu_link *listener)
{
	t->close(t, listener, TOFU_CLOSE_ORDERLY);
	tofu_transport_destroy(t);
}

START_TEST(who_is_on_neither_list_does_not_come_in)
{
	const uint32_t uids[] = { 4000000001, 4000000002 }, gids[] = { 4000000003 };
	struct tofu_transport *t = allowing(uids, 2, gids, 1);
	struct tofu_link listener;

	listen_by(t, &listener, path);
	ck_status(call_path(), TOFU_OK);
	expect_next(t, &listener, TOFU_PERMISSION_DENIED);
	ck_status(call_path(), TOFU_OK);
	expect_next(t, &listener, TOFU_PERMISSION_DENIED);
	give_up(t, &listener);
}
END_TEST

/* The lists may go: they were copied. */
START_TEST(who_is_on_one_of_the_lists_comes_in)
{
	uint32_t ids[] = { 4000000001, _i == 0 ? geteuid() : getegid() };
	struct tofu_transport *t = _i == 0 ? allowing(ids, 2, NULL, 0) : allowing(NULL, 0, ids, 2);
	struct tofu_link listener;

	ids[1] = 4000000002;
	listen_by(t, &listener, path);
	ck_status(call_path(), TOFU_OK);
	expect_next(t, &listener, TOFU_OK);
	give_up(t, &listener);
}
END_TEST

START_TEST(allowed_users_and_members_of_allowed_groups_come_in_and_strangers_and_root_do_not)
{
	const uint32_t uid = 1001, gid = FOREIGN_GROUP;
	struct tofu_transport *t;
	struct tofu_link listener;

	if (!is_root())
		return;
	t = allowing(&uid, 1, &gid, 1);
	listen_by(t, &listener, path);
	ck_status(act_as(1001, STRANGER, STRANGER, call_path), TOFU_OK);
	expect_next(t, &listener, TOFU_OK);
	ck_status(act_as(STRANGER, FOREIGN_GROUP, STRANGER, call_path), TOFU_OK);
	expect_next(t, &listener, TOFU_OK);
	ck_status(act_as(STRANGER, STRANGER, FOREIGN_GROUP, call_path), TOFU_OK);
	expect_next(t, &listener, TOFU_OK);
	ck_status(act_as(STRANGER, STRANGER, STRANGER, call_path), TOFU_OK);
	expect_next(t, &listener, TOFU_PERMISSION_DENIED);
	ck_status(call_path(), TOFU_OK);
	expect_next(t, &listener, TOFU_PERMISSION_DENIED);
	give_up(t, &listener);
}
END_TEST

enum { MANY_GROUPS = 1000 };

static int call_with_many_groups(void *context)
{
	gid_t groups[MANY_GROUPS];

	for (unsigned i = 0; i < MANY_GROUPS; i++)
		groups[i] = 100000 + i;
	if (setgroups(MANY_GROUPS, groups) != 0 || setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
	    setresuid(STRANGER, STRANGER, STRANGER) != 0)
		return -2;
	return (int)call_path();
}

START_TEST(a_member_of_a_thousand_groups_is_a_member_of_the_last)
{
	const uint32_t gid = 100000 + MANY_GROUPS - 1;
	struct tofu_transport *t;
	struct tofu_link listener;

	if (!is_root())
		return;
	t = allowing(NULL, 0, &gid, 1);
	listen_by(t, &listener, path);
	ck_assert_int_eq(os_in_fork(call_with_many_groups, NULL), TOFU_OK);
	expect_next(t, &listener, TOFU_OK);
	give_up(t, &listener);
}
END_TEST

START_TEST(a_list_that_is_none_is_not_allowed)
{
	static const uint32_t none[] = { 0, UINT32_MAX };
	static const struct {
		const uint32_t *ids;
		size_t count;
	} bad[] = { { NULL, 1 }, { none, 2 }, { none, 65537 }, { none, SIZE_MAX / 2 } };

	for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0]; i++) {
		struct tofu_unix_options o = owned_by(NULL, NULL, 0);
		struct tofu_transport *t;

		*(i % 2 != 0 ? &o.allowed_uids : &o.allowed_gids) = bad[i / 2].ids;
		*(i % 2 != 0 ? &o.allowed_uid_count : &o.allowed_gid_count) = bad[i / 2].count;
		ck_status(tofu_unix_create(&o, &t), TOFU_NOT_ALLOWED);
		ck_assert_ptr_null(t);
	}
}
END_TEST

START_TEST(whom_a_listener_denies_it_closes_and_goes_on)
{
	const uint32_t nobody = 4000000001;
	struct tofu_unix_options o = owned_by(NULL, NULL, 0);
	struct tofu_transport *t;
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	char address[sizeof path + 8];
	struct listening at;
	tofu_msg *msg;

	o.scheme = "closed";
	o.allowed_uids = &nobody;
	o.allowed_uid_count = 1;
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	snprintf(address, sizeof address, "closed|%s", path);
	listen_at(&server, address, &at);
	for (int i = 0; i < 3; i++) {
		struct tofu_header hello;

		snprintf(address, sizeof address, "uds|%s", path);
		hello = call(&client, address, "hello");
		msg = take(&client);
		ck_assert_int_eq(tofu_msg_header(msg)->status, TOFU_PEER_DISCONNECTED);
		tofu_msg_put(&msg);
		expect_end(&client, hello.channel, hello.id, TOFU_PEER_DISCONNECTED);
	}
	ck_assert_uint_eq(stats_of(engine).callers_refused, 3);
	expect_silence(&server);
	engine_down(engine);
}
END_TEST

/* Its path is what it likes, and it is told to people. */
START_TEST(the_path_of_a_caller_cannot_break_a_line)
{
	struct tofu_channel_info info = { .size = sizeof info };
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;
	struct tofu_sockaddr to;
	tofu_msg *msg;
	int fd;

	listen_over(&side, OVER_UDS, &at);
	(void)snprintf(path, sizeof path, "%s/a\nb", dir);
	fd = bind_raw(SOCK_STREAM);
	works(tofu_sockaddr_unix(path_of(at.address), &to));
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)to.bytes, (socklen_t)to.len), 0);
	raw_take(&peer, fd);
	raw_hello(&peer, 1);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	works(tofu_channel_inspect(side.group, tofu_msg_header(msg)->channel, &info));
	ck_assert_ptr_nonnull(strstr(info.peer, "/a?b"));
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Callers are told apart by their users. */
static size_t key_of(const struct tofu_link *link, unsigned char key[16])
{
	return tofu_unix()->peer_key(tofu_unix(), link, key, 16);
}

START_TEST(each_user_has_connections_of_its_own_to_be_counted)
{
	struct tofu_link listener, mine[2], other;
	unsigned char keys[3][16];

	if (!is_root())
		return;
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	for (int i = 0; i < 2; i++) {
		ck_status(act_as(0, STRANGER, STRANGER, call_path), TOFU_OK);
		mine[i] = next_caller(tofu_unix(), &listener);
		ck_assert_uint_eq(key_of(&mine[i], keys[i]), sizeof(int64_t));
	}
	ck_status(act_as(STRANGER, STRANGER, STRANGER, call_path), TOFU_OK);
	other = next_caller(tofu_unix(), &listener);
	ck_assert_uint_eq(key_of(&other, keys[2]), sizeof(int64_t));
	ck_assert_mem_eq(keys[0], keys[1], sizeof(int64_t));
	ck_assert_mem_ne(keys[0], keys[2], sizeof(int64_t));
	ck_assert_uint_eq(tofu_unix()->peer_key(tofu_unix(), &other, keys[0], 4), 0);
	for (int i = 0; i < 2; i++)
		close_link(&mine[i]);
	close_link(&other);
	close_link(&listener);
}
END_TEST

/* abstract names */

/* One that nobody else has. */
static const char *name(void)
{
	static char text[sizeof dir + 1];

	snprintf(text, sizeof text, "@%s", dir);
	return text;
}

static const char *address_text(const char *rest)
{
	static char text[300];

	snprintf(text, sizeof text, "uds|%s", rest);
	return text;
}

START_TEST(two_ends_meet_at_an_abstract_name_and_no_file_is_made)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	tofu_msg *msg;

	os_change_directory(dir);
	listen_at(&server, address_text(name()), &at);
	ck_assert_str_eq(at.address, address_text(name()));
	(void)call(&client, at.address, "hello");
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	(void)answer(&server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	listen_fails(&client, at.address, TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(os_files_in(dir), 0);
	engine_down(engine);
	os_change_directory("/");
}
END_TEST

START_TEST(an_abstract_name_is_free_when_its_listener_has_closed)
{
	struct tofu_link listener, client;

	ck_status(connect_to(&client, name()), TOFU_CONNECT_FAILED);
	for (int i = 0; i < 2; i++) {
		ck_status(listen_on(&listener, name()), TOFU_OK);
		expect_reachable(name());
		close_link(&listener);
		ck_status(connect_to(&client, name()), TOFU_CONNECT_FAILED);
	}
}
END_TEST

START_TEST(both_ends_tell_an_abstract_name)
{
	struct tofu_link listener, client, server;
	char text[200];

	ck_status(listen_on(&listener, name()), TOFU_OK);
	ck_status(connect_to(&client, name()), TOFU_OK);
	server = next_caller(tofu_unix(), &listener);
	ck_status(tofu_unix()->local_address(tofu_unix(), &listener, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, address_text(name()));
	ck_status(tofu_unix()->peer_address(tofu_unix(), &client, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, address_text(name()));
	ck_status(tofu_unix()->peer_address(tofu_unix(), &server, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "uds|");
	close_link(&client);
	close_link(&server);
	close_link(&listener);
}
END_TEST

/* Each byte counts: one name is not the beginning of another. */
START_TEST(an_abstract_name_has_up_to_107_bytes_and_each_of_them_counts)
{
	struct tofu_link shorter, longest, other;
	struct tofu_sockaddr address;
	char text[110];

	memset(text, 'x', sizeof text);
	memcpy(text, name(), strlen(name()));
	text[108] = '\0';
	ck_status(listen_on(&longest, text), TOFU_OK);
	text[107] = '\0';
	ck_status(listen_on(&shorter, text), TOFU_OK);
	text[106] = '\0';
	ck_status(connect_to(&other, text), TOFU_CONNECT_FAILED);
	text[106] = text[107] = text[108] = 'x';
	text[109] = '\0';
	ck_status(tofu_sockaddr_unix(text, &address), TOFU_PATH_TOO_LONG);
	ck_status(tofu_sockaddr_unix("@", &address), TOFU_INVALID_ADDRESS);
	close_link(&shorter);
	close_link(&longest);
}
END_TEST

START_TEST(a_file_may_have_the_name_of_an_abstract_one)
{
	struct tofu_link file, abstract;
	char text[200];

	os_change_directory(dir);
	ck_status(listen_on(&abstract, "@name"), TOFU_OK);
	ck_assert_uint_eq(os_files_in(dir), 0);
	ck_status(listen_on(&file, "./@name"), TOFU_OK);
	ck_assert(os_file_exists("@name"));
	ck_status(tofu_unix()->local_address(tofu_unix(), &file, text, sizeof text), TOFU_OK);
	ck_assert_str_eq(text, "uds|./@name");
	close_link(&abstract);
	expect_reachable("./@name");
	close_link(&file);
	ck_assert_uint_eq(os_files_in(dir), 0);
	os_change_directory("/");
}
END_TEST

static enum tofu_status call_name(void)
{
	struct tofu_link client;
	enum tofu_status st = connect_to(&client, name());

	if (st == TOFU_OK)
		close_link(&client);
	return st;
}

/* Who may come in at an abstract name: the owner, a member by its gid, a member by another group, root, a stranger. */
static const struct {
	const char *owner, *group;
	uint32_t mode;
	bool comes_in[5];
} doors[] = {
	{ "1001", "54321", 0, { true, false, false, true, false } },
	{ "1001", "54321", 0660, { true, true, true, true, false } },
	{ "1001", "54321", 0666, { true, true, true, true, true } },
	{ "1001", "54321", 0606, { true, false, false, true, true } },
	{ "1001", "54321", 0066, { false, true, true, true, true } },
	{ NULL, NULL, 0, { false, false, false, true, false } },
};
enum { DOORS = sizeof doors / sizeof doors[0] };

static void expect_at_the_door(const struct tofu_transport *t, struct tofu_link *listener, const bool comes_in[5])
{
	static const struct {
		uid_t uid;
		gid_t gid, more;
	} callers[5] = {
		{ 1001, 1001, 1001 }, { STRANGER, FOREIGN_GROUP, STRANGER }, { STRANGER, STRANGER, FOREIGN_GROUP },
		{ 0, 1001, 1001 },    { STRANGER, STRANGER, STRANGER },
	};

	for (int i = 0; i < 5; i++) {
		ck_status(act_as(callers[i].uid, callers[i].gid, callers[i].more, call_name), TOFU_OK);
		expect_next(t, listener, comes_in[i] ? TOFU_OK : TOFU_PERMISSION_DENIED);
	}
}

START_TEST(at_an_abstract_name_owner_group_and_mode_say_who_comes_in)
{
	struct tofu_unix_options o = owned_by(doors[_i].owner, doors[_i].group, doors[_i].mode);
	struct tofu_link listener;
	struct tofu_transport *t;

	if (!is_root())
		return;
	ck_status(tofu_unix_create(&o, &t), TOFU_OK);
	listen_by(t, &listener, name());
	expect_at_the_door(t, &listener, doors[_i].comes_in);
	give_up(t, &listener);
}
END_TEST

START_TEST(without_options_only_this_user_and_root_come_in_at_an_abstract_name)
{
	static const bool only_root[5] = { false, false, false, true, false };
	struct tofu_link listener;

	listen_by(tofu_unix(), &listener, name());
	ck_status(call_name(), TOFU_OK);
	expect_next(tofu_unix(), &listener, TOFU_OK);
	if (is_root()) {
		expect_at_the_door(tofu_unix(), &listener, only_root);
		ck_assert_int_eq(seteuid(STRANGER), 0);
		ck_status(call_name(), TOFU_OK);
		expect_next(tofu_unix(), &listener, TOFU_OK);
		ck_assert_int_eq(seteuid(0), 0);
	}
	close_link(&listener);
}
END_TEST

START_TEST(at_an_abstract_name_the_lists_alone_say_who_comes_in)
{
	static const bool listed[5] = { false, true, true, false, false };
	const uint32_t gid = FOREIGN_GROUP;
	struct tofu_link listener;
	struct tofu_transport *t;

	if (!is_root())
		return;
	t = allowing(NULL, 0, &gid, 1);
	listen_by(t, &listener, name());
	expect_at_the_door(t, &listener, listed);
	give_up(t, &listener);
}
END_TEST

/* The system may let one more wait than it was told. */
START_TEST(no_more_callers_wait_than_the_instance_says)
{
	struct tofu_transport *t = instance_with(0, 4);
	struct tofu_sockaddr address = address_of(path);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	intptr_t callers[16];
	int waiting = 0;

	ck_status(t->listen(t, &listener, &address), TOFU_OK);
	while (waiting < 16 && tofu_socket_connect(&address, &callers[waiting]) == TOFU_OK)
		waiting++;
	ck_assert_int_ge(waiting, 4);
	ck_assert_int_le(waiting, 5);
	while (waiting > 0)
		tofu_socket_close(callers[--waiting], TOFU_CLOSE_ORDERLY);
	t->close(t, &listener, TOFU_CLOSE_ORDERLY);
	tofu_transport_destroy(t);
}
END_TEST

START_TEST(the_file_stays_when_its_listener_is_forgotten)
{
	struct tofu_link listener;
	int status;
	pid_t child;

	ck_status(listen_on(&listener, path), TOFU_OK);
	child = fork();
	if (child == 0) {
		tofu_unix()->close(tofu_unix(), &listener, TOFU_CLOSE_FORGET);
		_exit(listener.state == NULL && os_file_exists(path) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	expect_reachable(path);
	close_link(&listener);
	ck_assert(!os_file_exists(path));
}
END_TEST

/* A full backlog is EAGAIN on Linux, not ECONNREFUSED; a client is told to try again. */
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
	ck_status(st, TOFU_WOULD_BLOCK);
	ck_assert_int_eq(clients[count - 1].handle, TOFU_NO_SOCKET);
	ck_status(listen_on(&thief, path), TOFU_ADDRESS_IN_USE);
	ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
	ck_assert_uint_eq(os_files_in(dir), 1);
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
		ck_status(listen_on(&thief, path), TOFU_ADDRESS_IN_USE);
		ck_assert_uint_eq(status_of(path).st_ino, before.st_ino);
		close(owner);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(a_link_to_a_stale_socket_is_still_a_link)
{
	struct tofu_link listener;
	char target[128];

	snprintf(target, sizeof target, "%s/target", dir);
	leave_stale(target);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_status(listen_on(&listener, path), TOFU_ADDRESS_IN_USE);
	ck_assert(S_ISLNK(status_of(path).st_mode));
	ck_assert(os_file_exists(target));
}
END_TEST

/* more callers than a listener has room for */

/* A listener of another program, with a queue of a few places; it accepts nobody yet. */
static int listen_raw(void)
{
	int owner = bind_raw(SOCK_STREAM);

	ck_assert_int_eq(listen(owner, 4), 0);
	return owner;
}

START_TEST(callers_that_find_a_full_queue_wait_for_their_turn)
{
	enum { MANY = 5000 };
	const unsigned limit = os_raise_descriptor_limit();
	unsigned many = rounds(MANY);
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	int owner = listen_raw();
	char address[sizeof path + 8];
	tofu_msg *msg;
	int *taken;

	if (many > limit / 2 - 100)
		many = limit / 2 - 100;
	taken = calloc(many, sizeof *taken);
	ck_assert_ptr_nonnull(taken);
	snprintf(address, sizeof address, "uds|%s", path);
	for (unsigned i = 0; i < many; i++)
		(void)call(&side, address, "hello");
	for (unsigned i = 0; i < many; i++) {
		must(os_wait(owner, OS_READABLE, PATIENCE_NS) != 0, "only %u of %u got through", i, many);
		taken[i] = accept(owner, NULL, NULL);
		ck_assert_int_ge(taken[i], 0);
	}
	ck_status(tofu_receive(side.group, &msg, 0), TOFU_TIMEOUT);
	engine_down(engine);
	for (unsigned i = 0; i < many; i++)
		close(taken[i]);
	free(taken);
	close(owner);
}
END_TEST

START_TEST(who_waits_for_a_full_queue_sleeps_and_ends_with_the_handshake_time)
{
	enum { MANY = 20, TIME_MS = 1000 };
	struct tofu_options options = options_with_pool(256);
	int owner = listen_raw();
	char address[sizeof path + 8];
	struct tofu_stats before, after;
	tofu_engine *engine;
	struct side side;
	int ended = 0;

	options.handshake_timeout_ms = TIME_MS;
	engine = engine_up(&options);
	side = side_in(engine);
	snprintf(address, sizeof address, "uds|%s", path);
	before = stats_of(engine);
	for (int i = 0; i < MANY; i++)
		(void)call(&side, address, "hello");
	while (ended < MANY - 5) { /* those in the queue are connected, and wait for an answer */
		tofu_msg *msg = take(&side);

		if (tofu_msg_header(msg)->status == TOFU_CHANNEL_CLOSED) {
			ck_assert_int_eq(tofu_msg_header(msg)->reason, TOFU_TIMEOUT);
			ended++;
		}
		tofu_msg_put(&msg);
	}
	after = stats_of(engine);
	must(after.wakeups - before.wakeups < 400, "%lu wake-ups", (unsigned long)(after.wakeups - before.wakeups));
	engine_down(engine);
	close(owner);
}
END_TEST

/* the lock */

/* Another user may lock whatever he can read, for as long as he likes. */
START_TEST(a_strangers_lock_on_the_directory_is_in_nobodys_way)
{
	struct tofu_link listener;
	int stranger = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(stranger, 0);
	ck_assert_int_eq(flock(stranger, LOCK_EX | LOCK_NB), 0);
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	expect_reachable(path);
	ck_assert_uint_eq(os_files_in(dir), 1);
	close_link(&listener);
	close(stranger);
}
END_TEST

/* Whatever stands in the lock's place: ways to make it. */

static void plant_link(const char *at)
{
	ck_assert_int_eq(symlink("victim", at), 0);
}

static void plant_link_to_nothing(const char *at)
{
	ck_assert_int_eq(symlink("nothing", at), 0);
}

static void plant_second_name(const char *at)
{
	char victim[128];

	snprintf(victim, sizeof victim, "%s/victim", dir);
	ck_assert_int_eq(link(victim, at), 0);
}

static void plant_pipe(const char *at)
{
	ck_assert_int_eq(mkfifo(at, 0666), 0);
}

static void plant_directory(const char *at)
{
	ck_assert_int_eq(mkdir(at, 0777), 0);
}

static void plant_text(const char *at)
{
	os_file_write(at, "12345");
	ck_assert_int_eq(chmod(at, 0600), 0);
}

static void plant_file_for_all(const char *at)
{
	os_file_write(at, "");
	ck_assert_int_eq(chmod(at, 0666), 0);
}

static void plant_strangers(const char *at)
{
	os_file_write(at, "");
	ck_assert_int_eq(chmod(at, 0600), 0);
	if (geteuid() == 0) /* else it cannot be given away */
		ck_assert_int_eq(chown(at, 65534, 65534), 0);
	else
		ck_assert_int_eq(chmod(at, 0), 0);
}

static void (*const plants[])(const char *) = { plant_link,         plant_link_to_nothing, plant_second_name,
	                                        plant_pipe,         plant_directory,       plant_text,
	                                        plant_file_for_all, plant_strangers };
enum { PLANTS = sizeof plants / sizeof plants[0] };

/* Its owner holds every lock on it that can be had. */
START_TEST(what_a_stranger_puts_in_the_locks_place_is_in_nobodys_way_and_stays)
{
	struct tofu_link listener;
	char lock[256], victim[128];
	struct stat before, after;
	int held;

	snprintf(lock, sizeof lock, "%s.tofu-lock", path);
	snprintf(victim, sizeof victim, "%s/victim", dir);
	os_file_write(victim, "");
	ck_assert_int_eq(chmod(victim, 0600), 0);
	plants[_i](lock);
	before = status_of(lock);
	held = open(lock, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (held >= 0)
		(void)flock(held, LOCK_EX | LOCK_NB);
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	expect_reachable(path);
	close_link(&listener);
	after = status_of(lock);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert(os_file_exists(victim));
	ck_assert_uint_eq(os_files_in(dir), 2);
	if (held >= 0)
		close(held);
	if (S_ISDIR(after.st_mode))
		rmdir(lock);
}
END_TEST

START_TEST(a_lock_that_a_dead_process_has_left_is_taken_over)
{
	struct tofu_link listener;
	char lock[256];
	int fd;

	snprintf(lock, sizeof lock, "%s.tofu-lock", path);
	fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	leave_stale(path);
	ck_status(listen_on(&listener, path), TOFU_OK);
	ck_assert_uint_eq(os_files_in(dir), 1);
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
	result = (char)listen_on(&listener, path);
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
	ck_assert_uint_eq(os_files_in(dir), 1);
	close(race.finish[1]);
	for (int i = 0; i < RACERS; i++)
		ck_assert_int_gt(wait(NULL), 0);
	close(race.start[0]);
	close(race.result[0]);
	close(race.result[1]);
	close(race.finish[0]);
	ck_assert_uint_eq(os_files_in(dir), 0);
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
		enum tofu_status st = listen_on(&listener, path);

		if (st == TOFU_ADDRESS_IN_USE)
			continue;
		if (st != TOFU_OK || flock(fd, LOCK_EX | LOCK_NB) != 0 || !os_file_exists(path))
			_exit(2);
		owned++;
		flock(fd, LOCK_UN);
		tofu_unix()->close(tofu_unix(), &listener,
		                   (owned + (int)seed) % 2 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_FORGET);
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

START_TEST(listen_where_the_user_may_not_write_gives_permission_denied)
{
	struct tofu_link listener;
	uid_t user = geteuid();

	ck_assert_int_eq(chmod(dir, 0555), 0);
	if (user == 0) /* root may write anywhere */
		ck_assert_int_eq(seteuid(65534), 0);
	ck_status(listen_on(&listener, path), TOFU_PERMISSION_DENIED);
	if (user == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_uint_eq(os_files_in(dir), 0);
}
END_TEST

static void expect_made_in(const char *directory)
{
	const char *made = made_path();
	size_t len = strlen(directory);

	ck_assert_msg(strncmp(made, directory, len) == 0, "%s is not in %s", made, directory);
	ck_assert_int_eq(strncmp(made + len, "/tofu-", 6), 0);
	ck_assert_ptr_null(strchr(made + len + 1, '/'));
	ck_assert_uint_le(strlen(made), PATH_MAX_BYTES);
}

/* Where Check does not fork, the next test would find it changed. */
static const char *temporary_before(void)
{
	static char before[1024];
	const char *now = getenv("TMPDIR");

	snprintf(before, sizeof before, "%s", now != NULL ? now : "");
	return now != NULL ? before : NULL;
}

START_TEST(made_paths_are_in_the_users_temporary_directory)
{
	const char *before = temporary_before();
	char slashes[90];

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
	os_set_variable("TMPDIR", before);
}
END_TEST

START_TEST(made_paths_fit_even_if_the_users_directory_is_too_long)
{
	const char *before = temporary_before();
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
	os_set_variable("TMPDIR", before);
}
END_TEST

static Suite *suite_of_unix_posix(void)
{
	Suite *s = suite_create("unix_posix");
	TCase *tc;

	tc = unix_case(s, "file");
	tcase_add_test(tc, only_the_user_may_connect_whatever_the_umask);
	tcase_add_test(tc, a_listener_of_an_instance_has_its_mode_whatever_the_umask);
	tcase_add_test(tc, a_mode_has_nothing_beyond_0777);
	tcase_add_test(tc, no_more_callers_wait_than_the_instance_says);
	tcase_add_test(tc, the_file_stays_when_its_listener_is_forgotten);

	tc = unix_case(s, "owner");
	tcase_add_test(tc, a_socket_file_has_the_owner_and_the_group_of_the_options);
	tcase_add_test(tc, an_owner_and_a_group_are_named_or_numbered);
	tcase_add_test(tc, a_user_or_group_that_there_is_not_is_not_allowed);
	tcase_add_test(tc, a_file_that_may_not_be_given_away_is_permission_denied_and_gone);
	tcase_add_test(tc, a_member_of_the_files_group_may_connect_and_a_stranger_may_not);

	tc = unix_case(s, "peer");
	tcase_add_test(tc, either_end_knows_the_others_process);
	tcase_add_test(tc, a_caller_of_another_user_is_known_as_such);
	tcase_add_test(tc, of_a_tcp_peer_and_of_no_socket_nothing_is_known);

	tc = unix_case(s, "admission");
	tcase_add_test(tc, who_is_on_neither_list_does_not_come_in);
	tcase_add_loop_test(tc, who_is_on_one_of_the_lists_comes_in, 0, 2);
	tcase_add_test(tc, allowed_users_and_members_of_allowed_groups_come_in_and_strangers_and_root_do_not);
	tcase_add_test(tc, a_member_of_a_thousand_groups_is_a_member_of_the_last);
	tcase_add_test(tc, a_list_that_is_none_is_not_allowed);
	tcase_add_test(tc, whom_a_listener_denies_it_closes_and_goes_on);
	tcase_add_test(tc, each_user_has_connections_of_its_own_to_be_counted);
	tcase_add_test(tc, the_path_of_a_caller_cannot_break_a_line);

	tc = unix_case(s, "abstract");
	tcase_add_test(tc, two_ends_meet_at_an_abstract_name_and_no_file_is_made);
	tcase_add_test(tc, an_abstract_name_is_free_when_its_listener_has_closed);
	tcase_add_test(tc, both_ends_tell_an_abstract_name);
	tcase_add_test(tc, an_abstract_name_has_up_to_107_bytes_and_each_of_them_counts);
	tcase_add_test(tc, a_file_may_have_the_name_of_an_abstract_one);
	tcase_add_loop_test(tc, at_an_abstract_name_owner_group_and_mode_say_who_comes_in, 0, DOORS);
	tcase_add_test(tc, without_options_only_this_user_and_root_come_in_at_an_abstract_name);
	tcase_add_test(tc, at_an_abstract_name_the_lists_alone_say_who_comes_in);

	tc = unix_case(s, "in use");
	tcase_add_test(tc, a_live_listener_with_a_full_backlog_is_never_stolen);
	tcase_add_test(tc, a_live_socket_of_another_type_is_never_stolen);
	tcase_add_test(tc, a_link_to_a_stale_socket_is_still_a_link);

	tc = unix_case(s, "full");
	tcase_add_test(tc, callers_that_find_a_full_queue_wait_for_their_turn);
	tcase_add_test(tc, who_waits_for_a_full_queue_sleeps_and_ends_with_the_handshake_time);

	tc = unix_case(s, "lock");
	tcase_add_test(tc, a_strangers_lock_on_the_directory_is_in_nobodys_way);
	tcase_add_loop_test(tc, what_a_stranger_puts_in_the_locks_place_is_in_nobodys_way_and_stays, 0, PLANTS);
	tcase_add_test(tc, a_lock_that_a_dead_process_has_left_is_taken_over);

	tc = unix_case(s, "race");
	tcase_add_test(tc, of_many_processes_at_one_stale_path_exactly_one_wins);
	tcase_add_test(tc, of_many_processes_at_one_free_path_exactly_one_wins);
	tcase_add_test(tc, a_path_never_has_two_owners_at_once);

	tc = unix_case(s, "failure");
	tcase_add_test(tc, listen_where_the_user_may_not_write_gives_permission_denied);

	tc = unix_case(s, "temporary");
	tcase_add_test(tc, made_paths_are_in_the_users_temporary_directory);
	tcase_add_test(tc, made_paths_fit_even_if_the_users_directory_is_too_long);
	return s;
}

int main(void)
{
	return unix_run(suite_of_unix_posix());
}
