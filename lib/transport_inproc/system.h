/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TRANSPORT_INPROC_SYSTEM_H
#define TOFU_TRANSPORT_INPROC_SYSTEM_H

#include <tofu/transport.h>

/**
 * A signal: its handle, which an engine can wait on, is readable from raise to clear, whichever thread raises it. Neither blocks nor
 * fails. It may take a moment until the handle is readable, and it may be so once more after a clear: clear it again.
 * Errors of open: TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED, TOFU_NOT_SUPPORTED, ...
 */
enum tofu_status tofu_inproc_signal_open(intptr_t *out);
intptr_t tofu_inproc_signal_handle(intptr_t signal);
void tofu_inproc_signal_raise(intptr_t signal);
void tofu_inproc_signal_clear(intptr_t signal);
/** TOFU_NO_SOCKET is fine. */
void tofu_inproc_signal_close(intptr_t signal);

/** The lock of the names. */
void tofu_inproc_lock(void);
void tofu_inproc_unlock(void);
/**
 * In a child after fork() the lock is free, and forget is called before anything else happens. To be called with the lock, once.
 * Errors: TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_inproc_watch_fork(void (*forget)(void));

/** This process. */
void tofu_inproc_who(struct tofu_identity *out);

#endif
