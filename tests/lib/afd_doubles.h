/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_AFD_DOUBLES_H
#define TOFU_TESTS_AFD_DOUBLES_H

/*
 * Doubles of the system calls behind platform/afd.h, on Windows: they count the calls, make them fail as no system does
 * on demand, play layered providers, and watch what the kernel has been given. The program is linked with --wrap of
 * each (afd_doubles_win32.c says of which), so that code under test does not know.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tofu_afd_poll;

enum afd_call {
	AFD_PORT,   /* CreateIoCompletionPort, to make one */
	AFD_BIND,   /* CreateIoCompletionPort, of a helper */
	AFD_OPEN,   /* NtCreateFile */
	AFD_SUBMIT, /* NtDeviceIoControlFile */
	AFD_CANCEL, /* CancelIoEx */
	AFD_POST,   /* PostQueuedCompletionStatus */
	AFD_TAKE,   /* GetQueuedCompletionStatusEx */
	AFD_CALLS,
};

enum afd_failure {
	AFD_WORKS,
	AFD_NO_MEMORY,
	AFD_NO_RESOURCES,
	AFD_NO_HANDLES,
	AFD_DENIED,
	AFD_NOT_THERE, /* no such device */
	AFD_BAD_HANDLE,
	AFD_TIME_IS_UP, /* before it is */
};

/** Forget all that follows, and count from 0. */
void afd_doubles_reset(void);

/** The next so many calls fail; -1: all of them. Where a call cannot fail so, as it best can. */
void afd_fail(enum afd_call call, enum afd_failure failure, int times);
/** How many there were. */
int afd_calls(enum afd_call call);

/* Layered providers: what WSAIoctl answers of a socket. */

enum afd_question { AFD_ASK_BASE, AFD_ASK_POLL, AFD_ASK_SELECT, AFD_ASK_BSP, AFD_QUESTIONS };
enum { AFD_ANY_SOCKET = -2, AFD_NO_SOCKET = -3, AFD_NO_WINSOCK = -4 };

/**
 * Of this socket, that question has this answer; 0: it fails as intercepted calls do; AFD_NO_SOCKET: as of what is
 * none; AFD_NO_WINSOCK: as before WSAStartup(). What is not answered fails, for a socket with answers; the others are as they are.
 */
void afd_layer(intptr_t socket, enum afd_question question, intptr_t answer);
/** How often it was asked. */
int afd_asked(enum afd_question question);

/* What the kernel has. */

/** Polls submitted whose packets have not been taken. */
int afd_under_way(void);
/** The most there ever were of one socket. */
int afd_most_of_one_socket(void);
/** The most there ever were through one helper. */
int afd_most_of_one_helper(void);
/** Submitted while it was still under way. */
int afd_submitted_twice(void);

/** NtCancelIoFile, without Ex: did it say success? */
bool afd_cancel_plain(intptr_t helper);

#endif
