/* SPDX-License-Identifier: MIT */

/*
 * Socket files on Windows. Paths are UTF-8 here and in the socket's address, UTF-16 for the system. A socket file is a reparse
 * point with a tag of its own; it outlives its socket as on POSIX. Nothing here keeps anything but the lock and the mark.
 *
 * A connect that is refused does not tell a dead owner from one whose backlog is full. So each listener of this library has an
 * event whose name says which file is its own: it is there as long as the process keeps it, and goes with the process. The
 * lock is one, too: no file, which a scanner might hold open, and which a link might stand for.
 *
 * Failures of a removal or of putting back are not reported: there is nothing that a caller could do, and the next
 * listener at that path judges the file anew. Nor is a path that is no UTF-8: the bind is going to say so.
 */

#define _CRT_RAND_S /* rand_s() */

#include "transport_unix/socket_file.h"

#include <winsock2.h>

#include <aclapi.h>
#include <windows.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_TRIES = 64, NAME_DIGITS = 16, WIDE_CAPACITY = 1024, OBJECT_NAME = 96, TAG_AF_UNIX = (int)0x80000023 };

static bool to_wide(const char *path, wchar_t out[WIDE_CAPACITY])
{
	return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out, WIDE_CAPACITY) != 0;
}

static bool to_utf8(const wchar_t *wide, char *out, size_t capacity)
{
	return WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, out, (int)capacity, NULL, NULL) != 0;
}

/* The file itself, whatever it leads to: to look at it, to be told which one it is, or to give it another name. */
static HANDLE open_file(const char *path, DWORD access)
{
	wchar_t wide[WIDE_CAPACITY];

	if (!to_wide(path, wide))
		return INVALID_HANDLE_VALUE;
	return CreateFileW(wide, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
	                   FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS, NULL);
}

static bool nothing_at(const char *path)
{
	wchar_t wide[WIDE_CAPACITY];
	DWORD error;

	if (!to_wide(path, wide) || GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES)
		return false;
	error = GetLastError();
	return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
}

bool tofu_socket_file_missing(const char *path)
{
	return nothing_at(path);
}

/* "\\\\server\\share" and drives that stand for one; not "\\\\?\\C:". */
bool tofu_socket_file_remote(const char *path)
{
	wchar_t root[] = L"C:\\";

	if (strncmp(path, "\\\\?\\", 4) == 0 || strncmp(path, "\\\\.\\", 4) == 0)
		path += 4;
	if (strchr("/\\", path[0]) != NULL && path[0] != '\0' && strchr("/\\", path[1]) != NULL && path[1] != '\0')
		return true;
	if (path[0] == '\0' || path[1] != ':')
		return _strnicmp(path, "UNC\\", 4) == 0;
	root[0] = (wchar_t)(unsigned char)path[0];
	return GetDriveTypeW(root) == DRIVE_REMOTE;
}

/* Of a call that gave that much: why it failed, if it did. */
static enum tofu_status failure(void)
{
	return tofu_system_status((int)GetLastError(), TOFU_LISTEN_FAILED);
}

/* The bytes of path up to its last separator, that included; "C:name" is in a directory, too. */
static size_t directory_len(const char *path)
{
	size_t len = strlen(path);

	while (len > 0 && strchr("/\\:", path[len - 1]) == NULL)
		len--;
	return len;
}

/* which one it is */

static enum tofu_status identify(const char *path, bool directory, struct tofu_socket_file_id *out)
{
	BY_HANDLE_FILE_INFORMATION info;
	HANDLE file = open_file(path, FILE_READ_ATTRIBUTES);
	enum tofu_status st;

	if (file == INVALID_HANDLE_VALUE)
		return nothing_at(path) ? TOFU_ADDRESS_IN_USE : failure();
	st = GetFileInformationByHandle(file, &info) ? TOFU_OK : failure();
	CloseHandle(file);
	if (st != TOFU_OK)
		return st;
	if (((info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) != directory)
		return TOFU_ADDRESS_IN_USE;
	out->device = info.dwVolumeSerialNumber;
	out->number = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
	return TOFU_OK;
}

enum tofu_status tofu_socket_file_identify(const char *path, struct tofu_socket_file_id *out)
{
	return identify(path, false, out);
}

static bool identify_directory(const char *path, struct tofu_socket_file_id *out)
{
	char directory[sizeof(struct tofu_sockaddr) + 2];
	size_t len = directory_len(path);

	if (len >= sizeof(struct tofu_sockaddr))
		return false;
	memcpy(directory, path, len);
	strcpy(directory + len, "."); /* without a separator: where we are */
	return identify(directory, true, out) == TOFU_OK;
}

/* the mark */

static void name_mark(const struct tofu_socket_file_id *id, char out[64])
{
	snprintf(out, 64, "Global\\tofu-unix-%" PRIx64 "-%" PRIx64, id->device, id->number);
}

/* 0: then a full backlog may be taken for a dead owner. */
intptr_t tofu_socket_file_mark(const struct tofu_socket_file_id *id)
{
	char name[64];

	name_mark(id, name);
	return (intptr_t)CreateEventA(NULL, TRUE, FALSE, name);
}

void tofu_socket_file_unmark(intptr_t mark)
{
	if (mark != 0)
		CloseHandle((HANDLE)mark);
}

/* Another user's may not be opened, but it is there. */
static bool is_marked(const struct tofu_socket_file_id *id)
{
	char name[64];
	HANDLE mark;

	name_mark(id, name);
	mark = OpenEventA(SYNCHRONIZE, FALSE, name);
	if (mark == NULL)
		return GetLastError() == ERROR_ACCESS_DENIED;
	CloseHandle(mark);
	return true;
}

/* the lock */

/* The same for every way to write the last part of path in small and capital letters. */
static bool hash_name(const char *path, uint64_t *out)
{
	wchar_t wide[WIDE_CAPACITY], upper[WIDE_CAPACITY];

	if (!to_wide(path + directory_len(path), wide) ||
	    LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_UPPERCASE, wide, -1, upper, WIDE_CAPACITY, NULL, NULL, 0) == 0)
		return false;
	*out = UINT64_C(0xCBF29CE484222325);
	for (const wchar_t *at = upper; *at != L'\0'; at++)
		*out = (*out ^ *at) * UINT64_C(0x100000001B3);
	return true;
}

/* Wine keeps no owner of an event: then every event has the same one, none. */
static bool same_owner(HANDLE a, HANDLE b)
{
	PSECURITY_DESCRIPTOR of_a = NULL, of_b = NULL;
	PSID owner_a, owner_b;
	bool same = GetSecurityInfo(a, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &owner_a, NULL, NULL, NULL,
	                            &of_a) == ERROR_SUCCESS &&
	            GetSecurityInfo(b, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &owner_b, NULL, NULL, NULL,
	                            &of_b) == ERROR_SUCCESS;

	if (same)
		same = owner_a != NULL && owner_b != NULL ? EqualSid(owner_a, owner_b) : owner_a == owner_b;
	LocalFree(of_a);
	LocalFree(of_b);
	return same;
}

/* Another user may make an event of that name, too. His is not like one that we make. */
static bool is_ours(HANDLE event)
{
	HANDLE made = CreateEventA(NULL, TRUE, FALSE, NULL);
	bool ours = made != NULL && same_owner(event, made);

	if (made != NULL)
		CloseHandle(made);
	return ours;
}

/* Where the directory cannot be told, no socket can be bound either. An event of somebody else's leaves the window of bind and
 * listen open. */
enum tofu_status tofu_socket_file_lock(const char *path, intptr_t *lock)
{
	struct tofu_socket_file_id directory;
	char name[OBJECT_NAME];
	uint64_t hash;
	HANDLE event;
	bool ours;

	*lock = -1;
	if (!hash_name(path, &hash) || !identify_directory(path, &directory))
		return TOFU_OK;
	snprintf(name, sizeof name, "Global\\tofu-unix-lock-%" PRIx64 "-%" PRIx64 "-%" PRIx64, directory.device,
	         directory.number, hash);
	event = CreateEventA(NULL, TRUE, FALSE, name);
	if (event == NULL)
		return tofu_socket_file_shortage((int)GetLastError(), TOFU_OK);
	if (GetLastError() != ERROR_ALREADY_EXISTS) {
		*lock = (intptr_t)event;
		return TOFU_OK;
	}
	ours = is_ours(event);
	CloseHandle(event);
	return ours ? TOFU_ADDRESS_IN_USE : TOFU_OK;
}

void tofu_socket_file_unlock(const char *path, intptr_t lock)
{
	(void)path;
	if (lock != -1)
		CloseHandle((HANDLE)lock);
}

/* what is there */

static bool is_socket(const char *path)
{
	FILE_ATTRIBUTE_TAG_INFO info = { 0 };
	HANDLE file = open_file(path, FILE_READ_ATTRIBUTES);
	BOOL told;

	if (file == INVALID_HANDLE_VALUE)
		return false;
	told = GetFileInformationByHandleEx(file, FileAttributeTagInfo, &info, sizeof info);
	CloseHandle(file);
	return told && (info.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 &&
	       info.ReparseTag == (DWORD)TAG_AF_UNIX;
}

/* 0, what Winsock says, or WSAEWOULDBLOCK: not yet. */
static int ended_with(SOCKET s)
{
	fd_set good = { .fd_count = 1, .fd_array = { s } };
	fd_set bad = good;
	struct timeval now = { 0 };
	int error = WSAEWOULDBLOCK, len = sizeof error;

	if (select(0, NULL, &good, &bad, &now) != 0)
		(void)getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
	return error;
}

/* 0, or what Winsock says; WSAEWOULDBLOCK: *probe is under way. */
static int try_connect(const struct tofu_sockaddr *at, intptr_t *probe)
{
	SOCKET s = *probe != TOFU_NO_SOCKET ? (SOCKET)*probe : INVALID_SOCKET;
	u_long on = 1;
	int error = 0;

	if (s != INVALID_SOCKET) {
		error = ended_with(s);
	} else {
		s = WSASocketW(AF_UNIX, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
		if (s == INVALID_SOCKET)
			return WSAGetLastError();
		if (ioctlsocket(s, (long)FIONBIO, &on) != 0 ||
		    connect(s, (const struct sockaddr *)at->bytes, (int)at->len) != 0)
			error = WSAGetLastError();
	}
	*probe = error == WSAEWOULDBLOCK ? (intptr_t)s : TOFU_NO_SOCKET;
	if (error != WSAEWOULDBLOCK)
		closesocket(s);
	return error;
}

bool tofu_socket_file_busy(const char *path)
{
	struct tofu_socket_file_id id;

	return tofu_socket_file_identify(path, &id) == TOFU_OK && is_marked(&id);
}

/*
 * Only what has the tag of a socket is ever called stale. Windows 10 1903 made plain files; what a dead listener left there has
 * to be removed by hand.
 */
enum tofu_status tofu_socket_file_probe(const struct tofu_sockaddr *at, intptr_t *probe,
                                        enum tofu_socket_file_state *state)
{
	const char *path = tofu_sockaddr_unix_path(at);
	enum tofu_status st;
	int error;

	*state = TOFU_SOCKET_FILE_NONE;
	if (*probe == TOFU_NO_SOCKET && nothing_at(path))
		return TOFU_OK;
	*state = TOFU_SOCKET_FILE_TAKEN;
	if (*probe == TOFU_NO_SOCKET && !is_socket(path))
		return TOFU_OK;
	error = try_connect(at, probe);
	if (error == WSAEWOULDBLOCK)
		return TOFU_WOULD_BLOCK;
	st = tofu_socket_file_shortage(error, TOFU_OK);
	if (st != TOFU_OK)
		return st;
	if (error == WSAECONNREFUSED && nothing_at(path))
		*state = TOFU_SOCKET_FILE_NONE;
	else if (error == WSAECONNREFUSED && !tofu_socket_file_busy(path))
		*state = TOFU_SOCKET_FILE_STALE;
	return TOFU_OK;
}

/* Whether it looks like a socket does not matter: it is the one that the bind made. */
bool tofu_socket_file_remove(const char *path, const struct tofu_socket_file_id *id)
{
	struct tofu_socket_file_id now;
	wchar_t wide[WIDE_CAPACITY];

	if (tofu_socket_file_identify(path, &now) != TOFU_OK || now.device != id->device || now.number != id->number)
		return true;
	return to_wide(path, wide) && DeleteFileW(wide);
}

void tofu_socket_file_discard(const char *path)
{
	wchar_t wide[WIDE_CAPACITY];

	if (to_wide(path, wide))
		(void)DeleteFileW(wide);
}

/* By a handle of the file itself: MoveFileEx() follows what is no link, and fails where it leads to nothing. Never replaces. */
enum tofu_status tofu_socket_file_move(const char *from, const char *to)
{
	union {
		FILE_RENAME_INFO info;
		unsigned char room[sizeof(FILE_RENAME_INFO) + WIDE_CAPACITY * sizeof(wchar_t)];
	} name = { .info = { .ReplaceIfExists = FALSE } };
	wchar_t wide[WIDE_CAPACITY];
	enum tofu_status st;
	HANDLE file;

	if (!to_wide(to, wide))
		return TOFU_INVALID_ADDRESS;
	name.info.FileNameLength = (DWORD)(wcslen(wide) * sizeof wide[0]);
	memcpy(name.room + offsetof(FILE_RENAME_INFO, FileName), wide, name.info.FileNameLength + sizeof wide[0]);
	file = open_file(from, DELETE | SYNCHRONIZE);
	if (file == INVALID_HANDLE_VALUE)
		return failure();
	st = SetFileInformationByHandle(file, FileRenameInfo, &name, sizeof name) ? TOFU_OK : failure();
	CloseHandle(file);
	return st;
}

/* This never replaces. If the path has been taken meanwhile, its former owner has lost it, and under the name aside nobody
 * would look. */
void tofu_socket_file_restore(const char *from, const char *to)
{
	if (tofu_socket_file_move(from, to) != TOFU_OK && !nothing_at(to))
		tofu_socket_file_discard(from);
}

/* Hard to guess: rand_s() asks the system. Unique in any case, since names are tried until one is free. */
static uint64_t random_bits(void)
{
	unsigned high = 0, low = 0;

	if (rand_s(&high) != 0 || rand_s(&low) != 0)
		low ^= GetTickCount() ^ GetCurrentProcessId();
	return (uint64_t)high << 32 | low;
}

/* directory (len bytes, its separator included), prefix, so many random digits, suffix: a path that nothing has. */
static enum tofu_status free_path(const char *directory, size_t len, const char *prefix, size_t digits,
                                  const char *suffix, char *out, size_t capacity)
{
	char name[NAME_DIGITS + 1];
	int n;

	if (len >= capacity)
		return TOFU_PATH_TOO_LONG;
	memcpy(out, directory, len);
	for (int tries = 0; tries < NAME_TRIES; tries++) {
		snprintf(name, sizeof name, "%0*" PRIx64, NAME_DIGITS, random_bits());
		n = snprintf(out + len, capacity - len, "%s%.*s%s", prefix, (int)digits, name, suffix);
		if (n < 0 || (size_t)n >= capacity - len)
			return TOFU_PATH_TOO_LONG;
		if (nothing_at(out))
			return TOFU_OK; /* or a bad directory: that is for listen to say */
	}
	return TOFU_ADDRESS_IN_USE;
}

/*
 * The user's own directory, which others cannot write to. The one to fall back on is the same by its short names, which has
 * them if the volume does. A directory of another machine is not asked for anything: that could take long, and sockets
 * cannot be there.
 */
enum tofu_status tofu_socket_file_temporary(unsigned nth, char *out, size_t capacity)
{
	wchar_t wide[MAX_PATH + 1], name[MAX_PATH + 1];
	char directory[3 * (MAX_PATH + 1)];
	DWORD len = GetTempPathW(MAX_PATH + 1, wide);

	if (len == 0 || len > MAX_PATH || !to_utf8(wide, directory, sizeof directory))
		return TOFU_PATH_TOO_LONG;
	if (tofu_socket_file_remote(directory))
		return TOFU_INVALID_ADDRESS;
	len = nth == 0 ? 0 : GetShortPathNameW(wide, name, MAX_PATH + 1);
	if (len > 0 && len <= MAX_PATH && !to_utf8(name, directory, sizeof directory))
		return TOFU_PATH_TOO_LONG;
	return free_path(directory, strlen(directory), "tofu-", NAME_DIGITS, ".sock", out, capacity);
}

enum tofu_status tofu_socket_file_beside(const char *path, unsigned nth, char *out, size_t capacity)
{
	size_t len = directory_len(path);
	size_t digits = nth == 0 ? NAME_DIGITS : strlen(path + len);

	return free_path(path, len, "", digits, "", out, capacity);
}

static char *copy_of(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

char *tofu_socket_file_full_path(const char *path)
{
	wchar_t wide[WIDE_CAPACITY], full[WIDE_CAPACITY];
	char out[3 * WIDE_CAPACITY];
	DWORD len = to_wide(path, wide) ? GetFullPathNameW(wide, WIDE_CAPACITY, full, NULL) : 0;

	if (len == 0 || len >= WIDE_CAPACITY || !to_utf8(full, out, sizeof out))
		return copy_of(path);
	return copy_of(out);
}
