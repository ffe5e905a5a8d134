/* SPDX-License-Identifier: MIT */

/*
 * What there is to know of one channel. The thread that asks takes the engine's turn for it, so that what it reads belongs together,
 * and the channel cannot become another one meanwhile. It is asked seldom: addresses and the identity of the peer are the
 * transport's to tell, and are kept nowhere.
 */

#include <string.h>

#include "reactor/engine.h"
#include "reactor/group.h"

/* The channel, if it has not ended. With the turn. */
static enum tofu_status find(struct tofu_engine *e, const struct tofu_group *g, uint16_t number, struct tofu_chan **out)
{
	struct tofu_chan *c = tofu_registry_find(&e->registry, number);

	*out = c;
	if (c == NULL || tofu_gate_number(atomic_load(&c->gate)) != number)
		return tofu_registry_has_ended(&e->registry, number) ? TOFU_CHANNEL_CLOSED
		                                                     : TOFU_INVALID_CHANNEL_NUMBER;
	return tofu_chan_group(c) == g ? TOFU_OK : TOFU_INVALID_MCHN_GROUP;
}

static enum tofu_channel_state state_of(const struct tofu_chan *c)
{
	switch (c->state) {
	case TOFU_CHAN_NEW:
	case TOFU_CHAN_RESOLVING:
		return TOFU_CHANNEL_RESOLVING;
	case TOFU_CHAN_CONNECTING:
		return TOFU_CHANNEL_CONNECTING;
	case TOFU_CHAN_LISTENING:
		return TOFU_CHANNEL_LISTENING;
	case TOFU_CHAN_ACCEPTED: /* nobody has its number */
	case TOFU_CHAN_OPEN:
		return TOFU_CHANNEL_OPEN;
	case TOFU_CHAN_LEAVING:
	case TOFU_CHAN_LINGERING:
	case TOFU_CHAN_HALF_CLOSED:
	case TOFU_CHAN_PARTED:
	case TOFU_CHAN_CLOSING:
	case TOFU_CHAN_CLOSED:
		break;
	}
	return TOFU_CHANNEL_CLOSING;
}

static void ask_transport(const struct tofu_reactor *r, const struct tofu_chan *c, struct tofu_channel_info *info)
{
	struct tofu_identity who = { .uid = -1, .gid = -1, .pid = -1 };
	const struct tofu_transport *t = c->transport;

	if (t->local_address(t, &c->link, info->local, sizeof info->local) != TOFU_OK)
		info->local[0] = '\0';
	if (c->state == TOFU_CHAN_LISTENING)
		return;
	tofu_chan_peer(r, c, info->peer, sizeof info->peer);
	if (t->identify != NULL)
		t->identify(t, &c->link, &who);
	info->uid = who.uid;
	info->gid = who.gid;
	info->pid = who.pid;
	memcpy(info->identity, who.text, sizeof info->identity);
}

static void count_traffic(const struct tofu_chan *c, int64_t now_ns, struct tofu_channel_info *info)
{
	info->messages_sent = c->messages_sent;
	info->messages_received = c->messages_received;
	info->bytes_sent = c->bytes_sent;
	info->bytes_received = c->bytes_received;
	if (c->bytes_sent > 0)
		info->sent_ago_ns = now_ns - c->sent_ns;
	if (c->bytes_received > 0)
		info->received_ago_ns = now_ns - c->received_ns;
}

static void fill_in(const struct tofu_reactor *r, struct tofu_chan *c, struct tofu_channel_info *info)
{
	int64_t now_ns = tofu_plat_now_ns();
	uint64_t gate = atomic_load(&c->gate);

	info->state = state_of(c);
	info->messages_queued = tofu_gate_messages(gate);
	info->bytes_queued = tofu_gate_bytes(gate);
	info->messages_held = tofu_share_is_open(&c->share) ? tofu_share_look(&c->share) : 0;
	if (c->opened_ns != 0)
		info->opened_ago_ns = now_ns - c->opened_ns;
	if (c->connected)
		count_traffic(c, now_ns, info);
	if (c->opened_ns != 0 && c->link.handle != TOFU_NO_SOCKET)
		ask_transport(r, c, info);
}

enum tofu_status tofu_channel_inspect(tofu_group *g, uint16_t channel, struct tofu_channel_info *info)
{
	struct tofu_channel_info all = {
		.uid = -1, .gid = -1, .pid = -1, .opened_ago_ns = -1, .sent_ago_ns = -1, .received_ago_ns = -1
	};
	struct tofu_engine *e;
	struct tofu_chan *c;
	enum tofu_status status;

	if (!tofu_group_is_of_this_process(g) || info == NULL || info->size < sizeof info->size)
		return TOFU_NOT_ALLOWED;
	status = tofu_group_engine_in_use(g, &e);
	if (status != TOFU_OK)
		return status;
	tofu_reactor_hold_turn(&e->reactor);
	status = find(e, g, channel, &c);
	if (status == TOFU_OK)
		fill_in(&e->reactor, c, &all);
	tofu_reactor_give_turn_back(&e->reactor);
	if (status != TOFU_OK)
		return status;
	all.size = info->size < sizeof all ? info->size : sizeof all;
	memcpy(info, &all, all.size);
	return TOFU_OK;
}
