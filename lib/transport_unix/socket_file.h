/* SPDX-License-Identifier: MIT */
#ifndef TOFU_SOCKET_FILE_H
#define TOFU_SOCKET_FILE_H

/*
 * The file that a Unix socket has in the file system: what the transport asks of the operating system. One file per
 * system (socket_file_posix.c, socket_file_win32.c). Paths are terminated, in the form that the socket's address has them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/transport.h>

/** Which file it is, whatever name it has. Two live files never have the same. */
struct tofu_socket_file_id {
	uint64_t device;
	uint64_t number;
};

/** What a number of the system means if the system is short of something; any other number means otherwise. */
static inline enum tofu_status tofu_socket_file_shortage(int error, enum tofu_status otherwise)
{
	enum tofu_status st = tofu_system_status(error, otherwise);

	return st == TOFU_LIMIT_REACHED || st == TOFU_ALLOCATION_FAILED ? st : otherwise;
}

/** What stands at a path. */
enum tofu_socket_file_state {
	TOFU_SOCKET_FILE_NONE,  /* nothing */
	TOFU_SOCKET_FILE_STALE, /* a socket whose owner is gone: a connect was refused */
	TOFU_SOCKET_FILE_TAKEN  /* a live socket, or something else than a socket */
};

/**
 * Keep path from others that are about to listen there by this library, so that none sees a socket that is bound but does
 * not listen yet, and takes it for stale. Never waits: TOFU_ADDRESS_IN_USE when another listener is starting there, even if
 * that one fails afterwards. What a stranger can make or hold is not taken for a lock. TOFU_OK with a lock of -1: there is
 * none to be had here; go on. Other errors: TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_socket_file_lock(const char *path, intptr_t *lock);
void tofu_socket_file_unlock(const char *path, intptr_t lock);

/**
 * Find out what is there. A live owner sees a connection that closes at once. *probe: TOFU_NO_SOCKET at first.
 * TOFU_WOULD_BLOCK: call again after a pause, or close *probe. Other errors: it cannot be told, and why.
 */
enum tofu_status tofu_socket_file_probe(const struct tofu_sockaddr *at, intptr_t *probe,
                                        enum tofu_socket_file_state *state);

/** Which socket file is there? Errors: TOFU_ADDRESS_IN_USE (none, or not a socket), or why it cannot be told. */
enum tofu_status tofu_socket_file_identify(const char *path, struct tofu_socket_file_id *out);
/** Remove path if it is that file. False: the system does not want to, perhaps while its socket lives. */
bool tofu_socket_file_remove(const char *path, const struct tofu_socket_file_id *id);
/** Remove what a bind has just made at path, when nothing tells which file that is. */
void tofu_socket_file_discard(const char *path);

/**
 * Tell probes in any process that the owner of this file lives, until unmark or the end of the process: for systems where a
 * refused connect may also be a full backlog. 0: no mark, which unmark accepts.
 */
intptr_t tofu_socket_file_mark(const struct tofu_socket_file_id *id);
void tofu_socket_file_unmark(intptr_t mark);

/** A connect failed, or is under way: is that because nothing is at path? False where connects say so themselves. */
bool tofu_socket_file_missing(const char *path);
/** A connect was refused: is that because the owner's backlog is full? False where connects say so themselves. */
bool tofu_socket_file_busy(const char *path);

/** Rename. Errors: TOFU_UDS_PATH_NOT_FOUND (nothing is at from any more), TOFU_PERMISSION_DENIED and others. */
enum tofu_status tofu_socket_file_move(const char *from, const char *to);
/** Rename back if nothing is at to; if something is, remove from. */
void tofu_socket_file_restore(const char *from, const char *to);

/** May a socket not be there, since it is another machine's? Asking there could take long. */
bool tofu_socket_file_remote(const char *path);

/**
 * A new path in the temporary directory. nth: 0 the user's, 1 the one to fall back on, shorter if that can be. Reads the
 * environment: not on the engine's thread, beside which the application may change it.
 * Errors: TOFU_PATH_TOO_LONG (over capacity), TOFU_ADDRESS_IN_USE (no free name found).
 */
enum tofu_status tofu_socket_file_temporary(unsigned nth, char *out, size_t capacity);
/** A new path beside path, to rename it to. nth: 0 a long name, 1 one no longer than its own. Errors: the same. */
enum tofu_status tofu_socket_file_beside(const char *path, unsigned nth, char *out, size_t capacity);

/** A copy of path that still means the same file when the working directory has changed. malloc'ed; NULL: no memory. */
char *tofu_socket_file_full_path(const char *path);

#endif
