# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the scripts share that build a library for Windows out of Debian's source package, and install it into DIRECTORY, their
# argument. Sourced; then they call build_library.

host=x86_64-w64-mingw32

[ $# -le 1 ] || { echo "usage: $0 [DIRECTORY]" >&2; exit 2; }
dir=${1:-$(dirname "$0")/../../cache/$host}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

fail() { # what
	echo "$0: $1" >&2
	[ ! -s "$log" ] || { echo "the end of $log:" >&2; tail -n 15 "$log" >&2; }
	exit 1
}

need_commands() { # commands, Debian's packages that have them
	missing=
	for command in $1; do
		command -v "$command" >/dev/null || missing="$missing $command"
	done
	[ -z "$missing" ] || fail "not found:$missing (Debian's packages: $2)"
}

# Without a deb-src entry the source is where this machine has its packages from, for this call alone.
get_source() { # package
	apt-get source --only-source --download-only "$1" && return
	package=$1
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	mkdir -p apt/lists/partial
	# shellcheck disable=SC2016 # apt-get's own
	apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		while read -r suite component uri; do
			case $suite in *-*) continue ;; esac # updates of it
			printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: %s\n' "$uri" "$suite" "$component"
			[ ! -e "$keys" ] || echo "Signed-By: $keys"
			break
		done >apt/src.sources
	set -- -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$PWD/apt" \
		-o "Dir::State::lists=$PWD/apt/lists" -o "APT::Sandbox::User=$(id -un)"
	apt-get "$@" update && apt-get "$@" source --only-source --download-only "$package"
}

# The script's function build is called in a directory that has the source in source/. What it installs last is PACKAGE.pc: it
# is there already, and nothing is done.
build_library() { # its name for people, Debian's source package, commands, Debian's packages that have them
	if [ -e "$dir/lib/pkgconfig/$2.pc" ]; then
		echo "$dir has $1 already"
		return
	fi
	work=$dir/build-$2
	log=$work.log
	: >"$log"
	need_commands "apt-get dpkg-source $host-gcc make $3" "dpkg-dev gcc-mingw-w64-x86-64 make $4"
	rm -rf "$work"
	mkdir -p "$work"
	cd "$work" || return
	echo "== $1 for $host, into $dir"
	get_source "$2" >>"$log" 2>&1 || fail "can't get Debian's source of $2"
	dpkg-source --no-check -x "$2"_*.dsc source >>"$log" 2>&1 || fail "can't unpack the source"
	(build) >>"$log" 2>&1 || fail "can't build"
	cd "$dir" || return
	rm -rf "$work"
}
