/* SPDX-License-Identifier: MIT */

/*
 * What is too long for one message goes as several of the same id. All but the last say that more follow.
 *
 * A send queue is bounded. When it is full, tofu_post() says would_block and the message stays ours; later the engine says
 * send_ready, and the stream goes on where it stopped. Meanwhile the program does what else there is to do: here it receives.
 *
 * A client sends 24 MB up, the server sends them back turned around. Both parties are in this one program and share a group;
 * they are told apart by the channel.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { TOTAL = 24000000, PART = TOFU_BODY_MAX };

/* What is sent: from data, of which at bytes are out. */
struct stream {
	struct tofu_header header; /* of its parts; the id is that of the first */
	char *data;
	size_t at;
	size_t len;
	int pauses;
};

static tofu_engine *engine;
static tofu_group *group;
static char sent[TOTAL], received[TOTAL], answered[TOTAL];
static struct stream up, down;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "streaming: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* Send as much as there is room for. */
static void send_more(struct stream *s)
{
	while (s->at < s->len) {
		size_t part = s->len - s->at < PART ? s->len - s->at : PART;
		enum tofu_status status;
		tofu_msg *msg;

		must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
		*tofu_msg_header(msg) = s->header;
		tofu_msg_header(msg)->more = s->at + part < s->len;
		must(tofu_msg_body_set(msg, s->data + s->at, part), "cannot fill a part");
		status = tofu_post(group, &msg, NULL);
		if (status == TOFU_WOULD_BLOCK) {
			tofu_msg_put(&msg); /* the queue is full: send_ready will tell */
			s->pauses++;
			return;
		}
		must(status, "cannot send a part");
		s->at += part;
	}
}

/* Collect a part. True: it was the last. */
static bool take_part(tofu_msg *msg, char *data, size_t *len)
{
	size_t part;
	const void *body = tofu_msg_body(msg, &part);

	must(part <= TOTAL - *len ? TOFU_OK : TOFU_INVALID_BODY_LEN, "more than was agreed on");
	memcpy(data + *len, body, part);
	*len += part;
	return !tofu_msg_header(msg)->more;
}

static void turn_around(char *data, size_t len)
{
	for (size_t i = 0; i < len / 2; i++) {
		char c = data[i];

		data[i] = data[len - 1 - i];
		data[len - 1 - i] = c;
	}
}

/* What the engine has to say. */
static void notice(tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->status == TOFU_SEND_READY)
		send_more(h->channel == up.header.channel ? &up : &down);
	else if (h->status != TOFU_POOL_EMPTY) /* that one passes: each message is put back here */
		must(h->status, "bad news");
}

/* What the peer has to say. True: the answer is here, whole. */
static bool peer(tofu_msg **msg, size_t *up_len, size_t *down_len)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	switch (h->opcode) {
	case TOFU_HELLO_REQUEST: /* the server */
		h->opcode = TOFU_HELLO_RESPONSE;
		must(tofu_post(group, msg, NULL), "cannot say hello");
		return false;
	case TOFU_HELLO_RESPONSE: /* the client */
		send_more(&up);
		return false;
	case TOFU_REQUEST: /* the server */
		if (!take_part(*msg, received, up_len))
			return false;
		turn_around(received, *up_len);
		down = (struct stream){ .header = *h, .data = received, .len = *up_len };
		down.header.opcode = TOFU_RESPONSE; /* on the channel and with the id of the request */
		send_more(&down);
		return false;
	case TOFU_RESPONSE: /* the client */
		return take_part(*msg, answered, down_len);
	default:
		must(TOFU_INVALID_OP_CODE, "not what was expected");
		return false;
	}
}

/* Listen on any free port, and call there. */
static void join(void)
{
	char address[64];
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "cannot listen");
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);

	tofu_msg_reset(msg);
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(group, &msg, &up.header), "cannot connect"); /* tells the channel */
	up.header.opcode = TOFU_REQUEST;
	up.header.id = tofu_next_id(); /* one for all parts */
}

int main(void)
{
	size_t up_len = 0, down_len = 0;
	bool done = false;

	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (char)('a' + i % 26);
	up.data = sent;
	up.len = TOTAL;
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	join();
	while (!done) {
		tofu_msg *msg;

		must(tofu_receive(group, &msg, -1), "cannot receive");
		if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE)
			notice(msg);
		else
			done = peer(&msg, &up_len, &down_len);
		tofu_msg_put(&msg); /* NULL if it was posted */
	}
	printf("request: %zu bytes, the queue was full %d times\n", up_len, up.pauses);
	printf("response: %zu bytes, the queue was full %d times\n", down_len, down.pauses);
	turn_around(answered, down_len);
	must(down_len == TOTAL && memcmp(answered, sent, TOTAL) == 0 ? TOFU_OK : TOFU_INVALID_MESSAGE, "not the same");
	printf("the same bytes, turned around twice\n");

	tofu_group_destroy(group); /* with its channels */
	tofu_engine_destroy(engine);
	tofu_deinit();
}
