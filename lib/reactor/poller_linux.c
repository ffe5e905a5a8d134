/* SPDX-License-Identifier: MIT */

/* The backends of a build for Linux. The default is epoll, of which a wait costs the same however much is watched. */

#include "reactor/poller.h"

const struct tofu_poller_ops *const tofu_poller_backends[TOFU_POLLER_KINDS] = {
	[TOFU_POLLER_AUTO] = &tofu_poller_epoll,
	[TOFU_POLLER_POLL] = &tofu_poller_poll,
	[TOFU_POLLER_EPOLL] = &tofu_poller_epoll,
};
