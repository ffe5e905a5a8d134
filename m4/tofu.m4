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
