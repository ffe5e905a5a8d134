/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PARTS_H
#define TOFU_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include <tofu/engine.h>
#include <tofu/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Bodies of any size. A body that is too long for one message travels as several messages of one opcode and id, its parts; all but
 * the last have `more` set. The text headers go with the first part. Peers without this, also those on the Zig library, can send and
 * receive parts by hand.
 *
 * A struct tofu_parts belongs to one group. It sends parts as far as the channel's queue has room, and goes on when the engine says
 * send_ready. It puts together what arrives. For both, give it each message that is received from the group.
 *
 * Threads: one at a time per struct tofu_parts: the thread that receives from the group. Its functions do not block, and call the
 * functions that are given to it on that thread. Those may post, and ask; they must not take, nor destroy.
 */
typedef struct tofu_parts tofu_parts;

/**
 * Take a part of a body that arrives, instead of having the body put together in memory.
 * part: the message, with its text headers if it is the first; the last has not `more`. It stays the caller's. at: how many bytes of
 * the body came before it. *user: NULL at the first part; then what was left there.
 * part NULL: the rest does not come: the channel has ended, the peer has canceled, or the parts are destroyed.
 * Returns TOFU_OK; any other status: the rest of this body is not wanted, and the function is not called for it again.
 */
typedef enum tofu_status tofu_part_fn(void *context, tofu_msg *part, uint64_t at, void **user);

/**
 * Take a message of tofu_parts_post() that was accepted and is not sent whole: its channel has ended, there was no memory for a part,
 * or it was canceled. Its status says why, and its origin is the engine, as in one of tofu_post() that comes back.
 * Ownership: *msg is put back afterwards, unless it is NULL by then.
 */
typedef void tofu_unsent_fn(void *context, tofu_msg **msg);

/** Begin with tofu_parts_options_init(). A numeric field that is 0 means its default. Grows at its end only. */
/* clang-format off */
struct tofu_parts_options {
	size_t size;            /* set by tofu_parts_options_init() */
	uint32_t part_size;     /* bytes of a part that is sent; default and most TOFU_BODY_MAX */
	uint32_t waiting_max;   /* messages of one channel that wait here to be sent; default 1024 */
	uint32_t begun_max;     /* bodies of one channel that arrive at the same time; default 64 */
	uint32_t body_max;      /* bytes of a body that is put together; default 16 MiB, most 1 GiB */
	uint64_t held_max;      /* bytes of all bodies that are being put together, and their text headers; default 256 MiB. They may
	                           need twice as much memory */
	tofu_part_fn *sink;     /* takes the parts instead; body_max and held_max do not count then; default NULL */
	tofu_unsent_fn *unsent; /* default NULL: such messages are put back */
	void *context;          /* handed to both */
};
/* clang-format on */

/**
 * Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_parts_options) as the program was compiled.
 * Threads: any. Blocks: no. NULL, or less than the first field has: nothing happens.
 */
void tofu_parts_options_init(struct tofu_parts_options *options, size_t size);

/**
 * Where a body comes from that does not lie in memory.
 * read: put up to capacity bytes at out; *len, 0 before, is how many. Fewer than capacity: it was the end. Any status but TOFU_OK
 *       cancels the body. Called from tofu_parts_post_from(), tofu_parts_take() and tofu_parts_cancel(). It must call no function of
 *       the same struct tofu_parts.
 * done: called once, when nothing more will be read, unless NULL. TOFU_OK: the engine has all parts; else why it has not.
 */
struct tofu_source {
	enum tofu_status (*read)(void *context, void *out, size_t capacity, size_t *len);
	void (*done)(void *context, const struct tofu_header *header, enum tofu_status status);
	void *context;
};

/**
 * Create for a group, with all defaults if options_or_null is NULL / destroy, before the group is. What is not sent yet and what is
 * not put together yet is given up: sources are done with TOFU_SHUTDOWN_STARTED, the sink is told, unsent is not called. One empty
 * update (tofu_update_receiver() with NULL) may still be received, and parts that come back with a user pointer of ours.
 * Ownership: the caller's. NULL is fine for destroy.
 * Errors:    TOFU_ALLOCATION_FAILED, TOFU_NOT_ALLOWED (group or out NULL, a field out of range), TOFU_NOT_SUPPORTED (a newer program
 *            chooses something that this library does not know).
 */
enum tofu_status tofu_parts_create(tofu_group *group, const struct tofu_parts_options *options_or_null,
                                   tofu_parts **out);
void tofu_parts_destroy(tofu_parts *parts);

/**
 * Post a message whose body may be longer than TOFU_BODY_MAX; its opcode is TOFU_REQUEST, TOFU_RESPONSE or TOFU_SIGNAL. Unlike
 * tofu_post() it does not say TOFU_WOULD_BLOCK: what the channel's queue has no room for waits here. Messages of one channel that
 * fit into one part keep their order. Longer ones take turns with them, part by part. A bye overtakes what waits here: say it when
 * tofu_parts_waiting() is 0.
 * *out_or_null, if given, is the header: channel, opcode and id name the body in the calls below.
 * Ownership: TOFU_OK: gone, *msg is NULL. Any other status: still the caller's, unchanged.
 * Errors:    of tofu_post(), except TOFU_WOULD_BLOCK; TOFU_INVALID_OP_CODE (another one), TOFU_INVALID_MORE_USAGE (`more` is set),
 *            TOFU_INVALID_MESSAGE_ID (a longer body of that opcode and id is being sent), TOFU_LIMIT_REACHED (waiting_max),
 *            TOFU_SHUTDOWN_STARTED (the parts are being destroyed), TOFU_NOT_ALLOWED (NULL).
 */
enum tofu_status tofu_parts_post(tofu_parts *parts, tofu_msg **msg, struct tofu_header *out_or_null);

/**
 * The same with a body that is read bit by bit, of any length; msg has none. It counts as a longer one, whatever its length. done may
 * be called before this returns.
 * Errors: as above; TOFU_INVALID_BODY_LEN (msg has a body), TOFU_NOT_ALLOWED (no source, or no read); a status of the first read. The
 *         source is not done then: it stays the caller's.
 */
enum tofu_status tofu_parts_post_from(tofu_parts *parts, tofu_msg **msg, const struct tofu_source *source,
                                      struct tofu_header *out_or_null);

/**
 * Give it a message that was received. It keeps parts, and goes on sending when the message says send_ready.
 * Ownership: *msg is NULL afterwards: it was kept. Else it is for the application: a message that is no part, a notice of the
 *            engine (also send_ready and channel_closed), or the whole message, when this was the last of its parts: with the
 *            first one's text headers, the body, and no `more`. Of a body whose last part comes back, that part is all that does.
 * Errors:    *msg is still the caller's. TOFU_INTERRUPTED: the peer has canceled this body. TOFU_LIMIT_REACHED (body_max, held_max),
 *            TOFU_ALLOCATION_FAILED: the body of this part is given up, and its other parts will be kept and dropped.
 *            TOFU_LIMIT_REACHED (begun_max), and TOFU_ALLOCATION_FAILED at a first part: nothing tells the other parts of this body
 *            from other messages any more. So all regular messages of the channel that belong to no body begun before are refused
 *            with TOFU_LIMIT_REACHED until it ends: say bye. TOFU_NULL_MESSAGE, TOFU_NOT_ALLOWED (NULL).
 */
enum tofu_status tofu_parts_take(tofu_parts *parts, tofu_msg **msg);

/**
 * Do not send the rest of a body, or of a message that waits here. A peer that has got a part of it gets a last one with an empty body
 * and the text header "parts: canceled", and its struct tofu_parts gives up the body. Its source is done, or it is unsent, with
 * TOFU_INTERRUPTED.
 * Errors: TOFU_INVALID_MESSAGE_ID (no such body is being sent), TOFU_NOT_ALLOWED (NULL).
 */
enum tofu_status tofu_parts_cancel(tofu_parts *parts, const struct tofu_header *header);

/**
 * How many bytes of a body that is being sent the engine has by now / how many of one that arrives have come.
 * Errors: TOFU_INVALID_MESSAGE_ID (no such body: it has not begun, or is whole), TOFU_NOT_ALLOWED (NULL). *bytes is 0 then.
 */
enum tofu_status tofu_parts_sent(const tofu_parts *parts, const struct tofu_header *header, uint64_t *bytes);
enum tofu_status tofu_parts_arrived(const tofu_parts *parts, const struct tofu_header *header, uint64_t *bytes);

/** How many messages of a channel wait here to be sent, a body that is being sent counted in. Channel 0: of all. 0 for NULL. */
size_t tofu_parts_waiting(const tofu_parts *parts, uint16_t channel);

#ifdef __cplusplus
}
#endif

#endif
