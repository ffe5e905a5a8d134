/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_POLLERS_H
#define TOFU_TESTS_POLLERS_H

/*
 * The poller backends that a build for this system must have, in a file per system: what is missing from the library is
 * not missed by a test that asks the library.
 */

#include <tofu/engine.h>

struct pollers_backend {
	const char *name;
	enum tofu_poller_kind kind;
};

extern const struct pollers_backend pollers[];
extern const int pollers_count;

#endif
