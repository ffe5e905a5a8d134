/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_SERVED_H
#define TOFU_TESTS_SERVED_H

/* An application that serves one raw peer, which says and reads what it likes. */

#include "raw.h"
#include "steps.h"

/** The id of a raw peer's HelloRequest; of the nth, n more. */
enum { HELLO_ID = 77 };

struct served {
	struct side side;
	struct listening at;
	struct raw peer;
	uint16_t channel;
	int descriptors;
};

/** An engine, a listener, a peer that has said hello. */
void serve_raw(struct served *s, int transport, const struct tofu_options *or_null);
/** End all of it; no descriptor may be left. */
void served_end(struct served *s);

#endif
