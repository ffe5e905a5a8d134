/* SPDX-License-Identifier: MIT */
/* Windows has no users and groups with numbers. */

#include "transport_unix/users.h"

enum tofu_status tofu_users_find(const char *name, uint32_t *uid)
{
	(void)name;
	(void)uid;
	return TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_users_find_group(const char *name, uint32_t *gid)
{
	(void)name;
	(void)gid;
	return TOFU_NOT_SUPPORTED;
}

void tofu_users_own(uint32_t *uid, uint32_t *gid)
{
	*uid = 0;
	*gid = 0;
}

enum tofu_status tofu_users_check(const uint32_t *ids, size_t count)
{
	(void)ids;
	return count == 0 ? TOFU_OK : TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_users_peer_in_group(intptr_t socket, const uint32_t *gids, size_t count, bool *in)
{
	(void)socket;
	(void)gids;
	(void)count;
	*in = false;
	return TOFU_OK;
}
