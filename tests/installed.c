/* SPDX-License-Identifier: MIT */

/* A program from outside: every library is there, and an engine starts with all transports; TLS if WITH_TLS is defined. */

#include <stdio.h>

#include <tofu/inproc.h>
#include <tofu/tcp.h>
#ifdef WITH_TLS
#include <tofu/tls.h>
#endif
#include <tofu/tofu.h>
#include <tofu/unix.h>

static int failed(const char *what, enum tofu_status st)
{
	fprintf(stderr, "%s: %s\n", what, tofu_strerror(st));
	return 1;
}

static enum tofu_status register_tls(tofu_engine *engine)
{
#ifdef WITH_TLS
	struct tofu_transport *tls;
	enum tofu_status st = tofu_tls_create(NULL, &tls);

	if (st != TOFU_OK)
		return st;
	st = tofu_engine_register(engine, tls);
	tofu_transport_destroy(tls);
	return st;
#else
	(void)engine;
	return TOFU_OK;
#endif
}

int main(void)
{
	tofu_engine *engine = NULL;
	enum tofu_status st;

	if ((st = tofu_init()) != TOFU_OK)
		return failed("tofu_init", st);
	if ((st = tofu_engine_create(NULL, &engine)) == TOFU_OK &&
	    (st = tofu_engine_register(engine, tofu_inproc())) == TOFU_OK &&
	    (st = tofu_engine_register(engine, tofu_tcp())) == TOFU_OK && (st = register_tls(engine)) == TOFU_OK)
		st = tofu_engine_register(engine, tofu_unix());
	tofu_engine_destroy(engine);
	tofu_deinit();
	if (st != TOFU_OK)
		return failed("tofu_engine", st);
	printf("tofu %s\n", tofu_version());
	return 0;
}
