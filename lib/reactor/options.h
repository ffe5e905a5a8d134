/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_OPTIONS_H
#define TOFU_REACTOR_OPTIONS_H

#include <tofu/engine.h>

/** Every option with its value, defaults included; or why they cannot be. from: NULL for all defaults. */
enum tofu_status tofu_options_effective(const struct tofu_options *from, struct tofu_options *out);

#endif
