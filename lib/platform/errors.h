/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_ERRORS_H
#define TOFU_PLATFORM_ERRORS_H

/*
 * What happened, in the words of three worlds. Each system takes its column (error_posix.c, error_win32.c), so that one
 * event has one status everywhere. 0: that system has no such number. A number that is not here says nothing by itself
 * (EINVAL, EBADF): the caller names what failed.
 *
 * PEER_DISCONNECTED is what these mean once a connection stands; a connect reads them as CONNECT_FAILED (socket_*.c).
 */

/* clang-format off */
/*        errno             Winsock, Win32            status */
#define TOFU_PLAT_ERRORS(X) \
	X(EAGAIN,           WSAEWOULDBLOCK,           TOFU_WOULD_BLOCK) \
	X(EWOULDBLOCK,      WSAEWOULDBLOCK,           TOFU_WOULD_BLOCK) \
	X(EINPROGRESS,      WSAEINPROGRESS,           TOFU_WOULD_BLOCK) \
	X(EALREADY,         WSAEALREADY,              TOFU_WOULD_BLOCK) \
	X(ECONNREFUSED,     WSAECONNREFUSED,          TOFU_CONNECT_FAILED) \
	X(ECONNRESET,       WSAECONNRESET,            TOFU_PEER_DISCONNECTED) \
	X(ECONNABORTED,     WSAECONNABORTED,          TOFU_PEER_DISCONNECTED) \
	X(EPIPE,            WSAESHUTDOWN,             TOFU_PEER_DISCONNECTED) \
	X(ETIMEDOUT,        WSAETIMEDOUT,             TOFU_PEER_DISCONNECTED) \
	X(EHOSTUNREACH,     WSAEHOSTUNREACH,          TOFU_PEER_DISCONNECTED) \
	X(EHOSTDOWN,        WSAEHOSTDOWN,             TOFU_PEER_DISCONNECTED) \
	X(ENETUNREACH,      WSAENETUNREACH,           TOFU_PEER_DISCONNECTED) \
	X(ENETDOWN,         WSAENETDOWN,              TOFU_PEER_DISCONNECTED) \
	X(ENETRESET,        WSAENETRESET,             TOFU_PEER_DISCONNECTED) \
	X(ENOTCONN,         WSAENOTCONN,              TOFU_PEER_DISCONNECTED) \
	X(EADDRINUSE,       WSAEADDRINUSE,            TOFU_ADDRESS_IN_USE) \
	X(EACCES,           WSAEACCES,                TOFU_PERMISSION_DENIED) \
	X(EPERM,            ERROR_ACCESS_DENIED,      TOFU_PERMISSION_DENIED) \
	X(EROFS,            ERROR_WRITE_PROTECT,      TOFU_PERMISSION_DENIED) \
	X(ENOENT,           ERROR_FILE_NOT_FOUND,     TOFU_UDS_PATH_NOT_FOUND) \
	X(ENOTDIR,          ERROR_PATH_NOT_FOUND,     TOFU_UDS_PATH_NOT_FOUND) \
	X(ENAMETOOLONG,     WSAENAMETOOLONG,          TOFU_PATH_TOO_LONG) \
	X(EMFILE,           WSAEMFILE,                TOFU_LIMIT_REACHED) \
	X(ENFILE,           ERROR_TOO_MANY_OPEN_FILES, TOFU_LIMIT_REACHED) \
	X(ENOBUFS,          WSAENOBUFS,               TOFU_LIMIT_REACHED) \
	X(ENOSPC,           ERROR_DISK_FULL,          TOFU_LIMIT_REACHED) \
	X(ENOMEM,           WSA_NOT_ENOUGH_MEMORY,    TOFU_ALLOCATION_FAILED) \
	X(EAFNOSUPPORT,     WSAEAFNOSUPPORT,          TOFU_NOT_SUPPORTED) \
	X(EPFNOSUPPORT,     WSAEPFNOSUPPORT,          TOFU_NOT_SUPPORTED) \
	X(EPROTONOSUPPORT,  WSAEPROTONOSUPPORT,       TOFU_NOT_SUPPORTED) \
	X(ESOCKTNOSUPPORT,  WSAESOCKTNOSUPPORT,       TOFU_NOT_SUPPORTED) \
	X(EOPNOTSUPP,       WSAEOPNOTSUPP,            TOFU_NOT_SUPPORTED) \
	X(ENOSYS,           WSAVERNOTSUPPORTED,       TOFU_NOT_SUPPORTED) \
	X(0,                WSASYSNOTREADY,           TOFU_NOT_SUPPORTED) \
	X(0,                WSANOTINITIALISED,        TOFU_NOT_INITIALIZED)
/* clang-format on */

#endif
