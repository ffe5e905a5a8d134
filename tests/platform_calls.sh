#!/bin/sh
# SPDX-License-Identifier: MIT
# Windows shows in lib/platform only: nowhere else does code (comments apart) say _WIN32, take a Windows header, or call what only Windows
# has. There, raw ntdll stays within the files named here.
set -eu

. "$TOP_SRCDIR/tests/lib/script.sh"
cd "$TOP_SRCDIR"

# The files of lib/platform that may use ntdll and \Device\Afd.
raw_files=''

word='(^|[^A-Za-z0-9_])'
raw="$word(Nt|Zw|Rtl)[A-Z][A-Za-z]*[ 	]*\\(|Device..?Afd|IOCTL_AFD|AFD_POLL"
windows="$word(_?_WIN(32|64)|__MINGW(32|64)__|_MSC_VER|__CYGWIN__)"
windows="$windows|#[ 	]*include[ 	]*[<\"](win[a-z0-9]*|ws2[a-z]*|mswsock|afunix|iphlpapi|ntdef|ntstatus|process|io)\\.h"
windows="$windows|${word}WSA[A-Za-z]+[ 	]*\\(|${word}WSAE[A-Z]+|${word}(HANDLE|SOCKET|DWORD|OVERLAPPED|SRWLOCK|CONDITION_VARIABLE)[ 	;*]"
windows="$windows|$word(closesocket|ioctlsocket|GetLastError|SetLastError|CloseHandle|DeviceIoControl|CancelIo|CancelIoEx|CreateThread"
windows="$windows|_beginthreadex|WaitFor(Single|Multiple)Objects?(Ex)?|(Create|Set|Reset)Event[AW]?|CreateIoCompletionPort|PostQueuedCompletionStatus"
windows="$windows|GetQueuedCompletionStatus(Ex)?|QueryPerformance(Counter|Frequency)|GetTempPath2?[AW]?|GetProcAddress|LoadLibrary[A-Za-z]*"
windows="$windows|GetModuleHandle[A-Za-z]*|(Acquire|Release|Initialize)SRWLock[A-Za-z]*|(Sleep|Wake|WakeAll|Initialize)ConditionVariable[A-Za-z]*"
windows="$windows|MultiByteToWideChar|WideCharToMultiByte|Sleep(Ex)?)[ 	]*\\(|$raw"

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
[ "$(code "$tmp/bad.c" | grep -cE "$windows")" -eq 5 ] || fail 'the lint misses a Windows call'
! code "$tmp/good.c" | grep -E "$windows" || fail 'the lint takes a comment for code'

for file in $(find include lib tools examples tests bench fuzz -name '*.[ch]' 2>/dev/null | sort); do
	case $file in
	tests/stage/* | */build*) continue ;;
	lib/platform/*)
		case " $raw_files " in
		*" $file "*) ;;
		*) refuse "$file" "$raw" 'raw ntdll outside of the files named for it' ;;
		esac
		;;
	*) refuse "$file" "$windows" 'a Windows-only name outside lib/platform' ;;
	esac
done
end
