/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_ADMISSION_H
#define TOFU_REACTOR_ADMISSION_H

/*
 * Who is let in before it has said hello. A caller costs a channel and a descriptor from when it is accepted. So
 *
 *     a transport may refuse it at once (TOFU_PERMISSION_DENIED of its accept),
 *     one peer may have so many connections (option peer_connections_max; the transport's peer_key tells peers apart),
 *     callers that have not said hello are bounded (option unheard_max).
 *
 * Where callers are at their bound, or the process is short of channels or descriptors, the one that has been silent for longest
 * makes room, unless it came within the last TOFU_GRACE_MS: an honest one needs a moment for its hello. So those that say
 * nothing cannot keep others out.
 */

#include <stdbool.h>

#include <tofu/transport.h>

struct tofu_chan;
struct tofu_peer;
struct tofu_reactor;

/** The peers that have connections; all zero: none is counted. */
struct tofu_peers {
	struct tofu_peer **buckets;
	uint64_t seed;
};

/** Errors: TOFU_ALLOCATION_FAILED. */
enum tofu_status tofu_admission_init(struct tofu_reactor *r);
void tofu_admission_fini(struct tofu_reactor *r);

/** Is there room for one more that has not said hello? */
bool tofu_admission_has_room(const struct tofu_reactor *r);
/** Close the caller that has been silent for longest, if that is long enough. False: there is none. */
bool tofu_admission_make_room(struct tofu_reactor *r);
/**
 * A caller was accepted: count it. TOFU_PERMISSION_DENIED: its peer has too many. It leaves in any case when its channel ends. Other
 * errors: TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_admission_enter(struct tofu_reactor *r, struct tofu_chan *c);
/** Its transport, or the count, says that it may not come in: count it, and say so once an episode. */
void tofu_admission_refuse(struct tofu_reactor *r, const struct tofu_chan *listener, const struct tofu_chan *c);
/** It has said hello. */
void tofu_admission_heard(struct tofu_chan *c);
/** Its channel ends, or it was not let in after all. Of a channel that never entered: nothing. */
void tofu_admission_leave(struct tofu_reactor *r, struct tofu_chan *c);

#endif
