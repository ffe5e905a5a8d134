/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_BACKLOG_H
#define TOFU_TOOLS_BACKLOG_H

/*
 * Messages for one channel that found its send queue full; they go first, in order, when the engine says send_ready.
 * They are linked by their user pointer.
 */

#include <tofu/tofu.h>

#include "traffic.h"

/** All zero is an empty one. */
struct tofu_backlog {
	tofu_msg *head;
	tofu_msg *tail;
	struct tofu_traffic *traffic; /* where to count what is posted; NULL: nowhere */
};

/** Post msg, or keep it if it must wait. It is gone in any case. */
void tofu_backlog_send(struct tofu_backlog *b, tofu_group *group, tofu_msg *msg);
/** send_ready: post what waits, as far as it goes. */
void tofu_backlog_resume(struct tofu_backlog *b, tofu_group *group);
/** The channel is gone: free what waits. */
void tofu_backlog_drop(struct tofu_backlog *b);

#endif
