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

#ifdef __cplusplus
}
#endif

#endif
