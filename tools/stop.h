/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_STOP_H
#define TOFU_TOOLS_STOP_H

/*
 * The user asks a program to stop: Ctrl-C, or kill(1). One watch per process. Systems differ by file (stop_posix.c,
 * stop_win32.c).
 */

#include <stdbool.h>

/** Called on a thread of its own, once for every time the user asks. Any call of the library is allowed in it. */
typedef void tofu_stop_fn(void *context);

/**
 * From now on asking does not end the process, it calls told. Threads that run already must not take signals (those of
 * the library do not).
 */
bool tofu_stop_open(tofu_stop_fn *told, void *context);

/** told is not called any more once this returns. The process still cannot be ended by asking: it is about to end. */
void tofu_stop_close(void);

#endif
