/* SPDX-License-Identifier: MIT */

/* A line is put together first and written in one go, so that what several threads say does not mix. */

#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *program = "";

void tofu_say_name(const char *name)
{
	program = name;
}

void tofu_say_wrong(enum tofu_status status, const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof what, format, args);
	va_end(args);
	if (status != TOFU_OK)
		(void)fprintf(stderr, "%s: %s: %s\n", program, what, tofu_strerror((int)status));
	else
		(void)fprintf(stderr, "%s: %s\n", program, what);
}

void tofu_say_unreachable(tofu_engine *engine, enum tofu_status status, const char *what, const char *address,
                          enum tofu_opcode opcode, const tofu_msg *answer)
{
	size_t len = 0;
	const char *detail = answer != NULL ? tofu_msg_headers_find(answer, "~detail", &len) : NULL;

	if (detail == NULL && status == TOFU_INVALID_ADDRESS) {
		detail = tofu_address_fault(engine, address, opcode);
		len = detail != NULL ? strlen(detail) : 0;
	}
	if (detail != NULL)
		tofu_say_wrong(TOFU_OK, "%s %s: %.*s", what, address, (int)len, detail);
	else if (status == TOFU_PATH_TOO_LONG)
		tofu_say_wrong(TOFU_OK, "%s %s: %s: 107 bytes at most", what, address, tofu_strerror((int)status));
	else
		tofu_say_wrong(status, "%s %s", what, address);
}

/* Where what is printed goes out at once, Windows' printf() says that it did even if it did not; the stream remembers. */
bool tofu_say_flush(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}

bool tofu_say(const char *first, const char *second)
{
	if (fputs(first, stdout) != EOF && fputs(second, stdout) != EOF && tofu_say_flush())
		return true;
	tofu_say_wrong(TOFU_OK, "cannot write: %s", strerror(errno));
	return false;
}

bool tofu_say_version(void)
{
	char line[64];

	(void)snprintf(line, sizeof line, "%s %s\n", program, tofu_version());
	return tofu_say(line, "");
}

/* A line that is written piece by piece; what does not fit is left out. */
struct line {
	char text[1024];
	size_t len;
};

static void add(struct line *line, const char *format, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 2, 3)))
#endif
	;

static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof line->text - line->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, room, format, args);
	va_end(args);
	if (n > 0)
		line->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_escaped(struct line *line, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		add(line, c < 0x20 || c > 0x7e || c == '\\' || c == '"' ? "\\x%02x" : "%c", (unsigned)c);
	}
}

void tofu_say_message(const char *what, tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	struct line line = { .len = 0 };
	struct tofu_text_header text;
	size_t body, whole;

	(void)tofu_msg_body(msg, &body);
	(void)tofu_msg_encode(msg, NULL, 0, &whole); /* for its length only */
	add(&line, "%s %s on %u, id %llu", what, tofu_opcode_name(h->opcode), h->channel, (unsigned long long)h->id);
	if (h->more != 0)
		add(&line, ", more follow");
	if (h->origin == TOFU_ORIGIN_ENGINE)
		add(&line, ", of the engine: %s", tofu_status_name(h->status));
	add(&line, "; %lu bytes of text headers, %lu of body", (unsigned long)(whole - TOFU_FRAME_HEADER - body),
	    (unsigned long)body); /* not %zu: to gcc for Windows it is unknown here */
	for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &text)) != 0;) {
		add(&line, "; \"");
		add_escaped(&line, text.name, text.name_len);
		add(&line, ": ");
		add_escaped(&line, text.value, text.value_len);
		add(&line, "\"");
	}
	tofu_say_wrong(TOFU_OK, "%s", line.text);
}

void tofu_say_peer(tofu_group *group, uint16_t channel)
{
	struct tofu_channel_info info = { .size = sizeof info };
	struct line line = { .len = 0 };

	if (tofu_channel_inspect(group, channel, &info) != TOFU_OK)
		return; /* it has ended already, which is said as well */
	add(&line, "channel %u: the peer is %s, here is %s", channel, info.peer, info.local);
	if (info.uid >= 0)
		add(&line, ", uid %lld, gid %lld", (long long)info.uid, (long long)info.gid);
	if (info.pid >= 0) /* all that Windows tells */
		add(&line, ", pid %lld", (long long)info.pid);
	if (info.identity[0] != '\0') {
		add(&line, ", identity \"");
		add_escaped(&line, info.identity, strlen(info.identity));
		add(&line, "\"");
	}
	tofu_say_wrong(TOFU_OK, "%s", line.text);
}

void tofu_say_log(void *all, enum tofu_log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info" };

	if (all == NULL && level > TOFU_LOG_WARNING)
		return;
	tofu_say_wrong(TOFU_OK, "%s: %s", names[level], text);
}
