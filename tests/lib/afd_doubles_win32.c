/* SPDX-License-Identifier: MIT */

/*
 * Linked with --wrap= of NtCreateFile, NtDeviceIoControlFile, and, as they are called through the table of imports,
 * __imp_CancelIoEx, __imp_CreateIoCompletionPort, __imp_GetQueuedCompletionStatusEx, __imp_PostQueuedCompletionStatus,
 * __imp_WSAIoctl.
 */

#include "afd_doubles.h"

#include <winsock2.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>

#include <string.h>

#include "harness.h"
#include "platform/afd.h"

enum { LAYER_RULES = 64, POLLS = 4096 };

struct layer_rule {
	intptr_t socket;
	enum afd_question question;
	intptr_t answer;
};

struct watched {
	const struct tofu_afd_poll *poll;
	intptr_t socket;
	HANDLE helper;
};

/* Calls come from the waker's thread as well. */
static SRWLOCK lock = SRWLOCK_INIT;
static struct {
	int calls[AFD_CALLS];
	int failures_left[AFD_CALLS];
	enum afd_failure failures[AFD_CALLS];
	int asked[AFD_QUESTIONS];
	struct layer_rule layers[LAYER_RULES];
	int layer_count;
	int most_of_socket;
	int most_of_helper;
	int submitted_twice;
} d;
static struct watched polls[POLLS];
static int poll_count;

void afd_doubles_reset(void)
{
	AcquireSRWLockExclusive(&lock);
	memset(&d, 0, sizeof d);
	poll_count = 0;
	ReleaseSRWLockExclusive(&lock);
}

void afd_fail(enum afd_call call, enum afd_failure failure, int times)
{
	AcquireSRWLockExclusive(&lock);
	d.failures[call] = failure;
	d.failures_left[call] = times;
	ReleaseSRWLockExclusive(&lock);
}

int afd_calls(enum afd_call call)
{
	return d.calls[call];
}

/* Count it; how it is to fail. */
static enum afd_failure called(enum afd_call call)
{
	enum afd_failure failure = AFD_WORKS;

	AcquireSRWLockExclusive(&lock);
	d.calls[call]++;
	if (d.failures_left[call] != 0) {
		failure = d.failures[call];
		d.failures_left[call] -= d.failures_left[call] > 0;
	}
	ReleaseSRWLockExclusive(&lock);
	return failure;
}

static DWORD error_of(enum afd_failure failure)
{
	switch (failure) {
	case AFD_NO_MEMORY:
		return ERROR_NOT_ENOUGH_MEMORY;
	case AFD_NO_RESOURCES:
		return ERROR_NO_SYSTEM_RESOURCES;
	case AFD_NO_HANDLES:
		return ERROR_TOO_MANY_OPEN_FILES;
	case AFD_DENIED:
		return ERROR_ACCESS_DENIED;
	case AFD_NOT_THERE:
		return ERROR_FILE_NOT_FOUND;
	case AFD_TIME_IS_UP:
		return WAIT_TIMEOUT;
	case AFD_BAD_HANDLE:
	case AFD_WORKS:
		break;
	}
	return ERROR_INVALID_HANDLE;
}

static NTSTATUS status_of(enum afd_failure failure)
{
	switch (failure) {
	case AFD_NO_MEMORY:
		return (NTSTATUS)0xC0000017; /* STATUS_NO_MEMORY */
	case AFD_NO_RESOURCES:
		return (NTSTATUS)0xC000009A; /* STATUS_INSUFFICIENT_RESOURCES */
	case AFD_NO_HANDLES:
		return (NTSTATUS)0xC000011F; /* STATUS_TOO_MANY_OPENED_FILES */
	case AFD_DENIED:
		return (NTSTATUS)0xC0000022; /* STATUS_ACCESS_DENIED */
	case AFD_NOT_THERE:
		return (NTSTATUS)0xC0000034; /* STATUS_OBJECT_NAME_NOT_FOUND */
	case AFD_TIME_IS_UP:
	case AFD_BAD_HANDLE:
	case AFD_WORKS:
		break;
	}
	return (NTSTATUS)0xC0000008; /* STATUS_INVALID_HANDLE */
}

/* what the kernel has */

static void submitted(const struct tofu_afd_poll *poll, HANDLE helper)
{
	int of_socket = 1, of_helper = 1;

	AcquireSRWLockExclusive(&lock);
	for (int i = 0; i < poll_count; i++) {
		d.submitted_twice += polls[i].poll == poll;
		of_socket += polls[i].socket == poll->handle;
		of_helper += polls[i].helper == helper;
	}
	if (of_socket > d.most_of_socket)
		d.most_of_socket = of_socket;
	if (of_helper > d.most_of_helper)
		d.most_of_helper = of_helper;
	if (poll_count < POLLS)
		polls[poll_count++] = (struct watched){ poll, poll->handle, helper };
	ReleaseSRWLockExclusive(&lock);
}

static void over(const void *poll)
{
	AcquireSRWLockExclusive(&lock);
	for (int i = 0; i < poll_count; i++)
		if (polls[i].poll == poll)
			polls[i--] = polls[--poll_count];
	ReleaseSRWLockExclusive(&lock);
}

int afd_under_way(void)
{
	return poll_count;
}

int afd_most_of_one_socket(void)
{
	return d.most_of_socket;
}

int afd_most_of_one_helper(void)
{
	return d.most_of_helper;
}

int afd_submitted_twice(void)
{
	return d.submitted_twice;
}

/* ntdll */

NTSTATUS NTAPI __real_NtCreateFile(HANDLE *out, ACCESS_MASK access, OBJECT_ATTRIBUTES *which, IO_STATUS_BLOCK *io,
                                   LARGE_INTEGER *size, ULONG attributes, ULONG share, ULONG how, ULONG options,
                                   void *extra, ULONG extra_len);
NTSTATUS NTAPI __wrap_NtCreateFile(HANDLE *out, ACCESS_MASK access, OBJECT_ATTRIBUTES *which, IO_STATUS_BLOCK *io,
                                   LARGE_INTEGER *size, ULONG attributes, ULONG share, ULONG how, ULONG options,
                                   void *extra, ULONG extra_len);
NTSTATUS NTAPI __real_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc, void *context,
                                            IO_STATUS_BLOCK *io, ULONG code, void *in, ULONG in_len, void *out,
                                            ULONG out_len);
NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc, void *context,
                                            IO_STATUS_BLOCK *io, ULONG code, void *in, ULONG in_len, void *out,
                                            ULONG out_len);

NTSTATUS NTAPI __wrap_NtCreateFile(HANDLE *out, ACCESS_MASK access, OBJECT_ATTRIBUTES *which, IO_STATUS_BLOCK *io,
                                   LARGE_INTEGER *size, ULONG attributes, ULONG share, ULONG how, ULONG options,
                                   void *extra, ULONG extra_len)
{
	enum afd_failure failure = called(AFD_OPEN);

	if (failure != AFD_WORKS)
		return status_of(failure);
	return __real_NtCreateFile(out, access, which, io, size, attributes, share, how, options, extra, extra_len);
}

/* Noted before, for its packet may be taken by another thread before the call is over. */
NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE apc, void *context,
                                            IO_STATUS_BLOCK *io, ULONG code, void *in, ULONG in_len, void *out,
                                            ULONG out_len)
{
	enum afd_failure failure = called(AFD_SUBMIT);
	NTSTATUS status;

	if (failure != AFD_WORKS)
		return status_of(failure);
	ck_assert_ptr_eq(context, io);
	submitted(context, file);
	status = __real_NtDeviceIoControlFile(file, event, apc, context, io, code, in, in_len, out, out_len);
	if (NT_ERROR(status))
		over(context);
	return status;
}

typedef NTSTATUS NTAPI cancel_io_file(HANDLE file, IO_STATUS_BLOCK *io);

bool afd_cancel_plain(intptr_t helper)
{
	cancel_io_file *cancel =
		(cancel_io_file *)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtCancelIoFile");
	IO_STATUS_BLOCK io;

	if (cancel == NULL)
		ck_abort_msg("no NtCancelIoFile");
	return NT_SUCCESS(cancel((HANDLE)helper, &io));
}

/* kernel32, ws2_32 */

typedef BOOL WINAPI cancel_io_ex(HANDLE file, OVERLAPPED *which);
typedef HANDLE WINAPI create_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
typedef BOOL WINAPI take_packets(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *taken, DWORD ms,
                                 BOOL alert);
typedef BOOL WINAPI post_packet(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *which);
typedef int WSAAPI control_socket(SOCKET s, DWORD code, void *in, DWORD in_len, void *out, DWORD out_len, DWORD *got,
                                  OVERLAPPED *which, LPWSAOVERLAPPED_COMPLETION_ROUTINE done);

extern cancel_io_ex *__real___imp_CancelIoEx;
extern create_port *__real___imp_CreateIoCompletionPort;
extern take_packets *__real___imp_GetQueuedCompletionStatusEx;
extern post_packet *__real___imp_PostQueuedCompletionStatus;
extern control_socket *__real___imp_WSAIoctl;
extern cancel_io_ex *__wrap___imp_CancelIoEx;
extern create_port *__wrap___imp_CreateIoCompletionPort;
extern take_packets *__wrap___imp_GetQueuedCompletionStatusEx;
extern post_packet *__wrap___imp_PostQueuedCompletionStatus;
extern control_socket *__wrap___imp_WSAIoctl;

static BOOL refuse(enum afd_failure failure)
{
	SetLastError(error_of(failure));
	return FALSE;
}

static BOOL WINAPI cancel_double(HANDLE file, OVERLAPPED *which)
{
	enum afd_failure failure = called(AFD_CANCEL);

	return failure != AFD_WORKS ? refuse(failure) : __real___imp_CancelIoEx(file, which);
}

static HANDLE WINAPI port_double(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
	enum afd_failure failure = called(file == INVALID_HANDLE_VALUE ? AFD_PORT : AFD_BIND);

	if (failure == AFD_WORKS)
		return __real___imp_CreateIoCompletionPort(file, port, key, threads);
	(void)refuse(failure);
	return NULL;
}

static BOOL WINAPI take_double(HANDLE port, OVERLAPPED_ENTRY *entries, ULONG room, ULONG *taken, DWORD ms, BOOL alert)
{
	enum afd_failure failure = called(AFD_TAKE);

	if (failure != AFD_WORKS)
		return refuse(failure);
	if (!__real___imp_GetQueuedCompletionStatusEx(port, entries, room, taken, ms, alert))
		return FALSE;
	for (ULONG i = 0; i < *taken; i++)
		over(entries[i].lpOverlapped);
	return TRUE;
}

static BOOL WINAPI post_double(HANDLE port, DWORD bytes, ULONG_PTR key, OVERLAPPED *which)
{
	enum afd_failure failure = called(AFD_POST);

	return failure != AFD_WORKS ? refuse(failure)
	                            : __real___imp_PostQueuedCompletionStatus(port, bytes, key, which);
}

static const DWORD codes[AFD_QUESTIONS] = {
	[AFD_ASK_BASE] = SIO_BASE_HANDLE,
	[AFD_ASK_POLL] = SIO_BSP_HANDLE_POLL,
	[AFD_ASK_SELECT] = SIO_BSP_HANDLE_SELECT,
	[AFD_ASK_BSP] = SIO_BSP_HANDLE,
};

void afd_layer(intptr_t socket, enum afd_question question, intptr_t answer)
{
	ck_assert_int_lt(d.layer_count, LAYER_RULES);
	d.layers[d.layer_count++] = (struct layer_rule){ socket, question, answer };
}

int afd_asked(enum afd_question question)
{
	return d.asked[question];
}

/* False: nothing is said about this socket. */
static bool layered(SOCKET s, int question, intptr_t *answer)
{
	bool known = false;

	*answer = 0;
	for (int i = 0; i < d.layer_count; i++) {
		const struct layer_rule *rule = &d.layers[i];

		if (rule->socket != (intptr_t)s && rule->socket != AFD_ANY_SOCKET)
			continue;
		known = true;
		if ((int)rule->question == question)
			*answer = rule->answer;
	}
	return known;
}

static int WSAAPI control_double(SOCKET s, DWORD code, void *in, DWORD in_len, void *out, DWORD out_len, DWORD *got,
                                 OVERLAPPED *which, LPWSAOVERLAPPED_COMPLETION_ROUTINE done)
{
	int question = 0;
	intptr_t answer;

	while (question < AFD_QUESTIONS && codes[question] != code)
		question++;
	if (question < AFD_QUESTIONS)
		d.asked[question]++;
	if (question == AFD_QUESTIONS || !layered(s, question, &answer))
		return __real___imp_WSAIoctl(s, code, in, in_len, out, out_len, got, which, done);
	if (answer == 0 || answer == AFD_NO_SOCKET || answer == AFD_NO_WINSOCK) {
		WSASetLastError(answer == 0 ? WSAEFAULT : answer == AFD_NO_SOCKET ? WSAENOTSOCK : WSANOTINITIALISED);
		return SOCKET_ERROR;
	}
	ck_assert_uint_eq(out_len, sizeof(SOCKET));
	*(SOCKET *)out = (SOCKET)answer;
	*got = sizeof(SOCKET);
	return 0;
}

cancel_io_ex *__wrap___imp_CancelIoEx = cancel_double;
create_port *__wrap___imp_CreateIoCompletionPort = port_double;
take_packets *__wrap___imp_GetQueuedCompletionStatusEx = take_double;
post_packet *__wrap___imp_PostQueuedCompletionStatus = post_double;
control_socket *__wrap___imp_WSAIoctl = control_double;
