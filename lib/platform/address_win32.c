/* SPDX-License-Identifier: MIT */
/*
 * Looking up names on Windows: by the wide functions, so that a name in UTF-8 is one, whatever the code page. The result of
 * GetAddrInfoW() is freed here; nothing else is allocated.
 */

#include "platform/address.h"

#include "platform/net.h"
#include "platform/platform.h"

/* The longest name of DNS is 253 bytes, and a UTF-8 text has no more UTF-16 units than bytes. */
enum { HOST_CAPACITY = 256 };

/* ::1 is there even where IPv6 is switched off: Windows needs it for itself. */
bool tofu_plat_has_ipv6(void)
{
	SOCKET s = WSASocketW(AF_INET6, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

	if (s == INVALID_SOCKET)
		return WSAGetLastError() != WSAEAFNOSUPPORT; /* no memory left: the listen will say so itself */
	(void)closesocket(s);
	return true;
}

/* Most of these numbers come from the resolver's own sockets: only shortages tell the caller more. */
static enum tofu_status lookup_status(int error)
{
	const enum tofu_status st = tofu_plat_status(error, TOFU_HOST_NOT_FOUND);

	switch ((int)st) {
	case TOFU_ALLOCATION_FAILED:
	case TOFU_LIMIT_REACHED:
	case TOFU_NOT_INITIALIZED:
		return st;
	default:
		return TOFU_HOST_NOT_FOUND;
	}
}

enum tofu_status tofu_plat_lookup(const char *host, bool may_block, tofu_plat_found *found, void *context)
{
	const ADDRINFOW hints = { .ai_family = AF_UNSPEC,
		                  .ai_socktype = SOCK_STREAM,
		                  .ai_flags = may_block ? 0 : AI_NUMERICHOST };
	wchar_t wide[HOST_CAPACITY];
	ADDRINFOW *all = NULL;
	int error;

	if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, wide, HOST_CAPACITY) == 0)
		return TOFU_HOST_NOT_FOUND;
	error = GetAddrInfoW(wide, NULL, &hints, &all);
	if (error != 0)
		return lookup_status(error);
	for (const ADDRINFOW *a = all; a != NULL; a = a->ai_next)
		found(context, a->ai_addr, a->ai_addrlen);
	FreeAddrInfoW(all);
	return TOFU_OK;
}
