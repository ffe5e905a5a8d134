/* SPDX-License-Identifier: MIT */

/*
 * One to many: a publisher sends each piece of news to all who have asked for its topic. They ask in their hello. The body is there
 * once, however many get it (tofu_msg_share()).
 *
 * One subscriber sleeps. Its queue fills, tofu_post() says would_block for its channel, and this publisher leaves out what it has no
 * room for. Another one might keep only the newest, or hang up. The others never notice. When the sleeper wakes, it gets what was
 * queued, whole and in order.
 *
 * Each party has an engine of its own here. In life they are programs.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { READERS = 3, SUBSCRIBERS, SLEEPER = READERS, MISSED = 500, PAGE = 60000 };

struct party {
	tofu_engine *engine;
	tofu_group *group;
	char topic[16];
};

/* A subscriber, as the publisher knows it. */
struct subscription {
	uint16_t channel;
	char topic[16];
	int sent, missed;
};

static struct party publisher, subscribers[SUBSCRIBERS];
static struct subscription subscriptions[SUBSCRIBERS];

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "fan_out: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* A small pool, and little room for what waits: these are the bounds that the sleeper meets. */
static void open_party(struct party *p, const char *topic)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = options.pool_max = 32;
	options.send_queue_max = 16;
	must(tofu_engine_create(&options, &p->engine), "no engine");
	must(tofu_engine_register(p->engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(p->engine, &p->group), "no group");
	snprintf(p->topic, sizeof p->topic, "%s", topic);
}

static void close_party(struct party *p)
{
	tofu_group_destroy(p->group);
	tofu_engine_destroy(p->engine);
}

static tofu_msg *message(struct party *p)
{
	tofu_msg *msg;

	must(tofu_msg_get(p->engine, TOFU_ALWAYS, &msg), "no message");
	return msg;
}

static tofu_msg *next(struct party *p)
{
	tofu_msg *msg;

	must(tofu_receive(p->group, &msg, -1), "cannot receive");
	return msg;
}

static void copy_header(const tofu_msg *msg, const char *name, char *out, size_t size)
{
	size_t len;
	const char *value = tofu_msg_headers_find(msg, name, &len);

	must(value != NULL ? TOFU_OK : TOFU_INVALID_MESSAGE, name);
	snprintf(out, size, "%.*s", (int)len, value);
}

/* --- the publisher --- */

static void listen_anywhere(char *address, size_t size)
{
	tofu_msg *msg = message(&publisher);

	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(publisher.group, &msg, NULL), "cannot listen");
	msg = next(&publisher);
	must(tofu_msg_header(msg)->status, "cannot listen");
	copy_header(msg, "~listen_on", address, size);
	tofu_msg_put(&msg);
}

/* A hello with a topic is a subscription. */
static void accept_subscription(struct subscription *s)
{
	tofu_msg *msg = next(&publisher);

	s->channel = tofu_msg_header(msg)->channel;
	copy_header(msg, "topic", s->topic, sizeof s->topic);
	tofu_msg_header(msg)->opcode = TOFU_HELLO_RESPONSE;
	must(tofu_post(publisher.group, &msg, NULL), "cannot answer");
}

/* To one subscriber, if it has room. */
static void send_to(struct subscription *s, tofu_msg *news)
{
	enum tofu_status status;
	tofu_msg *copy;

	must(tofu_msg_share(news, &copy), "no message");
	tofu_msg_header(copy)->channel = s->channel;
	status = tofu_post(publisher.group, &copy, NULL);
	if (status == TOFU_WOULD_BLOCK) {
		tofu_msg_put(&copy); /* its queue is full; a Signal of status send_ready will say when there is room */
		s->missed++;
		return;
	}
	must(status, "cannot send");
	s->sent++;
}

static void publish(const char *topic, int number)
{
	tofu_msg *news = message(&publisher);
	void *body;

	tofu_msg_header(news)->opcode = TOFU_SIGNAL;
	must(tofu_msg_headers_add(news, "topic", topic), "cannot fill");
	must(tofu_msg_body_reserve(news, PAGE, &body), "cannot fill");
	memset(body, 0, PAGE);
	memcpy(body, &number, sizeof number);
	for (int i = 0; i < SUBSCRIBERS; i++)
		if (strcmp(subscriptions[i].topic, topic) == 0)
			send_to(&subscriptions[i], news);
	tofu_msg_put(&news);
}

/* --- the subscribers --- */

static void subscribe(struct party *p, const char *address)
{
	tofu_msg *msg = message(p);

	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_msg_headers_add(msg, "topic", p->topic), "cannot subscribe");
	must(tofu_post(p->group, &msg, NULL), "cannot subscribe");
}

static void wait_for_answer(struct party *p)
{
	tofu_msg *msg = next(p);

	must(tofu_msg_header(msg)->status, "not subscribed");
	tofu_msg_put(&msg);
}

/* The next piece of news, of the topic that was asked for; its number. */
static int read_news(struct party *p)
{
	tofu_msg *msg = next(p);
	char topic[16];
	size_t len;
	int number;

	while (tofu_msg_header(msg)->status ==
	       TOFU_POOL_EMPTY) { /* it has slept; from now on each message is put back */
		tofu_msg_put(&msg);
		msg = next(p);
	}
	must(tofu_msg_header(msg)->status, "bad news");
	copy_header(msg, "topic", topic, sizeof topic);
	must(strcmp(topic, p->topic) == 0 ? TOFU_OK : TOFU_INVALID_MESSAGE, "not what was asked for");
	memcpy(&number, tofu_msg_body(msg, &len), sizeof number);
	must(len == PAGE ? TOFU_OK : TOFU_INVALID_BODY_LEN, "not whole");
	tofu_msg_put(&msg);
	return number;
}

static void expect_news(struct party *p, int number)
{
	must(read_news(p) == number ? TOFU_OK : TOFU_INVALID_MESSAGE, "one is missing");
}

/* Good morning: everything that was sent is here, in order. */
static void wake(struct party *p, const struct subscription *s)
{
	int last = -1;

	for (int i = 0; i < s->sent; i++) {
		int number = read_news(p);

		must(number > last ? TOFU_OK : TOFU_INVALID_MESSAGE, "out of order");
		last = number;
	}
}

int main(void)
{
	static const char *const topics[SUBSCRIBERS] = { "weather", "weather", "traffic", "weather" };
	char address[64];

	must(tofu_init(), "cannot start");
	open_party(&publisher, "");
	listen_anywhere(address, sizeof address);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		open_party(&subscribers[i], topics[i]);
		subscribe(&subscribers[i], address);
		accept_subscription(&subscriptions[i]);
		wait_for_answer(&subscribers[i]);
	}
	/* However much fits into the buffers of a system, at some time they are full. */
	for (int round = 0; subscriptions[SLEEPER].missed < MISSED; round++) {
		publish("weather", round);
		publish("traffic", round);
		for (int i = 0; i < READERS; i++)
			expect_news(&subscribers[i], round);
	}
	wake(&subscribers[SLEEPER], &subscriptions[SLEEPER]);
	for (int i = 0; i < SUBSCRIBERS; i++)
		printf("subscriber %d, %s: got %d, missed %d\n", i, topics[i], subscriptions[i].sent,
		       subscriptions[i].missed);

	for (int i = 0; i < SUBSCRIBERS; i++)
		close_party(&subscribers[i]);
	close_party(&publisher);
	tofu_deinit();
}
