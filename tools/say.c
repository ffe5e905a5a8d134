/* SPDX-License-Identifier: MIT */

/* A line is put together first and written in one go, so that what several threads say does not mix. */

#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *program = "";

void tofu_say_name(const char *name)
{
	program = name;
}

void tofu_say_wrong(enum tofu_status status, const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof what, format, args);
	va_end(args);
	if (status != TOFU_OK)
		(void)fprintf(stderr, "%s: %s: %s\n", program, what, tofu_strerror(status));
	else
		(void)fprintf(stderr, "%s: %s\n", program, what);
}

/* Where what is printed goes out at once, Windows' printf() says that it did even if it did not; the stream remembers. */
bool tofu_say_flush(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}

bool tofu_say(const char *first, const char *second)
{
	if (fputs(first, stdout) != EOF && fputs(second, stdout) != EOF && tofu_say_flush())
		return true;
	tofu_say_wrong(TOFU_OK, "cannot write: %s", strerror(errno));
	return false;
}

bool tofu_say_version(void)
{
	char line[64];

	(void)snprintf(line, sizeof line, "%s %s\n", program, tofu_version());
	return tofu_say(line, "");
}

void tofu_say_log(void *unused, enum tofu_log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info" };

	(void)unused;
	tofu_say_wrong(TOFU_OK, "%s: %s", names[level], text);
}
