/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_OS_H
#define TOFU_PLATFORM_OS_H

/* The one place, beside net.h, that asks which system this is. Everything else differs by file. */

#ifdef _WIN32
#include "platform/os_win32.h"
#else
#include "platform/os_posix.h"
#endif

#endif
