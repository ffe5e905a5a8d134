/* SPDX-License-Identifier: MIT */

/*
 * The one file with raw calls into ntdll and \Device\Afd, and the only one that knows completion ports. Each function
 * is one call to the system and what its answer means. What the calls do, and from where that is known, is told in
 * reactor/poller_afd.c, which is the only one to use them.
 *
 * A failure here is a lack of something (memory, handles, rights) or says that the thing is impossible; everything else
 * the system might answer is "otherwise". ERROR_FILE_NOT_FOUND, for one, is about no socket path here.
 *
 * Who frees: the caller, by tofu_afd_close(). A helper that cannot be bound to the port is closed before it is seen.
 */

#include "platform/afd.h"

#include <winsock2.h>
#include <mswsock.h>
#include <windows.h>
#include <winternl.h>

#include "platform/platform.h"

/* winternl.h and ntstatus.h get into each other's way with windows.h: these few by number */
#define AFD_SUCCESS ((NTSTATUS)0)
#define AFD_TIMED_OUT ((NTSTATUS)0x00000102)
#define AFD_PENDING ((NTSTATUS)0x00000103)
#define AFD_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
#define AFD_WAS_CANCELLED ((NTSTATUS)0xC0000120)

enum {
	AFD_POLL = 0x00012024, /* network device, function 9, buffered */
	BATCH = 256,
	LAYERS_MAX = 32, /* more cannot be installed in a row: WSAPROTOCOL_CHAIN has room for 7 */
};

_Static_assert(sizeof(intptr_t) == sizeof(SOCKET), "a socket is a number of this size");
_Static_assert(offsetof(struct tofu_afd_poll, io) == 0, "begins with the status block");
_Static_assert(offsetof(struct tofu_afd_poll, information) == offsetof(IO_STATUS_BLOCK, Information), "status block");
_Static_assert(offsetof(struct tofu_afd_poll, timeout) == sizeof(IO_STATUS_BLOCK), "status block, then poll");
_Static_assert(offsetof(OVERLAPPED, Internal) == 0, "an OVERLAPPED begins with a status block");
_Static_assert(sizeof(IO_STATUS_BLOCK) <= sizeof(OVERLAPPED), "an OVERLAPPED begins with a status block");
_Static_assert(offsetof(struct tofu_afd_poll, handles) == offsetof(struct tofu_afd_poll, timeout) + 8, "poll header");
_Static_assert(offsetof(struct tofu_afd_poll, handle) == offsetof(struct tofu_afd_poll, timeout) + 16, "poll header");
_Static_assert(offsetof(struct tofu_afd_poll, handle_status) ==
                       offsetof(struct tofu_afd_poll, timeout) + 16 + sizeof(HANDLE) + 4,
               "poll entry");

static HANDLE handle_of(intptr_t handle)
{
	return (HANDLE)handle;
}

static enum tofu_status refused(DWORD error, enum tofu_status otherwise)
{
	const enum tofu_status st = tofu_plat_status((int)error, otherwise);

	switch ((int)st) {
	case TOFU_LIMIT_REACHED:
	case TOFU_ALLOCATION_FAILED:
	case TOFU_PERMISSION_DENIED:
	case TOFU_NOT_INITIALIZED:
		return st;
	default:
		return otherwise;
	}
}

enum tofu_status tofu_afd_status(int answer, enum tofu_status otherwise)
{
	return refused(RtlNtStatusToDosError((NTSTATUS)answer), otherwise);
}

enum tofu_status tofu_afd_open_port(intptr_t *out)
{
	HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);

	*out = (intptr_t)port;
	return port != NULL ? TOFU_OK : refused(GetLastError(), TOFU_LIMIT_REACHED);
}

/* What stands after \Device\Afd means nothing to it; it is for those who look at a list of handles. */
static NTSTATUS open_afd(HANDLE *out)
{
	static WCHAR path[] = L"\\Device\\Afd\\tofu";
	UNICODE_STRING name = { .Length = sizeof path - sizeof path[0], .MaximumLength = sizeof path, .Buffer = path };
	OBJECT_ATTRIBUTES attributes = { .Length = sizeof attributes, .ObjectName = &name };
	IO_STATUS_BLOCK io;

	/* neither FILE_SYNCHRONOUS_IO nor OBJ_INHERIT */
	return NtCreateFile(out, SYNCHRONIZE, &attributes, &io, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN,
	                    0, NULL, 0);
}

enum tofu_status tofu_afd_open_helper(intptr_t port, intptr_t *out)
{
	HANDLE helper = NULL;
	NTSTATUS status = open_afd(&helper);

	*out = 0;
	if (!NT_SUCCESS(status))
		return tofu_afd_status(status, TOFU_NOT_SUPPORTED);
	if (CreateIoCompletionPort(helper, handle_of(port), 0, 0) == NULL) {
		enum tofu_status st = refused(GetLastError(), TOFU_NOT_SUPPORTED);

		(void)CloseHandle(helper);
		return st;
	}
	/* Nobody waits on the handle itself. It works without, too. */
	(void)SetFileCompletionNotificationModes(helper, FILE_SKIP_SET_EVENT_ON_HANDLE);
	*out = (intptr_t)helper;
	return TOFU_OK;
}

void tofu_afd_close(intptr_t handle)
{
	if (handle != 0)
		(void)CloseHandle(handle_of(handle));
}

static bool ask(SOCKET s, DWORD code, SOCKET *out)
{
	DWORD size = 0;

	*out = INVALID_SOCKET;
	return WSAIoctl(s, code, NULL, 0, out, sizeof *out, &size, NULL, NULL) == 0 && *out != INVALID_SOCKET;
}

/* The next layer down, if one of the calls that layered providers need for select() and the like gives it away. */
static bool look_below(SOCKET s, SOCKET *out)
{
	static const DWORD codes[] = { SIO_BSP_HANDLE_POLL, SIO_BSP_HANDLE_SELECT, SIO_BSP_HANDLE };

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (ask(s, codes[i], out) && *out != s)
			return true;
	return false;
}

enum tofu_status tofu_afd_base(intptr_t socket, intptr_t *out)
{
	SOCKET s = (SOCKET)socket;
	SOCKET base;

	*out = 0;
	for (int layer = 0; layer < LAYERS_MAX; layer++) {
		int error;

		if (ask(s, SIO_BASE_HANDLE, &base)) {
			*out = (intptr_t)base;
			return TOFU_OK;
		}
		error = WSAGetLastError();
		if (error == WSAENOTSOCK || error == WSANOTINITIALISED)
			return refused((DWORD)error, TOFU_COMMUNICATION_FAILED);
		if (!look_below(s, &base))
			break;
		s = base;
	}
	return TOFU_NOT_SUPPORTED;
}

enum tofu_status tofu_afd_submit(intptr_t helper, struct tofu_afd_poll *poll, intptr_t base, uint32_t events,
                                 int64_t timeout)
{
	const ULONG size = sizeof *poll - offsetof(struct tofu_afd_poll, timeout);
	NTSTATUS status;

	*poll = (struct tofu_afd_poll){
		.io.status = AFD_PENDING, .timeout = timeout, .handles = 1, .handle = base, .events = events
	};
	status = NtDeviceIoControlFile(handle_of(helper), NULL, NULL, poll, (IO_STATUS_BLOCK *)(void *)poll, AFD_POLL,
	                               &poll->timeout, size, &poll->timeout, size);
	return NT_ERROR(status) ? tofu_afd_status(status, TOFU_COMMUNICATION_FAILED) : TOFU_OK;
}

bool tofu_afd_cancel(intptr_t helper, struct tofu_afd_poll *poll)
{
	return CancelIoEx(handle_of(helper), (OVERLAPPED *)(void *)poll) != 0;
}

enum tofu_afd_end tofu_afd_result(const struct tofu_afd_poll *poll, uint32_t *events)
{
	*events = 0;
	if (poll->io.status == AFD_WAS_CANCELLED)
		return TOFU_AFD_CANCELLED;
	if (poll->io.status == AFD_TIMED_OUT)
		return TOFU_AFD_NOTHING;
	if (poll->io.status != AFD_SUCCESS)
		return TOFU_AFD_FAILED;
	if (poll->handles == 0) /* the entry is what it was when it was submitted */
		return TOFU_AFD_NOTHING;
	*events = poll->events;
	return TOFU_AFD_FIRED;
}

void tofu_afd_set_failed(struct tofu_afd_poll *poll)
{
	poll->io.status = AFD_UNSUCCESSFUL;
}

enum tofu_status tofu_afd_post(intptr_t port, struct tofu_afd_poll *poll)
{
	if (PostQueuedCompletionStatus(handle_of(port), 0, 0, (OVERLAPPED *)(void *)poll))
		return TOFU_OK;
	return refused(GetLastError(), TOFU_LIMIT_REACHED);
}

enum tofu_status tofu_afd_take(intptr_t port, struct tofu_afd_poll **out, size_t capacity, int32_t timeout_ms,
                               size_t *count)
{
	OVERLAPPED_ENTRY entries[BATCH];
	const ULONG room = capacity < BATCH ? (ULONG)capacity : BATCH;
	const DWORD ms = timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms;
	ULONG taken = 0;

	*count = 0;
	if (!GetQueuedCompletionStatusEx(handle_of(port), entries, room, &taken, ms, FALSE)) {
		DWORD error = GetLastError();

		return error == WAIT_TIMEOUT ? TOFU_OK : refused(error, TOFU_COMMUNICATION_FAILED);
	}
	for (ULONG i = 0; i < taken; i++)
		out[i] = (struct tofu_afd_poll *)(void *)entries[i].lpOverlapped;
	*count = taken;
	return TOFU_OK;
}
