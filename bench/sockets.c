/* SPDX-License-Identifier: MIT */

#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int tofu_bench_checked(int result, const char *what)
{
	if (result < 0)
		tofu_bench_die("%s: %s", what, strerror(errno));
	return result;
}

static void no_delay(const struct bench_options *o, int fd)
{
	int on = 1;

	if (o->transport != BENCH_UDS)
		(void)tofu_bench_checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static int open_socket(int family)
{
	return tofu_bench_checked(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
}

static int listen_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	int fd = open_socket(AF_INET);
	char text[40];

	(void)tofu_bench_checked(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	(void)tofu_bench_checked(listen(fd, 4096), "listen");
	(void)tofu_bench_checked(getsockname(fd, (struct sockaddr *)&at, &length), "getsockname");
	(void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
	tofu_bench_listening(text);
	return fd;
}

static int listen_unix(const struct bench_options *o)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = open_socket(AF_UNIX);
	char text[120];

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", o->path);
	(void)tofu_bench_checked(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	(void)tofu_bench_checked(listen(fd, 4096), "listen");
	(void)snprintf(text, sizeof text, "unix://%s", o->path);
	tofu_bench_listening(text);
	return fd;
}

int tofu_bench_listen(const struct bench_options *o)
{
	return o->transport == BENCH_UDS ? listen_unix(o) : listen_tcp();
}

int tofu_bench_accept(const struct bench_options *o, int listener)
{
	int fd = tofu_bench_checked(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");

	no_delay(o, fd);
	return fd;
}

static int connect_tcp(const char *to)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = open_socket(AF_INET);

	at.sin_port = htons((uint16_t)atoi(strrchr(to, ':') + 1));
	(void)tofu_bench_checked(connect(fd, (struct sockaddr *)&at, sizeof at), "connect");
	return fd;
}

static int connect_unix(const char *to)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = open_socket(AF_UNIX);

	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s", strchr(to, '/') + 2);
	(void)tofu_bench_checked(connect(fd, (struct sockaddr *)&at, sizeof at), "connect");
	return fd;
}

int tofu_bench_connect(const struct bench_options *o)
{
	bool local = o->transport == BENCH_UDS;
	int fd;

	if (strncmp(o->to, local ? "unix://" : "tcp://", local ? 7 : 6) != 0)
		tofu_bench_die("'%s' is not an address of this transport", o->to);
	fd = (local ? connect_unix : connect_tcp)(o->to);
	no_delay(o, fd);
	return fd;
}

size_t tofu_bench_frame(const struct bench_options *o, unsigned char *out)
{
	memcpy(out, &o->size, BENCH_HEADER);
	memcpy(out + BENCH_HEADER, tofu_bench_body(), o->size);
	return BENCH_HEADER + o->size;
}

void tofu_bench_check_frame(const struct bench_options *o, const unsigned char *at)
{
	uint32_t size = 0;

	memcpy(&size, at, BENCH_HEADER);
	if (size != o->size)
		tofu_bench_die("a frame of %u bytes", (unsigned)size);
}
