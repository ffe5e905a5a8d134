/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_ERROR_H
#define TOFU_PLATFORM_ERROR_H

/* The table that error.c searches, in the numbers of this system: error_*.c. */

#include <stddef.h>

#include <tofu/status.h>

struct tofu_error_row {
	int error; /* 0: this system has no such number */
	enum tofu_status status;
};

extern const struct tofu_error_row tofu_error_rows[];
extern const size_t tofu_error_row_count;

#endif
