/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_WRAPPED_H
#define TOFU_TESTS_WRAPPED_H

/*
 * For a test that has a function of the C library wrapped by the linker, and that function takes a time. Where configure has made
 * time_t wider the compiler calls another function, and it is that one which is wrapped: Makefile.am names both.
 */
#ifdef _TIME_BITS
#define WRAPPED_AS(wide, type, call, parameters)                                                                       \
	type __real_##call parameters __asm__("__real_" wide);                                                         \
	type __wrap_##call parameters __asm__("__wrap_" wide)
#else
#define WRAPPED_AS(wide, type, call, parameters)                                                                       \
	type __real_##call parameters;                                                                                 \
	type __wrap_##call parameters
#endif

#endif
