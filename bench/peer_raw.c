/* SPDX-License-Identifier: MIT */

/*
 * The floor: the same works with nothing but sockets. A frame is four bytes of length and the body. One way, every
 * body is made anew, as everybody has to; small frames are made side by side and written in blocks, big ones are
 * gathered by the system call; the receiver reads blocks and looks at every frame. Round trips block in read and
 * write, one call each; where there are many connections, epoll says which one is ready. The frames of round trips are
 * taken to come whole but for a short read, which is gone on with.
 */

#include "sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, BIG = 8 * 1024, GATHER = 4, EVENTS = 256 };

static unsigned char block[BLOCK];
static unsigned char frame[BENCH_FRAME_MAX];

static void write_whole(int fd, const unsigned char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		(void)tofu_bench_checked((int)sent, "send");
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

		(void)tofu_bench_checked((int)got, "recv");
		if (got == 0 && have == 0)
			return false;
		if (got == 0)
			tofu_bench_die("the connection ended within a frame");
		have += (size_t)got;
	}
	return true;
}

/* frames */

static void round_trip(const struct bench_options *o, int fd, size_t n)
{
	write_whole(fd, frame, n);
	if (!read_whole(fd, frame, n))
		tofu_bench_die("the server is gone");
	tofu_bench_check_frame(o, frame);
}

/* One frame back to where it came from. False: the peer is gone. */
static bool echo(const struct bench_options *o, int fd)
{
	if (!read_whole(fd, frame, BENCH_HEADER + o->size))
		return false;
	tofu_bench_check_frame(o, frame);
	write_whole(fd, frame, BENCH_HEADER + o->size);
	return true;
}

/* throughput */

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	int fd = tofu_bench_accept(o, tofu_bench_listen(o));
	size_t whole = BENCH_HEADER + o->size;
	size_t have = 0;
	uint64_t seen = 0;

	while (seen < o->count) {
		ssize_t got = recv(fd, block + have, BLOCK - have, 0);
		size_t at = 0;

		if (tofu_bench_checked((int)got, "recv") == 0)
			tofu_bench_die("only %llu messages came", (unsigned long long)seen);
		have += (size_t)got;
		for (; have - at >= whole; at += whole) {
			tofu_bench_check_frame(o, block + at);
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
	size_t whole = BENCH_HEADER + o->size;
	size_t fill = 0;

	for (uint64_t i = 0; i < o->count; i++) {
		if (fill + whole > BLOCK / 4) {
			write_whole(fd, block, fill);
			fill = 0;
		}
		memcpy(block + fill, &o->size, BENCH_HEADER);
		memcpy(block + fill + BENCH_HEADER, body, o->size);
		fill += whole;
	}
	write_whole(fd, block, fill);
}

static void write_vector(int fd, struct iovec *v, size_t n)
{
	while (n > 0) {
		struct msghdr message = { .msg_iov = v, .msg_iovlen = n };
		ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

		(void)tofu_bench_checked((int)sent, "sendmsg");
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
	static unsigned char header[BENCH_HEADER];
	const unsigned char *body = tofu_bench_body();
	struct iovec v[2 * GATHER];

	memcpy(header, &o->size, BENCH_HEADER);
	for (uint64_t i = 0; i < o->count;) {
		size_t n = 0;

		for (; n < GATHER && i < o->count; n++, i++) {
			memcpy(bodies[n], body, o->size);
			v[2 * n] = (struct iovec){ header, BENCH_HEADER };
			v[2 * n + 1] = (struct iovec){ bodies[n], o->size };
		}
		write_vector(fd, v, 2 * n);
	}
}

static void call_throughput(struct bench_options *o, struct bench_result *r)
{
	int fd = tofu_bench_connect(o);

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
	int fd = tofu_bench_accept(o, tofu_bench_listen(o));

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
	int fd = tofu_bench_connect(o);

	time_round_trips(o, r, fd, tofu_bench_frame(o, frame));
}

/* many connections: one server for parallel, connections and churn */

static void watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	(void)tofu_bench_checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void serve_many(struct bench_options *o, struct bench_result *r, uint64_t before, uint64_t total)
{
	struct epoll_event events[EVENTS];
	int listener = tofu_bench_listen(o);
	int epoll = tofu_bench_checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	uint64_t seen = 0;

	watch(epoll, listener);
	while (seen < total) {
		int n = tofu_bench_checked(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait");

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener) {
				watch(epoll, tofu_bench_accept(o, listener));
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
	int epoll = tofu_bench_checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	size_t whole = tofu_bench_frame(o, frame);
	uint64_t posted = 0;
	uint64_t answered = 0;

	if (fds == NULL || sent == NULL)
		tofu_bench_die("no memory");
	for (uint32_t i = 0; i < o->channels; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		fds[i] = tofu_bench_connect(o);
		round_trip(o, fds[i], whole);
		(void)tofu_bench_checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), "epoll_ctl");
	}
	tofu_bench_begin(r);
	for (uint32_t i = 0; i < o->channels && posted < o->count; i++, posted++) {
		sent[i] = tofu_bench_now_ns();
		write_whole(fds[i], frame, whole);
	}
	while (answered < o->count) {
		int n = tofu_bench_checked(epoll_wait(epoll, events, EVENTS, -1), "epoll_wait");

		/* What comes after the last answer is the end of connections. */
		for (int i = 0; i < n && answered < o->count; i++) {
			uint32_t at = events[i].data.u32;

			if (!read_whole(fds[at], frame, whole))
				tofu_bench_die("the server is gone");
			tofu_bench_check_frame(o, frame);
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
	size_t whole = tofu_bench_frame(o, frame);
	int fd = tofu_bench_connect(o);

	round_trip(o, fd, whole);
	tofu_bench_resident_before(r);
	for (uint32_t i = 0; i < o->channels; i++)
		(void)tofu_bench_connect(o);
	round_trip(o, fd, whole);
	tofu_bench_resident_after(r, o->channels);
	time_round_trips(o, r, fd, whole);
}

static void call_churn(struct bench_options *o, struct bench_result *r)
{
	size_t whole = tofu_bench_frame(o, frame);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();
		int fd = tofu_bench_connect(o);

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
