/* SPDX-License-Identifier: MIT */

/* A step that fails is reported and leaves the rest zero; tofu_end_close() undoes whatever was done, in reverse. */

#include "end.h"

#include <stddef.h>

#include <tofu/inproc.h>
#include <tofu/tcp.h>
#include <tofu/unix.h>

#include "say.h"

static bool done(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK)
		tofu_say_wrong(status, "%s", what);
	return status == TOFU_OK;
}

bool tofu_end_open(struct tofu_end *end, const struct tofu_options *options, const struct tofu_secure *secure)
{
	if (!done(tofu_init(), "cannot start"))
		return false;
	end->initialized = true;
	return done(tofu_engine_create(options, &end->engine), "cannot create an engine") &&
	       done(tofu_engine_register(end->engine, tofu_tcp()), "cannot register tcp") &&
	       done(tofu_engine_register(end->engine, tofu_unix()), "cannot register uds") &&
	       done(tofu_engine_register(end->engine, tofu_inproc()), "cannot register inproc") &&
	       tofu_secure_register(end->engine, secure) &&
	       done(tofu_group_create(end->engine, &end->group), "cannot create a group");
}

void tofu_end_close(struct tofu_end *end)
{
	if (end->group != NULL)
		(void)tofu_group_destroy(end->group);
	tofu_engine_destroy(end->engine);
	if (end->initialized)
		tofu_deinit();
	*end = (struct tofu_end){ NULL, NULL, false };
}
