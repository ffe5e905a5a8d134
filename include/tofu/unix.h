/* SPDX-License-Identifier: MIT */
#ifndef TOFU_UNIX_H
#define TOFU_UNIX_H

#include <tofu/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The transport over Unix stream sockets, scheme "uds": "uds|PATH". In libtofu-unix.
 * Ownership: static, never freed. Threads: any. Blocks: no.
 */
const struct tofu_transport *tofu_unix(void);

/** How an instance is made. tofu_unix_options_init() first, then change fields. 0 and NULL are defaults. */
/* clang-format off */
struct tofu_unix_options {
	size_t size;        /* set by tofu_unix_options_init(); lets the struct grow */
	const char *scheme; /* what its addresses begin with; default "uds"; copied */
	uint32_t backlog;   /* connections that may wait to be accepted; default: as many as the system allows, and never more */
	uint32_t mode;      /* of a listener's socket file; default 0600: only this user may connect. Bits of 0777. On Windows, where
	                       files have none, another one fails: not_supported */
	const char *owner;  /* of a listener's socket file: a user's name, or a uid in decimal; default: whoever listens */
	const char *group;  /* likewise: a group's name or gid; default: as the directory and the process say */
	const uint32_t *allowed_uids; /* who may come in, beyond what the file says: users, and */
	size_t allowed_uid_count;
	const uint32_t *allowed_gids; /* members of groups; default, both counts 0: whoever can connect. Copied */
	size_t allowed_gid_count;
};
/* clang-format on */

/**
 * Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_unix_options), as the program was compiled.
 * Threads: any. Blocks: no.
 */
void tofu_unix_options_init(struct tofu_unix_options *options, size_t size);

/**
 * Make an instance with its own options. options may be NULL (every default). An engine takes several instances if their schemes
 * differ.
 * Ownership: options and its text are copied; *out is given up with tofu_transport_destroy(), as soon as it is registered.
 * Threads:   any. Blocks: no, but for the name of an owner or of a group, which the system looks up.
 * Errors: TOFU_NOT_ALLOWED (out is NULL, the scheme is none, mode has other bits, the system knows no such user or group, or
 *         an allowed list is NULL, longer than 65536 or has UINT32_MAX in it), TOFU_NOT_SUPPORTED (a newer program's options; on
 *         Windows: owner, group or an allowed list), TOFU_ALLOCATION_FAILED, TOFU_LIMIT_REACHED (no descriptor for the lookup).
 */
enum tofu_status tofu_unix_create(const struct tofu_unix_options *options, struct tofu_transport **out);

#ifdef __cplusplus
}
#endif

#endif
