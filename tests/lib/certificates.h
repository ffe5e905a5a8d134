/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_CERTIFICATES_H
#define TOFU_TESTS_CERTIFICATES_H

/* Certificates for tests of TLS, made when they are needed: nothing that expires is stored. What goes wrong ends the test. */

#include <stdbool.h>

/** Who it is of, and how long it is good. */
struct wish {
	const char *name;         /* the common name */
	const char *alternatives; /* subjectAltName as openssl(1) writes it: "DNS:localhost,IP:127.0.0.1"; NULL: none */
	const struct certificate *issuer; /* NULL: it signs itself */
	bool is_ca;
	long begins_s, ends_s; /* from now on; both 0: an hour ago, in an hour */
};

struct certificate {
	char *text; /* PEM */
	char *key;  /* PEM */
	char fingerprint[65];
};

struct certificate certificate_make(const struct wish *wish);
void certificate_free(struct certificate *c);

#endif
