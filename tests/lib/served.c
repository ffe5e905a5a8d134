/* SPDX-License-Identifier: MIT */
#include "served.h"

void serve_raw(struct served *s, int transport, const struct tofu_options *or_null)
{
	tofu_msg *msg;

	s->descriptors = os_descriptors();
	s->side = side_in(engine_up(or_null));
	listen_over(&s->side, transport, &s->at);
	raw_call(&s->peer, s->at.address);
	raw_hello(&s->peer, HELLO_ID);
	msg = expect_peer(&s->side, TOFU_HELLO_REQUEST);
	s->channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
}

void served_end(struct served *s)
{
	raw_hang_up(&s->peer, TOFU_CLOSE_ORDERLY);
	engine_down(s->side.engine);
	ck_assert_int_eq(os_descriptors(), s->descriptors);
}
