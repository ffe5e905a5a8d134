# SPDX-License-Identifier: MIT

# TOFU_CC_FLAGS(VARIABLE, FLAGS): append those FLAGS that the compiler takes without complaint, and substitute VARIABLE.
# -Werror, because clang only warns about a warning it does not know.
AC_DEFUN([TOFU_CC_FLAGS], [
	tofu_save_CFLAGS=$CFLAGS
	for tofu_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC takes $tofu_flag])
		CFLAGS="$tofu_save_CFLAGS -Werror $tofu_flag"
		AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int tofu_flag_works(void); int tofu_flag_works(void) { return 0; }]])], [
			$1="$$1 $tofu_flag"
			AC_MSG_RESULT([yes])
		], [AC_MSG_RESULT([no])])
	done
	CFLAGS=$tofu_save_CFLAGS
	AC_SUBST([$1])
])

# TOFU_LD_FLAG(VARIABLE, FLAG): append FLAG if a program can be linked with it.
AC_DEFUN([TOFU_LD_FLAG], [
	AC_MSG_CHECKING([whether $CC links with $2])
	tofu_save_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS -Werror $2"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [
		$1="$$1 $2"
		AC_MSG_RESULT([yes])
	], [AC_MSG_RESULT([no])])
	LDFLAGS=$tofu_save_LDFLAGS
])

# TOFU_WIDTH(TYPE, HEADER, IF-64-BITS, IF-LESS)
AC_DEFUN([TOFU_WIDTH], [
	AC_MSG_CHECKING([whether $1 has 64 bits])
	AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#include <$2>
int tofu_wide[sizeof($1) >= 8 ? 1 : -1];]])],
		[AC_MSG_RESULT([yes])
		$3],
		[AC_MSG_RESULT([no])
		$4])
])

# TOFU_LARGE_FILES(VARIABLE): append the definitions that make the numbers of files, and if possible times, 64 bits wide where they
# are not by themselves. AC_SYS_LARGEFILE and AC_SYS_YEAR2038 (Autoconf 2.72) put them into DEFS, which Makefile.am sets itself.
AC_DEFUN([TOFU_LARGE_FILES], [
	tofu_save_CPPFLAGS=$CPPFLAGS
	tofu_wide=
	TOFU_WIDTH([ino_t], [sys/types.h], [], [tofu_wide='-D_FILE_OFFSET_BITS=64'])
	TOFU_WIDTH([time_t], [time.h], [], [
		# glibc from 2.34 on, which wants both.
		CPPFLAGS="$tofu_save_CPPFLAGS -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64"
		TOFU_WIDTH([time_t], [time.h], [tofu_wide='-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64'], [])
	])
	CPPFLAGS=$tofu_save_CPPFLAGS
	$1="$$1 $tofu_wide"
])

# TOFU_ATOMIC_LIBS(VARIABLE): set to -latomic if atomic operations on 8 bytes need that library.
AC_DEFUN([TOFU_ATOMIC_LIBS], [
	AC_MSG_CHECKING([for the library of atomic operations on 8 bytes])
	m4_pushdef([tofu_program], [AC_LANG_PROGRAM([[
#include <stdatomic.h>
#include <stdint.h>
_Atomic uint64_t n;]], [[uint64_t was = atomic_fetch_add(&n, 1); return !atomic_compare_exchange_strong(&n, &was, 7);]])])
	tofu_save_LIBS=$LIBS
	$1=
	AC_LINK_IFELSE([tofu_program], [AC_MSG_RESULT([none needed])], [
		LIBS="-latomic $tofu_save_LIBS"
		AC_LINK_IFELSE([tofu_program], [$1=-latomic; AC_MSG_RESULT([-latomic])],
			[AC_MSG_ERROR([a program with atomic operations on 8 bytes does not link, nor with -latomic])])
	])
	LIBS=$tofu_save_LIBS
	m4_popdef([tofu_program])
	AC_SUBST([$1])
])

# TOFU_OPENSSL_LINKS(IF-SO, IF-NOT): whether a program of this host can be linked with OPENSSL_LIBS.
AC_DEFUN([TOFU_OPENSSL_LINKS], [
	AC_MSG_CHECKING([whether $CC links with $OPENSSL_LIBS])
	tofu_save_CFLAGS=$CFLAGS tofu_save_LIBS=$LIBS
	CFLAGS="$CFLAGS $OPENSSL_CFLAGS" LIBS="$OPENSSL_LIBS $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <openssl/ssl.h>]], [[return SSL_CTX_new(TLS_method()) == NULL;]])],
		[tofu_links=yes], [tofu_links=no])
	CFLAGS=$tofu_save_CFLAGS LIBS=$tofu_save_LIBS
	AC_MSG_RESULT([$tofu_links])
	AS_IF([test "x$tofu_links" = xyes], [$1], [$2])
])
