/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TCP_H
#define TOFU_TCP_H

#include <tofu/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The TCP transport, scheme "tcp": "tcp|HOST|PORT". In libtofu-tcp.
 * Ownership: static, never freed. Threads: any. Blocks: no.
 */
const struct tofu_transport *tofu_tcp(void);

#ifdef __cplusplus
}
#endif

#endif
