/* SPDX-License-Identifier: MIT */
#ifndef TOFU_STATUS_H
#define TOFU_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a call returned, or what became of a message or a channel.
 *
 * 0..31 are the numbers of the Zig library of the same name, in its order; those after are ours. They are part of the
 * ABI: a number never changes its meaning, new ones are added at the end.
 */
enum tofu_status {
	TOFU_OK = 0,
	TOFU_NOT_IMPLEMENTED_YET = 1,
	TOFU_WRONG_ADDRESS = 2,
	TOFU_NOT_ALLOWED = 3,
	TOFU_NULL_MESSAGE = 4,
	TOFU_INVALID_MESSAGE = 5,
	TOFU_INVALID_OP_CODE = 6,
	TOFU_INVALID_HEADERS_LEN = 7,
	TOFU_INVALID_BODY_LEN = 8,
	TOFU_INVALID_MORE_USAGE = 9,
	TOFU_INVALID_CHANNEL_NUMBER = 10,
	TOFU_INVALID_MCHN_GROUP = 11,
	TOFU_INVALID_MESSAGE_ID = 12,
	TOFU_INVALID_ADDRESS = 13,
	TOFU_UDS_PATH_NOT_FOUND = 14,
	TOFU_NOTIFICATION_DISABLED = 15,
	TOFU_NOTIFICATION_FAILED = 16,
	TOFU_PEER_DISCONNECTED = 17,
	TOFU_COMMUNICATION_FAILED = 18,
	TOFU_POOL_EMPTY = 19,
	TOFU_ALLOCATION_FAILED = 20,
	TOFU_RECEIVER_UPDATE = 21,
	TOFU_CHANNEL_CLOSED = 22,
	TOFU_SHUTDOWN_STARTED = 23,
	TOFU_CONNECT_FAILED = 24,
	TOFU_LISTEN_FAILED = 25,
	TOFU_ACCEPT_FAILED = 26,
	TOFU_SEND_FAILED = 27,
	TOFU_RECV_FAILED = 28,
	TOFU_SETSOCKOPT_FAILED = 29,
	TOFU_PROCESSING_FAILED = 30,
	TOFU_UNKNOWN_ERROR = 31,
	TOFU_TIMEOUT = 32,
	TOFU_NOT_INITIALIZED = 33,
	TOFU_WOULD_BLOCK = 34,
	TOFU_SEND_READY = 35,
	TOFU_PROTOCOL_VIOLATION = 36,
	TOFU_ADDRESS_IN_USE = 37,
	TOFU_HOST_NOT_FOUND = 38,
	TOFU_PATH_TOO_LONG = 39,
	TOFU_NOT_SUPPORTED = 40,
	TOFU_PERMISSION_DENIED = 41,
	TOFU_LIMIT_REACHED = 42,
	TOFU_INTERRUPTED = 43
};

/**
 * The name of a status, for logs and tests: "peer_disconnected". An int, so that a header's status fits as it is.
 * Ownership: static text, never freed; "unknown_status" for a number that is none.
 * Threads:   any. Blocks: no.
 */
const char *tofu_status_name(int status);

/**
 * A sentence for people: "the peer or the network went away".
 * Ownership: static text, never freed, never NULL.
 * Threads:   any. Blocks: no.
 */
const char *tofu_strerror(int status);

#ifdef __cplusplus
}
#endif

#endif
