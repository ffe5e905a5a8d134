/* SPDX-License-Identifier: MIT */

/*
 * Socket files on Windows. Paths are UTF-8 here and in the socket's address, UTF-16 for the system. A socket file is a reparse
 * point with a tag of its own; it outlives its socket as on POSIX. Nothing here keeps anything but the lock and the mark.
 *
 * A connect that is refused does not tell a dead owner from one whose backlog is full. So each listener of this library has an
 * event whose name says which file is its own: it is there as long as the process keeps it, and goes with the process.
 *
 * Failures of a removal or of putting back are not reported: there is nothing that a caller could do, and the next
 * listener at that path judges the file anew. Nor is a path that is no UTF-8: the bind is going to say so.
 */

#define _CRT_RAND_S /* rand_s() */

#include "transport_unix/socket_file.h"

#include <winsock2.h>

#include <windows.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PATIENCE_MS = 100, /* with whoever has the lock, or listens without it */
	NAME_TRIES = 64,
	NAME_DIGITS = 16,
	WIDE_CAPACITY = 1024,
	CONNECT_MS = 100,
	TAG_AF_UNIX = (int)0x80000023
};

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

/* The bytes of path up to its last separator, that included; "C:name" is in a directory, too. */
static size_t directory_len(const char *path)
{
	size_t len = strlen(path);

	while (len > 0 && strchr("/\\:", path[len - 1]) == NULL)
		len--;
	return len;
}

/* which one it is */

static bool identify(const char *path, bool directory, struct tofu_socket_file_id *out)
{
	BY_HANDLE_FILE_INFORMATION info;
	HANDLE file = open_file(path, FILE_READ_ATTRIBUTES);
	BOOL told;

	if (file == INVALID_HANDLE_VALUE)
		return false;
	told = GetFileInformationByHandle(file, &info);
	CloseHandle(file);
	if (!told || ((info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) != directory)
		return false;
	out->device = info.dwVolumeSerialNumber;
	out->number = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
	return true;
}

bool tofu_socket_file_identify(const char *path, struct tofu_socket_file_id *out)
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
	return identify(directory, true, out);
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

/* the lock: a file that nobody else may have open, and that goes with its handle. A directory cannot be locked. */

static HANDLE open_lock(const char *path)
{
	static const char name[] = ".tofu-listen.lock";
	char lock[sizeof(struct tofu_sockaddr) + sizeof name];
	size_t len = directory_len(path);
	wchar_t wide[WIDE_CAPACITY];

	if (len > sizeof(struct tofu_sockaddr)) {
		SetLastError(ERROR_INVALID_NAME);
		return INVALID_HANDLE_VALUE;
	}
	memcpy(lock, path, len);
	memcpy(lock + len, name, sizeof name);
	if (!to_wide(lock, wide)) {
		SetLastError(ERROR_INVALID_NAME);
		return INVALID_HANDLE_VALUE;
	}
	return CreateFileW(wide, GENERIC_WRITE | DELETE, 0, NULL, OPEN_ALWAYS,
	                   FILE_ATTRIBUTE_HIDDEN | FILE_FLAG_DELETE_ON_CLOSE, NULL);
}

/*
 * Who does without the lock could be taken for dead between bind and listen by who has it. So it marks the directory, until its
 * own file is marked: while a directory is marked, nothing in it is called stale.
 */
static intptr_t mark_directory(const char *path)
{
	struct tofu_socket_file_id id;
	intptr_t mark = identify_directory(path, &id) ? tofu_socket_file_mark(&id) : 0;

	return mark != 0 ? mark : -1;
}

static bool is_directory_marked(const char *path)
{
	struct tofu_socket_file_id id;

	return identify_directory(path, &id) && is_marked(&id);
}

/* Denied is also one that is being deleted at this moment. Where no file can be made, no socket can be bound either. */
bool tofu_socket_file_lock(const char *path, intptr_t *lock)
{
	const ULONGLONG until = GetTickCount64() + PATIENCE_MS;

	*lock = -1;
	do {
		HANDLE file = open_lock(path);
		DWORD error = GetLastError();

		if (file != INVALID_HANDLE_VALUE) {
			*lock = (intptr_t)file;
			return true;
		}
		if (error != ERROR_SHARING_VIOLATION && error != ERROR_ACCESS_DENIED && error != ERROR_DELETE_PENDING)
			return true;
		Sleep(1); /* up to a tick of the system's clock: 16 ms */
	} while (GetTickCount64() < until);
	*lock = mark_directory(path);
	return false;
}

void tofu_socket_file_unlock(intptr_t lock)
{
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

static int ended_with(SOCKET s)
{
	struct timeval patience = { .tv_sec = 0, .tv_usec = CONNECT_MS * 1000 };
	int error = WSAEWOULDBLOCK, len = sizeof error;
	fd_set good, bad;

	FD_ZERO(&good);
	good.fd_array[good.fd_count++] = s;
	bad = good;
	if (select(0, NULL, &good, &bad, &patience) > 0)
		(void)getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
	return error;
}

/* 0, or what Winsock says. A connect that takes its time finds somebody alive. */
static int try_connect(const struct tofu_sockaddr *at)
{
	SOCKET s = WSASocketW(AF_UNIX, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	u_long on = 1;
	int error = 0;

	if (s == INVALID_SOCKET)
		return WSAGetLastError();
	if (ioctlsocket(s, (long)FIONBIO, &on) != 0 ||
	    connect(s, (const struct sockaddr *)at->bytes, (int)at->len) != 0)
		error = WSAGetLastError();
	if (error == WSAEWOULDBLOCK)
		error = ended_with(s);
	closesocket(s);
	return error;
}

/*
 * Only what has the tag of a socket is ever called stale. Windows 10 1903 made plain files; what a dead listener left there has
 * to be removed by hand. *again: it may be one that somebody without the lock is about to listen at.
 */
static enum tofu_socket_file_state look(const struct tofu_sockaddr *at, bool *again)
{
	const char *path = tofu_sockaddr_unix_path(at);
	struct tofu_socket_file_id id;

	*again = false;
	if (nothing_at(path))
		return TOFU_SOCKET_FILE_NONE;
	if (!is_socket(path) || try_connect(at) != WSAECONNREFUSED)
		return TOFU_SOCKET_FILE_TAKEN;
	*again = is_directory_marked(path); /* first: it goes when the file's own mark is set */
	if (!tofu_socket_file_identify(path, &id))
		return nothing_at(path) ? TOFU_SOCKET_FILE_NONE : TOFU_SOCKET_FILE_TAKEN;
	return *again || is_marked(&id) ? TOFU_SOCKET_FILE_TAKEN : TOFU_SOCKET_FILE_STALE;
}

enum tofu_socket_file_state tofu_socket_file_probe(const struct tofu_sockaddr *at)
{
	const ULONGLONG until = GetTickCount64() + PATIENCE_MS;
	bool again;
	enum tofu_socket_file_state state = look(at, &again);

	while (again && GetTickCount64() < until) {
		Sleep(1);
		state = look(at, &again);
	}
	return state;
}

/* Whether it looks like a socket does not matter: it is the one that the bind made. */
bool tofu_socket_file_remove(const char *path, const struct tofu_socket_file_id *id)
{
	struct tofu_socket_file_id now;
	wchar_t wide[WIDE_CAPACITY];

	if (!tofu_socket_file_identify(path, &now) || now.device != id->device || now.number != id->number)
		return true;
	return to_wide(path, wide) && DeleteFileW(wide);
}

/* By a handle of the file itself: MoveFileEx() follows what is no link, and fails where it leads to nothing. Never replaces. */
static bool move(const char *from, const char *to)
{
	union {
		FILE_RENAME_INFO info;
		unsigned char room[sizeof(FILE_RENAME_INFO) + WIDE_CAPACITY * sizeof(wchar_t)];
	} name = { .info = { .ReplaceIfExists = FALSE } };
	wchar_t wide[WIDE_CAPACITY];
	HANDLE file;
	BOOL moved;

	if (!to_wide(to, wide))
		return false;
	name.info.FileNameLength = (DWORD)(wcslen(wide) * sizeof wide[0]);
	memcpy(name.room + offsetof(FILE_RENAME_INFO, FileName), wide, name.info.FileNameLength + sizeof wide[0]);
	file = open_file(from, DELETE | SYNCHRONIZE);
	if (file == INVALID_HANDLE_VALUE)
		return false;
	moved = SetFileInformationByHandle(file, FileRenameInfo, &name, sizeof name);
	CloseHandle(file);
	return moved;
}

bool tofu_socket_file_move(const char *from, const char *to)
{
	return move(from, to);
}

/* This never replaces. If the path has been taken meanwhile, its former owner has lost it, and under the name aside nobody
 * would look. */
void tofu_socket_file_restore(const char *from, const char *to)
{
	wchar_t wide[WIDE_CAPACITY];

	if (!move(from, to) && !nothing_at(to) && to_wide(from, wide))
		(void)DeleteFileW(wide);
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
 * them if the volume does.
 */
enum tofu_status tofu_socket_file_temporary(unsigned nth, char *out, size_t capacity)
{
	wchar_t wide[MAX_PATH + 1], name[MAX_PATH + 1];
	char directory[3 * (MAX_PATH + 1)];
	DWORD len = GetTempPathW(MAX_PATH + 1, wide);

	if (len == 0 || len > MAX_PATH)
		return TOFU_PATH_TOO_LONG;
	len = nth == 0 ? 0 : GetShortPathNameW(wide, name, MAX_PATH + 1);
	if (!to_utf8(len > 0 && len <= MAX_PATH ? name : wide, directory, sizeof directory))
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
