/* SPDX-License-Identifier: MIT */

/*
 * The tests' operating system, on Windows. Failures of the machine itself end the test: a test that could not be made is not
 * a test that passed. Paths are UTF-8.
 *
 * Windows has no limit on handles that could be set for a process. Exhaustion is played by the program's own table of imported
 * functions: those that make a handle refuse, with the error that the system gives when it is full, as soon as so many
 * have been made. Whoever calls them does not notice the difference; what DLLs make for themselves goes on.
 */

#define _CRT_RAND_S /* rand_s() */

#include "os.h"

#include <winsock2.h>

#include <windows.h>

#include <sddl.h>
#include <tlhelp32.h>

#include <winternl.h>

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <process.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/transport.h>

#include "harness.h"

enum { PATH_CHARS = 1024 };

static int64_t now_ms(void)
{
	return (int64_t)GetTickCount64();
}

static DWORD until_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - now_ms();

	return left <= 0 ? 0 : (DWORD)left;
}

static int64_t deadline_of(int64_t timeout_ns)
{
	return now_ms() + (timeout_ns + 999999) / 1000000;
}

static void to_wide(const char *text, wchar_t *out, int capacity)
{
	if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, capacity) == 0)
		ck_abort_msg("%s: no UTF-8, or too long", text);
}

/* What only ntdll has. */

typedef NTSTATUS NTAPI query_system(ULONG what, void *out, ULONG size, ULONG *needed);
typedef NTSTATUS NTAPI query_object(HANDLE handle, ULONG what, void *out, ULONG size, ULONG *needed);

enum { PROCESSES = 5, TYPE = 2 }; /* SystemProcessInformation, ObjectTypeInformation */

static void (*of_ntdll(const char *name))(void)
{
	return (void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
}

static bool by_wine(void)
{
	return of_ntdll("wine_get_version") != NULL;
}

/* As ntdll has them. */
struct thread_entry {
	LARGE_INTEGER kernel, user, created;
	ULONG wait_time;
	void *start;
	HANDLE process, thread;
	LONG priority, base_priority;
	ULONG switches;
	ULONG state;
	ULONG reason;
};

struct process_entry {
	ULONG next;
	ULONG threads;
	BYTE times[48];
	UNICODE_STRING name;
	LONG base_priority;
	HANDLE process;
	HANDLE parent;
	ULONG handles;
	BYTE rest[256 - 100];
	struct thread_entry thread[];
};

_Static_assert(sizeof(void *) != 8 || offsetof(struct process_entry, thread) == 256, "as ntdll has it");
_Static_assert(sizeof(void *) != 8 || sizeof(struct thread_entry) == 80, "as ntdll has it");

static void *processes(void)
{
	const NTSTATUS too_small = (NTSTATUS)0xC0000004;
	query_system *ask = (query_system *)of_ntdll("NtQuerySystemInformation");
	ULONG size = 1 << 16, needed = 0;
	NTSTATUS status = too_small;
	void *out = NULL;

	while (ask != NULL && status == too_small) {
		free(out);
		size = (needed > size ? needed : size) + (1 << 16);
		out = malloc(size);
		if (out == NULL)
			break;
		status = ask(PROCESSES, out, size, &needed);
	}
	if (out == NULL || status < 0)
		ck_abort_msg("NtQuerySystemInformation: %#lx", (unsigned long)status);
	return out;
}

static const struct process_entry *own_entry(const char *list)
{
	const struct process_entry *p = (const struct process_entry *)(const void *)list;

	while (p->process != (HANDLE)(uintptr_t)GetCurrentProcessId() && p->next != 0)
		p = (const struct process_entry *)(const void *)((const char *)p + p->next);
	return p;
}

/* descriptors */

/* What kind of object it is; false: there is no such handle. */
static bool type_of(HANDLE handle, wchar_t out[32])
{
	static query_object *ask;
	union {
		UNICODE_STRING name;
		char room[512];
	} type;

	if (ask == NULL)
		ask = (query_object *)of_ntdll("NtQueryObject");
	if (ask == NULL || ask(handle, TYPE, &type, sizeof type, NULL) < 0)
		return false;
	swprintf(out, 32, L"%.*ls", (int)(type.name.Length / sizeof *out), type.name.Buffer);
	return true;
}

/* What Winsock opens for itself when it is used first would be taken for a leak. */
static void open_what_winsock_keeps(void)
{
	static bool done;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof at;
	SOCKET listener, client, server;
	WSADATA data;

	if (done)
		return;
	done = true;
	if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
		ck_abort_msg("no Winsock");
	listener = socket(AF_INET, SOCK_STREAM, 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (const struct sockaddr *)&at, len) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) != 0 ||
	    connect(client, (const struct sockaddr *)&at, len) != 0)
		ck_abort_msg("no TCP on the loopback: %d", WSAGetLastError());
	server = accept(listener, NULL, NULL);
	closesocket(server);
	closesocket(client);
	closesocket(listener);
	WSACleanup();
}

/*
 * How many handles there are to be found, and below which number. By Wine what the system counts is its table's room. Then
 * that is where it ends; on Windows, where numbers may be far apart, it is when all are found.
 */
static ULONG handles_to_find(ULONG *below)
{
	char *list = processes();
	const ULONG count = own_entry(list)->handles;

	*below = by_wine() ? count + 1 : 1 << 18;
	free(list);
	return count;
}

static bool is_one_of(const wchar_t *type, wchar_t types[][32], int count)
{
	for (int i = 0; i < count; i++)
		if (wcscmp(type, types[i]) == 0)
			return true;
	return false;
}

/*
 * Of all handles those of the kinds that a library like ours opens: files (sockets are), completion ports, events, threads.
 * The system's own keys and thread pools come and go as they like. What a kind is called is found out by one of each.
 *
 * Each number is asked about. The system would list them all in one call, but those of all processes: Wine's server reads
 * beyond the end of its memory then, and may crash, if any of them has none yet because it is just being started
 * (enum_handles() in server/handle.c of 8.0 compares an unsigned number with -1).
 */
int os_descriptors(void)
{
	enum { KINDS = 4 };
	HANDLE samples[KINDS] = { 0 };
	wchar_t types[KINDS][32], type[32];
	ULONG to_find, below;
	int count = -KINDS;

	open_what_winsock_keeps();
	samples[0] = CreateFileW(L"NUL", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
	samples[1] = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
	samples[2] = CreateEventW(NULL, TRUE, FALSE, NULL);
	if (!DuplicateHandle(GetCurrentProcess(), GetCurrentThread(), GetCurrentProcess(), &samples[3], 0, FALSE,
	                     DUPLICATE_SAME_ACCESS))
		ck_abort_msg("DuplicateHandle: %lu", GetLastError());
	for (int kind = 0; kind < KINDS; kind++)
		if (!type_of(samples[kind], types[kind]))
			ck_abort_msg("the system does not say what this process's handles are");
	to_find = handles_to_find(&below);
	for (ULONG number = 1; number < below && to_find > 0; number++) {
		if (!type_of((HANDLE)(uintptr_t)(4 * number), type))
			continue;
		to_find--;
		count += is_one_of(type, types, KINDS);
	}
	for (int kind = 0; kind < KINDS; kind++)
		CloseHandle(samples[kind]);
	return count;
}

unsigned os_raise_descriptor_limit(void)
{
	return 1 << 20; /* 16 million, if the memory suffices */
}

/* How many handles may still be made; while the imports are replaced. */
static atomic_long places;

static bool take_place(void)
{
	if (atomic_fetch_sub(&places, 1) > 0)
		return true;
	atomic_fetch_add(&places, 1);
	return false;
}

/* The functions themselves, as they were imported. */
static struct {
	SOCKET(WSAAPI *socket)(int, int, int);
	SOCKET(WSAAPI *wsa_socket)(int, int, int, WSAPROTOCOL_INFOW *, GROUP, DWORD);
	SOCKET(WSAAPI *accept)(SOCKET, struct sockaddr *, int *);
	SOCKET(WSAAPI *wsa_accept)(SOCKET, struct sockaddr *, int *, LPCONDITIONPROC, DWORD_PTR);
	int(WSAAPI *closesocket)(SOCKET);
	HANDLE(WINAPI *create_event)(SECURITY_ATTRIBUTES *, BOOL, BOOL, const wchar_t *);
	HANDLE(WINAPI *create_port)(HANDLE, HANDLE, ULONG_PTR, DWORD);
	HANDLE(WINAPI *create_file)(const wchar_t *, DWORD, DWORD, SECURITY_ATTRIBUTES *, DWORD, DWORD, HANDLE);
	NTSTATUS(NTAPI *nt_create_file)
	(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, LARGE_INTEGER *, ULONG, ULONG, ULONG, ULONG,
	 void *, ULONG);
	BOOL(WINAPI *close_handle)(HANDLE);
} real;

static SOCKET counted_socket(SOCKET s)
{
	if (s == INVALID_SOCKET)
		atomic_fetch_add(&places, 1);
	return s;
}

static SOCKET no_socket(void)
{
	WSASetLastError(WSAEMFILE);
	return INVALID_SOCKET;
}

static HANDLE counted_handle(HANDLE handle)
{
	if (handle == NULL || handle == INVALID_HANDLE_VALUE)
		atomic_fetch_add(&places, 1);
	return handle;
}

static SOCKET WSAAPI full_socket(int family, int type, int protocol)
{
	return take_place() ? counted_socket(real.socket(family, type, protocol)) : no_socket();
}

static SOCKET WSAAPI full_wsa_socket(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                                     DWORD flags)
{
	return take_place() ? counted_socket(real.wsa_socket(family, type, protocol, info, group, flags)) : no_socket();
}

static SOCKET WSAAPI full_accept(SOCKET listener, struct sockaddr *address, int *len)
{
	return take_place() ? counted_socket(real.accept(listener, address, len)) : no_socket();
}

static SOCKET WSAAPI full_wsa_accept(SOCKET listener, struct sockaddr *address, int *len, LPCONDITIONPROC condition,
                                     DWORD_PTR context)
{
	return take_place() ? counted_socket(real.wsa_accept(listener, address, len, condition, context)) : no_socket();
}

static int WSAAPI full_closesocket(SOCKET s)
{
	int rc = real.closesocket(s);

	atomic_fetch_add(&places, rc == 0);
	return rc;
}

static HANDLE WINAPI full_create_event(SECURITY_ATTRIBUTES *security, BOOL manual, BOOL raised, const wchar_t *name)
{
	if (take_place())
		return counted_handle(real.create_event(security, manual, raised, name));
	SetLastError(ERROR_NO_SYSTEM_RESOURCES);
	return NULL;
}

/* To tie a file to a port makes no handle. */
static HANDLE WINAPI full_create_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
	if (port != NULL)
		return real.create_port(file, port, key, threads);
	if (take_place())
		return counted_handle(real.create_port(file, port, key, threads));
	SetLastError(ERROR_NO_SYSTEM_RESOURCES);
	return NULL;
}

static HANDLE WINAPI full_create_file(const wchar_t *path, DWORD access, DWORD share, SECURITY_ATTRIBUTES *security,
                                      DWORD how, DWORD flags, HANDLE like)
{
	if (take_place())
		return counted_handle(real.create_file(path, access, share, security, how, flags, like));
	SetLastError(ERROR_TOO_MANY_OPEN_FILES);
	return INVALID_HANDLE_VALUE;
}

static NTSTATUS NTAPI full_nt_create_file(HANDLE *out, ACCESS_MASK access, OBJECT_ATTRIBUTES *which,
                                          IO_STATUS_BLOCK *iosb, LARGE_INTEGER *size, ULONG attributes, ULONG share,
                                          ULONG how, ULONG options, void *extra, ULONG extra_len)
{
	NTSTATUS status = (NTSTATUS)0xC000011F; /* STATUS_TOO_MANY_OPENED_FILES */

	if (!take_place())
		return status;
	status = real.nt_create_file(out, access, which, iosb, size, attributes, share, how, options, extra, extra_len);
	atomic_fetch_add(&places, status < 0);
	return status;
}

static BOOL WINAPI full_close_handle(HANDLE handle)
{
	BOOL done = real.close_handle(handle);

	atomic_fetch_add(&places, done);
	return done;
}

typedef void function(void);

/* clang-format off */
static const struct import {
	const char *name;
	function *instead;
	void *real; /* where the function itself is kept */
} imports[] = {
	{ "socket",                 (function *)full_socket,         &real.socket },
	{ "WSASocketW",             (function *)full_wsa_socket,     &real.wsa_socket },
	{ "accept",                 (function *)full_accept,         &real.accept },
	{ "WSAAccept",              (function *)full_wsa_accept,     &real.wsa_accept },
	{ "closesocket",            (function *)full_closesocket,    &real.closesocket },
	{ "CreateEventW",           (function *)full_create_event,   &real.create_event },
	{ "CreateIoCompletionPort", (function *)full_create_port,    &real.create_port },
	{ "CreateFileW",            (function *)full_create_file,    &real.create_file },
	{ "NtCreateFile",           (function *)full_nt_create_file, &real.nt_create_file },
	{ "CloseHandle",            (function *)full_close_handle,   &real.close_handle },
};
/* clang-format on */

/* A function that this program imports: the entry of the table that its calls go through. */
static void replace_import(const char *name, IMAGE_THUNK_DATA *slot, bool replace)
{
	for (size_t i = 0; i < sizeof imports / sizeof *imports; i++) {
		DWORD before;

		if (strcmp(imports[i].name, name) != 0)
			continue;
		if (!VirtualProtect(slot, sizeof *slot, PAGE_READWRITE, &before))
			ck_abort_msg("VirtualProtect: %lu", GetLastError());
		if (replace) {
			memcpy(imports[i].real, slot, sizeof imports[i].instead);
			memcpy(slot, &imports[i].instead, sizeof imports[i].instead);
		} else {
			memcpy(slot, imports[i].real, sizeof imports[i].instead);
		}
		VirtualProtect(slot, sizeof *slot, before, &before);
	}
}

static void replace_imports(bool replace)
{
	unsigned char *image = (unsigned char *)GetModuleHandleW(NULL);
	const IMAGE_DOS_HEADER *dos = (const IMAGE_DOS_HEADER *)(const void *)image;
	const IMAGE_NT_HEADERS *nt = (const IMAGE_NT_HEADERS *)(const void *)(image + dos->e_lfanew);
	const IMAGE_DATA_DIRECTORY *where = &nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
	const IMAGE_IMPORT_DESCRIPTOR *dll =
		(const IMAGE_IMPORT_DESCRIPTOR *)(const void *)(image + where->VirtualAddress);

	for (; dll->Name != 0; dll++) {
		const IMAGE_THUNK_DATA *from =
			(const IMAGE_THUNK_DATA *)(const void *)(image + dll->OriginalFirstThunk);
		IMAGE_THUNK_DATA *slot = (IMAGE_THUNK_DATA *)(void *)(image + dll->FirstThunk);

		for (; from->u1.AddressOfData != 0; from++, slot++) {
			const unsigned char *entry = image + from->u1.AddressOfData;

			if (!IMAGE_SNAP_BY_ORDINAL(from->u1.Ordinal))
				replace_import((const char *)entry + offsetof(IMAGE_IMPORT_BY_NAME, Name), slot,
				               replace);
		}
	}
}

void os_exhaust_descriptors(unsigned more)
{
	atomic_store(&places, (long)more);
	replace_imports(true);
}

void os_free_descriptors(void)
{
	replace_imports(false);
}

bool os_has_many_threads(void)
{
	return false;
}

bool os_exhaustion_is_real(void)
{
	return true; /* a connection that is refused stays in the backlog, as it would */
}

/* Handles have 32 significant bits. */
int os_hold_descriptor(void)
{
	HANDLE handle = CreateFileW(L"NUL", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);

	if (handle == INVALID_HANDLE_VALUE)
		ck_abort_msg("NUL: %lu", GetLastError());
	return (int)(intptr_t)handle;
}

void os_drop_descriptor(int descriptor)
{
	CloseHandle((HANDLE)(intptr_t)descriptor);
}

/* sockets */

bool os_knows_localhost(void)
{
	return true;
}

bool os_has_unix_sockets(void)
{
	static int known; /* 1: yes, -1: no */
	WSADATA data;
	SOCKET s;

	if (known == 0) {
		if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
			ck_abort_msg("no Winsock");
		s = socket(AF_UNIX, SOCK_STREAM, 0);
		known = s != INVALID_SOCKET ? 1 : -1;
		if (s != INVALID_SOCKET)
			closesocket(s);
		WSACleanup();
	}
	return known > 0;
}

static bool is_socket(intptr_t handle)
{
	int type, len = sizeof type;

	return getsockopt((SOCKET)handle, SOL_SOCKET, SO_TYPE, (char *)&type, &len) == 0;
}

/* Before version 2004 WSAPoll() says nothing of a connect that failed: asked again every now and then, SO_ERROR does. */
static unsigned wait_for_socket(SOCKET s, unsigned bits, int64_t deadline_ms)
{
	enum { SLICE_MS = 100 };
	WSAPOLLFD item = { .fd = s };

	item.events =
		(SHORT)(((bits & OS_READABLE) != 0 ? POLLRDNORM : 0) | ((bits & OS_WRITABLE) != 0 ? POLLWRNORM : 0));
	for (;;) {
		DWORD left = until_ms(deadline_ms);
		int n = WSAPoll(&item, 1, left < SLICE_MS ? (INT)left : SLICE_MS);
		int error = 0, len = sizeof error;

		if (n < 0)
			ck_abort_msg("WSAPoll: %d", WSAGetLastError());
		if (n > 0 && (item.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			return bits;
		if (n > 0)
			return ((item.revents & POLLRDNORM) != 0 ? OS_READABLE : 0u) |
			       ((item.revents & POLLWRNORM) != 0 ? OS_WRITABLE : 0u);
		if (getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len) == 0 && error != 0)
			return bits;
		if (left == 0)
			return 0;
	}
}

bool os_leave_network(void)
{
	return false;
}

bool os_shares_ports(void)
{
	return false;
}

bool os_has_abstract_names(void)
{
	return false;
}

bool os_has_users(void)
{
	return false;
}

bool os_tells_of_acknowledgements(void)
{
	return false;
}

bool os_acknowledges_when_asked(void)
{
	return false;
}

intptr_t os_connected_to_itself(const char *host)
{
	SOCKET s = socket(strchr(host, ':') != NULL ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	struct tofu_sockaddr own;
	u_long on = 1;
	int len;
	size_t count;

	ck_status(tofu_sockaddr_inet(host, 0, 0, &own, 1, &count), TOFU_OK);
	len = (int)own.len;
	ck_assert(bind(s, (const struct sockaddr *)own.bytes, len) == 0);
	ck_assert(getsockname(s, (struct sockaddr *)own.bytes, &len) == 0);
	ck_assert(connect(s, (const struct sockaddr *)own.bytes, len) == 0);
	ck_assert(ioctlsocket(s, (long)FIONBIO, &on) == 0);
	return (intptr_t)s;
}

unsigned os_wait(intptr_t handle, unsigned bits, int64_t timeout_ns)
{
	int64_t deadline = deadline_of(timeout_ns);

	if (is_socket(handle))
		return wait_for_socket((SOCKET)handle, bits, deadline);
	return WaitForSingleObject((HANDLE)handle, until_ms(deadline)) == WAIT_OBJECT_0 ? bits & OS_READABLE : 0;
}

/* Wine's recv() says 0 after a reset, too; but it polls as broken. */
static bool is_broken(SOCKET s)
{
	WSAPOLLFD item = { .fd = s, .events = POLLRDNORM };

	return WSAPoll(&item, 1, 0) > 0 && (item.revents & POLLERR) != 0;
}

enum os_end os_read_to_end(intptr_t socket, int64_t timeout_ns)
{
	int64_t deadline = deadline_of(timeout_ns);
	char waste[4096];

	for (;;) {
		int n = recv((SOCKET)socket, waste, sizeof waste, 0);

		if (n == 0)
			return is_broken((SOCKET)socket) ? OS_RESET : OS_FIN;
		if (n > 0)
			continue;
		if (WSAGetLastError() != WSAEWOULDBLOCK)
			return OS_RESET;
		if (wait_for_socket((SOCKET)socket, OS_READABLE, deadline) == 0)
			return OS_NOT_THE_END;
	}
}

/* time, memory */

static int64_t ns_of(FILETIME t)
{
	return (int64_t)((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) * 100;
}

int64_t os_cpu_ns(void)
{
	FILETIME start, end, kernel, user;

	if (!GetProcessTimes(GetCurrentProcess(), &start, &end, &kernel, &user))
		ck_abort_msg("GetProcessTimes: %lu", GetLastError());
	return ns_of(kernel) + ns_of(user);
}

void os_pause(void)
{
	Sleep(1);
}

size_t os_heap_in_use(void)
{
	HANDLE heap = (HANDLE)_get_heap_handle();
	PROCESS_HEAP_ENTRY entry = { .lpData = NULL };
	size_t sum = 0;

	HeapLock(heap);
	while (HeapWalk(heap, &entry))
		if ((entry.wFlags & PROCESS_HEAP_ENTRY_BUSY) != 0)
			sum += entry.cbData;
	HeapUnlock(heap);
	return sum;
}

/* files */

bool os_file_exists(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	return GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES; /* of the file itself, not of what it leads to */
}

void os_user(char out[OS_USER])
{
	union {
		TOKEN_USER is;
		BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} user;
	DWORD size;
	char *text;

	if (!GetTokenInformation(GetCurrentProcessToken(), TokenUser, &user, sizeof user, &size) ||
	    !ConvertSidToStringSidA(user.is.User.Sid, &text))
		ck_abort_msg("no user: %lu", GetLastError());
	snprintf(out, OS_USER, "%s", text);
	LocalFree(text);
}

/* A matter of access control lists, which come from the directory; the user's temporary directory is the user's. */
bool os_file_is_private(const char *path)
{
	return os_file_exists(path);
}

/* Nothing of the directory's: the user may do all, everybody (WD) read. */
void os_file_share(const char *path, bool with_everybody)
{
	wchar_t wide[PATH_CHARS];
	PSECURITY_DESCRIPTOR rights;
	char user[OS_USER], text[256];

	to_wide(path, wide, PATH_CHARS);
	os_user(user);
	snprintf(text, sizeof text, "D:P(A;;FA;;;%s)%s", user, with_everybody ? "(A;;FR;;;WD)" : "");
	if (!ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, &rights, NULL) ||
	    !SetFileSecurityW(wide, DACL_SECURITY_INFORMATION, rights))
		ck_abort_msg("%s: %lu", path, GetLastError());
	LocalFree(rights);
}

void os_file_remove(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	DeleteFileW(wide);
}

static HANDLE open_file(const char *path, DWORD access, DWORD how)
{
	wchar_t wide[PATH_CHARS];
	HANDLE file;

	to_wide(path, wide, PATH_CHARS);
	file = CreateFileW(wide, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, how,
	                   FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
	if (file == INVALID_HANDLE_VALUE)
		ck_abort_msg("%s: %lu", path, GetLastError());
	return file;
}

uint64_t os_file_number(const char *path)
{
	HANDLE file = open_file(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING);
	BY_HANDLE_FILE_INFORMATION info;

	if (!GetFileInformationByHandle(file, &info))
		ck_abort_msg("%s: %lu", path, GetLastError());
	CloseHandle(file);
	return (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
}

void os_file_write(const char *path, const char *text)
{
	HANDLE file = open_file(path, GENERIC_WRITE, CREATE_NEW);
	DWORD n = 0;

	if (!WriteFile(file, text, (DWORD)strlen(text), &n, NULL) || n != strlen(text))
		ck_abort_msg("%s: %lu", path, GetLastError());
	CloseHandle(file);
}

void os_file_read(const char *path, char *out, size_t capacity)
{
	HANDLE file = open_file(path, GENERIC_READ, OPEN_EXISTING);
	DWORD n = 0;

	if (!ReadFile(file, out, (DWORD)capacity - 1, &n, NULL))
		ck_abort_msg("%s: %lu", path, GetLastError());
	out[n] = '\0';
	CloseHandle(file);
}

void os_make_directory(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	if (!CreateDirectoryW(wide, NULL))
		ck_abort_msg("%s: %lu", path, GetLastError());
}

static void remove_any(const wchar_t *path);

/* Each entry of a directory that is no "." or "..". */
static unsigned each_file(const wchar_t *path, void (*what)(const wchar_t *path))
{
	wchar_t full[PATH_CHARS];
	WIN32_FIND_DATAW entry;
	unsigned count = 0;
	HANDLE search;

	_snwprintf(full, PATH_CHARS, L"%ls\\*", path);
	search = FindFirstFileW(full, &entry);
	if (search == INVALID_HANDLE_VALUE)
		return 0;
	do {
		if (wcscmp(entry.cFileName, L".") == 0 || wcscmp(entry.cFileName, L"..") == 0)
			continue;
		count++;
		_snwprintf(full, PATH_CHARS, L"%ls\\%ls", path, entry.cFileName);
		if (what != NULL)
			what(full);
	} while (FindNextFileW(search, &entry));
	FindClose(search);
	return count;
}

static void remove_any(const wchar_t *path)
{
	if (DeleteFileW(path))
		return;
	each_file(path, remove_any);
	RemoveDirectoryW(path);
}

void os_remove_directory(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	remove_any(wide);
}

unsigned os_files_in(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	return each_file(wide, NULL);
}

void os_change_directory(const char *path)
{
	wchar_t wide[PATH_CHARS];

	to_wide(path, wide, PATH_CHARS);
	if (!SetCurrentDirectoryW(wide))
		ck_abort_msg("%s: %lu", path, GetLastError());
}

void os_temporary_directory(char *out, size_t capacity)
{
	wchar_t wide[MAX_PATH + 1];
	DWORD len = GetTempPathW(MAX_PATH + 1, wide);

	if (len == 0 || len > MAX_PATH)
		ck_abort_msg("GetTempPathW: %lu", GetLastError());
	wide[len - 1] = L'\0'; /* the final backslash */
	if (WideCharToMultiByte(CP_UTF8, 0, wide, -1, out, (int)capacity, NULL, NULL) == 0)
		ck_abort_msg("the temporary directory's name is too long");
}

uint64_t os_random(void)
{
	unsigned high, low;

	if (rand_s(&high) != 0 || rand_s(&low) != 0)
		ck_abort_msg("rand_s: %d", errno);
	return (uint64_t)high << 32 | low;
}

void os_fresh_path(char *out, size_t capacity)
{
	char dir[PATH_CHARS];
	int n;

	os_temporary_directory(dir, sizeof dir);
	n = snprintf(out, capacity, "%s\\tofu-test-%016" PRIx64, dir, os_random());
	if (n < 0 || (size_t)n >= capacity)
		ck_abort_msg("the temporary directory's name is too long");
}

/* threads */

int os_threads(void)
{
	HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
	THREADENTRY32 one = { .dwSize = sizeof one };
	int count = 0;

	if (all == INVALID_HANDLE_VALUE)
		ck_abort_msg("CreateToolhelp32Snapshot: %lu", GetLastError());
	for (BOOL got = Thread32First(all, &one); got; got = Thread32Next(all, &one))
		count += one.th32OwnerProcessID == GetCurrentProcessId();
	CloseHandle(all);
	return count;
}

int64_t os_thread_id(void)
{
	return GetCurrentThreadId();
}

static bool look_at_thread(int64_t thread, struct thread_entry *out)
{
	char *list = processes();
	const struct process_entry *p = own_entry(list);
	bool found = false;

	for (ULONG i = 0; i < p->threads && !found; i++) {
		*out = p->thread[i];
		found = out->thread == (HANDLE)(uintptr_t)thread;
	}
	free(list);
	return found;
}

static int64_t thread_cpu_ns(int64_t thread)
{
	HANDLE handle = OpenThread(THREAD_QUERY_INFORMATION, FALSE, (DWORD)thread);
	FILETIME start, end, kernel, user;
	BOOL told = handle != NULL && GetThreadTimes(handle, &start, &end, &kernel, &user);

	CloseHandle(handle);
	return told ? ns_of(kernel) + ns_of(user) : -1;
}

/*
 * Windows says what state a thread is in and how often it got a processor; Wine says 0 (not known). So it is looked at
 * several times, and must not have used any time in between, as far as that can be seen: Wine counts in steps of 10 ms.
 */
bool os_await_sleeping(int64_t thread)
{
	enum { NOT_KNOWN = 0, WAITING = 5, LOOKS = 10, LOOKS_IF_NOT_KNOWN = 50 };
	int64_t deadline = now_ms() + 10000, cpu = -1;
	struct thread_entry before = { .state = 0 }, now;
	int same = 0;

	while (same < (before.state == WAITING ? LOOKS : LOOKS_IF_NOT_KNOWN)) {
		int64_t cpu_before = cpu;

		if (now_ms() > deadline)
			return false;
		os_pause();
		cpu = thread_cpu_ns(thread);
		if (cpu < 0 || !look_at_thread(thread, &now))
			return false;
		same++;
		if ((now.state != WAITING && now.state != NOT_KNOWN) || now.switches != before.switches ||
		    cpu != cpu_before)
			same = 0;
		before = now;
	}
	return true;
}

/* signals: there is no SIGPIPE */

bool os_sigpipe_untouched(void)
{
	return true;
}

void os_sigpipe_count(void)
{
}

int os_sigpipe_counted(void)
{
	return 0;
}

/* the environment */

/* There are two: that of the process, and the C library's copy. _putenv_s() removes what is empty. */
void os_set_variable(const char *name, const char *value)
{
	if (_putenv_s(name, value != NULL ? value : "") != 0)
		ck_abort_msg("%s: %s", name, strerror(errno));
	if (!SetEnvironmentVariableA(name, value) && GetLastError() != ERROR_ENVVAR_NOT_FOUND)
		ck_abort_msg("%s: %lu", name, GetLastError());
}

/* processes */

static bool make_pipe(HANDLE *read_end, HANDLE *write_end)
{
	if (!CreatePipe(read_end, write_end, NULL, 0))
		return false;
	return SetHandleInformation(*write_end, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
}

bool os_spawn_self(struct os_process *p, const char *argument, const char *second)
{
	wchar_t path[PATH_CHARS], line[2 * PATH_CHARS];
	char arguments[PATH_CHARS];
	STARTUPINFOW start = { .cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES };
	PROCESS_INFORMATION child;
	HANDLE out;
	BOOL started;

	snprintf(arguments, sizeof arguments, second != NULL ? "again \"%s\" \"%s\"" : "again \"%s\"", argument,
	         second);
	to_wide(arguments, line, 2 * PATH_CHARS);
	if (GetModuleFileNameW(NULL, path, PATH_CHARS) == PATH_CHARS || !make_pipe(&out, &start.hStdOutput))
		return false;
	start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	started = CreateProcessW(path, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &child);
	CloseHandle(start.hStdOutput);
	if (!started) {
		CloseHandle(out);
		return false;
	}
	CloseHandle(child.hThread);
	p->id = (intptr_t)child.hProcess;
	p->out = (int)(intptr_t)out;
	return true;
}

/* Pipes cannot be waited for. */
static bool read_byte(HANDLE from, char *out, int64_t deadline_ms)
{
	DWORD count = 0;

	while (PeekNamedPipe(from, NULL, 0, NULL, &count, NULL) && count == 0) {
		if (now_ms() > deadline_ms)
			return false;
		os_pause();
	}
	return count > 0 && ReadFile(from, out, 1, &count, NULL) && count == 1;
}

bool os_read_line(struct os_process *p, char *out, size_t capacity, int64_t timeout_ns)
{
	int64_t deadline = deadline_of(timeout_ns);

	for (size_t at = 0; at < capacity;) {
		if (!read_byte((HANDLE)(intptr_t)p->out, &out[at], deadline))
			return false;
		if (out[at] == '\n') {
			out[at] = '\0';
			return true;
		}
		at += out[at] != '\r';
	}
	return false;
}

enum { KILLED = 0x7fff };

void os_kill(struct os_process *p)
{
	TerminateProcess((HANDLE)(intptr_t)p->id, KILLED);
}

/*
 * By Wine 8 they mostly do: of 11 runs of after_an_accident_the_books_balance over TCP, 20 kills each, 4 failed for a
 * connection that never ended. No Unix process had it any more, so its server did. That no thread is in a recv() or send()
 * when the process is killed does not help.
 */
bool os_kill_ends_connections(void)
{
	return !by_wine();
}

int os_reap(struct os_process *p)
{
	HANDLE process = (HANDLE)(intptr_t)p->id;
	DWORD status = KILLED;

	WaitForSingleObject(process, INFINITE);
	GetExitCodeProcess(process, &status);
	CloseHandle(process);
	CloseHandle((HANDLE)(intptr_t)p->out);
	return status <= 255 ? (int)status : -1; /* exceptions are far above */
}
