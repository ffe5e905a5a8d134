/* SPDX-License-Identifier: MIT */

#include "secure.h"

#include <tofu/tls.h>

#include "say.h"

bool tofu_secure_register(tofu_engine *engine, const struct tofu_secure *secure)
{
	struct tofu_tls_options options;
	struct tofu_transport *tls;
	char error[256];
	enum tofu_status status;

	if (!secure->wanted)
		return true;
	tofu_tls_options_init(&options, sizeof options);
	options.certificate_file = secure->certificate;
	options.key_file = secure->key;
	options.ca_file = secure->ca;
	if (secure->ca != NULL)
		options.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	options.error = error;
	options.error_capacity = sizeof error;
	status = tofu_tls_create(&options, &tls);
	if (status != TOFU_OK) {
		tofu_say_wrong(error[0] == '\0' ? status : TOFU_OK, "cannot use TLS%s%s", error[0] != '\0' ? ": " : "",
		               error);
		return false;
	}
	status = tofu_engine_register(engine, tls);
	tofu_transport_destroy(tls);
	if (status != TOFU_OK)
		tofu_say_wrong(status, "cannot register tls");
	return status == TOFU_OK;
}
