/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_NET_WIN32_H
#define TOFU_PLATFORM_NET_WIN32_H

/* In this order: <winsock2.h> before whatever takes <windows.h>; <afunix.h> takes nothing by itself. */

/* clang-format off */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mstcpip.h>
#include <afunix.h>
/* clang-format on */

typedef ADDRESS_FAMILY tofu_net_family;

enum { TOFU_NET_HAS_ABSTRACT_NAMES = 0 };

#endif
