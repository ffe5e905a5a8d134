/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_SECURE_H
#define TOFU_TOOLS_SECURE_H

/* TLS in the tools: secure_tls.c where libtofu-tls is built, else secure_none.c, which refuses. */

#include <stdbool.h>

#include <tofu/tofu.h>

/** What the command line says of it. All zero: TLS is not wanted. */
struct tofu_secure {
	bool wanted;
	const char *certificate; /* paths; NULL: none */
	const char *key;
	const char *ca; /* clients need a certificate of it, too */
};

/** Does that address need TLS? */
bool tofu_secure_is_for(const char *address);

/** Register TLS, if it is wanted. False: said why. */
bool tofu_secure_register(tofu_engine *engine, const struct tofu_secure *secure);

#endif
