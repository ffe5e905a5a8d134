/* SPDX-License-Identifier: MIT */

/* This build has no TLS. */

#include "secure.h"

#include "say.h"

bool tofu_secure_register(tofu_engine *engine, const struct tofu_secure *secure)
{
	if (secure->wanted)
		tofu_say_wrong(TOFU_OK, "this tofu was built without TLS");
	return !secure->wanted;
}
