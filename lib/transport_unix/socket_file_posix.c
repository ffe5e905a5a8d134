/* SPDX-License-Identifier: MIT */

/*
 * Socket files on POSIX: lstat, rename, unlink, a lock file beside the socket. Nothing here keeps anything but the lock.
 *
 * Failures of a removal or of putting back are not reported: there is nothing that a caller could do, and the next
 * listener at that path judges the file anew.
 */

#include "transport_unix/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_TRIES = 16, /* locks that others remove before we have them */
	NAME_TRIES = 64,
	NAME_DIGITS = 16
};

static const char lock_suffix[] = ".tofu-lock";

/* The bytes of path up to its last slash, that included. */
static size_t directory_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/*
 * The lock is a file, empty and the user's alone, that is locked by flock() and removed before that ends. One that is not
 * like this has been put there by somebody else, and is left alone.
 */
static bool is_lock(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink <= 1 &&
	       st.st_size == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static bool is_at(const char *name, int fd)
{
	struct stat there, ours;

	return lstat(name, &there) == 0 && fstat(fd, &ours) == 0 && there.st_dev == ours.st_dev &&
	       there.st_ino == ours.st_ino;
}

/* path is one of a socket's address. */
static void name_lock(const char *path, char out[sizeof(struct tofu_sockaddr) + sizeof lock_suffix])
{
	snprintf(out, sizeof(struct tofu_sockaddr) + sizeof lock_suffix, "%s%s", path, lock_suffix);
}

/* Not 0, 1 or 2 if that can be: a program without standard streams writes its lines there. -1 stays, with errno. */
static int above_stdio(int fd)
{
	int other;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (other < 0)
		return fd;
	close(fd);
	return other;
}

/* A lock, or -1; EAGAIN: another has just removed his. One that we have made is one, even if its file system knows no
 * owners. */
static int open_lock(const char *name)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = above_stdio(open(name, flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));

	if (fd >= 0 || errno != EEXIST)
		return fd;
	fd = above_stdio(open(name, flags));
	if (fd >= 0 && is_lock(fd))
		return fd;
	if (fd < 0) {
		errno = errno == ENOENT ? EAGAIN : errno;
	} else {
		close(fd);
		errno = EACCES;
	}
	return -1;
}

/* Where no file can be made no socket can be bound either, and where the file system has no locks, or somebody has put
 * something in the way, the window of bind and listen stays open. */
enum tofu_status tofu_socket_file_lock(const char *path, intptr_t *lock)
{
	char name[sizeof(struct tofu_sockaddr) + sizeof lock_suffix];

	*lock = -1;
	name_lock(path, name);
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		int fd = open_lock(name);

		if (fd < 0 && errno == EAGAIN)
			continue;
		if (fd < 0)
			return tofu_socket_file_shortage(errno, TOFU_OK);
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			if (errno != EWOULDBLOCK) {
				unlink(name);
				close(fd);
				return TOFU_OK;
			}
			close(fd);
			return TOFU_ADDRESS_IN_USE;
		}
		if (is_at(name, fd)) {
			*lock = fd;
			return TOFU_OK;
		}
		close(fd);
	}
	return TOFU_ADDRESS_IN_USE;
}

/* Unlocked, not just closed: a child that another thread forks meanwhile has a copy of the descriptor. */
void tofu_socket_file_unlock(const char *path, intptr_t lock)
{
	char name[sizeof(struct tofu_sockaddr) + sizeof lock_suffix];

	if (lock < 0)
		return;
	name_lock(path, name);
	unlink(name); /* ours: nobody else removes it while we have the lock */
	flock((int)lock, LOCK_UN);
	close((int)lock);
}

/* connect() refuses a file that is no socket, too, so it is looked at first. Of the failures only ECONNREFUSED speaks
 * of a dead owner: EAGAIN is a full backlog, EPROTOTYPE a live socket of another type, EACCES another user's. */
enum tofu_status tofu_socket_file_probe(const struct tofu_sockaddr *at, intptr_t *probe,
                                        enum tofu_socket_file_state *state)
{
	struct stat st;
	int fd, rc, error;

	(void)probe; /* nothing is ever under way */
	*state = TOFU_SOCKET_FILE_TAKEN;
	if (lstat(tofu_sockaddr_unix_path(at), &st) != 0) {
		if (errno != ENOENT)
			return tofu_system_status(errno, TOFU_LISTEN_FAILED);
		*state = TOFU_SOCKET_FILE_NONE;
		return TOFU_OK;
	}
	if (!S_ISSOCK(st.st_mode))
		return TOFU_OK;
	fd = above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return tofu_system_status(errno, TOFU_LISTEN_FAILED);
	do
		rc = connect(fd, (const struct sockaddr *)at->bytes, (socklen_t)at->len);
	while (rc != 0 && errno == EINTR);
	error = rc == 0 ? 0 : errno;
	close(fd);
	if (error == ECONNREFUSED)
		*state = TOFU_SOCKET_FILE_STALE;
	if (error == ENOENT)
		*state = TOFU_SOCKET_FILE_NONE;
	return tofu_socket_file_shortage(error, TOFU_OK);
}

enum tofu_status tofu_socket_file_identify(const char *path, struct tofu_socket_file_id *out)
{
	struct stat st;

	*out = (struct tofu_socket_file_id){ 0 };
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? TOFU_ADDRESS_IN_USE : tofu_system_status(errno, TOFU_LISTEN_FAILED);
	if (!S_ISSOCK(st.st_mode))
		return TOFU_ADDRESS_IN_USE;
	out->device = (uint64_t)st.st_dev;
	out->number = (uint64_t)st.st_ino;
	return TOFU_OK;
}

bool tofu_socket_file_remove(const char *path, const struct tofu_socket_file_id *id)
{
	struct tofu_socket_file_id now;

	if (tofu_socket_file_identify(path, &now) == TOFU_OK && now.device == id->device && now.number == id->number)
		unlink(path);
	return true; /* a second try would change nothing */
}

void tofu_socket_file_discard(const char *path)
{
	unlink(path);
}

/* A full backlog is EAGAIN or, where it waits, nothing; refused is dead. */
intptr_t tofu_socket_file_mark(const struct tofu_socket_file_id *id)
{
	(void)id;
	return 0;
}

void tofu_socket_file_unmark(intptr_t mark)
{
	(void)mark;
}

bool tofu_socket_file_missing(const char *path)
{
	(void)path;
	return false; /* ENOENT says it */
}

bool tofu_socket_file_busy(const char *path)
{
	(void)path;
	return false; /* EAGAIN says it */
}

enum tofu_status tofu_socket_file_move(const char *from, const char *to)
{
	return rename(from, to) == 0 ? TOFU_OK : tofu_system_status(errno, TOFU_LISTEN_FAILED);
}

/* By link(), which never replaces. Where links are not to be had (another user's file) by rename, after a look. If the
 * path has been taken meanwhile, its former owner has lost it, and under the name aside nobody would look. */
void tofu_socket_file_restore(const char *from, const char *to)
{
	struct stat st;

	if (link(from, to) == 0 || errno == EEXIST || lstat(to, &st) == 0)
		unlink(from);
	else if (errno == ENOENT)
		(void)!rename(from, to);
}

/* Network file systems have sockets, too, of this machine. */
bool tofu_socket_file_remote(const char *path)
{
	(void)path;
	return false;
}

/* Hard to guess if the system has random bits to give; unique in any case, since names are tried until one is free. */
static uint64_t random_bits(void)
{
	static atomic_uint calls;
	struct timespec now;
	uint64_t bits;

	if (getentropy(&bits, sizeof bits) == 0)
		return bits;
	clock_gettime(CLOCK_REALTIME, &now);
	bits = (uint64_t)now.tv_nsec ^ ((uint64_t)now.tv_sec << 30) ^ ((uint64_t)getpid() << 16);
	bits ^= atomic_fetch_add(&calls, 1);
	return bits * UINT64_C(0x9E3779B97F4A7C15);
}

/* directory (len bytes, its slash included), prefix, so many random digits, suffix: a path that nothing has. */
static enum tofu_status free_path(const char *directory, size_t len, const char *prefix, size_t digits,
                                  const char *suffix, char *out, size_t capacity)
{
	char name[NAME_DIGITS + 1];
	struct stat st;
	int n;

	if (len >= capacity)
		return TOFU_PATH_TOO_LONG;
	memcpy(out, directory, len);
	for (int tries = 0; tries < NAME_TRIES; tries++) {
		snprintf(name, sizeof name, "%0*" PRIx64, NAME_DIGITS, random_bits());
		n = snprintf(out + len, capacity - len, "%s%.*s%s", prefix, (int)digits, name, suffix);
		if (n < 0 || (size_t)n >= capacity - len)
			return TOFU_PATH_TOO_LONG;
		if (lstat(out, &st) != 0)
			return TOFU_OK; /* nothing there, or a bad directory: that is for listen to say */
	}
	return TOFU_ADDRESS_IN_USE;
}

/* $TMPDIR counts if it is absolute, since the address is for other processes, too, and never if set-user-id is on. */
enum tofu_status tofu_socket_file_temporary(unsigned nth, char *out, size_t capacity)
{
	const char *directory = nth == 0 ? secure_getenv("TMPDIR") : NULL;
	char with_slash[sizeof(struct tofu_sockaddr)];
	int len;

	if (directory == NULL || directory[0] != '/')
		directory = "/tmp";
	len = snprintf(with_slash, sizeof with_slash, "%s/", directory);
	if (len < 0 || (size_t)len >= sizeof with_slash)
		return TOFU_PATH_TOO_LONG;
	while (len > 1 && with_slash[len - 2] == '/')
		len--;
	return free_path(with_slash, (size_t)len, "tofu-", NAME_DIGITS, ".sock", out, capacity);
}

enum tofu_status tofu_socket_file_beside(const char *path, unsigned nth, char *out, size_t capacity)
{
	size_t len = directory_len(path);
	size_t digits = nth == 0 ? NAME_DIGITS : strlen(path + len);

	return free_path(path, len, "", digits, "", out, capacity);
}

char *tofu_socket_file_full_path(const char *path)
{
	char *directory, *full = NULL;
	size_t size;

	if (path[0] == '/')
		return strdup(path);
	directory = getcwd(NULL, 0); /* of any length, malloc'ed */
	if (directory == NULL)
		return errno == ENOMEM ? NULL : strdup(path); /* gone: nothing can be in it */
	size = strlen(directory) + strlen(path) + 2;
	full = malloc(size);
	if (full != NULL)
		snprintf(full, size, "%s/%s", directory, path);
	free(directory);
	return full;
}
