/* SPDX-License-Identifier: MIT */
#ifndef TOFU_INPROC_H
#define TOFU_INPROC_H

#include <tofu/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The transport between threads and engines of one process, scheme "inproc": "inproc|NAME". In libtofu-inproc. All engines of the
 * process have the same names. Bytes go through memory; there is no system call but to wake an engine that waits. On Windows a
 * connection takes two UDP ports of 127.0.0.1, by which its ends are woken.
 * Ownership: static, never freed. Threads: any. Blocks: no.
 */
const struct tofu_transport *tofu_inproc(void);

#ifdef __cplusplus
}
#endif

#endif
