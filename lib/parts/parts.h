/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PARTS_PARTS_H
#define TOFU_PARTS_PARTS_H

/*
 * What the files of this folder share. A channel that sends or receives parts has a record, made for the first and freed after the
 * last: its bodies on their way out, in the order of their turns, and those that have begun to arrive.
 *
 * What may wait here for long is copied out of the pool. If all messages of the pool waited here, nothing could be read, and they
 * would wait for ever.
 */

#include <stdbool.h>

#include <tofu/parts.h>

/**
 * A body on its way out.
 *
 *     ONE      ready is it, and there is nothing else
 *     LONG     parts are clones of like, their bytes come out of whole or of the source; cut waits
 *     CUT_OFF  ready is what cut was: the peer is still to be told; the application has been
 */
struct tofu_outgoing {
	struct tofu_outgoing *next;
	enum { TOFU_OUTGOING_ONE, TOFU_OUTGOING_LONG, TOFU_OUTGOING_CUT_OFF } kind;
	struct tofu_header header;
	void *user;      /* of the message that was posted */
	tofu_msg *like;  /* without a body; the text headers leave it with the first part */
	tofu_msg *whole; /* NULL: the body is in the source */
	struct tofu_source source;
	tofu_msg *ready; /* the part that is posted next, if it is made already */
	tofu_msg *cut;   /* the last part if the body is given up. Made first, for then there may be no memory */
	uint64_t made;   /* bytes in parts, the ready one included */
	uint64_t posted;
	bool begun; /* the peer has a part */
};

/** A body that has begun to arrive. */
struct tofu_incoming {
	struct tofu_incoming *next;
	uint64_t id;
	uint8_t opcode;
	bool given_up;   /* what still comes is dropped */
	tofu_msg *whole; /* what came of it, if there is no sink */
	void *user;      /* the sink's */
	uint64_t at;     /* bytes that came */
	uint64_t held;   /* bytes that count in held_max */
};

struct tofu_parts_channel {
	uint16_t number;
	uint32_t waiting;
	uint32_t begun_count;
	uint64_t paused; /* in that round; 0: it is not */
	struct tofu_outgoing *out, **out_end;
	struct tofu_incoming *begun;
};

enum { TOFU_PARTS_PAGE = 256, TOFU_PARTS_PAGES = 256 };

struct tofu_parts_page {
	struct tofu_parts_channel *of[TOFU_PARTS_PAGE];
};

struct tofu_parts {
	tofu_group *group;
	struct tofu_parts_options options;
	bool ended;
	size_t waiting;
	uint64_t held;  /* bytes of bodies that are being put together */
	uint64_t round; /* of reminders; see outgoing.c */
	bool reminded;  /* a reminder is in the group's mailbox */
	struct tofu_parts_page *pages[TOFU_PARTS_PAGES];
	uint64_t refused[1024]; /* a bit for each channel number; see incoming.c */
};

/* parts.c */

/** NULL: there is none. */
struct tofu_parts_channel *tofu_parts_find(const struct tofu_parts *p, uint16_t number);
/** NULL: there is no memory. */
struct tofu_parts_channel *tofu_parts_find_or_make(struct tofu_parts *p, uint16_t number);
/** Free the record, if nothing is in it. */
void tofu_parts_tidy(struct tofu_parts *p, uint16_t number);
/** The text header of a last part that is not the end of its body. */
extern const char tofu_parts_mark[], tofu_parts_canceled[];

/* outgoing.c */

/** Post what there is room for. */
void tofu_outgoing_go_on(struct tofu_parts *p, uint16_t channel);
/** A reminder has come. */
void tofu_outgoing_resume(struct tofu_parts *p);
/** The channel has ended, or the parts are destroyed. The record is no longer in the table. */
void tofu_outgoing_drop(struct tofu_parts *p, struct tofu_parts_channel *c, enum tofu_status why);
/** The link to it; its target is NULL if there is none. A body that is cut off is not found. */
struct tofu_outgoing **tofu_outgoing_find(struct tofu_parts_channel *c, const struct tofu_header *header);

/* incoming.c */

enum tofu_status tofu_incoming_take(struct tofu_parts *p, tofu_msg **msg);
/** The channel has ended, or the parts are destroyed. The record is no longer in the table. */
void tofu_incoming_drop(struct tofu_parts *p, struct tofu_parts_channel *c);
/** The channel has ended; its number may come to mean another. */
void tofu_incoming_admit(struct tofu_parts *p, uint16_t channel);
struct tofu_incoming **tofu_incoming_find(struct tofu_parts_channel *c, const struct tofu_header *header);

#endif
