/* SPDX-License-Identifier: MIT */

/* How an engine is made: every option has its value here, defaults included. */

#include "reactor/options.h"

#include <tofu/transport.h>

#include "reactor/engine.h"

void tofu_options_init(struct tofu_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

static bool fill_in(uint32_t *field, uint32_t otherwise, uint32_t most)
{
	if (*field == 0)
		*field = otherwise;
	return *field <= most;
}

enum tofu_status tofu_options_effective(const struct tofu_options *from, struct tofu_options *o)
{
	enum tofu_status status = tofu_options_take(from, o, sizeof *o);
	bool valid;

	if (status != TOFU_OK)
		return status;
	valid = o->io == TOFU_IO_THREAD || o->io == TOFU_IO_CALLER || o->io == TOFU_IO_THREAD_ONLY;
	valid = fill_in(&o->pool_initial, 1024, 1u << 20) && valid;
	valid = fill_in(&o->pool_max, 4096, 1u << 20) && valid;
	valid = fill_in(&o->max_channels, TOFU_CHANNEL_MAX, TOFU_CHANNEL_MAX) && valid;
	valid = fill_in(&o->send_queue_max, 1024, TOFU_GATE_MESSAGES_MAX) && valid;
	valid = fill_in(&o->handshake_timeout_ms, 10000, UINT32_MAX) && valid;
	valid = fill_in(&o->channel_share_percent, 100, 100000) && valid;
	valid = fill_in(&o->bye_timeout_ms, o->handshake_timeout_ms, UINT32_MAX) && valid;
	valid = fill_in(&o->unheard_max, TOFU_CHANNEL_MAX, UINT32_MAX) && valid;
	if (o->send_queue_max_bytes == 0)
		o->send_queue_max_bytes = 8u << 20;
	valid = o->send_queue_max_bytes <= TOFU_GATE_BYTES_MAX && valid;
	if (o->pool_max < o->pool_initial)
		o->pool_max = o->pool_initial;
	return valid ? TOFU_OK : TOFU_NOT_ALLOWED;
}
