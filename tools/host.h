/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_HOST_H
#define TOFU_TOOLS_HOST_H

/* The little that a tool asks of the system besides the library. Systems differ by file (host_posix.c, host_win32.c). */

#include <stdbool.h>
#include <stdint.h>

/**
 * The first call of main(): lines end with a newline and nothing else, and arguments are UTF-8. The arguments, as many, NULL
 * at the end; never freed.
 */
char **tofu_host_begin(int argc, char **argv);

/** Nanoseconds from some fixed point; never goes back. */
int64_t tofu_host_now_ns(void);

/** Does a person watch the standard error output? */
bool tofu_host_is_watched(void);

/** What this process has used of the processors, in user and system mode, all threads. */
int64_t tofu_host_cpu_ns(void);

/** What of this process is in memory now; 0: the system does not tell. */
uint64_t tofu_host_resident_bytes(void);

/** Let this process have that many files open, as far as the system allows. */
void tofu_host_allow_files(uint64_t count);

/** A thread. */
struct tofu_host_thread;

/** Run something on a thread of its own; NULL: no thread, or no memory, to be had. Join frees it; NULL is fine. */
struct tofu_host_thread *tofu_host_thread_start(void (*run)(void *context), void *context);
void tofu_host_thread_join(struct tofu_host_thread *thread);

#endif
