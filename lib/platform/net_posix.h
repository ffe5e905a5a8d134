/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_NET_POSIX_H
#define TOFU_PLATFORM_NET_POSIX_H

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef sa_family_t tofu_net_family;

/** Can Unix sockets have a name instead of a file? */
#ifdef __linux__
enum { TOFU_NET_HAS_ABSTRACT_NAMES = 1 };
#else
enum { TOFU_NET_HAS_ABSTRACT_NAMES = 0 };
#endif

#endif
