/* SPDX-License-Identifier: MIT */

#include "reactor/admission.h"

#include <stdlib.h>
#include <string.h>

#include "reactor/engine.h"

enum { BUCKETS = 1024, KEY_MAX = 16 };

/* One that has connections. */
struct tofu_peer {
	struct tofu_peer *next;
	uint32_t connections;
	uint32_t key_len;
	unsigned char key[KEY_MAX];
};

enum tofu_status tofu_admission_init(struct tofu_reactor *r)
{
	if (r->engine->options.peer_connections_max == 0)
		return TOFU_OK;
	r->peers.buckets = calloc(BUCKETS, sizeof(struct tofu_peer *));
	r->peers.seed = (uint64_t)(uintptr_t)r->peers.buckets ^ (uint64_t)tofu_plat_now_ns();
	return r->peers.buckets != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

void tofu_admission_fini(struct tofu_reactor *r)
{
	for (size_t i = 0; r->peers.buckets != NULL && i < BUCKETS; i++) {
		struct tofu_peer *next;

		for (struct tofu_peer *p = r->peers.buckets[i]; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
	}
	free(r->peers.buckets);
	r->peers.buckets = NULL;
}

/* FNV-1a, from a start that a peer does not know. */
static struct tofu_peer **bucket_of(const struct tofu_peers *peers, const unsigned char *key, size_t len)
{
	uint64_t hash = peers->seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ key[i]) * UINT64_C(0x100000001b3);
	return &peers->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static struct tofu_peer *find_or_add(const struct tofu_peers *peers, const unsigned char *key, size_t len)
{
	struct tofu_peer **bucket = bucket_of(peers, key, len);
	struct tofu_peer *p = *bucket;

	while (p != NULL && (p->key_len != len || memcmp(p->key, key, len) != 0))
		p = p->next;
	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	memcpy(p->key, key, len);
	p->key_len = (uint32_t)len;
	p->next = *bucket;
	*bucket = p;
	return p;
}

static void forget(const struct tofu_peers *peers, struct tofu_peer *p)
{
	struct tofu_peer **at = bucket_of(peers, p->key, p->key_len);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	free(p);
}

/* Beyond its bound it is refused, and not counted. */
static enum tofu_status count_peer(struct tofu_reactor *r, struct tofu_chan *c)
{
	unsigned char key[KEY_MAX];
	struct tofu_peer *p;
	size_t len;

	if (r->peers.buckets == NULL || c->transport->peer_key == NULL)
		return TOFU_OK;
	len = c->transport->peer_key(c->transport, &c->link, key, sizeof key);
	if (len == 0 || len > sizeof key)
		return TOFU_OK;
	p = find_or_add(&r->peers, key, len);
	if (p == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (p->connections >= r->engine->options.peer_connections_max)
		return TOFU_PERMISSION_DENIED;
	p->connections++;
	c->peer = p;
	return TOFU_OK;
}

enum tofu_status tofu_admission_enter(struct tofu_reactor *r, struct tofu_chan *c)
{
	enum tofu_status status = count_peer(r, c);

	if (status != TOFU_OK)
		return status;
	c->opened_ns = r->now_ns;
	tofu_list_append(&r->unheard, &c->unheard);
	return TOFU_OK;
}

void tofu_admission_heard(struct tofu_chan *c)
{
	tofu_list_remove(&c->unheard);
}

void tofu_admission_leave(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (!c->session.called)
		return;
	if (c->state <= TOFU_CHAN_ACCEPTED)
		tofu_list_remove(&c->unheard);
	if (c->peer != NULL && --c->peer->connections == 0)
		forget(&r->peers, c->peer);
	c->peer = NULL;
}

/* An episode is over when nothing of the kind has happened for TOFU_CALM_MS. */
static bool begins_episode(const struct tofu_reactor *r, int64_t *last_ns)
{
	bool begins = *last_ns == 0 || r->now_ns - *last_ns >= TOFU_CALM_MS * TOFU_NS_PER_MS;

	*last_ns = r->now_ns;
	return begins;
}

void tofu_admission_refuse(struct tofu_reactor *r, const struct tofu_chan *listener, const struct tofu_chan *c)
{
	char peer[TOFU_ADDRESS_MAX + 1];

	tofu_count(&r->counters.callers_refused, 1);
	if (!begins_episode(r, &r->refused_ns) || r->engine->options.log == NULL)
		return;
	tofu_chan_peer(r, c, peer, sizeof peer);
	tofu_reactor_log(r, TOFU_LOG_WARNING, "channel %u: callers are refused, %s is the first", listener->number,
	                 peer);
}

bool tofu_admission_make_room(struct tofu_reactor *r)
{
	struct tofu_chan *oldest = TOFU_LIST_OWNER(r->unheard.next, struct tofu_chan, unheard);

	if (tofu_list_empty(&r->unheard) || r->now_ns - oldest->opened_ns < TOFU_GRACE_MS * TOFU_NS_PER_MS)
		return false;
	tofu_count(&r->counters.callers_displaced, 1);
	if (begins_episode(r, &r->displaced_ns))
		tofu_reactor_log(r, TOFU_LOG_WARNING,
		                 "channel %u: callers that have not said hello make room for others, the oldest first",
		                 oldest->number);
	tofu_chan_abort(r, oldest, TOFU_LIMIT_REACHED);
	return true;
}

bool tofu_admission_has_room(const struct tofu_reactor *r)
{
	uint64_t unheard = atomic_load_explicit(&r->counters.channels[TOFU_CHAN_ACCEPTED], memory_order_relaxed);

	return unheard < r->engine->options.unheard_max;
}
