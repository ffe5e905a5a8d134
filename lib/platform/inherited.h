/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_INHERITED_H
#define TOFU_PLATFORM_INHERITED_H

/* What socket_*.c asks of inherited_*.c. */

#include <stdint.h>

#include <tofu/transport.h>

/** tofu_socket_connect() to an inherited socket: a copy of one that is connected already. */
enum tofu_status tofu_inherited_connect(const struct tofu_sockaddr *to, intptr_t *out);

#endif
