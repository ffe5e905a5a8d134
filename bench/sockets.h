/* SPDX-License-Identifier: MIT */
#ifndef TOFU_BENCH_SOCKETS_H
#define TOFU_BENCH_SOCKETS_H

/* What the floors share: blocking sockets, and frames of four bytes of length and a body. */

#include "lib.h"

enum { BENCH_HEADER = 4, BENCH_FRAME_MAX = BENCH_HEADER + 65536 };

/* result, which is not negative. */
int tofu_bench_checked(int result, const char *what);

/* TCP goes without Nagle's algorithm at each end; TLS runs over TCP. */
int tofu_bench_listen(const struct bench_options *o);
int tofu_bench_accept(const struct bench_options *o, int listener);
int tofu_bench_connect(const struct bench_options *o);

/* A frame of the size that is asked for; its length. */
size_t tofu_bench_frame(const struct bench_options *o, unsigned char *out);
/* The length that a frame says is the one that is asked for. */
void tofu_bench_check_frame(const struct bench_options *o, const unsigned char *at);

#endif
