/* SPDX-License-Identifier: MIT */
/* A system's error number as a status: a search through one table. Failures are rare enough for that. */

#include "platform/error.h"

#include <tofu/transport.h>

#include "platform/platform.h"

enum tofu_status tofu_system_status(int system_error, enum tofu_status otherwise)
{
	return tofu_plat_status(system_error, otherwise);
}

enum tofu_status tofu_plat_status(int system_error, enum tofu_status otherwise)
{
	if (system_error == 0) /* the numbers that this system has not got */
		return otherwise;
	for (size_t i = 0; i < tofu_error_row_count; i++)
		if (tofu_error_rows[i].error == system_error)
			return tofu_error_rows[i].status;
	return otherwise;
}
