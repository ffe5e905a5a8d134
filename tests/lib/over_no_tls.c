/* SPDX-License-Identifier: MIT */

/* This build has no TLS. */

#include "over_tls.h"

const struct tofu_transport *over_tls(void)
{
	return NULL;
}

void over_tls_allocate_by(struct over_tls_allocator allocator)
{
}

void over_tls_call(const char *address, struct tofu_link *link)
{
}

intptr_t over_tls_listen(char *address, size_t capacity)
{
	return TOFU_NO_SOCKET;
}

bool over_tls_accept(intptr_t listener, struct tofu_link *link)
{
	return false;
}
