/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TRANSPORT_TCP_PREFIXES_H
#define TOFU_TRANSPORT_TCP_PREFIXES_H

/* Networks, as people write them: "10.0.0.0/8 192.168.1.7 2001:db8::/32". */

#include <stdbool.h>
#include <stddef.h>

#include <tofu/transport.h>

struct tofu_prefix {
	unsigned char bytes[16];
	size_t len; /* of them: 4 or 16 */
	unsigned bits;
};

/**
 * Parse a list with spaces or commas between; an address alone is all of its bits. *out is malloc'ed, NULL for no text.
 * Errors: TOFU_INVALID_ADDRESS (one is no numeric address, has too many bits, or bits beyond its prefix; or there is none),
 * TOFU_ALLOCATION_FAILED, TOFU_NOT_INITIALIZED (Windows, before tofu_init()).
 */
enum tofu_status tofu_prefixes_parse(const char *text, struct tofu_prefix **out, size_t *count);
/** Is an address in one of them? */
bool tofu_prefixes_have(const struct tofu_prefix *prefixes, size_t count, const struct tofu_sockaddr *address);

#endif
