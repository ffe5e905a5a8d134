/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_END_H
#define TOFU_TOOLS_END_H

/* One end of a conversation: an engine that speaks every transport, and a group. */

#include <stdbool.h>

#include <tofu/tofu.h>

#include "secure.h"

/** All zero is an end that was never opened; close takes it. */
struct tofu_end {
	tofu_engine *engine;
	tofu_group *group;
	bool initialized; /* tofu_init() is to be undone */
};

/** Open an end, with TLS if that is wanted. False: said why; close it all the same. */
bool tofu_end_open(struct tofu_end *end, const struct tofu_options *options, const struct tofu_secure *secure);
void tofu_end_close(struct tofu_end *end);

#endif
