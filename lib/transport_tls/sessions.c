/* SPDX-License-Identifier: MIT */

/*
 * A table of sessions, searched from end to end: it is short, and looked at once for each connection.
 *
 * A ticket of TLS 1.3 is used once, or whoever watches the network could tell that two connections are of the same client.
 */

#include "transport_tls/sessions.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>

enum { SESSIONS = 64, OF_ONE_ADDRESS = 8 };

struct entry {
	char *called; /* NULL: free */
	SSL_SESSION *session;
	uint64_t since; /* the higher, the newer */
};

struct tofu_tls_sessions {
	CRYPTO_RWLOCK *lock;
	uint64_t now;
	struct entry entries[SESSIONS];
};

struct tofu_tls_sessions *tofu_tls_sessions_new(void)
{
	struct tofu_tls_sessions *s = OPENSSL_zalloc(sizeof *s);

	if (s == NULL)
		return NULL;
	s->lock = CRYPTO_THREAD_lock_new();
	if (s->lock == NULL) {
		OPENSSL_free(s);
		return NULL;
	}
	return s;
}

static void clear(struct entry *e)
{
	OPENSSL_free(e->called);
	SSL_SESSION_free(e->session);
	*e = (struct entry){ NULL, NULL, 0 };
}

void tofu_tls_sessions_free(struct tofu_tls_sessions *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SESSIONS; i++)
		clear(&s->entries[i]);
	CRYPTO_THREAD_lock_free(s->lock);
	OPENSSL_free(s);
}

static bool is_of(const struct entry *e, const char *called)
{
	return e->called != NULL && strcmp(e->called, called) == 0;
}

/* The place for one more of that address: where its own oldest is, if it has its share. */
static struct entry *place_for(struct tofu_tls_sessions *s, const char *called)
{
	struct entry *oldest = &s->entries[0], *own = NULL;
	size_t count = 0;

	for (struct entry *e = s->entries; e < s->entries + SESSIONS; e++) {
		if (e->since < oldest->since)
			oldest = e;
		if (!is_of(e, called))
			continue;
		count++;
		if (own == NULL || e->since < own->since)
			own = e;
	}
	return count < OF_ONE_ADDRESS ? oldest : own;
}

int tofu_tls_sessions_keep(struct tofu_tls_sessions *s, const char *called, SSL_SESSION *session)
{
	char *copy = OPENSSL_strdup(called);
	struct entry *e;

	if (copy == NULL || !CRYPTO_THREAD_write_lock(s->lock)) {
		OPENSSL_free(copy);
		return 0;
	}
	e = place_for(s, called);
	clear(e);
	*e = (struct entry){ copy, session, ++s->now };
	(void)CRYPTO_THREAD_unlock(s->lock); /* it is ours: it cannot fail */
	return 1;
}

static struct entry *newest_of(struct tofu_tls_sessions *s, const char *called)
{
	struct entry *newest = NULL;

	for (struct entry *e = s->entries; e < s->entries + SESSIONS; e++)
		if (is_of(e, called) && (newest == NULL || e->since > newest->since))
			newest = e;
	return newest;
}

SSL_SESSION *tofu_tls_sessions_take(struct tofu_tls_sessions *s, const char *called)
{
	SSL_SESSION *session = NULL;
	struct entry *e;

	if (!CRYPTO_THREAD_write_lock(s->lock))
		return NULL;
	e = newest_of(s, called);
	if (e != NULL && SSL_SESSION_up_ref(e->session))
		session = e->session;
	if (session != NULL && SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION)
		clear(e);
	(void)CRYPTO_THREAD_unlock(s->lock); /* it is ours: it cannot fail */
	return session;
}
