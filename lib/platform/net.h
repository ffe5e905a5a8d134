/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_NET_H
#define TOFU_PLATFORM_NET_H

/*
 * The system's socket headers, for files that need nothing but what both have: struct sockaddr and its kin. For lib/platform
 * alone.
 */

#ifdef _WIN32
#include "platform/net_win32.h"
#else
#include "platform/net_posix.h"
#endif

#endif
