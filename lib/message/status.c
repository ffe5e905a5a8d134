/* SPDX-License-Identifier: MIT */
/*
 * Names and sentences of the statuses: static text from one list. The switches have no default, so the compiler names a
 * status that the list forgot. A number that is no status gets the text after the switch.
 */

#include <tofu/status.h>

/* clang-format off */
#define STATUSES(X) \
	X(OK,                     "success",                "success") \
	X(NOT_IMPLEMENTED_YET,    "not_implemented_yet",    "this is not implemented yet") \
	X(WRONG_ADDRESS,          "wrong_address",          "the message carries no address") \
	X(NOT_ALLOWED,            "not_allowed",            "this is not allowed here, or an argument is not valid") \
	X(NULL_MESSAGE,           "null_message",           "there is no message") \
	X(INVALID_MESSAGE,        "invalid_message",        "the message or a text header is malformed") \
	X(INVALID_OP_CODE,        "invalid_op_code",        "this opcode cannot be posted") \
	X(INVALID_HEADERS_LEN,    "invalid_headers_len",    "the text headers are too long") \
	X(INVALID_BODY_LEN,       "invalid_body_len",       "the body is too long") \
	X(INVALID_MORE_USAGE,     "invalid_more_usage",     "only regular messages can announce more to follow") \
	X(INVALID_CHANNEL_NUMBER, "invalid_channel_number", "there is no channel of this number") \
	X(INVALID_MCHN_GROUP,     "invalid_mchn_group",     "the channel belongs to another group") \
	X(INVALID_MESSAGE_ID,     "invalid_message_id",     "a response needs the id of its request") \
	X(INVALID_ADDRESS,        "invalid_address",        "the address is malformed, or its transport is not registered") \
	X(UDS_PATH_NOT_FOUND,     "uds_path_not_found",     "the path, or a directory of it, does not exist") \
	X(NOTIFICATION_DISABLED,  "notification_disabled",  "notification is disabled") \
	X(NOTIFICATION_FAILED,    "notification_failed",    "the engine could not be woken") \
	X(PEER_DISCONNECTED,      "peer_disconnected",      "the peer or the network went away") \
	X(COMMUNICATION_FAILED,   "communication_failed",   "the network failed") \
	X(POOL_EMPTY,             "pool_empty",             "the message pool is empty") \
	X(ALLOCATION_FAILED,      "allocation_failed",      "there is not enough memory") \
	X(RECEIVER_UPDATE,        "receiver_update",        "another thread of the application sent this") \
	X(CHANNEL_CLOSED,         "channel_closed",         "the channel has ended") \
	X(SHUTDOWN_STARTED,       "shutdown_started",       "the engine or the group is shutting down") \
	X(CONNECT_FAILED,         "connect_failed",         "the connection could not be made") \
	X(LISTEN_FAILED,          "listen_failed",          "the listener could not be opened") \
	X(ACCEPT_FAILED,          "accept_failed",          "a connection could not be accepted") \
	X(SEND_FAILED,            "send_failed",            "sending failed") \
	X(RECV_FAILED,            "recv_failed",            "receiving failed") \
	X(SETSOCKOPT_FAILED,      "setsockopt_failed",      "a socket option could not be set") \
	X(PROCESSING_FAILED,      "processing_failed",      "the message could not be processed") \
	X(UNKNOWN_ERROR,          "unknown_error",          "the system reported an error of no known kind") \
	X(TIMEOUT,                "timeout",                "the time is over") \
	X(NOT_INITIALIZED,        "not_initialized",        "the library is not initialized") \
	X(WOULD_BLOCK,            "would_block",            "this is not possible now without waiting") \
	X(SEND_READY,             "send_ready",             "the channel has room for messages again") \
	X(PROTOCOL_VIOLATION,     "protocol_violation",     "the peer broke the rules of the protocol") \
	X(ADDRESS_IN_USE,         "address_in_use",         "the address is in use") \
	X(HOST_NOT_FOUND,         "host_not_found",         "no host of this name is known") \
	X(PATH_TOO_LONG,          "path_too_long",          "the path is too long for a socket") \
	X(NOT_SUPPORTED,          "not_supported",          "this system or this build does not support it") \
	X(PERMISSION_DENIED,      "permission_denied",      "this is not permitted") \
	X(LIMIT_REACHED,          "limit_reached",          "no more channels, ports, descriptors or threads can be had") \
	X(INTERRUPTED,            "interrupted",            "tofu_group_interrupt() ended the waiting")
/* clang-format on */

#define NAME_OF(status, name, text)                                                                                    \
	case TOFU_##status:                                                                                            \
		return name;
#define TEXT_OF(status, name, text)                                                                                    \
	case TOFU_##status:                                                                                            \
		return text;

const char *tofu_status_name(int status)
{
	switch ((enum tofu_status)status) {
		STATUSES(NAME_OF)
	}
	return "unknown_status";
}

const char *tofu_strerror(int status)
{
	switch ((enum tofu_status)status) {
		STATUSES(TEXT_OF)
	}
	return "this number is no status";
}
