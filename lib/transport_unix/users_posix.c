/* SPDX-License-Identifier: MIT */
/* Users and groups on POSIX. The buffer of a lookup is freed here; nothing else is allocated. */

#include "transport_unix/users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t), "their numbers fit");

enum {
	BUFFER_LEAST = 1024,
	BUFFER_MOST = 1 << 24, /* a group's has all its members */
	IDS_MOST = 65536,
	GROUPS_USUAL = 64 /* of one process */
};

/* What both lookups have in common: an errno, and *found if there is such a name. */
typedef int lookup(const char *name, char *buffer, size_t size, bool *found, uint32_t *out);

static int look_up_user(const char *name, char *buffer, size_t size, bool *found, uint32_t *out)
{
	struct passwd entry, *result = NULL;
	int error = getpwnam_r(name, &entry, buffer, size, &result);

	*found = result != NULL;
	if (*found)
		*out = result->pw_uid;
	return error;
}

static int look_up_group(const char *name, char *buffer, size_t size, bool *found, uint32_t *out)
{
	struct group entry, *result = NULL;
	int error = getgrnam_r(name, &entry, buffer, size, &result);

	*found = result != NULL;
	if (*found)
		*out = result->gr_gid;
	return error;
}

/* Some systems say ENOENT, ESRCH and others of a name that nobody has. */
static enum tofu_status not_found(int error)
{
	enum tofu_status st = tofu_system_status(error, TOFU_NOT_ALLOWED);

	return st == TOFU_LIMIT_REACHED || st == TOFU_ALLOCATION_FAILED ? st : TOFU_NOT_ALLOWED;
}

static enum tofu_status find_name(lookup *ask, const char *name, uint32_t *out)
{
	int error = ERANGE;
	bool found = false;

	for (size_t size = BUFFER_LEAST; error == ERANGE && size <= BUFFER_MOST; size *= 4) {
		char *buffer = malloc(size);

		if (buffer == NULL)
			return TOFU_ALLOCATION_FAILED;
		do
			error = ask(name, buffer, size, &found, out);
		while (error == EINTR);
		free(buffer);
	}
	return found ? TOFU_OK : not_found(error);
}

/* The highest number stands for none. */
static enum tofu_status parse_number(const char *digits, uint32_t *out)
{
	uint64_t value = 0;

	for (; *digits != '\0'; digits++) {
		value = value * 10 + (unsigned)(*digits - '0');
		if (value >= UINT32_MAX)
			return TOFU_NOT_ALLOWED;
	}
	*out = (uint32_t)value;
	return TOFU_OK;
}

static enum tofu_status find(lookup *ask, const char *name, uint32_t *out)
{
	if (name[0] == '\0')
		return TOFU_NOT_ALLOWED;
	if (name[strspn(name, "0123456789")] == '\0')
		return parse_number(name, out);
	return find_name(ask, name, out);
}

enum tofu_status tofu_users_find(const char *name, uint32_t *uid)
{
	return find(look_up_user, name, uid);
}

enum tofu_status tofu_users_find_group(const char *name, uint32_t *gid)
{
	return find(look_up_group, name, gid);
}

void tofu_users_own(uint32_t *uid, uint32_t *gid)
{
	*uid = geteuid();
	*gid = getegid();
}

enum tofu_status tofu_users_check(const uint32_t *ids, size_t count)
{
	if (count > IDS_MOST || (ids == NULL && count > 0))
		return TOFU_NOT_ALLOWED;
	for (size_t i = 0; i < count; i++)
		if (ids[i] == UINT32_MAX)
			return TOFU_NOT_ALLOWED;
	return TOFU_OK;
}

static bool is_listed(uint32_t id, const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool any_is_listed(const gid_t *some, size_t some_count, const uint32_t *gids, size_t count)
{
	for (size_t i = 0; i < some_count; i++)
		if (is_listed(some[i], gids, count))
			return true;
	return false;
}

/* Into *size bytes; ERANGE: *size is how many it takes. An older Linux does not tell them: then a peer has its gid alone. */
static int read_groups(intptr_t socket, gid_t *out, socklen_t *size)
{
	return getsockopt((int)socket, SOL_SOCKET, SO_PEERGROUPS, out, size) == 0 ? 0 : errno;
}

enum tofu_status tofu_users_peer_in_group(intptr_t socket, const uint32_t *gids, size_t count, bool *in)
{
	struct tofu_identity peer;
	gid_t usual[GROUPS_USUAL], *groups = usual;
	socklen_t size = sizeof usual;
	int error;

	tofu_socket_identify(socket, &peer);
	*in = peer.gid >= 0 && is_listed((uint32_t)peer.gid, gids, count);
	if (*in || count == 0)
		return TOFU_OK;
	error = read_groups(socket, groups, &size);
	if (error == ERANGE) {
		groups = malloc(size);
		if (groups == NULL)
			return TOFU_ALLOCATION_FAILED;
		error = read_groups(socket, groups, &size);
	}
	*in = error == 0 && any_is_listed(groups, size / sizeof groups[0], gids, count);
	if (groups != usual)
		free(groups);
	return TOFU_OK;
}
