/* SPDX-License-Identifier: MIT */
/* Winsock's and Win32's numbers, which do not overlap, as a status. */

#include "platform/error.h"

#include <winsock2.h>

#include "platform/errors.h"

#define ROW(posix, windows, status) { windows, status },

const struct tofu_error_row tofu_error_rows[] = { TOFU_PLAT_ERRORS(ROW) };
const size_t tofu_error_row_count = sizeof tofu_error_rows / sizeof tofu_error_rows[0];
