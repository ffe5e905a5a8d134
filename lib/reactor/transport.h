/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_TRANSPORT_H
#define TOFU_REACTOR_TRANSPORT_H

/* What the engine does with the transports that are registered in it. */

#include <tofu/transport.h>

struct tofu_engine;

/** One holder more, one fewer. Any thread. A static transport counts none. */
static inline void tofu_transport_hold(const struct tofu_transport *t)
{
	if (t->hold != NULL)
		t->hold(t);
}

static inline void tofu_transport_release(const struct tofu_transport *t)
{
	if (t->release != NULL)
		t->release(t);
}

/** The transport of a scheme, or NULL. Any thread. */
const struct tofu_transport *tofu_engine_transport(struct tofu_engine *e, const char *scheme);
/** The engine ends, and has no links any more. */
void tofu_engine_release_transports(struct tofu_engine *e);

#endif
