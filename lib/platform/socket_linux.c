/* SPDX-License-Identifier: MIT */
/* What sockets can do on Linux alone, or do there in a way of their own. */

#include <tofu/transport.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "platform/platform.h"

/* How many probes, and how many attempts to send the same data, go unanswered before a peer is dead: one lost packet is no death. */
enum { PROBES = 5, SENT_AGAIN = 2 };

static int fd_of(intptr_t socket)
{
	return socket > 0 && socket <= INT_MAX ? (int)socket : -1;
}

/* 0 is a process of another pid namespace; ids of all ones are those of nobody, as TCP has them. */
void tofu_socket_identify(intptr_t socket, struct tofu_identity *out)
{
	struct ucred peer = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t len = sizeof peer;

	if (getsockopt(fd_of(socket), SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		peer = (struct ucred){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	out->uid = peer.uid != (uid_t)-1 ? (int64_t)peer.uid : -1;
	out->gid = peer.gid != (gid_t)-1 ? (int64_t)peer.gid : -1;
	out->pid = peer.pid > 0 ? (int64_t)peer.pid : -1;
}

/* An acknowledgement that waits is sent. The option does not stay: the system soon delays again. */
void tofu_socket_acknowledge(intptr_t socket)
{
	const int now = 1;

	/* where it fails there is no connection, and receiving will say so */
	(void)setsockopt(fd_of(socket), IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
}

static bool set_tcp(int fd, int option, uint32_t value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) == 0;
}

/* The first probe after a third of the time, the others in the rest of it. */
enum tofu_status tofu_socket_keepalive(intptr_t socket, uint32_t dead_after_ms)
{
	const uint32_t seconds = dead_after_ms < 1000 ? 1 : dead_after_ms / 1000;
	const uint32_t idle = seconds / 3 > 0 ? seconds / 3 : 1;
	const uint32_t rest = seconds > idle ? seconds - idle : 1;
	const uint32_t probes = rest < PROBES ? rest : PROBES;
	const int on = dead_after_ms != UINT32_MAX;
	const int fd = fd_of(socket);

	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)
		return tofu_plat_status(errno, TOFU_SETSOCKOPT_FAILED);
	if (!on || (set_tcp(fd, TCP_KEEPIDLE, idle) && set_tcp(fd, TCP_KEEPINTVL, rest / probes) &&
	            set_tcp(fd, TCP_KEEPCNT, probes)))
		return TOFU_OK;
	return tofu_plat_status(errno, TOFU_SETSOCKOPT_FAILED);
}

/*
 * TCP_USER_TIMEOUT would not do: it also ends a connection whose peer keeps its window closed but acknowledges every probe. That
 * peer is alive and does not read. While the window is closed nothing is in flight, and only unanswered probes count. The system
 * spaces probes up to two minutes apart, so a peer that dies with a closed window is noticed late.
 */
enum tofu_status tofu_socket_look(intptr_t socket, uint32_t waited_ms, uint32_t dead_after_ms, int *settled)
{
	const int fd = fd_of(socket);
	struct tcp_info info;
	socklen_t len = sizeof info;
	uint32_t silent_ms, again;
	int pending = 0;

	*settled = 1;
	memset(&info, 0, sizeof info);
	if (ioctl(fd, TIOCOUTQ, &pending) != 0 || pending == 0 || dead_after_ms == UINT32_MAX ||
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return TOFU_OK;
	*settled = 0;
	silent_ms = info.tcpi_last_ack_recv < waited_ms ? info.tcpi_last_ack_recv : waited_ms;
	again = info.tcpi_unacked > 0 ? info.tcpi_retransmits : info.tcpi_probes;
	return silent_ms >= dead_after_ms && again >= SENT_AGAIN ? TOFU_PEER_DISCONNECTED : TOFU_OK;
}
