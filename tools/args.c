/* SPDX-License-Identifier: MIT */

#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

/* By kind. Which of them an engine has, the engine says. */
static const char *const pollers[] = { "auto", "poll", "epoll", "afd" };
static const char *const ios[] = { "thread", "caller" };

/* Digits and nothing else, in range; strtoull() alone would take signs, spaces and what follows. */
bool tofu_args_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
		errno = 0;
		*out = strtoull(text, NULL, 10);
		if (errno == 0 && *out >= least && *out <= most)
			return true;
	}
	tofu_say_wrong(TOFU_OK, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, name, text, least, most);
	return false;
}

bool tofu_args_number32(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
	uint64_t value = 0;
	bool right = tofu_args_number(name, text, least, most, &value);

	*out = (uint32_t)value;
	return right;
}

static bool find(const char *text, const char *const *words, size_t count, size_t *out)
{
	for (*out = 0; *out < count; ++*out) {
		if (strcmp(text, words[*out]) == 0)
			return true;
	}
	return false;
}

static void refuse(const char *name, const char *text, const char *const *words, size_t count)
{
	char all[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < count && at < sizeof all; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i > 0 ? ", " : "", words[i]);
	tofu_say_wrong(TOFU_OK, "--%s: '%s' is none of %s", name, text, all);
}

bool tofu_args_word(const char *name, const char *text, const char *const *words, size_t count, size_t *out)
{
	if (find(text, words, count, out))
		return true;
	refuse(name, text, words, count);
	return false;
}

bool tofu_args_poller(const char *text, enum tofu_poller_kind *out)
{
	size_t at;
	bool right = tofu_args_word("poller", text, pollers, sizeof pollers / sizeof *pollers, &at);

	*out = right ? (enum tofu_poller_kind)at : TOFU_POLLER_AUTO;
	return right;
}

bool tofu_args_io(const char *text, enum tofu_io *out)
{
	size_t at;
	bool right = tofu_args_word("io", text, ios, sizeof ios / sizeof *ios, &at);

	*out = right ? (enum tofu_io)at : TOFU_IO_THREAD;
	return right;
}

const char *tofu_args_io_name(enum tofu_io io)
{
	return ios[io];
}

const char *tofu_args_poller_name(enum tofu_poller_kind kind)
{
	return pollers[kind];
}
