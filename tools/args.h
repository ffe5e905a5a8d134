/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_ARGS_H
#define TOFU_TOOLS_ARGS_H

/* What stands behind an option. False: it is wrong, and that was said. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/tofu.h>

/** A number in that range; name is the option's, without the dashes. */
bool tofu_args_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *out);
bool tofu_args_number32(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *out);

/** One of some words: its place among them. */
bool tofu_args_word(const char *name, const char *text, const char *const *words, size_t count, size_t *out);

/** What an engine waits with. */
bool tofu_args_poller(const char *text, enum tofu_poller_kind *out);
const char *tofu_args_poller_name(enum tofu_poller_kind kind);
/** ... of enum tofu_io. */
bool tofu_args_io(const char *text, enum tofu_io *out);
const char *tofu_args_io_name(enum tofu_io io);

#endif
