/* SPDX-License-Identifier: MIT */
/*
 * Structs of options. Each begins with its size as the program was compiled, so it can grow. What an older, shorter one lacks is 0,
 * which means default. A newer, longer one is accepted if the part that we do not know is 0.
 */

#include <stdbool.h>
#include <string.h>

#include <tofu/transport.h>

void tofu_options_begin(void *options, size_t size)
{
	if (options == NULL || size < sizeof size)
		return;
	memset(options, 0, size);
	memcpy(options, &size, sizeof size);
}

/* Does a newer program's longer struct say anything beyond ours? */
static bool says_more(const unsigned char *from, size_t from_size, size_t size)
{
	for (size_t i = size; i < from_size; i++)
		if (from[i] != 0)
			return true;
	return false;
}

enum tofu_status tofu_options_take(const void *from, void *out, size_t size)
{
	size_t from_size = size;

	tofu_options_begin(out, size);
	if (from == NULL)
		return TOFU_OK;
	memcpy(&from_size, from, sizeof from_size);
	if (from_size < sizeof from_size)
		return TOFU_NOT_ALLOWED;
	if (says_more(from, from_size, size))
		return TOFU_NOT_SUPPORTED;
	memcpy(out, from, from_size < size ? from_size : size);
	memcpy(out, &size, sizeof size);
	return TOFU_OK;
}
