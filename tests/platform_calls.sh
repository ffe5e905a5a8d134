#!/bin/sh
# SPDX-License-Identifier: MIT
# Windows shows in files that end in _win32 only: nowhere else does code (comments apart) take a Windows header, or call what only
# Windows has. Of those, raw ntdll stays within the ones named here. Which system it is asks lib/platform/os.h, and net.h.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
cd "$TOP_SRCDIR"

# The files that may use ntdll and \Device\Afd: the one that polls by it, the one that asks whether the process ends, what
# tests put in its place, and what they look with.
raw_files='lib/platform/afd_win32.c lib/platform/system_win32.c tests/lib/afd_doubles_win32.c tests/lib/os_win32.c'

word='(^|[^A-Za-z0-9_])'
raw="$word(Nt|Zw|Rtl)[A-Z][A-Za-z]*[ 	]*\\(|Device..?Afd|IOCTL_AFD|AFD_POLL"
asks="$word(_?_WIN(32|64)|__MINGW(32|64)__|_MSC_VER|__CYGWIN__)"
windows="#[ 	]*include[ 	]*[<\"](win[a-z0-9]*|ws2[a-z]*|mswsock|afunix|iphlpapi|ntdef|ntstatus|process|io)\\.h"
windows="$windows|${word}WSA[A-Za-z]+[ 	]*\\(|${word}WSAE[A-Z]+|${word}(HANDLE|SOCKET|DWORD|OVERLAPPED|SRWLOCK|CONDITION_VARIABLE)[ 	;*]"
windows="$windows|$word(closesocket|ioctlsocket|GetLastError|SetLastError|CloseHandle|DeviceIoControl|CancelIo|CancelIoEx|CreateThread"
windows="$windows|_beginthreadex|WaitFor(Single|Multiple)Objects?(Ex)?|(Create|Set|Reset)Event[AW]?|CreateIoCompletionPort|PostQueuedCompletionStatus"
windows="$windows|GetQueuedCompletionStatus(Ex)?|QueryPerformance(Counter|Frequency)|GetTempPath2?[AW]?|GetProcAddress|LoadLibrary[A-Za-z]*"
windows="$windows|GetModuleHandle[A-Za-z]*|(Acquire|Release|Initialize)SRWLock[A-Za-z]*|(Sleep|Wake|WakeAll|Initialize)ConditionVariable[A-Za-z]*"
windows="$windows|MultiByteToWideChar|WideCharToMultiByte|(Create|Set|Close)Threadpool[A-Za-z]*|Sleep(Ex)?)[ 	]*\\(|$raw"

# The file with its comments blanked out, the lines as they were.
code() { # file
	awk '{
		line = $0; out = ""
		while (line != "") {
			if (inside) {
				at = index(line, "*/")
				if (at == 0) break
				line = substr(line, at + 2); inside = 0
			} else if (match(line, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
				found = substr(line, RSTART, RLENGTH)
				out = out substr(line, 1, RSTART - 1)
				line = substr(line, RSTART + RLENGTH)
				if (found == "//") break
				if (found == "/*") inside = 1
				else out = out found
			} else {
				out = out line
				line = ""
			}
		}
		print out
	}' "$1"
}

refuse() { # file, pattern, why
	if code "$1" | grep -nE "$2" >"$tmp/hits"; then
		fail "$1: $3"
		cat "$tmp/hits"
	fi
}

# The lint itself: it sees what it should see, and not what a comment says.
cat >"$tmp/bad.c" <<'BAD'
#ifdef _WIN32
#include <winsock2.h>
	WSAStartup(0, NULL);
	st = NtCancelIoFileEx(h, &iosb, &out);
	HANDLE h;
BAD
cat >"$tmp/good.c" <<'GOOD'
/* _WIN32, WSAStartup(): HANDLE h; */
const char *text = "/*"; // closesocket(s)
/*
 * NtCancelIoFile(); DWORD x;
 */
tofu_event_raise(&e); MyNtFunction(x);
GOOD
[ "$(code "$tmp/bad.c" | grep -cE "$asks|$windows")" -eq 5 ] || fail 'the lint misses a Windows call'
! code "$tmp/good.c" | grep -E "$asks|$windows" || fail 'the lint takes a comment for code'

for file in $(find include lib tools examples tests bench fuzz -name '*.[ch]' 2>/dev/null | sort); do
	case $file in
	tests/stage/* | */build*) continue ;;
	*_win32.[ch])
		refuse "$file" "$asks" 'asks which system it is, and its name says'
		case " $raw_files " in
		*" $file "*) ;;
		*) refuse "$file" "$raw" 'raw ntdll outside of the files named for it' ;;
		esac
		;;
	lib/platform/os.h | lib/platform/net.h) refuse "$file" "$windows" 'more than a question' ;;
	lib/platform/errors.h | tests/lib/errors.h) refuse "$file" "$asks|$raw" 'more than numbers' ;;
	*) refuse "$file" "$asks|$windows" 'a Windows-only name outside of the files for Windows' ;;
	esac
done
end
