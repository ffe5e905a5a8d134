/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_SYSTEM_H
#define TOFU_TESTS_SYSTEM_H

/* What tests of transports ask of the system. One file per system: system_posix.c. */

#include <stdbool.h>
#include <stdint.h>

/** Wait until that (TOFU_READABLE, TOFU_WRITABLE) holds, or it has failed. False: not within ten seconds. */
bool test_wait(intptr_t handle, unsigned want);
/** Does it hold now? */
bool test_ready(intptr_t handle, unsigned want);
/** Is TCP_NODELAY on? */
bool test_nodelay(intptr_t handle);
/** How many descriptors the process has open; -1: this system does not tell. */
int test_open_descriptors(void);

#endif
