/* SPDX-License-Identifier: MIT */
/* What sockets can do on Linux alone. */

#include <tofu/transport.h>

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* An acknowledgement that waits is sent. The option does not stay: the system soon delays again. */
void tofu_socket_acknowledge(intptr_t socket)
{
	const int now = 1;

	if (socket > 0 && socket <= INT_MAX) /* where it fails there is no connection, and receiving will say so */
		(void)setsockopt((int)socket, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
}
