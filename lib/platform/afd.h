/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_AFD_H
#define TOFU_PLATFORM_AFD_H

/*
 * Windows only: what the AFD poller (reactor/poller_afd.c) asks of the system, and nothing more. Completion ports,
 * polls sent to \Device\Afd, base handles: plain functions over plain types, one system call each (the base handle may
 * take several). No state, no memory, no locks here; who owns what, and when, is told in poller_afd.c.
 *
 * Handles are 0 when closed or not opened; *out is 0 after every failure. Threads: any function, any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>

/** What can be asked of a socket, and what a poll reports. LOCAL_CLOSE is reported unasked. */
enum tofu_afd_event {
	TOFU_AFD_RECEIVE = 0x001,      /* unread data; not an end of the stream alone */
	TOFU_AFD_SEND = 0x004,         /* connected, and room to send; also after the peer's FIN or RST */
	TOFU_AFD_DISCONNECT = 0x008,   /* the peer's FIN has come; there may be data before it */
	TOFU_AFD_ABORT = 0x010,        /* RST has come */
	TOFU_AFD_LOCAL_CLOSE = 0x020,  /* the socket's last handle was closed */
	TOFU_AFD_ACCEPT = 0x080,       /* a connection waits on a listener */
	TOFU_AFD_CONNECT_FAIL = 0x100, /* a connect has failed */
};

/**
 * A poll of one socket. From a submit that succeeded to its packet all of it is the kernel's: it must not move, and
 * nobody else reads or writes it. The layout is the system's: an IO_STATUS_BLOCK, then an AFD_POLL_INFO with one entry.
 */
struct tofu_afd_poll {
	union {
		int32_t status;
		void *pointer;
	} io;
	uintptr_t information;

	int64_t timeout;  /* in: 100 ns, less than 0: from now on; 0: just look; INT64_MAX: for ever */
	uint32_t handles; /* in: 1; out: 1 if it fired, and only then is the rest of any meaning */
	uint32_t exclusive;
	intptr_t handle;
	uint32_t events; /* in: asked for; out: what holds */
	int32_t handle_status;
};

enum { TOFU_AFD_FOREVER = -1 };

/** How a poll came to its end. */
enum tofu_afd_end {
	TOFU_AFD_FIRED,     /* something that was asked for holds */
	TOFU_AFD_NOTHING,   /* its time is up, or another one took its place */
	TOFU_AFD_CANCELLED, /* by tofu_afd_cancel() */
	TOFU_AFD_FAILED,    /* this socket cannot be polled */
};

/**
 * What an answer of \Device\Afd, an NTSTATUS that is an error, means: by the number of Windows that it stands for, if it is
 * about a lack of something or of rights; else otherwise.
 */
enum tofu_status tofu_afd_status(int answer, enum tofu_status otherwise);

/** A completion port. TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED: the system has none to give. */
enum tofu_status tofu_afd_open_port(intptr_t *out);

/**
 * A handle to issue polls through, its packets going to that port. TOFU_NOT_SUPPORTED: there is no \Device\Afd;
 * TOFU_PERMISSION_DENIED: not for this process (a sandbox); TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED: as above.
 */
enum tofu_status tofu_afd_open_helper(intptr_t port, intptr_t *out);

/** Either of them. A helper only when no poll is under way on it. Of 0: nothing. */
void tofu_afd_close(intptr_t handle);

/**
 * The socket under all layers that other products have put on it: the only one \Device\Afd knows. TOFU_NOT_SUPPORTED: a
 * layer does not tell; TOFU_COMMUNICATION_FAILED: this is no socket.
 */
enum tofu_status tofu_afd_base(intptr_t socket, intptr_t *out);

/**
 * Ask for any of these events of the base handle of a socket. TOFU_OK: exactly one packet will come, at once if one of
 * them holds already. Otherwise none will, and the poll is the caller's: TOFU_ALLOCATION_FAILED, TOFU_LIMIT_REACHED:
 * the system has no room for it now; anything else: not of this socket.
 */
enum tofu_status tofu_afd_submit(intptr_t helper, struct tofu_afd_poll *poll, intptr_t base, uint32_t events,
                                 int64_t timeout);

/**
 * End a poll early, or all that were issued through this helper (NULL). Its packet comes in any case. False: there was
 * nothing pending: it has ended before (the packet is there), or was never under way. Of NULL, the answer says nothing.
 */
bool tofu_afd_cancel(intptr_t helper, struct tofu_afd_poll *poll);

/** How it ended, and what fired. Only after its packet. */
enum tofu_afd_end tofu_afd_result(const struct tofu_afd_poll *poll, uint32_t *events);

/** What tofu_afd_result() is to say of a poll that could not be submitted. */
void tofu_afd_set_failed(struct tofu_afd_poll *poll);

/** Put a packet of one's own into the port: a poll's, or NULL. TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED: no room. */
enum tofu_status tofu_afd_post(intptr_t port, struct tofu_afd_poll *poll);

/**
 * Take up to capacity packets, the oldest first, waiting for the first so many milliseconds, 0 (just look) or
 * TOFU_AFD_FOREVER. *count is 0 when the time is up, which may be a little early.
 */
enum tofu_status tofu_afd_take(intptr_t port, struct tofu_afd_poll **out, size_t capacity, int32_t timeout_ms,
                               size_t *count);

#endif
