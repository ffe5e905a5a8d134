/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_FILE_H
#define TOFU_TLS_FILE_H

/* Files with certificates and keys: what is asked of the operating system. One file per system: file_posix.c, file_win32.c. */

#include <stdbool.h>
#include <stddef.h>

#include <tofu/status.h>

/** No file that is meant is longer. */
enum { TOFU_TLS_FILE_MAX = 16 * 1024 * 1024 };

/** What is in a file; OPENSSL_clear_free(text, len) frees it. */
struct tofu_tls_text {
	char *text;
	size_t len;
};

/**
 * Read a whole file. secret: refuse one of this user's that others may read or write; files of other users are as they wish
 * them. *why, where it fails: for people, or NULL if the status says all.
 * Errors: TOFU_PERMISSION_DENIED, TOFU_NOT_ALLOWED (there is none, or it is no plain file), TOFU_LIMIT_REACHED,
 *         TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_tls_read_file(const char *path, bool secret, struct tofu_tls_text *out, const char **why);

#endif
