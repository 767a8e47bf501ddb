/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>

/* Makes a system call, and repeats it twice at most if a signal interrupts it (EINTR): the daemon has no signal
 * handlers (signal(7)), so EINTR that goes on has another cause. The call is evaluated each time. */
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
