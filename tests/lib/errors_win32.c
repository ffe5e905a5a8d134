/* SPDX-License-Identifier: MIT */
/* The numbers of Winsock and Windows, and those of \Device\Afd. */

#include "errors.h"

/* two headers with some names in common: each from one of them */
#define WIN32_NO_STATUS
#include <winsock2.h>
#undef WIN32_NO_STATUS
#include <winternl.h>
#include <ntstatus.h>

#include "platform/afd.h"
#include "platform/platform.h"

#define EXPECTED(posix, windows, nt, status) { #windows, windows, tofu_plat_status, status },
#define EXPECTED_NT(posix, windows, nt, status) { #nt, (int)nt, tofu_afd_status, status },
#define NOTHING(posix, windows, nt) { #windows, windows, tofu_plat_status, TOFU_OK },
#define NOTHING_NT(posix, windows, nt) { #nt, (int)nt, tofu_afd_status, TOFU_OK },

const struct system_error system_errors[] = { EXPECTED_ERRORS(EXPECTED) EXPECTED_ERRORS(EXPECTED_NT)
	                                              SAYS_NOTHING(NOTHING) SAYS_NOTHING(NOTHING_NT) };
const size_t system_error_count = sizeof system_errors / sizeof system_errors[0];
