/* SPDX-License-Identifier: MIT */

#include "secure.h"

#include <string.h>

bool tofu_secure_is_for(const char *address)
{
	return strncmp(address, "tls|", 4) == 0 || strncmp(address, "tls:", 4) == 0;
}
