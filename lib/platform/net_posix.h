/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_NET_POSIX_H
#define TOFU_PLATFORM_NET_POSIX_H

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef sa_family_t tofu_net_family;

#endif
