/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_ECHO_H
#define TOFU_TOOLS_ECHO_H

/*
 * tofu-echo: the parts of the program.
 *
 *   tofu-echo.c    the command line
 *   echo_serve.c   the service
 *   echo_call.c    the client that checks it
 *
 * The functions below that return int return the exit status of the program, and have said on the standard error output
 * why it is not 0.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tofu/tofu.h>

#include "secure.h"

enum { ECHO_RIGHT = 0, ECHO_FAILED = 1, ECHO_USAGE = 2 };

/** What the command line asks for. */
struct echo_options {
	char *const *addresses; /* serve: one or more; call: one */
	int address_count;
	uint64_t count;       /* requests on each connection */
	uint32_t size;        /* bytes of a body */
	uint32_t connections; /* open at once */
	uint32_t window;      /* requests under way on each connection */
	uint32_t timeout_s;   /* call: give up when nothing arrives for so long */
	enum tofu_poller_kind poller;
	struct tofu_secure secure;
	bool verbose; /* the engine's log and the messages that come, on the standard error output */
};

/** Serve until the user asks to stop. */
int tofu_echo_serve(const struct echo_options *options);

/** Send, compare, report. */
int tofu_echo_call(const struct echo_options *options);

#endif
