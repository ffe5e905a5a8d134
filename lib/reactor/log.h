/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_LOG_H
#define TOFU_REACTOR_LOG_H

/*
 * What is logged in a turn, kept until the turn is over. The application's function may wait for a lock, and a thread that
 * has that lock may be in fork() and wait for the turn; so it is called without. Lines are rare: they lie in a fixed buffer,
 * and what does not fit is counted.
 */

#include <stdarg.h>
#include <stddef.h>

#include <tofu/engine.h>

enum {
	TOFU_LOG_LINE = 256, /* with the final zero; what is longer is cut */
	TOFU_LOG_TURN = 4096 /* of all lines of a turn */
};

/** All zero: nothing was logged. */
struct tofu_log {
	size_t used;
	unsigned lost;            /* lines for which there was no room: of warnings and errors */
	unsigned lost_info;       /* the others */
	char text[TOFU_LOG_TURN]; /* line by line: a byte with its level, the text, a zero */
};

void tofu_log_add(struct tofu_log *log, enum tofu_log_level level, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
/** What others chose, to be put into a line: control characters become question marks. */
void tofu_log_clean(char *text);
/** All that is in it, to `out`, which need not be initialised. */
void tofu_log_take(struct tofu_log *log, struct tofu_log *out);
/** Line by line, in their order, then how many were lost. tell may be NULL if there is nothing. */
void tofu_log_tell(const struct tofu_log *log, tofu_log_fn *tell, void *context);

#endif
