/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOFU_H
#define TOFU_TOFU_H

/* All of libtofu. The transports have headers of their own: <tofu/tcp.h>, <tofu/unix.h>. */

#include <tofu/engine.h>
#include <tofu/message.h>
#include <tofu/parts.h>
#include <tofu/status.h>
#include <tofu/transport.h>
#include <tofu/version.h>

#endif
