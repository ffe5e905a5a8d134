/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_ERRORS_H
#define TOFU_TESTS_ERRORS_H

/*
 * What the errors of systems are to mean, written out a second time: nothing here comes from the table under test. A
 * row is one event; each system takes its columns (errors_posix.c, errors_win32.c). 0: it has no such number.
 *
 * What \Device\Afd answers is an NTSTATUS; those stand beside the number of Windows that they become. There are few,
 * for it is asked what is ready, never why a connection failed: that the socket tells, by a number of Winsock.
 */

#include <stddef.h>

#include <tofu/status.h>

/* clang-format off */
/*        errno             Winsock, Windows                NTSTATUS                       status */
#define EXPECTED_ERRORS(X) \
	X(EAGAIN,           WSAEWOULDBLOCK,                 0,                             TOFU_WOULD_BLOCK) \
	X(EWOULDBLOCK,      WSAEWOULDBLOCK,                 0,                             TOFU_WOULD_BLOCK) \
	X(EINPROGRESS,      WSAEINPROGRESS,                 0,                             TOFU_WOULD_BLOCK) \
	X(EALREADY,         WSAEALREADY,                    0,                             TOFU_WOULD_BLOCK) \
	\
	X(ECONNREFUSED,     WSAECONNREFUSED,                0,                             TOFU_CONNECT_FAILED) \
	\
	X(ECONNRESET,       WSAECONNRESET,                  0,                             TOFU_PEER_DISCONNECTED) \
	X(ECONNABORTED,     WSAECONNABORTED,                0,                             TOFU_PEER_DISCONNECTED) \
	X(EPIPE,            WSAESHUTDOWN,                   0,                             TOFU_PEER_DISCONNECTED) \
	X(ENOTCONN,         WSAENOTCONN,                    0,                             TOFU_PEER_DISCONNECTED) \
	X(ETIMEDOUT,        WSAETIMEDOUT,                   0,                             TOFU_PEER_DISCONNECTED) \
	X(EHOSTDOWN,        WSAEHOSTDOWN,                   0,                             TOFU_PEER_DISCONNECTED) \
	X(EHOSTUNREACH,     WSAEHOSTUNREACH,                0,                             TOFU_PEER_DISCONNECTED) \
	X(ENETDOWN,         WSAENETDOWN,                    0,                             TOFU_PEER_DISCONNECTED) \
	X(ENETRESET,        WSAENETRESET,                   0,                             TOFU_PEER_DISCONNECTED) \
	X(ENETUNREACH,      WSAENETUNREACH,                 0,                             TOFU_PEER_DISCONNECTED) \
	\
	X(EADDRINUSE,       WSAEADDRINUSE,                  0,                             TOFU_ADDRESS_IN_USE) \
	\
	X(EACCES,           WSAEACCES,                      0,                             TOFU_PERMISSION_DENIED) \
	X(EPERM,            ERROR_ACCESS_DENIED,            STATUS_ACCESS_DENIED,          TOFU_PERMISSION_DENIED) \
	X(EROFS,            ERROR_WRITE_PROTECT,            0,                             TOFU_PERMISSION_DENIED) \
	\
	X(ENOENT,           ERROR_FILE_NOT_FOUND,           0,                             TOFU_UDS_PATH_NOT_FOUND) \
	X(ENOTDIR,          ERROR_PATH_NOT_FOUND,           0,                             TOFU_UDS_PATH_NOT_FOUND) \
	X(ENAMETOOLONG,     WSAENAMETOOLONG,                0,                             TOFU_PATH_TOO_LONG) \
	\
	X(EMFILE,           WSAEMFILE,                      0,                             TOFU_LIMIT_REACHED) \
	X(ENFILE,           ERROR_TOO_MANY_OPEN_FILES,      STATUS_TOO_MANY_OPENED_FILES,  TOFU_LIMIT_REACHED) \
	X(ENOBUFS,          WSAENOBUFS,                     0,                             TOFU_LIMIT_REACHED) \
	X(ENOSPC,           ERROR_DISK_FULL,                STATUS_DISK_FULL,              TOFU_LIMIT_REACHED) \
	X(EDQUOT,           WSAEDQUOT,                      0,                             TOFU_LIMIT_REACHED) \
	X(0,                ERROR_NO_SYSTEM_RESOURCES,      STATUS_INSUFFICIENT_RESOURCES, TOFU_LIMIT_REACHED) \
	X(0,                ERROR_NOT_ENOUGH_QUOTA,         STATUS_QUOTA_EXCEEDED,         TOFU_LIMIT_REACHED) \
	X(0,                ERROR_COMMITMENT_LIMIT,         STATUS_COMMITMENT_LIMIT,       TOFU_LIMIT_REACHED) \
	X(0,                ERROR_PAGED_SYSTEM_RESOURCES,   0,                             TOFU_LIMIT_REACHED) \
	X(0,                ERROR_NONPAGED_SYSTEM_RESOURCES, 0,                            TOFU_LIMIT_REACHED) \
	X(0,                ERROR_WORKING_SET_QUOTA,        STATUS_WORKING_SET_QUOTA,      TOFU_LIMIT_REACHED) \
	X(0,                ERROR_PAGEFILE_QUOTA,           STATUS_PAGEFILE_QUOTA,         TOFU_LIMIT_REACHED) \
	\
	X(ENOMEM,           ERROR_NOT_ENOUGH_MEMORY,        STATUS_NO_MEMORY,              TOFU_ALLOCATION_FAILED) \
	X(ENOMEM,           WSA_NOT_ENOUGH_MEMORY,          0,                             TOFU_ALLOCATION_FAILED) \
	X(0,                ERROR_OUTOFMEMORY,              0,                             TOFU_ALLOCATION_FAILED) \
	\
	X(EAFNOSUPPORT,     WSAEAFNOSUPPORT,                0,                             TOFU_NOT_SUPPORTED) \
	X(EPFNOSUPPORT,     WSAEPFNOSUPPORT,                0,                             TOFU_NOT_SUPPORTED) \
	X(EPROTONOSUPPORT,  WSAEPROTONOSUPPORT,             0,                             TOFU_NOT_SUPPORTED) \
	X(ESOCKTNOSUPPORT,  WSAESOCKTNOSUPPORT,             0,                             TOFU_NOT_SUPPORTED) \
	X(EOPNOTSUPP,       WSAEOPNOTSUPP,                  0,                             TOFU_NOT_SUPPORTED) \
	X(ENOSYS,           WSAVERNOTSUPPORTED,             0,                             TOFU_NOT_SUPPORTED) \
	X(0,                WSASYSNOTREADY,                 0,                             TOFU_NOT_SUPPORTED) \
	\
	X(0,                WSANOTINITIALISED,              0,                             TOFU_NOT_INITIALIZED)

/* What says nothing by itself, or in that place: the caller's word stands. */
#define SAYS_NOTHING(X) \
	X(EINVAL,           WSAEINVAL,                      STATUS_INVALID_PARAMETER) \
	X(EBADF,            WSAEBADF,                       STATUS_INVALID_HANDLE) \
	X(ENOTSOCK,         WSAENOTSOCK,                    STATUS_OBJECT_TYPE_MISMATCH) \
	X(EFAULT,           WSAEFAULT,                      STATUS_ACCESS_VIOLATION) \
	X(EISCONN,          WSAEISCONN,                     STATUS_CONNECTION_ACTIVE) \
	X(EIO,              ERROR_INVALID_HANDLE,           STATUS_UNSUCCESSFUL) \
	X(0,                0,                              STATUS_OBJECT_NAME_NOT_FOUND) /* no path of a socket, here */ \
	X(0,                0,                              STATUS_CONNECTION_REFUSED) \
	X(0,                0,                              STATUS_CONNECTION_RESET) \
	X(-1,               -1,                             -1)
/* clang-format on */

typedef enum tofu_status error_reader(int number, enum tofu_status otherwise);

/** A number that this system has, and what the library makes of it. */
struct system_error {
	const char *name;
	int number;
	error_reader *read;
	enum tofu_status expected; /* TOFU_OK: whatever the caller says */
};

/** All numbers of this system. A 0 is in it for each that it has not. */
extern const struct system_error system_errors[];
extern const size_t system_error_count;

#endif
