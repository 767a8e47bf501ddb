/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>

/* A call that a signal interrupted is made again. Not for ever: here are no handlers that could interrupt it
 * (signal(7)), so where that goes on something else is wrong. */
#define retry_interrupted(call) \
        ({ \
                unsigned tries_ = 3; \
                ssize_t n_; \
\
                do \
                        n_ = (call); \
                while (n_ < 0 && errno == EINTR && --tries_ > 0); \
                n_; \
        })
