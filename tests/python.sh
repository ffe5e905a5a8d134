#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of bindings/python, with the shared libraries of this build.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
[ "${PYTHON3#sh }" = "$PYTHON3" ] || skip 'no Python'
$PYTHON3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || skip 'the binding needs Python 3.9'
[ -z "$RUNNER" ] || skip 'Python is not one for the system of this build'
lib=$STAGE$LIBDIR
[ -e "$lib/libtofu.so.0" ] || skip 'no shared libraries'

TOFU_LIBRARY_PATH=$lib LD_LIBRARY_PATH=$lib PYTHONDONTWRITEBYTECODE=1 \
	$PYTHON3 -W error -m unittest discover -s "$TOP_SRCDIR/bindings/python/tests" || fail 'the binding'
end
