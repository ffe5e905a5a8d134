/* SPDX-License-Identifier: MIT */
/* errno. */

#include "errors.h"

#include <errno.h>

#include "platform/platform.h"

#define EXPECTED(posix, windows, nt, status) { #posix, posix, tofu_plat_status, status },
#define NOTHING(posix, windows, nt) { #posix, posix, tofu_plat_status, TOFU_OK },

const struct system_error system_errors[] = { EXPECTED_ERRORS(EXPECTED) SAYS_NOTHING(NOTHING) };
const size_t system_error_count = sizeof system_errors / sizeof system_errors[0];
