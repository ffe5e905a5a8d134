/* SPDX-License-Identifier: MIT */

/*
 * A large file over a connection that breaks. The client asks for the file from the byte on that it has not got yet; the server reads
 * that bit by bit as the client takes it, and the client writes each part when it comes. In memory there is never more than the
 * queues hold.
 *
 * Here the connection breaks when 80 of 200 MB have come; the client calls again and asks for the rest. Both parties are in this one
 * program and share a group; a Request is for the server, what answers it for the client.
 *
 *     file_transfer [MEGABYTES]
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#define ORIGINAL "file_transfer.original"
#define COPY "file_transfer.copy"

enum { MEGABYTE = 1000000 };

static tofu_engine *engine;
static tofu_group *group;
static tofu_parts *parts;
static char address[64];
static long size = 200 * MEGABYTE;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "file_transfer: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void check(bool holds, const char *what)
{
	must(holds ? TOFU_OK : TOFU_PROCESSING_FAILED, what);
}

static FILE *open_file(const char *name, const char *mode)
{
	FILE *file = fopen(name, mode);

	check(file != NULL && fseek(file, 0, SEEK_END) == 0, name);
	return file;
}

/* --- the server --- */

static enum tofu_status read_more(void *file, void *out, size_t capacity, size_t *len)
{
	*len = fread(out, 1, capacity, file);
	return ferror((FILE *)file) ? TOFU_PROCESSING_FAILED : TOFU_OK;
}

static void done(void *file, const struct tofu_header *header, enum tofu_status status)
{
	printf("server: answered on channel %u: %s\n", header->channel, tofu_status_name(status));
	fclose(file);
}

/* The request becomes the response. */
static void serve(tofu_msg **msg)
{
	const struct tofu_source source = { .read = read_more, .done = done, .context = open_file(ORIGINAL, "rb") };
	char from[32];
	size_t len;
	const char *value = tofu_msg_headers_find(*msg, "from", &len);

	snprintf(from, sizeof from, "%.*s", (int)len, value != NULL ? value : ""); /* a value is not terminated */
	check(fseek(source.context, strtol(from, NULL, 10), SEEK_SET) == 0, "no such place");
	tofu_msg_header(*msg)->opcode = TOFU_RESPONSE;
	must(tofu_parts_post_from(parts, msg, &source, NULL), "cannot answer");
}

/* --- the client --- */

static FILE *copy;
static bool whole;

static void ask(uint16_t channel)
{
	char from[32];
	tofu_msg *msg;

	snprintf(from, sizeof from, "%ld", ftell(copy));
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_headers_add(msg, "from", from), "cannot ask");
	must(tofu_post(group, &msg, NULL), "cannot ask");
	printf("client: asks from byte %s on\n", from);
}

/* The sink: each part. NULL: the rest does not come on this channel. */
static enum tofu_status write_more(void *context, tofu_msg *part, uint64_t at, void **user)
{
	size_t len;
	const void *body = tofu_msg_body(part, &len);

	(void)context, (void)at, (void)user;
	check(part == NULL || fwrite(body, 1, len, copy) == len, "cannot write");
	whole = part != NULL && !tofu_msg_header(part)->more;
	return TOFU_OK;
}

/* --- both --- */

static void call(void)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(group, &msg, NULL), "cannot connect");
}

/* Some cable is pulled out. */
static void break_off(uint16_t channel)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	*tofu_msg_header(msg) = (struct tofu_header){ .opcode = TOFU_BYE_SIGNAL, .channel = channel };
	must(tofu_post(group, &msg, NULL), "cannot break off");
}

/* What the engine has to say. The client calls again when its own channel has ended. */
static void notice(tofu_msg *msg, uint16_t client)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->reason != TOFU_OK && h->channel == client)
		call();
}

/* What the peer has to say. */
static void peer(tofu_msg **msg, uint16_t *client)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	switch (h->opcode) {
	case TOFU_HELLO_REQUEST: /* the server */
		h->opcode = TOFU_HELLO_RESPONSE;
		must(tofu_post(group, msg, NULL), "cannot say hello");
		break;
	case TOFU_HELLO_RESPONSE: /* the client */
		*client = h->channel;
		ask(*client);
		break;
	case TOFU_REQUEST: /* the server */
		serve(msg);
		break;
	case TOFU_RESPONSE: /* the client: a rest that fits into one message */
		(void)write_more(NULL, *msg, 0, NULL);
		break;
	default:
		check(false, "not what was expected");
	}
}

static void transfer(void)
{
	bool broken = false;
	uint16_t client = 0;
	tofu_msg *msg;

	while (!whole) {
		must(tofu_receive(group, &msg, -1), "cannot receive");
		must(tofu_parts_take(parts, &msg), "cannot take a part");
		if (msg != NULL && tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE)
			notice(msg, client);
		else if (msg != NULL)
			peer(&msg, &client);
		tofu_msg_put(&msg);
		if (!broken && ftell(copy) > size / 10 * 4) {
			broken = true;
			break_off(client);
		}
	}
}

/* --- files --- */

enum { BLOCK = 65536 };

static void make_original(void)
{
	FILE *file = open_file(ORIGINAL, "wb");
	uint32_t block[BLOCK / 4];

	for (uint32_t i = 0; i < BLOCK / 4; i++)
		block[i] = i * 2654435761u;
	for (long at = 0; at < size; at += BLOCK, block[0]++) {
		size_t len = size - at < BLOCK ? (size_t)(size - at) : BLOCK;

		check(fwrite(block, 1, len, file) == len, "cannot write");
	}
	check(fclose(file) == 0, "cannot write");
}

static void compare(void)
{
	FILE *a = open_file(ORIGINAL, "rb"), *b = open_file(COPY, "rb");
	static char left[BLOCK], right[BLOCK];
	size_t len;

	check(ftell(a) == size && ftell(b) == size, "not as long");
	rewind(a);
	rewind(b);
	while ((len = fread(left, 1, BLOCK, a)) > 0)
		check(fread(right, 1, len, b) == len && memcmp(left, right, len) == 0, "not the same");
	fclose(a);
	fclose(b);
}

/* Listen on any free port. */
static void listen_there(void)
{
	const char *actual;
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "cannot listen");
	actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
}

int main(int argc, char **argv)
{
	struct tofu_parts_options options;

	if (argc > 1)
		size = strtol(argv[1], NULL, 10) * MEGABYTE;
	make_original();
	copy = open_file(COPY, "wb");
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	tofu_parts_options_init(&options, sizeof options);
	options.sink = write_more;
	must(tofu_parts_create(group, &options, &parts), "no parts");
	listen_there();
	call();
	transfer();
	tofu_parts_destroy(parts);
	tofu_group_destroy(group); /* with its channels */
	tofu_engine_destroy(engine);
	tofu_deinit();

	check(fclose(copy) == 0, "cannot write");
	compare();
	printf("%ld bytes, in two pieces, and the same\n", size);
	remove(ORIGINAL);
	remove(COPY);
}
