/* SPDX-License-Identifier: MIT */

/* One certificate for both ends, which signs itself. Made once, and kept: engines of any test may have it, and those of the
 * processes that a test starts, which find it in their environment. */

#include "over_tls.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include <tofu/tls.h>

#include "certificates.h"
#include "os.h"
#include "steps.h"
#include "transport_tls/link.h"

enum { LISTENERS = 16 }; /* that may be open at once */

static struct tofu_mutex lock = TOFU_MUTEX_INITIALIZER;
static struct tofu_transport *instance;
static struct tofu_link listeners[LISTENERS];
static size_t listener_count; /* so far: the oldest makes room */

/* The certificate and its key. */
static const char *own_text(void)
{
	static const char variable[] = "TOFU_TEST_CERTIFICATE";
	struct certificate own;
	char both[4096];

	if (getenv(variable) == NULL) {
		own = certificate_make(&(struct wish){
			.name = "tests",
			.alternatives = "DNS:localhost,IP:127.0.0.1,IP:::1,IP:0.0.0.0,IP:::",
		});
		must((size_t)snprintf(both, sizeof both, "%s%s", own.text, own.key) < sizeof both, "too long");
		os_set_variable(variable, both);
		certificate_free(&own);
	}
	return getenv(variable);
}

static struct tofu_transport *make(void)
{
	struct tofu_tls_options o;
	struct tofu_transport *t;

	tofu_tls_options_init(&o, sizeof o);
	o.certificate = o.ca = own_text();
	o.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	o.no_resumption = 1; /* tests that count memory would find the sessions */
	works(tofu_tls_create(&o, &t));
	return t;
}

const struct tofu_transport *over_tls(void)
{
	tofu_mutex_lock(&lock);
	if (instance == NULL)
		instance = make();
	tofu_mutex_unlock(&lock);
	return instance;
}

static struct over_tls_allocator by;

static void *allocate(size_t size, const char *file, int line)
{
	return by.allocate(size);
}

static void *reallocate(void *old, size_t size, const char *file, int line)
{
	return by.reallocate(old, size);
}

static void release(void *old, const char *file, int line)
{
	by.release(old);
}

void over_tls_allocate_by(struct over_tls_allocator allocator)
{
	by = allocator;
	must(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1, "OpenSSL has allocated already");
}

static struct tofu_sockaddr first_address(const char *address, enum tofu_purpose purpose)
{
	const struct tofu_transport *t = over_tls();
	struct tofu_sockaddr at[TOFU_ADDRESSES_MAX];
	size_t count;

	works(t->resolve(t, path_of(address), purpose, 1, at, TOFU_ADDRESSES_MAX, &count));
	return at[0];
}

void over_tls_call(const char *address, struct tofu_link *link)
{
	const struct tofu_transport *t = over_tls();
	struct tofu_sockaddr to = first_address(address, TOFU_TO_CONNECT);
	unsigned want = TOFU_WRITABLE;
	enum tofu_status st = t->connect_start(t, link, path_of(address), &to, &want);

	while (st == TOFU_WOULD_BLOCK) {
		must(wait_working(link->handle, want) != 0, "no connection to %s", address);
		st = t->connect_finish(t, link, &want);
	}
	must(st == TOFU_OK, "no connection to %s: %s", address, tofu_status_name(st));
}

intptr_t over_tls_listen(char *address, size_t capacity)
{
	const struct tofu_transport *t = over_tls();
	struct tofu_sockaddr at = first_address("tls|127.0.0.1|0", TOFU_TO_LISTEN);
	struct tofu_link *listener = &listeners[listener_count++ % LISTENERS];

	tofu_tls_link_free(listener->state); /* its socket was closed by whoever asked for it */
	*listener = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	eventually(t->listen(t, listener, &at) == TOFU_OK);
	works(t->local_address(t, listener, address, capacity));
	return listener->handle;
}

static struct tofu_link *listener_of(intptr_t handle)
{
	for (size_t i = listener_count; i > 0 && i + LISTENERS > listener_count; i--)
		if (listeners[(i - 1) % LISTENERS].handle == handle)
			return &listeners[(i - 1) % LISTENERS];
	return NULL;
}

bool over_tls_accept(intptr_t handle, struct tofu_link *link)
{
	const struct tofu_transport *t = over_tls();
	struct tofu_link *listener = listener_of(handle);
	unsigned want = TOFU_READABLE;
	enum tofu_status st;

	if (listener == NULL)
		return false;
	while ((st = t->accept(t, listener, link)) == TOFU_WOULD_BLOCK)
		must(wait_working(handle, OS_READABLE) != 0, "nobody called");
	works(st);
	while ((st = tofu_tls_handshake(link->state, &want)) == TOFU_WOULD_BLOCK)
		must(wait_working(link->handle, want) != 0, "the caller does not shake hands");
	works(st);
	return true;
}
