/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_SAY_H
#define TOFU_TOOLS_SAY_H

/* What a tool says to people. */

#include <stdbool.h>
#include <stdint.h>

#include <tofu/tofu.h>

/** Who speaks: the program's name, static text. First of all, once. */
void tofu_say_name(const char *name);

/** Say "name: what" or "name: what: sentence of the status" on the standard error output. Any thread. */
void tofu_say_wrong(enum tofu_status status, const char *format, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 2, 3)))
#endif
	;

/**
 * Say "name: what address: why": a sentence of the status, or what is wrong with the address. opcode: of the message that was to
 * go there; answer: the engine's, or NULL if there is none.
 */
void tofu_say_unreachable(tofu_engine *engine, enum tofu_status status, const char *what, const char *address,
                          enum tofu_opcode opcode, const tofu_msg *answer);

/** All that was printed on the standard output is out. False: some of it was not written, now or earlier. */
bool tofu_say_flush(void);

/** Two texts on the standard output for a person who asked for them. False: not written whole, and said so. */
bool tofu_say(const char *first, const char *second);

/** "name VERSION" on the standard output. */
bool tofu_say_version(void);

/**
 * A message for people, in one line on the standard error output: what it is and what is in its text headers, bytes that are not
 * printable as \xNN, and the lengths.
 */
void tofu_say_message(const char *what, tofu_msg *msg);

/** Who is at the other end of a connection: a line on the standard error output with the addresses, and what is known besides. */
void tofu_say_peer(tofu_group *group, uint16_t channel);

/** An engine's log, on the standard error output. all: NULL if only errors and warnings are wanted. */
void tofu_say_log(void *all, enum tofu_log_level level, const char *text);

#endif
