/* SPDX-License-Identifier: MIT */

/*
 * TLS: "tls|HOST|PORT", over another transport, which is TCP unless the options say otherwise.
 *
 * Whatever concerns addresses, listeners and sockets is that transport's, and asked of it with its own table. A link's state
 * is a struct tofu_tls_link, which has the link below in it; its handle is the one that the engine waits on. A caller's handshake
 * belongs to connect_finish. That of a peer that called happens while it is received from, so that accept never waits for it.
 */

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include <tofu/tcp.h>
#include <tofu/tls.h>

#include "transport_tls/context.h"
#include "transport_tls/instance.h"
#include "transport_tls/link.h"
#include "transport_tls/peer.h"
#include "transport_tls/sessions.h"

static const struct tofu_transport *over(const struct tofu_transport *t)
{
	return tofu_tls_instance(t)->over;
}

/* An operation that has not got this far has made no state, and is not asked for. */
static struct tofu_tls_link *state_of(const struct tofu_link *link)
{
	return link->state;
}

static struct tofu_link *below(const struct tofu_link *link)
{
	return &state_of(link)->below;
}

/* The same link again, if it is called again. NULL: no memory. */
static struct tofu_tls_link *need_state(const struct tofu_transport *t, struct tofu_link *link, const char *called)
{
	if (link->state == NULL)
		link->state = tofu_tls_link_new(tofu_tls_instance(t), called);
	return link->state;
}

/* --- addresses --- */

static enum tofu_status tls_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                    int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	return over(t)->resolve(over(t), rest, purpose, may_block, out, capacity, count);
}

static enum tofu_status tls_complete(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     char *out, size_t capacity)
{
	return over(t)->complete(over(t), rest, purpose, out, capacity);
}

/* Put our scheme in the place of the other one. */
static enum tofu_status rename_scheme(const struct tofu_transport *t, char *address, size_t capacity)
{
	const char *rest = strchr(address, '|');
	size_t scheme = strlen(t->scheme);

	if (rest == NULL || scheme + strlen(rest) >= capacity)
		return TOFU_INVALID_ADDRESS;
	memmove(address + scheme, rest, strlen(rest) + 1);
	memcpy(address, t->scheme, scheme);
	return TOFU_OK;
}

static enum tofu_status tls_local_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                          size_t capacity)
{
	enum tofu_status status = over(t)->local_address(over(t), below(link), out, capacity);

	return status == TOFU_OK ? rename_scheme(t, out, capacity) : status;
}

static enum tofu_status tls_peer_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                         size_t capacity)
{
	const char *noted = state_of(link)->peer;
	enum tofu_status status = TOFU_OK;

	if (noted == NULL)
		status = over(t)->peer_address(over(t), below(link), out, capacity);
	else if ((size_t)snprintf(out, capacity, "%s", noted) >= capacity)
		status = TOFU_INVALID_ADDRESS;
	return status == TOFU_OK ? rename_scheme(t, out, capacity) : status;
}

/* --- listening --- */

/* Who has no certificate could not answer anybody. */
static bool may_listen(const struct tofu_transport *t)
{
	return SSL_CTX_get0_certificate(tofu_tls_instance(t)->context) != NULL;
}

static enum tofu_status tls_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                   const struct tofu_sockaddr *at)
{
	struct tofu_tls_link *l;
	enum tofu_status status;

	if (!may_listen(t))
		return TOFU_NOT_ALLOWED;
	l = need_state(t, listener, "");
	if (l == NULL)
		return TOFU_ALLOCATION_FAILED;
	status = over(t)->listen(over(t), &l->below, at);
	listener->handle = l->below.handle;
	return status;
}

/* Nothing is left in listeners[0..count-1]. */
static void drop_all(const struct tofu_transport *t, struct tofu_link *listeners, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		t->close(t, &listeners[i], TOFU_CLOSE_ORDERLY);
		listeners[i] = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	}
}

/* Give each of what is open below a state; those that get none are closed. */
static enum tofu_status wrap_all(const struct tofu_transport *t, struct tofu_link *listeners, struct tofu_link *opened,
                                 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tofu_tls_link *l = need_state(t, &listeners[i], "");

		if (l == NULL) {
			for (size_t left = i; left < count; left++)
				over(t)->close(over(t), &opened[left], TOFU_CLOSE_ORDERLY);
			drop_all(t, listeners, i);
			return TOFU_ALLOCATION_FAILED;
		}
		l->below = opened[i];
		listeners[i].handle = opened[i].handle;
	}
	return TOFU_OK;
}

static enum tofu_status tls_listen_all(const struct tofu_transport *t, struct tofu_link *listeners,
                                       const struct tofu_sockaddr *at, size_t count, size_t *opened)
{
	struct tofu_link links[TOFU_ADDRESSES_MAX];
	enum tofu_status status;

	*opened = 0;
	if (!may_listen(t))
		return TOFU_NOT_ALLOWED;
	if (count > TOFU_ADDRESSES_MAX)
		count = TOFU_ADDRESSES_MAX;
	for (size_t i = 0; i < count; i++)
		links[i] = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	status = over(t)->listen_all(over(t), links, at, count, opened);
	if (status == TOFU_OK)
		status = wrap_all(t, listeners, links, *opened);
	if (status != TOFU_OK)
		*opened = 0;
	return status;
}

/* What is below has been accepted, or was refused: then its address is asked for, and TLS is not begun. */
static enum tofu_status wrap_accepted(const struct tofu_transport *t, struct tofu_link *link, struct tofu_link accepted,
                                      enum tofu_status status)
{
	struct tofu_tls_link *l = need_state(t, link, "");

	if (l == NULL) {
		over(t)->close(over(t), &accepted, TOFU_CLOSE_ABORT);
		return TOFU_LIMIT_REACHED;
	}
	l->below = accepted;
	l->connected = true;
	link->handle = accepted.handle;
	if (status == TOFU_OK && !tofu_tls_link_begin(l, false))
		return TOFU_LIMIT_REACHED;
	return status;
}

static enum tofu_status tls_accept(const struct tofu_transport *t, struct tofu_link *listener, struct tofu_link *link)
{
	struct tofu_link accepted = { .handle = TOFU_NO_SOCKET };
	enum tofu_status status = over(t)->accept(over(t), below(listener), &accepted);

	if (accepted.handle == TOFU_NO_SOCKET && accepted.state == NULL)
		return status;
	return wrap_accepted(t, link, accepted, status);
}

/* --- calling --- */

static enum tofu_status tls_connect_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                          const struct tofu_sockaddr *to, unsigned *want)
{
	struct tofu_tls_link *l = need_state(t, link, rest);
	enum tofu_status status;

	if (l == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (l->ssl == NULL && !tofu_tls_link_begin(l, true))
		return l->fault != NULL ? TOFU_NOT_ALLOWED : TOFU_ALLOCATION_FAILED;
	status = over(t)->connect_start(over(t), &l->below, rest, to, want);
	link->handle = l->below.handle;
	if (status != TOFU_OK)
		return status;
	l->connected = true;
	status = tofu_tls_handshake(l, want);
	if (status == TOFU_WOULD_BLOCK && *want == 0) /* it has begun: connect_finish is to go on */
		*want = TOFU_WRITABLE;
	return status;
}

static enum tofu_status tls_connect_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	struct tofu_tls_link *l = state_of(link);

	if (!l->connected) {
		enum tofu_status status = over(t)->connect_finish(over(t), &l->below, want);

		if (status != TOFU_OK)
			return status;
		l->connected = true;
	}
	return tofu_tls_handshake(l, want);
}

/* --- bytes --- */

static enum tofu_status tls_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                 size_t count, size_t *done, unsigned *want)
{
	return tofu_tls_send(state_of(link), iov, count, done, want);
}

static enum tofu_status tls_receive(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                    size_t count, size_t *done, unsigned *want)
{
	return tofu_tls_receive(state_of(link), iov, count, done, want);
}

static enum tofu_status tls_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	return tofu_tls_shutdown(state_of(link), want);
}

static void tls_acknowledge(const struct tofu_transport *t, struct tofu_link *link)
{
	over(t)->acknowledge(over(t), below(link));
}

static size_t tls_peer_key(const struct tofu_transport *t, const struct tofu_link *link, unsigned char *key,
                           size_t capacity)
{
	return over(t)->peer_key(over(t), below(link), key, capacity);
}

static enum tofu_status tls_look(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
                                 int *settled)
{
	return over(t)->look(over(t), below(link), waited_ms, settled);
}

static void tls_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	struct tofu_tls_link *l = state_of(link);

	if (l == NULL)
		return;
	if (how == TOFU_CLOSE_ORDERLY)
		tofu_tls_part(l);
	if (l->below.handle != TOFU_NO_SOCKET || l->below.state != NULL)
		over(t)->close(over(t), &l->below, how);
	tofu_tls_link_free(l);
	*link = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
}

/* --- what is known of a link --- */

static void tls_identify(const struct tofu_transport *t, const struct tofu_link *link, struct tofu_identity *out)
{
	if (over(t)->identify != NULL)
		over(t)->identify(over(t), below(link), out);
	tofu_tls_describe_peer(state_of(link), out->text, sizeof out->text);
}

static const char *tls_explain(const struct tofu_transport *t, const struct tofu_link *link)
{
	const struct tofu_tls_link *l = state_of(link);

	if (l != NULL && l->fault == NULL && over(t)->explain != NULL)
		return over(t)->explain(over(t), &l->below);
	return l != NULL ? l->fault : NULL;
}

/* --- instances --- */

static const struct tofu_transport table = {
	.abi = TOFU_TRANSPORT_ABI,
	.scheme = "tls",
	.resolve = tls_resolve,
	.listen = tls_listen,
	.accept = tls_accept,
	.connect_start = tls_connect_start,
	.connect_finish = tls_connect_finish,
	.send = tls_send,
	.receive = tls_receive,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.local_address = tls_local_address,
	.identify = tls_identify,
	.explain = tls_explain,
};

/* What the transport below cannot do, or need not be asked, is not offered. A URL has our scheme, not its other name. */
static void offer(struct tofu_transport *t, const struct tofu_transport *lower)
{
	t->peer_address = lower->peer_address != NULL ? tls_peer_address : NULL;
	t->listen_all = lower->listen_all != NULL ? tls_listen_all : NULL;
	t->acknowledge = lower->acknowledge != NULL ? tls_acknowledge : NULL;
	t->complete = lower->complete != NULL ? tls_complete : NULL;
	t->look = lower->look != NULL ? tls_look : NULL;
	t->look_ms = lower->look_ms;
	t->peer_key = lower->peer_key != NULL ? tls_peer_key : NULL;
	t->form = lower->form;
}

static void end(void *config)
{
	struct tofu_tls_instance *i = config;

	SSL_CTX_free(i->context);
	BIO_meth_free(i->bio);
	tofu_tls_sessions_free(i->sessions);
	OPENSSL_free(i->name);
	if (i->over != NULL && i->over->release != NULL)
		i->over->release(i->over);
}

static enum tofu_status wrong(const struct tofu_tls_options *o, const char *what)
{
	if (o->error != NULL && o->error_capacity > 0)
		(void)snprintf(o->error, o->error_capacity, "%s", what);
	return TOFU_NOT_ALLOWED;
}

static uint32_t verify_or(uint32_t asked, uint32_t otherwise)
{
	return asked != TOFU_TLS_VERIFY_DEFAULT ? asked : otherwise;
}

static enum tofu_status fill(struct tofu_tls_instance *i, const struct tofu_tls_options *o)
{
	i->over = o->over != NULL ? o->over : tofu_tcp();
	if (i->over->hold != NULL)
		i->over->hold(i->over);
	i->verify_server = verify_or(o->verify_server, TOFU_TLS_VERIFY_REQUIRED);
	i->verify_client = verify_or(o->verify_client, TOFU_TLS_VERIFY_NONE);
	if (i->verify_server > TOFU_TLS_VERIFY_REQUIRED || i->verify_client > TOFU_TLS_VERIFY_REQUIRED)
		return wrong(o, "verify_server, verify_client: no value of enum tofu_tls_verify");
	i->pinned = o->fingerprint != NULL;
	if (i->pinned && !tofu_tls_read_fingerprint(o->fingerprint, i->fingerprint))
		return wrong(o, "fingerprint: 64 hexadecimal digits are needed");
	i->name = o->name != NULL ? OPENSSL_strdup(o->name) : NULL;
	i->bio = tofu_tls_bio_new();
	i->sessions = o->no_resumption ? NULL : tofu_tls_sessions_new();
	if (i->bio == NULL || (o->name != NULL && i->name == NULL) || (!o->no_resumption && i->sessions == NULL))
		return TOFU_ALLOCATION_FAILED;
	return tofu_tls_context_new(i, o);
}

void tofu_tls_options_init(struct tofu_tls_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

enum tofu_status tofu_tls_create(const struct tofu_tls_options *options, struct tofu_transport **out)
{
	struct tofu_tls_options o;
	enum tofu_status status;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	status = tofu_options_take(options, &o, sizeof o);
	if (status != TOFU_OK)
		return status;
	if (o.error != NULL && o.error_capacity > 0)
		o.error[0] = '\0';
	if (o.over != NULL && o.over->abi != TOFU_TRANSPORT_ABI)
		return TOFU_NOT_SUPPORTED;
	status = tofu_transport_create(&table, o.scheme, sizeof(struct tofu_tls_instance), end, out);
	if (status != TOFU_OK)
		return status;
	status = fill((*out)->config, &o);
	if (status == TOFU_OK) {
		offer(*out, tofu_tls_instance(*out)->over);
	} else {
		tofu_transport_destroy(*out);
		*out = NULL;
	}
	return status;
}
