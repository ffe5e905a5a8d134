/* SPDX-License-Identifier: MIT */
#ifndef TOFU_USERS_H
#define TOFU_USERS_H

/* Users and groups of the system, as the Unix transport needs them. One file per system (users_posix.c, users_win32.c). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/transport.h>

/**
 * The number of a user / of a group. name: decimal digits, or a name that the system looks up; that may block.
 * Errors: TOFU_NOT_ALLOWED (there is none), TOFU_NOT_SUPPORTED (the system has no such numbers), TOFU_LIMIT_REACHED,
 *         TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_users_find(const char *name, uint32_t *uid);
enum tofu_status tofu_users_find_group(const char *name, uint32_t *gid);

/** The effective user and group of this process; 0 where they have no numbers. */
void tofu_users_own(uint32_t *uid, uint32_t *gid);

/** Are these numbers of users or groups? Errors: TOFU_NOT_ALLOWED (NULL, too many, or one is none), TOFU_NOT_SUPPORTED. */
enum tofu_status tofu_users_check(const uint32_t *ids, size_t count);

/**
 * Was the peer of a connected Unix socket in one of these groups when it connected, by its own gid or by another of its groups?
 * Errors: TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_users_peer_in_group(intptr_t socket, const uint32_t *gids, size_t count, bool *in);

#endif
