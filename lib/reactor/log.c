/* SPDX-License-Identifier: MIT */

/* Lines that wait for the end of a turn. Nothing here allocates, and nothing is moved unless something was logged. */

#include "reactor/log.h"

#include <stdio.h>
#include <string.h>

void tofu_log_add(struct tofu_log *log, enum tofu_log_level level, const char *format, va_list args)
{
	/* What goes well must not crowd out what does not. */
	size_t most = level == TOFU_LOG_INFO ? sizeof log->text / 2 : sizeof log->text;
	char *line = log->text + log->used;

	if (log->used + 1 + TOFU_LOG_LINE > most) {
		*(level == TOFU_LOG_INFO ? &log->lost_info : &log->lost) += 1;
		return;
	}
	line[0] = (char)level;
	line[1] = '\0';
	(void)vsnprintf(line + 1, TOFU_LOG_LINE, format, args);
	log->used += 1 + strlen(line + 1) + 1;
}

void tofu_log_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void tofu_log_take(struct tofu_log *log, struct tofu_log *out)
{
	out->used = log->used;
	out->lost = log->lost;
	out->lost_info = log->lost_info;
	memcpy(out->text, log->text, log->used);
	log->used = 0;
	log->lost = log->lost_info = 0;
}

void tofu_log_tell(const struct tofu_log *log, tofu_log_fn *tell, void *context)
{
	const char *end = log->text + log->used;
	char line[64];

	for (const char *at = log->text; at < end; at += 1 + strlen(at + 1) + 1)
		tell(context, (enum tofu_log_level)at[0], at + 1);
	if (log->lost + log->lost_info == 0)
		return;
	(void)snprintf(line, sizeof line, "lines that were too many at once: %u", log->lost + log->lost_info);
	/* Who does not listen to what goes well is not to hear that there was a lot of it. */
	tell(context, log->lost > 0 ? TOFU_LOG_WARNING : TOFU_LOG_INFO, line);
}
