/* SPDX-License-Identifier: MIT */
/* errno as a status: a search through one table. Failures are rare enough for that. */

#include "platform/platform.h"

#include <errno.h>

#include "platform/errors.h"

#define ROW(posix, windows, status) { posix, status },

static const struct row {
	int error;
	enum tofu_status status;
} rows[] = { TOFU_PLAT_ERRORS(ROW) };

enum tofu_status tofu_plat_status(int system_error, enum tofu_status otherwise)
{
	if (system_error == 0) /* the numbers that this system has not got */
		return otherwise;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].error == system_error)
			return rows[i].status;
	return otherwise;
}
