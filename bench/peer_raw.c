/* SPDX-License-Identifier: MIT */

/*
 * The floor: the same works with nothing but sockets. A frame is four bytes of length and the body. One way, every
 * body is made anew, as everybody has to; small frames are made side by side and written in blocks, big ones are
 * gathered by the system call; the receiver reads blocks and looks at every frame. Round trips block in read and
 * write, one call each; where there are many connections, epoll says which one is ready. The frames of round trips are
 * taken to come whole but for a short read, which is gone on with.
 */

#include "lib.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER = 4, BLOCK = 256 * 1024, BIG = 8 * 1024, GATHER = 4, EVENTS = 256 };

static unsigned char block[BLOCK];
static unsigned char frame[HEADER + 65536];

static int checked(int result, const char *what)
{
	if (result < 0)
		tofu_bench_die("%s: %s", what, strerror(errno));
	return result;
}

/* sockets */

static void no_delay(const struct bench_options *o, int fd)
{
	int on = 1;

	if (o->transport == BENCH_TCP)
		(void)checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static int open_socket(const struct bench_options *o)
{
	return checked(socket(o->transport == BENCH_TCP ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
}

static int listen_tcp(const struct bench_options *o)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	int fd = open_socket(o);
	char text[40];

	(void)checked(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	(void)checked(listen(fd, 4096), "listen");
	(void)checked(getsockname(fd, (struct sockaddr *)&at, &length), "getsockname");
	(void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
	tofu_bench_listening(text);
	return fd;
}

static int listen_unix(const struct bench_options *o)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = open_socket(o);
	char text[120];

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", o->path);
	(void)checked(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	(void)checked(listen(fd, 4096), "listen");
	(void)snprintf(text, sizeof text, "unix://%s", o->path);
	tofu_bench_listening(text);
	return fd;
}

static int listen_on(const struct bench_options *o)
{
	return o->transport == BENCH_TCP ? listen_tcp(o) : listen_unix(o);
}

static int accept_one(const struct bench_options *o, int listener)
{
	int fd = checked(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");

	no_delay(o, fd);
	return fd;
}

static int connect_to(const struct bench_options *o)
{
	struct sockaddr_in inet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	const char *port = strrchr(o->to, ':');
	int fd = open_socket(o);

	if (o->transport == BENCH_TCP && strncmp(o->to, "tcp://", 6) == 0) {
		inet.sin_port = htons((uint16_t)atoi(port + 1));
		(void)checked(connect(fd, (struct sockaddr *)&inet, sizeof inet), "connect");
	} else if (o->transport == BENCH_UDS && strncmp(o->to, "unix://", 7) == 0) {
		(void)snprintf(local.sun_path, sizeof local.sun_path, "%s", o->to + 7);
		(void)checked(connect(fd, (struct sockaddr *)&local, sizeof local), "connect");
	} else {
		tofu_bench_die("'%s' is not an address of this transport", o->to);
	}
	no_delay(o, fd);
	return fd;
}

static void write_whole(int fd, const unsigned char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		(void)checked((int)sent, "send");
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* False: the peer is gone, between two frames. */
static bool read_whole(int fd, unsigned char *bytes, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = recv(fd, bytes + have, n - have, 0);

		(void)checked((int)got, "recv");
		if (got == 0 && have == 0)
			return false;
		if (got == 0)
			tofu_bench_die("the connection ended within a frame");
		have += (size_t)got;
	}
	return true;
}

/* frames */

static size_t frame_make(const struct bench_options *o, unsigned char *out)
{
	memcpy(out, &o->size, HEADER);
	memcpy(out + HEADER, tofu_bench_body(), o->size);
	return HEADER + o->size;
}

static void frame_check(const struct bench_options *o, const unsigned char *at)
{
	uint32_t size = 0;

	memcpy(&size, at, HEADER);
	if (size != o->size)
		tofu_bench_die("a frame of %u bytes", (unsigned)size);
}

static void round_trip(const struct bench_options *o, int fd, size_t n)
{
	write_whole(fd, frame, n);
	if (!read_whole(fd, frame, n))
		tofu_bench_die("the server is gone");
	frame_check(o, frame);
}

/* One frame back to where it came from. False: the peer is gone. */
static bool echo(const struct bench_options *o, int fd)
{
	if (!read_whole(fd, frame, HEADER + o->size))
		return false;
	frame_check(o, frame);
	write_whole(fd, frame, HEADER + o->size);
	return true;
}

/* throughput */

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	int fd = accept_one(o, listen_on(o));
	size_t whole = HEADER + o->size;
	size_t have = 0;
	uint64_t seen = 0;

	while (seen < o->count) {
		ssize_t got = recv(fd, block + have, BLOCK - have, 0);
		size_t at = 0;

		if (checked((int)got, "recv") == 0)
			tofu_bench_die("only %llu messages came", (unsigned long long)seen);
		have += (size_t)got;
		for (; have - at >= whole; at += whole) {
			frame_check(o, block + at);
			if (++seen == 1)
				tofu_bench_begin(r);
		}
		have -= at;
		memmove(block, block + at, have);
	}
	tofu_bench_end(r, seen - 1);
	if (have != 0 || seen != o->count)
		tofu_bench_die("more came than was sent");
	(void)close(fd);
}

/* Frame after frame is laid into the block; a full one is written. */
static void send_small(const struct bench_options *o, int fd)
{
	const unsigned char *body = tofu_bench_body();
	size_t whole = HEADER + o->size;
	size_t fill = 0;

	for (uint64_t i = 0; i < o->count; i++) {
		if (fill + whole > BLOCK / 4) {
			write_whole(fd, block, fill);
			fill = 0;
		}
		memcpy(block + fill, &o->size, HEADER);
		memcpy(block + fill + HEADER, body, o->size);
		fill += whole;
	}
	write_whole(fd, block, fill);
}

static void write_vector(int fd, struct iovec *v, size_t n)
{
	while (n > 0) {
		struct msghdr message = { .msg_iov = v, .msg_iovlen = n };
		ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

		(void)checked((int)sent, "sendmsg");
		for (; n > 0 && (size_t)sent >= v->iov_len; v++, n--)
			sent -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (unsigned char *)v->iov_base + sent;
			v->iov_len -= (size_t)sent;
		}
	}
}

static void send_big(const struct bench_options *o, int fd)
{
	static unsigned char bodies[GATHER][65536];
	static unsigned char header[HEADER];
	const unsigned char *body = tofu_bench_body();
	struct iovec v[2 * GATHER];

	memcpy(header, &o->size, HEADER);
	for (uint64_t i = 0; i < o->count;) {
		size_t n = 0;

		for (; n < GATHER && i < o->count; n++, i++) {
			memcpy(bodies[n], body, o->size);
			v[2 * n] = (struct iovec){ header, HEADER };
			v[2 * n + 1] = (struct iovec){ bodies[n], o->size };
		}
		write_vector(fd, v, 2 * n);
	}
}

static void call_throughput(struct bench_options *o, struct bench_result *r)
{
	int fd = connect_to(o);

	tofu_bench_begin(r);
	(o->size >= BIG ? send_big : send_small)(o, fd);
	tofu_bench_end(r, o->count - 1);
	(void)shutdown(fd, SHUT_WR);
	if (read_whole(fd, frame, 1))
		tofu_bench_die("an answer where none was due");
}

/* latency */

static void serve_latency(struct bench_options *o, struct bench_result *r)
{
	int fd = accept_one(o, listen_on(o));

	for (uint64_t i = 0; i < o->count; i++) {
		if (!echo(o, fd))
			tofu_bench_die("the client is gone");
		if (i == 0)
			tofu_bench_begin(r);
	}
	tofu_bench_end(r, o->count - 1);
}

static void time_round_trips(const struct bench_options *o, struct bench_result *r, int fd, size_t n)
{
	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();

		round_trip(o, fd, n);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static void call_latency(struct bench_options *o, struct bench_result *r)
{
	int fd = connect_to(o);

	time_round_trips(o, r, fd, frame_make(o, frame));
}

/* many connections: one server for parallel, connections and churn */

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	(void)checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void serve_many(struct bench_options *o, struct bench_result *r, uint64_t before, uint64_t total)
{
	struct epoll_event events[EVENTS];
	int listener = listen_on(o);
	int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	uint64_t seen = 0;

	watch(epoll, listener);
	while (seen < total) {
		int n = checked(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait");

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				watch(epoll, accept_one(o, listener));
			} else if (!echo(o, fd)) {
				(void)close(fd);
			} else {
				seen++;
				if (o->work == BENCH_CONNECTIONS)
					tofu_bench_served(o, r, seen);
				else if (seen == before)
					tofu_bench_begin(r);
			}
		}
	}
	if (o->work != BENCH_CONNECTIONS)
		tofu_bench_end(r, total - before);
}

static void serve_parallel(struct bench_options *o, struct bench_result *r)
{
	serve_many(o, r, o->channels, o->channels + o->count);
}

static void serve_connections(struct bench_options *o, struct bench_result *r)
{
	serve_many(o, r, 0, o->count + BENCH_MARKS);
}

static void serve_churn(struct bench_options *o, struct bench_result *r)
{
	serve_many(o, r, 1, o->count);
}

static void call_parallel(struct bench_options *o, struct bench_result *r)
{
	int *fds = calloc(o->channels, sizeof *fds);
	int64_t *sent = calloc(o->channels, sizeof *sent);
	struct epoll_event events[EVENTS];
	int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	size_t whole = frame_make(o, frame);
	uint64_t posted = 0;
	uint64_t answered = 0;

	if (fds == NULL || sent == NULL)
		tofu_bench_die("no memory");
	for (uint32_t i = 0; i < o->channels; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		fds[i] = connect_to(o);
		round_trip(o, fds[i], whole);
		(void)checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), "epoll_ctl");
	}
	tofu_bench_begin(r);
	for (uint32_t i = 0; i < o->channels && posted < o->count; i++, posted++) {
		sent[i] = tofu_bench_now_ns();
		write_whole(fds[i], frame, whole);
	}
	while (answered < o->count) {
		int n = checked(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait");

		/* What comes after the last answer is the end of connections. */
		for (int i = 0; i < n && answered < o->count; i++) {
			uint32_t at = events[i].data.u32;

			if (!read_whole(fds[at], frame, whole))
				tofu_bench_die("the server is gone");
			frame_check(o, frame);
			tofu_bench_add(r, tofu_bench_now_ns() - sent[at]);
			answered++;
			if (posted < o->count) {
				posted++;
				sent[at] = tofu_bench_now_ns();
				write_whole(fds[at], frame, whole);
			}
		}
	}
	tofu_bench_end(r, o->count);
}

static void call_connections(struct bench_options *o, struct bench_result *r)
{
	size_t whole = frame_make(o, frame);
	int fd = connect_to(o);

	round_trip(o, fd, whole);
	tofu_bench_resident_before(r);
	for (uint32_t i = 0; i < o->channels; i++)
		(void)connect_to(o);
	round_trip(o, fd, whole);
	tofu_bench_resident_after(r, o->channels);
	time_round_trips(o, r, fd, whole);
}

static void call_churn(struct bench_options *o, struct bench_result *r)
{
	size_t whole = frame_make(o, frame);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();
		int fd = connect_to(o);

		round_trip(o, fd, whole);
		(void)close(fd);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static const char *version(void)
{
	return "1";
}

int main(int argc, char **argv)
{
	static const struct bench_peer peer = {
		.program = "raw",
		.version = version,
		.serve = { serve_throughput, serve_latency, serve_parallel, serve_connections, serve_churn },
		.call = { call_throughput, call_latency, call_parallel, call_connections, call_churn },
	};

	return tofu_bench_main(argc, argv, &peer);
}
