#!/bin/sh
# SPDX-License-Identifier: MIT
# A CA to try TLS with, and certificates of it for a server and a client: examples/make-test-ca.sh DIRECTORY [NAME...]
# NAMEs are what the server is called by, names or addresses; default: localhost, 127.0.0.1, ::1. All is good for 30 days.
set -eu
umask 077

if [ $# -lt 1 ]; then
	echo "usage: $0 DIRECTORY [NAME...]" >&2
	exit 2
fi
directory=$1
shift
[ $# -gt 0 ] || set -- localhost 127.0.0.1 ::1
mkdir -p "$directory"
cd "$directory"

# "DNS:localhost,IP:127.0.0.1,IP:::1": an address has colons, or nothing but digits and dots.
alternatives=
for name in "$@"; do
	case $name in
	*:* | *[0-9].*[0-9].*[0-9].*[0-9]) kind=IP ;;
	*) kind=DNS ;;
	esac
	case $name in *[!0-9.:a-fA-F]*) kind=DNS ;; esac
	alternatives=${alternatives:+$alternatives,}$kind:$name
done

new_key() { # file
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}

issue() { # file, common name, subjectAltName, extendedKeyUsage
	new_key "$1.key"
	openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
	printf 'basicConstraints = CA:FALSE\nsubjectAltName = %s\nextendedKeyUsage = %s\n' "$3" "$4" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile "$1.ext" \
		-out "$1.pem" 2>/dev/null
	rm -f "$1.csr" "$1.ext"
}

new_key ca.key
openssl req -x509 -new -key ca.key -sha256 -days 30 -subj '/CN=test CA' -out ca.pem \
	-addext 'basicConstraints = critical,CA:TRUE' -addext 'keyUsage = critical,keyCertSign,cRLSign' 2>/dev/null
issue server server "$alternatives" serverAuth,clientAuth
issue client client DNS:client clientAuth
rm -f ca.srl
echo "in $directory: ca.pem, server.pem and server.key, client.pem and client.key"
