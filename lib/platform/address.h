/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_ADDRESS_H
#define TOFU_PLATFORM_ADDRESS_H

/* What sockaddr.c, which is the same everywhere, asks of address_*.c. */

#include <stdbool.h>
#include <stddef.h>

#include <tofu/status.h>

/** Can there be IPv6 sockets, and has this host an IPv6 address? True if it cannot be told now. */
bool tofu_plat_has_ipv6(void);

/** One address that was found: a struct sockaddr, which is valid during the call. */
typedef void tofu_plat_found(void *context, const void *system, size_t len);

/**
 * Ask for the stream addresses of a host; not may_block: take numbers only. Errors: TOFU_HOST_NOT_FOUND (nobody knows it, or
 * nobody gave an answer), TOFU_ALLOCATION_FAILED, TOFU_LIMIT_REACHED, TOFU_NOT_INITIALIZED.
 */
enum tofu_status tofu_plat_lookup(const char *host, bool may_block, tofu_plat_found *found, void *context);

#endif
