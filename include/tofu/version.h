/* SPDX-License-Identifier: MIT */
#ifndef TOFU_VERSION_H
#define TOFU_VERSION_H

/** The version of these headers, for #if and for text. tofu_version() is that of the library in use, which may be newer. */
#define TOFU_VERSION_MAJOR 0
#define TOFU_VERSION_MINOR 1
#define TOFU_VERSION_PATCH 0
#define TOFU_VERSION "0.1.0"

/** One number that grows: 10203 for 1.2.3. */
#define TOFU_VERSION_NUMBER (TOFU_VERSION_MAJOR * 10000 + TOFU_VERSION_MINOR * 100 + TOFU_VERSION_PATCH)

#endif
