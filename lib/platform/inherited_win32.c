/* SPDX-License-Identifier: MIT */
/* On Windows nobody hands over sockets by a number. No address says so, so nothing else here is ever called. */

#include "platform/inherited.h"

#include <string.h>

enum tofu_status tofu_inherited_complete(const char *rest, char *out, size_t capacity)
{
	(void)rest;
	(void)capacity;
	out[0] = '\0';
	return TOFU_OK;
}

enum tofu_status tofu_inherited_address(const char *rest, enum tofu_socket_kind kind, struct tofu_sockaddr *out)
{
	(void)rest;
	(void)kind;
	memset(out, 0, sizeof *out);
	return TOFU_NOT_SUPPORTED;
}

int tofu_inherited_is(const struct tofu_sockaddr *address)
{
	(void)address;
	return 0;
}

enum tofu_status tofu_inherited_connect(const struct tofu_sockaddr *to, intptr_t *out)
{
	(void)to;
	*out = TOFU_NO_SOCKET;
	return TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_inherited_listen(const struct tofu_sockaddr *at, struct tofu_link *listener)
{
	(void)at;
	(void)listener;
	return TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_inherited_accept(struct tofu_link *listener, intptr_t *out)
{
	(void)listener;
	*out = TOFU_NO_SOCKET;
	return TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_inherited_local(const struct tofu_link *listener, struct tofu_sockaddr *out)
{
	(void)listener;
	memset(out, 0, sizeof *out);
	return TOFU_NOT_SUPPORTED;
}

void tofu_inherited_close(struct tofu_link *listener, enum tofu_close how)
{
	(void)listener;
	(void)how;
}
